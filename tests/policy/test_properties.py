"""What holds for every policy and every observation."""

import dataclasses
import ipaddress
import re
from datetime import date
from typing import Any

import pytest
import re2
import yaml
from hypothesis import given
from hypothesis import strategies as st

from scangate.errors import PolicyError, PolicyProblem
from scangate.models import (
    BUILT_IN,
    Analysed,
    CommandRun,
    Engine,
    FileTouched,
    HostContacted,
    Network,
    Observation,
    OutcomeCode,
    Phase,
    Shortfall,
    SocketOpened,
    Status,
    Subject,
)
from scangate.policy import loader
from scangate.policy.exit_codes import exit_code
from scangate.policy.matcher import Matcher
from scangate.policy.model import Policy, Watch
from tests.policy.kit import package, policy, verdict

# ------------------------------------------------------------------------------------------------ loader

_VOCABULARY = """
    version extends mode engines max-report-age registries exclude actions outcomes sets rules allow id title severity
    action observe match unless at-least all-of phases packages ecosystems suffix host path cmdline together count
    distinct per package reason expires default none enforce observe high deny pending 1 2 true 2027-06-30 @registries
    pkg:npm/a@1 pkg:npm/a@* bait-secret [a] (?=x) (a+)+$ {name} ~ null yes 0.1 install npm command file
"""
_words = st.sampled_from(_VOCABULARY.split())
_trees = st.recursive(
    _words | st.integers() | st.booleans() | st.text(max_size=8) | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_words, inner, max_size=5),
    max_leaves=25,
)


def _load(source: str | bytes) -> None:
    problems = _problems(source)
    assert all(problem.line >= 1 and problem.column >= 1 for problem in problems)


def _problems(source: str | bytes) -> tuple[PolicyProblem, ...]:
    """What is wrong with it; nothing else than a PolicyError is caught, and none is without a problem."""
    try:
        loader.load(source, "scangate.yml")
    except PolicyError as exc:
        return exc.problems or pytest.fail("an error that names no problem")
    return ()


@given(st.binary(max_size=200))
def test_bytes_are_a_policy_or_a_policy_error(source: bytes) -> None:
    _load(source)
    _load(b"version: 1\n" + source)


@given(st.text(st.characters(), max_size=200))
def test_text_is_a_policy_or_a_policy_error(source: str) -> None:
    _load(source)
    _load("version: 1\nrules:\n- {" + source + "}")


@given(st.dictionaries(_words, _trees, max_size=6))
def test_yaml_is_a_policy_or_a_policy_error(tree: dict[str, Any]) -> None:
    _load(yaml.safe_dump({**tree, "version": 1}, allow_unicode=True))


@given(st.text("[]{}:-,&*!|>'\"%@`#?\n \t~ab1", max_size=120))
def test_punctuation_is_a_policy_or_a_policy_error(source: str) -> None:
    _load("version: 1\nexclude: " + source)


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=30))
def test_a_text_is_read_as_it_was_written(text: str) -> None:
    quoted = "'" + text.replace("'", "''") + "'"
    assert policy(f"exclude: [{quoted}]").exclude == (text,)


# ----------------------------------------------------------------------------------------------- matcher

_HOSTS = ["a.example", "b.a.example", "ba.example", "example", "c.example", "0123.a.example", ""]
_PATHS = ["/a/b.js", "/a/.npmrc", "/tmp/a b", "/ü/\ud800", "/x\n/a", ""]
_ARGV = ["npm", "install", "left-pad@1.3.0", "left-padx1.3.0", "a;b", "/bin/sh", "-c", "\udcff", ""]
_ADDRESSES = ["192.0.2.1", "192.0.2.255", "198.51.100.7", "::ffff:192.0.2.1", "2001:db8::1", "x", ""]

_phases = st.sampled_from(Phase)
_hosts = st.builds(
    HostContacted, phase=_phases, host=st.sampled_from(_HOSTS), via=st.sampled_from([("dns",), ("dns", "socket")])
)
_files = st.builds(
    FileTouched,
    phase=_phases,
    path=st.sampled_from(_PATHS),
    read=st.booleans(),
    write=st.booleans(),
    delete=st.booleans(),
)
_commands = st.builds(CommandRun, phase=_phases, argv=st.lists(st.sampled_from(_ARGV), max_size=4).map(tuple))
_sockets = st.builds(
    SocketOpened,
    phase=_phases,
    address=st.sampled_from(_ADDRESSES),
    port=st.sampled_from([0, 22, 443]),
    network=st.sampled_from(Network),
    hostnames=st.sampled_from([(), ("a.example",)]),
)
_observations = st.lists(_hosts | _files | _commands | _sockets, max_size=12)

