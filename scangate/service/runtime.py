"""Where the scheduler's time, threads and chance come from. Tests give it others: virtual time, no thread, a seed."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random, SystemRandom
from typing import Protocol, TypeVar

T = TypeVar("T")


class Execute(Protocol):
    """Carries out one blocking call without blocking the event loop; gives its result or raises its exception."""

    def __call__(self, call: Callable[[], T], /) -> Awaitable[T]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """`loop` makes the event loop (its `time()` is the only clock for pauses); `wall` is seconds since 1970."""

    execute: Execute
    random: Random
    wall: Callable[[], float]
    loop: Callable[[], asyncio.AbstractEventLoop]


async def in_daemon_thread(call: Callable[[], T]) -> T:
    """Run one call in a thread of its own, which neither the event loop nor the interpreter waits for.

    Not asyncio.to_thread: its pool is joined at exit, so that Ctrl-C would wait for every request under way.
    A thread costs a fraction of a millisecond, next to an HTTP request; callers bound how many there are.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(finish: Callable[[], None]) -> None:
        if not future.done():
            finish()

    def work() -> None:
        try:
            result = call()
        except BaseException as exc:  # noqa: BLE001 - it is raised again where the call is awaited
            failure = exc
            finish = lambda: future.set_exception(failure)  # noqa: E731 - one of two continuations
        else:
            finish = lambda: future.set_result(result)  # noqa: E731
        with suppress(RuntimeError):  # the run has ended and its loop is closed: nobody waits for this any more
            loop.call_soon_threadsafe(settle, finish)

    threading.Thread(target=work, name="scangate-request", daemon=True).start()
    return await future


SYSTEM = Runtime(execute=in_daemon_thread, random=SystemRandom(), wall=time.time, loop=asyncio.new_event_loop)
