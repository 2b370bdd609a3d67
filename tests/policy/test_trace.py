"""The explaining matcher and the fast one are of one mind: on every report at hand, and on made-up observations."""

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scangate.models.analysis import Analysed, Engine, Phase
from scangate.models.lockfile import Ecosystem
from scangate.models.observations import (
    CommandRun,
    FileTouched,
    HostContacted,
    LastPyMileHit,
    Network,
    Observation,
    SocketOpened,
)
from scangate.models.verdict import Subject
from scangate.policy import cases, loader
from scangate.policy.matcher import Matcher
from scangate.policy.model import AllOf, Policy
from scangate.policy.trace import Trace, trace
from scangate.purls import parse
from scangate.reports import dynamic, reader
from tests.conftest import ROOT
from tests.policy.kit import package, rules

REPORTS = ROOT / "tests" / "assets" / "reports"


@cache
def _matcher() -> Matcher:
    return Matcher(loader.default().rules)


def _reports() -> Iterator[Path]:
    for path in sorted(REPORTS.rglob("*.json*")):
        if "lastpymile" not in path.parts:
            yield path


def _subject(path: Path) -> Subject:
    payload = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    identity = reader.identify(payload)
    purl = parse(identity.purl)
    assert purl.ecosystem is not None
    read = reader.read(
        payload, purl=None, engine=identity.engine, now=datetime(2026, 12, 1, tzinfo=UTC), max_age_days=90
    )
    return package(purl.package_name, purl.version, ecosystem=purl.ecosystem, results=(read,))


def _agree(policy: Policy, subject: Subject, matcher: Matcher | None = None) -> dict[str, Trace]:
    """The traces, which say the same as the matcher: which rules match, and by what."""
    found: dict[str, set[Observation]] = {}
    for finding in (matcher or Matcher(policy.rules)).findings(subject):
        found.setdefault(finding.rule, set()).update(finding.evidence)
    traces = {each.rule.id: each for each in trace(policy.rules, subject)}
    assert {id_ for id_, each in traces.items() if each.matches} == found.keys()
    for id_, each in traces.items():
        if not isinstance(each.rule.test, AllOf):
            assert set(each.evidence) == found.get(id_, set()), id_
        assert each.why
        assert all(bool(look.why) is not look.matches for look in each.looks)
    return traces


@pytest.mark.parametrize("path", list(_reports()), ids=lambda path: path.name)
def test_on_every_report(path: Path) -> None:
    traces = _agree(loader.default(), _subject(path), _matcher())
    assert traces.keys() == {rule.id for rule in loader.default().rules}


def test_on_every_test_of_the_built_in_rules() -> None:
    for case in cases.built_in(classify=dynamic.classified):
        _agree(loader.default(), case.subject, _matcher())


HOSTS = st.sampled_from(["a.example", "b.a.example", "c.a.example", "x.test", "thing.example"])
PHASES = st.sampled_from(list(Phase))
OBSERVATIONS: st.SearchStrategy[Observation] = st.one_of(
    st.builds(HostContacted, phase=PHASES, host=HOSTS, via=st.sampled_from([("dns",), ("dns", "socket")])),
    st.builds(
        SocketOpened,
        phase=PHASES,
        address=st.sampled_from(["192.0.2.1", "192.0.2.2", "203.0.113.9", "::ffff:192.0.2.1", "2001:db8::1", "odd"]),
        port=st.sampled_from([22, 80, 443]),
        network=st.sampled_from(list(Network)),
        hostnames=st.sampled_from([(), ("a.example",)]),
    ),
    st.builds(
        CommandRun,
        phase=PHASES,
        argv=st.lists(st.sampled_from(["curl", "thing", "1.2.3", "a;b", "/bin/sh"]), max_size=3).map(tuple),
    ),
    st.builds(
        FileTouched,
        phase=PHASES,
        path=st.sampled_from(["/etc/shadow", "/root/.netrc", "/app/thing/x.js"]),
        read=st.booleans(),
        write=st.booleans(),
        delete=st.booleans(),
    ),
    st.builds(
        LastPyMileHit,
        release=st.just("r"),
        list=st.sampled_from(["high_risk", "phantom"]),
        file=st.sampled_from(["setup.py", "a.py"]),
        test_name=st.sampled_from(["exec_used", "urlopen", ""]),
        added=st.booleans(),
    ),
)

