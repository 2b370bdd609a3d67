"""`scangate check`, from real lockfiles through a real service over HTTP to verdict and exit code."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from tests.cli.conftest import Replay, Scangate, example
from tests.conftest import ROOT

Serve = Callable[..., Replay]


def tasks(scangate: Scangate, replay: Replay) -> list[str]:
    """The purls that the service was asked to analyse."""
    listed = scangate("tasks", "--format", "json", **replay.environ)
    assert listed.code == 0, listed.err
    return sorted(task["purl"] for task in listed.json["tasks"])  # type: ignore[attr-defined,index]


def outcomes(document: dict[str, object]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for package in document["packages"]:  # type: ignore[attr-defined]
        for outcome in package["outcomes"]:
            counted[outcome["code"]] = counted.get(outcome["code"], 0) + 1
    return counted


def test_a_clean_project_passes(scangate: Scangate, project: Path, replay: Replay) -> None:
    example("npm-project", project)
    result = scangate("check", **replay.environ)
    assert (result.code, "PASSED" in result.out) == (0, True), result.out + result.err


def test_the_axios_attack_is_blocked_with_file_line_rule_evidence_and_path(
    scangate: Scangate, project: Path, replay: Replay
) -> None:
    example("axios-replica", project)
    result = scangate("check", **replay.environ)
    assert result.code == 1
    line = (project / "package-lock.json").read_text().splitlines().index(
        '    "node_modules/plain-crypto-replica": {'
    ) + 1
    assert f"package-lock.json:{line}" in result.out
    assert "axios-replica@1.14.1 → plain-crypto-replica@4.2.1" in result.out
    assert "net-on-install" in result.out
    assert "cdn-updates.example" in result.out


def test_net_on_install_alone_denies(scangate: Scangate, project: Path, replay: Replay) -> None:
    example("axios-replica", project)
    document = scangate("check", "--format", "json", **replay.environ).json
    (blocked,) = [package for package in document["packages"] if package["status"] == "blocked"]  # type: ignore[attr-defined]
    assert blocked["purl"] == "pkg:npm/plain-crypto-replica@4.2.1"
    assert [f["rule"] for f in blocked["findings"] if f["action"] == "deny"] == ["net-on-install"]


def test_real_malware_is_blocked(scangate: Scangate, project: Path, replay: Replay) -> None:
    example("python-project", project)
    result = scangate("check", "--format", "json", **replay.environ)
    assert result.code == 1
    blocked = [p["purl"] for p in result.json["packages"] if p["status"] == "blocked"]  # type: ignore[attr-defined]
    assert blocked == ["pkg:pypi/jeilyfish@0.7.1"]


def test_several_formats_in_one_run(scangate: Scangate, project: Path, replay: Replay) -> None:
    example("axios-replica", project)
    result = scangate("check", "--format", "json=out.json", "--format", "terminal", **replay.environ)
    assert result.code == 1
    assert "BLOCKED" in result.out
    document = json.loads((project / "out.json").read_text())
    jsonschema.validate(document, json.loads((ROOT / "docs/schema/verdict-v1.json").read_text()))
    assert document["exit_code"] == 1


def test_without_a_key_nothing_passes(scangate: Scangate, project: Path) -> None:
    example("npm-project", project)
    result = scangate("check", "--format", "json")
    assert result.code == 3
    document = result.json
    assert outcomes(document) == {"no-credentials": len(document["packages"])}  # type: ignore[arg-type]


def test_a_wrong_key_is_told_from_no_key(scangate: Scangate, project: Path, replay: Replay) -> None:
    example("axios-replica", project)
    result = scangate("check", "--format", "json", SCANGATE_API_URL=replay.service.url, SCANGATE_API_KEY="wrong")
    assert result.code == 3
    assert outcomes(result.json) == {"submit-error": 3}
    assert "wrong" not in result.err


def test_an_outage_is_incomplete_and_says_so(scangate: Scangate, project: Path) -> None:
    example("axios-replica", project)
    result = scangate("check", "--timeout", "3", SCANGATE_API_URL="http://127.0.0.1:9", SCANGATE_API_KEY="k")
    assert result.code == 3
    assert "INCOMPLETE" in result.out
    assert "not a finding of malware" in result.out
    assert "BLOCKED" not in result.out


def test_what_is_not_done_in_time_is_pending_and_the_rest_stands(
    scangate: Scangate, project: Path, serve: Serve
) -> None:
    example("axios-replica", project)
    replay = serve({"recordings": [{"purl": "pkg:npm/axios-replica@1.14.1", "delay": 3600}]})
    result = scangate("check", "--timeout", "4", "--format", "json", **replay.environ)
    assert result.code == 1  # 1 wins over 3
    assert outcomes(result.json) == {"pending": 1}


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ({"status": "failed", "error-message": "no such package"}, "failed"),
        ({"status": "timeout"}, "timeout"),
        ({"status": "exploded"}, "failed"),
        ({"report": None}, "report-missing"),
        ({"report": "other.txt"}, "wrong-package"),
        ({"report": "broken.txt"}, "report-invalid"),
    ],
)
def test_an_analysis_without_a_report_is_an_outcome(
    scangate: Scangate, project: Path, serve: Serve, entry: dict[str, object], code: str
) -> None:
    example("axios-replica", project)
    replay = serve(
        {
            "recordings": [
                {"purl": "pkg:npm/plain-crypto-replica@4.2.1", "report": "clean.json"},
                {"purl": "pkg:npm/follow-replica@1.15.11", **entry},
            ]
        },
        recorded=_with_broken_and_clean(project.parent),
    )
    result = scangate("check", "--timeout", "60", "--format", "json", **replay.environ)
    assert outcomes(result.json) == {code: 1}
    assert result.code == 3


def _with_broken_and_clean(scratch: Path) -> Path:
    folder = scratch / "recorded-here"
    shutil.copytree(ROOT / "examples" / "recorded", folder)
    (folder / "broken.txt").write_text('{"Package": {')
    shutil.copy(folder / "made" / "npm-axios-replica-1.14.1.json", folder / "other.txt")
    report = json.loads((folder / "made" / "npm-follow-replica-1.15.11.json").read_text())
    report["Package"] |= {"Name": "plain-crypto-replica", "Version": "4.2.1"}
    for phase in report["Analysis"].values():
        phase["Commands"] = [
            {"Command": ["scangate-local", "x", "pkg:npm/plain-crypto-replica@4.2.1"], "Environment": []}
        ]
    (folder / "clean.json").write_text(json.dumps(report))
    return folder


def test_mode_observe_reports_all_and_exits_0(scangate: Scangate, project: Path, replay: Replay) -> None:
    example("axios-replica", project)
    (project / "scangate.yml").write_text("version: 1\nmode: observe\n")
    result = scangate("check", **replay.environ)
    assert result.code == 0
    assert "BLOCKED" in result.out
    assert "observe" in result.out


def test_an_allow_entry_silences_its_rule_and_is_shown(scangate: Scangate, project: Path, replay: Replay) -> None:
    example("axios-replica", project)
    (project / "scangate.yml").write_text(
        "version: 1\nallow:\n"
        "  - {package: 'pkg:npm/plain-crypto-replica@4.2.1', rules: [net-on-install],\n"
        "     reason: a test, owner: o, expires: 2099-01-01}\n"
    )
    result = scangate("check", **replay.environ)
    assert result.code == 0
    assert "a test" in " ".join(result.out.split())
    assert "scangate.yml:3" in result.out


@pytest.mark.parametrize("text", ["", "version: 2\n", "version: 1\nrulez: []\n", "version: 1\nmode: on\n", "\0"])
def test_a_policy_that_cannot_be_used_ends_the_run(scangate: Scangate, project: Path, text: str) -> None:
    example("axios-replica", project)
    (project / "scangate.yml").write_text(text)
    result = scangate("check")
    assert (result.code, result.out) == (2, "")
    assert "scangate.yml" in result.err


def test_a_policy_that_is_no_file_ends_the_run(scangate: Scangate, project: Path) -> None:
    example("axios-replica", project)
    os.mkfifo(project / "scangate.yml")
    (project / "folder").mkdir()
    (project / "latin.yml").write_bytes(b"version: 1\nmode: \xff\n")
    assert "not an ordinary file" in scangate("check").err
    for name in ("folder", "nowhere.yml", "latin.yml"):
        result = scangate("check", "--policy", name)
        assert (result.code, result.out) == (2, "")
        assert name in result.err


def test_two_policies_are_an_error(scangate: Scangate, project: Path) -> None:
    example("axios-replica", project)
    (project / ".github").mkdir()
    for place in ("scangate.yml", ".github/scangate.yml"):
        (project / place).write_text("version: 1\n")
    result = scangate("check")
    assert result.code == 2
    assert "two policies" in result.err


def test_dry_run_prints_what_would_be_sent_and_sends_nothing(scangate: Scangate, project: Path, replay: Replay) -> None:
    example("axios-replica", project)
    result = scangate("check", "--dry-run", **replay.environ)
    assert result.code == 0
    assert result.out.splitlines() == [
        "pkg:npm/axios-replica@1.14.1 dynamic-analysis",
        "pkg:npm/follow-replica@1.15.11 dynamic-analysis",
        "pkg:npm/plain-crypto-replica@4.2.1 dynamic-analysis",
    ]
    assert replay.service.url in result.err
    assert tasks(scangate, replay) == []
    limited = scangate("check", "--dry-run", "--max-packages", "1", **replay.environ)
    assert limited.out.splitlines() == ["pkg:npm/axios-replica@1.14.1 dynamic-analysis"]
    assert "2 more are over --max-packages" in limited.err


def test_max_packages_refuses_to_spend_more(scangate: Scangate, project: Path, replay: Replay) -> None:
    example("axios-replica", project)
    result = scangate("check", "--max-packages", "1", "--format", "json", **replay.environ)
    assert result.code == 3
    assert outcomes(result.json) == {"over-budget": 2}
    assert len(tasks(scangate, replay)) == 1


def test_names_of_private_packages_are_never_sent(scangate: Scangate, project: Path, replay: Replay) -> None:
    example("axios-replica", project)
    (project / "scangate.yml").write_text(
        "version: 1\nregistries:\n  private: [{host: npm.acme.example, names: ['plain-*']}]\n"
    )
    lock = json.loads((project / "package-lock.json").read_text())
    entry = lock["packages"]["node_modules/plain-crypto-replica"]
    entry["resolved"] = "https://npm.acme.example/plain-crypto-replica/-/plain-crypto-replica-4.2.1.tgz"
    (project / "package-lock.json").write_text(json.dumps(lock, indent=2))
    result = scangate("check", "--format", "json", **replay.environ)
    assert result.code == 0
    assert outcomes(result.json) == {"private-registry": 1}
    assert tasks(scangate, replay) == ["pkg:npm/axios-replica@1.14.1", "pkg:npm/follow-replica@1.15.11"]


def test_a_registry_that_only_the_workspace_names_takes_nothing_past_the_gate(
    scangate: Scangate, project: Path, replay: Replay
) -> None:
    example("axios-replica", project)
    (project / ".npmrc").write_text("registry=https://npm.elsewhere.example/\n")
    result = scangate("check", **replay.environ)
    assert result.code == 1
    assert "lock-undeclared-registry" in result.out
    assert tasks(scangate, replay) == []
    (project / "scangate.yml").write_text("version: 1\nregistries: {private: [npm.elsewhere.example]}\n")
    assert scangate("check", **replay.environ).code == 0


def test_a_private_name_from_elsewhere_is_lock_confusion_and_denied(
    scangate: Scangate, project: Path, replay: Replay
) -> None:
    example("axios-replica", project)
    (project / "scangate.yml").write_text(
        "version: 1\nregistries:\n  private: [{host: npm.acme.example, names: ['plain-*']}]\n"
    )
    result = scangate("check", "--format", "json", **replay.environ)
    assert result.code == 1
    rules = {f["rule"] for p in result.json["packages"] for f in p["findings"]}  # type: ignore[attr-defined]
    assert rules == {"lock-confusion"}
    assert "pkg:npm/plain-crypto-replica@4.2.1" not in tasks(scangate, replay)


def test_a_recognised_lockfile_that_cannot_be_read_fails_the_run(
    scangate: Scangate, project: Path, replay: Replay
) -> None:
    example("npm-project", project)
    (project / "pnpm-lock.yaml").write_text("lockfileVersion: '9.0'\n")
    result = scangate("check", **replay.environ)
    assert result.code == 3
    assert "unsupported-lockfile" in result.out


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        '{"lockfileVersion": 99}',
        "[]",
        '{"lockfileVersion": 3, "packages": {"": {}, "node_modules/a": 3}}',
        "\0",
    ],
)
def test_a_broken_lockfile_is_one_line_and_exit_2(scangate: Scangate, project: Path, content: str) -> None:
    (project / "package-lock.json").write_text(content)
    result = scangate("check")
    assert (result.code, result.out) == (2, "")
    error, hint = result.err.splitlines()
    assert error.startswith("scangate: error: package-lock.json")
    assert hint.startswith("  ")


def test_no_lockfile_at_all_is_no_pass(scangate: Scangate) -> None:
    result = scangate("check")
    assert (result.code, result.out) == (2, "")
    assert "no lockfile" in result.err


@pytest.mark.parametrize(
    "argv",
    [
        ("--jobs", "0"),
        ("--timeout", "0"),
        ("--timeout", "nan"),
        ("--rate", "many"),
        ("--max-packages", "-1"),
        ("--format", "yaml"),
        ("--format", "json="),
        ("--format", "json=nowhere/out.json"),
        ("--format", "json=-", "--format", "terminal"),
        ("--format", "json", "--format", "terminal"),
        ("--engine", "x"),
        ("--lockfile-as", "x"),
        ("nowhere.json",),
    ],
)
def test_wrong_usage_is_exit_2_before_anything_is_sent(
    scangate: Scangate, project: Path, argv: tuple[str, ...]
) -> None:
    example("axios-replica", project)
    result = scangate("check", *argv)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("scangate: error: ")


def test_a_file_that_cannot_be_written_never_hides_a_block(scangate: Scangate, project: Path, replay: Replay) -> None:
    example("axios-replica", project)
    (project / "folder").mkdir()
    argv = ("check", "--format", "terminal", "--format", "json=folder")
    blocked = scangate(*argv, **replay.environ)
    assert blocked.code == 1
    assert "json=" in blocked.err
    (project / "scangate.yml").write_text("version: 1\nmode: observe\n")
    assert scangate(*argv, **replay.environ).code == 2


def test_the_same_package_in_two_lockfiles_is_asked_for_once(scangate: Scangate, project: Path, replay: Replay) -> None:
    example("axios-replica", project / "one")
    example("axios-replica", project / "two")
    result = scangate("check", **replay.environ)
    assert result.code == 1
    assert "one/package-lock.json" in result.out
    assert "two/package-lock.json" in result.out
    assert len(tasks(scangate, replay)) == 3


def test_the_readme_s_picture_is_what_it_prints(scangate: Scangate, project: Path, replay: Replay) -> None:
    example("axios-replica", project)

    def still(text: str) -> str:
        return re.sub(r"\d+ s\.", "N s.", re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text))

    shown = scangate("check", **replay.environ).out.rstrip()
    assert still(shown) in still((ROOT / "README.md").read_text())
