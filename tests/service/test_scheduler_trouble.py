"""Rate limits, outages, lost answers: what is waited for, what is tried again, and when it is enough."""

import multiprocessing
from itertools import pairwise
from pathlib import Path

import pytest

from scangate.models.analysis import OutcomeCode, Report, Shortfall
from scangate.service.budget import ProcessBudget, Rate, SharedBudget
from tests.service.simulation import EPOCH, Trouble, World, down, packages, refusing
from tests.service.test_scheduler import archive, code, codes, the


def losing(world: World, operation: str, times: int) -> Trouble:
    """The first answers to an operation are lost on the way back: it was carried out, and nobody knows."""
    left = times

    def trouble(now: str, what: object) -> None:
        nonlocal left
        if now == operation and left:
            left -= 1
            down(world.clock, 0, 1e9, sent=True)(now, what)

    return trouble


# ----------------------------------------------------------------------------------------------- outages


@pytest.mark.parametrize(("timeout", "outage"), [(1200.0, 44.0), (60.0, 5.9)])
def test_an_outage_is_survived_that_is_short_against_the_time_that_there_is(timeout: float, outage: float) -> None:
    for seed in range(20):
        world = World(seed=seed)
        world.service.duration = lambda request: 40.0
        world.service.before.append(down(world.clock, 10, 10 + outage))
        assert codes(world.analyse(packages(30), timeout=timeout)) == [None] * 30


@pytest.mark.parametrize(("timeout", "patience"), [(1200.0, 45.0), (450.0, 45.0), (60.0, 6.0)])
def test_a_service_that_never_answers_is_given_up_after_a_tenth_of_the_time_that_there_is(
    timeout: float, patience: float
) -> None:
    for seed in range(20):
        world = World(seed=seed)
        world.service.before.append(down(world.clock, 0, 1e9))
        answers = world.analyse(packages(500), timeout=timeout)
        assert codes(answers) == [OutcomeCode.UNREACHABLE] * 500
        assert world.clock.now == pytest.approx(patience)
        # It is not hammered: eight at once (`jobs`), three times, then one at a time.
        assert len(world.service.calls) < 50


def test_an_outage_begins_with_the_first_failure_however_long_nothing_was_asked() -> None:
    world = World()
    world.service.duration = lambda request: 300.0
    looks: list[float] = []
    world.service.before.append(lambda operation, what: looks.append(world.clock.now))
    world.analyse(packages(1))
    before, after = next(pair for pair in pairwise(looks) if pair[1] - pair[0] > 20)
    again = World()
    again.service.duration = lambda request: 300.0
    again.service.before.append(down(again.clock, before + 0.1, after + 40))
    assert codes(again.analyse(packages(1))) == [None]


def test_a_service_that_is_slow_to_refuse_is_tried_again_all_the_same() -> None:
    world = World()
    world.service.latency = lambda operation: 10.0
    world.service.before.append(down(world.clock, 0, 15))
    world.service.duration = lambda request: 10.0
    assert codes(world.analyse(packages(1), timeout=100)) == [None]


def test_a_429_is_an_answer_after_which_an_outage_is_a_new_one() -> None:
    for seed in range(5):
        world = World(seed=seed)
        world.service.before.append(down(world.clock, 0, 1, "submit"))
        world.service.before.append(refusing(world.clock, 1, 80, "submit"))
        world.service.before.append(down(world.clock, 80, 120, "submit"))
        assert codes(world.analyse(packages(3))) == [None] * 3


def test_a_service_that_dies_half_way_keeps_what_is_done() -> None:
    world = World()
    requests = packages(40)
    world.service.duration = lambda request: 10.0 if request in requests[:15] else 300.0
    world.service.before.append(down(world.clock, 100, 1e9))
    answers = world.analyse(requests)
    assert codes(answers) == [None] * 15 + [OutcomeCode.UNREACHABLE] * 25
    assert all(answer.task_id for answer in answers.values())
    after = [call for call in world.service.calls if call.at >= 100]
    assert len(after) < 60
    assert world.clock.now < 300


def test_during_an_outage_one_request_at_a_time_finds_out() -> None:
    world = World()
    world.service.latency = lambda operation: 0.5
    world.service.duration = lambda request: 300.0
    world.service.before.append(down(world.clock, 100, 140))
    assert codes(world.analyse(packages(40))) == [None] * 40
    times = [call.at for call in world.service.calls if 110 <= call.at < 140]
    assert all(later - earlier >= 0.5 for earlier, later in pairwise(times))


def test_one_package_that_always_fails_does_not_take_the_others_along() -> None:
    world = World()
    requests = packages(10)

    def trouble(operation: str, what: object) -> None:
        if what == requests[3].purl:
            down(world.clock, 0, 1e9)(operation, what)

    world.service.before.append(trouble)
    assert codes(world.analyse(requests)) == [None] * 3 + [OutcomeCode.UNREACHABLE] + [None] * 6
    tries = [call.at for call in world.service.calls if call.what == requests[3].purl]
    assert tries[-1] - tries[0] == pytest.approx(45)
    assert 4 < len(tries) < 20


