"""Where the scheduler's time, threads and chance come from. Tests give it others: virtual time, no thread, a seed."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from random import Random, SystemRandom
from typing import Protocol, Self, TypeVar

T = TypeVar("T")


class Execute(Protocol):
    """Carries out one blocking call without blocking the event loop; gives its result or raises its exception."""

    def __call__(self, call: Callable[[], T], /) -> Awaitable[T]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """`loop` makes the event loop (its `time()` is the only clock for pauses); `wall` is seconds since 1970.

    `executor` is entered inside the loop and left when the run is over.
    """

    executor: Callable[[], AbstractContextManager[Execute]]
    random: Random
    wall: Callable[[], float]
    loop: Callable[[], asyncio.AbstractEventLoop]


class DaemonThreads:
    """As many threads as there are calls at once (callers bound those), kept for the next calls.

    Not asyncio.to_thread: its pool is joined at exit, so that Ctrl-C would wait for every request under way.
    """

    def __init__(self) -> None:
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads = 0
        self._busy = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Let the threads end after what they are doing, without waiting for it."""
        for _number in range(self._threads):
            self._work.put(None)

    async def __call__(self, call: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._busy += 1
        if self._busy > self._threads:
            self._threads += 1
            threading.Thread(target=_serve, args=(self._work,), name="scangate-request", daemon=True).start()
        self._work.put(partial(_carry_out, call, loop, partial(self._settle, future)))
        return await future

    def _settle(self, future: "asyncio.Future[T]", finish: "Callable[[asyncio.Future[T]], None]") -> None:
        self._busy -= 1
        if not future.done():  # else it was cancelled: nobody waits for this any more
            finish(future)


SYSTEM = Runtime(executor=DaemonThreads, random=SystemRandom(), wall=time.time, loop=asyncio.new_event_loop)


def _serve(work: "SimpleQueue[Callable[[], None] | None]") -> None:
    while (piece := work.get()) is not None:
        piece()


def _carry_out(
    call: Callable[[], T],
    loop: asyncio.AbstractEventLoop,
    settle: "Callable[[Callable[[asyncio.Future[T]], None]], None]",
) -> None:
    finish: Callable[[asyncio.Future[T]], None]
    try:
        result = call()
    except BaseException as exc:  # noqa: BLE001 - it is raised again where the call is awaited
        failure = exc
        finish = lambda future: future.set_exception(failure)  # noqa: E731 - one of two continuations
    else:
        finish = lambda future: future.set_result(result)  # noqa: E731
    with suppress(RuntimeError):  # the run is over and its loop closed
        loop.call_soon_threadsafe(settle, finish)
