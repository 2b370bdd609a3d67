"""scangate.yml is read strictly: each mistake is an error with its place, and says what to write instead."""

from collections.abc import Iterator
from datetime import date

import pytest
import yaml

from scangate.errors import ExitCode, PolicyError
from scangate.models.analysis import Engine, OutcomeCode, Phase
from scangate.models.lockfile import Ecosystem
from scangate.models.verdict import Action, Mode, OutcomeAction, Severity
from scangate.policy import document, loader, schema, shapes
from scangate.policy.model import ACTIONS, OUTCOMES, AllOf, AtLeast, Condition, Observe, PackageGlob, Watch
from scangate.registries import ALL_PUBLIC_HOSTS, FILES_HOST
from tests.policy.kit import package, policy, rule, rules


@pytest.fixture(params=["libyaml", "pure Python"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both of PyYAML's parsers: a wheel without libyaml must say the same."""
    if request.param == "pure Python":
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)


BASE = "version: 1\n"
RULE = "version: 1\nrules:\n- {id: a-rule, title: T, severity: high, observe: "

MISTAKES = [
    # text, line:column, what is wrong, what to write
    ("", "1:1", "an empty file", "version: 1"),
    ("# only a comment\n", "1:1", "an empty file", "version: 1"),
    ("---\n...\n", "2:1", "expected a mapping (the policy), found nothing", ""),
    ("[]", "1:1", "expected a mapping (the policy), found a list", ""),
    ("{}", "1:1", "nothing stands in it", ""),
    ("mode: observe", "1:1", "the policy needs 'version'", "version"),
    ("version: 2", "1:10", "expected the number 1, found '2'", ""),
    ("version: '1'", "1:10", "expected the number 1, found '1'", "without quotes"),
    ("version: 1.0", "1:10", "expected the number 1, found '1.0'", "decimal digits"),
    ("version: 01", "1:10", "expected the number 1", "decimal digits"),
    ("version: 1\n---\nversion: 1\n", "2:1", "a second document", "one document"),
    (BASE + "mod: observe", "2:1", "the policy has no key 'mod'", "Did you mean 'mode'?"),
    (BASE + "max_report_age: 3", "2:1", "no key 'max_report_age'", "Did you mean 'max-report-age'?"),
    (BASE + "zzz: 3", "2:1", "no key 'zzz'", "Valid here: actions, allow"),
    (BASE + "mode: enforced", "2:7", "unknown word 'enforced'", "Did you mean 'enforce'?"),
    (BASE + "mode: [observe]", "2:7", "expected one of enforce, observe, found a list", ""),
    (BASE + "mode: {a: b}", "2:7", "found a mapping", ""),
    (BASE + "mode:", "2:6", "found nothing", ""),
    (BASE + "mode: ~", "2:7", "found nothing", ""),
    (BASE + "mode: observe\nmode: enforce", "3:1", "key 'mode' stands twice", "The first is in line 2."),
    (BASE + "<<: {mode: observe}", "2:1", "a merge key", "Write the keys out."),
    (BASE + "? [a]\n: b", "2:3", "a key that is a list or a mapping", ""),
    (BASE + "mode: !!str observe", "2:7", "a YAML tag", "Remove it"),
    (BASE + "mode: !!python/name:os.system x", "2:7", "a YAML tag", "Remove it"),
    (BASE + "mode: &a observe", "2:7", "a YAML anchor", "sets"),
    (BASE + "exclude: &a [*a]", "2:14", "an alias", "sets"),
    (BASE + "exclude: *a", "2:10", "an alias", "sets"),
    (BASE + "exclude: " + "[" * 40, "2:26", "nested deeper than 16 levels", ""),
    (BASE + "exclude: [a\n", "3:1", "not YAML", ""),
    (BASE + "mode: 'obs", "2:11", "not YAML", ""),
    (BASE + "\tmode: observe", "2:1", "not YAML", ""),
    (BASE + "mode: a: b", "2:8", "not YAML", ""),
    (BASE + "mode: \x07", "2:7", "character U+0007 is not allowed", "Remove it."),
    (BASE + "mode: \ud800", "2:7", "character U+D800 is not allowed", "Remove it."),
    ("version: 1\r\nmod: x", "2:1", "no key 'mod'", ""),
    ("\ufeffversion: 1\nmod: x", "2:1", "no key 'mod'", ""),
    (BASE + "exclude: []", "2:10", "nothing stands in it", ""),
    (BASE + "exclude: {a: b}", "2:10", "expected a glob, found a mapping", ""),
    (BASE + "max-report-age: 0", "2:17", "expected a whole number from 1 to 3650, found '0'", ""),
    (BASE + "max-report-age: 0x10", "2:17", "found '0x10'", "decimal digits"),
    (BASE + "max-report-age: 1_0", "2:17", "found '1_0'", "decimal digits"),
    (BASE + "engines: [lastpymil]", "2:11", "unknown word 'lastpymil'", "Did you mean 'lastpymile'?"),
    (BASE + "actions: {hig: deny}", "2:11", "unknown word 'hig'", "Did you mean 'high'?"),
    (BASE + "actions: {high: fail}", "2:17", "unknown word 'fail'", "Valid here: deny, note, warn."),
    (BASE + "actions: high", "2:10", "expected a mapping", ""),
    (BASE + "actions: {}", "2:10", "nothing stands in it", ""),
    (BASE + "outcomes: {report_missing: warn}", "2:12", "'report_missing'", "Did you mean 'report-missing'?"),
    (BASE + "outcomes: {pending: deny}", "2:21", "unknown word 'deny'", "fail, note, warn"),
    (BASE + "hook: {outcomes: {blind: warn}}", "2:19", "unknown word 'blind'", "Valid here: pending, unreachable."),
    (BASE + "hook: {outcomes: {pending: deny}}", "2:28", "unknown word 'deny'", "fail, note, warn"),
    (BASE + "hook: {outcome: {pending: warn}}", "2:7", "hook needs 'outcomes'", "Add `outcomes: …`."),
    (BASE + "registries: {mirrors: 'https://a.example/'}", "2:23", "expected a host name", ""),
    (BASE + "registries: {private: [{names: 'a-*'}]}", "2:24", "a private registry needs 'host'", ""),
    (BASE + "registries: {private: [{host: a.example, name: x}]}", "2:42", "no key 'name'", "'names'"),
    (BASE + f"registries: {{private: [{FILES_HOST}]}}", "2:24", "is a public registry: without `names`", "`names`"),
    (BASE + "sets: {Big: [a]}", "2:8", "expected a kebab-case word, found 'Big'", ""),
    (BASE + "sets: {registries: [a.example]}", "2:8", "'registries' is a built-in set", "another name"),
    (BASE + "sets: {a: [b.example, '@c']}", "2:23", "a set within a set", ""),
    (BASE + "sets: {a: b}", "2:11", "expected a list, found 'b'", ""),
    (BASE + "sets: [a]", "2:7", "expected a mapping, found a list", ""),
    (BASE + "rules: [x]", "2:9", "expected a mapping (a rule), found 'x'", ""),
    (BASE + "rules:\n- {id: x}", "3:3", "a rule needs 'title'", "`title: …`"),
    (RULE + "hosts}", "3:51", "unknown word 'hosts'", "Did you mean 'host'?"),
    (RULE + "host, match: {hots: a}}", "3:65", "no key 'hots'", "Did you mean 'host'?"),
    (RULE + "host, match: {path: a}}", "3:65", "match of `observe: host` has no key 'path'", ""),
    (RULE + "host, match: {}}", "3:64", "nothing stands in it", ""),
    (RULE + "host, unless: {}}", "3:65", "nothing stands in it", ""),
    (RULE + "host, unless: []}", "3:65", "nothing stands in it", ""),
    (RULE + "host, match: {host: '(?=a)'}}", "3:71", "not a pattern: invalid perl operator: (?=", "google-re2"),
    (RULE + "host, match: {host: 'a{1000}{1000}'}}", "3:71", "not a pattern", ""),
    (RULE + "host, match: {host: '(\\pL{30}){30}'}}", "3:71", "too large", ""),
    (RULE + f"host, match: {{host: {'a' * 5000}}}}}", "3:71", "longer than 4096", ""),
    (RULE + "host, match: {host: ''}}", "3:71", "not a pattern: it is found in every text", ""),
    (RULE + "host, match: {host: '{name}'}}", "3:71", "a placeholder has no meaning here", "commands and paths"),
    (RULE + "host, match: {suffix: '*.a.example'}}", "3:73", "expected a host name, found '*.a.example'", ""),
    (RULE + "host, match: {suffix: '@registrie'}}", "3:73", "no set 'registrie'", "Did you mean 'registries'?"),
    (RULE + "host, match: {via: http}}", "3:70", "unknown word 'http'", "dns, socket"),
    (
        RULE + "socket, match: {address: 192.0.2.1/24}}",
        "3:76",
        "expected an IP address or network",
        "has host bits set",
    ),
    (RULE + "socket, match: {address: '@registries'}}", "3:76", "in set 'registries': expected an IP address", ""),
    (RULE + "socket, match: {port: 65536}}", "3:73", "from 0 to 65535", ""),
    (RULE + "socket, match: {port: '443'}}", "3:73", "found '443'", "without quotes"),
    (RULE + "socket, match: {named: yes}}", "3:74", "expected true or false, found 'yes'", "`true` or `false`"),
    (RULE + "socket, match: {named: 'true'}}", "3:74", "found 'true'", "without quotes"),
    (RULE + "host, at-least: {count: 1, distinct: host}}", "3:75", "from 2 to", ""),
    (RULE + "host, at-least: {count: 3}}", "3:67", "needs 'distinct'", ""),
    (RULE + "file, at-least: {count: 3, distinct: path, per: domain}}", "3:99", "unknown word 'domain'", "package"),
    (RULE + "lockfile, phases: install}", "3:61", "'phases' has no meaning with `observe: lockfile`", "host, socket"),
    (RULE + "package, match: {name: x}}", "3:60", "'match' has no meaning with `observe: package`", ""),
    (RULE + "package}", "3:3", "needs 'packages'", "ban everything"),
    (RULE + "package, packages: 'pkg:nmp/a'}", "3:70", "unknown package type 'nmp'", "npm, pypi"),
    (RULE + "package, packages: left-pad}", "3:70", "expected a purl", ""),
    (RULE + "host, ecosystems: pip}", "3:69", "unknown word 'pip'", "Valid here: npm, pypi"),
    (
        BASE + "allow: [{package: 'pkg:npm/a@1', rules: [], reason: r, owner: o, expires: [a]}]",
        "2:41",
        "nothing stands in it",
        "",
    ),
    (
        BASE + "allow: [{package: 'pkg:npm/a@1', rules: x, reason: r, owner: o, expires: [a]}]",
        "2:74",
        "expected a date",
        "Write a date.",
    ),
    (BASE + "rules: [{id: a, title: T, severity: low, action: {}, observe: bait}]", "2:50", "found a mapping", ""),
    (RULE + "socket, match: {named: [true]}}", "3:74", "expected true or false, found a list", ""),
    (RULE + "socket, match: {address: [[a]]}}", "3:77", "expected an IP address or network, found a list", ""),
    (RULE + "host, match: {host: [[a]]}}", "3:72", "expected a pattern, found a list", ""),
    (RULE + "host, match: {host: '[a\n\n  b'}}", "3:71", "not a pattern: missing ]: [a b", ""),
    (RULE + "host, at-least: {count: x, distinct: host}}", "3:75", "expected a whole number from 2 to", ""),
    (RULE + "host, description: {a: b}}", "3:70", "expected a text, found a mapping", ""),
    (RULE + "host, description: '  '}", "3:70", "expected a text, found '  '", ""),
    (RULE + f"host, advice: {'x' * 2001}}}", "3:65", "longer than 2000 characters", "Shorten it."),
    (RULE + "host, references: http://a.example}", "3:69", "expected an https URL", ""),
    (RULE + "host, all-of: [[a-rule]]}", "3:42", "an all-of rule has no key 'observe'", ""),
    ("version: 1\nrules:\n- {id: a, title: T, severity: high, match: {a: b}}", "3:3", "a rule needs 'observe'", ""),
    (
        "version: 1\nrules:\n- {id: x, title: T, severity: low, all-of: [[bait-sekret]]}",
        "3:46",
        "no rule",
        "'bait-secret'",
    ),
    (RULE + "bait}\n- {id: a-rule, title: T, severity: low, observe: bait}", "4:8", "'a-rule' stands twice", "line 3"),
    ("version: 1\nrules:\n- {id: bait-secret}", "3:3", "without a change", "`severity` or `action`"),
    ("version: 1\nrules:\n- {id: bait-secret, severity: low, match: {}}", "3:36", "no key 'match'", "built in"),
    (BASE + "allow: [{package: 'pkg:npm/a@1', rules: bait-secret, reason: r, owner: o}]", "2:9", "needs 'expires'", ""),
    (BASE + "extends: none", "1:1", "an empty policy", "Add `rules`"),
    (BASE + "actions: {critical: warn, high: note}", "1:1", "no rule of this policy can deny", "mode: observe"),
]


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(("text", "place", "problem", "hint"), MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_is_named_with_its_place(text: str, place: str, problem: str, hint: str) -> None:
    with pytest.raises(PolicyError) as caught:
        loader.load(text, "conf/scangate.yml")
    first = caught.value.problems[0]
    assert f"{first.line}:{first.column}" == place, caught.value.message
    assert problem in first.message
    assert hint in first.hint
    assert caught.value.message.startswith(f"conf/scangate.yml:{place}: {first.message}")
    assert caught.value.hint == first.hint
    assert caught.value.exit_code is ExitCode.USAGE
    assert "\n" not in caught.value.message


ALLOW = BASE + "allow:\n- {rules: bait-secret, reason: r, owner: o, expires: 2027-06-30, package: "

BAD_EXCEPTIONS = [
    ("pkg:npm/a}", "expected a purl with a version"),
    ("'pkg:npm/@acme/a'}", "is not one package"),
    ("'pkg:npm/a*@1.0.0'}", "is not one package"),
    ("'pkg:npm/a@1.*'}", "is not one package"),
    ("'pkg:npm/*@*'}", "is not one package"),
    ("'pkg:nmp/a@1'}", "unknown type 'nmp'"),
    ("'pkg:npm/acme/a@1'}", "is not a package URL"),
    ("'gti:npm/a@1'}", "is neither a purl nor"),
    ("'git:nmp/a@1'}", "is neither a purl nor"),
]


@pytest.mark.parametrize(("rest", "problem"), BAD_EXCEPTIONS)
def test_an_exception_is_for_one_package(rest: str, problem: str) -> None:
    with pytest.raises(PolicyError, match=f"scangate.yml:3:{len(ALLOW.splitlines()[-1]) + 1}: ") as caught:
        loader.load(ALLOW + rest, "scangate.yml")
    assert problem in caught.value.message


@pytest.mark.parametrize(
    "expires", ["2027-02-30", "2027-6-3", "30.06.2027", "2027-06-30T00:00:00", "20270630", "2027-W01-1", "never", "0"]
)
def test_a_date_is_an_iso_date(expires: str) -> None:
    with pytest.raises(PolicyError, match="expected a date"):
        policy(f"allow: [{{package: 'pkg:npm/a@1', rules: bait-secret, reason: r, owner: o, expires: {expires}}}]")


def test_unknown_rules_of_an_exception_are_errors() -> None:
    with pytest.raises(PolicyError, match="there is no rule 'bait-sekret'") as caught:
        policy("allow: [{package: 'pkg:npm/a@1', rules: [bait-sekret], reason: r, owner: o, expires: 2027-06-30}]")
    assert caught.value.hint == "Did you mean 'bait-secret'?"


def test_all_mistakes_are_collected_in_the_order_of_the_file() -> None:
    keys = [f"key-{number}: {number}" for number in range(25)]
    with pytest.raises(PolicyError) as caught:
        policy("\n".join(keys))
    assert [problem.line for problem in caught.value.problems] == list(range(2, 12))
    assert "(and 24 more)" in caught.value.message


def test_a_file_of_nothing_but_mistakes_ends_early() -> None:
    """Each hint costs a search: 100,000 of them would take a minute."""
    with pytest.raises(PolicyError, match=r"and 99 more") as caught:
        policy("\n".join(f"key-{number}: {number}" for number in range(20_000)))
    assert len(caught.value.problems) == document.MAX_PROBLEMS


def test_a_circle_of_correlations_is_an_error() -> None:
    with pytest.raises(PolicyError, match=r"scangate\.yml:7:3: rules refer to each other") as caught:
        rules("""
            - {id: a, title: A, severity: high, observe: bait}
            - {id: b, title: B, severity: high, all-of: [[a], [c]]}
            - {id: c, title: C, severity: high, all-of: [[b]]}
        """)
    assert "b" in caught.value.message


def test_a_rule_cannot_require_itself() -> None:
    with pytest.raises(PolicyError, match="refer to each other"):
        rules("- {id: a, title: A, severity: high, all-of: [[a]]}")


@pytest.mark.usefixtures("parser")
def test_bytes_that_are_not_utf8() -> None:
    with pytest.raises(PolicyError, match=r"p\.yml:2:7: not UTF-8: byte 0xfc"):
        loader.load(b"version: 1\n# gr\xc3\xbc\xc3\x9f\xfcn", "p.yml")
    assert loader.load("version: 1\n# grüß".encode("utf-8-sig"), "p.yml").mode is Mode.ENFORCE


def test_other_encodings_are_no_utf8() -> None:
    with pytest.raises(PolicyError, match=r"not UTF-8|not allowed"):
        loader.load("version: 1".encode("utf-16"), "p.yml")


def test_size_and_number_of_nodes_are_bounded() -> None:
    with pytest.raises(PolicyError, match="larger than 1024 KiB"):
        loader.load(b"#" * (document.MAX_BYTES + 1), "p.yml")
    with pytest.raises(PolicyError, match="more than 100000 nodes"):
        policy("exclude: [" + "a," * (document.MAX_NODES + 1) + "]")


# ------------------------------------------------------------------------------------------ what is right


def test_what_holds_for_the_whole_run_is_read() -> None:
    read = policy("""
        extends: none
        mode: observe
        engines: [lastpymile, dynamic-analysis, lastpymile]
        max-report-age: 30
        exclude: ["docs/**"]
        rules: [{id: a-rule, title: A rule, severity: low, observe: bait}]
    """)
    assert (read.where, read.mode, read.max_report_age) == ("scangate.yml", Mode.OBSERVE, 30)
    assert read.engines == (Engine.LASTPYMILE, Engine.DYNAMIC_ANALYSIS)
    assert read.exclude == ("docs/**",)


def test_registries_are_read_with_their_places() -> None:
    registries = policy("""
        registries:
          mirrors: [npm-mirror.example.com, "Mirror.Example:8443"]
          private:
            - npm.acme.example
            - {host: pypi.acme.example, names: ["acme-*", "@acme/*"]}
    """).registries
    assert registries.mirrors == {"npm-mirror.example.com", "mirror.example:8443"}
    assert [(each.host, each.names, each.where) for each in registries.private] == [
        ("npm.acme.example", (), "scangate.yml:5"),
        ("pypi.acme.example", ("acme-*", "@acme/*"), "scangate.yml:6"),
    ]


def test_actions_and_outcomes_are_read_with_who_decided_them() -> None:
    read = policy("""
        actions: {medium: deny}
        outcomes: {pending: warn}
    """)
    medium, pending = read.actions[Severity.MEDIUM], read.outcomes[OutcomeCode.PENDING]
    assert (medium.action, str(medium.by)) == (Action.DENY, "scangate.yml:2")
    assert (pending.action, str(pending.by)) == (OutcomeAction.WARN, "scangate.yml:3")


def test_every_key_of_a_rule_is_read() -> None:
    (rule,) = policy("""
        extends: none
        mode: observe
        rules:
          - id: a-rule
            title: on
            severity: medium
            action: note
            description: Because.
            advice: Don't.
            references: https://example.com/a
            ecosystems: npm
            packages: "pkg:npm/left-*"
            observe: host
            phases: [install, import]
            match: {suffix: [A.Example], via: dns}
            unless:
              - {host: '^x'}
              - {host: ['^y', '^z'], record-type: TXT}
            at-least: {count: 6, distinct: host, per: domain}
    """).rules
    assert (rule.id, rule.title, rule.severity, rule.place) == ("a-rule", "on", Severity.MEDIUM, "scangate.yml:5")
    assert (rule.decided.action, str(rule.decided.by)) == (Action.NOTE, "scangate.yml:5")
    assert (rule.description, rule.advice, rule.references) == ("Because.", "Don't.", ("https://example.com/a",))
    assert rule.ecosystems == (Ecosystem.NPM,)
    assert rule.test == Watch(
        observe=Observe.HOST,
        phases=(Phase.INSTALL, Phase.IMPORT),
        match=(Condition(key="suffix", values=("a.example",)), Condition(key="via", values=("dns",))),
        unless=(
            (Condition(key="host", values=("^x",)),),
            (Condition(key="host", values=("^y", "^z")), Condition(key="record-type", values=("TXT",))),
        ),
        at_least=AtLeast(least=6, distinct="host", per="domain"),
    )


def test_a_correlation_stands_behind_what_it_refers_to_wherever_it_was_written() -> None:
    _, *chains = policy("""
        extends: none
        rules:
          - {id: a-rule, title: A rule, severity: high, observe: bait}
          - {id: chain, title: Chain, severity: low, all-of: [a-rule, [a-rule, chain-2]]}
          - {id: chain-2, title: Chain 2, severity: low, all-of: [a-rule]}
    """).rules
    assert [chain.id for chain in chains] == ["chain-2", "chain"]
    assert chains[1].test == AllOf((("a-rule",), ("a-rule", "chain-2")))


def test_an_exception_is_read() -> None:
    (allowed,) = policy("""
        allow:
          - {package: "pkg:npm/esbuild@0.25.4", rules: [net-oast], reason: It may., owner: o, expires: 2027-06-30}
    """).allow
    assert (str(allowed.purl), allowed.rules, allowed.reason) == ("pkg:npm/esbuild@0.25.4", ("net-oast",), "It may.")
    assert (allowed.owner, allowed.expires, allowed.place) == ("o", date(2027, 6, 30), "scangate.yml:3")


def test_texts_stay_as_they_are_written() -> None:
    """None of YAML 1.1's readings: booleans, floats, octal and sexagesimal numbers, dates."""
    texts = ["on", "1.10", "012", "12:30:45", "2027-01-01", "1e3", "No", "0x1F", "=", ".inf"]
    assert policy(f"exclude: [{', '.join(texts)}]").exclude == tuple(texts)


def test_only_the_version_is_the_default_policy() -> None:
    read, default = policy(""), loader.default()
    assert read._replace(where="default", files=()) == default
    assert (read.files, default.files) == (("scangate.yml",), ())
    assert default.where == "default"
    assert {str(rule.decided.by) for rule in default.rules} == {"default"}


def test_a_default_for_every_severity_and_every_outcome() -> None:
    read = rule("observe: bait")
    assert {key: decided.action for key, decided in read.actions.items()} == ACTIONS
    assert {key: decided.action for key, decided in read.outcomes.items()} == OUTCOMES
    assert set(ACTIONS) == set(Severity)
    assert set(OUTCOMES) == set(OutcomeCode)


def test_the_documented_defaults_of_outcomes() -> None:
    """Issue text: what fails, and what only warns."""
    fail = """submit-error failed timeout pending report-missing wrong-package blind no-credentials over-budget
        unsupported-lockfile git url unreachable report-invalid integrity-mismatch truncated"""
    warn = "private-registry file unpinned import-failed phase-error dependency-missing unsupported-ecosystem stale"
    by_action = {action: {code for code, each in OUTCOMES.items() if each is action} for action in OutcomeAction}
    assert by_action == {"fail": set(fail.split()), "warn": set(warn.split()), "note": {"local"}}


def _bait_secret(text: str) -> tuple[Severity, Action, str]:
    builtin = next(each for each in policy(text).rules if each.id == "bait-secret")
    return builtin.severity, builtin.decided.action, str(builtin.decided.by)


def test_built_in_rules_take_another_severity_or_action() -> None:
    """And the place that decided is known: the rule's own action, else `actions`, else where the severity was set."""
    entry = "rules: [{id: bait-secret, "
    assert _bait_secret("") == (Severity.CRITICAL, Action.DENY, "default")
    assert _bait_secret("mode: observe\n" + entry + "action: note}]") == ("critical", "note", "scangate.yml:3")
    assert _bait_secret("mode: observe\n" + entry + "severity: medium}]") == ("medium", "warn", "scangate.yml:3")
    assert _bait_secret("mode: observe\n" + entry + "severity: low, action: warn}]") == (
        "low",
        "warn",
        "scangate.yml:3",
    )
    assert _bait_secret("mode: observe\nactions: {critical: note}") == ("critical", "note", "scangate.yml:3")
    both = "mode: observe\nactions: {critical: note}\n" + entry + "action: warn}]"
    assert _bait_secret(both) == ("critical", "warn", "scangate.yml:4")


def test_without_the_built_in_rules_their_names_are_free() -> None:
    read = rules("- {id: bait-secret, title: Mine, severity: high, observe: package, packages: 'pkg:npm/a'}")
    assert [each.title for each in read.rules] == ["Mine"]
    with pytest.raises(PolicyError, match="there is no rule 'bait-secret'"):
        rules("- {id: x, title: X, severity: high, all-of: [[bait-secret]]}")


def test_built_in_sets_are_taken_only_where_built_in_rules_rely_on_them() -> None:
    mine = "sets: {oast: [mine.example]}\n"
    with pytest.raises(PolicyError, match="'oast' is a built-in set"):
        policy(mine)
    alone = "extends: none\nrules: [{id: x, title: X, severity: high, observe: host, match: {suffix: '@oast'}}]\n"
    test = policy(mine + alone).rules[0].test
    assert isinstance(test, Watch)
    assert test.match == (Condition(key="suffix", values=("mine.example",)),)
    with pytest.raises(PolicyError, match="'registries' is a built-in set"):
        policy("sets: {registries: [mine.example]}\n" + alone)


def test_an_observing_policy_need_not_deny() -> None:
    assert rule("action: note, observe: bait").rules[0].decided.action is Action.NOTE


def test_sets_stand_for_their_values() -> None:
    read = policy("""
        sets:
          hosts: [B.example, c.example]
          nets: [192.0.2.0/24, "2001:db8::1"]
          noise: ['^make ', '^cc ']
        rules:
          - {id: h, title: T, severity: high, observe: host, match: {suffix: [a.example, '@hosts']}}
          - {id: n, title: T, severity: high, observe: socket, match: {address: '@nets'}}
          - {id: c, title: T, severity: high, observe: command, unless: {cmdline: '@noise'}}
          - {id: r, title: T, severity: high, observe: host, unless: {suffix: '@registries'}}
          - {id: l, title: T, severity: high, observe: command, match: {arg: '@acme/x'}}
    """)
    tests = {rule.id: rule.test for rule in read.rules}
    watches = {id_: test for id_, test in tests.items() if isinstance(test, Watch)}
    assert watches["h"].match[0].values == ("a.example", "b.example", "c.example")
    assert watches["n"].match[0].values == ("192.0.2.0/24", "2001:db8::1/128")
    assert watches["c"].unless[0][0].values == ("^make ", "^cc ")
    assert watches["r"].unless[0][0].values == tuple(sorted(ALL_PUBLIC_HOSTS))
    assert watches["l"].match[0].values == ("@acme/x",)  # no set's name


@pytest.mark.parametrize(
    ("glob", "name", "version", "matches"),
    [
        ("pkg:npm/left-*@*", "left-pad", "1.0.0", True),
        ("pkg:npm/left-pad", "left-pad", "9", True),
        ("pkg:npm/left-pad@1.*", "left-pad", "1.3.0", True),
        ("pkg:npm/left-pad@1.*", "left-pad", "2.0.0", False),
        ("pkg:npm/left-pad@1.3", "left-pad", "1x3", False),
        ("pkg:npm/left-pad@1.?.0", "left-pad", "1.3.0", True),
        ("pkg:npm/left", "left-pad", "1.0.0", False),
        ("pkg:npm/Left-pad", "left-pad", "1.0.0", False),
        ("pkg:npm/@acme/*", "@acme/ui", "1.0.0", True),
        ("pkg:npm/%40acme/*", "@acme/ui", "1.0.0", True),
        ("pkg:npm/@acme/ui@1.0.0%2B5", "@acme/ui", "1.0.0+5", True),
        ("pkg:npm/@acme/*", "@acme-evil/ui", "1.0.0", False),
        ("pkg:npm/*", "@acme/ui", "1.0.0", True),
        ("pkg:npm/*@*", "@acme/ui", None, True),
        ("pkg:npm/left-pad@1.0.0", "left-pad", None, False),
        ("pkg:pypi/*", "left-pad", "1.0.0", False),
    ],
)
def test_package_globs(glob: str, name: str, version: str | None, matches: bool) -> None:
    assert PackageGlob.read(glob).matches(package(name, version)) is matches


@pytest.mark.parametrize("glob", ["pkg:pypi/Foo_Bar", "pkg:pypi/foo.bar@*", "pkg:pypi/FOO-*"])
def test_package_globs_know_how_names_are_normalised(glob: str) -> None:
    assert PackageGlob.read(glob).matches(package("foo-bar", ecosystem=Ecosystem.PYPI))


def test_package_globs_of_extensions_know_no_letter_case() -> None:
    extension = package("acme/tool", ecosystem=Ecosystem.VSCODE_EXTENSION)
    assert PackageGlob.read("pkg:vscode-extension/Acme/*").matches(extension)


def _fields(shape: object) -> Iterator[shapes.Field]:
    """Every key of the language, however deep."""
    match shape:
        case shapes.Record(fields=fields):
            for field in fields:
                yield field
                yield from _fields(field.shape)
        case shapes.Many(item=inner) | shapes.Table(value=inner) | shapes.Either(record=inner):
            yield from _fields(inner)
        case shapes.Depends(shapes=inner) | shapes.Variant(records=inner):
            for each in inner.values():
                yield from _fields(each)


EXAMPLES = sorted({field.example for field in _fields(schema.POLICY) if field.example})


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_of_the_keys_are_policies(example: str) -> None:
    assert policy(example).rules


@pytest.mark.parametrize("pattern", [".", ".+", r"[^\s]", "a|.", "(?s)^.", r"[\s\S]+$"])
def test_an_excuse_for_everything_is_a_mistake(pattern: str) -> None:
    head = "version: 1\nrules:\n- {id: our-rule, title: T, severity: high, observe: command, unless: "
    with pytest.raises(PolicyError, match=r"excuses everything[.] The rule would never match"):
        loader.load(f"{head}[{{plain: true}}, {{cmdline: ['^x$', '{pattern}']}}]}}\n", "scangate.yml")
    # Beside another condition it takes nothing away, and in `match` it is all that there is to say.
    loader.load(f"{head}{{cmdline: '{pattern}', plain: true}}, match: {{cmdline: '{pattern}'}}}}\n", "scangate.yml")
    entry = "package: pkg:npm/a@1, rules: net-oast, reason: r, owner: o, expires: 2999-01-01"
    with pytest.raises(PolicyError, match="leave `evidence` out"):
        loader.load(f"version: 1\nallow: [{{{entry}, evidence: {{host: {{host: '{pattern}'}}}}}}]\n", "scangate.yml")


@pytest.mark.parametrize("pattern", [r"\.", "^[a-z.]+$", "^.{45,}$", r"^\S+ --version$"])
def test_an_excuse_for_something_is_none(pattern: str) -> None:
    read = loader.load(
        "version: 1\nrules:\n- {id: our-rule, title: T, severity: high, observe: host, "
        f"unless: {{host: '{pattern}'}}}}\n",
        "scangate.yml",
    )
    (test,) = [rule.test for rule in read.rules if rule.id == "our-rule"]
    assert isinstance(test, Watch)
    assert test.unless == ((Condition(key="host", values=(pattern,)),),)
