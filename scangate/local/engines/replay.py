"""The replaying engine: answers with recorded reports, after a scripted delay."""

import threading
from collections import Counter
from threading import Event

from scangate.errors import ReportError
from scangate.local.engines.recordings import Recordings, read_report
from scangate.local.jobs import COMPLETED, FAILED, Interrupted, Job, Outcome
from scangate.models.analysis import Engine


class ReplayEngine:
    """An `AnalysisEngine` that analyses nothing."""

    def __init__(self, recordings: Recordings) -> None:
        self._recordings = recordings

    def analyse(self, job: Job, stop: Event) -> Outcome:
        recording = self._recordings.find(job.engine, job.purl)
        if recording is None:
            problem = f"No recording of {job.purl} by {job.engine} in {self._recordings.where}."
            return Outcome(status=FAILED, error_message=problem)
        if stop.wait(recording.delay):
            raise Interrupted
        if recording.status != COMPLETED:
            return Outcome(status=recording.status, error_message=recording.error_message)
        try:
            report = None if recording.report is None else read_report(recording.report)
        except ReportError as exc:
            return Outcome(status=FAILED, error_message=exc.message)
        return Outcome(status=COMPLETED, report=report, error_message=recording.error_message)


class ScriptedFaults:
    """The HTTP failures of a script, each answered once, in their order."""

    def __init__(self, recordings: Recordings) -> None:
        self._recordings = recordings
        self._lock = threading.Lock()
        self._seen: Counter[tuple[str, Engine, str]] = Counter()

    def submission(self, engine: Engine, purl: str) -> int | None:
        """The status that this submission fails with, or None."""
        recording = self._recordings.find(engine, purl)
        return self._next("submission", engine, purl, recording.submit_failures if recording else ())

    def download(self, engine: Engine, purl: str) -> int | None:
        """The status that this download of the report fails with, or None."""
        recording = self._recordings.find(engine, purl)
        return self._next("download", engine, purl, recording.report_failures if recording else ())

    def _next(self, what: str, engine: Engine, purl: str, failures: tuple[int, ...]) -> int | None:
        with self._lock:
            number = self._seen[what, engine, purl]
            if number >= len(failures):
                return None
            self._seen[what, engine, purl] += 1
            return failures[number]
