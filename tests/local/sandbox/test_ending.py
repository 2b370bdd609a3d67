"""However a run ends, no process of it is left, and what was cut off is never taken for a result."""

import os
import re
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from scangate.local.jobs import Interrupted
from scangate.local.sandbox.base import SandboxFailed
from tests.local.conftest import WAIT_SECONDS, until
from tests.local.sandbox import jobs
from tests.local.sandbox.sleeper import SOURCE

pytestmark = pytest.mark.tool("bwrap", "strace", "ip", "unshare", "setpriv")
ROOT = Path(__file__).resolve().parents[3]


def marked(marker: str) -> dict[int, list[str]]:
    """The processes of this machine with the marker in their command line, this test's own drivers left out."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            argv = (entry / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        except OSError:
            continue
        if marker in argv and "tests.local.sandbox.sleeper" not in argv:
            found[int(entry.name)] = argv
    return found


def sleeping(marker: str) -> bool:
    """The package's program runs, with what it has forked (besides strace, bwrap twice)."""
    return sum(argv[:1] == [jobs.python()] for argv in marked(marker).values()) >= 4


@pytest.fixture
def marker() -> Iterator[str]:
    name = f"marker-{secrets.token_hex(8)}"
    yield name
    left = marked(name)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left


def test_a_killed_driver_leaves_no_process(marker: str) -> None:
    driver = subprocess.Popen(
        [sys.executable, "-m", "tests.local.sandbox.sleeper", marker], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    try:
        until(lambda: sleeping(marker))
    finally:
        driver.kill()
        driver.wait()
    until(lambda: not marked(marker))


def run_in_thread(marker: str, stop: threading.Event) -> tuple[threading.Thread, list[object]]:
    ends: list[object] = []

    def work() -> None:
        program = jobs.program(jobs.python(), "-S", "main.py", marker)
        try:
            ends.append(jobs.run(jobs.plan(program, seconds=600), files={"main.py": SOURCE}, stop=stop))
        except (Interrupted, SandboxFailed) as error:
            ends.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    return thread, ends


def test_stop_interrupts(marker: str) -> None:
    stop = threading.Event()
    thread, ends = run_in_thread(marker, stop)
    until(lambda: sleeping(marker))
    stop.set()
    thread.join(WAIT_SECONDS)
    assert isinstance(ends[0], Interrupted)
    until(lambda: not marked(marker))


@pytest.mark.parametrize("victim", ["strace", "bwrap", "python"])
def test_a_killed_part_is_a_failure(marker: str, victim: str) -> None:
    """The tracer; bwrap, whose end does not mean the package's; the supervisor itself."""
    thread, ends = run_in_thread(marker, threading.Event())
    until(lambda: sleeping(marker))
    os.kill(_part(marker, victim), signal.SIGKILL)
    thread.join(WAIT_SECONDS)
    if victim == "bwrap":
        assert isinstance(ends[0], tuple)
        assert ends[0][0].status == "error_analysis"
    else:
        assert isinstance(ends[0], SandboxFailed)
    until(lambda: not marked(marker))


def _part(marker: str, victim: str) -> int:
    tracer = next(pid for pid, argv in marked(marker).items() if argv[0].endswith("/strace"))
    match victim:
        case "strace":
            return tracer
        case "bwrap":
            inner = [pid for pid, argv in marked(marker).items() if argv[0].endswith("/bwrap")]
            return max(inner)  # the first process of the package's own namespace
        case _:
            found = re.search(r"^PPid:\s*(\d+)$", Path(f"/proc/{tracer}/status").read_text(), re.MULTILINE)
            assert found is not None
            return int(found[1])
