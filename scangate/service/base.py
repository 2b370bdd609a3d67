"""The shapes of the service's contract, as the scheduler and the commands see them (HTTP stays in the client)."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from scangate.errors import ServiceError
from scangate.models.analysis import AnalysisRequest, Answer, Engine


class TaskState:
    """The contract's statuses, and older servers' words for them. Anything else is unknown, never a success."""

    RUNNING = frozenset({"queued", "processing", "pending", "submitted", "running"})
    COMPLETED = "completed"
    FAILED = "failed"
    TIMEOUT = "timeout"


class Task(NamedTuple):
    """One task, from a submission, from GET task or from the list. `status` is the server's word, lower case."""

    task_id: int
    status: str
    purl: str | None = None
    engine: Engine | None = None
    created_at: str | None = None
    error_message: str | None = None
    report_url: str | None = None

    def __repr__(self) -> str:
        """Without `report_url`: signed, it lets anyone read the report, so it stays out of output and logs."""
        told = (f"{name}={value!r}" for name, value in self._asdict().items() if name != "report_url")
        return f"Task({', '.join(told)})"


class TaskPage(NamedTuple):
    items: tuple[Task, ...]
    page: int
    page_size: int
    total: int


class RateLimited(ServiceError):
    """429. `retry_after` in seconds where the server said it."""

    def __init__(self, message: str, hint: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after


class Unauthorised(ServiceError):
    """401 or 403: the key is wrong, or lacks the right."""


class ReportGone(ServiceError):
    """The report URL answers 400, 401, 403, 404 or 410: expired, or never there."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while requests were under way. `answers` holds one for every request: what is not done is `pending`.

    A KeyboardInterrupt, so that nothing that catches errors holds it up, and who knows nothing of it still stops.
    """

    def __init__(self, answers: Mapping[AnalysisRequest, Answer]) -> None:
        super().__init__()
        self.answers = answers


class Service(Protocol):
    """The analysis service's operations. One call is one HTTP request, without retries: the scheduler retries.

    Every method raises Unreachable, RateLimited, Refused, Unauthorised or BadAnswer.
    """

    def submit(self, request: AnalysisRequest) -> Task:
        """Submit by purl (request.archive is None)."""

    def upload(self, request: AnalysisRequest) -> str:
        """Get an upload URL and PUT request.archive there; the gcs_path."""

    def submit_archive(self, request: AnalysisRequest, gcs_path: str) -> Task: ...

    def task(self, task_id: int) -> Task: ...

    def tasks(self, page: int, page_size: int = 100, status: str | None = None) -> TaskPage: ...

    def report(self, url: str) -> bytes:
        """Download a report from its signed URL, without the key. Raises ReportGone where it expired."""
