"""action/python.sh: which Python scangate is installed with, on made-up layouts of runners and on this machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

SYSTEM = "/usr/bin:/bin"
GOOD = "#!/bin/sh\nexit 0\n"
OLD = "#!/bin/sh\nexit 1\n"


class Machine:
    """A runner: a workspace, a folder on PATH, and a tool cache."""

    def __init__(self, folder: Path) -> None:
        self.workspace, self.bin, self.tools = (folder / name for name in ("workspace", "bin", "tools"))
        for each in (self.workspace, self.bin, self.tools):
            each.mkdir()
        # The system's own programs without its Pythons.
        self.system = folder / "system"
        self.system.mkdir()
        for name in ("bash", "dirname", "od", "readlink", "tr"):
            (self.system / name).symlink_to(next(p for d in SYSTEM.split(":") if (p := Path(d, name)).exists()))

    def python(self, path: Path, content: str = GOOD) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(0o755)
        return path

    def find(self, named: str = "", **environ: str) -> "subprocess.CompletedProcess[str]":
        own = {
            "PATH": f"{self.bin}:{self.system}",
            "GITHUB_WORKSPACE": str(self.workspace),
            "RUNNER_TOOL_CACHE": str(self.tools),
            "SCANGATE_INPUT_PYTHON": named,
        }
        script = ROOT / "action" / "python.sh"
        command = [str(self.system / "bash"), str(script)]
        return subprocess.run(command, env={**own, **environ}, capture_output=True, text=True, check=False)

    def found(self, named: str = "", **environ: str) -> Path:
        done = self.find(named, **environ)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return Path(done.stdout.strip())


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_this_machine_has_one() -> None:
    environ = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", ROOT / "action" / "python.sh"], env=environ, capture_output=True, text=True, check=True
    )
    version = subprocess.run(
        [done.stdout.strip(), "-c", "import sys; print(sys.version_info >= (3, 11))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert version.stdout == "True\n"


def test_python3_on_path_is_taken(machine: Machine) -> None:
    machine.python(machine.bin / "python3.12")
    expected = machine.python(machine.bin / "python3")
    assert machine.found() == expected


def test_an_old_python3_gives_way_to_a_newer_one(machine: Machine) -> None:
    machine.python(machine.bin / "python3", OLD)
    expected = machine.python(machine.bin / "python3.12")
    assert machine.found() == expected


def test_an_old_one_first_on_path_does_not_hide_a_good_one(machine: Machine, tmp_path: Path) -> None:
    machine.python(machine.bin / "python3", OLD)
    expected = machine.python(tmp_path / "second" / "python3")
    assert machine.found(PATH=f"{machine.bin}:{tmp_path / 'second'}:{machine.system}") == expected


@pytest.mark.parametrize(
    ("architecture", "layout"),
    [
        ("X64", "Python/3.12.10/x64/bin/python3"),  # Linux
        ("ARM64", "Python/3.13.1/arm64/bin/python3"),  # macOS
        ("X64", "Python/3.11.9/x64/python.exe"),  # Windows
        ("X86", "Python/3.12.7/x86/python.exe"),
    ],
)
def test_the_runner_s_tools_are_looked_through(machine: Machine, architecture: str, layout: str) -> None:
    machine.python(machine.bin / "python3", OLD)
    machine.python(machine.tools / "Python/3.9.20/x64/bin/python3", OLD)
    machine.python(machine.tools / "Python/3.12.10/other/bin/python3")
    expected = machine.python(machine.tools / layout)
    assert machine.found(RUNNER_ARCH=architecture) == expected


def test_the_tools_folder_may_be_written_as_windows_does(machine: Machine) -> None:
    expected = machine.python(machine.tools / "Python/3.12.10/x64/python.exe")
    assert machine.found(RUNNER_TOOL_CACHE=str(machine.tools).replace("/", "\\")) == expected


def test_nothing_of_the_workspace_is_run(machine: Machine, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    planted = machine.python(machine.workspace / "bin" / "python3", f"#!/bin/sh\n: > {marker}\n")
    (tmp_path / "link").symlink_to(machine.workspace / "bin")
    expected = machine.python(machine.bin / "python3")
    path = f"{planted.parent}:{tmp_path / 'link'}:{machine.bin}:{machine.system}"
    assert machine.found(PATH=path) == expected
    assert machine.find(str(planted)).returncode == 2
    (tmp_path / "own").symlink_to("other")
    (tmp_path / "other").symlink_to(planted)
    assert machine.find(str(tmp_path / "own")).returncode == 2
    assert not marker.exists()


def test_none_is_exit_2_with_the_fix_and_path_is_not_changed(machine: Machine) -> None:
    machine.python(machine.bin / "python3", OLD)
    done = machine.find()
    assert (done.returncode, done.stdout) == (2, "")
    assert "::error title=scangate::There is no Python 3.11" in done.stderr
    assert "actions/setup-python" in done.stderr


def test_a_python_without_ensurepip_is_none(machine: Machine, tmp_path: Path) -> None:
    planted = tmp_path / "lib" / "ensurepip.py"
    planted.parent.mkdir()
    planted.write_text("raise ImportError\n")
    wrapper = f'#!/bin/sh\nshift\nPYTHONPATH={planted.parent} exec {sys.executable} "$@"\n'
    machine.python(machine.bin / "python3", wrapper)
    assert machine.find().returncode == 2


def test_the_input_names_the_only_candidate(machine: Machine, tmp_path: Path) -> None:
    machine.python(machine.bin / "python3")
    by_path = machine.python(tmp_path / "own" / "python")
    by_name = machine.python(machine.bin / "mypython")
    assert machine.found(str(by_path)) == by_path
    assert machine.found("mypython") == by_name


@pytest.mark.parametrize("named", ["nowhere", "/nowhere/python", "-c", "--version", "", "a\n::error::b%0A"])
def test_an_input_that_will_not_do_is_exit_2(machine: Machine, named: str) -> None:
    done = machine.find(named)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("::error title=scangate::")
