"""Counts and sentences that several renderers share: they say the same thing in the same words."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, assert_never

from scangate.models.analysis import Analysed, OutcomeCode
from scangate.models.changes import Change, ChangeKind
from scangate.models.lockfile import Dependency, LockFact
from scangate.models.verdict import (
    Action,
    Allowed,
    DecidedBy,
    DecidedShortfall,
    Finding,
    LockfileVerdict,
    Mode,
    NoticeCode,
    OutcomeAction,
    PolicyNotice,
    Severity,
    Status,
    Subject,
    SubjectVerdict,
    Verdict,
)
from scangate.output.base import Tree

ItemVerdict = SubjectVerdict | LockfileVerdict


class Counts(NamedTuple):
    """Of packages: `analysed` had at least one usable report; `not_analysed` had none."""

    packages: int
    analysed: int
    not_analysed: int
    blocked: int
    incomplete: int
    warned: int
    passed: int
    lockfiles: int


def counts(verdict: Verdict) -> Counts:
    by_status = Counter(item.status for item in verdict.subjects)
    analysed = sum(any(isinstance(r, Analysed) for r in item.subject.results) for item in verdict.subjects)
    return Counts(
        packages=len(verdict.subjects),
        analysed=analysed,
        not_analysed=len(verdict.subjects) - analysed,
        blocked=by_status[Status.BLOCKED],
        incomplete=by_status[Status.INCOMPLETE],
        warned=by_status[Status.WARNED],
        passed=by_status[Status.PASSED],
        lockfiles=len(verdict.lockfiles),
    )


def items(verdict: Verdict) -> Iterator[ItemVerdict]:
    yield from verdict.subjects
    yield from verdict.lockfiles


def title(item: ItemVerdict) -> str:
    return item.subject.key if isinstance(item, SubjectVerdict) else item.lockfile.path


Location = tuple[str, int]
"""A lockfile's path, relative to the working directory, and a line."""


def locations(item: ItemVerdict) -> tuple[Location, ...]:
    """Where every entry stands, in order; empty for a package that no lockfile named."""
    match item:
        case SubjectVerdict(subject=subject):
            return _locations(subject.dependencies)
        case LockfileVerdict(lockfile=lockfile):
            lines = sorted({fact.line for fact in lockfile.facts}) or [1]
            return tuple((lockfile.path, line) for line in lines)


def entries_of(subject: Subject, finding: Finding) -> Sequence[Dependency]:
    """The entries that a finding is about: all, or where lockfiles alone speak for it, those that show it."""
    shown = set(finding.evidence)
    if all(isinstance(each, LockFact) for each in shown):
        return [entry for entry in subject.dependencies if shown.intersection(entry.facts)] or subject.dependencies
    return subject.dependencies


def locations_of(item: ItemVerdict, finding: Finding) -> tuple[Location, ...]:
    """Where the entries, or the lines of a lockfile, stand that a finding is about."""
    match item:
        case SubjectVerdict(subject=subject):
            return _locations(entries_of(subject, finding))
        case LockfileVerdict(lockfile=lockfile):
            lines = sorted({each.line for each in finding.evidence if isinstance(each, LockFact)}) or [1]
            return tuple((lockfile.path, line) for line in lines)


def _locations(entries: Iterable[Dependency]) -> tuple[Location, ...]:
    return tuple(dict.fromkeys((entry.lockfile, entry.line) for entry in entries if entry.lockfile))


def places(found: Iterable[Location]) -> list[str]:
    """ "lockfile:line" of each."""
    return [f"{path}:{line}" for path, line in found]


_PLACE = r"(?s)(.+):(\d{1,9})"


def place_in_policy(where: str, tree: Tree) -> Location | None:
    """The file and line of "scangate.yml:12", as those of a lockfile; None for "default"."""
    found = re.fullmatch(_PLACE, where)
    return (tree.of_policy(found[1]), int(found[2])) if found else None


def decision(finding: Finding) -> str:
    """What was decided, how grave it is and by whom: "high, deny by default"."""
    return f"{finding.severity}, {finding.action} by {finding.decided_by}"


