"""Exceptions: on what evidence, for lockfiles, and what is said of those that are unused, expired, broad, shadowed."""

from datetime import date, timedelta

import pytest

from scangate.errors import PolicyError
from scangate.models.analysis import Analysed, Engine, OutcomeCode, Phase, Shortfall
from scangate.models.lockfile import Kind, LockFact, Lockfile
from scangate.models.observations import (
    BaitSeen,
    CommandRun,
    FileTouched,
    HostContacted,
    LastPyMileHit,
    Network,
    Observation,
    SocketOpened,
)
from scangate.models.verdict import Finding, Status, Verdict
from scangate.policy.exceptions import why_not
from scangate.policy.exit_codes import exit_code
from scangate.policy.model import Policy
from tests.policy.kit import RULES_OF_KINDS, TODAY, other_package, package, policy, verdict

RULES = f"""\
{RULES_OF_KINDS}\
- {{id: connects, title: S, severity: high, observe: socket}}
- {{id: touches, title: F, severity: high, observe: file}}
- {{id: leaks, title: B, severity: high, observe: bait}}
- {{id: both, title: C, severity: high, all-of: [talks, runs]}}
"""
A, B = (HostContacted(phase=Phase.INSTALL, host=host, via=("dns",)) for host in ("a.example", "b.example"))
RUN = CommandRun(phase=Phase.INSTALL, argv=("node", "install.js"))
FACT = LockFact(check="confusion", detail="…")
WHY = "reason: r, owner: o, expires: 2099-01-01"


def allowing(*entries: str, more: str = "lints: {allow-broad: note}\n") -> Policy:
    """The entries stand in the lines from 15 on; each is for left-pad, unless it says otherwise."""
    whole = [
        each if "lockfile:" in each or "package:" in each else f"package: 'pkg:npm/left-pad@1.3.0', {each}"
        for each in entries
    ]
    text = "".join(f"- {{{each}{'' if 'expires' in each else ', ' + WHY}}}\n" for each in whole)
    return policy(RULES + more + "allow:\n" + text)


def findings(of: Policy, *observations: Observation) -> dict[str, Finding]:
    return {each.rule: each for each in verdict(of, package(observations=observations)).subjects[0].findings}


def silenced(of: Policy, *observations: Observation) -> set[str]:
    return {rule for rule, finding in findings(of, *observations).items() if finding.allowed}


def said(decided: Verdict) -> list[tuple[str, str]]:
    return [(notice.code, notice.where) for notice in decided.notices]


# ------------------------------------------------------------------------------------------------- evidence


@pytest.mark.parametrize(
    ("rule", "condition", "fits", "other"),
    [
        ("talks", "host: {suffix: a.example}", A, B),
        ("talks", "host: [{suffix: a.example}, {host: '^c[.]'}]", A, B),
        (
            "connects",
            "socket: {address: 192.0.2.0/24, port: 443}",
            SocketOpened(phase=Phase.INSTALL, address="192.0.2.7", port=443, network=Network.PUBLIC),
            SocketOpened(phase=Phase.INSTALL, address="192.0.2.7", port=444, network=Network.PUBLIC),
        ),
        (
            "runs",
            "command: {cmdline: '^node install[.]js$', plain: true}",
            RUN,
            CommandRun(phase=Phase.INSTALL, argv=("sh",)),
        ),
        (
            "runs",
            "command: {cmdline: '^get {name}-{version}$'}",
            CommandRun(phase=Phase.INSTALL, argv=("get", "left-pad-1.3.0")),
            CommandRun(phase=Phase.INSTALL, argv=("get", "left-pad-1.3.1")),
        ),
        (
            "touches",
            "file: {path: '^/tmp/', write: true}",
            FileTouched(phase=Phase.INSTALL, path="/tmp/a", read=False, write=True, delete=False),
            FileTouched(phase=Phase.INSTALL, path="/tmp/a", read=True, write=False, delete=False),
        ),
        (
            "leaks",
            "bait: {where: stdout}",
            BaitSeen(phase=Phase.INSTALL, bait="A", where="stdout", encoding="raw"),
            BaitSeen(phase=Phase.INSTALL, bait="A", where="host", encoding="raw"),
        ),
        (
            "injected",
            "lastpymile: {file: '^setup[.]py$', test: '^exec_used$'}",
            LastPyMileHit(release="r", list="high_risk", file="setup.py", test_name="exec_used"),
            LastPyMileHit(release="r", list="high_risk", file="setup.py", test_name="b64decode"),
        ),
    ],
)
def test_all_evidence_must_fit(rule: str, condition: str, fits: Observation, other: Observation) -> None:
    """What the entry's author did not see voids it: a hijacked package does not hide behind what it always did."""
    of = allowing(f"rules: {rule}, evidence: {{{condition}}}")
    assert silenced(of, fits) == {rule}
    assert silenced(of, other) == set()
    assert silenced(of, fits, other) == set()


