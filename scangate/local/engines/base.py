"""What an analysis engine is to the workers. A new engine implements `AnalysisEngine`; nothing else changes."""

from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Protocol

from scangate.models.analysis import Engine

COMPLETED = "completed"
FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One task as its engine sees it. `purl` is canonical.

    `archive` holds the uploaded bytes (None: the package is the registry's), `filename` their original name.
    """

    task_id: int
    purl: str
    engine: Engine
    archive: Path | None = None
    filename: str | None = None
    github_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an analysis ended. `status` is the contract's word (or whatever a script tests clients with).

    `report` is the JSON document's bytes; a completed analysis without one is a completed task without report.
    `answers_others`: a completed task answers later submissions of the package, too.
    """

    status: str
    report: bytes | None = field(default=None, repr=False)
    error_message: str | None = None
    answers_others: bool = True


class Interrupted(Exception):
    """The service is stopping: the analysis was given up and is to be run again."""


class AnalysisEngine(Protocol):
    """Runs in a worker's thread, many at once."""

    def analyse(self, job: Job, stop: Event) -> Outcome:
        """Analyse one package. Raises Interrupted soon after `stop` is set.

        What cannot be analysed is an Outcome, too. An exception that escapes makes the task `failed`.
        """
