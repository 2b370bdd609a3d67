"""`scangate evaluate`: policies tried on saved reports, without a network."""

import json
import os
from pathlib import Path

import pytest

from tests.cli.conftest import RECORDED, Scangate
from tests.conftest import ROOT

CLEAN = str(RECORDED / "made" / "npm-follow-replica-1.15.11.json")
EVIL = str(RECORDED / "made" / "npm-plain-crypto-replica-4.2.1.json")
MALWARE = str(RECORDED / "real" / "malware-pypi-jeilyfish-0.7.1.json")


def test_exit_codes_are_the_gate_s(scangate: Scangate) -> None:
    assert scangate("evaluate", CLEAN).code == 0
    assert scangate("evaluate", EVIL).code == 1
    assert scangate("evaluate", CLEAN, EVIL, MALWARE).code == 1


def test_a_policy_can_be_tried(scangate: Scangate, project: Path) -> None:
    (project / "strict.yml").write_text(
        "version: 1\nrules:\n  - {id: ban, title: Not here, severity: high, observe: package,"
        " packages: ['pkg:npm/follow-*@*']}\n"
    )
    result = scangate("evaluate", CLEAN, "--policy", "strict.yml", "--format", "json")
    assert result.code == 1
    (package,) = result.json["packages"]
    assert [(finding["rule"], finding["decided_by"]["where"]) for finding in package["findings"]] == [
        ("ban", "strict.yml:3")
    ]


def test_a_report_about_another_package_is_no_verdict(scangate: Scangate) -> None:
    result = scangate("evaluate", CLEAN, "--purl", "pkg:npm/axios@1.0.0")
    assert result.code == 3
    assert "wrong-package" in result.out


def test_no_network_and_no_key_are_needed(scangate: Scangate) -> None:
    assert scangate("evaluate", CLEAN, SCANGATE_API_URL="nonsense").code == 0


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"Analysis": {}}', "\udce9"])
def test_what_is_no_report_is_exit_2(scangate: Scangate, project: Path, content: str) -> None:
    (project / "r.json").write_text(content, errors="surrogateescape")
    result = scangate("evaluate", "r.json")
    assert (result.code, result.out) == (2, "")
    assert "r.json" in result.err


def test_files_that_cannot_be_read(scangate: Scangate, project: Path) -> None:
    (project / "folder").mkdir()
    with (project / "huge.json").open("wb") as file:
        file.truncate(65 * 1024 * 1024)
    os.mkfifo(project / "fifo")
    for name, said in (
        ("nowhere.json", "nowhere.json cannot be read: No such file or directory."),
        ("folder", "folder cannot be read: Is a directory."),
        ("huge.json", "huge.json is larger than 64 MiB."),
        ("fifo", "fifo is not an ordinary file."),
    ):
        result = scangate("evaluate", name)
        assert (result.code, said in result.err) == (2, True), result.err


def test_two_reports_of_one_engine_on_one_package(scangate: Scangate) -> None:
    result = scangate("evaluate", CLEAN, CLEAN)
    assert result.code == 2
    assert "second report" in result.err


def test_a_report_that_is_half_broken_is_incomplete(scangate: Scangate, project: Path) -> None:
    report = json.loads(Path(CLEAN).read_text())
    report["Analysis"]["install"]["Files"] = "none"
    (project / "r.json").write_text(json.dumps(report))
    result = scangate("evaluate", "r.json")
    assert result.code == 3
    assert "report-invalid" in result.out


def test_a_saved_report_of_which_nothing_ran_is_import_failed(scangate: Scangate) -> None:
    inert = ROOT / "tests/assets/reports/dynamic-analysis/inert-pypi-urlibdownloader-0.0.0.json"
    result = scangate("evaluate", str(inert), "--format", "json")
    (package,) = result.json["packages"]
    assert {outcome["code"] for outcome in package["outcomes"]} == {"import-failed", "stale"}
    assert (result.code, package["status"]) == (0, "warned")
