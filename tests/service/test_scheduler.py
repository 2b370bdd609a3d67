"""What each request is answered with, when the service does what the contract says and when a task does not."""

import signal
from collections.abc import Iterator, Mapping
from itertools import pairwise

import pytest

from scangate.models.analysis import AnalysisRequest, Answer, Archive, Engine, OutcomeCode, Report, Shortfall
from scangate.service.base import Interrupted, Unauthorised
from scangate.service.budget import ProcessBudget, Rate
from scangate.service.scheduler import Scheduler
from scangate.web.errors import BadAnswer, Refused
from tests.service.simulation import SETTINGS, Trouble, World, packages


def the(answers: Mapping[AnalysisRequest, Answer]) -> Answer:
    (answer,) = answers.values()
    return answer


def code(answer: Answer) -> OutcomeCode | None:
    return answer.code if isinstance(answer, Shortfall) else None


def codes(answers: Mapping[AnalysisRequest, Answer]) -> list[OutcomeCode | None]:
    return [code(answer) for answer in answers.values()]


def failing(error: Exception, operation: str, what: object = None) -> Trouble:
    def trouble(now: str, about: object) -> None:
        if now == operation and what in (None, about):
            raise error

    return trouble


def archive(purl: str = "pkg:pypi/acme@1.0", content: bytes = b"bytes") -> AnalysisRequest:
    return AnalysisRequest(purl=purl, archive=Archive(filename="acme-1.0.tar.gz", content=content))


def test_every_request_is_answered_with_the_report_of_its_own_task() -> None:
    world = World()
    requests = packages(20)
    answers = world.analyse(requests)
    assert list(answers) == requests
    for request, answer in answers.items():
        assert isinstance(answer, Report)
        assert answer.payload == f"report of {request.purl} by {request.engine}".encode()
        assert answer.task_id is not None
        assert world.service.tasks_by_id[answer.task_id].purl == request.purl


def test_no_request_asks_nothing() -> None:
    world = World()
    assert world.analyse([]) == {}
    assert world.service.calls == []


def test_tasks_that_end_out_of_order_are_fetched_as_they_end() -> None:
    world = World()
    requests = packages(5)
    durations = dict(zip([request.purl for request in requests], [300.0, 5.0, 200.0, 20.0, 100.0], strict=True))
    world.service.duration = lambda request: durations[request.purl]
    assert codes(world.analyse(requests)) == [None] * 5
    fetched = [int(str(url).split("/")[-2]) for url in world.service.asked("report")]
    assert fetched == [2, 4, 5, 3, 1]
    assert world.clock.now < 300 + 31


def test_the_same_request_twice_is_one_and_two_engines_are_two() -> None:
    world = World()
    one = AnalysisRequest(purl="pkg:npm/a@1")
    other = AnalysisRequest(purl="pkg:npm/a@1", engine=Engine.LASTPYMILE)
    answers = world.analyse([one, other, one, AnalysisRequest(purl="pkg:npm/a@1")])
    assert list(answers) == [one, other]
    assert world.service.asked("submit") == ["pkg:npm/a@1"] * 2
    payloads = [answer.payload for answer in answers.values() if isinstance(answer, Report)]
    assert payloads == [b"report of pkg:npm/a@1 by dynamic-analysis", b"report of pkg:npm/a@1 by lastpymile"]


def test_a_task_that_is_completed_already_is_fetched_at_once() -> None:
    world = World()
    (request,) = packages(1)
    world.service.add(request, created=-500.0, ends=-400.0, own=False)
    assert isinstance(the(world.analyse([request])), Report)
    assert world.clock.now == 0


@pytest.mark.parametrize(
    ("outcome", "expected", "detail"),
    [
        ("failed", OutcomeCode.FAILED, "It crashed."),
        ("timeout", OutcomeCode.TIMEOUT, "time limit"),
        ("finished", OutcomeCode.FAILED, "'finished'"),
        ("", OutcomeCode.FAILED, "''"),
    ],
)
def test_a_task_that_ends_otherwise_is_a_shortfall(outcome: str, expected: OutcomeCode, detail: str) -> None:
    world = World()
    (request,) = packages(1)
    world.service.before.append(lambda operation, what: set_outcome(world, outcome))
    answer = the(world.analyse([request]))
    assert isinstance(answer, Shortfall)
    assert (answer.code, answer.task_id, answer.engine) == (expected, 1, request.engine)
    assert detail in answer.detail
    assert world.service.asked("report") == []


def set_outcome(world: World, outcome: str) -> None:
    for task in world.service.tasks_by_id.values():
        task.outcome = outcome


