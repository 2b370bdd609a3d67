"""The analyser that asks the service: every request becomes a task, every task a report or the reason why not.

Three steps a request (submit, wait for the end, fetch the report), all requests side by side on one thread; only the
blocking calls of the service run elsewhere. `connection` knows when something may be sent, `watch` how to wait.
"""

import asyncio
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from scangate import purls
from scangate.errors import PurlError, ServiceError
from scangate.models.analysis import AnalysisRequest, Answer, OutcomeCode, Report, Shortfall
from scangate.service.base import Interrupted, ReportGone, Service, Task, TaskState, Unauthorised
from scangate.service.board import Board, Job
from scangate.service.budget import Budget
from scangate.service.connection import PAGE_SIZE, Connection, OverBudget
from scangate.service.memory import Memory, NoMemory
from scangate.service.progress import Progress
from scangate.service.retry import Backoff
from scangate.service.runtime import SYSTEM, Runtime
from scangate.service.watch import HOSTED, MAX_PAGES, Looks, Watch
from scangate.web.errors import BadAnswer, Refused, Unreachable

URL_TRIES = 5
"""How often a completed task is asked for a report URL that works."""
URL_PAUSES = Backoff(first=2.0, most=30.0)
MAX_PATIENCE = 45.0
"""Seconds. A server that restarts is back by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`jobs` submissions (and as many downloads) at once; `timeout` seconds for everything.

    `max_packages`: at most so many different packages are sent, the first ones in the order of the requests. The
    others are `over-budget`: a run over the limit is incomplete, but what was paid for counts (and can be kept).
    `looks`: how often is asked how the tasks are.
    """

    jobs: int
    timeout: float
    max_packages: int | None = None
    looks: Looks = HOSTED

    @property
    def patience(self) -> float:
        """Seconds that an outage is waited out: a tenth of the time that there is, so that who waits hears of it."""
        return min(MAX_PATIENCE, self.timeout / 10)


class Scheduler:
    """A models.Analyser. `on_progress` is told of every change and once a second; `is_blocked` only counts for it.

    `memory`: tasks that it recalls are asked for instead of being submitted again.

    `analyse` answers every request, whatever happens to it; raises Interrupted, with all answers, on Ctrl-C. It
    must not be called from a running event loop.
    """

    def __init__(
        self,
        service: Service,
        *,
        budget: Budget,
        settings: Settings,
        on_progress: Callable[[Progress], None] | None = None,
        is_blocked: Callable[[AnalysisRequest, Report], bool] | None = None,
        memory: Memory | None = None,
        runtime: Runtime = SYSTEM,
    ) -> None:
        self._service = service
        self._budget = budget
        self._memory = memory or NoMemory()
        self._settings = settings
        self._on_progress = on_progress
        self._is_blocked = is_blocked
        self._runtime = runtime

    def analyse(self, requests: Sequence[AnalysisRequest]) -> Mapping[AnalysisRequest, Answer]:
        board = Board(requests, self._on_progress, self._is_blocked)
        for request, shortfall in not_sent(tuple(board.jobs), self._settings.max_packages).items():
            board.end(board.jobs[request], shortfall)
        try:
            with asyncio.Runner(loop_factory=self._runtime.loop) as runner:
                runner.run(self._run(board))
        except KeyboardInterrupt:
            board.end_rest(OutcomeCode.PENDING, "Interrupted before it was done.")
            raise Interrupted(board.answers()) from None
        return board.answers()

    async def _run(self, board: Board) -> None:
        deadline = asyncio.get_running_loop().time() + self._settings.timeout
        ticker = asyncio.create_task(board.tick())
        with self._runtime.executor() as execute:
            connection = Connection(
                self._service,
                execute,
                budget=self._budget,
                runtime=self._runtime,
                deadline=deadline,
                patience=self._settings.patience,
                polls_apart=self._settings.looks.apart,
            )
            await self._work(board, connection)
        if connection.short_of_budget:
            board.end_rest(OutcomeCode.OVER_BUDGET, "The request budget did not allow it in time.", only_unsent=True)
        within = f"within the timeout of {self._settings.timeout:g} seconds"
        board.end_rest(OutcomeCode.PENDING, f"The service did not take it {within}.", only_unsent=True)
        board.end_rest(OutcomeCode.PENDING, f"Not done {within}.")
        ticker.cancel()

    async def _work(self, board: Board, connection: Connection) -> None:
        """Until all is done, the time is over, or the key is refused."""
        work = _Work(connection, board, self._memory, self._settings, self._runtime)
        running = [asyncio.create_task(work.do(job)) for job in board.open()]
        if not running:
            return
        done, _ = await asyncio.wait(running, timeout=self._settings.timeout, return_when=asyncio.FIRST_EXCEPTION)
        for exc in filter(None, [task.exception() for task in done]):
            if not isinstance(exc, Unauthorised):
                raise exc
            # Not `no-credentials`: who excuses a run without a key has not excused one whose key was revoked.
            board.end_rest(OutcomeCode.SUBMIT_ERROR, exc.message)


