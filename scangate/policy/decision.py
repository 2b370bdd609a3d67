"""Findings and shortfalls → the verdict. Fail closed: what nothing speaks for is never passed."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from typing import assert_never

from scangate.errors import ExitCode, PurlError
from scangate.models import (
    Action,
    Allowed,
    Analysed,
    DecidedShortfall,
    Engine,
    Finding,
    Lockfile,
    LockfileVerdict,
    Mode,
    OutcomeAction,
    OutcomeCode,
    PolicyNotice,
    Shortfall,
    Status,
    Subject,
    SubjectVerdict,
    Verdict,
)
from scangate.policy.matcher import Matcher
from scangate.policy.model import AllowEntry, Policy
from scangate.purls import Purl, parse

_WEIGHT = (Status.PASSED, Status.WARNED, Status.INCOMPLETE, Status.BLOCKED)


def decide(
    subjects: Sequence[Subject],
    lockfiles: Sequence[Lockfile],
    policy: Policy,
    *,
    today: date,
    analyser: str,
    elapsed_seconds: float,
) -> Verdict:
    """Apply the policy to all that is known. Sorted: the same input gives the same verdict.

    Nothing at all to decide on (no package, no lockfile) is incomplete.
    """
    matcher = Matcher(policy.rules)
    exceptions = _Exceptions(policy.allow, today)
    of_subjects = tuple(
        _judge_subject(subject, matcher, exceptions, policy) for subject in sorted(subjects, key=lambda each: each.key)
    )
    of_lockfiles = tuple(
        _judge_lockfile(lockfile, matcher, policy) for lockfile in sorted(lockfiles, key=lambda each: each.path)
    )
    notices = exceptions.notices()
    statuses = [each.status for each in of_subjects] + [each.status for each in of_lockfiles]
    if not statuses:
        message = "There was no package and no lockfile to decide on."
        notices = (PolicyNotice(code="nothing-decided", message=message, where=policy.where), *notices)
    return Verdict(
        status=max(statuses, key=_WEIGHT.index, default=Status.INCOMPLETE),
        mode=policy.mode,
        subjects=of_subjects,
        lockfiles=of_lockfiles,
        notices=notices,
        policy=policy.where,
        analyser=analyser,
        elapsed_seconds=elapsed_seconds,
    )


def exit_code(verdict: Verdict) -> ExitCode:
    """What the process ends with; 0 whatever was found where the policy only observes."""
    if verdict.mode is Mode.OBSERVE:
        return ExitCode.PASS
    match verdict.status:
        case Status.PASSED | Status.WARNED:
            return ExitCode.PASS
        case Status.INCOMPLETE:
            return ExitCode.INCOMPLETE
        case Status.BLOCKED:
            return ExitCode.BLOCKED
        case _:
            assert_never(verdict.status)


def _judge_subject(subject: Subject, matcher: Matcher, exceptions: "_Exceptions", policy: Policy) -> SubjectVerdict:
    findings = tuple(exceptions.applied(subject, finding) for finding in matcher.findings(subject))
    shortfalls = _decided(_shortfalls(subject), policy)
    return SubjectVerdict(
        subject=subject, status=_status(findings, shortfalls), findings=findings, shortfalls=shortfalls
    )


def _judge_lockfile(lockfile: Lockfile, matcher: Matcher, policy: Policy) -> LockfileVerdict:
    missing = [] if lockfile.supported or lockfile.unchanged else [_unsupported(lockfile)]
    findings, shortfalls = matcher.lockfile_findings(lockfile), _decided(missing, policy)
    return LockfileVerdict(
        lockfile=lockfile, status=_status(findings, shortfalls), findings=findings, shortfalls=shortfalls
    )


def _unsupported(lockfile: Lockfile) -> Shortfall:
    detail = f"scangate cannot read lockfiles of the format {lockfile.format} yet."
    return Shortfall(code=OutcomeCode.UNSUPPORTED_LOCKFILE, detail=detail)


def _shortfalls(subject: Subject) -> Iterable[Shortfall]:
    if not subject.results:
        yield Shortfall(code=OutcomeCode.REPORT_MISSING, detail="Nothing was asked about this package.")
    for result in subject.results:
        match result:
            case Shortfall():
                yield result
            case Analysed(engine=Engine.DYNAMIC_ANALYSIS, observations=(), shortfalls=()):
                # A sandbox always shows at least its own command. LastPyMile may well have nothing to say.
                detail = "The analysis shows nothing at all, not even its own commands."
                yield Shortfall(
                    code=OutcomeCode.BLIND, detail=detail, engine=Engine.DYNAMIC_ANALYSIS, task_id=result.task_id
                )
            case Analysed():
                yield from result.shortfalls
            case _:
                assert_never(result)


def _decided(shortfalls: Iterable[Shortfall], policy: Policy) -> tuple[DecidedShortfall, ...]:
    found = []
    for shortfall in sorted(set(shortfalls), key=_shortfall_order):
        outcome = policy.outcomes[shortfall.code]
        found.append(DecidedShortfall(shortfall=shortfall, action=outcome.action, decided_by=outcome.by))
    return tuple(found)


def _shortfall_order(shortfall: Shortfall) -> tuple[str, str, str, int, str]:
    return (
        shortfall.code,
        shortfall.engine or "",
        shortfall.phase or "",
        -1 if shortfall.task_id is None else shortfall.task_id,
        shortfall.detail,
    )


def _status(findings: Iterable[Finding], shortfalls: Iterable[DecidedShortfall]) -> Status:
    actions = {finding.action for finding in findings if finding.allowed is None}
    outcomes = {shortfall.action for shortfall in shortfalls}
    if Action.DENY in actions:
        return Status.BLOCKED
    if OutcomeAction.FAIL in outcomes:
        return Status.INCOMPLETE
    return Status.WARNED if Action.WARN in actions or OutcomeAction.WARN in outcomes else Status.PASSED


class _Exceptions:
    """The allow entries during one decision: which findings they silence, and which of them silenced none."""

    def __init__(self, entries: Sequence[AllowEntry], today: date) -> None:
        self._expired = tuple(entry for entry in entries if today >= entry.expires)
        self._valid = tuple(entry for entry in entries if today < entry.expires)
        self._used: set[AllowEntry] = set()

    def applied(self, subject: Subject, finding: Finding) -> Finding:
        """The finding, silenced by the first entry for its package and rule; every such entry counts as used."""
        entries = [entry for entry in self._valid if finding.rule in entry.rules and _is_for(entry, subject)]
        if not entries:
            return finding
        self._used.update(entries)
        first = entries[0]
        return replace(finding, allowed=Allowed(reason=first.reason, expires=first.expires, where=first.place))

    def notices(self) -> tuple[PolicyNotice, ...]:
        """Expired entries, then unused ones, each in the order of the file."""
        expired = (
            PolicyNotice(
                code="allow-expired",
                message=f"The exception for {entry.package} ({', '.join(entry.rules)}) ended on {entry.expires}.",
                where=entry.place,
            )
            for entry in self._expired
        )
        unused = (
            PolicyNotice(
                code="allow-unused",
                message=f"The exception for {entry.package} ({', '.join(entry.rules)}) silenced nothing in this run.",
                where=entry.place,
            )
            for entry in self._valid
            if entry not in self._used
        )
        return (*expired, *unused)


def _is_for(entry: AllowEntry, subject: Subject) -> bool:
    if entry.purl is not None:
        purl = _purl(subject)
        return purl is not None and entry.purl == (replace(purl, version=None) if entry.every_version else purl)
    if subject.purl is not None:
        return False
    # By the parts, not by the key's text: a name may hold an "@".
    kind = subject.key.partition(":")[0]
    return (
        entry.package == f"{kind}:{subject.ecosystem}/{subject.name}@*"
        if entry.every_version
        else entry.package == subject.key
    )


def _purl(subject: Subject) -> Purl | None:
    if subject.purl is None:
        return None
    try:
        return parse(subject.purl)
    except PurlError:
        return None  # then no entry is for it
