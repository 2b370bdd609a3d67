"""The cache's file among real processes: many at once, killed while they write, and on a disk that is full."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from scangate.models.analysis import AnalysisRequest, Report
from scangate.service.cache import FILE, Cache, Entry
from tests.conftest import ROOT

PRELUDE = """
import hashlib, resource, sys, time
from pathlib import Path
from scangate.models.analysis import AnalysisRequest, Report
from scangate.service.cache import Cache, Entry

def entry(number):
    return Entry(analyser="https://api.example.com", request=AnalysisRequest(purl=f"pkg:npm/p{number}@1"))

def report(number, size=20_000):  # bytes that do not shrink
    return Report(payload=hashlib.shake_128(str(number).encode()).digest(size), task_id=number)

def warn(text):
    print(text, flush=True)

cache = Cache(Path(sys.argv[1]), workspace=None, clock=time.time, warn=warn)
"""


def start(directory: Path, program: str, *arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(program), str(directory), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def finish(process: "subprocess.Popen[str]") -> str:
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out
    return out


def entry(number: int) -> Entry:
    return Entry(analyser="https://api.example.com", request=AnalysisRequest(purl=f"pkg:npm/p{number}@1"))


def report(number: int) -> Report:
    namespace: dict[str, object] = {}
    source = PRELUDE.partition("def report")[2].partition("def warn")[0]
    exec(f"import hashlib\nfrom scangate.models.analysis import Report\ndef report{source}", namespace)
    made = namespace["report"](number)  # type: ignore[operator]
    assert isinstance(made, Report)
    return made


class Reading:
    """The cache as the next run finds it."""

    def __init__(self, directory: Path) -> None:
        self.warnings: list[str] = []
        self.cache = Cache(directory, workspace=None, clock=time.time, warn=self.warnings.append)

    def __enter__(self) -> "Reading":
        return self

    def __exit__(self, *_: object) -> None:
        self.cache.close()


def test_many_processes_keep_and_read_at_once(tmp_path: Path) -> None:
    program = """
        first = int(sys.argv[2])
        for number in range(first, first + 25):
            cache.remember(entry(number), number)
            cache.keep(entry(number), report(number))
            cache.keep(entry(0), report(0))
            assert cache.report(entry(0)) == report(0)
            assert cache.report(entry(number)) == report(number)
    """
    running = [start(tmp_path / "cache", program, first) for first in range(100, 500, 100)]
    assert [finish(process) for process in running] == [""] * 4
    with Reading(tmp_path / "cache") as now:
        for first in range(100, 500, 100):
            assert [now.cache.report(entry(number)) == report(number) for number in range(first, first + 25)] == [
                True
            ] * 25
        assert now.cache.info().tasks == 0


def test_processes_that_meet_a_broken_file_together_go_on(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"this is no database" * 1000)
    program = """
        time.sleep(max(0, float(sys.argv[2]) - time.time()))
        assert cache.report(entry(1)) in (None, report(1))
        cache.keep(entry(1), report(1))
    """
    running = [start(tmp_path, program, time.time() + 0.5) for _ in range(4)]
    said = [finish(process) for process in running]
    assert all(text.count("\n") <= 1 for text in said)
    assert any("set aside" in text for text in said)
    with Reading(tmp_path) as now:
        now.cache.keep(entry(2), report(2))
        assert now.cache.report(entry(2)) == report(2)


@pytest.mark.parametrize("at", range(6))
def test_a_process_killed_while_it_writes_leaves_whole_reports(tmp_path: Path, at: int) -> None:
    program = """
        cache.remember(entry(-1), 41)
        number = 0
        while True:
            cache.keep(entry(number), report(number))
            print(number, flush=True)
            number += 1
    """
    process = start(tmp_path, program)
    assert process.stdout is not None
    with process.stdout:
        for _ in range(2 + at * 3):  # so that it is somewhere else each time
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        said = process.stdout.read().split()
    process.wait(60)
    done = int(said[-1]) if said else 1 + at * 3
    with Reading(tmp_path) as now:
        assert [now.cache.report(entry(number)) == report(number) for number in range(done + 1)] == [True] * (done + 1)
        assert now.cache.report(entry(done + 1)) in (None, report(done + 1))
        assert now.cache.task(entry(-1)) == 41
        now.cache.keep(entry(9999), report(1))
        assert now.cache.report(entry(9999)) == report(1)
        assert now.warnings == []


def test_a_process_killed_within_a_transaction_is_as_if_it_had_not_begun(tmp_path: Path) -> None:
    program = """
        import os, signal, sqlite3
        cache.keep(entry(1), report(1))
        with cache._writing() as database:
            database.execute("PRAGMA cache_spill = 1")
            database.execute("PRAGMA cache_size = 1")
            database.execute("UPDATE reports SET payload = zeroblob(400000), digest = x'00', task = 5")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    process = start(tmp_path, program)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert (tmp_path / f"{FILE}-journal").stat().st_size > 0  # it was in the middle indeed
    with Reading(tmp_path) as now:
        assert now.cache.report(entry(1)) == report(1)
        assert now.warnings == []


def test_a_full_disk_is_said_once_and_what_was_kept_stays(tmp_path: Path) -> None:
    """The limit on the size of files stands for the disk: the write fails half-way, as it does there."""
    program = """
        cache.keep(entry(1), report(1))
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
        cache.keep(entry(2), report(2, 1_000_000))
        cache.keep(entry(3), report(3))
        cache.remember(entry(4), 4)
        assert cache.report(entry(1)) is None
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    """
    said = finish(start(tmp_path, program)).splitlines()
    assert len(said) == 1
    assert "goes on without it" in said[0]
    with Reading(tmp_path) as now:
        assert [now.cache.report(entry(number)) for number in (1, 2, 3)] == [report(1), None, None]
        assert now.warnings == []


def test_a_disk_that_is_full_from_the_start(tmp_path: Path) -> None:
    program = """
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        cache.remember(entry(1), 1)
        cache.keep(entry(1), report(1))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    """
    assert len(finish(start(tmp_path, program)).splitlines()) == 1
    with Reading(tmp_path) as now:
        now.cache.keep(entry(1), report(1))
        assert now.cache.report(entry(1)) == report(1)
        assert now.warnings == []