RULES = rules(
    """
    - {id: hosts, title: x, severity: high, observe: host, phases: [install, import], match: {suffix: [a.example]}}
    - {id: many, title: x, severity: high, observe: host, at-least: {count: 2, distinct: host, per: domain}}
    - {id: not-80, title: x, severity: low, observe: socket, match: {port-not: [80, 443], address: [192.0.2.0/31]}}
    - id: own
      title: x
      severity: low
      observe: command
      match: {arg: ['^{name}$', curl]}
      unless: [{plain: false}, {argv0: '^sh$'}]
    - {id: secrets, title: x, severity: high, observe: file, match: {path: [shadow, netrc], read: true}}
    - {id: pair, title: x, severity: high, observe: lastpymile, match: {together: [[exec], [url]], added: true}}
    - {id: pypi, title: x, severity: high, observe: host, ecosystems: [pypi]}
    - {id: other, title: x, severity: high, observe: package, packages: ["pkg:npm/other@*"]}
    - {id: new, title: x, severity: high, observe: host, new-behaviour: true}
    - {id: grown, title: x, severity: high, observe: host, changed: [upgraded]}
    - {id: engine, title: x, severity: high, all-of: [[hosts], [pair]], engines: [lastpymile]}
    - {id: chain, title: x, severity: critical, all-of: [[hosts, many], [own, secrets]]}
    - {id: chain-of-chain, title: x, severity: critical, all-of: [[chain], [not-80]]}
    """
)


@given(seen=st.lists(OBSERVATIONS, max_size=12), ecosystem=st.sampled_from([Ecosystem.NPM, Ecosystem.PYPI]))
def test_on_made_up_observations(seen: list[Observation], ecosystem: Ecosystem) -> None:
    hits = tuple(each for each in seen if isinstance(each, LastPyMileHit))
    others = tuple(each for each in seen if not isinstance(each, LastPyMileHit))
    results = (
        Analysed(engine=Engine.DYNAMIC_ANALYSIS, observations=others),
        Analysed(engine=Engine.LASTPYMILE, observations=hits),
    )
    _agree(RULES, package("thing", "1.2.3", ecosystem=ecosystem, results=results))


def _why(rule: str, *observations: Observation, **about: object) -> str:
    traces = _agree(RULES, package("thing", "1.2.3", observations=observations, **about))  # type: ignore[arg-type]
    return traces[rule].why


def _host(host: str, phase: Phase = Phase.INSTALL) -> HostContacted:
    return HostContacted(phase=phase, host=host, via=("dns",))


def test_the_reason_is_the_first_thing_that_failed() -> None:
    assert _why("hosts", _host("x.test")) == "none of 1 host observations: not suffix: a.example"
    assert _why("hosts", _host("a.example", Phase.EXECUTE)) == (
        "none of 1 host observations: phases is install, import, this is execute"
    )
    assert _why("hosts") == "no host observation"
    assert _why("hosts", _host("a.example"), _host("x.test")) == "matches 1 of 2 host observations"
    assert _why("many", _host("a.example")) == (
        "none of 1 host observations: at-least: 1 of 2 distinct host of a.example"
    )
    assert _why("pypi", _host("a.example")) == "not for npm packages"
    assert _why("other") == "not for this package"
    assert _why("engine", _host("a.example")) == "no finding of hosts"
    assert _why("grown", _host("a.example")) == "changed is upgraded, this is added"
    assert _why("new", _host("a.example")) == "only for a package that replaces another version"


def test_an_excuse_is_named_by_its_number_and_its_conditions() -> None:
    why = _why(
        "own", CommandRun(phase=Phase.INSTALL, argv=("curl", "a;b")), CommandRun(phase=Phase.INSTALL, argv=("x",))
    )
    assert why == "none of 2 command observations: excused by unless 1: plain: false, and 1 more reasons"


def test_a_correlation_names_the_group_that_is_missing() -> None:
    assert _why("chain", _host("a.example")) == "no finding of own or secrets"
    assert _why("chain-of-chain", _host("a.example")) == "no finding of chain"
    shadow = FileTouched(phase=Phase.INSTALL, path="/etc/shadow", read=True, write=False, delete=False)
    assert _why("chain", _host("a.example"), shadow) == "findings of hosts, secrets"


def test_a_file_of_which_a_group_is_missing() -> None:
    hit = LastPyMileHit(release="r", list="high_risk", file="a.py", test_name="exec_used", added=True)
    traces = _agree(RULES, package("thing", "1.2.3", engine=Engine.LASTPYMILE, observations=(hit,)))
    (look,) = traces["pair"].looks
    assert look.why == "together: group 2 is not hit in this file"
    traces = _agree(
        RULES, package("thing", "1.2.3", engine=Engine.LASTPYMILE, observations=(hit._replace(test_name=""),))
    )
    (look,) = traces["pair"].looks
    assert look.why == "hits no group of together"


def test_what_the_version_before_did_too_is_no_new_behaviour() -> None:
    source = """
    tests:
      - observe: [{host: a.example}, {host: b.a.example}]
        package: pkg:npm/thing@1.2.3
        earlier: [{host: a.example}]
        findings: []
    """
    (case,) = cases.read(source, "x", classify=dynamic.classified)
    traces = _agree(RULES, case.subject)
    assert [(look.matches, look.why) for look in traces["new"].looks] == [
        (False, "no new behaviour: the version before did it, too"),
        (True, ""),
    ]
    assert traces["grown"].matches
