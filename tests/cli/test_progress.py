"""What people see of a run under way: on a terminal, in a log, and with --quiet."""

import fcntl
import io
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from pathlib import Path

import pytest

from scangate.cli.context import Context
from scangate.cli.progress import ProgressReporter, describe
from scangate.service.progress import Progress

ROOT = Path(__file__).resolve().parents[2]


def context(stderr: io.TextIOBase, environ: Mapping[str, str] | None = None) -> Context:
    return Context(environ=environ or {}, cwd=Path(), stdout=io.StringIO(), stderr=stderr)  # type: ignore[arg-type]


def at(elapsed: float, done: int, total: int = 3) -> Progress:
    return Progress(total=total, submitted=total, running=total - done, done=done, elapsed=elapsed)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_line_says_all_that_there_is_to_know() -> None:
    progress = Progress(total=20, waiting=8, submitted=12, running=3, done=8, shortfalls=1, blocked=1, elapsed=65.9)
    assert describe(progress) == "12 of 20 submitted, 3 running, 8 done (1 blocked), 1 without a report, 1:05"
    assert describe(Progress(total=1, waiting=1)) == "0 of 1 submitted, 0 running, 0 done, 0:00"


def test_a_log_gets_a_line_at_changes_and_once_a_minute() -> None:
    log = io.StringIO()
    with ProgressReporter.of(context(log), False) as reporter:
        for second in range(200):
            reporter.show(at(float(second), done=0 if second < 10 else 1))
        reporter.show(at(200.1, done=3))
    assert [line.rpartition(" ")[2] for line in log.getvalue().splitlines()] == [
        "0:00",
        "0:10",
        "1:10",
        "2:10",
        "3:10",
        "3:20",
    ]
    assert all(line.startswith("scangate: 3 of 3 submitted") for line in log.getvalue().splitlines())
    assert "\x1b" not in log.getvalue()


@pytest.mark.parametrize("environ", [{"CI": "true"}, {"TERM": "dumb"}])
def test_a_terminal_in_ci_or_a_dumb_one_gets_plain_lines(environ: dict[str, str]) -> None:
    terminal = Terminal()
    with ProgressReporter.of(context(terminal, environ), False) as reporter:
        reporter.show(at(0, 0))
    assert terminal.getvalue() == "scangate: 3 of 3 submitted, 3 running, 0 done, 0:00\n"


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_quiet_is_quiet(stream: type[io.StringIO]) -> None:
    stderr = stream()
    with ProgressReporter.of(context(stderr), True) as reporter:
        reporter.show(at(0, 0))
        reporter.show(at(100, 3))
    assert stderr.getvalue() == ""


@pytest.mark.parametrize("environ", [{}, {"CI": "1"}])
def test_a_reader_that_went_away_does_not_end_the_run(environ: dict[str, str]) -> None:
    refused: list[str] = []

    class Broken(Terminal):
        def write(self, text: str) -> int:
            refused.append(text)
            raise BrokenPipeError

    with ProgressReporter.of(context(Broken(), environ), False) as reporter:
        reporter.show(at(0, 0))
        reporter.show(at(10, 3))
    assert "0 done" in refused[0]
    assert any("3 done" in text for text in refused)


def test_a_run_that_ends_before_anything_is_shown_leaves_nothing() -> None:
    terminal = Terminal()
    with ProgressReporter.of(context(terminal), False):
        pass
    assert terminal.getvalue() == ""


LIVE = """
import sys
from scangate.cli.context import Context
from scangate.cli.progress import ProgressReporter
from scangate.service.progress import Progress

with ProgressReporter.of(Context(), False) as reporter:
    for step in range(1001):
        reporter.show(Progress(total=10, submitted=10, running=10 - step // 100, done=step // 100, elapsed=step / 1000))
print("after", file=sys.stderr)
"""


def test_a_real_terminal_gets_one_line_that_is_redrawn_and_taken_away() -> None:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 30, 0, 0))
    environ = {name: value for name, value in os.environ.items() if name != "CI"} | {"TERM": "xterm-256color"}
    with subprocess.Popen([sys.executable, "-c", LIVE], cwd=ROOT, env=environ, stderr=slave) as process:
        os.close(slave)
        seen = b""
        while chunk := _read(master):
            seen += chunk
    os.close(master)
    assert process.returncode == 0
    *drawings, after = seen.decode().split("\r\x1b[K")
    assert after == "after\r\n"
    # Redrawn ten times a second at most, each time in place and within the terminal's 30 columns.
    assert drawings[0] == ""
    assert 8 <= len(drawings) - 1 <= 13
    assert set(drawings[1:]) <= {f"10 of 10 submitted, {count:d} running, "[:29] + "\r" for count in range(11)}
    assert drawings[-1] == "10 of 10 submitted, 0 running\r"


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other end of a terminal was closed
        return b""
