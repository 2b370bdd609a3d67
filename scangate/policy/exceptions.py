"""The allow entries during one decision: what they silence, and what is to be said of them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date

from scangate.errors import PurlError
from scangate.models.analysis import Analysed
from scangate.models.lockfile import Lockfile
from scangate.models.observations import Observation
from scangate.models.verdict import Allowed, Finding, NoticeCode, PolicyNotice, Subject
from scangate.policy.conditions import KINDS
from scangate.policy.lens import Excuse, Package
from scangate.policy.model import AllowEntry, Lint, Observe, Policy, Watch, normalised_name
from scangate.purls import parse

_WITHOUT_ANALYSIS = frozenset({Observe.LOCKFILE, Observe.PACKAGE})


_Excuses = Mapping[type[Observation], Excuse]


class Exceptions:
    """Entries are looked up by what they are for: thousands of them cost a package no more than its own.

    Each is known by its number in the policy.
    """

    def __init__(self, policy: Policy, today: date) -> None:
        self._policy = policy
        self._expired = tuple(entry for entry in policy.allow if today >= entry.expires)
        self._valid = {number: entry for number, entry in enumerate(policy.allow) if today < entry.expires}
        self._by_target: dict[str, list[int]] = defaultdict(list)
        for number, entry in self._valid.items():
            self._by_target[_target(entry)].append(number)
        self._excuses: dict[int, _Excuses] = {}
        self._used: set[int] = set()
        self._judged: dict[int, bool] = {}
        """Whether all that an entry can silence was there to be seen, in every package that it is for."""
        needs = {rule.id: rule.test for rule in policy.rules}
        self._needs_no_analysis = frozenset(
            id_ for id_, test in needs.items() if isinstance(test, Watch) and test.observe in _WITHOUT_ANALYSIS
        )

    def of_subject(self, subject: Subject, findings: Sequence[Finding]) -> tuple[Finding, ...]:
        """The findings, each silenced by the first entry for its package and rule; all such entries count as used."""
        entries = sorted(number for target in _targets(subject) for number in self._by_target.get(target, ()))
        whole = all(isinstance(result, Analysed) and not result.shortfalls for result in subject.results)
        return self._applied(entries, findings, _package(subject), whole=whole and bool(subject.results))

    def of_lockfile(self, lockfile: Lockfile, findings: Sequence[Finding]) -> tuple[Finding, ...]:
        entries = self._by_target.get(_lockfile_target(lockfile.path), ())
        return self._applied(entries, findings, None, whole=lockfile.supported)

    def _applied(
        self, entries: Sequence[int], findings: Sequence[Finding], package: Package | None, *, whole: bool
    ) -> tuple[Finding, ...]:
        for number in entries:
            could_see = whole or self._needs_no_analysis.issuperset(self._valid[number].rules)
            self._judged[number] = could_see and self._judged.get(number, True)
        return tuple(self._silenced(finding, entries, package) for finding in findings)

    def _silenced(self, finding: Finding, entries: Iterable[int], package: Package | None) -> Finding:
        fitting = [number for number in entries if self._fits(number, finding, package)]
        if not fitting:
            return finding
        self._used.update(fitting)
        first = self._valid[fitting[0]]
        allowed = Allowed(reason=first.reason, owner=first.owner, expires=first.expires, where=first.place)
        return finding._replace(allowed=allowed)

    def _fits(self, number: int, finding: Finding, package: Package | None) -> bool:
        entry = self._valid[number]
        if finding.rule not in entry.rules or not entry.evidence:
            return finding.rule in entry.rules
        if number not in self._excuses:
            self._excuses[number] = _excuses(entry)
        return _excused(self._excuses[number], finding, package)

    # ----------------------------------------------------------------------------------------------- lints

    def notices(self, *, whole: bool) -> tuple[PolicyNotice, ...]:
        """What is to be said of the entries, lint by lint, each in the order of the policy.

        `whole`: every package of the project was judged, so that an entry for none of them is unused.
        """
        shadows = _shadows(self._valid)
        unused = (
            entry
            for number, entry in self._valid.items()
            if number not in shadows and number not in self._used and self._judged.get(number, whole)
        )
        return (
            *(self._notice(Lint.ALLOW_EXPIRED, entry, f"ended on {entry.expires}") for entry in self._expired),
            *(self._notice(Lint.ALLOW_UNUSED, entry, "silenced nothing in this run") for entry in unused),
            *(
                self._notice(Lint.ALLOW_BROAD, entry, "is for every version, also those that nobody has seen yet")
                for entry in self._valid.values()
                if entry.every_version
            ),
            *(
                self._notice(Lint.ALLOW_SHADOWED, self._valid[number], f"never counts: {earlier.place} says as much")
                for number, earlier in shadows.items()
            ),
        )

    def _notice(self, lint: Lint, entry: AllowEntry, what: str) -> PolicyNotice:
        text = f"The exception of {entry.owner} for {entry.target} ({', '.join(entry.rules)}) {what}."
        return notice(self._policy, lint, text, entry.place)


def notice(policy: Policy, lint: Lint, message: str, where: str) -> PolicyNotice:
    decided = policy.lints[lint]
    return PolicyNotice(
        code=NoticeCode(lint), message=message, where=where, action=decided.action, decided_by=decided.by
    )


def why_not(entry: AllowEntry, subject: Subject, finding: Finding, today: date) -> str | None:
    """Why an entry for the finding's rule, and for some version of the package, does not silence the finding.

    None where it does, and where it is for something else altogether.
    """
    if finding.rule not in entry.rules or not _is_about(entry, subject):
        return None
    if today >= entry.expires:
        return f"it ended on {entry.expires}"
    if entry.lockfile:
        return "it is for what is found in the lockfile itself, not for a package in it"
    if _target(entry) not in _targets(subject):
        return f"it is for {entry.target}"
    if entry.evidence and not _excused(_excuses(entry), finding, _package(subject)):
        return "it is for other evidence, or for a part of this alone"
    return None


def _is_about(entry: AllowEntry, subject: Subject) -> bool:
    """Whether it is for some version of the package, wherever that comes from, or for a lockfile that names it."""
    if entry.lockfile:
        return any(each.lockfile == entry.target for each in subject.dependencies)
    if entry.purl is None:
        # KIND:ECOSYSTEM/NAME@VERSION; a name may hold "@".
        return entry.target.partition(":")[2].startswith(f"{subject.ecosystem}/{subject.name}@")
    names = (entry.purl.package_name, subject.name)
    return (
        entry.purl.ecosystem is subject.ecosystem and len({normalised_name(subject.ecosystem, n) for n in names}) == 1
    )


def _package(subject: Subject) -> Package:
    return Package(subject.ecosystem, subject.name, subject.version)


def _excuses(entry: AllowEntry) -> _Excuses:
    return {KINDS[observe].type: Excuse(KINDS[observe], wanted) for observe, wanted in entry.evidence}


def _excused(excuses: _Excuses, finding: Finding, package: Package | None) -> bool:
    """Whether every observation fits: one that is new voids the entry."""
    return all(
        (excuse := excuses.get(type(observation))) is not None and excuse.fits(observation, package)
        for observation in finding.evidence
    )


def _shadows(entries: Mapping[int, AllowEntry]) -> Mapping[int, AllowEntry]:
    """By an entry's number: the earlier one that silences all that it could, and as long."""
    earlier: dict[tuple[str, object, str], list[AllowEntry]] = defaultdict(list)
    found: dict[int, AllowEntry] = {}
    for number, entry in entries.items():
        candidates = (
            other
            for target in {_target(entry), _every_version(entry)}
            for evidence in {(), entry.evidence}
            for other in earlier.get((target, evidence, entry.rules[0]), ())
        )
        broader = (each for each in candidates if each.expires >= entry.expires and {*entry.rules} <= {*each.rules})
        other = next(broader, None)
        if other is not None:
            found[number] = other
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
