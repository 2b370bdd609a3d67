"""The frame around the commands: help, exit codes, errors, bugs, pipes, signals, start-up."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scangate import __version__
from scangate.cli.context import Context
from scangate.cli.main import COMMANDS, command_parser, run
from scangate.errors import ExitCode
from tests.cli.conftest import Replay, Scangate, example
from tests.conftest import ROOT

HEAVY = ("requests", "rich", "yaml", "packaging", "re2", "asyncio", "starlette", "dataclasses")


def process(*argv: str, **options: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]  # options are the tests'
        [sys.executable, "-m", "scangate", *argv],
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options},
    )


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"scangate {__version__}\n"


def test_version_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom scangate.__main__ import main\nmain(['--version'])\n"
        f"print(*sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)"
    )
    # Coverage measures subprocesses, too, and loads modules of its own to do so.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ)
    assert done.stderr.strip() == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    assert f"scangate {command}" in capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_says_what_it_does(command: str) -> None:
    assert all(action.help for action in command_parser(command)._actions)


def test_the_key_is_never_an_argument() -> None:
    options = {text for name in COMMANDS for action in command_parser(name)._actions for text in action.option_strings}
    assert [option for option in options if "key" in option or "token" in option] == ["--key-file"]


@pytest.mark.parametrize("argv", [(), ("frobnicate",), ("check", "--frobnicate"), ("list", "--format", "x")])
def test_wrong_usage_is_exit_2(scangate: Scangate, argv: tuple[str, ...]) -> None:
    result = scangate(*argv)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("scangate: error: ")
    assert "--help" in result.err


class _Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise RuntimeError("\x1b[31mout of order")


def test_a_bug_is_exit_4_and_no_pass(project: Path) -> None:
    example("axios-replica", project)
    err = io.StringIO()
    assert run(["list"], Context(environ={}, cwd=project, stdout=_Broken(), stderr=err)) == ExitCode.BUG
    assert "internal error: RuntimeError: \\x1b[31mout of order" in err.getvalue()
    assert "Traceback" not in err.getvalue()


def test_a_bug_shows_its_traceback_when_asked(project: Path) -> None:
    example("axios-replica", project)
    err = io.StringIO()
    assert run(["list"], Context(environ={"SCANGATE_DEBUG": "1"}, cwd=project, stdout=_Broken(), stderr=err)) == 4
    assert "Traceback" in err.getvalue()


def test_errors_are_escaped(scangate: Scangate) -> None:
    result = scangate("list", "\x1b[31m\n::error::x")
    assert result.code == 2
    assert "\\x1b[31m\\n::error::x" in result.err


def test_a_reader_that_leaves_is_no_traceback_and_no_pass(project: Path) -> None:
    example("npm-project", project)
    read, write = os.pipe()
    os.close(read)
    with process("list", "--format", "json", cwd=project, stdout=write) as running:
        os.close(write)
        _, err = running.communicate(timeout=30)
    assert running.returncode == 3
    assert "Traceback" not in err
    assert "Exception ignored" not in err


def test_ctrl_c_prints_what_is_known_and_exits_130(
    project: Path, replay: Replay, serve: object, own_world: Path
) -> None:
    example("axios-replica", project)
    slow = serve({"recordings": [{"purl": "pkg:npm/follow-replica@1.15.11", "delay": 3600}]})  # type: ignore[operator]
    environ = {**os.environ, **slow.environ}
    with process("check", "--timeout", "120", cwd=project, env=environ) as running:
        assert running.stderr is not None
        for line in running.stderr:  # the progress, as a log has it
            if "2 done" in line:
                break
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=30)
    assert running.returncode == 130, err
    assert "plain-crypto-replica" in out
    assert "pending (1" in out
    assert "Traceback" not in err


def test_output_that_the_terminal_cannot_encode_is_escaped(project: Path) -> None:
    example("axios-replica", project)
    environ = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    with process("list", cwd=project, env=environ) as running:
        out, err = running.communicate(timeout=30)
    assert running.returncode == 0, err
    assert "\\u2192" in out or "→" not in out


@pytest.mark.parametrize(
    ("redirection", "argv", "expected"),
    [
        ("2>&-", "list", 0),
        ("2>&-", "list nowhere", 2),
        ("2>/dev/full", "list nowhere", 2),
        (">&- 2>&-", "list", 0),
        ("<&- >&- 2>&-", "list nowhere", 2),
    ],
)
def test_closed_streams_do_not_change_the_exit_code(project: Path, redirection: str, argv: str, expected: int) -> None:
    """A crash in the error handler would end with 1, which says "blocked"."""
    example("axios-replica", project)
    command = f'exec "$0" -m scangate {argv} {redirection}'
    done = subprocess.run(["sh", "-c", command, sys.executable], cwd=project, stdout=subprocess.DEVNULL, check=False)
    assert done.returncode == expected


def test_a_deleted_working_directory_is_an_error_and_no_bug(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    command = 'rmdir "$PWD" && exec "$0" -P -m scangate list'
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["sh", "-c", command, sys.executable], cwd=gone, env=environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "the working directory cannot be found" in done.stderr