def test_evidence_of_several_kinds() -> None:
    of = allowing("rules: both, evidence: {host: {suffix: a.example}, command: {argv0: '^node$'}}")
    assert silenced(of, A, RUN) == {"both"}
    assert silenced(of, A, B, RUN) == set()
    # A kind of which the entry says nothing is not what its author saw.
    assert silenced(allowing("rules: both, evidence: {host: {suffix: a.example}}"), A, RUN) == set()


def test_an_entry_for_several_rules_has_each_rule_s_evidence_looked_at_alone() -> None:
    of = allowing("rules: [talks, runs], evidence: {host: {suffix: a.example}, command: {argv0: '^node$'}}")
    assert silenced(of, A, B, RUN) == {"runs"}


def test_the_first_entry_that_fits_is_shown() -> None:
    of = allowing(
        "rules: talks, evidence: {host: {suffix: b.example}}", "rules: talks, evidence: {host: {suffix: a.example}}"
    )
    allowed = findings(of, A)["talks"].allowed
    assert allowed is not None
    assert (allowed.where, allowed.owner, allowed.reason, allowed.expires) == (
        "scangate.yml:16",
        "o",
        "r",
        date(2099, 1, 1),
    )


# --------------------------------------------------------------------------------------------------- why not


NOT_ITS_VERSION = "package: 'pkg:npm/left-pad@1.2.0', rules: talks"
ENDED = "rules: talks, reason: r, owner: o, expires: 2026-06-15"
PINNED = "rules: talks, evidence: {host: {suffix: a.example}}"
OF_THE_LOCKFILE = "lockfile: package-lock.json, rules: talks"


@pytest.mark.parametrize(
    ("entry", "seen", "why"),
    [
        (NOT_ITS_VERSION, (A,), "it is for pkg:npm/left-pad@1.2.0"),
        (ENDED, (A,), "it ended on 2026-06-15"),
        (PINNED, (A, B), "it is for other evidence, or for a part of this alone"),
        (PINNED, (A,), None),
        ("rules: talks", (A,), None),
        ("rules: connects", (A,), None),
        ("package: 'pkg:npm/right-pad@1.3.0', rules: talks", (A,), None),
        ("package: 'pkg:pypi/left-pad@1.3.0', rules: talks", (A,), None),
        ("package: 'git:npm/left-pad@1.3.0', rules: talks", (A,), "it is for git:npm/left-pad@1.3.0"),
        ("package: 'git:npm/left-pad-2@1.3.0', rules: talks", (A,), None),
        (OF_THE_LOCKFILE, (A,), "it is for what is found in the lockfile itself, not for a package in it"),
        (OF_THE_LOCKFILE.replace("package-lock", "other"), (A,), None),
    ],
)
def test_why_an_entry_does_not_hold_is_said_as_it_is_decided(
    entry: str, seen: tuple[Observation, ...], why: str | None
) -> None:
    of = allowing(entry)
    entry_there = other_package(Kind.REGISTRY, "left-pad").dependencies[0]._replace(lockfile="package-lock.json")
    subject = package(observations=seen, dependencies=(entry_there,))
    (finding,) = (each for each in verdict(of, subject).subjects[0].findings if each.rule == "talks")
    (entry_of_it,) = of.allow
    assert why_not(entry_of_it, subject, finding, TODAY) == why
    if why is not None:
        assert finding.allowed is None


