"""What one run leaves for the next: reports that are not asked for again, tasks that are not submitted again."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from scangate.models.analysis import AnalysisRequest, Answer, Archive, Engine, OutcomeCode, Report, Shortfall
from scangate.service.base import Interrupted, Unauthorised
from scangate.service.budget import ProcessBudget, Rate
from scangate.service.cache import Cache, Entry
from scangate.service.cached import CachedAnalyser, CacheMemory, History
from scangate.web.errors import BadAnswer, Refused
from tests.service.simulation import EPOCH, World, down, packages

NAME = "https://api.example.com"


class Runs:
    """Runs one after another, on one service and one cache."""

    def __init__(self, directory: Path) -> None:
        self.world = World()
        self.told: list[tuple[int, int]] = []
        self.refused: set[str] = set()
        self.resumes = True
        self.cache = Cache(
            directory, workspace=None, clock=lambda: EPOCH + self.world.clock.now, warn=lambda text: pytest.fail(text)
        )

    def analyse(self, requests: Sequence[AnalysisRequest], **options: float) -> Mapping[AnalysisRequest, Answer]:
        return self._with_cache(requests, _Inner(self, options))

    def _with_cache(self, requests: Sequence[AnalysisRequest], inner: "_Inner") -> Mapping[AnalysisRequest, Answer]:
        analyser = CachedAnalyser(
            inner=inner,
            cache=self.cache,
            analyser=NAME,
            is_whole=self.is_whole,
            tell=lambda found, wanted: self.told.append((found, wanted)),
        )
        return analyser.analyse(requests)

    def is_whole(self, request: AnalysisRequest, report: Report) -> bool:
        return request.purl not in self.refused

    @property
    def memory(self) -> CacheMemory:
        return CacheMemory(cache=self.cache, analyser=NAME, is_whole=self.is_whole, resumes=self.resumes)

    @property
    def submitted(self) -> int:
        return len(self.world.service.asked("submit")) + len(self.world.service.asked("submit_archive"))

    @property
    def remembered(self) -> int:
        return self.cache.info().tasks


class _Inner:
    def __init__(self, runs: Runs, options: dict[str, float]) -> None:
        self._runs = runs
        self._options = options

    def analyse(self, requests: Sequence[AnalysisRequest]) -> Mapping[AnalysisRequest, Answer]:
        assert requests
        return self._runs.world.analyse(requests, memory=self._runs.memory, **self._options)


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    made = Runs(tmp_path / "cache")
    yield made
    made.cache.close()


def codes(answers: Mapping[AnalysisRequest, Answer]) -> list[OutcomeCode | None]:
    ordered = sorted(answers, key=lambda request: request.purl)
    return [answer.code if isinstance(answer := answers[request], Shortfall) else None for request in ordered]


def test_what_was_fetched_is_not_asked_for_again(runs: Runs) -> None:
    requests = packages(3)
    first = runs.analyse(requests)
    calls = len(runs.world.service.calls)
    assert runs.analyse(requests) == first
    assert len(runs.world.service.calls) == calls
    assert runs.told == [(3, 3)]


def test_only_what_is_new_is_asked_for(runs: Runs) -> None:
    runs.analyse(packages(3))
    answers = runs.analyse(packages(5))
    assert codes(answers) == [None] * 5
    assert runs.world.service.asked("submit") == [request.purl for request in packages(5)]
    assert runs.told == [(3, 5)]


def test_a_report_that_would_not_be_kept_now_is_asked_for_again(runs: Runs) -> None:
    requests = packages(2)
    runs.analyse(requests)
    runs.refused.add(requests[0].purl)
    runs.analyse(requests)
    assert runs.submitted == 3
    runs.refused.clear()
    runs.analyse(requests)
    assert runs.submitted == 3


def test_a_report_that_is_not_accepted_is_not_kept_and_its_task_not_remembered(runs: Runs) -> None:
    requests = packages(1)
    runs.refused.add(requests[0].purl)
    runs.analyse(requests)
    assert (runs.cache.info().reports, runs.remembered) == ((), 0)


def test_shortfalls_are_never_kept(runs: Runs) -> None:
    requests = packages(1)
    runs.world.service.before.append(lambda operation, what: fail(runs))
    assert codes(runs.analyse(requests)) == [OutcomeCode.FAILED]
    assert (runs.cache.info().reports, runs.remembered) == ((), 0)
    runs.world.service.before.clear()
    assert codes(runs.analyse(requests)) == [None]
    assert runs.submitted == 2


def fail(runs: Runs) -> None:
    for task in runs.world.service.tasks_by_id.values():
        task.outcome = "failed"


def test_what_was_not_done_in_time_is_asked_for_by_its_id(runs: Runs) -> None:
    requests = packages(3)
    runs.world.service.duration = lambda request: 5000.0 if request == requests[1] else 60.0
    assert codes(runs.analyse(requests, timeout=1000)) == [None, OutcomeCode.PENDING, None]
    assert runs.remembered == 1
    assert codes(runs.analyse(requests, timeout=1000)) == [None, OutcomeCode.PENDING, None]
    assert codes(runs.analyse(requests, timeout=5000)) == [None] * 3
    assert runs.submitted == 3
    assert runs.remembered == 0


def test_what_is_recalled_needs_no_budget(runs: Runs) -> None:
    requests = packages(3)
    runs.world.service.duration = lambda request: 500.0
    runs.analyse(requests, timeout=100)
    nothing = ProcessBudget(Rate(1, 3600.0))
    nothing.spend(EPOCH)
    assert codes(runs.world.analyse(requests, memory=runs.memory, budget=nothing)) == [None] * 3


def test_an_interrupted_run_leaves_its_tasks_and_its_reports(runs: Runs) -> None:
    requests = packages(3)
    runs.analyse(requests[:1])
    runs.world.service.duration = lambda request: 50.0 if request == requests[1] else 5000.0

    def interrupt(operation: str, what: object) -> None:
        if runs.world.clock.now > 1000:
            raise KeyboardInterrupt

    runs.world.service.before.append(interrupt)
    with pytest.raises(Interrupted) as interrupted:
        runs.analyse(requests, timeout=9000)
    assert codes(interrupted.value.answers) == [None, None, OutcomeCode.PENDING]
    runs.world.service.before.clear()
    assert codes(runs.analyse(requests, timeout=9000)) == [None] * 3
    assert runs.submitted == 3


def test_a_task_is_remembered_before_anything_else_is_asked(runs: Runs) -> None:
    seen: list[int] = []
    runs.world.service.before.append(
        lambda operation, what: seen.append(runs.remembered) if operation == "task" else None
    )
    runs.analyse(packages(1))
    assert seen[0] == 1


@pytest.mark.parametrize("error", [Refused("404"), BadAnswer("no JSON"), Unauthorised("403")])
def test_a_task_that_the_service_does_not_know_is_submitted_anew(runs: Runs, error: Exception) -> None:
    (request,) = packages(1)
    runs.memory.remember(request, 77)

    def unknown(operation: str, what: object) -> None:
        if (operation, what) == ("task", 77):
            raise error

    runs.world.service.before.append(unknown)
    assert codes(runs.analyse([request])) == [None]
    assert runs.submitted == 1
    assert runs.remembered == 0


@pytest.mark.parametrize(
    "other",
    [
        AnalysisRequest(purl="pkg:npm/other@1.0.0"),
        AnalysisRequest(purl="pkg:npm/package-0@1.0.1"),
        AnalysisRequest(purl="pkg:npm/package-0@1.0.0", engine=Engine.LASTPYMILE),
    ],
)
def test_a_task_that_is_about_something_else_is_forgotten_and_submitted_anew(
    runs: Runs, other: AnalysisRequest
) -> None:
    (request,) = packages(1)
    task = runs.world.service.add(other)
    runs.memory.remember(request, task.task_id)
    (answer,) = runs.analyse([request]).values()
    assert isinstance(answer, Report)
    assert answer.task_id != task.task_id
    assert answer.payload == f"report of {request.purl} by {request.engine}".encode()


def test_a_task_that_has_failed_since_is_an_answer_and_then_submitted_anew(runs: Runs) -> None:
    requests = packages(1)
    assert codes(runs.analyse(requests, timeout=10)) == [OutcomeCode.PENDING]
    fail(runs)
    assert codes(runs.analyse(requests)) == [OutcomeCode.FAILED]
    assert runs.submitted == 1
    assert codes(runs.analyse(requests)) == [None]
    assert runs.submitted == 2


def test_an_outage_forgets_nothing(runs: Runs) -> None:
    requests = packages(2)
    runs.world.service.duration = lambda request: 5000.0
    runs.analyse(requests, timeout=10)
    now = runs.world.clock.now
    runs.world.service.before.append(down(runs.world.clock, now, now + 1000))
    assert codes(runs.analyse(requests, timeout=900)) == [OutcomeCode.UNREACHABLE] * 2
    assert runs.remembered == 2
    runs.world.service.before.clear()
    assert codes(runs.analyse(requests, timeout=9000)) == [None] * 2
    assert runs.submitted == 2


def test_other_digests_are_submitted_although_a_task_runs(runs: Runs) -> None:
    pinned = AnalysisRequest(purl="pkg:npm/a@1", integrity=(("sha512:ab",),))
    changed = AnalysisRequest(purl="pkg:npm/a@1", integrity=(("sha512:cd",),))
    runs.analyse([pinned], timeout=10)
    runs.analyse([changed], timeout=10)
    assert runs.submitted == 2


def test_tasks_on_archives_are_not_remembered_and_their_reports_kept(runs: Runs) -> None:
    request = AnalysisRequest(purl="pkg:pypi/acme@1.0", archive=Archive(filename="acme-1.0.tar.gz", content=b"x"))
    assert codes(runs.analyse([request], timeout=10)) == [OutcomeCode.PENDING]
    assert runs.remembered == 0
    assert codes(runs.analyse([request])) == [None]
    submitted = runs.submitted
    assert codes(runs.analyse([request])) == [None]
    assert runs.submitted == submitted


def test_an_analyser_whose_tasks_end_with_the_run_only_keeps_reports(runs: Runs) -> None:
    runs.resumes = False
    requests = packages(1)
    assert codes(runs.analyse(requests, timeout=10)) == [OutcomeCode.PENDING]
    assert runs.remembered == 0
    runs.memory.forget(requests[0])
    assert runs.memory.recall(requests[0]) is None
    runs.analyse(requests)
    submitted = runs.submitted
    runs.analyse(requests)
    assert runs.submitted == submitted


# ------------------------------------------------------------------------------------------------- earlier runs

OLD = "pkg:npm/left@1.0.0"
PINNED = AnalysisRequest(purl=OLD, integrity=(("sha512:aa",),))


def keep(runs: Runs, payload: bytes, *, analyser: str = NAME, **request: object) -> None:
    runs.world.clock.now += 1
    asked = PINNED._replace(**request)  # type: ignore[arg-type]  # for brevity
    runs.cache.keep(Entry(analyser=analyser, request=asked), Report(payload=payload))


def test_an_older_version_is_found_whatever_lockfile_it_stood_in(runs: Runs) -> None:
    history = History(cache=runs.cache, analyser=NAME)
    assert history.report(PINNED) is None
    keep(runs, b"both", integrity=((), ("sha512:aa", "sha512:bb")))
    assert history.report(PINNED) == Report(payload=b"both")
    keep(runs, b"later", integrity=(("sha1:cc",),))
    assert history.report(PINNED) == Report(payload=b"later")
    assert history.report(PINNED._replace(integrity=())) == Report(payload=b"later")


@pytest.mark.parametrize(
    "other",
    [
        {"analyser": "https://other.example.com"},
        {"engine": Engine.LASTPYMILE},
        {"purl": "pkg:npm/left@1.0.1"},
        {"integrity": (("sha512:bb",),)},
        {"archive": Archive(filename="left.tgz", content=b"calls itself left")},
    ],
)
def test_what_is_not_about_the_older_version_is_no_report_of_it(runs: Runs, other: dict[str, object]) -> None:
    keep(runs, b"{}", **other)  # type: ignore[arg-type]  # for brevity
    assert History(cache=runs.cache, analyser=NAME).report(PINNED) is None


def test_digests_that_were_seen_are_those_of_every_analyser(runs: Runs) -> None:
    keep(runs, b"{}")
    keep(runs, b"{}", analyser="other", integrity=(("sha512:aa",), ("sha512:bb",)))
    keep(runs, b"{}", integrity=(("sha512:cc",),), archive=Archive(filename="left.tgz", content=b"x"))
    seen = History(cache=runs.cache, analyser=NAME).digests(OLD)
    assert sorted(seen) == [("sha512:aa",), ("sha512:bb",)]


@pytest.mark.parametrize("resumes", [True, False])
@pytest.mark.parametrize("ending", ["pending", "failed", "refused"])
def test_digests_were_seen_although_no_report_came(runs: Runs, ending: str, resumes: bool) -> None:
    runs.resumes = resumes
    if ending == "failed":
        runs.world.service.before.append(lambda operation, what: fail(runs))
    if ending == "refused":
        runs.refused.add(OLD)
    runs.analyse([PINNED], timeout=10 if ending == "pending" else 1200)
    assert runs.cache.info().reports == ()
    assert History(cache=runs.cache, analyser="other").digests(OLD) == (("sha512:aa",),)
