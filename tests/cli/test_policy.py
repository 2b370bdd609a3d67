"""`scangate policy`: mistakes with their places, the policy that holds, and its tests."""

import shutil
from pathlib import Path
from textwrap import dedent

import pytest

from tests.cli.conftest import RECORDED, Scangate

POLICY = """\
version: 1
actions: {medium: deny}
outcomes: {pending: warn}
rules:
  - {id: net-ip-echo, action: note}
  - id: net-acme
    title: Contacts a host of Acme's rival
    severity: high
    observe: host
    phases: [install]
    match: {suffix: [rival.example]}
    unless: {host: '^docs[.]'}
"""
TESTS = """\
tests:
  - rule: net-acme
    matches: [{host: api.rival.example}]
    spares:
      - {host: docs.rival.example}
      - {host: api.rival.example, phase: execute}
"""


def _write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / name).write_text(dedent(text))


# ------------------------------------------------------------------------------------------------------- check


def test_a_right_policy_is_said_to_be_right(scangate: Scangate, project: Path) -> None:
    _write(project, **{"scangate.yml": POLICY + TESTS})
    result = scangate("policy", "check")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("scangate.yml: no errors, 0 warnings; ")
    assert result.out.endswith("0 exceptions, 3 tests in it.\n")


def test_every_mistake_is_a_line_with_its_place(scangate: Scangate, project: Path) -> None:
    _write(project, **{"scangate.yml": "version: 1\nmode: enforced\nactions: {hihg: deny}\n"})
    result = scangate("policy", "check")
    assert result.code == 2
    assert result.out.splitlines() == [
        "scangate.yml:2:7: unknown word 'enforced'. Did you mean 'enforce'?",
        "scangate.yml:3:11: unknown word 'hihg'. Did you mean 'high'?",
    ]
    assert "scangate.yml: it cannot be used" in result.err


@pytest.mark.parametrize(
    ("tests", "line"),
    [
        ("- rule: net-acne\n    matches: [{host: a.example}]\n    spares: [{host: b.example}]", "there is no rule"),
        ("- rule: net-oast\n    matches: [{hots: a.example}]\n    spares: [{host: b.example}]", "Did you mean 'host'?"),
        ("- rule: net-oast\n    matches: [{host: a.example}]", "needs 'spares'"),
        ("- {observe: [{host: a.example, socket: 1.2.3.4, port: 1}], findings: []}", "It goes without 'host'."),
        ("- {observe: [{socket: 999.2.3.4, port: 1}], findings: []}", "expected an IP address"),
        ("- {observe: [{file: /x}], findings: []}", "nothing was done to the file"),
        ("- {observe: [{host: a.example}], package: pkg:gem/x@1, findings: []}", "unknown type 'gem'"),
        ("- {observe: [{host: a.example}], package: pkg:npm/@1, findings: []}", "scangate.yml:3:"),
        ("- {observe: [{host: a.example}]}", "needs 'findings'"),
        ("- {findings: []}", "a test needs one of rule, observe, report"),
        ("- just text", "expected a mapping (a test)"),
        ("- {observe: [{host: a.example}], findings: [net-oats]}", "Did you mean 'net-oast'?"),
    ],
)
def test_mistakes_in_tests_are_found_as_well(scangate: Scangate, project: Path, tests: str, line: str) -> None:
    _write(project, **{"scangate.yml": f"version: 1\ntests:\n  {tests}\n"})
    result = scangate("policy", "check")
    assert result.code == 2
    assert line in result.out
    assert all(each.startswith("scangate.yml:") for each in result.out.splitlines())


def test_exceptions_that_say_too_much_are_warnings(scangate: Scangate, project: Path) -> None:
    about = "rules: [net-oast], reason: It has to., owner: us@example.com"
    _write(
        project,
        **{
            "scangate.yml": "version: 1\nallow:\n"
            f"  - {{package: pkg:npm/a@*, {about}, expires: 2999-01-01}}\n"
            f"  - {{package: pkg:npm/a@1.0.0, {about}, expires: 2998-01-01}}\n"
            f"  - {{package: pkg:npm/b@1.0.0, {about}, expires: 2020-01-01}}\n"
        },
    )
    result = scangate("policy", "check")
    assert result.code == 0
    lines = result.out.splitlines()
    assert [line.partition(": warning: ")[0] for line in lines[:-1]] == [
        "scangate.yml:5",
        "scangate.yml:3",
        "scangate.yml:4",
    ]
    assert [line.rpartition(" ")[2] for line in lines[:-1]] == ["(allow-expired)", "(allow-broad)", "(allow-shadowed)"]
    assert "3 warnings" in lines[-1]


