"""Findings and shortfalls make the verdict, and nothing that is missing makes a pass."""

from datetime import date, timedelta

import pytest

from scangate.errors import ExitCode
from scangate.models.analysis import Analysed, Engine, OutcomeCode, Phase, Shortfall
from scangate.models.lockfile import Kind, LockFact, Lockfile
from scangate.models.observations import BaitSeen, CommandRun, FileTouched, HostContacted, Observation
from scangate.models.verdict import BUILT_IN, Mode, OutcomeAction, Status, Subject, Verdict
from scangate.policy.exit_codes import exit_code
from scangate.policy.model import Policy
from tests.policy.kit import TODAY, other_package, package, policy, verdict

RULES = """\
extends: none
rules:
- {id: talks, title: T, severity: high, observe: host}
- {id: runs, title: R, severity: medium, observe: command, match: {argv0: '^id$'}}
- {id: looks, title: L, severity: low, observe: file}
- {id: mixed, title: M, severity: high, observe: lockfile, match: {check: confusion}}
"""
HOST = HostContacted(phase=Phase.INSTALL, host="a.example", via=("dns",))
ID = CommandRun(phase=Phase.INSTALL, argv=("id",))
QUIET = CommandRun(phase=Phase.INSTALL, argv=("true",))
FILE = FileTouched(phase=Phase.INSTALL, path="/a", read=True, write=False, delete=False)


def small(more: str = "") -> Policy:
    return policy(RULES + more)


def pending(detail: str = "") -> Shortfall:
    return Shortfall(code=OutcomeCode.PENDING, detail=detail, engine=Engine.DYNAMIC_ANALYSIS)


@pytest.mark.parametrize(
    ("observations", "codes", "status", "code"),
    [
        ([QUIET], [], Status.PASSED, 0),
        ([FILE], [], Status.PASSED, 0),
        ([ID], [], Status.WARNED, 0),
        ([QUIET], [OutcomeCode.STALE], Status.WARNED, 0),
        ([QUIET], [OutcomeCode.LOCAL], Status.PASSED, 0),
        ([QUIET], [OutcomeCode.BLIND], Status.INCOMPLETE, 3),
        ([ID], [OutcomeCode.STALE, OutcomeCode.BLIND], Status.INCOMPLETE, 3),
        ([HOST, ID, FILE], [], Status.BLOCKED, 1),
        ([HOST], [OutcomeCode.BLIND], Status.BLOCKED, 1),
    ],
)
def test_the_heaviest_decides(
    observations: list[Observation], codes: list[OutcomeCode], status: Status, code: int
) -> None:
    shortfalls = tuple(Shortfall(code=each, engine=Engine.DYNAMIC_ANALYSIS) for each in codes)
    result = Analysed(engine=Engine.DYNAMIC_ANALYSIS, observations=tuple(observations), shortfalls=shortfalls)
    decided = verdict(small(), package(results=[result]))
    assert (decided.status, decided.subjects[0].status, exit_code(decided)) == (status, status, code)
    observed = verdict(small("mode: observe\n"), package(results=[result]))
    assert (observed.status, observed.mode, exit_code(observed)) == (status, Mode.OBSERVE, ExitCode.PASS)


def test_the_whole_run_is_as_bad_as_its_worst_part() -> None:
    clean, blocked = package("a", observations=[QUIET]), package("b", observations=[HOST])
    unknown = package("c", results=[pending()])
    assert verdict(small(), clean, unknown).status is Status.INCOMPLETE
    assert verdict(small(), unknown, clean, blocked).status is Status.BLOCKED
    unsupported = Lockfile(path="yarn.lock", format="yarn", supported=False)
    assert verdict(small(), clean, lockfiles=[unsupported]).status is Status.INCOMPLETE


@pytest.mark.parametrize("code", list(OutcomeCode))
@pytest.mark.parametrize("action", list(OutcomeAction))
def test_the_policy_decides_on_every_outcome(code: OutcomeCode, action: OutcomeAction) -> None:
    decided = verdict(small(f"outcomes: {{{code}: {action}}}\n"), package(results=[Shortfall(code=code)]))
    (shortfall,) = decided.subjects[0].shortfalls
    assert (shortfall.shortfall.code, shortfall.action, str(shortfall.decided_by)) == (code, action, "scangate.yml:8")
    expected = {"fail": Status.INCOMPLETE, "warn": Status.WARNED, "note": Status.PASSED}
    assert decided.status is expected[action]


