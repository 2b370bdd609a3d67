import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from scangate.local.blobs import Blobs
from scangate.local.jobs import Job, Outcome
from scangate.local.store import Store, StoredTask, Submission
from scangate.local.workers import Workers
from scangate.models.analysis import Engine
from tests.local.conftest import WAIT_SECONDS, Clock, until

PURL = "pkg:npm/a@1"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "tasks.db", Clock())
    yield store
    store.close()


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path)


class Works:
    """An engine that does as it is told."""

    def __init__(self) -> None:
        self.begun = Event()
        self.go_on = Event()
        self.go_on.set()
        self.jobs: list[Job] = []

    def analyse(self, job: Job, _stop: Event) -> Outcome:
        self.jobs.append(job)
        self.begun.set()
        assert self.go_on.wait(WAIT_SECONDS)
        if job.archive is None:
            raise ZeroDivisionError
        return Outcome(status="completed", report=b"report of " + job.archive.read_bytes())


def submit(store: Store, archive: str = "") -> int:
    engine = Engine.DYNAMIC_ANALYSIS
    return store.submit(Submission(owner="owner", engine=engine, purl=PURL, archive=archive))[0].id


def ended(store: Store, task_id: int) -> StoredTask:
    until(lambda: (task := store.task(task_id)) is not None and task.status not in ("queued", "processing"))
    task = store.task(task_id)
    assert task is not None
    return task


def test_an_engine_that_breaks_fails_its_task_and_the_next_one_is_run(store: Store, blobs: Blobs) -> None:
    broken = submit(store)
    archived = submit(store, blobs.add(b"archive"))
    workers = Workers(store, blobs, Works(), 1)
    workers.start()
    try:
        assert ended(store, broken).status == "failed"
        task = ended(store, archived)
        assert task.status == "completed"
        assert task.report is not None
        assert blobs.path(task.report).read_bytes() == b"report of archive"
        assert task.report_bytes == len(b"report of archive")
        workers.wake()  # for nothing
        later = submit(store)
        workers.wake()
        assert ended(store, later).status == "failed"
    finally:
        workers.stop()


def test_an_outcome_that_cannot_be_written_is_written_later(
    store: Store, blobs: Blobs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    task = submit(store, blobs.add(b"archive"))
    engine = Works()
    engine.go_on.clear()
    workers = Workers(store, blobs, engine, 1)
    workers.start()
    try:
        assert engine.begun.wait(WAIT_SECONDS)
        shutil.move(tmp_path / "incoming", tmp_path / "gone")
        engine.go_on.set()
        until(lambda: "could not be written" in caplog.text)
        shutil.move(tmp_path / "gone", tmp_path / "incoming")
        assert ended(store, task).status == "completed"
        assert len(engine.jobs) == 1
    finally:
        workers.stop()


def test_a_stop_while_the_outcome_cannot_be_written_leaves_the_task_to_the_next_start(
    store: Store, blobs: Blobs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    task = submit(store, blobs.add(b"archive"))
    engine = Works()
    engine.go_on.clear()
    workers = Workers(store, blobs, engine, 1)
    workers.start()
    assert engine.begun.wait(WAIT_SECONDS)
    shutil.move(tmp_path / "incoming", tmp_path / "gone")
    engine.go_on.set()
    workers.stop()
    shutil.move(tmp_path / "gone", tmp_path / "incoming")
    left = store.task(task)
    assert left is not None
    assert left.status == "processing"

    after = Workers(store, blobs, Works(), 1)
    after.start()
    try:
        assert ended(store, task).status == "completed"
    finally:
        after.stop()


def test_a_store_that_fails_for_a_while_stops_no_worker(
    store: Store, blobs: Blobs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Another program holds the database for longer than SQLite waits."""
    engine = Works()
    workers = Workers(store, blobs, engine, 1)
    workers.start()
    other = sqlite3.connect(tmp_path / "tasks.db", isolation_level=None)
    try:
        task = submit(store, blobs.add(b"archive"))
        other.execute("BEGIN IMMEDIATE")
        workers.wake()
        until(lambda: "could not be taken" in caplog.text)
        assert not engine.jobs
        other.execute("ROLLBACK")
        assert ended(store, task).status == "completed"
    finally:
        other.close()
        workers.stop()