def test_why_an_entry_of_a_package_without_a_purl_does_not_hold() -> None:
    of = allowing(
        "package: 'git:npm/@acme/ui@1.0.0', rules: talks",
        "package: 'git:npm/@acme/ui@2.0.0', rules: talks",
        "package: 'pkg:npm/%40acme/ui@1.0.0', rules: talks",
        "package: 'git:npm/@acme/ui@*', rules: talks, reason: r, owner: o, expires: 2026-06-01",
    )
    seen = Analysed(engine=Engine.DYNAMIC_ANALYSIS, observations=(A,))
    subject = other_package(Kind.GIT, "@acme/ui", "1.0.0")._replace(results=(seen,))
    (finding,) = verdict(of, subject).subjects[0].findings
    assert finding.allowed is not None
    assert [why_not(each, subject, finding, TODAY) for each in of.allow] == [
        None,
        "it is for git:npm/@acme/ui@2.0.0",
        "it is for pkg:npm/%40acme/ui@1.0.0",
        "it ended on 2026-06-01",
    ]


# ------------------------------------------------------------------------------------------------ lockfiles


def test_a_lockfile_s_own_findings_are_silenced_by_its_path() -> None:
    of = allowing("lockfile: a/requirements.txt, rules: mixed")

    def judged(path: str) -> Verdict:
        return verdict(of, lockfiles=[Lockfile(path=path, format="requirements", facts=(FACT,))])

    decided = judged("a/requirements.txt")
    (finding,) = decided.lockfiles[0].findings
    assert finding.allowed is not None
    assert (decided.status, finding.allowed.where, decided.notices) == (Status.PASSED, "scangate.yml:15", ())
    other = judged("requirements.txt")
    assert (other.status, said(other)) == (Status.BLOCKED, [("allow-unused", "scangate.yml:15")])


def test_an_entry_for_a_lockfile_is_for_none_of_its_packages() -> None:
    of = allowing("lockfile: a/requirements.txt, rules: [mixed, talks]")
    assert silenced(of, A) == set()
    tricky = allowing("lockfile: 'pkg:npm/left-pad@1.3.0', rules: talks")
    assert silenced(tricky, A) == set()


def test_the_evidence_of_a_lockfile() -> None:
    facts = (FACT, LockFact(check="extra-index", detail="…"))
    of = allowing("lockfile: a, rules: mixed, evidence: {lockfile: {check: confusion}}")
    one, two = (verdict(of, lockfiles=[Lockfile(path="a", format="x", facts=facts[:number])]) for number in (1, 2))
    assert (one.status, two.status) == (Status.PASSED, Status.BLOCKED)


# ---------------------------------------------------------------------------------------------------- lints


def test_an_entry_for_every_version_works_and_is_reported() -> None:
    of = allowing("package: 'pkg:npm/left-pad@*', rules: talks", more="")
    decided = verdict(of, package(observations=[A]))
    (notice,) = decided.notices
    assert (notice.code, notice.action, notice.where) == ("allow-broad", "warn", "scangate.yml:14")
    assert "pkg:npm/left-pad@*" in notice.message
    assert (decided.status, decided.subjects[0].status) == (Status.WARNED, Status.PASSED)


@pytest.mark.parametrize(
    ("lint", "entries"),
    [
        ("allow-broad", ["package: 'pkg:npm/left-pad@*', rules: talks"]),
        ("allow-unused", ["rules: runs"]),
        ("allow-expired", [f"rules: talks, reason: r, owner: o, expires: {TODAY}"]),
        ("allow-shadowed", ["rules: talks", "rules: talks"]),
    ],
)
@pytest.mark.parametrize("action", ["deny", "warn", "note"])
def test_each_lint_does_what_the_policy_says(lint: str, entries: list[str], action: str) -> None:
    of = allowing(
        "package: 'pkg:npm/other@1.0.0', rules: talks", *entries, more=f"mode: observe\nlints: {{{lint}: {action}}}\n"
    )
    quiet = package("other", "1.0.0", observations=[A])
    decided = verdict(of, quiet, package(observations=[A] if lint != "allow-expired" else []))
    (notice,) = [each for each in decided.notices if each.code == lint]
    assert (notice.action, str(notice.decided_by)) == (action, "scangate.yml:14")
    weight = {"deny": Status.BLOCKED, "warn": Status.WARNED, "note": Status.PASSED}[action]
    order = [Status.PASSED, Status.WARNED, Status.INCOMPLETE, Status.BLOCKED]
    assert order.index(decided.status) >= order.index(weight)


