"""When to try again: exponential back-off with full jitter, and a breaker that does not hammer who is down."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from random import Random

from scangate.errors import ServiceError
from scangate.service.base import RateLimited


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Pauses between tries, in seconds: anything from nothing to `first`, then to twice that …, never above `most`.

    Full jitter: clients that failed together do not come back together.
    """

    first: float
    most: float

    def pause(self, tries: int, random: Random) -> float:
        """How long to wait after so many failed tries (1, 2 …)."""
        return random.uniform(0, min(self.most, self.first * 2 ** min(tries - 1, 32)))


class Streak:
    """Failures in a row, and the pauses between them.

    The last pause ends `patience` seconds after the first failure; who fails after that has failed for good.
    """

    def __init__(self, backoff: Backoff, random: Random, *, patience: float = math.inf) -> None:
        self._backoff = backoff
        self._random = random
        self._patience = patience
        self._ends = math.inf
        self.length = 0
        self.is_over = False

    def failed(self) -> float:
        """One more; for how many seconds to pause now."""
        now = asyncio.get_running_loop().time()
        if self.length == 0:
            self._ends = now + self._patience
        self.length += 1
        self.is_over = self._ends - now < _MOMENT
        return max(0.0, min(self._backoff.pause(self.length, self._random), self._ends - now))

    def end(self) -> None:
        self.length = 0
        self.is_over = False


_MOMENT = 0.001
"""Seconds: what an event loop's timer may be early."""


class Breaker:
    """Lets requests through freely while all is well; in trouble, one at a time and each after a growing pause.

    Trouble is an exception of the class `trouble` within `passage`; one of the class `well` is as good as a success.
    Requests that were under way together and fail together count once. More than `tolerated` troubles in a row close
    the way; when they last for `patience` seconds it is lost for good. Only a success opens it again.
    """

    def __init__(
        self,
        trouble: type[ServiceError] | tuple[type[ServiceError], ...],
        *,
        backoff: Backoff,
        random: Random,
        well: tuple[type[ServiceError], ...] = (),
        tolerated: int = 0,
        patience: float = math.inf,
    ) -> None:
        self._trouble = trouble
        self._well = well
        self._tolerated = tolerated
        self._streak = Streak(backoff, random, patience=patience)
        self._probing = asyncio.Lock()
        self.closed_until = 0.0
        """The loop's time before which nothing goes through (it may lie in the past)."""

    @property
    def troubled(self) -> bool:
        return self._streak.length > self._tolerated

    @property
    def lost(self) -> bool:
        return self._streak.is_over

    @property
    def closed(self) -> bool:
        """Whether a request would have to wait now."""
        return self.troubled and (self._probing.locked() or asyncio.get_running_loop().time() < self.closed_until)

    @asynccontextmanager
    async def passage(self) -> AsyncIterator[None]:
        """Waits until a request may go; what happens inside decides how things stand."""
        async with AsyncExitStack() as turn:
            if self._one_at_a_time():
                await turn.enter_async_context(self._probing)
                if self._one_at_a_time():
                    await asyncio.sleep(self.closed_until - asyncio.get_running_loop().time())
                else:  # the probe before this one settled it: all who wait may go at once
                    await turn.aclose()
            known = self._streak.length
            try:
                yield
            except self._trouble as exc:
                if known == self._streak.length:
                    self._note(exc)
                raise
            except self._well:
                self._all_is_well(known)
                raise
            self._all_is_well(known)

    def _all_is_well(self, known: int) -> None:
        if known == self._streak.length:
            self._streak.end()

    def _one_at_a_time(self) -> bool:
        return self.troubled and not self.lost

    def _note(self, exc: ServiceError) -> None:
        pause = self._streak.failed()
        if isinstance(exc, RateLimited) and exc.retry_after is not None:
            pause = max(pause, exc.retry_after + min(pause, 1.0))
        self.closed_until = asyncio.get_running_loop().time() + pause


class Pace:
    """Turns that are at least `gap` seconds apart, first come, first served."""

    def __init__(self, gap: float) -> None:
        self._gap = gap
        self._next = -math.inf

    async def turn(self) -> None:
        now = asyncio.get_running_loop().time()
        at = max(now, self._next)
        self._next = at + self._gap
        await asyncio.sleep(at - now)
