"""The service, simulated in virtual time: minutes of scheduling pass in milliseconds, the same way every time.

Only the service, the clock, the threads and chance are made up here; the scheduler, its event loop (asyncio's own)
and the budget are the real ones.
"""

import asyncio
import selectors
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, partial
from random import Random
from typing import TypeVar

from scangate import purls
from scangate.models.analysis import AnalysisRequest, Answer, Engine
from scangate.service.base import RateLimited, ReportGone, Task, TaskPage
from scangate.service.budget import Budget, ProcessBudget, Rate
from scangate.service.memory import Memory
from scangate.service.progress import Progress
from scangate.service.runtime import Runtime
from scangate.service.scheduler import Scheduler, Settings
from scangate.web.errors import Unreachable

T = TypeVar("T")

EPOCH = 1_800_000_000.0
SETTINGS = Settings(jobs=8, timeout=20 * 60.0)
"""What the wall clock says when the virtual time is 0."""


class VirtualClock:
    def __init__(self) -> None:
        self.now = 0.0


class _VirtualSelector(selectors.SelectSelector):
    """Where the event loop would sleep, the clock jumps. A loop with nothing left to wait for is a hang: an error."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "the scheduler waits for something that never comes"
            self._clock.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self, clock: VirtualClock) -> None:
        self._virtual = clock
        super().__init__(_VirtualSelector(clock))

    def time(self) -> float:
        return self._virtual.now


@dataclass(frozen=True)
class Call:
    """One request as the service got it. `at` is virtual time; `what` the purl, task id, page number or URL."""

    at: float
    operation: str
    what: object
    let_through: bool


@dataclass
class SimulatedTask:
    task_id: int
    purl: str
    engine: Engine | None
    created: float
    ends: float
    outcome: str = "completed"
    own: bool = True
    content: bytes | None = None
    has_url: bool = True
    url_serial: int = 0
    url_expires: float = 0.0

    def status(self, now: float) -> str:
        if now >= self.ends:
            return self.outcome
        return "queued" if now < (self.created + self.ends) / 2 else "processing"


_parse = cache(purls.parse)

Trouble = Callable[[str, object], None]
COUNTED = frozenset({"submit", "upload", "submit_archive", "list"})


@dataclass
class SimulatedService:
    """Implements scangate.service.base.Service. `before` and `after` may raise: the answer is refused, or lost."""

    clock: VirtualClock
    duration: Callable[[AnalysisRequest], float] = lambda request: 60.0
    latency: Callable[[str], float] = lambda operation: 0.0
    limit: int | None = None
    """Counted requests let through in a window of an hour, which each of them renews."""
    url_lifetime: float = 900.0
    merges_archives: bool = False
    """An archive's task also counts as "a task exists already" for its purl, as if the bytes were the same."""
    before: list[Trouble] = field(default_factory=list)
    after: list[Trouble] = field(default_factory=list)
    tasks_by_id: dict[int, SimulatedTask] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    _window: tuple[int, float] = (0, 0.0)
    _uploads: dict[str, bytes] = field(default_factory=dict)

    # ---------------------------------------------------------------- the Service protocol

    def submit(self, request: AnalysisRequest) -> Task:
        with self._request("submit", request.purl):
            return self._shown(self._existing(request) or self.add(request), url=False)

    def upload(self, request: AnalysisRequest) -> str:
        assert request.archive is not None
        with self._request("upload", request.purl):
            path = f"uploads/{len(self._uploads)}"
            self._uploads[path] = request.archive.content
            return path

    def submit_archive(self, request: AnalysisRequest, gcs_path: str) -> Task:
        with self._request("submit_archive", request.purl):
            task = self._existing(request) or self.add(request, content=self._uploads[gcs_path])
            return self._shown(task, url=False)

    def task(self, task_id: int) -> Task:
        with self._request("task", task_id):
            return self._shown(self.tasks_by_id[task_id], url=True)

    def tasks(self, page: int, page_size: int = 100, status: str | None = None) -> TaskPage:
        with self._request("list", page):
            own = sorted((task for task in self.tasks_by_id.values() if task.own), key=lambda task: -task.task_id)
            items = own[(page - 1) * page_size : page * page_size]
            shown = tuple(self._shown(task, url=False) for task in items)
            return TaskPage(items=shown, page=page, page_size=page_size, total=len(own))

    def report(self, url: str) -> bytes:
        with self._request("report", url):
            task_id, serial = map(int, url.rsplit("/", 2)[1:])
            task = self.tasks_by_id[task_id]
            if serial != task.url_serial or self.clock.now > task.url_expires:
                raise ReportGone("The report URL has expired.")
            return task.content or f"report of {task.purl} by {task.engine}".encode()

    # ---------------------------------------------------------------- what a test sets up and looks at

    def add(self, request: AnalysisRequest, *, content: bytes | None = None, **changes: object) -> SimulatedTask:
        now = self.clock.now
        task = SimulatedTask(
            len(self.tasks_by_id) + 1, request.purl, request.engine, now, now + self.duration(request), content=content
        )
        for name, value in changes.items():
            setattr(task, name, value)
        self.tasks_by_id[task.task_id] = task
        return task

    def times(self, *operations: str) -> list[float]:
        return [call.at for call in self.calls if call.operation in operations]

    def asked(self, operation: str) -> list[object]:
        return [call.what for call in self.calls if call.operation == operation]

    def counted(self) -> int:
        """Requests that the real service would count."""
        return sum(call.let_through and call.operation in COUNTED for call in self.calls)

    # ----------------------------------------------------------------

    @contextmanager
    def _request(self, operation: str, what: object) -> Iterator[None]:
        let_through = False
        try:
            for trouble in self.before:
                trouble(operation, what)
            self._count(operation)
            let_through = True
            yield
            for trouble in self.after:
                trouble(operation, what)
        finally:
            self.calls.append(Call(self.clock.now, operation, what, let_through))

    def _count(self, operation: str) -> None:
        if self.limit is None or operation not in COUNTED:
            return
        used, last = self._window
        if self.clock.now - last >= 3600:
            used = 0
        if used >= self.limit:
            raise RateLimited("Rate limit exceeded.")
        self._window = (used + 1, self.clock.now)

    def _existing(self, request: AnalysisRequest) -> SimulatedTask | None:
        for task in self.tasks_by_id.values():
            mixed = request.archive is not None or task.content is not None
            same = _parse(task.purl) == _parse(request.purl) and task.engine == request.engine
            if same and task.outcome == "completed" and (self.merges_archives or not mixed):
                return task
        return None

    def _shown(self, task: SimulatedTask, *, url: bool) -> Task:
        status = task.status(self.clock.now)
        report_url = None
        if url and status == "completed" and task.has_url:
            task.url_serial += 1
            task.url_expires = self.clock.now + self.url_lifetime
            report_url = f"https://storage.example/{task.task_id}/{task.url_serial}"
        return Task(
            task_id=task.task_id,
            status=status,
            purl=task.purl,
            engine=task.engine,
            created_at=datetime.fromtimestamp(EPOCH + task.created, UTC).isoformat(),
            error_message="It crashed." if status == "failed" else None,
            report_url=report_url,
        )