def test_a_lint_that_denies_blocks_a_run_in_which_all_packages_pass() -> None:
    of = allowing("rules: talks", "rules: runs", more="lints: {allow-unused: deny}\n")
    decided = verdict(of, package(observations=[A]))
    assert decided.subjects[0].status is Status.PASSED
    assert (decided.status, exit_code(decided)) == (Status.BLOCKED, 1)


def test_an_expired_entry_is_named_with_its_owner_and_day() -> None:
    of = allowing(f"rules: talks, reason: r, owner: Kim, expires: {TODAY}")
    (notice,) = verdict(of, package(observations=[A])).notices
    assert notice.message == f"The exception of Kim for pkg:npm/left-pad@1.3.0 (talks) ended on {TODAY}."


def test_an_entry_for_a_package_that_was_not_judged_is_unused_only_where_all_were() -> None:
    """A run looks at what is new: that an old package's exception had nothing to do there says nothing."""
    of = allowing("package: 'pkg:npm/other@1.0.0', rules: talks")
    assert said(verdict(of, package(observations=[RUN]), whole=False)) == []
    assert said(verdict(of, package(observations=[RUN]), whole=True)) == [("allow-unused", "scangate.yml:15")]


def test_an_entry_for_a_judged_package_is_unused_in_any_run() -> None:
    of = allowing("rules: talks")
    assert said(verdict(of, package(observations=[RUN]), whole=False)) == [("allow-unused", "scangate.yml:15")]


@pytest.mark.parametrize(
    "results",
    [
        [Shortfall(code=OutcomeCode.PENDING)],
        [
            Analysed(
                engine=Engine.DYNAMIC_ANALYSIS,
                observations=(RUN,),
                shortfalls=(Shortfall(code=OutcomeCode.PHASE_ERROR),),
            )
        ],
        [Analysed(engine=Engine.DYNAMIC_ANALYSIS, observations=(RUN,)), Shortfall(code=OutcomeCode.FAILED)],
        [],
    ],
)
def test_what_was_not_wholly_analysed_does_not_make_an_entry_unused(results: list[Analysed | Shortfall]) -> None:
    assert said(verdict(allowing("rules: talks"), package(results=results))) == []
    # What needs no analysis was there to be seen.
    unused = [("allow-unused", "scangate.yml:15")]
    assert said(verdict(allowing("rules: [mixed, banned]"), package(results=results))) == unused
    assert said(verdict(allowing("rules: [mixed, talks]"), package(results=results))) == []


def test_evidence_that_does_not_fit_makes_an_entry_unused() -> None:
    of = allowing("rules: talks, evidence: {host: {suffix: b.example}}")
    assert said(verdict(of, package(observations=[A]))) == [("allow-unused", "scangate.yml:15")]