_PATTERNS = ["a", "^/a", "[.]npmrc$", "b.*j", "^npm install {name}@{version}$", "(?i)SH$", "^$", "[^a]b", "{name}", "."]
_patterns = st.lists(st.sampled_from(_PATTERNS), min_size=1, max_size=3)
_fixed = st.lists(st.sampled_from([each for each in _PATTERNS if "{" not in each]), min_size=1, max_size=3)
_some_hosts = st.lists(st.sampled_from(["a.example", "example", "c.example"]), min_size=1, max_size=2)
_nets = st.lists(st.sampled_from(["192.0.2.0/24", "192.0.2.1", "2001:db8::/32", "0.0.0.0/0"]), min_size=1, max_size=2)
_ports = st.lists(st.sampled_from([0, 22, 443]), min_size=1, max_size=2)

_CONDITIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "host": {"host": _fixed, "label": _fixed, "suffix": _some_hosts, "via": st.sampled_from(["dns", "socket"])},
    "file": {"path": _patterns, "read": st.booleans(), "write": st.booleans(), "delete": st.booleans()},
    "command": {"cmdline": _patterns, "argv0": _patterns, "arg": _patterns, "plain": st.booleans()},
    "socket": {
        "address": _nets,
        "port": _ports,
        "port-not": _ports,
        "network": st.sampled_from([str(network) for network in Network]),
        "named": st.booleans(),
    },
}


@st.composite
def _rules(draw: st.DrawFn) -> dict[str, Any]:
    observe = draw(st.sampled_from(sorted(_CONDITIONS)))
    conditions = st.fixed_dictionaries({}, optional=_CONDITIONS[observe])
    some = conditions.filter(bool)
    rule: dict[str, Any] = {"observe": observe}
    if match := draw(conditions):
        rule["match"] = match
    if unless := draw(st.lists(some, max_size=2)):
        rule["unless"] = unless
    if phases := draw(st.lists(_phases.map(str), max_size=2)):
        rule["phases"] = phases
    return rule


def _naive(key: str, wanted: Any, observation: Any) -> bool:
    """One condition, one pattern, one observation at a time, written from the language's description."""
    values = wanted if isinstance(wanted, list) else [wanted]

    def found(*texts: str) -> bool:
        options = re2.Options()
        options.dot_nl = True
        filled = [
            value.replace("{name}", re.escape("left-pad")).replace("{version}", re.escape("1.3.0")) for value in values
        ]
        clean = [text.encode("utf-8", "replace").decode() for text in texts]
        return any(re2.search(pattern, text, options) for pattern in filled for text in clean)

    match key:
        case "host" | "path":
            return found(getattr(observation, key))
        case "label":
            return found(*observation.host.split("."))
        case "suffix":
            return any(("." + observation.host).endswith("." + domain) for domain in values)
        case "via" | "network":
            has = getattr(observation, key)
            return any(value in has if key == "via" else value == has for value in values)
        case "cmdline":
            return found(" ".join(observation.argv))
        case "argv0":
            return found(observation.argv[0].split("/")[-1] if observation.argv else "")
        case "arg":
            return found(*observation.argv)
        case "plain":
            return wanted is not bool(re.search(r"[;&|`<>\n\r]|\$\(", " ".join(observation.argv)))
        case "address":
            return any(_inside(observation.address, value) for value in values)
        case "port":
            return observation.port in values
        case "port-not":
            return observation.port not in values
        case "named":
            return wanted is (observation.hostnames != ())
        case _:
            return wanted is getattr(observation, key)


def _inside(address: str, network: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address.removeprefix("::ffff:"))
    except ValueError:
        return False
    return parsed in ipaddress.ip_network(network)


_KINDS = {"host": HostContacted, "file": FileTouched, "command": CommandRun, "socket": SocketOpened}


def _naive_rule(rule: dict[str, Any], observation: Observation) -> bool:
    def all_hold(conditions: dict[str, Any]) -> bool:
        return all(_naive(key, wanted, observation) for key, wanted in conditions.items())

    return (
        isinstance(observation, _KINDS[rule["observe"]])
        and observation.phase in rule.get("phases", list(Phase))
        and all_hold(rule.get("match", {}))
        and not any(all_hold(excuse) for excuse in rule.get("unless", []))
    )


def _made(rules: list[dict[str, Any]]) -> Policy:
    head = [{"id": f"r-{number}", "title": "T", "severity": "high", **rule} for number, rule in enumerate(rules)]
    return loader.load(yaml.safe_dump({"version": 1, "extends": "none", "rules": head}), "scangate.yml")


@given(st.lists(_rules(), min_size=1, max_size=5), _observations)
def test_the_matcher_equals_asking_one_by_one(rules: list[dict[str, Any]], observations: list[Observation]) -> None:
    findings = Matcher(_made(rules).rules).findings(package(observations=observations))
    matched = {finding.rule: set(finding.evidence) for finding in findings}
    expected = {
        f"r-{number}": {each for each in observations if _naive_rule(rule, each)} for number, rule in enumerate(rules)
    }
    assert matched == {id_: evidence for id_, evidence in expected.items() if evidence}


