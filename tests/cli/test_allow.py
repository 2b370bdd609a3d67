"""`scangate allow`: one entry more in the project's policy, pinned to what was found, and nothing else changed."""

import json
import os
import stat
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from scangate.policy import loader
from tests.cli.conftest import Result, Scangate

EVIL = "pkg:npm/plain-crypto-replica@4.2.1"
ABOUT = ("--reason", "Its own host.", "--owner", "us@example.com", "--expires", "90d")
POLICY = """\
# ours
version: 1

allow: # exceptions
  # the first
  - package: pkg:npm/left-pad@1.3.0   # pinned
    rules: [net-oast]
    reason: It has to.
    owner: us@example.com
    expires: 2999-01-01

actions:   {medium: deny} # strict
"""


def _verdict(folder: Path, *evidence: dict[str, object], rule: str = "net-on-install", key: str = EVIL) -> str:
    """A verdict, as a CI may have kept it, with one finding."""
    finding = {"rule": rule, "action": "deny", "engine": "dynamic-analysis", "allowed": None, "evidence": evidence}
    package = {
        "key": key,
        "purl": key,
        "ecosystem": "npm",
        "name": "plain-crypto-replica",
        "version": "4.2.1",
        "status": "blocked",
        "dependencies": [],
        "analyses": [],
        "findings": [finding],
        "outcomes": [],
        "changes": [],
    }
    document = {"packages": [package], "policy": "default", "analyser": "x", "compared": None}
    (folder / "verdict.json").write_text(json.dumps(document))
    return "verdict.json"


HOST = {"type": "host", "phase": "install", "host": "cdn-updates.example", "via": ["dns"], "record_types": []}


def _in_ninety_days() -> date:
    return (datetime.now(UTC) + timedelta(days=90)).date()


def _allow(scangate: Scangate, project: Path, *more: str) -> Result:
    _verdict(project, HOST)
    return scangate("allow", EVIL, "net-on-install", *ABOUT, "--verdict", "verdict.json", *more)


def test_an_entry_is_added_and_all_else_stays(scangate: Scangate, project: Path) -> None:
    (project / "scangate.yml").write_text(POLICY)
    (project / "scangate.yml").chmod(0o640)
    days = {_in_ninety_days()}
    result = _allow(scangate, project)
    days.add(_in_ninety_days())  # another one, where midnight came between
    assert (result.code, result.out) == (0, "")
    assert result.err == f"scangate: changed scangate.yml: scangate.yml:11 excepts {EVIL}.\n"
    text = (project / "scangate.yml").read_text()
    entry = f"""\
  - package: {EVIL}
    rules: [net-on-install]
    evidence: {{host: [{{host: "^cdn-updates\\\\.example$"}}]}}
    reason: "Its own host."
    owner: us@example.com
    expires: """
    assert text in {POLICY.replace("\nactions:", f"{entry}{day}\n\nactions:") for day in days}
    assert stat.S_IMODE((project / "scangate.yml").stat().st_mode) == 0o640
    assert sorted(each.name for each in project.iterdir()) == ["scangate.yml", "verdict.json"]


def test_where_there_is_no_policy_one_is_made_and_that_is_said(scangate: Scangate, project: Path) -> None:
    result = _allow(scangate, project)
    assert result.code == 0, result.err
    assert "made scangate.yml" in result.err
    policy = loader.load((project / "scangate.yml").read_text(), "scangate.yml")
    assert [entry.target for entry in policy.allow] == [EVIL]
    assert scangate("policy", "check").code == 0


def test_the_policy_in_the_folder_of_github_is_found(scangate: Scangate, project: Path) -> None:
    (project / ".github").mkdir()
    (project / ".github" / "scangate.yml").write_text("version: 1\n")
    assert _allow(scangate, project).code == 0
    assert EVIL in (project / ".github" / "scangate.yml").read_text()
    assert not (project / "scangate.yml").exists()


def test_an_entry_silences_the_finding_and_only_that(scangate: Scangate, project: Path) -> None:
    assert _allow(scangate, project).code == 0
    (project / "scangate-tests.yml").write_text(
        f"""\
tests:
- package: {EVIL}
  observe: [{{host: cdn-updates.example}}]
  findings: [{{rule: net-on-install, allowed: true}}]
  verdict: passed
- package: {EVIL}
  observe: [{{host: cdn-updates.example}}, {{host: elsewhere.example}}]
  findings: [{{rule: net-on-install, allowed: false}}]
  verdict: blocked
- package: pkg:npm/plain-crypto-replica@4.2.2
  observe: [{{host: cdn-updates.example}}]
  findings: [{{rule: net-on-install, allowed: false}}]
"""
    )
    result = scangate("policy", "test")
    assert (result.code, result.out) == (0, "scangate.yml: 3 tests, 0 failed.\n")


def test_what_is_excepted_already_is_not_excepted_twice(scangate: Scangate, project: Path) -> None:
    assert _allow(scangate, project).code == 0
    before = (project / "scangate.yml").read_bytes()
    again = _allow(scangate, project)
    assert (again.code, "scangate.yml:4 says as much" in again.err) == (2, True)
    assert (project / "scangate.yml").read_bytes() == before