def test_what_every_run_would_say_is_said_and_what_the_lints_deny_is_an_error(
    scangate: Scangate, project: Path
) -> None:
    cap = "overrides: [{when: {scope: dev}, cap: warn, install-phase: true}]\n"
    _write(project, **{"scangate.yml": f"version: 1\nexclude: docs\n{cap}"})
    result = scangate("policy", "check")
    assert result.code == 0
    assert [line.split(" ")[:2] for line in result.out.splitlines()[:-1]] == [
        ["scangate.yml:3:", "warning:"],
        ["scangate.yml:2:", "note:"],
    ]
    assert "1 warnings" in result.out
    _write(project, **{"scangate.yml": "version: 1\nexclude: docs\nlints: {narrowed: deny}\n"})
    result = scangate("policy", "check")
    assert (result.code, result.out.split(" ")[:2]) == (2, ["scangate.yml:2:", "error:"])
    assert "Mend what stands above" in result.err


def test_without_a_policy_nothing_is_checked(scangate: Scangate) -> None:
    result = scangate("policy", "check")
    assert (result.code, result.out) == (2, "")
    assert "scangate init" in result.err


def test_a_file_can_be_named_once(scangate: Scangate, project: Path) -> None:
    _write(project, **{"other.yml": POLICY})
    assert scangate("policy", "check", "other.yml").code == 0
    assert scangate("policy", "check", "--policy", "other.yml").code == 0
    assert scangate("policy", "check", "other.yml", "--policy", "other.yml").code == 2
    assert scangate("policy", "check", "missing.yml").code == 2
    assert scangate("policy", "check", "other.yml", "--tests", "x.yml").code == 2


# -------------------------------------------------------------------------------------------------------- show


def test_the_policy_that_holds_and_who_decided_it(scangate: Scangate, project: Path) -> None:
    _write(
        project,
        **{
            "scangate.yml": POLICY
            + """\
exclude: ["docs/**"]
upload-files: true
registries:
  mirrors: [mirror.example]
  private: [{host: npm.acme.example, names: ["@acme/*"]}, other.example]
overrides:
  - {when: {scope: dev, lockfile: 'docs/**'}, cap: warn, except: [net-oast], install-phase: true}
allow:
  - package: pkg:npm/esbuild@0.25.1
    rules: [net-on-install]
    evidence: {host: [{suffix: [a.example, b.example]}, {host: c}]}
    reason: It fetches its own binary.
    owner: us@example.com
    expires: 2999-06-30
"""
        },
    )
    result = scangate("policy", "show")
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert "  medium: deny # scangate.yml:2" in lines
    assert "  high: deny # built in" in lines
    assert "  pending: warn # scangate.yml:3" in lines
    assert "  - net-ip-echo: note # medium, scangate.yml:5: Asks for the machine's public address" in lines
    assert "  - net-acme: deny # high, scangate.yml:6: Contacts a host of Acme's rival" in lines
    assert "  mirrors: [mirror.example]" in lines
    assert "    - {host: npm.acme.example, names: [@acme/*]} # scangate.yml:17" in lines
    assert "  - package: pkg:npm/esbuild@0.25.1 # scangate.yml:21" in lines
    assert "      host: [{suffix: [a.example, b.example]}, {host: c}]" in lines
    assert "  - when: {scope: [dev], lockfile: [docs/**]} # scangate.yml:19" in lines
    assert "    except: [net-oast]" in lines
    assert "upload-files: true" in lines
    assert "exclude: [docs/**]" in lines


def test_one_rule_with_its_text_its_origin_and_its_examples(scangate: Scangate, project: Path) -> None:
    _write(project, **{"scangate.yml": POLICY, "scangate-tests.yml": TESTS})
    result = scangate("policy", "show", "net-acme")
    assert result.code == 0, result.err
    assert result.out.splitlines() == [
        "id: net-acme # scangate.yml:6",
        "title: Contacts a host of Acme's rival",
        "severity: high",
        "action: deny # scangate.yml:6",
        "observe: host",
        "phases: [install]",
        "match:",
        "  suffix: rival.example",
        "unless:",
        "  - {host: ^docs[.]}",
        "matches:",
        "  - install: contacted api.rival.example (dns)",
        "spares:",
        "  - install: contacted docs.rival.example (dns)",
        "  - execute: contacted api.rival.example (dns)",
    ]


def test_a_built_in_rule_comes_with_what_to_do_references_and_examples(scangate: Scangate) -> None:
    out = scangate("policy", "show", "lpm-injected").out
    for part in ("description: ", "advice: ", "together: [[", "matches:\n", "spares:\n"):
        assert part in out
    assert "all-of:\n  - [bait-secret, " in scangate("policy", "show", "chain-steal").out
    assert "at-least: {count: 6, distinct: host, per: domain}" in scangate("policy", "show", "net-dns-fanout").out


def test_an_unknown_rule_is_an_error_with_a_suggestion(scangate: Scangate) -> None:
    result = scangate("policy", "show", "net-oats")
    assert result.code == 2
    assert "Did you mean 'net-oast'?" in result.err


# -------------------------------------------------------------------------------------------------------- test


def test_the_built_in_policy_passes_its_own_tests(scangate: Scangate) -> None:
    result = scangate("policy", "test")
    assert result.code == 0, result.out
    count, failed = result.out.removeprefix("default: ").removesuffix(" failed.\n").split(" tests, ")
    assert (int(count) > 300, failed) == (True, "0")


