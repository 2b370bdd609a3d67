"""Rules on what happened to a package since the base, and on behaviour that the version before it did not show."""

from collections.abc import Sequence

import pytest

from scangate.errors import PolicyError
from scangate.models.analysis import Analysed, Engine, Phase
from scangate.models.changes import Change, ChangeKind
from scangate.models.lockfile import Dependency, Ecosystem, Kind, LockFact, Lockfile
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
from scangate.models.verdict import Subject
from scangate.policy.matcher import Matcher
from tests.policy.kit import package, rule, rules


def entry(version: str = "1.3.0") -> Dependency:
    return Dependency(
        ecosystem=Ecosystem.NPM,
        name="left-pad",
        version=version,
        kind=Kind.REGISTRY,
        purl=f"pkg:npm/left-pad@{version}",
    )


def changed(*kinds: ChangeKind) -> Subject:
    changes = tuple(Change(kind=kind, dependency=entry(), before=entry("1.2.0")) for kind in kinds)
    return package(observations=[host("a.example")])._replace(changes=changes)


def host(name: str, phase: Phase = Phase.INSTALL, types: tuple[str, ...] = ("A",)) -> HostContacted:
    return HostContacted(phase=phase, host=name, via=("dns",), record_types=types)


# ---------------------------------------------------------------------------------------- what happened to it


@pytest.mark.parametrize("kind", [kind for kind in ChangeKind if kind is not ChangeKind.SCOPE])
def test_a_rule_can_be_for_packages_to_which_something_happened(kind: ChangeKind) -> None:
    watching = Matcher(rule(f"observe: host, changed: {kind}").rules)
    assert len(watching.findings(changed(kind))) == 1
    assert len(watching.findings(changed(ChangeKind.DIGESTS, kind))) == 1
    other = ChangeKind.SOURCE if kind is not ChangeKind.SOURCE else ChangeKind.ADDED
    assert watching.findings(changed(other)) == ()


def test_without_a_base_everything_was_added() -> None:
    unknown = package(observations=[host("a.example")])
    assert len(Matcher(rule("observe: host, changed: [added, upgraded]").rules).findings(unknown)) == 1
    assert Matcher(rule("observe: host, changed: [upgraded, integrity]").rules).findings(unknown) == ()


def test_all_of_a_lockfile_itself_was_added() -> None:
    lockfile = Lockfile(path="x", format="x", facts=(LockFact(check="confusion", detail="…"),))
    assert len(Matcher(rule("observe: lockfile, changed: added").rules).lockfile_findings(lockfile)) == 1
    assert Matcher(rule("observe: lockfile, changed: upgraded").rules).lockfile_findings(lockfile) == ()


def test_a_correlation_can_be_for_upgrades() -> None:
    chain = rules("""
        - {id: a, title: A, severity: low, observe: host}
        - {id: b, title: B, severity: low, all-of: [a], changed: upgraded}
    """)
    assert [each.rule for each in Matcher(chain.rules).findings(changed(ChangeKind.UPGRADED))] == ["a", "b"]
    assert [each.rule for each in Matcher(chain.rules).findings(changed(ChangeKind.ADDED))] == ["a"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("observe: host, changed: scope", "unknown word 'scope'"),
        ("observe: host, changed: upgrade", "unknown word 'upgrade'"),
        ("observe: package, packages: 'pkg:npm/a', new-behaviour: true", "'new-behaviour' has no meaning"),
        ("observe: lockfile, new-behaviour: true", "'new-behaviour' has no meaning"),
        ("observe: host, new-behaviour: 1", "expected true or false"),
        ("observe: host, engines: lastpymile", "unknown word 'lastpymile'"),
        ("observe: lockfile, engines: lastpymile", "'engines' has no meaning"),
    ],
)
def test_mistakes(text: str, problem: str) -> None:
    with pytest.raises(PolicyError, match=problem):
        rule(text)


# -------------------------------------------------------------------------------------------------- engines


