"""Pauses within their bounds, and a breaker that lets one request at a time find out how things stand."""

import asyncio
from collections.abc import Coroutine
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scangate.service.base import RateLimited
from scangate.service.retry import Backoff, Breaker, Pace
from scangate.web.errors import Unreachable
from tests.service.simulation import VirtualClock, VirtualLoop


def run(coroutine: Coroutine[Any, Any, None]) -> float:
    """Run in virtual time; how long it took."""
    clock = VirtualClock()
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(clock)) as runner:
        runner.run(coroutine)
    return clock.now


def now() -> float:
    return asyncio.get_running_loop().time()


@given(first=st.floats(0.01, 10), most=st.floats(0.01, 100), tries=st.integers(1, 10_000), seed=st.integers(0, 2**32))
def test_a_pause_is_at_least_nothing_and_at_most_its_bound(first: float, most: float, tries: int, seed: int) -> None:
    pause = Backoff(first=first, most=most).pause(tries, Random(seed))
    assert 0 <= pause <= most
    if tries < 20:
        assert pause <= first * 2 ** (tries - 1)


def test_pauses_grow_and_are_spread_over_the_whole_range() -> None:
    backoff, random = Backoff(first=1.0, most=30.0), Random(1)
    for tries, bound in enumerate([1, 2, 4, 8, 16, 30, 30], start=1):
        pauses = [backoff.pause(tries, random) for _ in range(2000)]
        assert min(pauses) < bound * 0.02
        assert max(pauses) > bound * 0.98
        assert sum(pauses) / 2000 == pytest.approx(bound / 2, rel=0.06)


def breaker(**options: float) -> Breaker:
    return Breaker(
        (Unreachable, RateLimited),
        backoff=Backoff(first=4.0, most=8.0),
        random=Random(7),
        tolerated=int(options.get("tolerated", 0)),
        patience=options.get("patience", 10_000.0),
    )


async def fail(way: Breaker, error: Exception, *, after: float = 0.0) -> None:
    async def request() -> None:
        async with way.passage():
            await asyncio.sleep(after)
            raise error

    with pytest.raises(type(error)):
        await request()


async def succeed(way: Breaker, *, after: float = 0.0) -> float:
    async with way.passage():
        began = now()
        await asyncio.sleep(after)
    return began


def test_all_go_at_once_while_all_is_well() -> None:
    async def scenario() -> None:
        way = breaker()
        await asyncio.gather(*(succeed(way, after=5.0) for _ in range(100)))
        assert not way.troubled

    assert run(scenario()) == 5


def test_trouble_together_counts_once_and_is_tolerated_as_often_as_said() -> None:
    async def scenario() -> None:
        way = breaker(tolerated=1)
        await asyncio.gather(*(fail(way, Unreachable("x"), after=1.0) for _ in range(10)))
        assert not way.troubled
        await fail(way, Unreachable("x"))
        assert way.troubled
        assert way.closed

    run(scenario())


def test_a_probe_goes_alone_and_its_success_lets_all_others_go() -> None:
    async def scenario() -> None:
        way = breaker()
        await fail(way, RateLimited("x", retry_after=10.0))
        began = await asyncio.gather(*(succeed(way, after=3.0) for _ in range(5)))
        assert 10 <= began[0] <= 11
        assert {at - began[0] for at in began[1:]} == {3.0}
        assert not way.troubled
        assert not way.closed

    run(scenario())


def test_an_old_success_does_not_end_a_new_trouble() -> None:
    async def scenario() -> None:
        way = breaker()
        slow = asyncio.create_task(succeed(way, after=1.0))
        await asyncio.sleep(0)
        await fail(way, RateLimited("x", retry_after=50.0))
        await slow
        assert way.troubled
        assert await succeed(way) >= 50

    run(scenario())


def test_other_errors_say_nothing() -> None:
    async def scenario() -> None:
        way = breaker()
        await fail(way, RateLimited("x"))
        await fail(way, ValueError())
        assert way.troubled

    run(scenario())


def test_a_retry_after_of_nothing_does_not_invite_hammering() -> None:
    async def scenario() -> None:
        way = breaker()
        for _ in range(50):
            await fail(way, RateLimited("x", retry_after=0.0))

    assert run(scenario()) > 100


def test_lost_is_for_good_after_its_time_and_nobody_waits_for_it() -> None:
    async def scenario() -> None:
        way = breaker(patience=20.0)
        while way.closed_until < 20:
            await fail(way, Unreachable("x"))
            assert not way.lost
        assert way.closed_until == 20
        waiting = [asyncio.create_task(fail(way, Unreachable("x"))) for _ in range(4)]
        await asyncio.gather(*waiting)
        assert way.lost
        assert now() == pytest.approx(20)
        await asyncio.gather(*(fail(way, Unreachable("x")) for _ in range(10)))
        assert way.lost
        assert now() == pytest.approx(20)

    run(scenario())


def test_the_time_begins_anew_after_a_success_and_what_is_as_good() -> None:
    async def scenario() -> None:
        way = Breaker(
            Unreachable, well=(RateLimited,), backoff=Backoff(first=4.0, most=8.0), random=Random(7), patience=20.0
        )
        for answer in (succeed(way), fail(way, RateLimited("x"))):
            await fail(way, Unreachable("x"))
            await asyncio.sleep(19)
            await answer
            await asyncio.sleep(19)
            await fail(way, Unreachable("x"))
            assert not way.lost
            await succeed(way)

    run(scenario())


def test_turns_are_a_gap_apart() -> None:
    times: list[float] = []

    async def scenario() -> None:
        pace = Pace(0.25)

        async def poll() -> None:
            await pace.turn()
            times.append(now())

        await asyncio.gather(*(poll() for _ in range(5)))
        await asyncio.sleep(10)
        await asyncio.gather(*(poll() for _ in range(2)))

    run(scenario())
    assert times == [0, 0.25, 0.5, 0.75, 1.0, 11.0, 11.25]
