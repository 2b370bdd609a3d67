"""Polling: how often, in which way, and that no task is lost on the way."""

from collections import defaultdict
from itertools import pairwise

import pytest

from scangate.models.analysis import AnalysisRequest, Engine, OutcomeCode, Report
from scangate.service.base import ServiceError, Unauthorised
from scangate.service.budget import ProcessBudget, Rate
from scangate.web.errors import BadAnswer, Refused
from tests.service.simulation import World, down, packages, refusing
from tests.service.test_scheduler import codes


def most_in_a_second(times: list[float]) -> int:
    """The most of `times` (sorted) within any second."""
    # A nanosecond of slack: five gaps of 0.2 may add up to a hair less than one.
    return max(sum(at <= other < at + 1 - 1e-9 for other in times) for at in times)


def list_times(world: World) -> list[float]:
    return [call.at for call in world.service.calls if (call.operation, call.what) == ("list", 1)]


def test_one_task_is_asked_for_from_2_s_growing_to_30_s() -> None:
    world = World()
    world.service.duration = lambda request: 1000.0
    world.analyse(packages(1))
    times = world.service.times("task")
    pauses = [later - earlier for earlier, later in pairwise([0.0, *times])]
    assert pauses[0] == 2
    assert pauses[:-1] == sorted(pauses[:-1])
    assert max(pauses) == 30
    assert list_times(world) == []


@pytest.mark.parametrize("count", [50, 200])
def test_at_most_5_polls_a_second(count: int) -> None:
    world = World()
    # Without a list (nothing to spare for it) every task is asked for by its id.
    answers = world.analyse(packages(count), budget=ProcessBudget(Rate(count, 3600.0)))
    assert codes(answers) == [None] * count
    assert most_in_a_second(world.service.times("task", "list")) == 5
    assert list_times(world) == []


def test_more_than_50_tasks_are_watched_by_the_list_at_most_once_a_minute() -> None:
    world = World()
    requests = packages(230)
    world.service.duration = lambda request: 150.0 + int(request.purl.split("-")[1].split("@")[0])
    answers = world.analyse(requests)
    assert codes(answers) == [None] * 230
    assert min(later - earlier for earlier, later in pairwise(list_times(world))) >= 60
    assert most_in_a_second(world.service.times("task", "list")) <= 5
    by_id = world.service.asked("task")
    # By id: each for its report, and some of the last 50 more often.
    assert len(by_id) < 230 + 50 * 10
    before_the_end = [call.what for call in world.service.calls if call.operation == "task" and call.at < 150]
    assert before_the_end == []


def test_50_tasks_are_asked_for_by_id_alone() -> None:
    world = World()
    world.analyse(packages(50))
    assert world.service.asked("list") == []


def test_tasks_of_another_key_are_asked_for_by_id_while_the_list_serves_the_others() -> None:
    world = World()
    requests = packages(80)
    for request in requests[:5]:
        world.service.add(request, ends=200.0, own=False)
    world.service.duration = lambda request: 200.0
    assert codes(world.analyse(requests)) == [None] * 80
    early = {call.what for call in world.service.calls if call.operation == "task" and call.at < 200}
    assert early == {1, 2, 3, 4, 5}


def test_a_list_that_shifts_while_it_is_read_loses_no_task() -> None:
    world = World()
    requests = packages(250)
    stranger = 0

    def shift(operation: str, what: object) -> None:
        """Before each page somebody else's tasks push ours towards the end, or vanish from the front."""
        nonlocal stranger
        if operation != "list":
            return
        for _ in range(37):
            stranger += 1
            world.service.add(AnalysisRequest(purl=f"pkg:npm/stranger-{stranger}@1.0.0"))
        if what == 2:
            # Items slip to an earlier page that has been read already: this reading misses them.
            for task in sorted(world.service.tasks_by_id.values(), key=lambda task: -task.task_id)[:60]:
                task.own = not task.purl.startswith("pkg:npm/stranger")

    world.service.before.append(shift)
    world.service.duration = lambda request: 90.0
    answers = world.analyse(requests)
    assert codes(answers) == [None] * 250
    for request, answer in answers.items():
        assert isinstance(answer, Report)
        assert request.purl.encode() in answer.payload
    assert len(list_times(world)) >= 2


