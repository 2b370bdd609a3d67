"""What an analysis is asked for, and how it ends: the words that the store, the workers and the engines share."""

from dataclasses import dataclass, field
from pathlib import Path

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