@pytest.mark.parametrize("purl", ["pkg:npm/package-1@1.0.0", "pkg:npm/package-0@1.0.1", "no purl", None])
def test_a_task_about_another_package_is_not_taken(purl: str | None) -> None:
    world = World()
    (request,) = packages(1)
    world.service.after.append(lambda operation, what: world.service.tasks_by_id[1].__setattr__("purl", purl))
    answer = the(world.analyse([request]))
    assert isinstance(answer, Shortfall)
    assert answer.code is OutcomeCode.WRONG_PACKAGE
    assert answer.task_id == 1
    assert world.service.asked("report") == []


def test_a_purl_may_be_written_in_another_way() -> None:
    world = World()
    request = AnalysisRequest(purl="pkg:npm/%40acme/a@1.0.0")
    world.service.after.append(
        lambda operation, what: world.service.tasks_by_id[1].__setattr__("purl", "pkg:npm/@acme/a@1.0.0")
    )
    assert isinstance(the(world.analyse([request])), Report)


@pytest.mark.parametrize(("engine", "expected"), [(Engine.LASTPYMILE, OutcomeCode.WRONG_PACKAGE), (None, None)])
def test_the_engine_must_be_the_one_asked_for_where_it_is_said(
    engine: Engine | None, expected: OutcomeCode | None
) -> None:
    world = World()
    world.service.after.append(lambda operation, what: world.service.tasks_by_id[1].__setattr__("engine", engine))
    assert code(the(world.analyse(packages(1)))) is expected


def test_a_task_that_becomes_another_package_while_its_report_is_late_is_not_taken() -> None:
    world = World()
    world.service.add(packages(1)[0], ends=0.0, has_url=False)

    def swap(operation: str, what: object) -> None:
        task = world.service.tasks_by_id[1]
        if len(world.service.asked("task")) == 2:
            task.purl, task.has_url = "pkg:npm/other@1", True

    world.service.before.append(swap)
    assert code(the(world.analyse(packages(1)))) is OutcomeCode.WRONG_PACKAGE


# ------------------------------------------------------------------------------------------------ reports


def test_an_expired_report_url_is_renewed() -> None:
    world = World()
    world.service.url_lifetime = -1.0
    asked: list[object] = []

    def recover(operation: str, what: object) -> None:
        if operation == "report":
            asked.append(what)
            world.service.url_lifetime = 900.0

    world.service.before.append(recover)
    assert isinstance(the(world.analyse(packages(1))), Report)
    assert len(set(asked)) == 2


@pytest.mark.parametrize("reason", ["no URL", "gone"])
def test_a_report_that_cannot_be_had_is_missing_after_a_few_tries(reason: str) -> None:
    world = World()
    if reason == "gone":
        world.service.url_lifetime = -1.0
    else:
        world.service.add(packages(1)[0], ends=60.0, has_url=False)
    answer = the(world.analyse(packages(1)))
    assert isinstance(answer, Shortfall)
    assert answer.code is OutcomeCode.REPORT_MISSING
    assert reason in answer.detail
    assert len(world.service.asked("report")) == (5 if reason == "gone" else 0)
    assert world.clock.now < 200


def test_a_report_that_is_late_is_waited_for() -> None:
    world = World()
    task = world.service.add(packages(1)[0], ends=0.0, has_url=False)

    def appear(operation: str, what: object) -> None:
        task.has_url = len(world.service.asked("task")) >= 2

    world.service.before.append(appear)
    assert isinstance(the(world.analyse(packages(1))), Report)


def test_a_task_that_is_no_longer_completed_has_no_report() -> None:
    world = World()
    task = world.service.add(packages(1)[0], ends=0.0, has_url=False)

    def restart(operation: str, what: object) -> None:
        if world.service.asked("task"):
            task.ends = 1e9

    world.service.before.append(restart)
    answer = the(world.analyse(packages(1)))
    assert code(answer) is OutcomeCode.REPORT_MISSING