def test_a_storage_that_is_down_does_not_stop_the_service() -> None:
    world = World()
    requests = packages(30)
    world.service.duration = lambda request: 20.0 if request in requests[:10] else 400.0
    world.service.before.append(down(world.clock, 100, 1e9, "report"))
    answers = world.analyse(requests)
    assert codes(answers) == [None] * 10 + [OutcomeCode.UNREACHABLE] * 20
    assert all(answer.task_id for answer in answers.values())
    assert {call.what for call in world.service.calls if call.operation == "task" and call.at > 400} == set(
        range(11, 31)
    )


def test_a_download_that_is_limited_or_fails_is_tried_again() -> None:
    world = World()
    world.service.before.append(refusing(world.clock, 60, 75, "report"))
    world.service.before.append(down(world.clock, 75, 85, "report"))
    assert codes(world.analyse(packages(3))) == [None] * 3


# ------------------------------------------------------------------------------------------- lost answers


def test_a_purl_whose_answer_was_lost_is_submitted_again_and_deduplicated() -> None:
    world = World()
    world.service.after.append(losing(world, "submit", 3))
    assert codes(world.analyse(packages(2))) == [None] * 2
    assert len(world.service.tasks_by_id) == 2
    assert len(world.service.asked("submit")) == 5


def test_an_archive_whose_answer_was_lost_is_found_on_the_list() -> None:
    world = World()
    for number in range(150):
        world.service.add(packages(1)[0], created=-1000.0 - number, ends=0.0)
    world.service.after.append(losing(world, "submit_archive", 1))
    answer = the(world.analyse([archive(content=b"mine")]))
    assert isinstance(answer, Report)
    assert answer.payload == b"mine"
    assert len(world.service.asked("submit_archive")) == 1
    assert len(world.service.asked("list")) == 1


def test_an_archive_that_never_arrived_is_submitted_again() -> None:
    world = World()
    # An earlier task of the same purl, about other bytes: taking it would be a verdict on the wrong archive.
    world.service.add(archive(), created=-10.0, ends=-5.0, content=b"old bytes")
    world.service.before.append(down(world.clock, 0, 0.001, "submit_archive", sent=True))
    answer = the(world.analyse([archive(content=b"new bytes")]))
    assert isinstance(answer, Report)
    assert answer.payload == b"new bytes"
    assert len(world.service.asked("submit_archive")) == 2


def test_an_archive_that_was_surely_not_sent_is_submitted_again_without_the_list() -> None:
    world = World()
    world.service.before.append(down(world.clock, 0, 0.001, "submit_archive"))
    assert isinstance(the(world.analyse([archive()])), Report)
    assert world.service.asked("list") == []


def test_two_lost_archives_of_one_purl_are_not_mixed_up() -> None:
    world = World()
    world.service.after.append(losing(world, "submit_archive", 2))
    one, other = archive(content=b"one"), archive(content=b"other")
    answers = world.analyse([one, other], jobs=2)
    payloads = [answer.payload for answer in answers.values() if isinstance(answer, Report)]
    assert payloads == [b"one", b"other"]


def test_a_lost_archive_is_looked_for_on_every_page_of_this_run() -> None:
    world = World()

    def crowd(operation: str, what: object) -> None:
        if operation == "submit_archive":
            for _ in range(230):
                world.service.add(packages(1)[0])

    world.service.after.append(crowd)
    world.service.after.append(losing(world, "submit_archive", 1))
    answer = the(world.analyse([archive(content=b"mine")]))
    assert isinstance(answer, Report)
    assert answer.payload == b"mine"
    assert world.service.asked("list") == [1, 2, 3]


