"""Waiting for tasks to end: each by its id, or many at once by the list."""

import asyncio
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count

from scangate.service.base import RateLimited, Task, TaskState, Unauthorised
from scangate.service.connection import PAGE_SIZE, Connection, OverBudget
from scangate.web.errors import BadAnswer, Refused, Unreachable

GROWTH = 1.5
LISTS_APART = 60.0
MAX_PAGES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """How often a service is asked how a task is: pauses before the `first` look and at most, seconds between any two.

    With more tasks under way than `list_above`, the list is read instead of asking for each; None: never.
    """

    first: float
    most: float
    apart: float
    list_above: int | None


HOSTED = Looks(first=2.0, most=30.0, apart=0.2, list_above=50)
NEARBY = Looks(first=0.1, most=1.0, apart=0.005, list_above=None)
"""For a service on this machine that this run has to itself."""


class Watch:
    """All the tasks that this run waits for.

    A task is asked for by its id: that is free (service sources, observed). The list costs budget; it is read where
    asking by id is limited or very many are waited for, at most once a minute for all of them together, and only
    with what the `leave` submissions still to come do not need. What the list does not have is asked for by id:
    a task of another key is never on it, and one may slip from page to page while it is read.
    """

    def __init__(self, connection: Connection, *, leave: Callable[[], int], looks: Looks = HOSTED) -> None:
        self._connection = connection
        self._looks = looks
        self._leave = leave
        self._waiting: set[int] = set()
        self._list_usable = True
        self._list_read_at = -math.inf
        self._next_reading: asyncio.Task[Mapping[int, Task]] | None = None

    async def end_of(self, task: Task) -> Task:
        """The task once it is neither queued nor processing, as the service or its list then shows it.

        Raises what Connection.task raises.
        """
        with self._waited_for(task.task_id):
            for pause in self._pauses(at_once=task.status == TaskState.COMPLETED):
                await asyncio.sleep(pause)
                with suppress(RateLimited):  # the next look is at the list
                    task = await self._look(task.task_id)
                    if task.status not in TaskState.RUNNING:
                        break
        return task

    async def _look(self, task_id: int) -> Task:
        many = self._looks.list_above is not None and len(self._waiting) > self._looks.list_above
        if self._list_usable and (self._connection.asking_is_limited or many):
            listed = await self._next_list()
            if task_id in listed:
                return listed[task_id]
        return await self._connection.glance(task_id)

    async def _next_list(self) -> Mapping[int, Task]:
        """The tasks waited for that the next reading of the list finds; shared by all who wait for it."""
        if self._next_reading is None:
            self._next_reading = asyncio.create_task(self._read_when_due())
        return await asyncio.shield(self._next_reading)

    async def _read_when_due(self) -> Mapping[int, Task]:
        time = asyncio.get_running_loop().time
        while (wait := self._list_read_at + LISTS_APART - time()) > 0:
            await asyncio.sleep(wait)
        self._next_reading = None  # who comes now wants to know more than this one will
        before, self._list_read_at = self._list_read_at, time()
        found: dict[int, Task] = {}
        try:
            await self._read_into(found)
        except OverBudget:
            if not found:
                self._list_read_at = before
                return found
        except (RateLimited, Unreachable):
            pass
        except (Refused, Unauthorised, BadAnswer):
            self._list_usable = False
        self._list_read_at = time()
        return found

    async def _read_into(self, found: dict[int, Task]) -> None:
        for number in range(1, MAX_PAGES + 1):
            page = await self._connection.spare_page(number, leave=self._leave())
            found |= {task.task_id: task for task in page.items if task.task_id in self._waiting}
            if found.keys() >= self._waiting or not page.items or number * PAGE_SIZE >= page.total:
                return

    @contextmanager
    def _waited_for(self, task_id: int) -> Iterator[None]:
        self._waiting.add(task_id)
        try:
            yield
        finally:
            self._waiting.discard(task_id)

    def _pauses(self, *, at_once: bool) -> Iterator[float]:
        if at_once:
            yield 0.0
        for step in count():
            yield min(self._looks.most, self._looks.first * GROWTH ** min(step, 32))
