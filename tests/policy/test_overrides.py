"""A cap is for the packages that it names, at every place; it never lowers what happens at install unasked."""

import pytest

from scangate.errors import PolicyError
from scangate.models.analysis import Analysed, Engine, Phase
from scangate.models.lockfile import Dependency, Ecosystem, Kind, LockFact, Lockfile, Relation, Scope
from scangate.models.observations import CommandRun, HostContacted, LastPyMileHit, Observation
from scangate.models.verdict import Action, Decider, Finding, Status
from scangate.policy import loader
from scangate.policy.model import Policy
from tests.policy.kit import RULES_OF_KINDS, package, policy, verdict

RULES = RULES_OF_KINDS + "- {id: warned, title: W, severity: medium, observe: host}\n"
IMPORTED = HostContacted(phase=Phase.IMPORT, host="a.example", via=("dns",))
INSTALLED = HostContacted(phase=Phase.INSTALL, host="a.example", via=("dns",))
DEV = {"scope": Scope.DEV, "relation": Relation.TRANSITIVE, "lockfile": "docs/package-lock.json"}


def with_(*overrides: str, more: str = "") -> Policy:
    """The overrides stand in the lines from 11 on."""
    return policy(RULES + "overrides:\n" + "".join(f"- {{{each}}}\n" for each in overrides) + more)


def entry(
    *,
    lockfile: str = "package-lock.json",
    scope: Scope = Scope.PROD,
    relation: Relation = Relation.DIRECT,
    facts: tuple[LockFact, ...] = (),
) -> Dependency:
    return Dependency(
        ecosystem=Ecosystem.NPM,
        name="left-pad",
        version="1.3.0",
        kind=Kind.REGISTRY,
        purl="pkg:npm/left-pad@1.3.0",
        scope=scope,
        relation=relation,
        lockfile=lockfile,
        facts=facts,
    )


def finding(
    of: Policy, *entries: Dependency, observed: Observation = IMPORTED, rule: str = "talks", **about: object
) -> Finding:
    subject = package(observations=[observed], dependencies=entries, **about)  # type: ignore[arg-type]  # as package has it
    return next(each for each in verdict(of, subject).subjects[0].findings if each.rule == rule)


@pytest.mark.parametrize(
    ("when", "entries", "capped"),
    [
        ("scope: dev", [DEV], True),
        ("scope: [dev, optional]", [DEV, DEV | {"scope": Scope.OPTIONAL}], True),
        ("scope: dev", [{}], False),
        ("scope: dev", [DEV, {}], False),
        ("relation: transitive", [DEV], True),
        ("relation: transitive", [{"relation": Relation.UNKNOWN}], False),
        ("lockfile: 'docs/**'", [DEV], True),
        ("lockfile: docs", [DEV], True),
        ("lockfile: '*.json'", [DEV], False),
        ("lockfile: ['x', 'docs/*.json']", [DEV, {"lockfile": "x/package-lock.json"}], True),
        ("lockfile: 'docs/**'", [DEV, {"lockfile": "package-lock.json"}], False),
        ("scope: dev, relation: transitive, lockfile: docs, ecosystem: npm", [DEV], True),
        ("scope: dev, ecosystem: pypi", [DEV], False),
        ("ecosystem: npm", [{}], True),
        # Nothing says of what scope a package is that no lockfile names: no cap for it.
        ("scope: dev", [], False),
        ("ecosystem: npm", [], True),
    ],
)
def test_a_cap_is_for_packages_of_which_all_entries_fit(
    when: str, entries: list[dict[str, object]], capped: bool
) -> None:
    of = with_(f"when: {{{when}}}, cap: warn")
    found = finding(of, *(entry(**each) for each in entries))  # type: ignore[arg-type]  # as entry has it
    if capped:
        assert (found.action, found.decided_by.decider, found.decided_by.where) == (
            Action.WARN,
            Decider.OVERRIDE,
            "scangate.yml:11",
        )
        assert str(found.decided_by) == "override scangate.yml:11"
    else:
        assert (found.action, str(found.decided_by)) == (Action.DENY, "scangate.yml:4")
    # The rule's own severity and place stay what they are.
    assert (found.severity, found.where) == ("high", "scangate.yml:4")


def test_a_cap_lowers_and_never_raises() -> None:
    of = with_("when: {scope: dev}, cap: warn")
    assert finding(of, entry(scope=Scope.DEV), rule="warned").decided_by.decider is Decider.POLICY
    note = with_("when: {scope: dev}, cap: note")
    assert finding(note, entry(scope=Scope.DEV), rule="warned").action is Action.NOTE


@pytest.mark.parametrize("overrides", [("warn", "note"), ("note", "warn")])
def test_of_several_caps_the_lowest_counts(overrides: tuple[str, str]) -> None:
    of = with_(*(f"when: {{scope: dev}}, cap: {cap}" for cap in overrides))
    found = finding(of, entry(scope=Scope.DEV))
    assert (found.action, found.decided_by.where) == (Action.NOTE, f"scangate.yml:{11 + overrides.index('note')}")


