"""Settings by which less is looked at than the built-in policy does: every verdict names them, by file and line."""

import pytest

from scangate.models.analysis import Phase
from scangate.models.observations import HostContacted
from scangate.models.verdict import Action, Decider, PolicyNotice, Status, Verdict
from scangate.policy.model import Policy
from tests.policy.kit import package, policy, verdict

BAN = "rules: [{id: our-ban, title: T, severity: high, observe: package, packages: pkg:npm/other}]\n"


def narrowed(decided: Verdict) -> list[PolicyNotice]:
    return [notice for notice in decided.notices if notice.code == "narrowed"]


def said(of: Policy) -> list[tuple[str, str]]:
    return [(notice.where, notice.message) for notice in narrowed(verdict(of, package(observations=[]), narrowed=True))]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"extends: none\n{BAN}", "The built-in rules do not hold (extends)."),
        ("mode: observe\n", "The run passes, whatever the verdict is (mode)."),
        ("engines: lastpymile\n", "Packages are not analysed by dynamic-analysis (engines)."),
        ("max-report-age: 91\n", "Reports are believed for 91 days instead of 90 (max-report-age)."),
        ('exclude: ["docs/**", x]\n', "Lockfiles are left out where they fit docs/**, x (exclude)."),
        (
            "registries: {mirrors: [b.example, a.example]}\n",
            "Packages from a.example, b.example are taken for the public registry's (registries).",
        ),
        (
            "registries: {private: [{host: npm.acme.example, names: ['@acme/*']}]}\n",
            "Packages from npm.acme.example are private and not analysed (registries).",
        ),
        (
            "exclude: [a, b, c, d, e, f, g]\n",
            "Lockfiles are left out where they fit a, b, c, d, e and 2 more (exclude).",
        ),
    ],
)
def test_each_is_named_with_its_line(text: str, message: str) -> None:
    assert said(policy(text)) == [("scangate.yml:2", message)]


@pytest.mark.parametrize("text", ["", "extends: default\n", "max-report-age: 30\n", "engines: [dynamic-analysis]\n"])
def test_what_narrows_nothing_is_not(text: str) -> None:
    assert said(policy(text)) == []


def test_malware_that_no_rule_is_left_for_does_not_pass_without_a_word() -> None:
    seen = package(observations=[HostContacted(phase=Phase.IMPORT, host="x.oast.fun", via=("dns",))])
    assert verdict(policy(""), seen).status is Status.BLOCKED
    decided = verdict(policy(f"extends: none\n{BAN}"), seen, narrowed=True)
    (notice,) = narrowed(decided)
    assert (decided.status, notice.action, notice.decided_by.decider) == (Status.PASSED, Action.NOTE, Decider.DEFAULT)


def test_what_the_lint_says_it_does() -> None:
    decided = verdict(policy("exclude: docs\nlints: {narrowed: deny}\n"), package(observations=[]), narrowed=True)
    (notice,) = narrowed(decided)
    assert (decided.status, notice.action, notice.decided_by.where) == (Status.BLOCKED, Action.DENY, "scangate.yml:3")


def test_it_is_inherited_with_the_place_of_the_file_that_said_so() -> None:
    org = f"extends: none\nengines: lastpymile\nexclude: [vendor]\n{BAN}"
    assert [where for where, _ in said(policy("extends: org.yml\nexclude: docs\n", org=org))] == [
        "org.yml:2",
        "org.yml:3",
        "org.yml:4",
        "scangate.yml:3",
    ]


def test_what_the_extending_file_takes_back_is_not_named() -> None:
    org = "mode: observe\nengines: lastpymile\nmax-report-age: 365\n"
    mended = "extends: org.yml\nmode: enforce\nengines: [dynamic-analysis, lastpymile]\nmax-report-age: 90\n"
    assert said(policy(mended, org=org)) == []


def test_a_rule_s_new_severity_is_told_from_the_action_that_another_file_gives_it() -> None:
    """Milder is what the changed severity makes it: that line is named, not the one that says what `low` does."""
    changed = policy(
        "extends: org.yml\nmode: observe\nrules: [{id: net-oast, severity: low}]\n", org="actions: {low: note}\n"
    )
    rule = next(rule for rule in changed.rules if rule.id == "net-oast")
    assert (rule.decided.action, rule.decided.by.where) == (Action.NOTE, "scangate.yml:4")


def test_a_severity_s_new_action_is_told_from_the_severity_that_another_file_gives_a_rule() -> None:
    changed = policy("extends: org.yml\nactions: {medium: note}\n", org="rules: [{id: net-oast, severity: medium}]\n")
    rule = next(rule for rule in changed.rules if rule.id == "net-oast")
    assert (rule.decided.action, rule.decided.by.where) == (Action.NOTE, "scangate.yml:3")
