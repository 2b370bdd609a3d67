"""Whatever the service does: every request gets one answer, no report is made up, the budget holds, it ends in time."""

from dataclasses import dataclass
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from scangate.models.analysis import AnalysisRequest, Archive, Engine, OutcomeCode, Report, Shortfall
from scangate.service.base import RateLimited
from scangate.service.budget import ProcessBudget, Rate
from scangate.web.errors import BadAnswer, Refused, Unreachable
from tests.service.simulation import COUNTED, World

OPERATIONS = ("submit", "upload", "submit_archive", "task", "list", "report")
TIMEOUT = 600.0


@dataclass(frozen=True)
class Weather:
    """How often each kind of trouble comes, and for how long the service is away altogether."""

    lost_before: float
    lost_after: float
    limited: float
    broken: float
    slowest: float
    away: tuple[float, float]


chances = st.sampled_from([0.0, 0.02, 0.2, 0.6])
weathers = st.builds(
    Weather,
    lost_before=chances,
    lost_after=chances,
    limited=chances,
    broken=st.sampled_from([0.0, 0.0, 0.05]),
    slowest=st.sampled_from([0.0, 1.0, 20.0]),
    away=st.tuples(st.floats(0, 600), st.floats(0, 600)).map(lambda pair: (min(pair), max(pair))),
)


def some_requests(count: int, chance: Random) -> list[AnalysisRequest]:
    """Drawn from one seed: lists that hypothesis draws itself are mostly too short to get into trouble."""

    def one() -> AnalysisRequest:
        content = chance.choice([None, None, None, b"one", b"other"])
        # Few purls with archives, so that several archives of one purl are under way together.
        number = chance.randrange(80 if content is None else 4)
        return AnalysisRequest(
            purl=f"pkg:npm/package-{number}@1.0.0",
            engine=chance.choice(list(Engine)),
            archive=content and Archive(filename="package.tgz", content=content),
        )

    return [one() for _ in range(count)]


def stormy(world: World, weather: Weather, chance: Random) -> None:
    """Set the service up: outcomes, durations, latencies and troubles drawn from one seed."""
    service = world.service
    endings: dict[AnalysisRequest, float] = {}

    def before(operation: str, what: object) -> None:
        for task in service.tasks_by_id.values():
            if task.task_id not in decided:
                decided.add(task.task_id)
                task.outcome = chance.choice(["completed"] * 6 + ["failed", "timeout", "exploded"])
                task.own = chance.random() < 0.9
                task.has_url = chance.random() < 0.95
        if weather.away[0] <= world.clock.now < weather.away[1] or chance.random() < weather.lost_before:
            raise Unreachable("Away.", sent=False)
        if operation in COUNTED | {"task"} and chance.random() < weather.limited:
            raise RateLimited("Slow down.", retry_after=chance.choice([None, None, 0.0, 5.0] * 10 + [1e4]))
        if chance.random() < weather.broken:
            raise chance.choice([BadAnswer("Not JSON."), Refused("No.")])

    def after(operation: str, what: object) -> None:
        if chance.random() < weather.lost_after:
            raise Unreachable("The answer was lost.", sent=True)

    decided: set[int] = set()
    service.duration = lambda request: endings.setdefault(request, chance.choice([0.0, 5.0, 60.0, 300.0, 1e9]))
    service.latency = lambda operation: chance.uniform(0, weather.slowest)
    service.url_lifetime = chance.choice([900.0, 15.0, 0.0])
    service.before.append(before)
    service.after.append(after)


@settings(max_examples=100)
@given(
    count=st.integers(0, 90),
    weather=weathers,
    seed=st.integers(0, 2**32),
    limit=st.sampled_from([5, 40, 10_000]),
    known=st.booleans(),
)
def test_whatever_happens(count: int, weather: Weather, seed: int, limit: int, known: bool) -> None:
    world, chance = World(seed=seed), Random(seed)
    wanted = some_requests(count, chance)
    stormy(world, weather, chance)
    if not known:  # others use the key as well: the service's limit is reached before ours is
        world.service.limit = limit // 2
    answers = world.analyse(wanted, budget=ProcessBudget(Rate(limit, 3600.0)), timeout=TIMEOUT)

    assert list(answers) == list(dict.fromkeys(wanted))
    assert world.clock.now <= TIMEOUT + 1e-6
    assert world.service.counted() <= limit
    for request, answer in answers.items():
        assert answer.task_id is None or answer.task_id in world.service.tasks_by_id
        match answer:
            case Report(payload=payload, task_id=int(task_id)):
                task = world.service.tasks_by_id[task_id]
                assert (task.purl, task.engine) == (request.purl, request.engine)
                assert task.outcome == "completed"
                assert task.ends <= world.clock.now
                expected = f"report of {request.purl} by {request.engine}".encode()
                assert payload == (expected if request.archive is None else request.archive.content)
            case Shortfall(code=code):
                assert code is not OutcomeCode.NO_CREDENTIALS
                assert answer.engine == request.engine
            case _:
                raise AssertionError(answer)
    polls = sorted(world.service.times("task", "list"))
    if weather.slowest == 0:
        assert all(later - earlier >= 1 - 1e-6 for earlier, later in zip(polls, polls[5:], strict=False))
    last = world.progress[-1] if world.progress else None
    assert last is None or last.finished
    assert last is None or last.done == sum(isinstance(answer, Report) for answer in answers.values())


@settings(max_examples=5)
@given(seed=st.integers(0, 2**32))
def test_the_same_world_gives_the_same_answers(seed: int) -> None:
    def once() -> tuple[object, object]:
        world = World(seed=seed)
        weather = Weather(0.1, 0.1, 0.1, 0.01, 5.0, (100.0, 130.0))
        stormy(world, weather, Random(seed))
        wanted = [AnalysisRequest(purl=f"pkg:npm/package-{number}@1.0.0") for number in range(60)]
        return world.analyse(wanted, timeout=TIMEOUT), world.service.calls

    assert once() == once()
