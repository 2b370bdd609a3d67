"""Findings and shortfalls → the verdict. Fail closed: what nothing speaks for is never passed."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import assert_never

from scangate.models.analysis import Analysed, Engine, OutcomeCode, Shortfall
from scangate.models.lockfile import Lockfile
from scangate.models.verdict import (
    Action,
    DecidedShortfall,
    Finding,
    LockfileVerdict,
    NoticeCode,
    OutcomeAction,
    PolicyNotice,
    Status,
    Subject,
    SubjectVerdict,
    Verdict,
)
from scangate.policy.exceptions import Exceptions, notice
from scangate.policy.matcher import Matcher
from scangate.policy.model import Lint, Policy
from scangate.policy.overrides import capped_for_lockfile, capped_for_package

_WEIGHT = (Status.PASSED, Status.WARNED, Status.INCOMPLETE, Status.BLOCKED)
_STATUS = {Action.DENY: Status.BLOCKED, Action.WARN: Status.WARNED, Action.NOTE: Status.PASSED}


def decide(
    subjects: Sequence[Subject],
    lockfiles: Sequence[Lockfile],
    policy: Policy,
    *,
    today: date,
    analyser: str,
    elapsed_seconds: float,
    found: Sequence[PolicyNotice] = (),
    whole: bool = False,
) -> Verdict:
    """Apply the policy to all that is known. Sorted: the same input gives the same verdict.

    Nothing at all to decide on (no package, no lockfile) is incomplete. `found`: notices from before the decision;
    they count like the policy's own. `whole`: these are all packages of the project, not only the new or the named
    ones; then an exception for none of them is unused.
    """
    matcher = Matcher(policy.rules)
    exceptions = Exceptions(policy, today)
    of_subjects = tuple(
        _judge_subject(subject, matcher, exceptions, policy) for subject in sorted(subjects, key=lambda each: each.key)
    )
    of_lockfiles = tuple(
        _judge_lockfile(lockfile, matcher, exceptions, policy)
        for lockfile in sorted(lockfiles, key=lambda each: each.path)
    )
    notices = (*found, *exceptions.notices(whole=whole), *standing_notices(policy))
    statuses = [each.status for each in of_subjects] + [each.status for each in of_lockfiles]
    if not statuses:
        message = "There was no package and no lockfile to decide on."
        nothing = PolicyNotice(code=NoticeCode.NOTHING_DECIDED, message=message, where=policy.where, action=Action.WARN)
        notices, statuses = (nothing, *notices), [Status.INCOMPLETE]
    statuses += [_STATUS[each.action] for each in notices]
    return Verdict(
        status=max(statuses, key=_WEIGHT.index),
        mode=policy.mode,
        subjects=of_subjects,
        lockfiles=of_lockfiles,
        notices=notices,
        policy=policy.where,
        analyser=analyser,
        elapsed_seconds=elapsed_seconds,
    )


def standing_notices(policy: Policy) -> Iterable[PolicyNotice]:
    """What is said of the policy in every verdict, whatever was found."""
    for override in policy.overrides:
        if override.install_phase:
            message = (
                f"Findings of the install phase do no more than {override.cap} here, on every machine that installs."
            )
            yield notice(policy, Lint.OVERRIDE_INSTALL_PHASE, message, override.place)
    for each in policy.narrowings:
        yield notice(policy, Lint.NARROWED, f"{each.message} ({each.key}).", each.place)


def _judge_subject(subject: Subject, matcher: Matcher, exceptions: Exceptions, policy: Policy) -> SubjectVerdict:
    capped = [capped_for_package(finding, subject, policy.overrides) for finding in matcher.findings(subject)]
    findings = exceptions.of_subject(subject, capped)
    shortfalls = _decided(_shortfalls(subject), policy)
    return SubjectVerdict(
        subject=subject, status=_status(findings, shortfalls), findings=findings, shortfalls=shortfalls
    )


def _judge_lockfile(lockfile: Lockfile, matcher: Matcher, exceptions: Exceptions, policy: Policy) -> LockfileVerdict:
    missing = [] if lockfile.supported or lockfile.unchanged else [_unsupported(lockfile)]
    found = matcher.lockfile_findings(lockfile)
    capped = [capped_for_lockfile(finding, lockfile, policy.overrides) for finding in found]
    findings, shortfalls = exceptions.of_lockfile(lockfile, capped), _decided(missing, policy)
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
