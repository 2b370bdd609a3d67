"""--format at the command line: every format of the registry, in a subdirectory, with links where CI names them."""

import json
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from scangate.output import FORMATS
from tests.cli.conftest import Replay, Scangate, example
from tests.output.runner_commands import annotations

COMMIT = "1f" * 20
GITHUB = {
    "GITHUB_SERVER_URL": "https://github.example",
    "GITHUB_REPOSITORY": "acme/shop",
    "GITHUB_SHA": COMMIT,
}


@pytest.fixture
def subdirectory(project: Path) -> Path:
    """A project in a folder of a repository."""
    subprocess.run(["git", "init", "--quiet", project], check=True)
    return example("axios-replica", project / "web")


def test_one_run_writes_every_format(scangate: Scangate, subdirectory: Path, replay: Replay) -> None:
    files = {name: subdirectory / f"out.{name}" for name in FORMATS}
    options = [option for name in FORMATS for option in ("--format", f"{name}=out.{name}")]
    result = scangate("check", "--all", *options, cwd=subdirectory, **replay.environ, **GITHUB)
    assert (result.code, result.out) == (1, "")
    texts = {name: path.read_text() for name, path in files.items()}
    assert all("plain-crypto-replica" in text and "net-on-install" in text for text in texts.values())

    [error] = [each for each in annotations(texts["github"]) if each.name == "error"]
    assert (error.properties["file"], error.properties["line"]) == ("web/package-lock.json", "26")
    address = f"https://github.example/acme/shop/blob/{COMMIT}/web/package-lock.json#L26"
    assert f"[`web/package-lock.json:26`]({address})" in texts["markdown"]
    assert json.loads(texts["gitlab"])[0]["location"] == {"path": "web/package-lock.json", "lines": {"begin": 26}}
    assert ET.fromstring(texts["junit"])[0].attrib["name"] == "web/package-lock.json"
    located = json.loads(texts["sarif"])["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert located["artifactLocation"]["uri"] == "web/package-lock.json"
    assert json.loads(texts["json"])["exit_code"] == 1
    assert "in package-lock.json:26" in texts["terminal"]


def test_without_a_sound_address_there_is_no_link(scangate: Scangate, subdirectory: Path, replay: Replay) -> None:
    unsound = [
        {},
        {**GITHUB, "GITHUB_SHA": "main"},
        {**GITHUB, "GITHUB_REPOSITORY": "a/b)](https://evil.example/"},
        {**GITHUB, "GITHUB_SERVER_URL": "javascript:alert(1)"},
    ]
    for environ in unsound:
        result = scangate("check", "--all", "--format", "markdown", cwd=subdirectory, **replay.environ, **environ)
        assert "`web/package-lock.json:26`" in result.out
        assert "](" not in result.out


def test_outside_of_a_repository_paths_are_those_of_the_working_directory(
    scangate: Scangate, project: Path, replay: Replay
) -> None:
    example("axios-replica", project)
    result = scangate("check", "--format", "github", **replay.environ)
    assert annotations(result.out)[0].properties["file"] == "package-lock.json"
    assert result.code == 1


def test_an_outage_is_told_from_malware(scangate: Scangate, subdirectory: Path) -> None:
    gone = {"SCANGATE_API_URL": "http://127.0.0.1:9", "SCANGATE_API_KEY": "k"}
    files = ("--format", "github=a", "--format", "markdown=m", "--format", "junit=j")
    result = scangate("check", "--all", "--timeout", "1", *files, cwd=subdirectory, **gone)
    assert result.code == 3
    assert "not a finding of malware" in (subdirectory / "a").read_text()
    assert (subdirectory / "m").read_text().startswith("## ⏳ scangate: INCOMPLETE\n")
    root = ET.fromstring((subdirectory / "j").read_text())
    assert (root.attrib["failures"], root.attrib["errors"]) == ("0", "3")


def test_a_package_without_a_lockfile_is_shown_by_every_format(scangate: Scangate, replay: Replay) -> None:
    for name in FORMATS:
        result = scangate("scan", "pkg:npm/plain-crypto-replica@4.2.1", "--format", name, **replay.environ)
        assert result.code == 1, result.err
        assert "plain-crypto-replica" in result.out
