"""Runs the tests of a policy: what does it find in each, and is that what the test expects?"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import assert_never

from scangate.models.verdict import Finding, Subject, SubjectVerdict
from scangate.policy.cases import Case, Everything, ExpectedFinding, OneRule
from scangate.policy.decision import decide
from scangate.policy.model import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """`problems`: what differs from the test's expectation, one sentence each; empty where the test passed."""

    case: Case
    problems: tuple[str, ...]


def run(cases: Sequence[Case], policy: Policy, *, today: date) -> tuple[Result, ...]:
    """One result a case, in their order. A report's case must have got its results before."""
    by_day: dict[date, dict[str, Case]] = defaultdict(dict)
    for number, case in enumerate(cases):
        day = case.expected.today if isinstance(case.expected, Everything) else None
        by_day[day or today][f"{number:06}"] = case
    found: dict[str, SubjectVerdict] = {}
    for day, of_day in by_day.items():
        found |= _decided(of_day, policy, day)
    return tuple(
        Result(case=case, problems=_problems(case, found[f"{number:06}"])) for number, case in enumerate(cases)
    )


def unknown_rules(cases: Sequence[Case], policy: Policy) -> tuple[tuple[Case, str], ...]:
    """Rules that tests name and the policy does not have: such a test would hold for ever."""
    known = {rule.id for rule in policy.rules}
    return tuple((case, rule) for case in cases for rule in _named(case) if rule not in known)


def _named(case: Case) -> tuple[str, ...]:
    match case.expected:
        case OneRule(rule=rule):
            return (rule,)
        case Everything(findings=findings):
            return tuple(dict.fromkeys(each.rule for each in findings))
        case _:
            assert_never(case.expected)


def _decided(cases: Mapping[str, Case], policy: Policy, today: date) -> Mapping[str, SubjectVerdict]:
    # Many tests are about the same package: each gets a key of its own, which no rule and no exception looks at.
    subjects: list[Subject] = [case.subject._replace(key=key) for key, case in cases.items()]
    verdict = decide(subjects, (), policy, today=today, analyser="tests", elapsed_seconds=0.0)
    return {each.subject.key: each for each in verdict.subjects}


def _problems(case: Case, verdict: SubjectVerdict) -> tuple[str, ...]:
    rules = list(dict.fromkeys(finding.rule for finding in verdict.findings))
    match case.expected:
        case OneRule(rule=rule, matches=matches):
            if (rule in rules) is matches:
                return ()
            others = f" (found: {', '.join(rules) or 'nothing'})" if matches else ""
            return (f"{rule} {'does not match' if matches else 'matches'}{others}.",)
        case Everything(findings=expected, verdict=status):
            wrong = _compared(expected, verdict.findings)
            if status is not None and verdict.status is not status:
                why = ", ".join(f"{each.shortfall.code}: {each.action}" for each in verdict.shortfalls)
                wrong.append(f"the verdict is {verdict.status}{f' ({why})' if why else ''}, expected {status}.")
            return tuple(wrong)
        case _:
            assert_never(case.expected)


def _compared(expected: Sequence[ExpectedFinding], found: Sequence[Finding]) -> list[str]:
    wanted = {each.rule for each in expected}
    wrong = [f"{rule} was not found." for rule in sorted(wanted - {each.rule for each in found})]
    wrong += [f"{rule} was found." for rule in sorted({each.rule for each in found} - wanted)]
    for each in expected:
        for finding in found:
            if finding.rule != each.rule:
                continue
            if each.action is not None and finding.action != each.action:
                wrong.append(f"{each.rule} is {finding.action} ({finding.decided_by}), expected {each.action}.")
            if each.allowed is not None and (finding.allowed is not None) is not each.allowed:
                by = f"allowed by {finding.allowed.where}" if finding.allowed else "not allowed"
                wrong.append(f"{each.rule} is {by}.")
    return wrong