@pytest.mark.parametrize("code", list(OutcomeCode))
def test_what_was_not_analysed_is_never_silent(code: OutcomeCode) -> None:
    (shortfall,) = verdict(small(), package(results=[Shortfall(code=code)])).subjects[0].shortfalls
    assert shortfall.shortfall.code is code
    assert shortfall.decided_by == BUILT_IN


# ------------------------------------------------------------------------------------------ nothing at all


def test_nothing_to_decide_on_is_no_pass() -> None:
    decided = verdict(small())
    assert (decided.status, exit_code(decided)) == (Status.INCOMPLETE, ExitCode.INCOMPLETE)
    assert [notice.code for notice in decided.notices] == ["nothing-decided"]


def test_a_lockfile_without_dependencies_passes() -> None:
    decided = verdict(small(), lockfiles=[Lockfile(path="package-lock.json", format="npm-package-lock")])
    assert (decided.status, decided.lockfiles[0].status) == (Status.PASSED, Status.PASSED)


def test_a_package_without_any_result_is_no_pass() -> None:
    decided = verdict(small(), package(results=[]))
    assert [each.shortfall.code for each in decided.subjects[0].shortfalls] == [OutcomeCode.REPORT_MISSING]
    assert decided.status is Status.INCOMPLETE


def test_an_analysis_that_shows_nothing_is_blind() -> None:
    result = Analysed(engine=Engine.DYNAMIC_ANALYSIS, observations=(), task_id=7)
    (shortfall,) = verdict(small(), package(results=[result])).subjects[0].shortfalls
    assert (shortfall.shortfall.code, shortfall.shortfall.task_id) == (OutcomeCode.BLIND, 7)
    assert shortfall.action is OutcomeAction.FAIL


def test_lastpymile_may_have_nothing_to_say() -> None:
    """A release that is wholly in its repository has no hit."""
    assert verdict(small(), package(engine=Engine.LASTPYMILE)).status is Status.PASSED


def test_a_lockfile_that_cannot_be_read_yet_is_a_shortfall() -> None:
    decided = verdict(small(), lockfiles=[Lockfile(path="yarn.lock", format="yarn", supported=False)])
    (shortfall,) = decided.lockfiles[0].shortfalls
    assert (shortfall.shortfall.code, shortfall.action) == (OutcomeCode.UNSUPPORTED_LOCKFILE, OutcomeAction.FAIL)
    assert "yarn" in shortfall.shortfall.detail
    excused = small("outcomes: {unsupported-lockfile: note}\n")
    assert verdict(excused, lockfiles=[decided.lockfiles[0].lockfile]).status is Status.PASSED


def test_a_fact_of_a_lockfile_can_deny() -> None:
    facts = (LockFact(check="confusion", detail="…"),)
    decided = verdict(small(), lockfiles=[Lockfile(path="requirements.txt", format="requirements", facts=facts)])
    assert (decided.status, decided.lockfiles[0].status) == (Status.BLOCKED, Status.BLOCKED)
    assert [each.rule for each in decided.lockfiles[0].findings] == ["mixed"]


# ---------------------------------------------------------------------------------------------- exceptions


def allowing(to: str, rules: str = "talks", expires: date = TODAY + timedelta(days=1), more: str = "") -> Policy:
    """With an entry in line 10, of which only `allow-broad` is not worth a warning."""
    entry = f"{{package: '{to}', rules: [{rules}], reason: It may., owner: o, expires: {expires}}}"
    return small(f"lints: {{allow-broad: note}}\nallow:\n- {entry}\n{more}")


def said(decided: Verdict) -> list[tuple[str, str, str]]:
    """What is said of the policy's own entries, but for those that are for every version."""
    return [(each.code, each.action, each.where) for each in decided.notices if each.code != "allow-broad"]


def blocked() -> Subject:
    return package(observations=[HOST])


@pytest.mark.parametrize("to", ["pkg:npm/left-pad@1.3.0", "pkg:npm/left-pad@*", "pkg:npm/left%2Dpad@1.3.0"])
def test_an_exception_silences_and_shows_itself(to: str) -> None:
    decided = verdict(allowing(to), blocked())
    (finding,) = decided.subjects[0].findings
    assert finding.allowed is not None
    assert (finding.allowed.reason, finding.allowed.owner) == ("It may.", "o")
    assert (finding.allowed.expires, finding.allowed.where) == (TODAY + timedelta(days=1), "scangate.yml:10")
    assert (decided.status, said(decided)) == (Status.PASSED, [])