SHADOWED = [
    ("rules: talks", "rules: talks"),
    ("rules: [talks, runs]", "rules: runs"),
    ("package: 'pkg:npm/left-pad@*', rules: talks", "rules: talks"),
    ("package: 'pkg:npm/left-pad@*', rules: talks", "package: 'pkg:npm/left-pad@*', rules: talks"),
    ("rules: talks", "rules: talks, evidence: {host: {suffix: a.example}}"),
    ("rules: talks, evidence: {host: {suffix: a.example}}", "rules: talks, evidence: {host: {suffix: a.example}}"),
    ("package: 'git:npm/x@*', rules: mixed", "package: 'git:npm/x@1', rules: mixed"),
    ("lockfile: a, rules: mixed", "lockfile: a, rules: mixed"),
    ("rules: talks", "rules: talks, reason: r, owner: o, expires: 2098-12-31"),
]
NOT_SHADOWED = [
    ("rules: talks", "rules: runs"),
    ("rules: talks", "rules: [talks, runs]"),
    ("rules: talks", "package: 'pkg:npm/left-pad@*', rules: talks"),
    ("rules: talks, evidence: {host: {suffix: a.example}}", "rules: talks"),
    ("rules: talks, evidence: {host: {suffix: a.example}}", "rules: talks, evidence: {host: {suffix: b.example}}"),
    ("lockfile: a, rules: mixed", "lockfile: b, rules: mixed"),
    # It takes over when the first one ends.
    ("rules: talks", "rules: talks, reason: r, owner: o, expires: 2099-01-02"),
    # One that has ended shadows nothing.
    (f"rules: talks, reason: r, owner: o, expires: {TODAY - timedelta(days=1)}", "rules: talks"),
]


@pytest.mark.parametrize(("first", "second"), SHADOWED)
def test_an_entry_after_one_that_says_as_much_is_shadowed(first: str, second: str) -> None:
    shadowed = [each for each in verdict(allowing(first, second)).notices if each.code == "allow-shadowed"]
    assert [(each.action, each.where) for each in shadowed] == [("warn", "scangate.yml:16")]
    assert "scangate.yml:15" in shadowed[0].message


@pytest.mark.parametrize(("first", "second"), NOT_SHADOWED)
def test_an_entry_that_says_more_is_not_shadowed(first: str, second: str) -> None:
    assert "allow-shadowed" not in [code for code, _ in said(verdict(allowing(first, second)))]


def test_a_shadowed_entry_is_not_unused_besides() -> None:
    assert said(verdict(allowing("rules: talks", "rules: talks"), package(observations=[A]))) == [
        ("allow-shadowed", "scangate.yml:16")
    ]


# ------------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (f"rules: talks, {WHY}", "an allow entry needs one of package, lockfile"),
        (f"package: 'pkg:npm/a@1', lockfile: b, rules: talks, {WHY}", "an allow entry has one of package, lockfile"),
        ("package: 'pkg:npm/a@1', rules: talks, reason: r, expires: 2099-01-01", "an allow entry needs 'owner'"),
        (f"package: 'pkg:npm/a@1', rules: talks, evidence: {{}}, {WHY}", "nothing stands in it"),
        (f"package: 'pkg:npm/a@1', rules: talks, evidence: {{hosts: {{}}}}, {WHY}", "evidence has no key 'hosts'"),
        (f"package: 'pkg:npm/a@1', rules: talks, evidence: {{host: {{path: a}}}}, {WHY}", "has no key 'path'"),
        (f"package: 'pkg:npm/a@1', rules: talks, evidence: {{package: {{}}}}, {WHY}", "has no key 'package'"),
        (
            f"package: 'pkg:npm/a@1', rules: [talks, runs], evidence: {{host: {{via: dns}}}}, {WHY}",
            "`evidence` says nothing of `command`, at which rule 'runs' looks",
        ),
        (
            f"package: 'pkg:npm/a@1', rules: banned, evidence: {{host: {{via: dns}}}}, {WHY}",
            "`evidence` says nothing of `package`",
        ),
    ],
)
def test_mistakes(entry: str, problem: str) -> None:
    with pytest.raises(PolicyError, match=r"^scangate\.yml:13:") as caught:
        policy(f"{RULES}allow: [{{{entry}}}]\n")
    assert problem in caught.value.message


def test_thousands_of_entries_are_looked_up_by_what_they_are_for() -> None:
    """By going through all of them for each finding this would be a million comparisons."""
    entries = [f"package: 'pkg:npm/p{number}@1.0.0', rules: talks" for number in range(1000)]
    subjects = [package(f"p{number}", "1.0.0", observations=[A]) for number in range(1000)]
    decided = verdict(allowing(*entries), *subjects)
    assert (decided.status, decided.notices) == (Status.PASSED, ())