def test_named_rules_are_kept() -> None:
    of = with_("when: {scope: dev}, cap: note, except: [talks]")
    command = CommandRun(phase=Phase.IMPORT, argv=("id",))
    assert finding(of, entry(scope=Scope.DEV)).action is Action.DENY
    assert finding(of, entry(scope=Scope.DEV), observed=command, rule="runs").action is Action.NOTE


LPM = LastPyMileHit(release="r", list="high_risk", file="setup.py")
FACT = LockFact(check="confusion", detail="…")


@pytest.mark.parametrize(
    ("rule", "observed", "facts"),
    [("talks", INSTALLED, ()), ("injected", LPM, ()), ("mixed", IMPORTED, (FACT,))],
)
def test_what_may_act_at_install_is_capped_only_where_that_is_said(
    rule: str, observed: Observation, facts: tuple[LockFact, ...]
) -> None:
    of_dev = entry(scope=Scope.DEV, facts=facts)
    plain = with_("when: {scope: dev}, cap: note")
    assert finding(plain, of_dev, observed=observed, rule=rule).action is Action.DENY
    off = with_("when: {scope: dev}, cap: note, install-phase: false")
    assert finding(off, of_dev, observed=observed, rule=rule).action is Action.DENY
    said = with_("when: {scope: dev}, cap: note, install-phase: true")
    assert finding(said, of_dev, observed=observed, rule=rule).action is Action.NOTE


def test_a_finding_that_is_seen_at_install_too_is_not_capped() -> None:
    both = package(observations=[IMPORTED, INSTALLED], dependencies=(entry(scope=Scope.DEV),))
    (found,) = [
        each
        for each in verdict(with_("when: {scope: dev}, cap: note"), both).subjects[0].findings
        if each.rule == "talks"
    ]
    assert found.action is Action.DENY


def test_a_ban_is_not_capped_unasked() -> None:
    of = with_("when: {ecosystem: npm}, cap: note")
    (found,) = verdict(of, package("banned", results=[])).subjects[0].findings
    assert (found.rule, found.action) == ("banned", Action.DENY)


def test_a_cap_on_the_install_phase_is_reported() -> None:
    of = with_("when: {scope: dev}, cap: note", "when: {lockfile: docs}, cap: warn, install-phase: true")
    (notice,) = verdict(of, package(results=[])).notices
    assert (notice.code, notice.action, notice.where) == ("override-install-phase", "warn", "scangate.yml:12")
    denied = with_(
        "when: {lockfile: docs}, cap: warn, install-phase: true", more="lints: {override-install-phase: deny}\n"
    )
    decided = verdict(denied, package(results=[Analysed(engine=Engine.LASTPYMILE, observations=())]))
    assert (decided.status, str(decided.notices[0].decided_by)) == (Status.BLOCKED, "scangate.yml:12")


def test_a_lockfile_s_own_findings_are_capped_by_path_and_ecosystem() -> None:
    lockfile = Lockfile(path="docs/requirements.txt", format="requirements", facts=(FACT,), dependencies=(entry(),))

    def action(when: str, of: Lockfile = lockfile) -> Action:
        said = with_(f"when: {{{when}}}, cap: warn, install-phase: true")
        return verdict(said, lockfiles=[of]).lockfiles[0].findings[0].action

    assert action("lockfile: docs") is action("ecosystem: [npm, pypi]") is Action.WARN
    for other in ("lockfile: tests", "ecosystem: pypi", "lockfile: docs, scope: dev", "relation: transitive"):
        assert action(other) is Action.DENY, other
    empty = Lockfile(path="docs/requirements.txt", format="requirements", facts=(FACT,))
    assert action("ecosystem: npm", empty) is Action.DENY
    unasked = with_("when: {lockfile: docs}, cap: warn")
    assert verdict(unasked, lockfiles=[lockfile]).lockfiles[0].findings[0].action is Action.DENY


def test_the_built_in_policy_caps_nothing_of_the_install_phase() -> None:
    assert not [override for override in loader.default().overrides if override.install_phase]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("cap: warn", "3:3: an override needs 'when'"),
        ("when: {}, cap: warn", "3:10: nothing stands in it"),
        ("when: {scope: dev}", "3:3: an override needs 'cap'"),
        ("when: {scope: dev}, cap: deny", "3:29: unknown word 'deny'"),
        ("when: {scope: develop}, cap: warn", "3:18: unknown word 'develop'"),
        ("when: {phase: install}, cap: warn", "3:11: when has no key 'phase'"),
        ("when: {scope: dev}, cap: warn, except: [bait-sekret]", "3:44: there is no rule 'bait-sekret'"),
    ],
)
def test_mistakes(text: str, problem: str) -> None:
    with pytest.raises(PolicyError) as caught:
        policy(f"overrides:\n- {{{text}}}\n")
    assert caught.value.message.startswith(f"scangate.yml:{problem}")
