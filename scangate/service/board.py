"""What has become of each request: the one place that keeps the state of a run, and tells how far it is."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from scangate import purls
from scangate.models.analysis import AnalysisRequest, Answer, OutcomeCode, Report, Shortfall
from scangate.service.progress import Progress

_TICK = 1.0


@dataclass(slots=True)
class Job:
    """One request: waiting until it has a task id, running until it has an answer."""

    request: AnalysisRequest
    task_id: int | None = None
    answer: Answer | None = None

    def shortfall(self, code: OutcomeCode, detail: str) -> Shortfall:
        return Shortfall(code=code, detail=detail, engine=self.request.engine, task_id=self.task_id)


class Board:
    """All requests of a run, in their order. The same request given twice is one."""

    def __init__(
        self,
        requests: Sequence[AnalysisRequest],
        on_progress: Callable[[Progress], None] | None,
        is_blocked: Callable[[AnalysisRequest, Report], bool] | None,
    ) -> None:
        self.jobs = {request: Job(request) for request in requests}
        self.unsent_cost = sum(map(_cost, self.jobs))
        """Counted requests that the submissions still to come will need."""
        self._on_progress = on_progress
        self._is_blocked = is_blocked
        self._owners: dict[int, AnalysisRequest] = {}
        self._progress = Progress(total=len(self.jobs), waiting=len(self.jobs))
        self._elapsed: Callable[[], float] = lambda: 0.0

    def open(self) -> list[Job]:
        return [job for job in self.jobs.values() if job.answer is None]

    def is_taken(self, task_id: int, request: AnalysisRequest) -> bool:
        """Whether the task belongs to a request for other bytes. (Two spellings of one purl may share a task.)"""
        owner = self._owners.get(task_id)
        return owner is not None and owner.archive != request.archive

    def asks_otherwise(self, request: AnalysisRequest) -> bool:
        """Whether there is another request for the same package by the same engine."""
        others = (other for other in self.jobs if other != request and other.engine == request.engine)
        return any(purls.same(other.purl, request.purl) for other in others)

    def answers(self) -> dict[AnalysisRequest, Answer]:
        return {request: job.answer for request, job in self.jobs.items() if job.answer is not None}

    def submitted(self, job: Job, task_id: int) -> None:
        job.task_id = task_id
        self._owners.setdefault(task_id, job.request)
        self.unsent_cost -= _cost(job.request)
        now = self._progress
        self._tell(replace(now, waiting=now.waiting - 1, submitted=now.submitted + 1, running=now.running + 1))

    def end(self, job: Job, answer: Answer) -> None:
        job.answer = answer
        now = self._progress
        if job.task_id is None:
            self.unsent_cost -= _cost(job.request)
            now = replace(now, waiting=now.waiting - 1)
        else:
            now = replace(now, running=now.running - 1)
        match answer:
            case Report():
                blocked = self._is_blocked is not None and self._is_blocked(job.request, answer)
                now = replace(now, done=now.done + 1, blocked=now.blocked + blocked)
            case Shortfall():
                now = replace(now, shortfalls=now.shortfalls + 1)
        self._tell(now)

    def end_rest(self, code: OutcomeCode, detail: str, *, only_unsent: bool = False) -> None:
        for job in self.open():
            if job.task_id is None or not only_unsent:
                self.end(job, job.shortfall(code, detail))

    async def tick(self) -> None:
        """Tell how far the run is once a second, so that who shows it can show the time."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._elapsed = lambda: loop.time() - began
        while self._on_progress is not None:
            self._tell(self._progress)
            await asyncio.sleep(_TICK)

    def _tell(self, progress: Progress) -> None:
        self._progress = replace(progress, elapsed=self._elapsed())
        if self._on_progress is not None:
            self._on_progress(self._progress)


def _cost(request: AnalysisRequest) -> int:
    """Counted requests of one submission: an archive needs its upload URL as well."""
    return 1 if request.archive is None else 2