class World:
    """A service and a scheduler in one virtual time."""

    def __init__(self, *, seed: int = 0) -> None:
        self.clock = VirtualClock()
        self.service = SimulatedService(self.clock)
        self.progress: list[Progress] = []
        self.runtime = Runtime(
            executor=lambda: nullcontext(self._execute),
            random=Random(seed),
            wall=lambda: EPOCH + self.clock.now,
            loop=lambda: VirtualLoop(self.clock),
        )

    def analyse(
        self,
        requests: Sequence[AnalysisRequest],
        *,
        budget: Budget | None = None,
        memory: Memory | None = None,
        **settings: float | None,
    ) -> Mapping[AnalysisRequest, Answer]:
        scheduler = Scheduler(
            self.service,
            budget=budget or ProcessBudget(Rate(10**9, 1.0)),
            settings=replace(SETTINGS, **settings),  # type: ignore[arg-type]  # the tests' numbers are of the right type
            on_progress=self.progress.append,
            memory=memory,
            runtime=self.runtime,
        )
        return scheduler.analyse(requests)

    async def _execute(self, call: Callable[[], T]) -> T:
        assert isinstance(call, partial)
        half = self.service.latency(call.func.__name__) / 2
        await asyncio.sleep(half)
        try:
            return call()
        finally:
            await asyncio.sleep(half)


def packages(count: int, *, engine: Engine = Engine.DYNAMIC_ANALYSIS) -> list[AnalysisRequest]:
    return [AnalysisRequest(purl=f"pkg:npm/package-{number}@1.0.0", engine=engine) for number in range(count)]


def down(clock: VirtualClock, start: float, end: float, *operations: str, sent: bool = False) -> Trouble:
    """Out of reach for a while (for these operations; all, where none is named)."""

    def trouble(operation: str, what: object) -> None:
        if start <= clock.now < end and (not operations or operation in operations):
            raise Unreachable("Connection refused.", sent=sent)

    return trouble


def refusing(
    clock: VirtualClock, start: float, end: float, *operations: str, retry_after: float | None = None
) -> Trouble:
    """429 for a while."""

    def trouble(operation: str, what: object) -> None:
        if start <= clock.now < end and operation in operations:
            raise RateLimited("Rate limit exceeded.", retry_after=retry_after)

    return trouble