def test_a_correlation_can_be_for_what_one_engine_shows() -> None:
    chain = rules("""
        - {id: a, title: A, severity: low, observe: host, engines: dynamic-analysis}
        - {id: b, title: B, severity: low, observe: lastpymile, engines: [lastpymile]}
        - {id: both, title: C, severity: low, all-of: [a, b]}
        - {id: one, title: D, severity: low, all-of: [[a, b]], engines: lastpymile}
    """)
    hit = LastPyMileHit(release="r", list="phantom", file="a.py")
    dynamic = Analysed(engine=Engine.DYNAMIC_ANALYSIS, observations=(host("a.example"),))
    source = Analysed(engine=Engine.LASTPYMILE, observations=(hit,))
    found = {each.rule: each for each in Matcher(chain.rules).findings(package(results=[dynamic, source]))}
    assert set(found) == {"a", "b", "both", "one"}
    assert (found["one"].evidence, found["one"].engine) == ((hit,), Engine.LASTPYMILE)
    assert {each.rule for each in Matcher(chain.rules).findings(package(results=[dynamic]))} == {"a"}


def test_a_rule_takes_no_notice_of_another_engine_s_report() -> None:
    """Should a report of one engine ever hold what only the other one is known to show."""
    watching = Matcher(rule("observe: host, engines: dynamic-analysis").rules)
    (seen,) = watching.findings(package(observations=[host("a.example")]))
    assert seen.engine is Engine.DYNAMIC_ANALYSIS
    assert watching.findings(package(observations=[host("a.example")], engine=Engine.LASTPYMILE)) == ()


# ------------------------------------------------------------------------------------------------ behaviour


def upgraded(
    new: Sequence[Observation],
    *old: Sequence[Observation],
    to: str = "1.3.0",
    before: tuple[str, ...] = ("1.2.0",),
    engine: Engine = Engine.DYNAMIC_ANALYSIS,
) -> Subject:
    """A package that takes the place of the versions `before`, of which `old` are the reports at hand."""
    changes = [Change(kind=ChangeKind.UPGRADED, dependency=entry(to), before=entry(version)) for version in before]
    earlier = [Analysed(engine=engine, observations=tuple(each)) for each in old]
    subject = package(version=to, observations=new, engine=engine)
    return subject._replace(changes=tuple(changes), earlier=tuple(earlier))


def new_behaviour(observe: str, subject: Subject) -> set[Observation]:
    findings = Matcher(rule(f"observe: {observe}, new-behaviour: true").rules).findings(subject)
    return {each for finding in findings for each in finding.evidence}


def run(*argv: str) -> CommandRun:
    return CommandRun(phase=Phase.INSTALL, argv=argv)


def touched(path: str, *, read: bool = True, write: bool = False, phase: Phase = Phase.INSTALL) -> FileTouched:
    return FileTouched(phase=phase, path=path, read=read, write=write, delete=False)


def socket(address: str, port: int = 443, names: tuple[str, ...] = ()) -> SocketOpened:
    return SocketOpened(phase=Phase.INSTALL, address=address, port=port, network=Network.PUBLIC, hostnames=names)


def hit(test: str, file: str = "setup.py", *, line: int = 1, added: bool = True) -> LastPyMileHit:
    return LastPyMileHit(release="r", list="high_risk", file=file, test_name=test, line=line, added=added)


