"""What holds for every policy and every observation."""

import ipaddress
import json
import re
from datetime import date
from typing import Any

import pytest
import re2
import yaml
from hypothesis import given
from hypothesis import strategies as st

from scangate.errors import PolicyError, PolicyProblem
from scangate.models.analysis import Analysed, Engine, OutcomeCode, Phase, Shortfall
from scangate.models.lockfile import Dependency, Ecosystem, Kind, Relation, Scope
from scangate.models.observations import CommandRun, FileTouched, HostContacted, Network, Observation, SocketOpened
from scangate.models.verdict import Action, DecidedBy, Decider, OutcomeAction, Severity, Status, Subject, SubjectVerdict
from scangate.policy import loader
from scangate.policy.matcher import Matcher
from scangate.policy.model import Lint, Policy, Watch
from tests.policy.kit import TODAY, package, policy, verdict

# ------------------------------------------------------------------------------------------------ loader

_VOCABULARY = """
    version extends mode engines max-report-age registries exclude actions outcomes sets rules allow id title severity
    action observe match unless at-least all-of phases packages ecosystems suffix host path cmdline together count
    distinct per package reason owner expires overrides when scope dev cap except evidence lockfile lints hook changed
    added engines new-behaviour base.yml allow-unused default none enforce observe high deny pending 1 2 true 2027-06-30
    @registries pkg:npm/a@1 pkg:npm/a@* bait-secret [a] (?=x) (a+)+$ {name} ~ null yes 0.1 install npm command file
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

_PATTERNS = [
    "a",
    "^/a",
    "[.]npmrc$",
    "b.*j",
    "^npm install {name}@{version}$",
    "(?i)SH$",
    "^$",
    "[^a]b",
    "{name}",
    "[ -~].",
]
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

_STATUSES = (Status.PASSED, Status.WARNED, Status.INCOMPLETE, Status.BLOCKED)
_ACTIONS = (Action.NOTE, Action.WARN, Action.DENY)
_OUTCOME_ACTIONS = (OutcomeAction.NOTE, OutcomeAction.WARN, OutcomeAction.FAIL)
_RULES = """
extends: none
hook: {outcomes: {unreachable: warn}}
actions: {medium: warn, low: note}
rules:
- {id: talks, title: T, severity: high, observe: host}
- {id: runs, title: R, severity: medium, observe: command}
- {id: looks, title: L, severity: low, observe: file}
- {id: both, title: B, severity: critical, all-of: [talks, runs]}
"""
_ids = st.sampled_from(["talks", "runs", "looks", "both"])
_words_of_actions = st.sampled_from([str(action) for action in Action])
_words_of_outcomes = st.sampled_from([str(action) for action in OutcomeAction])

_evidence = st.fixed_dictionaries(
    {
        "host": st.fixed_dictionaries({"suffix": _some_hosts}),
        "command": st.lists(st.fixed_dictionaries({"plain": st.booleans()}), min_size=1, max_size=2),
        "file": st.fixed_dictionaries({"path": _fixed}),
    }
)
_exceptions = st.fixed_dictionaries(
    {
        "package": st.sampled_from(["pkg:npm/left-pad@1.3.0", "pkg:npm/left-pad@*", "pkg:npm/other@*"]),
        "rules": st.lists(_ids, min_size=1, max_size=3, unique=True),
        "reason": st.just("r"),
        "owner": st.just("o"),
        "expires": st.dates(date(2026, 6, 1), date(2026, 6, 30)),
    },
    optional={"evidence": _evidence},
)
_caps = st.fixed_dictionaries(
    {
        "when": st.sampled_from(
            [{"scope": "dev"}, {"ecosystem": ["npm", "pypi"]}, {"lockfile": "a", "relation": "direct"}]
        ),
        "cap": st.sampled_from(["warn", "note"]),
    },
    optional={"except": st.lists(_ids, min_size=1, max_size=2), "install-phase": st.booleans()},
)
_codes = st.sampled_from([str(code) for code in OutcomeCode])
_loosening = st.fixed_dictionaries(
    {},
    optional={
        "allow": st.lists(_exceptions, min_size=1, max_size=3),
        "overrides": st.lists(_caps, min_size=1, max_size=3),
        "outcomes": st.dictionaries(_codes, _words_of_outcomes, min_size=1, max_size=4),
        "actions": st.dictionaries(st.sampled_from([str(each) for each in Severity]), _words_of_actions, min_size=1),
        "lints": st.dictionaries(st.sampled_from([str(lint) for lint in Lint]), _words_of_actions, min_size=1),
        "hook": st.fixed_dictionaries(
            {"outcomes": st.dictionaries(st.sampled_from(["pending", "unreachable"]), _words_of_outcomes, min_size=1)}
        ),
        "rules": st.lists(
            st.fixed_dictionaries({"id": _ids, "action": _words_of_actions})
            | st.fixed_dictionaries({"id": _ids, "severity": st.sampled_from([str(each) for each in Severity])}),
            min_size=1,
            max_size=2,
            unique_by=lambda each: each["id"],
        ),
    },
)


@st.composite
def _subjects(draw: st.DrawFn) -> Subject:
    codes = draw(st.lists(st.sampled_from(OutcomeCode), max_size=2))
    shortfalls = tuple(Shortfall(code=code) for code in codes)
    result = Analysed(engine=Engine.DYNAMIC_ANALYSIS, observations=tuple(draw(_observations)), shortfalls=shortfalls)
    name = draw(st.sampled_from(["left-pad", "other", "third"]))
    entries = st.builds(
        Dependency,
        ecosystem=st.just(Ecosystem.NPM),
        name=st.just(name),
        version=st.just("1.3.0"),
        kind=st.just(Kind.REGISTRY),
        purl=st.just(f"pkg:npm/{name}@1.3.0"),
        scope=st.sampled_from(Scope),
        relation=st.sampled_from(Relation),
        lockfile=st.sampled_from(["a/x", "b/x"]),
    )
    return package(name, results=[result], dependencies=tuple(draw(st.lists(entries, max_size=2))))


def _text(tree: dict[str, Any]) -> str:
    """As YAML, without the aliases that PyYAML makes of an object that stands there twice."""
    return yaml.safe_dump(json.loads(json.dumps(tree, default=str)), sort_keys=False)


def _is_ours(decided_by: DecidedBy) -> bool:
    """An entry of the file that loosens, not of the one that it extends."""
    return decided_by.where.startswith("scangate.yml:")


@given(st.lists(_subjects(), min_size=1, max_size=3, unique_by=lambda subject: subject.key), _loosening, st.booleans())
def test_a_policy_is_loosened_only_by_entries_that_the_verdict_shows(
    subjects: list[Subject], loosening: dict[str, Any], hook: bool
) -> None:
    """Wherever the verdict is milder than that of the file that is extended, it names an entry as the reason."""
    plain = policy("mode: observe\nextends: org.yml\n", org=_RULES)
    text = _text({"mode": "observe", "extends": "org.yml", **loosening})
    changed = policy(text, org=_RULES)
    if hook:
        plain, changed = plain.in_hook(), changed.in_hook()
    before, after = verdict(plain, *subjects), verdict(changed, *subjects)
    shown = False
    for one, other in zip(before.subjects, after.subjects, strict=True):
        shown_here = _loosened_visibly(one, other)
        assert shown_here or _STATUSES.index(other.status) >= _STATUSES.index(one.status)
        shown = shown or shown_here
    assert shown or _STATUSES.index(after.status) >= _STATUSES.index(before.status)


def _loosened_visibly(one: SubjectVerdict, other: SubjectVerdict) -> bool:
    """Whether an entry shows in `other`; all that is milder than in `one` has one."""
    # Nothing is lost: the same findings with the same evidence, the same shortfalls.
    assert [(each.rule, each.evidence) for each in one.findings] == [
        (each.rule, each.evidence) for each in other.findings
    ]
    assert [each.shortfall for each in one.shortfalls] == [each.shortfall for each in other.shortfalls]
    shown = False
    for was, found in zip(one.findings, other.findings, strict=True):
        assert _is_ours(found.decided_by) or found.action == was.action
        assert found.where.startswith("scangate.yml:") or found.severity == was.severity
        assert found.allowed is None or found.allowed.where.startswith("scangate.yml:")
        shown = shown or found.allowed is not None or _ACTIONS.index(found.action) < _ACTIONS.index(was.action)
    for gap, now in zip(one.shortfalls, other.shortfalls, strict=True):
        assert _is_ours(now.decided_by) or now.action == gap.action
        shown = shown or _OUTCOME_ACTIONS.index(now.action) < _OUTCOME_ACTIONS.index(gap.action)
    return shown


@given(
    st.lists(_subjects(), min_size=1, max_size=2, unique_by=lambda subject: subject.key), st.lists(_caps, min_size=1)
)
def test_no_cap_lowers_an_install_phase_finding_unless_it_says_so(
    subjects: list[Subject], caps: list[dict[str, Any]]
) -> None:
    silent = [{key: value for key, value in cap.items() if key != "install-phase"} for cap in caps]
    capped = policy(_text({"extends": "org.yml", "mode": "observe", "overrides": silent}), org=_RULES)
    for judged in verdict(capped, *subjects).subjects:
        for finding in judged.findings:
            seen_at_install = any(getattr(each, "phase", None) is Phase.INSTALL for each in finding.evidence)
            assert not (seen_at_install and finding.decided_by.decider is Decider.OVERRIDE)


@given(st.lists(_exceptions, min_size=1, max_size=4), st.sampled_from(["deny", "warn", "note"]))
def test_each_entry_that_has_ended_is_named_with_what_it_does(entries: list[dict[str, Any]], action: str) -> None:
    text = _text({"extends": "org.yml", "lints": {"allow-expired": action}, "allow": entries})
    decided = verdict(policy(text, org=_RULES), package(observations=[]))
    ended = [notice for notice in decided.notices if notice.code == "allow-expired"]
    assert len(ended) == sum(entry["expires"] <= TODAY for entry in entries)
    assert all(notice.action == action and _is_ours(notice.decided_by) for notice in ended)
    assert not ended or action != "deny" or decided.status is Status.BLOCKED


_overrides = st.dictionaries(
    st.sampled_from(["net-on-install", "bait-secret"]), st.sampled_from(["deny", "warn", "note"]), max_size=2
)


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