class _Work:
    """What is done for one request. Only Unauthorised (on a request that needs the key) leaves it."""

    def __init__(
        self, connection: Connection, board: Board, memory: Memory, settings: Settings, runtime: Runtime
    ) -> None:
        self._connection = connection
        self._board = board
        self._memory = memory
        self._random = runtime.random
        self._watch = Watch(connection, leave=lambda: board.unsent_cost, looks=settings.looks)
        self._submitting = asyncio.Semaphore(settings.jobs)
        self._downloading = asyncio.Semaphore(settings.jobs)
        self._began = runtime.wall()

    async def do(self, job: Job) -> None:
        try:
            async with self._submitting:
                with _otherwise(OutcomeCode.SUBMIT_ERROR):
                    task = await self._recalled(job.request) or await self._submit(job.request)
            self._board.submitted(job, task.task_id)
            with _otherwise(OutcomeCode.FAILED):
                task = await self._watch.end_of(task)
            _check(job.request, task)
            report = Report(payload=await self._report(job.request, task), task_id=task.task_id)
            self._memory.keep(job.request, report)
            self._board.end(job, report)
        except _NoReport as exc:
            if exc.code not in _MAY_STILL_COME:
                self._memory.forget(job.request)
            self._board.end(job, job.shortfall(exc.code, exc.detail))

    async def _recalled(self, request: AnalysisRequest) -> Task | None:
        """The task of an earlier run, if the service still knows it as one for this request."""
        task_id = self._memory.recall(request)
        if task_id is None:
            return None
        try:
            task = await self._connection.task(task_id)
        except Refused:
            task = None
        except (BadAnswer, Unauthorised):
            return None  # whether the key is refused, or this task alone, the submission will tell
        if task is None or not _is_for(request, task) or self._board.is_taken(task.task_id, request):
            self._memory.forget(request)
            return None
        return task

    async def _submit(self, request: AnalysisRequest) -> Task:
        if request.archive is None:
            task = await self._connection.submit(request)
        else:
            gcs_path = await self._connection.upload(request)
            task = await self._connection.submit_archive(request, gcs_path, find=lambda: self._find(request))
        if self._board.is_taken(task.task_id, request):
            detail = f"The service answered with task {task.task_id}, which is about other bytes of this purl."
            raise _NoReport(OutcomeCode.WRONG_PACKAGE, detail)
        self._memory.remember(request, task.task_id)
        return task

    async def _find(self, request: AnalysisRequest) -> Task | None:
        """The task that a submission of this run made although its answer was lost, if the list shows one.

        A task does not tell which bytes it is about. So only one made since this run began is taken, and none where
        the run asks for the same purl in another way: a second analysis is better than a verdict on another archive.
        Where the server's clock is behind, its tasks seem too old, which errs to the same side.
        """
        if self._board.asks_otherwise(request):
            return None
        for number in range(1, MAX_PAGES + 1):
            page = await self._connection.page(number)
            recent = [task for task in page.items if _created(task) >= self._began]
            for task in recent:
                if _is_for(request, task):
                    return task
            if len(recent) < len(page.items) or not page.items or number * PAGE_SIZE >= page.total:
                break
        return None

    async def _report(self, request: AnalysisRequest, task: Task) -> bytes:
        """The report's bytes. Its URL may be late, and it expires: asking for the task again gives a fresh one."""
        for tries in range(1, URL_TRIES + 1):
            with _otherwise(OutcomeCode.REPORT_MISSING):
                if task.report_url is None or tries > 1:
                    task = await self._connection.task(task.task_id)
            _check(request, task)
            if task.report_url is not None and (payload := await self._download(task.report_url)) is not None:
                return payload
            if tries < URL_TRIES:
                await asyncio.sleep(URL_PAUSES.pause(tries, self._random))
        gone = "is gone" if task.report_url is not None else "has no URL"
        raise _NoReport(OutcomeCode.REPORT_MISSING, f"The task is completed, but its report {gone}.")

    async def _download(self, url: str) -> bytes | None:
        """None where the URL leads nowhere (any more)."""
        async with self._downloading:
            with _otherwise(OutcomeCode.REPORT_MISSING):
                try:
                    return await self._connection.report(url)
                except ReportGone:
                    return None
                except BadAnswer as exc:
                    raise _NoReport(OutcomeCode.REPORT_INVALID, exc.message) from exc