@pytest.mark.parametrize(
    ("error", "operation", "expected"),
    [
        (Refused("No such package."), "submit", OutcomeCode.SUBMIT_ERROR),
        (BadAnswer("Not JSON."), "submit", OutcomeCode.SUBMIT_ERROR),
        (Refused("No such task."), "task", OutcomeCode.FAILED),
        (BadAnswer("Not JSON."), "task", OutcomeCode.FAILED),
        (Unauthorised("Not your task."), "task", OutcomeCode.FAILED),
        (BadAnswer("Too large."), "report", OutcomeCode.REPORT_INVALID),
        (Refused("No https."), "report", OutcomeCode.REPORT_MISSING),
        (Unauthorised("Signature."), "report", OutcomeCode.REPORT_MISSING),
    ],
)
def test_what_is_not_transient_is_not_tried_again(
    error: Refused | BadAnswer | Unauthorised, operation: str, expected: OutcomeCode
) -> None:
    world = World()
    requests = packages(3)
    if operation == "submit":
        world.service.before.append(failing(error, operation, requests[1].purl))
    else:
        world.service.before.append(
            lambda now, what: failing(error, operation)(now, what) if "2" in str(what).split("/")[-2:] else None
        )
        world.service.before.append(lambda now, what: failing(error, operation, 2)(now, what))
    answers = world.analyse(requests)
    assert codes(answers).count(None) == 2
    (answer,) = [answer for answer in answers.values() if isinstance(answer, Shortfall)]
    assert answer.code is expected
    assert answer.detail == error.message
    refused = [call for call in world.service.calls if not call.let_through]
    assert len(refused) == 1


# ---------------------------------------------------------------------------------------- before sending


def test_what_an_engine_does_not_take_is_not_sent() -> None:
    world = World()
    requests = [
        AnalysisRequest(purl="pkg:vscode-extension/acme/tool@1.0.0", engine=Engine.LASTPYMILE),
        AnalysisRequest(purl="pkg:npm/a"),
        AnalysisRequest(purl="pkg:cargo/a@1"),
    ]
    answers = world.analyse(requests, max_packages=1)
    assert codes(answers) == [
        OutcomeCode.UNSUPPORTED_ECOSYSTEM,
        OutcomeCode.SUBMIT_ERROR,
        OutcomeCode.SUBMIT_ERROR,
    ]
    assert world.service.calls == []


def test_max_packages_sends_the_first_ones_and_nothing_for_the_others() -> None:
    world = World()
    first, second, third = packages(3)
    again = AnalysisRequest(purl=first.purl, engine=Engine.LASTPYMILE)
    answers = world.analyse([first, second, third, again], max_packages=2)
    assert codes(answers) == [None, None, OutcomeCode.OVER_BUDGET, None]
    assert third.purl not in world.service.asked("submit")
    assert codes(World().analyse(packages(2), max_packages=0)) == [OutcomeCode.OVER_BUDGET] * 2


def test_a_refused_key_stops_everything_at_once() -> None:
    world = World()
    world.service.before.append(failing(Unauthorised("The key is not valid."), "submit", "pkg:npm/package-5@1.0.0"))
    answers = world.analyse(packages(100), jobs=1)
    assert codes(answers) == [OutcomeCode.SUBMIT_ERROR] * 100
    assert len(world.service.asked("submit")) == 6
    assert {answer.detail for answer in answers.values() if isinstance(answer, Shortfall)} == {"The key is not valid."}


def test_many_submissions_refused_together_leave_nothing_behind() -> None:
    world = World()
    world.service.latency = lambda operation: 1.0
    world.service.before.append(failing(Unauthorised("The key is not valid."), "submit"))
    assert set(codes(world.analyse(packages(100), jobs=8))) == {OutcomeCode.SUBMIT_ERROR}
    assert len(world.service.asked("submit")) == 8


def test_a_bug_of_the_client_is_not_hidden() -> None:
    world = World()
    world.service.before.append(failing(ZeroDivisionError(), "task"))
    with pytest.raises(ZeroDivisionError):
        world.analyse(packages(3))


def test_at_most_so_many_submissions_are_under_way_at_once() -> None:
    world = World()
    world.service.latency = lambda operation: 10.0 if operation == "submit" else 0.0
    world.analyse(packages(20), jobs=4)
    times = world.service.times("submit")
    assert [times.count(at) for at in sorted(set(times))] == [4] * 5


# ------------------------------------------------------------------------------------------------- the end


def test_the_timeout_ends_the_run_and_what_is_done_stands() -> None:
    world = World()
    requests = packages(4)
    world.service.duration = lambda request: 30.0 if request in requests[:2] else 1e6
    answers = world.analyse(requests, timeout=1200.0)
    assert codes(answers) == [None, None, OutcomeCode.PENDING, OutcomeCode.PENDING]
    assert [answer.task_id for answer in answers.values()] == [1, 2, 3, 4]
    assert world.clock.now == 1200