def allowance(allowed: Allowed) -> str:
    """Who allowed it, why and until when: "fetches its own binary (scangate.yml:12, by ann, until 2027-06-30)"."""
    owner = f", by {allowed.owner}" if allowed.owner else ""
    return f"{allowed.reason} ({allowed.where}{owner}, until {allowed.expires})"


class Gap(NamedTuple):
    """One reason for which something was not analysed, or not wholly, with all that it is true of.

    `subjects` are packages and lockfiles, `details` what was said of them, `deciders` who set the action.
    """

    code: OutcomeCode
    action: OutcomeAction
    subjects: tuple[str, ...]
    details: tuple[str, ...]
    deciders: tuple[DecidedBy, ...]
    locations: tuple[Location, ...]


def gaps(verdict: Verdict, action: OutcomeAction) -> list[Gap]:
    """What the policy gives `action` for, by reason."""
    found: dict[OutcomeCode, list[tuple[ItemVerdict, DecidedShortfall]]] = defaultdict(list)
    for item in items(verdict):
        for decided in item.shortfalls:
            if decided.action is action:
                found[decided.shortfall.code].append((item, decided))
    return [_gap(code, action, found[code]) for code in sorted(found)]


def _gap(code: OutcomeCode, action: OutcomeAction, group: list[tuple[ItemVerdict, DecidedShortfall]]) -> Gap:
    return Gap(
        code=code,
        action=action,
        subjects=tuple(dict.fromkeys(title(item) for item, _ in group)),
        details=tuple(dict.fromkeys(each.shortfall.detail for _, each in group if each.shortfall.detail)),
        deciders=tuple(dict.fromkeys(each.decided_by for _, each in group)),
        locations=tuple(dict.fromkeys(location for item, _ in group for location in locations(item)[:1])),
    )


def shortest_way(dependencies: Iterable[Dependency]) -> tuple[str, ...]:
    """How a package came in: its shortest known path, ("axios@1.14.1", "plain-crypto-js@4.2.1"); () if unknown."""
    return min((d.path for d in dependencies if d.path), key=lambda path: (len(path), path), default=())


def way_in(dependencies: Iterable[Dependency]) -> str:
    """The same as text: "axios@1.14.1 → plain-crypto-js@4.2.1"."""
    return " → ".join(shortest_way(dependencies))


def change(changes: Iterable[Change]) -> str:
    """What happened to a package since the base, each thing once: "upgraded from 1.14.0, added"."""
    return ", ".join(dict.fromkeys(_change(each) for each in changes))


def _change(change: Change) -> str:
    before = change.before
    match change.kind:
        case ChangeKind.ADDED:
            return "added"
        case ChangeKind.UPGRADED | ChangeKind.DOWNGRADED | ChangeKind.CHANGED:
            return f"{change.kind} from {before.version}" if before and before.version else str(change.kind)
        case ChangeKind.INTEGRITY:
            return "other content under the same version"
        case ChangeKind.DIGESTS:
            return "other digests"
        case ChangeKind.SOURCE:
            return f"from another place {_than(before, change.dependency)}" if before else "moved"
        case ChangeKind.FACTS:
            return "the lockfile shows something new of it"
        case ChangeKind.SCOPE:
            return f"now {change.dependency.scope}" + (f", was {before.scope}" if before else "")
        case _:
            assert_never(change.kind)


def _than(before: Dependency, now: Dependency) -> str:
    if before.source == now.source and before.source_id != now.source_id:
        return "(its URL, or that of its index, differs in what is not shown)"
    return f"than {before.source or before.registry or before.kind}"


def history(item: ItemVerdict) -> list[str]:
    """What happened to a package since the base, and how it came in, a line each; nothing where nobody knows."""
    if not isinstance(item, SubjectVerdict):
        return []
    changed, way = change(item.subject.changes), way_in(item.subject.dependencies)
    return [*([changed] if changed else []), *([f"by {way}"] if way else [])]


