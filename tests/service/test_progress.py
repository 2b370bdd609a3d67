"""When a log needs a line."""

from scangate.service.progress import Progress, line_due


def at(elapsed: float, done: int = 0, **counts: int) -> Progress:
    return Progress(total=3, done=done, elapsed=elapsed, **counts)


def test_the_first_thing_is_always_said() -> None:
    assert line_due(at(0), None)


def test_a_change_is_said_but_not_more_than_once_a_second() -> None:
    assert not line_due(at(0.9, 1), at(0))
    assert line_due(at(1.0, 1), at(0))
    assert line_due(at(5.0, running=2), at(0))


def test_without_a_change_a_minute_passes() -> None:
    assert not line_due(at(59.9), at(0))
    assert line_due(at(60), at(0))
    assert not line_due(at(119), at(60))


def test_the_end_is_said_at_once_and_once() -> None:
    assert line_due(at(0.1, 3), at(0, 2))
    assert not line_due(at(5.0, 3), at(0.1, 3))
    assert at(0, 3).finished
    assert at(0, 2, shortfalls=1).finished
    assert not at(0, 2).finished
