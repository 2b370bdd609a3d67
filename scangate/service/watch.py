"""Waiting for tasks to end: each by its id, or many at once by the list."""

import asyncio
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count

from scangate.service.base import BadAnswer, RateLimited, Refused, Task, TaskState, Unauthorised, Unreachable
from scangate.service.connection import PAGE_SIZE, Connection, OverBudget

FIRST_PAUSE = 2.0
LAST_PAUSE = 30.0
GROWTH = 1.5
LIST_ABOVE = 50
"""With more tasks under way than this, the list is read instead of asking for each."""
LISTS_APART = 60.0
MAX_PAGES = 50


class Watch:
    """All the tasks that this run waits for.

    A task is asked for by its id: that is free (service sources, observed). The list costs budget; it is read where
    asking by id is limited or very many are waited for, at most once a minute for all of them together, and only
    with what the `leave` submissions still to come do not need. What the list does not have is asked for by id:
    a task of another key is never on it, and one may slip from page to page while it is read.
    """

    def __init__(self, connection: Connection, *, leave: Callable[[], int]) -> None:
        self._connection = connection
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
            for pause in _pauses(at_once=task.status == TaskState.COMPLETED):
                await asyncio.sleep(pause)
                with suppress(RateLimited):  # the next look is at the list
                    task = await self._look(task.task_id)
                    if task.status not in TaskState.RUNNING:
                        break
        return task

    async def _look(self, task_id: int) -> Task:
        if self._list_usable and (self._connection.asking_is_limited or len(self._waiting) > LIST_ABOVE):
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


def _pauses(*, at_once: bool) -> Iterator[float]:
    if at_once:
        yield 0.0
    for step in count():
        yield min(LAST_PAUSE, FIRST_PAUSE * GROWTH ** min(step, 32))
