"""When a request may be sent at all: budget, rate limits, outages, retries. What is asked, `scheduler` decides.

Every request passes, from the outside in: the retries of that one request; the gate of its kind (counted requests:
the 429 breaker and the budget; GET task: its own 429 breaker); the outage breaker of the server; the pace of polls.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from scangate.errors import ServiceError
from scangate.models.analysis import AnalysisRequest
from scangate.service.base import RateLimited, Service, Task, TaskPage, Unauthorised
from scangate.service.budget import Budget
from scangate.service.retry import Backoff, Breaker, Pace, Streak
from scangate.service.runtime import Execute, Runtime
from scangate.web.errors import Unreachable

T = TypeVar("T")

PAUSES = Backoff(first=1.0, most=30.0)
REFUSAL_PAUSES = Backoff(first=5.0, most=60.0)
"""After 429: refused requests are not counted, so a probe a minute does not renew the service's window."""
PAGE_SIZE = 100


class OverBudget(ServiceError):
    """A counted request may not be sent in the time that is left."""


class Connection:
    """The service's operations, each as often and as late as it takes, until `deadline` (the loop's time).

    `patience`: for how many seconds a request that fails, or a server that is out of reach, is tried again.

    Raises as Service does, `Unreachable` after retries were used up, and OverBudget. RateLimited never comes out.
    """

    def __init__(
        self,
        service: Service,
        execute: Execute,
        *,
        budget: Budget,
        runtime: Runtime,
        deadline: float,
        patience: float,
        polls_apart: float = 0.2,
    ) -> None:
        self._service = service
        self._execute = execute
        self._budget = budget
        self._runtime = runtime
        self._deadline = deadline
        self._patience = patience
        breaker = partial(Breaker, random=runtime.random)
        self._counting = breaker(RateLimited, backoff=REFUSAL_PAUSES)
        self._asking = breaker(RateLimited, backoff=REFUSAL_PAUSES)
        reaching = partial(breaker, backoff=PAUSES, tolerated=2, patience=patience)
        self._outage = reaching(Unreachable, well=(RateLimited,))
        self._storage = reaching((Unreachable, RateLimited))
        self._pace = Pace(polls_apart)
        self._dry_until = -math.inf
        self._key_refused: Unauthorised | None = None

    @property
    def short_of_budget(self) -> bool:
        """Whether counted requests wait for the service's limit or for our own."""
        return self._counting.troubled or self._dry_until > asyncio.get_running_loop().time()

    @property
    def asking_is_limited(self) -> bool:
        """Whether the service has answered GET task with 429, and it is too early to try again."""
        return self._asking.closed

    async def submit(self, request: AnalysisRequest) -> Task:
        """After an ambiguous failure a purl is submitted again: the service deduplicates."""
        return await self._persistently(lambda: self._counted(partial(self._service.submit, request)))

    async def upload(self, request: AnalysisRequest) -> str:
        return await self._persistently(lambda: self._counted(partial(self._service.upload, request)))

    async def submit_archive(
        self, request: AnalysisRequest, gcs_path: str, *, find: Callable[[], Awaitable[Task | None]]
    ) -> Task:
        """After an ambiguous failure, only where `find` gives no task that the lost request has made."""
        call = partial(self._service.submit_archive, request, gcs_path)
        return await self._persistently(lambda: self._counted(call), find=find)

    async def page(self, number: int) -> TaskPage:
        """A page of the list, waiting for the budget as a submission does."""
        call = partial(self._service.tasks, number, PAGE_SIZE)
        return await self._persistently(lambda: self._counted(call, pace=self._pace))

    async def spare_page(self, number: int, *, leave: int) -> TaskPage:
        """A page of the list, tried once and without waiting; lets RateLimited out.

        OverBudget where it would have to wait, or would take what `leave` submissions need.
        """
        if self._counting.closed:
            raise OverBudget("The service's rate limit is reached.")
        call = partial(self._service.tasks, number, PAGE_SIZE)
        return await self._counted(call, leave=leave, wait=False, pace=self._pace)

    async def task(self, task_id: int) -> Task:
        return await self._persistently(lambda: self._asked(task_id))

    async def glance(self, task_id: int) -> Task:
        """As `task`, but lets RateLimited out: there are other ways to learn how a task is."""
        return await self._persistently(lambda: self._asked(task_id), patient=False)

    async def report(self, url: str) -> bytes:
        """From the object storage: another server, with troubles of its own."""

        async def attempt() -> bytes:
            return await self._send(partial(self._service.report, url), self._storage)

        return await self._persistently(attempt, server=self._storage)

    async def _persistently(
        self,
        attempt: Callable[[], Awaitable[T]],
        *,
        find: Callable[[], Awaitable[T | None]] | None = None,
        server: Breaker | None = None,
        patient: bool = True,
    ) -> T:
        """Try until it works, is refused, or the patience ends. 429 uses up none: breaker and deadline bound it."""
        server = server or self._outage
        failures = Streak(PAUSES, self._runtime.random, patience=self._patience)
        while True:
            try:
                return await attempt()
            except RateLimited:
                if not patient:
                    raise
                failures.end()
                continue
            except Unreachable as exc:
                pause = failures.failed()
                if failures.is_over or server.lost:
                    raise
                ambiguous = exc.sent
            await asyncio.sleep(pause)
            if ambiguous and find is not None and (found := await find()) is not None:
                return found

    async def _counted(
        self, call: Callable[[], T], *, leave: int = 0, wait: bool = True, pace: Pace | None = None
    ) -> T:
        if self._counting.closed_until > self._deadline:
            raise OverBudget("The service's rate limit does not end within the time that is left.")
        async with self._counting.passage():
            if self._key_refused is not None:
                raise Unauthorised(self._key_refused.message, self._key_refused.hint)
            await self._afford(leave=leave, wait=wait)
            try:
                return await self._send(call, self._outage, pace)
            except Unauthorised as exc:
                self._key_refused = exc
                raise
            except (RateLimited, Unreachable) as exc:
                if not (isinstance(exc, Unreachable) and exc.sent):
                    self._budget.give_back()
                raise

    async def _afford(self, *, leave: int, wait: bool) -> None:
        time = asyncio.get_running_loop().time
        while self._dry_until <= self._deadline:
            seconds = self._budget.spend(self._runtime.wall(), leave=leave)
            if seconds <= 0:
                return
            if not wait:
                break
            self._dry_until = time() + seconds
            if self._dry_until <= self._deadline:
                await asyncio.sleep(seconds)
        raise OverBudget("The request budget is used up, and is not renewed within the time that is left.")

    async def _asked(self, task_id: int) -> Task:
        async with self._asking.passage():
            return await self._send(partial(self._service.task, task_id), self._outage, self._pace)

    async def _send(self, call: Callable[[], T], server: Breaker, pace: Pace | None = None) -> T:
        async with server.passage():
            if server.lost:
                raise Unreachable(f"The service stayed out of reach for {self._patience:g} seconds.")
            if pace is not None:
                await pace.turn()
            return await self._execute(call)