@pytest.mark.parametrize(
    ("observe", "old", "same", "new"),
    [
        ("host", [host("a.example")], [host("a.example", types=("AAAA",))], [host("b.example")]),
        # The same host, and at another time, or for another purpose.
        ("host", [host("a.example", Phase.EXECUTE)], [], [host("a.example")]),
        ("host", [host("a.example")], [], [host("a.example", types=("A", "TXT"))]),
        (
            "socket",
            [socket("192.0.2.1", names=("a.example",)), socket("192.0.2.9")],
            [socket("192.0.2.2", names=("a.example",)), socket("192.0.2.9")],
            [socket("192.0.2.1", 4444, names=("a.example",)), socket("192.0.2.8")],
        ),
        (
            "command",
            [run("sh", "-c", "get left-pad-1.2.0.tgz"), run("get", "/v1.2.0/a")],
            [run("sh", "-c", "get left-pad-1.3.0.tgz"), run("get", "/v1.3.0/a")],
            # Only the version as a word of its own is neutral.
            [
                run("sh", "-c", "get left-pad-1.3.01.tgz"),
                run("sh", "-c", "get 11.3.0.tgz"),
                run("sh"),
                run("get", "/w1.3.0/a"),
            ],
        ),
        (
            "file",
            [touched("/a/1.2.0/b"), touched("/c", write=True)],
            [touched("/a/1.3.0/b"), touched("/c"), touched("/c", read=False, write=True)],
            [touched("/a/1.3.0/b", write=True), touched("/d"), touched("/c", phase=Phase.IMPORT)],
        ),
        (
            "bait",
            [BaitSeen(phase=Phase.INSTALL, bait="A", where="argv", encoding="raw", context="x")],
            [BaitSeen(phase=Phase.INSTALL, bait="A", where="argv", encoding="raw", context="y")],
            [BaitSeen(phase=Phase.INSTALL, bait="A", where="host", encoding="raw")],
        ),
        ("lastpymile", [hit("exec", line=3)], [hit("exec", line=9)], [hit("eval"), hit("exec", "a.py")]),
        ("lastpymile", [hit("exec", added=False)], [], [hit("exec")]),
    ],
)
def test_what_the_version_before_did_is_not_new(
    observe: str, old: list[Observation], same: list[Observation], new: list[Observation]
) -> None:
    engine = Engine.LASTPYMILE if observe == "lastpymile" else Engine.DYNAMIC_ANALYSIS
    subject = upgraded([*same, *new], old, engine=engine)
    assert new_behaviour(observe, subject) == set(new)


def test_where_nothing_is_known_of_the_version_before_all_is_new() -> None:
    seen = host("a.example")
    mismatch = LockFact(check="integrity-mismatch", detail="…")
    assert new_behaviour("host", upgraded([seen], [mismatch])) == {seen}
    assert new_behaviour("host", upgraded([seen])) == {seen}
    # The other engine's report says nothing of this one's.
    other = upgraded([seen], [seen])._replace(earlier=(Analysed(engine=Engine.LASTPYMILE, observations=(seen,)),))
    assert new_behaviour("host", other) == {seen}


def test_all_versions_that_are_replaced_must_have_shown_it() -> None:
    """Two lockfiles had different versions: what only one of them did is new for the users of the other."""
    both, one = host("a.example"), host("b.example")
    two = ("1.1.0", "1.2.0")
    assert new_behaviour("host", upgraded([both, one], [both], [both, one], before=two)) == {one}
    assert new_behaviour("host", upgraded([both, one], [both, one], before=two)) == {both, one}


@pytest.mark.parametrize("changes", [(), (Change(kind=ChangeKind.ADDED, dependency=entry()),)])
def test_what_replaces_nothing_has_no_new_behaviour(changes: tuple[Change, ...]) -> None:
    subject = upgraded([host("a.example")])._replace(changes=changes)
    assert new_behaviour("host", subject) == set()


def test_other_content_of_the_same_version_replaces_no_version() -> None:
    same = Change(kind=ChangeKind.INTEGRITY, dependency=entry(), before=entry())
    assert new_behaviour("host", upgraded([host("a.example")])._replace(changes=(same,))) == set()


def test_new_behaviour_is_what_is_counted() -> None:
    """Six subdomains, of which the version before knew five, are no fan-out that began."""
    old = [host(f"{name}.evil.example") for name in "abcde"]
    counted = rule("observe: host, new-behaviour: true, at-least: {count: 3, distinct: host, per: domain}")

    def found(*new: HostContacted) -> int:
        return len(Matcher(counted.rules).findings(upgraded([*old, *new], old)))

    assert found(host("f.evil.example")) == 0
    assert found(*(host(f"{name}.evil.example") for name in "fgh")) == 1


@pytest.mark.parametrize("version", ["1", "1.0.0-rc.1", "1.0.0+build(", ""])
def test_no_version_breaks_the_comparison(version: str) -> None:
    seen = run("get", f"left-pad-{version}.tgz")
    old = run("get", "left-pad-0.9.tgz")
    assert new_behaviour("command", upgraded([seen], [old], to=version, before=("0.9",))) == (
        set() if version else {seen}
    )
