"""The allow entries during one decision: what they silence, and what is to be said of them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date

from scangate.errors import PurlError
from scangate.models.analysis import Analysed
from scangate.models.lockfile import Lockfile
from scangate.models.observations import Observation
from scangate.models.verdict import Allowed, Finding, PolicyNotice, Subject
from scangate.policy.conditions import KINDS
from scangate.policy.lens import Excuse, Package
from scangate.policy.model import AllowEntry, Lint, Observe, Policy, Watch
from scangate.purls import parse

_WITHOUT_ANALYSIS = frozenset({Observe.LOCKFILE, Observe.PACKAGE})


class Exceptions:
    """Entries are looked up by what they are for: thousands of them cost a package no more than its own."""

    def __init__(self, policy: Policy, today: date) -> None:
        self._policy = policy
        self._expired = tuple(entry for entry in policy.allow if today >= entry.expires)
        self._valid = tuple(entry for entry in policy.allow if today < entry.expires)
        self._by_target: dict[str, list[AllowEntry]] = defaultdict(list)
        for entry in self._valid:
            self._by_target[_target(entry)].append(entry)
        self._order = {id(entry): number for number, entry in enumerate(self._valid)}
        self._excuses: dict[int, Mapping[type[Observation], Excuse]] = {}
        self._used: set[int] = set()
        self._judged: dict[int, bool] = {}
        """By entry: whether all that it can silence was there to be seen, in every package that it is for."""
        needs = {rule.id: rule.test for rule in policy.rules}
        self._needs_no_analysis = frozenset(
            id_ for id_, test in needs.items() if isinstance(test, Watch) and test.observe in _WITHOUT_ANALYSIS
        )

    def of_subject(self, subject: Subject, findings: Sequence[Finding]) -> tuple[Finding, ...]:
        """The findings, each silenced by the first entry for its package and rule; all such entries count as used."""
        entries = sorted(
            (entry for target in _targets(subject) for entry in self._by_target.get(target, ())),
            key=lambda entry: self._order[id(entry)],
        )
        whole = all(isinstance(result, Analysed) and not result.shortfalls for result in subject.results)
        of_package = Package(subject.ecosystem, subject.name, subject.version)
        return self._applied(entries, findings, of_package, whole=whole and bool(subject.results))

    def of_lockfile(self, lockfile: Lockfile, findings: Sequence[Finding]) -> tuple[Finding, ...]:
        entries = self._by_target.get(_lockfile_target(lockfile.path), ())
        return self._applied(entries, findings, None, whole=lockfile.supported)

    def _applied(
        self, entries: Sequence[AllowEntry], findings: Sequence[Finding], package: Package | None, *, whole: bool
    ) -> tuple[Finding, ...]:
        for entry in entries:
            could_see = whole or self._needs_no_analysis.issuperset(entry.rules)
            self._judged[id(entry)] = could_see and self._judged.get(id(entry), True)
        return tuple(self._silenced(finding, entries, package) for finding in findings)

    def _silenced(self, finding: Finding, entries: Iterable[AllowEntry], package: Package | None) -> Finding:
        fitting = [entry for entry in entries if finding.rule in entry.rules and self._fits(entry, finding, package)]
        if not fitting:
            return finding
        self._used.update(id(entry) for entry in fitting)
        first = fitting[0]
        allowed = Allowed(reason=first.reason, owner=first.owner, expires=first.expires, where=first.place)
        return finding._replace(allowed=allowed)

    def _fits(self, entry: AllowEntry, finding: Finding, package: Package | None) -> bool:
        """Without a condition on the evidence, any; else every observation has to fit: one that is new voids it."""
        if not entry.evidence:
            return True
        if id(entry) not in self._excuses:
            of_kind = {KINDS[observe].type: Excuse(KINDS[observe], wanted) for observe, wanted in entry.evidence}
            self._excuses[id(entry)] = of_kind
        excuses = self._excuses[id(entry)]
        return all(
            (excuse := excuses.get(type(observation))) is not None and excuse.fits(observation, package)
            for observation in finding.evidence
        )

    # ----------------------------------------------------------------------------------------------- lints

    def notices(self, *, whole: bool) -> tuple[PolicyNotice, ...]:
        """What is to be said of the entries, lint by lint, each in the order of the policy.

        `whole`: every package of the project was judged, so that an entry for none of them is unused.
        """
        shadows = _shadows(self._valid)
        unused = (entry for entry in self._valid if id(entry) not in shadows and self._is_unused(entry, whole=whole))
        return (
            *(self._notice(Lint.ALLOW_EXPIRED, entry, f"ended on {entry.expires}") for entry in self._expired),
            *(self._notice(Lint.ALLOW_UNUSED, entry, "silenced nothing in this run") for entry in unused),
            *(
                self._notice(Lint.ALLOW_BROAD, entry, "is for every version, also those that nobody has seen yet")
                for entry in self._valid
                if entry.every_version
            ),
            *(
                self._notice(Lint.ALLOW_SHADOWED, entry, f"never counts: {shadows[id(entry)].place} says as much")
                for entry in self._valid
                if id(entry) in shadows
            ),
        )

    def _is_unused(self, entry: AllowEntry, *, whole: bool) -> bool:
        return id(entry) not in self._used and self._judged.get(id(entry), whole)

    def _notice(self, lint: Lint, entry: AllowEntry, what: str) -> PolicyNotice:
        text = f"The exception of {entry.owner} for {entry.target} ({', '.join(entry.rules)}) {what}."
        return notice(self._policy, lint, text, entry.place)


def notice(policy: Policy, lint: Lint, message: str, where: str) -> PolicyNotice:
    decided = policy.lints[lint]
    return PolicyNotice(code=lint, message=message, where=where, action=decided.action, decided_by=decided.by)


def _shadows(entries: Sequence[AllowEntry]) -> Mapping[int, AllowEntry]:
    """By entry (its id): the earlier one that silences all that it could, and as long."""
    earlier: dict[tuple[str, object, str], list[AllowEntry]] = defaultdict(list)
    found: dict[int, AllowEntry] = {}
    for entry in entries:
        candidates = (
            other
            for target in {_target(entry), _every_version(entry)}
            for evidence in {(), entry.evidence}
            for other in earlier.get((target, evidence, entry.rules[0]), ())
        )
        broader = (each for each in candidates if each.expires >= entry.expires and {*entry.rules} <= {*each.rules})
        other = next(broader, None)
        if other is not None:
            found[id(entry)] = other
            continue
        for rule in entry.rules:
            earlier[_target(entry), entry.evidence, rule].append(entry)
    return found


def _every_version(entry: AllowEntry) -> str:
    """What an entry for every version of the same package is for."""
    if entry.lockfile or entry.every_version:
        return _target(entry)
    if entry.purl is None:
        return entry.target.rpartition("@")[0] + "@*"
    return f"{entry.purl._replace(version=None)}@*"


def _target(entry: AllowEntry) -> str:
    """What it is for, in one form: as `_targets` and `_lockfile_target` have it."""
    if entry.lockfile:
        return _lockfile_target(entry.target)
    if entry.purl is None:
        return entry.target
    return f"{entry.purl}@*" if entry.every_version else str(entry.purl)


def _targets(subject: Subject) -> Iterator[str]:
    """All that an entry for the package can be for. From its parts, not from the key's text: a name may hold "@"."""
    if subject.purl is None:
        yield subject.key
        yield f"{subject.key.partition(':')[0]}:{subject.ecosystem}/{subject.name}@*"
        return
    try:
        purl = parse(subject.purl)
    except PurlError:
        return  # then no entry is for it
    yield str(purl)
    yield f"{purl._replace(version=None)}@*"


def _lockfile_target(path: str) -> str:
    # No purl and no key of a package begins so.
    return f"lockfile {path}"
