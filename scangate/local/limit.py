"""The rate limit, as it was observed in the hosted service: a counter per key that expires."""

import threading

from scangate.local.config import Clock

WINDOW_SECONDS = 3600.0


class RateLimit:
    """A counter per key. Every request that is let through renews the window, so that a client which keeps
    hammering just under the limit never gets a fresh one. Kept in memory: a restart forgives.
    """

    def __init__(self, limit: int | None, clock: Clock) -> None:
        self._limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._counters: dict[str, tuple[int, float]] = {}

    def admit(self, owner: str) -> bool:
        """Count one request of this key; False where it is over the limit (then nothing is counted or renewed)."""
        if self._limit is None:
            return True
        with self._lock:
            now = self._clock()
            count, ends = self._counters.get(owner, (0, now))
            if now >= ends:
                count = 0
            if count >= self._limit:
                return False
            self._counters[owner] = (count + 1, now + WINDOW_SECONDS)
            return True
