"""action/install.sh: every package by hash, into a virtual environment of its own, whatever the workspace holds."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.action.index import action_for, digest, served, wheel
from tests.action.planted import plant
from tests.action.runner import Outputs, parse_file_commands
from tests.conftest import ROOT


class Installation:
    """A runner whose workspace holds everything that could mislead an installation."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workspace, self.temporary, self.marker = folder / "workspace", folder / "für temp", folder / "ran"
        self.temporary.mkdir()
        plant(self.workspace, self.marker)
        self.output = folder / "output"
        self.output.touch()

    def run(self, action: Path, **environ: str) -> "subprocess.CompletedProcess[str]":
        own = {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "HOME": str(self.folder / "home"),
            "RUNNER_TEMP": str(self.temporary),
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_OUTPUT": str(self.output),
        }
        command = ["bash", str(action / "action" / "install.sh")]
        done = subprocess.run(
            command, cwd=self.workspace, env={**own, **environ}, capture_output=True, text=True, check=False
        )
        assert not self.marker.exists(), self.marker.read_text()
        return done

    @property
    def outputs(self) -> Outputs:
        return parse_file_commands(self.output.read_text())


def test_what_has_the_lock_s_hash_is_installed_apart_from_the_job_s_python(tmp_path: Path) -> None:
    content = wheel()
    place = Installation(tmp_path)
    action = action_for(tmp_path / "the action", digest(content))
    with served(content) as index:
        # What a job's environment may say, and must not count here.
        misleading = {
            "PIP_NO_INDEX": "1",
            "PIP_TARGET": str(tmp_path / "elsewhere"),
            "PYTHONPATH": str(place.workspace),
        }
        done = place.run(action, PIP_INDEX_URL=index, **misleading)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "scangate 1.0" in done.stdout
    python = Path(place.outputs["python"])
    assert python.is_relative_to(place.temporary)
    assert not (tmp_path / "elsewhere").exists()
    assert place.outputs["fresh"] == "true"
    cache = Path(place.outputs["cache"])
    assert cache == place.temporary / "scangate-cache"
    assert oct(cache.stat().st_mode)[-3:] == "700"


def test_a_wrong_hash_aborts_and_nothing_of_it_is_installed(tmp_path: Path) -> None:
    place = Installation(tmp_path)
    action = action_for(tmp_path / "action", digest(wheel()))
    other = wheel(f"open({str(place.marker)!r}, 'w')")
    with served(other) as index:
        done = place.run(action, PIP_INDEX_URL=index)
    assert done.returncode == 3
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert "::error title=scangate::scangate could not be installed" in done.stderr
    assert place.outputs == {"verdict": "incomplete"}
    assert not list(place.temporary.glob("scangate-*/lib/*/site-packages/scangate"))


STAND_IN = """#!/bin/bash
case "$*" in
  *"-m venv"*) mkdir -p "${@: -1}/bin" && cp "$0" "${@: -1}/bin/python" ;;
  *"-m pip"*) exit %d ;;
  *devnull*) echo /dev/null ;;
esac
"""


def stand_in(folder: Path, pip_status: int) -> str:
    """A Python whose pip ends with a status: what the script makes of it needs no real one."""
    path = folder / "python"
    path.write_text(STAND_IN % pip_status)
    path.chmod(0o755)
    return str(path)


def test_an_installation_that_fails_is_incomplete_and_no_finding(tmp_path: Path) -> None:
    place = Installation(tmp_path)
    done = place.run(ROOT, SCANGATE_INPUT_PYTHON=stand_in(tmp_path, 1))
    assert done.returncode == 3
    assert "no finding" in done.stderr
    assert place.outputs == {"verdict": "incomplete"}


@pytest.mark.parametrize(("earlier", "fresh"), [(False, "true"), (True, "false")])
def test_a_second_step_of_the_job_finds_the_cache_of_the_first(tmp_path: Path, earlier: bool, fresh: str) -> None:
    place = Installation(tmp_path)
    if earlier:
        (place.temporary / "scangate-cache").mkdir()
    assert place.run(ROOT, SCANGATE_INPUT_PYTHON=stand_in(tmp_path, 0)).returncode == 0
    assert place.outputs["fresh"] == fresh


def test_no_python_is_exit_2(tmp_path: Path) -> None:
    place = Installation(tmp_path)
    done = place.run(action_for(tmp_path / "action", "0" * 64), SCANGATE_INPUT_PYTHON="/nowhere")
    assert (done.returncode, done.stdout, place.outputs) == (2, "", {})


def test_the_lock_holds_what_the_package_needs_each_file_by_hash() -> None:
    lock = (ROOT / "requirements" / "action.txt").read_text()
    entries = re.split(r"\n(?=[a-z])", lock)[1:]
    pinned = {}
    for entry in entries:
        found = re.match(r"([a-z0-9-]+)==(\S+)", entry)
        assert found, entry[:80]
        assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", entry)) >= 1, entry[:80]
        pinned[found[1]] = found[2]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = project["project"]["dependencies"] + project["project"]["optional-dependencies"]["local"]
    for text in wanted + project["build-system"]["requires"]:
        requirement = Requirement(text)
        assert pinned[requirement.name] in requirement.specifier, f"run `make lock`: {text}"


def test_the_lock_has_the_versions_that_the_tests_run_with() -> None:
    dev = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements" / "dev.txt").read_text(), re.MULTILINE))
    for name, version in re.findall(
        r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements" / "action.txt").read_text(), re.MULTILINE
    ):
        assert dev.get(name, version) == version, name
