"""The workers: threads that take queued tasks to the engine and record how they ended."""

import logging
import sqlite3
import threading
from contextlib import suppress

from scangate.local.blobs import Blobs
from scangate.local.engines.base import AnalysisEngine
from scangate.local.jobs import FAILED, Interrupted, Job, Outcome
from scangate.local.store import Store

log = logging.getLogger("scangate.local")

_RETRY_SECONDS = 1.0
_STOP_SECONDS = 5.0


class Workers:
    """A fixed number of threads. A task is lost by none of: a broken engine, a full disk, a stop, a kill."""

    def __init__(self, store: Store, blobs: Blobs, engine: AnalysisEngine, count: int) -> None:
        self._store = store
        self._blobs = blobs
        self._engine = engine
        self._stop = threading.Event()
        self._queued = threading.Semaphore(0)
        """One permit for each queued task."""
        self._threads = [
            threading.Thread(target=self._work, name=f"analysis-{number}", daemon=True) for number in range(count)
        ]

    def start(self) -> None:
        """Begin with what an earlier server left behind."""
        self._store.recover()
        for _ in range(self._store.queued()):
            self._queued.release()
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """A task was queued."""
        self._queued.release()

    def stop(self) -> None:
        """Give running analyses up. One that does not heed is left behind: it is run again after the next start."""
        self._stop.set()
        for _ in self._threads:
            self._queued.release()
        for thread in self._threads:
            thread.join(_STOP_SECONDS)

    def _work(self) -> None:
        while True:
            self._queued.acquire()
            if self._stop.is_set():
                return
            try:
                job = self._store.claim(self._blobs.path)
            except sqlite3.Error as exc:
                log.warning("a task could not be taken from the store: %s; trying again", exc)
                self._stop.wait(_RETRY_SECONDS)
                self._queued.release()
                continue
            if job is not None:
                self._run(job)

    def _run(self, job: Job) -> None:
        try:
            outcome = self._engine.analyse(job, self._stop)
        except Interrupted:
            with suppress(sqlite3.Error):  # then it is still "processing", and the next start queues it again
                self._store.give_back(job.task_id)
            return
        except BaseException:  # whatever it is: a thread that ended here would leave its task running for ever
            log.exception("task %d: the engine broke", job.task_id)
            outcome = Outcome(status=FAILED, error_message="The engine broke; the service's log says how.")
        self._record(job, outcome)

    def _record(self, job: Job, outcome: Outcome) -> None:
        """Until it is on disk, or the service stops: then the task is run again after the next start."""
        while True:
            try:
                report = None if outcome.report is None else self._blobs.add(outcome.report)
                self._store.finish(job.task_id, outcome, report)
            except (OSError, sqlite3.Error) as exc:
                log.warning("task %d: the outcome could not be written: %s; trying again", job.task_id, exc)
                if self._stop.wait(_RETRY_SECONDS):
                    return
            else:
                return