@pytest.mark.parametrize(
    "to",
    [
        "pkg:npm/left-pad@1.3.1",
        "pkg:npm/left-pad@1.3",
        "pkg:npm/Left-pad@*",
        "pkg:npm/%40left-pad/left-pad@*",
        "pkg:pypi/left-pad@1.3.0",
        "pkg:npm/left-pad@1.3.0?repository_url=https://npm.example",
        "registry:npm/left-pad@1.3.0",
    ],
)
def test_an_exception_is_for_nothing_else(to: str) -> None:
    decided = verdict(allowing(to), blocked())
    assert decided.status is Status.BLOCKED
    assert said(decided) == [("allow-unused", "warn", "scangate.yml:10")]
    assert to in decided.notices[0].message


def test_an_exception_is_for_its_rules_alone() -> None:
    decided = verdict(allowing("pkg:npm/left-pad@*", "runs, looks"), package(observations=[HOST, ID, FILE]))
    assert {each.rule: each.allowed is not None for each in decided.subjects[0].findings} == {
        "talks": False,
        "runs": True,
        "looks": True,
    }
    assert decided.status is Status.BLOCKED


def test_an_exception_ends_on_its_day() -> None:
    day_before = verdict(allowing("pkg:npm/left-pad@*", expires=TODAY), blocked(), today=TODAY - timedelta(days=1))
    assert (day_before.status, said(day_before)) == (Status.PASSED, [])
    on_the_day = verdict(allowing("pkg:npm/left-pad@*", expires=TODAY), blocked())
    assert on_the_day.status is Status.BLOCKED
    assert said(on_the_day) == [("allow-expired", "warn", "scangate.yml:10")]
    (notice,) = on_the_day.notices
    assert "pkg:npm/left-pad@*" in notice.message
    assert str(TODAY) in notice.message


def test_an_exception_for_a_package_without_purl() -> None:
    fact = LockFact(check="confusion", detail="…")
    private = other_package(Kind.PRIVATE_REGISTRY, "@acme/ui", "1.0.0", facts=(fact,))
    no_outcome = "outcomes: {report-missing: note}\n"
    for to in ("private-registry:npm/@acme/ui@1.0.0", "private-registry:npm/@acme/ui@*"):
        assert verdict(allowing(to, "mixed", more=no_outcome), private).status is Status.PASSED
    for to in (
        "private-registry:npm/@acme/ui@1.0.1",
        "git:npm/@acme/ui@*",
        "private-registry:npm/@acme/u@*",
        "pkg:npm/%40acme/ui@1.0.0",
    ):
        assert verdict(allowing(to, "mixed", more=no_outcome), private).status is Status.BLOCKED, to


def test_a_name_with_an_at_sign_is_not_taken_for_another() -> None:
    fact = LockFact(check="confusion", detail="…")
    sly = other_package(Kind.GIT, "ui@evil", "1", facts=(fact,))
    assert verdict(allowing("git:npm/ui@*", "mixed"), sly).status is Status.BLOCKED


def test_a_silenced_finding_still_counts_for_correlations() -> None:
    """An exception never silences anything else than what it names."""
    chain = "- {id: both, title: B, severity: critical, all-of: [talks, runs]}\n"
    allow = f"allow: [{{package: 'pkg:npm/left-pad@*', rules: talks, reason: r, owner: o, expires: {date.max}}}]\n"
    both = small(chain + allow)
    assert verdict(both, package(observations=[HOST, ID])).status is Status.BLOCKED


def test_a_purl_that_is_none_is_for_no_exception() -> None:
    broken = blocked()._replace(purl="pkg:npm/")
    assert verdict(allowing("pkg:npm/left-pad@*"), broken).status is Status.BLOCKED


def test_the_first_of_several_exceptions_is_shown_and_none_is_unused() -> None:
    entry = f"{{package: 'pkg:npm/left-pad@1.3.0', rules: talks, reason: second, owner: o, expires: {date.max}}}"
    decided = verdict(allowing("pkg:npm/left-pad@*", more=f"- {entry}\n"), blocked())
    (finding,) = decided.subjects[0].findings
    assert finding.allowed is not None
    assert (finding.allowed.reason, said(decided)) == ("It may.", [])


# ---------------------------------------------------------------------------------------------- the verdict


def test_the_verdict_says_where_it_comes_from() -> None:
    decided = verdict(small(), blocked())
    assert (decided.policy, decided.analyser, decided.elapsed_seconds) == ("scangate.yml", "test", 1.5)
    assert verdict(policy("", where="ci/gate.yml"), blocked()).policy == "ci/gate.yml"


def _shuffled(decided: Verdict) -> tuple[list[str], list[str]]:
    return [each.subject.key for each in decided.subjects], [each.lockfile.path for each in decided.lockfiles]


