"""How many sandboxes run at once: fetching goes on ahead, and what is fetched waits for its turn."""

import threading
from threading import Event

from scangate.local.jobs import Interrupted
from scangate.local.sandbox.base import PhaseTrace, Plan, Sandbox

_LOOK_SECONDS = 0.2


class InTurns:
    """A `Sandbox` that has at most `count` jobs run at once."""

    def __init__(self, sandbox: Sandbox, count: int) -> None:
        self._sandbox = sandbox
        self._free = threading.Semaphore(count)

    def run(self, plan: Plan, stop: Event) -> tuple[PhaseTrace, ...]:
        while not self._free.acquire(timeout=_LOOK_SECONDS):
            if stop.is_set():
                raise Interrupted
        try:
            return self._sandbox.run(plan, stop)
        finally:
            self._free.release()
