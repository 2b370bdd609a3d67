"""Every built-in rule matches what it is for, and spares what only looks like it: the product runs its own tests."""

from datetime import date

import pytest

from scangate.policy import cases, loader, trial
from scangate.policy.cases import Case, OneRule
from scangate.reports import dynamic

RULES = {rule.id: rule for rule in loader.default().rules}
TESTS = cases.built_in(classify=dynamic.classified)
FAILED = {
    result.case: result.problems
    for result in trial.run(TESTS, loader.default(), today=date(2026, 6, 15))
    if result.problems
}


def _expected(case: Case) -> OneRule:
    assert isinstance(case.expected, OneRule)
    return case.expected


@pytest.mark.parametrize("rule", sorted(RULES))
def test_every_rule_finds_what_it_is_for_and_spares_what_looks_like_it(rule: str) -> None:
    own = [case for case in TESTS if _expected(case).rule == rule]
    assert {_expected(case).matches for case in own} == {True, False}, f"write default-tests/{rule}.yml"
    assert not {case.where: FAILED[case] for case in own if case in FAILED}


def test_no_test_is_left_over_from_a_rule_that_is_gone() -> None:
    assert trial.unknown_rules(TESTS, loader.default()) == ()


@pytest.mark.parametrize("rule", sorted(RULES))
def test_a_rule_s_tests_stand_in_its_own_file(rule: str) -> None:
    assert cases.built_in(classify=dynamic.classified, rule=rule) == tuple(
        case for case in TESTS if _expected(case).rule == rule
    )


@pytest.mark.parametrize("rule", sorted(RULES))
def test_every_rule_says_what_it_means_and_what_to_do(rule: str) -> None:
    text = RULES[rule]
    assert text.title
    assert text.description.endswith((".", ")"))
    assert text.advice.endswith(".")
    assert not text.title.endswith(".")
