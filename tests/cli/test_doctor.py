"""`scangate doctor` and the error of `--local`, on this machine and where something is hidden from them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Scangate
from tests.conftest import ROOT

TOOLS = ("bwrap", "strace", "ip", "unshare", "setpriv")
SANDBOX = pytest.mark.tool(*TOOLS)


@SANDBOX
def test_all_is_there(scangate: Scangate) -> None:
    result = scangate("doctor")
    assert (result.code, result.out) == (0, ""), result.err
    assert result.err == "scangate: all that --local needs is there.\n"


def without(tool: str, *argv: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """Run scangate where a tool is hidden: something that cannot be executed is mounted over it."""
    hidden = shutil.which(tool)
    assert hidden is not None
    real = str(Path(hidden).resolve())
    command = ["bwrap", "--dev-bind", "/", "/", "--ro-bind", "/dev/null", real, sys.executable, "-m", "scangate", *argv]
    environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(cwd), "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, check=False)


@SANDBOX
@pytest.mark.parametrize("tool", ["strace", "setpriv"])
def test_what_is_missing_is_said_with_the_command_that_mends_it(tmp_path: Path, tool: str) -> None:
    said = without(tool, "doctor", cwd=tmp_path)
    assert (said.returncode, said.stdout) == (2, "")
    assert f"needed: the program {tool} is missing" in said.stderr
    assert "mend it: " in said.stderr
    (tmp_path / "requirements.txt").write_text("idna==3.10\n")
    for command in (("check", "--local"), ("scan", "--local", "pkg:pypi/idna@3.10"), ("serve",)):
        refused = without(tool, *command, cwd=tmp_path)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert refused.stderr.splitlines()[:2] == said.stderr.splitlines()[:2]
        assert "cannot be used on this machine" in refused.stderr


def test_the_optional_extra_is_one_of_the_things(scangate: Scangate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = scangate("doctor")
    assert result.code == 2
    assert 'mend it: Run: python -m pip install "scangate[local]"' in result.err


def test_it_takes_no_arguments(scangate: Scangate) -> None:
    assert scangate("doctor", "now").code == 2
