"""The log as a real pipe that breaks in each way it can, and tracers that are none: never taken for a result."""

import contextlib
import os
import shlex
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from scangate.local.sandbox import launch, running
from scangate.local.sandbox.base import Limits, SandboxFailed
from scangate.local.sandbox.processes import Seen, Tree
from scangate.local.sandbox.running import Log, Run
from tests.local.sandbox.test_processes import END, LAUNCH, START

WHOLE = "".join(f"{line}\n" for line in (*START, *END))


@pytest.fixture
def log(tmp_path: Path) -> Log:
    path = tmp_path / "log"
    os.mkfifo(path)
    return Log(str(path), Tree(launch=LAUNCH, own=True, package=Seen(), others=Seen()), 1_000_000)


def _read(log: Log, content: bytes) -> str:
    """What the log says of itself when this was written to it."""
    thread = threading.Thread(target=log.read)
    thread.start()
    with contextlib.suppress(BrokenPipeError):  # then it has seen enough
        Path(log.path).write_bytes(content)
    thread.join()
    assert log.ended.is_set()
    return str(log.failure or "")


def test_a_whole_log(log: Log) -> None:
    assert _read(log, WHOLE.encode()) == ""
    assert log.tree.complete


@pytest.mark.parametrize(
    ("content", "failure"),
    [
        (WHOLE.encode()[:-2], "breaks off in the middle of a line"),
        (WHOLE.encode() + b"x" * 2000, "a line of the trace is longer than 1000 bytes"),
        (b"1 chdir(\"/\xff\") = 0\n", "'ascii' codec can't decode"),
    ],
)  # fmt: skip
def test_a_log_that_cannot_be_read(log: Log, monkeypatch: pytest.MonkeyPatch, content: bytes, failure: str) -> None:
    monkeypatch.setattr(running, "_LONGEST_LINE", 1000)
    assert failure in _read(log, content)


def test_a_log_that_is_too_large(log: Log) -> None:
    log.most = len(WHOLE) - 1
    assert f"larger than {log.most} bytes" in _read(log, WHOLE.encode())


def test_a_log_that_is_not_there(log: Log) -> None:
    Path(log.path).unlink()
    log.read()
    assert isinstance(log.failure, FileNotFoundError)


Execute = Callable[[str], str]


@pytest.fixture
def execute(log: Log) -> Execute:
    """Run a shell script instead of the tracer; its `$LOG` is the log."""

    def run(script: str) -> str:
        limits = Limits(memory=1 << 40, processes=1 << 30)  # it looks at all processes of this machine
        command = ["/bin/sh", "-c", f"LOG={shlex.quote(log.path)}; {script}"]
        return Run(tree=log.tree, log=log, limits=limits).execute(lambda _: command, deadline=float("inf"))

    return run


def _writes(text: str) -> str:
    return f"printf %s {shlex.quote(text)} > $LOG"


@pytest.mark.parametrize(
    ("script", "failure"),
    [
        ("echo strace: ptrace: not permitted >&2; exit 1", "The program was not started: strace: ptrace: not perm"),
        ("exit 0", "The program was not started: nothing was traced"),
        (f"{_writes(WHOLE)}; kill -9 $$", "The tracer ended before the package did"),
        (_writes(WHOLE.replace(END[1] + "\n", "")), "The tracer ended before the package did"),
        (_writes("nothing that strace writes\n"), "The trace cannot be read"),
    ],
)
def test_a_tracer_that_fails(execute: Execute, script: str, failure: str) -> None:
    with pytest.raises(SandboxFailed, match=failure):
        execute(script)


def test_a_tracer_that_ends_in_order(execute: Execute) -> None:
    assert execute(_writes(WHOLE)) == "completed"


def test_a_pipe_that_somebody_still_holds(execute: Execute, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_END_SECONDS", 0.2)
    holder = tmp_path / "holder"
    try:
        with pytest.raises(SandboxFailed, match="The sandbox did not end"):
            execute(f"sleep 600 & echo $! > {shlex.quote(str(holder))}; {_writes(WHOLE)}")
    finally:
        os.kill(int(holder.read_text()), signal.SIGKILL)


def test_arguments_are_cut_where_the_tracer_cuts_them() -> None:
    fits = "x" * launch.STRING_SIZE
    assert running.as_traced(fits) == fits
    assert running.as_traced(fits + "y") == fits + "..."
    assert running.as_traced("ä" * launch.STRING_SIZE) == "ä" * (launch.STRING_SIZE // 2) + "..."