def test_tests_in_the_policy_and_beside_it_are_run(scangate: Scangate, project: Path) -> None:
    _write(project, **{"scangate.yml": POLICY + TESTS, "scangate-tests.yml": TESTS, "more.test.yml": TESTS})
    result = scangate("policy", "test")
    assert (result.code, result.out) == (0, "scangate.yml: 9 tests, 0 failed.\n")
    only = scangate("policy", "test", "--tests", "more.test.yml")
    assert only.out == "scangate.yml: 6 tests, 0 failed.\n"


def test_a_test_that_fails_is_named_with_its_line_and_ends_with_1(scangate: Scangate, project: Path) -> None:
    wrong = """\
    tests:
      - rule: net-acme
        name: the rival
        matches: [{host: docs.rival.example}]
        spares: [{host: api.rival.example}]
      - name: all of it
        observe: [{host: api.ipify.org}, {host: x.rival.example}]
        findings: [{rule: net-ip-echo, action: deny}, net-oast, {rule: net-acme, allowed: true}]
        verdict: passed
    """
    _write(project, **{"scangate.yml": POLICY, "scangate-tests.yml": wrong})
    result = scangate("policy", "test")
    assert result.code == 1
    assert result.out.splitlines() == [
        "scangate-tests.yml:4: the rival: net-acme does not match (found: net-on-install).",
        "scangate-tests.yml:5: the rival: net-acme matches.",
        "scangate-tests.yml:6: all of it: net-oast was not found.",
        "scangate-tests.yml:6: all of it: net-on-install was found.",
        "scangate-tests.yml:6: all of it: net-ip-echo is note (scangate.yml:5), expected deny.",
        "scangate-tests.yml:6: all of it: net-acme is not allowed.",
        "scangate-tests.yml:6: all of it: the verdict is blocked, expected passed.",
        "scangate.yml: 3 tests, 3 failed.",
    ]


def test_exceptions_and_their_days_can_be_tested(scangate: Scangate, project: Path) -> None:
    policy = (
        "version: 1\nallow:\n  - {package: pkg:npm/thing@1.2.3, rules: [net-on-install], reason: Its own host.,"
        " owner: us@example.com, expires: 2030-01-01}\n"
        "tests:\n"
        "  - observe: [{host: get.thing.example}]\n    today: 2029-12-31\n    verdict: passed\n"
        "    findings: [{rule: net-on-install, allowed: true}]\n"
        "  - observe: [{host: get.thing.example}]\n    today: 2030-01-01\n    verdict: blocked\n"
        "    findings: [{rule: net-on-install, allowed: false, action: deny}]\n"
        "  - observe: [{host: get.thing.example}]\n    package: pkg:npm/thing@1.2.4\n    verdict: blocked\n"
        "    today: 2029-12-31\n    findings: [net-on-install]\n"
        "  - {observe: [], verdict: incomplete, findings: []}\n"
    )
    _write(project, **{"scangate.yml": policy})
    result = scangate("policy", "test")
    assert (result.code, result.out) == (0, "scangate.yml: 4 tests, 0 failed.\n")


def test_a_saved_report_can_be_tested(scangate: Scangate, project: Path) -> None:
    shutil.copy(RECORDED / "real" / "malware-pypi-jeilyfish-0.7.1.json", project / "report.json")
    (project / "policies").mkdir()
    shutil.copy(project / "report.json", project / "policies" / "report.json")
    tests = """\
    tests:
      - report: report.json
        findings: [net-shortener, net-on-import, net-on-execute]
        verdict: blocked
      - report: report.json
        package: pkg:pypi/jeilyfish@0.7.1
        scope: dev
        findings: [net-shortener, net-on-import, net-on-execute]
      - report: report.json
        package: pkg:pypi/another@0.7.1
        findings: []
        verdict: incomplete
    """
    _write(project, **{"scangate.yml": "version: 1\n", "scangate-tests.yml": tests, "policies/x.test.yml": tests})
    result = scangate("policy", "test")
    assert (result.code, result.out) == (0, "scangate.yml: 3 tests, 0 failed.\n")
    assert scangate("policy", "test", "--tests", "policies/x.test.yml").code == 0


def test_a_report_that_is_missing_is_an_error(scangate: Scangate, project: Path) -> None:
    _write(project, **{"scangate.yml": "version: 1\ntests:\n  - {report: gone.json, findings: []}\n"})
    result = scangate("policy", "test")
    assert (result.code, result.out) == (2, "")
    assert "scangate.yml:3: gone.json" in result.err


def test_no_tests_is_no_pass(scangate: Scangate, project: Path) -> None:
    _write(project, **{"scangate.yml": "version: 1\n"})
    result = scangate("policy", "test")
    assert result.code == 2
    assert "there are no tests" in result.err


def test_a_test_of_a_rule_that_is_gone_is_an_error(scangate: Scangate, project: Path) -> None:
    _write(project, **{"scangate.yml": "version: 1\n", "scangate-tests.yml": TESTS})
    result = scangate("policy", "test")
    assert result.code == 2
    assert "scangate-tests.yml:3:1: there is no rule 'net-acme'" in result.err