@pytest.mark.parametrize(("timeout", "expected"), [(100.0, None), (60.0, OutcomeCode.PENDING)])
def test_a_download_under_way_at_the_end_is_given_up(timeout: float, expected: OutcomeCode | None) -> None:
    world = World()
    world.service.duration = lambda request: 10.0
    world.service.latency = lambda operation: 80.0 if operation == "report" else 0.0
    assert code(the(world.analyse(packages(1), timeout=timeout))) is expected
    assert world.clock.now <= timeout


def test_what_was_not_even_submitted_in_time_is_pending_without_a_task() -> None:
    world = World()
    world.service.latency = lambda operation: 50.0
    answers = world.analyse(packages(3), timeout=60.0, jobs=1)
    assert codes(answers) == [OutcomeCode.PENDING] * 3
    assert [answer.task_id for answer in answers.values()] == [1, None, None]
    sent, *others = (answer.detail for answer in answers.values() if isinstance(answer, Shortfall))
    assert "Not done" in sent
    assert ["did not take it" in detail for detail in others] == [True, True]


@pytest.fixture
def ctrl_c_works() -> Iterator[None]:
    """Programs that a shell starts in the background ignore SIGINT, and their children inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c_works")
def test_ctrl_c_gives_what_is_known() -> None:
    world = World()
    requests = packages(3)
    world.service.duration = lambda request: 10.0 if request is requests[0] else 500.0

    def press(operation: str, what: object) -> None:
        if world.clock.now > 100:
            world.service.before.remove(press)
            signal.raise_signal(signal.SIGINT)

    world.service.before.append(press)
    with pytest.raises(Interrupted) as stopped:
        world.analyse(requests)
    answers = stopped.value.answers
    assert list(answers) == requests
    assert codes(answers) == [None, OutcomeCode.PENDING, OutcomeCode.PENDING]
    assert [answer.task_id for answer in answers.values()] == [1, 2, 3]
    assert isinstance(stopped.value, KeyboardInterrupt)


# ------------------------------------------------------------------------------------------------ progress


def test_progress_counts_every_request_and_is_told_at_least_once_a_second() -> None:
    world = World()
    requests = [*packages(5), AnalysisRequest(purl="pkg:cargo/a@1")]
    world.analyse(requests)
    for seen in world.progress:
        assert seen.total == seen.waiting + seen.running + seen.done + seen.shortfalls == 6
    elapsed = [seen.elapsed for seen in world.progress]
    assert elapsed == sorted(elapsed)
    assert max(later - earlier for earlier, later in pairwise(elapsed)) <= 1.0
    last = world.progress[-1]
    assert (last.submitted, last.done, last.shortfalls, last.running, last.waiting) == (5, 5, 1, 0, 0)
    assert last.finished


def test_the_caller_judges_what_is_blocked() -> None:
    world = World()
    blocked = packages(4)[2]
    Scheduler(
        world.service,
        settings=SETTINGS,
        budget=ProcessBudget(Rate(100, 3600.0)),
        on_progress=world.progress.append,
        is_blocked=lambda request, report: request == blocked and b"package-2" in report.payload,
        runtime=world.runtime,
    ).analyse(packages(4))
    assert world.progress[-1].blocked == 1


def test_nobody_need_listen() -> None:
    world = World()
    scheduler = Scheduler(
        world.service, budget=ProcessBudget(Rate(100, 3600.0)), settings=SETTINGS, runtime=world.runtime
    )
    assert codes(scheduler.analyse(packages(2))) == [None, None]


# ------------------------------------------------------------------------------------------------ archives


def test_an_archive_is_uploaded_and_submitted() -> None:
    world = World()
    answer = the(world.analyse([archive(content=b"the bytes")]))
    assert isinstance(answer, Report)
    assert answer.payload == b"the bytes"
    assert [call.operation for call in world.service.calls][:2] == ["upload", "submit_archive"]


def test_an_archive_answered_with_another_requests_task_is_not_taken() -> None:
    world = World()
    one, other = archive(content=b"one"), archive(content=b"other")
    world.service.merges_archives = True
    world.service.duration = lambda request: 30.0
    answers = world.analyse([one, other, AnalysisRequest(purl=one.purl)], jobs=1)
    assert codes(answers) == [None, OutcomeCode.WRONG_PACKAGE, OutcomeCode.WRONG_PACKAGE]


def test_two_spellings_of_one_purl_may_share_a_task() -> None:
    world = World()
    one, other = AnalysisRequest(purl="pkg:npm/%40acme/a@1"), AnalysisRequest(purl="pkg:npm/@acme/a@1")
    assert codes(world.analyse([one, other], jobs=1)) == [None, None]
    assert len(world.service.tasks_by_id) == 1