_MAY_STILL_COME = frozenset({OutcomeCode.UNREACHABLE, OutcomeCode.OVER_BUDGET})
"""What ends a request of this run and says nothing about its task."""


class _NoReport(Exception):
    """The end of one request without a report."""

    def __init__(self, code: OutcomeCode, detail: str) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


@contextmanager
def _otherwise(code: OutcomeCode) -> Iterator[None]:
    """An error of the service ends this request with `code`, unless the error itself says which outcome it is."""
    try:
        yield
    except ServiceError as exc:
        match exc:
            case OverBudget():
                code = OutcomeCode.OVER_BUDGET
            case Unreachable():
                code = OutcomeCode.UNREACHABLE
            case Unauthorised() if code is OutcomeCode.SUBMIT_ERROR:
                raise
        raise _NoReport(code, exc.message) from exc


def _check(request: AnalysisRequest, task: Task) -> None:
    """Raise _NoReport unless the task is completed and about what was asked for."""
    if not _is_for(request, task):
        about = f"{task.purl or 'an unnamed package'} by {task.engine or 'an unnamed engine'}"
        raise _NoReport(OutcomeCode.WRONG_PACKAGE, f"Task {task.task_id} is about {about}.")
    match task.status:
        case TaskState.COMPLETED:
            return
        case TaskState.TIMEOUT:
            raise _NoReport(OutcomeCode.TIMEOUT, task.error_message or "The service's own time limit passed.")
        case TaskState.FAILED:
            raise _NoReport(OutcomeCode.FAILED, task.error_message or "The service gave no reason.")
        case status if status in TaskState.RUNNING:
            raise _NoReport(OutcomeCode.REPORT_MISSING, f"The task was completed, and is now {status!r}.")
        case status:
            raise _NoReport(OutcomeCode.FAILED, f"The service gave the status {status!r}, which is unknown.")


def _is_for(request: AnalysisRequest, task: Task) -> bool:
    # The contract demands a task's purl, and leaves its engine open.
    return task.purl is not None and purls.same(task.purl, request.purl) and task.engine in (None, request.engine)


def _created(task: Task) -> float:
    """Seconds since 1970; minus infinity where the service says none, or none that can be read."""
    try:
        created = datetime.fromisoformat(task.created_at or "")
        return (created if created.tzinfo else created.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return -math.inf


def not_sent(requests: Sequence[AnalysisRequest], max_packages: int | None) -> Mapping[AnalysisRequest, Shortfall]:
    """What a run does not send at all, and why: what no service takes, and packages over the limit (None: there is
    none), which the first ones in the order of the requests keep to.
    """
    sent: set[str] = set()
    kept: dict[AnalysisRequest, Shortfall] = {}
    for request in requests:
        if (shortfall := _unsupported(request)) is not None:
            kept[request] = shortfall
        elif max_packages is not None and request.purl not in sent and len(sent) >= max_packages:
            detail = f"The run may send {max_packages} packages at most."
            kept[request] = Shortfall(code=OutcomeCode.OVER_BUDGET, detail=detail, engine=request.engine)
        else:
            sent.add(request.purl)
    return kept


def _unsupported(request: AnalysisRequest) -> Shortfall | None:
    try:
        ecosystem = purls.submittable(request.purl).ecosystem
    except PurlError as exc:
        return Shortfall(code=OutcomeCode.SUBMIT_ERROR, detail=exc.message, engine=request.engine)
    assert ecosystem is not None, "a purl that can be submitted is of a known one"
    return None if request.engine.takes(ecosystem) else Shortfall.not_taken(request.engine, ecosystem)