@pytest.mark.parametrize("created", ["", "yesterday", "2999-01-01", "0001-01-01T00:00:00"])
def test_a_task_without_a_usable_time_is_not_taken_for_a_lost_one(
    created: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    world.service.after.append(losing(world, "submit_archive", 1))
    page = world.service.tasks

    def retimed(number: int, page_size: int = 100, status: str | None = None):  # type: ignore[no-untyped-def]
        result = page(number, page_size, status)
        return result._replace(items=tuple(item._replace(created_at=created) for item in result.items))

    retimed.__name__ = "tasks"
    monkeypatch.setattr(world.service, "tasks", retimed)
    assert isinstance(the(world.analyse([archive()])), Report)
    assert len(world.service.asked("submit_archive")) == (1 if created.startswith("2999") else 2)


def test_a_lost_archive_with_nothing_left_to_look_for_it_is_over_budget() -> None:
    world = World()
    world.service.after.append(losing(world, "submit_archive", 1))
    answer = the(world.analyse([archive()], budget=ProcessBudget(Rate(2, 3600.0))))
    assert code(answer) is OutcomeCode.OVER_BUDGET


# --------------------------------------------------------------------------------------------- rate limit


def test_a_429_storm_on_submissions_is_waited_out() -> None:
    world = World()
    world.service.before.append(refusing(world.clock, 0, 300, "submit"))
    assert codes(world.analyse(packages(20))) == [None] * 20
    refused = [call.at for call in world.service.calls if not call.let_through]
    assert len(refused) < 40
    # The first ones (`jobs`) are under way together; then one at a time.
    later = [at for at in refused if at > 0]
    assert len(set(later)) == len(later)


def test_after_a_429_no_counted_request_goes_out_until_the_pause_is_over() -> None:
    world = World()
    world.service.before.append(refusing(world.clock, 0, 0.001, "submit", retry_after=100.0))
    assert codes(world.analyse(packages(20))) == [None] * 20
    assert [at for at in world.service.times("submit") if 0 < at < 100] == []
    assert world.clock.now < 100 + 150


def test_a_limit_that_outlasts_the_run_is_over_budget_at_once() -> None:
    world = World()
    world.service.before.append(refusing(world.clock, 0, 1e9, "submit", retry_after=3600.0))
    answers = world.analyse(packages(100))
    assert codes(answers) == [OutcomeCode.OVER_BUDGET] * 100
    assert world.clock.now == 0
    assert len(world.service.calls) == 8


def test_a_limit_that_does_not_end_is_over_budget_at_the_timeout() -> None:
    world = World()
    world.service.limit = 10
    requests = packages(30)
    answers = world.analyse(requests)
    assert codes(answers) == [None] * 10 + [OutcomeCode.OVER_BUDGET] * 20
    refused = [call for call in world.service.calls if not call.let_through]
    assert len(refused) < 80
    assert world.clock.now <= 1200


def test_what_was_refused_is_not_taken_from_our_own_budget() -> None:
    world = World()
    world.service.before.append(refusing(world.clock, 0, 120, "submit"))
    assert codes(world.analyse(packages(20), budget=ProcessBudget(Rate(20, 3600.0)))) == [None] * 20


def test_our_own_budget_is_never_exceeded_and_the_first_ones_have_it() -> None:
    world = World()
    answers = world.analyse(packages(250), budget=ProcessBudget(Rate(100, 3600.0)))
    assert codes(answers) == [None] * 100 + [OutcomeCode.OVER_BUDGET] * 150
    assert world.service.counted() == 100
    assert world.clock.now < 200


def test_a_budget_that_is_renewed_in_time_is_waited_for() -> None:
    world = World()
    answers = world.analyse(packages(25), budget=ProcessBudget(Rate(10, 60.0)))
    assert codes(answers) == [None] * 25
    times = world.service.times("submit")
    assert sorted(set(times)) == [0, 60, 120]


@pytest.mark.parametrize(("timeout", "expected"), [(61.0, None), (59.0, OutcomeCode.OVER_BUDGET)])
def test_the_timeout_decides_whether_it_is_waited_for(timeout: float, expected: OutcomeCode | None) -> None:
    world = World()
    world.service.duration = lambda request: 0.0
    answers = world.analyse(packages(2), budget=ProcessBudget(Rate(1, 60.0)), timeout=timeout)
    assert codes(answers) == [None, expected]


def test_two_runs_share_one_budget(tmp_path: Path) -> None:
    warnings: list[str] = []

    def budget() -> SharedBudget:
        return SharedBudget(Rate(100, 3600.0), tmp_path, account="a key", warn=warnings.append)

    first, second = World(), World()
    second.clock.now = 500.0
    assert codes(first.analyse(packages(70), budget=budget())).count(None) == 70
    answers = second.analyse(packages(70), budget=budget())
    spent = first.service.counted()
    assert codes(answers) == [None] * (100 - spent) + [OutcomeCode.OVER_BUDGET] * (70 - (100 - spent))
    assert first.service.counted() + second.service.counted() == 100
    assert warnings == []


def _run_beside(directory: Path, results: "multiprocessing.Queue[tuple[int, int]]") -> None:
    world = World()
    budget = SharedBudget(Rate(100, 3600.0), directory, account="a key", warn=print)
    answers = world.analyse(packages(70), budget=budget)
    results.put((world.service.counted(), codes(answers).count(OutcomeCode.OVER_BUDGET)))


def test_two_processes_at_the_same_time_share_one_budget(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[tuple[int, int]] = context.Queue()
    processes = [context.Process(target=_run_beside, args=(tmp_path, results)) for _ in range(2)]
    for process in processes:
        process.start()
    counted, refused = zip(*(results.get(timeout=60) for _ in processes), strict=True)
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert sum(counted) == 100
    assert sum(refused) >= 40


def test_a_detail_says_why() -> None:
    world = World()
    answers = world.analyse(packages(2), budget=ProcessBudget(Rate(1, 3600.0)))
    over = list(answers.values())[1]
    assert isinstance(over, Shortfall)
    assert "budget is used up" in over.detail
    assert over.engine is packages(1)[0].engine
    assert EPOCH + world.clock.now == world.runtime.wall()
