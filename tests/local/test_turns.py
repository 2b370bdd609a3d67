"""At most so many sandboxes at once; whoever waits for one heeds a stop."""

import threading
from pathlib import Path
from threading import Event

import pytest

from scangate.local.jobs import Interrupted
from scangate.local.sandbox.base import PhaseTrace, Plan
from scangate.local.turns import InTurns
from tests.local.conftest import WAIT_SECONDS

PLAN = Plan(tree=Path("/nowhere"), phases=())


class Counted:
    """A sandbox that knows how many jobs are in it, and lets them go when told."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = self.most = 0
        self.entered = threading.Semaphore(0)
        self.go_on = Event()

    def run(self, plan: Plan, stop: Event) -> tuple[PhaseTrace, ...]:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.entered.release()
        assert self.go_on.wait(WAIT_SECONDS)
        with self.lock:
            self.inside -= 1
        return ()


@pytest.mark.parametrize("count", [1, 2])
def test_only_so_many_run_at_once_and_who_waits_heeds_a_stop(count: int) -> None:
    sandbox, stop = Counted(), Event()
    turns = InTurns(sandbox, count)
    running = [threading.Thread(target=turns.run, args=(PLAN, Event())) for _ in range(count)]
    for thread in running:
        thread.start()
        assert sandbox.entered.acquire(timeout=WAIT_SECONDS)
    stop.set()
    with pytest.raises(Interrupted):  # it was not let in: there it would not have looked at the stop
        turns.run(PLAN, stop)
    waiting = [threading.Thread(target=turns.run, args=(PLAN, Event())) for _ in range(4)]
    for thread in waiting:
        thread.start()
    sandbox.go_on.set()
    for thread in (*running, *waiting):
        thread.join(WAIT_SECONDS)
        assert not thread.is_alive()
    assert (sandbox.most, sandbox.inside) == (count, 0)


class Broken:
    def run(self, plan: Plan, stop: Event) -> tuple[PhaseTrace, ...]:
        raise OSError("no space left")


def test_a_turn_that_fails_is_over() -> None:
    turns = InTurns(Broken(), 1)
    for _ in range(2):
        with pytest.raises(OSError, match="no space"):
            turns.run(PLAN, Event())