def scope_changes(verdict: Verdict, tree: Tree | None = None) -> list[str]:
    """Packages that are not new and have another use now, a line each; `tree` says where paths start."""
    found = ((change([each]), each.dependency) for each in verdict.scope_changes)
    return [
        f"{entry.name}@{entry.version} {what} ({(tree or Tree()).place(entry.lockfile, entry.line)})"
        for what, entry in found
    ]


def summary(verdict: Verdict) -> str:
    """What was looked at, by which policy and whose analysis, in one sentence."""
    count = counts(verdict)
    parts = [
        _many(count.lockfiles, "lockfile"),
        _many(count.packages, "package"),
        f"{count.analysed} analysed",
        f"{count.not_analysed} not analysed",
        f"{count.blocked} blocked",
    ]
    mode = ", mode observe" if verdict.mode is Mode.OBSERVE else ""
    source = f", analysis by {verdict.analyser}" if verdict.analyser else ""
    return f"{', '.join(parts)}. Policy: {verdict.policy}{mode}{source}, {verdict.elapsed_seconds:.0f} s."


def by_weight(findings: Iterable[Finding]) -> list[Finding]:
    """Counting ones first, then by action and severity."""
    return sorted(findings, key=lambda finding: (*_weight(finding), finding.rule))


def findings(verdict: Verdict) -> list[tuple[ItemVerdict, Finding]]:
    """All of the run, the weightiest first: where there is no room for all, these are the ones to show."""
    found = ((item, finding) for item in items(verdict) for finding in by_weight(item.findings))
    return sorted(found, key=lambda pair: _weight(pair[1]))


def _weight(finding: Finding) -> tuple[bool, int, int]:
    return finding.allowed is not None, _ACTIONS.index(finding.action), _SEVERITIES.index(finding.severity)


def leaves_open(notice: PolicyNotice) -> bool:
    """Whether there is no verdict because of it."""
    return notice.code is NoticeCode.NOTHING_DECIDED


def headline(verdict: Verdict) -> str:
    """The sentence that tells malware from outage."""
    checked = _many(len(verdict.subjects), "package")
    is_empty = not verdict.lockfiles and not verdict.subjects and verdict.compared is not None
    match verdict.status:
        case Status.WARNED | Status.PASSED if is_empty:
            text = "there is no lockfile, so nothing is checked."
        case Status.BLOCKED:
            text = f"the policy denies {_affected(verdict)}. Do not merge: this is a finding, not an outage."
        case Status.INCOMPLETE:
            text = f"no verdict for {_affected(verdict)}: an outage, a limit or a gap, not a finding of malware."
        case Status.WARNED:
            text = f"{checked} checked, nothing denied."
        case Status.PASSED if not verdict.subjects and verdict.compared is not None:
            is_clean = verdict.compared.is_head and all(one.lockfile.unchanged for one in verdict.lockfiles)
            text = f"nothing new: {'no lockfile differs from HEAD' if is_clean else 'the base has all of it'}."
        case Status.PASSED:
            text = f"{checked} checked, nothing found."
    if verdict.mode is Mode.OBSERVE:
        text += " Mode observe: reported only, the exit code is 0."
    return text


def _affected(verdict: Verdict) -> str:
    """ "2 of 14 packages and 1 lockfile": what has the status of the whole run."""
    packages = sum(item.status is verdict.status for item in verdict.subjects)
    lockfiles = sum(item.status is verdict.status for item in verdict.lockfiles)
    parts = []
    if packages:
        parts.append(f"{packages} of {_many(len(verdict.subjects), 'package')}")
    if lockfiles:
        parts.append(_many(lockfiles, "lockfile"))
    if verdict.status is Status.BLOCKED and any(notice.action is Action.DENY for notice in verdict.notices):
        parts.append("an entry of its own")
    return " and ".join(parts) or "this run"


WORD = {
    Status.BLOCKED: "BLOCKED",
    Status.INCOMPLETE: "INCOMPLETE",
    Status.WARNED: "PASSED with warnings",
    Status.PASSED: "PASSED",
}


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


_ACTIONS, _SEVERITIES = tuple(Action), tuple(Severity)
