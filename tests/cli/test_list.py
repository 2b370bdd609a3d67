"""`scangate list`."""

import json
from pathlib import Path

import jsonschema

from tests.cli.conftest import Scangate, example
from tests.conftest import ROOT

PURLS = ["pkg:npm/axios-replica@1.14.1", "pkg:npm/follow-replica@1.15.11", "pkg:npm/plain-crypto-replica@4.2.1"]


def test_purls_and_nothing_else_on_stdout(scangate: Scangate, project: Path) -> None:
    example("axios-replica", project)
    (project / "requirements.txt").write_text("requests\nlocal @ file:///srv/local-1.0.tar.gz\n")
    result = scangate("list", "--format", "purl")
    assert (result.code, result.out.splitlines()) == (0, PURLS)
    assert "1 file" in result.err
    assert "1 unpinned" in result.err


def test_json_has_everything(scangate: Scangate, project: Path) -> None:
    example("npm-project", project)
    document = scangate("list", "--format", "json").json
    jsonschema.validate(document, json.loads((ROOT / "docs/schema/dependencies-v1.json").read_text()))
    (lockfile,) = document["lockfiles"]
    entry = next(d for d in lockfile["dependencies"] if d["name"] == "follow-redirects")
    text = (project / "package-lock.json").read_text().splitlines()
    assert text[entry["line"] - 1].strip() == '"node_modules/follow-redirects": {'
    assert [step.partition("@")[0] for step in entry["path"]] == ["axios", "follow-redirects"]
    assert (entry["relation"], entry["scope"], entry["kind"]) == ("transitive", "prod", "registry")
    bcrypt = next(d for d in lockfile["dependencies"] if d["name"] == "bcrypt")
    assert (bcrypt["relation"], bcrypt["scope"]) == ("direct", "dev")


def test_table(scangate: Scangate, project: Path) -> None:
    example("axios-replica", project)
    result = scangate("list")
    assert result.code == 0
    assert "axios-replica@1.14.1" in result.out
    assert result.out.splitlines()[0] == "package-lock.json (npm-package-lock, 3 dependencies)"


def test_unsupported_lockfiles_are_named(scangate: Scangate, project: Path) -> None:
    example("axios-replica", project)
    (project / "yarn.lock").write_text("# yarn lockfile v1\n")
    result = scangate("list")
    assert "yarn.lock (yarn-lock): recognised, cannot be read yet (unsupported-lockfile)" in result.out
    assert "1 unsupported-lockfile" in result.err


def test_paths_and_lockfile_as(scangate: Scangate, project: Path) -> None:
    example("axios-replica", project / "app")
    (project / "app" / "package-lock.json").rename(project / "app" / "lock.backup")
    assert scangate("list", "app/lock.backup").code == 2
    result = scangate("list", "--format", "purl", "--lockfile-as", "npm-package-lock", "app/lock.backup")
    assert (result.code, result.out.splitlines()) == (0, PURLS)


def test_exclusions_of_the_policy_count(scangate: Scangate, project: Path) -> None:
    example("axios-replica", project / "app")
    example("npm-project", project / "docs" / "sample")
    (project / "scangate.yml").write_text("version: 1\nexclude: ['docs/**']\n")
    assert scangate("list", "--format", "purl").out.splitlines() == PURLS


def test_a_huge_lockfile_is_refused(scangate: Scangate, project: Path) -> None:
    with (project / "package-lock.json").open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    result = scangate("list")
    assert (result.code, result.out) == (2, "")
    assert len(result.err.splitlines()) == 2


def test_a_file_that_is_named_is_never_left_out(scangate: Scangate, project: Path) -> None:
    example("axios-replica", project)
    (project / "requirements-notes.txt").write_text("These are no requirements of a program.\n")
    assert scangate("list").code == 0
    result = scangate("list", "package-lock.json", "./requirements-notes.txt")
    assert (result.code, result.out) == (2, "")
    assert "requirements-notes.txt:1" in result.err