def test_what_was_not_found_needs_any_evidence(scangate: Scangate, project: Path) -> None:
    result = scangate("allow", EVIL, "net-on-install", *ABOUT)
    assert result.code == 2
    assert "the last run found nothing of the kind" in result.err
    assert "--any-evidence" in result.err
    assert _allow(scangate, project, "--any-evidence").code == 0
    policy = loader.load((project / "scangate.yml").read_text(), "scangate.yml")
    assert policy.allow[0].evidence == ()


def test_every_version_is_said_twice(scangate: Scangate, project: Path) -> None:
    name = EVIL.partition("@")[0]
    assert "it names no version" in scangate("allow", name, "net-oast", *ABOUT).err
    assert "--any-evidence" in scangate("allow", name, "net-oast", *ABOUT, "--every-version").err
    assert scangate("allow", EVIL, "net-oast", *ABOUT, "--every-version", "--any-evidence").code == 2
    assert not (project / "scangate.yml").exists()
    result = scangate("allow", name, "net-oast", *ABOUT, "--every-version", "--any-evidence")
    assert result.code == 0, result.err
    assert f"package: {name}@*\n" in (project / "scangate.yml").read_text().replace('"', "")
    assert "(allow-broad)" in scangate("policy", "check").out


@pytest.mark.parametrize(
    ("expires", "says"),
    [
        ("soon", "not a day"),
        ("2020-01-01", "that day has come"),
        ("0d", "not a day"),
        ("9999d", "more than ten years"),
        ("2999-01-01", "more than ten years"),
        ("2027-02-30", "not a day"),
    ],
)
def test_the_day_has_to_come_and_not_too_late(scangate: Scangate, project: Path, expires: str, says: str) -> None:
    result = scangate(
        "allow", EVIL, "net-oast", "--reason", "r", "--owner", "o", "--expires", expires, "--any-evidence"
    )
    assert result.code == 2
    assert says in result.err
    assert not (project / "scangate.yml").exists()


def test_names_are_checked(scangate: Scangate, project: Path) -> None:
    assert "Did you mean 'net-oast'?" in scangate("allow", EVIL, "net-oats", *ABOUT, "--any-evidence").err
    assert scangate("allow", "pkg:npm/", "net-oast", *ABOUT, "--any-evidence").code == 2
    assert scangate("allow", "left-pad", "net-oast", *ABOUT, "--any-evidence").code == 2
    assert scangate("allow", EVIL, "net-oast", *ABOUT[2:], "--any-evidence").code == 2
    assert scangate("allow", EVIL, "net-oast", "--reason", " ", *ABOUT[2:], "--any-evidence").code == 2
    assert not (project / "scangate.yml").exists()


def test_links_are_not_written_through(scangate: Scangate, project: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.yml"
    outside.write_text("version: 1\n")
    (project / "scangate.yml").symlink_to(outside)
    result = _allow(scangate, project)
    assert result.code == 2
    assert "links are not written through" in result.err
    (project / "scangate.yml").unlink()
    (tmp_path / "github").mkdir()
    (tmp_path / "github" / "scangate.yml").write_text("version: 1\n")
    (project / ".github").symlink_to(tmp_path / "github")
    assert _allow(scangate, project).code == 2
    assert outside.read_text() == (tmp_path / "github" / "scangate.yml").read_text() == "version: 1\n"


def test_a_broken_policy_is_not_touched(scangate: Scangate, project: Path) -> None:
    (project / "scangate.yml").write_text("version: 1\nmoed: enforce\n")
    result = _allow(scangate, project)
    assert result.code == 2
    assert "scangate.yml:2:1" in result.err
    assert (project / "scangate.yml").read_text() == "version: 1\nmoed: enforce\n"


def test_evidence_that_cannot_be_pinned_is_not_pinned_badly(scangate: Scangate, project: Path) -> None:
    command = {"type": "command", "phase": "install", "argv": ["sh", "-c", "x" * 5000]}
    _verdict(project, command, rule="cmd-worm")
    result = scangate("allow", EVIL, "cmd-worm", *ABOUT, "--verdict", "verdict.json")
    assert result.code == 2
    assert "Nothing was written" in result.err
    assert "--any-evidence" in result.err
    _verdict(project, *({**HOST, "host": f"h{number}.example"} for number in range(101)))
    result = scangate("allow", EVIL, "net-on-install", *ABOUT, "--verdict", "verdict.json")
    assert "too many to pin" in result.err
    assert not (project / "scangate.yml").exists()


def test_a_ban_needs_no_evidence_but_the_package(scangate: Scangate, project: Path) -> None:
    (project / "scangate.yml").write_text(
        "version: 1\nrules:\n- {id: ban, title: t, severity: high, observe: package, packages: 'pkg:npm/plain-*@*'}\n"
    )
    _verdict(project, {"type": "package", "name": "plain-crypto-replica", "version": "4.2.1"}, rule="ban")
    assert scangate("allow", EVIL, "ban", *ABOUT, "--verdict", "verdict.json").code == 0
    assert "evidence" not in (project / "scangate.yml").read_text()


def test_a_folder_without_rights_is_one_clear_error(scangate: Scangate, project: Path) -> None:
    if os.geteuid() == 0:
        (project / "scangate.yml").mkdir()
    else:
        project.chmod(0o500)
    result = scangate("allow", EVIL, "net-oast", *ABOUT, "--any-evidence")
    project.chmod(0o700)
    assert result.code == 2
    assert "scangate.yml" in result.err