def test_the_same_input_in_any_order_gives_the_same_verdict() -> None:
    shortfalls = tuple(
        Shortfall(code=code, detail=detail, engine=engine, phase=phase, task_id=task)
        for code in (OutcomeCode.PHASE_ERROR, OutcomeCode.BLIND)
        for detail in ("b", "a")
        for engine in (None, Engine.DYNAMIC_ANALYSIS)
        for phase in (Phase.INSTALL, None)
        for task in (None, 1)
    )
    observations = (HOST, ID, FILE, BaitSeen(phase=Phase.IMPORT, bait="B", where="argv", encoding="raw"))

    def run(step: int) -> Verdict:
        result = Analysed(
            engine=Engine.DYNAMIC_ANALYSIS, observations=observations[::step], shortfalls=shortfalls[::step]
        )
        subjects = [package(name, results=[result]) for name in ("a", "b", "c")][::step]
        lockfiles = [Lockfile(path=path, format="npm") for path in ("x", "y")][::step]
        return verdict(small(), *subjects, lockfiles=lockfiles)

    forward, backward = run(1), run(-1)
    assert _shuffled(forward) == (["pkg:npm/a@1.3.0", "pkg:npm/b@1.3.0", "pkg:npm/c@1.3.0"], ["x", "y"])
    for one, other in zip(forward.subjects, backward.subjects, strict=True):
        assert (one.findings, one.shortfalls, one.status) == (other.findings, other.shortfalls, other.status)
    assert len(forward.subjects[0].shortfalls) == len(shortfalls)


def test_the_same_shortfall_is_said_once() -> None:
    decided = verdict(small(), package(results=[pending("x"), pending("x"), pending("y")]))
    assert len(decided.subjects[0].shortfalls) == 2


# --------------------------------------------------------------------------------------------- in a hook

WAITED = (OutcomeCode.PENDING, OutcomeCode.UNREACHABLE)


def in_hook(text: str) -> dict[OutcomeCode, tuple[str, str]]:
    """What the two outcomes do in a hook under this policy, and who says so."""
    results = [Shortfall(code=code, engine=Engine.DYNAMIC_ANALYSIS) for code in WAITED]
    decided = verdict(policy(text).in_hook(), package(results=results))
    return {each.shortfall.code: (each.action, str(each.decided_by)) for each in decided.subjects[0].shortfalls}


def test_a_hook_does_not_wait_and_says_who_decided() -> None:
    assert in_hook("") == dict.fromkeys(WAITED, ("warn", "profile default"))
    subject = package(results=[pending()])
    assert verdict(policy("").in_hook(), subject).status is Status.WARNED
    assert verdict(policy(""), subject).status is Status.INCOMPLETE


def test_a_hook_finds_what_it_finds() -> None:
    subject = package(observations=[HOST], results=None)
    assert verdict(policy("").in_hook(), subject).status is Status.BLOCKED


def test_all_other_outcomes_are_the_same_in_a_hook() -> None:
    with_hook = policy("outcomes: {blind: note}\n")
    same = {code: decided for code, decided in with_hook.outcomes.items() if code not in WAITED}
    assert {code: decided for code, decided in with_hook.in_hook().outcomes.items() if code not in WAITED} == same


def test_an_outcome_of_the_file_holds_in_the_hook_unless_the_file_says_otherwise() -> None:
    assert in_hook("outcomes: {pending: fail}\n") == {
        OutcomeCode.PENDING: ("fail", "scangate.yml:2"),
        OutcomeCode.UNREACHABLE: ("warn", "profile default"),
    }
    assert in_hook("outcomes: {pending: fail}\nhook: {outcomes: {pending: note}}\n") == {
        OutcomeCode.PENDING: ("note", "profile scangate.yml:3"),
        OutcomeCode.UNREACHABLE: ("warn", "profile default"),
    }


@pytest.mark.parametrize("text", ["outcomes: {pending: note}\n", "mode: observe\n"])
def test_the_profile_decides_only_on_what_ci_would_block_on(text: str) -> None:
    """Where CI lets it pass, too, nobody is told that CI will block."""
    line = len(text.splitlines()) + 2
    own = f"{text}hook: {{outcomes: {{pending: warn}}}}\n"
    assert in_hook(own)[OutcomeCode.PENDING] == ("warn", f"scangate.yml:{line}")
    assert in_hook("mode: observe\n") == dict.fromkeys(WAITED, ("warn", "default"))


def test_without_the_built_in_policy_a_hook_is_as_strict_as_ci() -> None:
    strict = "extends: none\nrules: [{id: a, title: A, severity: high, observe: bait}]\n"
    assert in_hook(strict) == dict.fromkeys(WAITED, ("fail", "default"))
