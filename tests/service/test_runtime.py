"""The real threads and the real clock: results come back, and nobody waits for what hangs."""

import asyncio
import signal
import subprocess
import sys
import threading
from pathlib import Path
from random import Random

import pytest

from scangate.models.analysis import AnalysisRequest, Report
from scangate.service.base import Task, TaskPage
from scangate.service.budget import ProcessBudget, Rate
from scangate.service.runtime import SYSTEM, DaemonThreads
from scangate.service.scheduler import Scheduler, Settings
from scangate.web.errors import Refused
from tests.service.simulation import packages

ROOT = Path(__file__).resolve().parents[2]


def ours() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "scangate-request"}


def wait_for_the_end(threads: set[threading.Thread]) -> None:
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def test_calls_run_beside_each_other_and_give_their_own_results() -> None:
    meeting = threading.Barrier(5, timeout=30)

    def call(number: int) -> tuple[int, str]:
        meeting.wait()  # would never return if they ran one after another
        return number, threading.current_thread().name

    async def scenario() -> None:
        with DaemonThreads() as execute:
            for _ in range(3):
                results = await asyncio.gather(*(execute(lambda number=number: call(number)) for number in range(5)))
                assert results == [(number, "scangate-request") for number in range(5)]
            assert len(ours()) == 5
            wait.update(ours())

    wait: set[threading.Thread] = set()
    asyncio.run(scenario())
    wait_for_the_end(wait)


def test_an_exception_comes_back_as_it_is() -> None:
    def call() -> None:
        raise Refused("No.", "Do something else.")

    async def scenario() -> None:
        with DaemonThreads() as execute:
            with pytest.raises(Refused, match=r"No\."):
                await execute(call)
            assert await execute(lambda: "the thread lives on") == "the thread lives on"

    asyncio.run(scenario())


def test_a_call_that_hangs_holds_up_neither_the_run_nor_its_end() -> None:
    release = threading.Event()
    hung: set[threading.Thread] = set()

    async def scenario() -> None:
        with DaemonThreads() as execute:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(execute(lambda: release.wait(60)), timeout=0.05)
            hung.update(ours())
            assert await execute(lambda: 1) == 1

    asyncio.run(scenario())
    assert all(thread.daemon for thread in hung)
    release.set()  # its answer finds a closed loop, and nothing happens
    wait_for_the_end(hung)


def test_an_answer_that_nobody_waits_for_any_more_is_dropped() -> None:
    release, done = threading.Event(), threading.Event()

    def call() -> None:
        release.wait(60)
        done.set()

    async def scenario() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        with DaemonThreads() as execute:
            pending = asyncio.ensure_future(execute(call))
            await asyncio.sleep(0)
            pending.cancel()
            release.set()
            while not done.is_set():
                await asyncio.sleep(0.01)
            assert await execute(lambda: 2) == 2

    complaints: list[dict[str, object]] = []
    asyncio.run(scenario())
    assert complaints == []


class QuickService:
    """Every task is completed when it is submitted. Real threads call it."""

    def submit(self, request: AnalysisRequest) -> Task:
        return self.task(int(request.purl.split("-")[1].split("@")[0]) + 1)

    def task(self, task_id: int) -> Task:
        return Task(
            task_id=task_id,
            status="completed",
            purl=f"pkg:npm/package-{task_id - 1}@1.0.0",
            report_url=f"https://storage.example/{task_id}",
        )

    def report(self, url: str) -> bytes:
        return url.encode()

    def tasks(self, page: int, page_size: int = 100, status: str | None = None) -> TaskPage:
        raise NotImplementedError

    def upload(self, request: AnalysisRequest) -> str:
        raise NotImplementedError

    def submit_archive(self, request: AnalysisRequest, gcs_path: str) -> Task:
        raise NotImplementedError


def test_the_scheduler_runs_in_real_time_and_from_any_thread() -> None:
    scheduler = Scheduler(
        QuickService(), budget=ProcessBudget(Rate(100, 3600.0)), settings=Settings(jobs=8, timeout=60.0)
    )
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(scheduler.analyse(packages(3))))
    thread.start()
    thread.join(60)
    assert answers == [
        {
            request: Report(payload=f"https://storage.example/{number}".encode(), task_id=number)
            for number, request in enumerate(packages(3), start=1)
        }
    ]


HANGING = """
import signal, sys, threading, time
from scangate.models.analysis import Report
from scangate.service.base import Interrupted
from scangate.service.budget import ProcessBudget, Rate
from scangate.service.scheduler import Scheduler, Settings
from tests.service.simulation import packages
from tests.service.test_runtime import QuickService

# A shell's background programs, and so their children, ignore it otherwise.
signal.signal(signal.SIGINT, signal.default_int_handler)

class Hanging(QuickService):
    def report(self, url):
        if url.endswith("/1"):
            return b"done"
        hanging.set()
        time.sleep(600)

hanging = threading.Event()

def show(progress):
    if progress.done == 1 and hanging.is_set():
        print("hanging", flush=True)

try:
    settings = Settings(jobs=8, timeout=60.0)
    scheduler = Scheduler(Hanging(), budget=ProcessBudget(Rate(100, 60.0)), settings=settings, on_progress=show)
    scheduler.analyse(packages(2))
except Interrupted as stopped:
    for request, answer in stopped.answers.items():
        print(request.purl, "report" if isinstance(answer, Report) else answer.code, answer.task_id, flush=True)
    sys.exit(130)
"""


def test_ctrl_c_ends_the_process_at_once_with_what_is_known() -> None:
    with subprocess.Popen([sys.executable, "-c", HANGING], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "hanging\n"
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert output.splitlines()[-2:] == ["pkg:npm/package-0@1.0.0 report 1", "pkg:npm/package-1@1.0.0 pending 2"]


def test_the_systems_chance_is_not_seeded() -> None:
    assert isinstance(SYSTEM.random, Random)
    assert SYSTEM.random.getstate is not Random.getstate
    with pytest.raises(NotImplementedError):
        SYSTEM.random.getstate()