@given(st.lists(_rules(), min_size=1, max_size=4), _observations, _observations)
def test_more_observations_never_hide_a_finding(
    rules: list[dict[str, Any]], observations: list[Observation], more: list[Observation]
) -> None:
    matcher = Matcher(_made(rules).rules)
    few = {finding.rule: set(finding.evidence) for finding in matcher.findings(package(observations=observations))}
    all_ = matcher.findings(package(observations=[*observations, *more]))
    many = {finding.rule: set(finding.evidence) for finding in all_}
    assert all(evidence <= many.get(rule, set()) for rule, evidence in few.items())


# ------------------------------------------------------------------------------------- loosening is visible

_WEIGHT = (Status.PASSED, Status.WARNED, Status.INCOMPLETE, Status.BLOCKED)
_RULES = """
rules:
- {id: talks, title: T, severity: high, observe: host}
- {id: runs, title: R, severity: medium, observe: command}
- {id: looks, title: L, severity: low, observe: file}
"""

_exceptions = st.fixed_dictionaries(
    {
        "package": st.sampled_from(["pkg:npm/left-pad@1.3.0", "pkg:npm/left-pad@*", "pkg:npm/other@*"]),
        "rules": st.lists(st.sampled_from(["talks", "runs", "looks"]), min_size=1, max_size=2, unique=True),
        "reason": st.just("r"),
        "owner": st.just("o"),
        "expires": st.dates(date(2026, 6, 1), date(2026, 6, 30)),
    }
)
_overrides = st.dictionaries(
    st.sampled_from(["net-on-install", "bait-secret"]), st.sampled_from(["deny", "warn", "note"]), max_size=2
)
_outcomes = st.dictionaries(
    st.sampled_from([str(code) for code in OutcomeCode]), st.sampled_from(["fail", "warn", "note"]), max_size=4
)


@st.composite
def _subjects(draw: st.DrawFn) -> Subject:
    codes = draw(st.lists(st.sampled_from(OutcomeCode), max_size=2))
    shortfalls = tuple(Shortfall(code=code) for code in codes)
    result = Analysed(engine=Engine.DYNAMIC_ANALYSIS, observations=tuple(draw(_observations)), shortfalls=shortfalls)
    return package(draw(st.sampled_from(["left-pad", "other", "third"])), results=[result])


@given(
    st.lists(_subjects(), min_size=1, max_size=3, unique_by=lambda subject: subject.key),
    st.lists(_exceptions, max_size=3),
    _outcomes,
)
def test_a_policy_is_loosened_only_by_entries_that_the_verdict_shows(
    subjects: list[Subject], allow: list[dict[str, Any]], outcomes: dict[str, str]
) -> None:
    """Where the verdict is milder than without `allow` and `outcomes`, it names an entry of theirs as the reason."""
    plain = policy(_RULES)
    extra = {key: value for key, value in (("allow", allow), ("outcomes", outcomes)) if value}
    changed = policy(_RULES + (yaml.safe_dump(extra) if extra else ""))
    before, after = verdict(plain, *subjects), verdict(changed, *subjects)
    for one, other in zip(before.subjects, after.subjects, strict=True):
        # Nothing is lost: the same findings with the same evidence, the same shortfalls.
        assert one.findings == tuple(dataclasses.replace(finding, allowed=None) for finding in other.findings)
        assert {each.shortfall for each in one.shortfalls} == {each.shortfall for each in other.shortfalls}
        shown = [finding.allowed.where for finding in other.findings if finding.allowed is not None]
        shown += [str(each.decided_by) for each in other.shortfalls if each.decided_by != BUILT_IN]
        milder = _WEIGHT.index(other.status) < _WEIGHT.index(one.status)
        assert not milder or any(place.startswith("scangate.yml:") for place in shown)
    if before.status is Status.BLOCKED and not any(each.allowed for item in after.subjects for each in item.findings):
        assert exit_code(after) == exit_code(before)


@given(_overrides)
def test_an_overridden_rule_says_who_decided(overrides: dict[str, str]) -> None:
    known = {rule.id for rule in loader.default().rules}
    entries = [{"id": id_, "action": action} for id_, action in overrides.items() if id_ in known]
    changed = policy("mode: observe\n" + (yaml.safe_dump({"rules": entries}) if entries else ""))
    for rule, default in zip(changed.rules, loader.default().rules, strict=True):
        assert isinstance(rule.test, Watch) == isinstance(default.test, Watch)
        touched = rule.id in {entry["id"] for entry in entries}
        assert (rule.decided != default.decided) is touched
        assert rule.decided.by.where.startswith("scangate.yml:") is touched
        assert rule.test == default.test