def test_a_task_in_the_list_that_failed_is_not_asked_for_again() -> None:
    world = World()
    world.service.duration = lambda request: 30.0
    world.service.before.append(
        lambda operation, what: (
            [setattr(task, "outcome", "failed") for task in world.service.tasks_by_id.values()] and None
        )
    )
    assert codes(world.analyse(packages(60))) == [OutcomeCode.FAILED] * 60
    assert world.service.asked("task") == []


def test_stuck_tasks_hold_nobody_up() -> None:
    world = World()
    requests = packages(70)
    world.service.duration = lambda request: 1e9 if request in requests[::7] else 60.0
    answers = world.analyse(requests)
    assert codes(answers) == [OutcomeCode.PENDING if request in requests[::7] else None for request in requests]
    assert max(world.service.times("report")) < 150


# ------------------------------------------------------------------------------- where asking is limited


def test_where_asking_by_id_is_limited_the_list_is_read() -> None:
    world = World()
    world.service.before.append(refusing(world.clock, 0, 400, "task"))
    world.service.duration = lambda request: 300.0
    answers = world.analyse(packages(20))
    assert codes(answers) == [None] * 20
    times = list_times(world)
    assert len(times) >= 3
    assert min(later - earlier for earlier, later in pairwise(times)) >= 60
    refused = [call.at for call in world.service.calls if call.operation == "task" and not call.let_through]
    # One after another and less and less often, not twenty at a time.
    assert len(refused) < 40


def test_where_asking_by_id_stays_limited_the_reports_are_pending() -> None:
    world = World()
    world.service.before.append(refusing(world.clock, 0, 1e9, "task"))
    answers = world.analyse(packages(20))
    assert codes(answers) == [OutcomeCode.PENDING] * 20
    assert all(answer.task_id for answer in answers.values())
    refused = [call.at for call in world.service.calls if call.operation == "task"]
    assert len(refused) < 80


def test_the_list_takes_only_what_submissions_leave() -> None:
    world = World()
    # More than 50 tasks are under way while the last ones are still to be submitted, with nothing to spare.
    world.service.limit = 60
    world.service.duration = lambda request: 300.0
    world.service.latency = lambda operation: 1.0 if operation == "submit" else 0.0
    answers = world.analyse(packages(60), budget=ProcessBudget(Rate(60, 3600.0)), jobs=1)
    assert codes(answers) == [None] * 60
    assert world.service.asked("list") == []


def test_what_the_submissions_did_not_need_is_the_lists() -> None:
    world = World()
    assert codes(world.analyse(packages(60), budget=ProcessBudget(Rate(61, 3600.0)))) == [None] * 60
    assert world.service.asked("list") == [1]


def test_a_list_that_cannot_be_afforded_is_not_waited_for() -> None:
    world = World()
    world.service.duration = lambda request: 20.0
    assert codes(world.analyse(packages(60), budget=ProcessBudget(Rate(60, 3600.0)))) == [None] * 60
    assert world.clock.now < 60


@pytest.mark.parametrize("error", [Refused("No list."), BadAnswer("Not JSON."), Unauthorised("Not for this key.")])
def test_a_list_that_does_not_work_is_done_without(error: ServiceError) -> None:
    world = World()

    def trouble(operation: str, what: object) -> None:
        if operation == "list":
            raise error

    world.service.before.append(trouble)
    assert codes(world.analyse(packages(80))) == [None] * 80
    assert world.service.asked("list") == [1]


def test_429_storms_on_the_list_do_not_hold_up_the_tasks() -> None:
    world = World()
    world.service.before.append(refusing(world.clock, 0, 1e9, "list"))
    world.service.duration = lambda request: 100.0
    assert codes(world.analyse(packages(80))) == [None] * 80
    assert len(world.service.asked("list")) <= 3


def test_a_list_that_is_out_of_reach_is_done_without_for_a_minute() -> None:
    world = World()
    world.service.before.append(down(world.clock, 0, 1e9, "list"))
    world.service.duration = lambda request: 100.0
    assert codes(world.analyse(packages(80))) == [None] * 80
    times = list_times(world)
    assert all(later - earlier >= 60 for earlier, later in pairwise(times))


def test_two_engines_on_one_purl_are_two_tasks_in_the_list() -> None:
    world = World()
    requests = packages(30) + packages(30, engine=Engine.LASTPYMILE)
    answers = world.analyse(requests)
    payloads = defaultdict(set)
    for request, answer in answers.items():
        assert isinstance(answer, Report)
        payloads[request.purl].add(answer.payload)
    assert {len(each) for each in payloads.values()} == {2}
