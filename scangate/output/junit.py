"""JUnit's XML, as GitLab, Jenkins, Azure DevOps and Buildkite read it: a suite a lockfile, a test case a package.

Blocked is a failure, no verdict an error, what the policy excuses from analysis is skipped. There is no standard; the
strictest schema in use is Jenkins' (junit-10.xsd of its xunit plugin).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import assert_never

from scangate.models.analysis import Analysed
from scangate.models.verdict import Action, Finding, LockfileVerdict, PolicyNotice, Status, SubjectVerdict, Verdict
from scangate.output import escape, facts
from scangate.output.advice import meaning_of
from scangate.output.base import Tree
from scangate.output.evidence import describe

MAX_SHOWN = 20
MAX_TEXT = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """A test case, unescaped. `result` is the element that says how it ended; empty where it passed."""

    name: str
    result: str
    message: str
    lines: tuple[str, ...]


def render(verdict: Verdict, *, tree: Tree) -> str:
    """One XML document, ending with a newline. Names of suites are paths from the repository's root."""
    suites = [(tree.path(path) if path else "packages", cases) for path, cases in _by_lockfile(verdict, tree).items()]
    suites.append(("policy", [_notice(notice) for notice in verdict.notices]))
    cases = [case for _, found in suites for case in found]
    properties = list(_properties(verdict, tree))
    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    lines.append(f'<testsuites {_attributes("scangate", cases)} time="{verdict.elapsed_seconds:.3f}">')
    lines += [line for name, found in suites if found for line in _suite(name, found, properties)]
    return "".join(f"{line}\n" for line in (*lines, "</testsuites>"))


def _by_lockfile(verdict: Verdict, tree: Tree) -> dict[str, list[_Case]]:
    """Each lockfile with itself and its packages; what no lockfile names stands under ""."""
    suites: dict[str, list[_Case]] = {item.lockfile.path: [_case(item, tree)] for item in verdict.lockfiles}
    for item in verdict.subjects:
        case = _case(item, tree)
        for path in dict.fromkeys(path for path, _ in facts.locations(item) or [("", 1)]):
            suites.setdefault(path, []).append(case)
    return suites


def _case(item: facts.ItemVerdict, tree: Tree) -> _Case:
    lines = _first([f"in {tree.place(*place)}" for place in facts.locations(item)]) + facts.history(item)
    for finding in facts.by_weight(item.findings):
        lines += _finding(finding)
    for decided in item.shortfalls:
        meaning, advice = meaning_of(decided.shortfall.code, [decided.decided_by])
        lines.append(f"{decided.shortfall.code} ({decided.action} by {decided.decided_by}): {meaning}")
        lines += [f"  {decided.shortfall.detail}"] if decided.shortfall.detail else []
        lines.append(f"  now: {advice}")
    return _Case(name=facts.title(item), result=_result(item), message=_message(item), lines=tuple(lines))


def _finding(finding: Finding) -> Iterator[str]:
    yield f"{finding.rule} ({facts.decision(finding)}): {finding.title}"
    yield from (f"  - {each}" for each in _first([describe(seen) for seen in finding.evidence]))
    if finding.allowed is not None:
        yield f"  allowed: {facts.allowance(finding.allowed)}"
    elif finding.advice:
        yield f"  now: {finding.advice}"


def _first(lines: Sequence[str]) -> list[str]:
    """As many as are shown, and how many more there are."""
    left = len(lines) - MAX_SHOWN
    return [*lines[:MAX_SHOWN], *([f"and {left} more"] if left > 0 else [])]


def _result(item: facts.ItemVerdict) -> str:
    match item.status:
        case Status.BLOCKED:
            return "failure"
        case Status.INCOMPLETE:
            return "error"
        case Status.WARNED | Status.PASSED:
            return "" if _was_looked_at(item) else "skipped"
        case _:
            assert_never(item.status)


def _was_looked_at(item: facts.ItemVerdict) -> bool:
    match item:
        case SubjectVerdict(subject=subject):
            return any(isinstance(result, Analysed) for result in subject.results)
        case LockfileVerdict(lockfile=lockfile):
            return lockfile.supported


def _message(item: facts.ItemVerdict) -> str:
    """What a list of failed tests shows: the gravest finding, else why there is no verdict."""
    counting = [finding for finding in facts.by_weight(item.findings) if finding.allowed is None]
    if item.status is Status.BLOCKED and counting:
        return f"blocked: {counting[0].title} ({counting[0].rule}: {facts.decision(counting[0])})"
    codes = ", ".join(dict.fromkeys(decided.shortfall.code for decided in item.shortfalls))
    return f"not analysed, or not wholly: {codes}" if codes else str(item.status)


def _notice(notice: PolicyNotice) -> _Case:
    return _Case(
        name=f"{notice.code} {notice.where}",
        result="failure" if notice.action is Action.DENY else "error" if facts.leaves_open(notice) else "",
        message=notice.message,
        lines=(f"{notice.message} ({notice.action} by {notice.decided_by})",),
    )


def _suite(name: str, cases: Sequence[_Case], properties: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield f"  <testsuite {_attributes(name, cases)}>"
    yield "    <properties>"
    yield from (f'      <property name="{key}" value="{_safe(value)}"/>' for key, value in properties)
    yield "    </properties>"
    for case in cases:
        yield f'    <testcase classname="{_safe(name)}" name="{_safe(case.name)}" time="0">'
        yield from _outcome(case)
        yield "    </testcase>"
    yield "  </testsuite>"


def _properties(verdict: Verdict, tree: Tree) -> Iterator[tuple[str, str]]:
    yield "verdict", f"{facts.WORD[verdict.status]}: {facts.headline(verdict)}"
    yield "summary", facts.summary(verdict)
    if verdict.compared is not None:
        yield "base", verdict.compared.why
    for change in _first(facts.scope_changes(verdict, tree)):
        yield "not new, for another use", change


def _attributes(name: str, cases: Sequence[_Case]) -> str:
    number = {result: sum(case.result == result for case in cases) for result in ("failure", "error", "skipped")}
    skipped = f' skipped="{number["skipped"]}"' if name != "scangate" else ""
    counts = f'failures="{number["failure"]}" errors="{number["error"]}"{skipped}'
    return f'name="{_safe(name)}" tests="{len(cases)}" {counts}'


def _outcome(case: _Case) -> Iterator[str]:
    body = "\n".join(_safe(line) for line in case.lines)
    if case.result:
        # A type of our own words: GitLab's reader takes some for the type of the content.
        yield f'      <{case.result} type="scangate" message="{_safe(case.message)}">{body}</{case.result}>'
    elif body:
        yield f"      <system-out>{body}</system-out>"


def _safe(text: str) -> str:
    return escape.xml(escape.shorten(text, MAX_TEXT))
