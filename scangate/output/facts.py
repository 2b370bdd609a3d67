"""Counts and sentences that several renderers share: they say the same thing in the same words."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from scangate.models import (
    Action,
    Analysed,
    DecidedShortfall,
    Dependency,
    Finding,
    LockfileVerdict,
    Mode,
    OutcomeAction,
    Status,
    SubjectVerdict,
    Verdict,
)

ItemVerdict = SubjectVerdict | LockfileVerdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
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


def places(item: ItemVerdict) -> tuple[str, ...]:
    """ "lockfile:line" of every entry, in order."""
    match item:
        case SubjectVerdict(subject=subject):
            return tuple(dict.fromkeys(f"{d.lockfile}:{d.line}" for d in subject.dependencies if d.lockfile))
        case LockfileVerdict(lockfile=lockfile):
            lines = sorted({fact.line for fact in lockfile.facts}) or [1]
            return tuple(f"{lockfile.path}:{line}" for line in lines)


def way_in(dependencies: Iterable[Dependency]) -> str:
    """How a package came in: its shortest known path, "axios@1.14.1 → plain-crypto-js@4.2.1"."""
    known = [d.path for d in dependencies if d.path]
    return " → ".join(min(known, key=lambda path: (len(path), path))) if known else ""


def by_weight(findings: Iterable[Finding]) -> list[Finding]:
    """Counting ones first, then by action and severity."""
    return sorted(findings, key=lambda f: (f.allowed is not None, _ACTIONS.index(f.action), f.rule))


def shortfall_counts(verdict: Verdict, action: OutcomeAction) -> Counter[str]:
    return Counter(str(s.shortfall.code) for s in all_shortfalls(verdict) if s.action is action)


def all_shortfalls(verdict: Verdict) -> Iterator[DecidedShortfall]:
    for item in items(verdict):
        yield from item.shortfalls


def headline(verdict: Verdict) -> str:
    """The sentence that tells malware from outage."""
    count = counts(verdict)
    number = count.packages
    match verdict.status:
        case Status.BLOCKED:
            blocked = sum(item.status is Status.BLOCKED for item in items(verdict))
            text = f"the policy denies {blocked} of {_many(number, 'package')}: behaviour was found, do not merge."
        case Status.INCOMPLETE:
            without = sum(item.status is Status.INCOMPLETE for item in items(verdict))
            text = (
                f"no verdict for {without} of {_many(number, 'package')}: "
                "an outage, a limit or a gap, not a finding of malware."
            )
        case Status.WARNED:
            text = f"{_many(number, 'package')} checked, nothing denied, with warnings."
        case Status.PASSED:
            text = f"{_many(number, 'package')} checked, nothing found."
    if verdict.mode is Mode.OBSERVE:
        text += " Mode observe: reported only, the exit code is 0."
    return text


WORD = {
    Status.BLOCKED: "BLOCKED",
    Status.INCOMPLETE: "INCOMPLETE",
    Status.WARNED: "PASSED with warnings",
    Status.PASSED: "PASSED",
}


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


_ACTIONS = (Action.DENY, Action.WARN, Action.NOTE)
