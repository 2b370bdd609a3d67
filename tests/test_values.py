"""Values whose methods wait for the first instance are those of the standard library."""

import copy
import dataclasses
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, field
from threading import Barrier
from typing import Any

import pytest

from scangate import models, values


def made_by(decorator: Callable[..., Callable[[type], type]]) -> tuple[Any, Any]:
    """The same two classes, the second one based on the first."""

    class Point:
        x: int
        y: int = 2
        names: tuple[str, ...] = ()
        secret: bytes = field(default=b"", repr=False)
        seen: dict[str, int] = field(default_factory=dict, compare=False)

        @property
        def sum(self) -> int:
            return self.x + self.y

    base = decorator(frozen=True, kw_only=True)(Point)

    class Named(base):  # type: ignore[valid-type, misc]  # made at run time
        """Documented."""

        name: str = "n"

    return base, decorator(frozen=True, kw_only=True)(Named)


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("given", [{"x": 1}, {"x": 3, "y": 4, "names": ("a",), "secret": b"s"}])
def test_it_is_what_the_standard_library_makes(which: int, given: dict[str, object]) -> None:
    ours, theirs = made_by(values.dataclass)[which], made_by(dataclasses.dataclass)[which]
    one, other = ours(**given), theirs(**given)
    assert repr(one).replace("values", "") == repr(other).replace("values", "")
    assert dataclasses.asdict(one) == dataclasses.asdict(other)
    assert hash(one) == hash(other)
    assert one.sum == other.sum
    assert (one == ours(**given), one == ours(x=99)) == (True, False)
    assert dataclasses.replace(one, x=99) == ours(**{**given, "x": 99})
    assert one.seen is not ours(**given).seen
    assert copy.copy(one) == one
    with pytest.raises(FrozenInstanceError):
        one.x = 5
    with pytest.raises(FrozenInstanceError):
        del one.x


@pytest.mark.parametrize("wrong", [{}, {"x": 1, "z": 2}])
def test_wrong_arguments_are_refused_before_and_after_the_first_instance(wrong: dict[str, object]) -> None:
    base, _ = made_by(values.dataclass)
    for _ in range(2):
        with pytest.raises(TypeError, match=r"Point\.__init__\(\)"):
            base(**wrong)
        base(x=1)
    with pytest.raises(TypeError, match="positional"):
        base(1)


def test_who_asks_for_the_fields_gets_them_without_an_instance() -> None:
    for each, expected in zip(made_by(values.dataclass), made_by(dataclasses.dataclass), strict=True):
        assert dataclasses.is_dataclass(each)
        assert [one.name for one in dataclasses.fields(each)] == [one.name for one in dataclasses.fields(expected)]


def test_threads_that_make_the_first_instance_at_once_all_get_whole_ones() -> None:
    for _ in range(30):
        base, derived = made_by(values.dataclass)
        start = Barrier(8)

        def make(number: int, classes: tuple[Any, ...] = (base, derived), start: Barrier = start) -> object:
            start.wait()
            return classes[number % 2](x=1)

        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(make, range(8)))
        assert set(made) == {base(x=1), derived(x=1)}


def test_they_are_pickled() -> None:
    one = models.LockFact(check="c", detail="d")
    assert pickle.loads(pickle.dumps(one)) == one


def test_none_is_completed_by_its_definition() -> None:
    script = (
        "from scangate import models, values\n"
        "waiting = [one for one in vars(models).values()"
        " if isinstance(vars(one).get('__dataclass_fields__') if isinstance(one, type) else 0, values._Waiting)]\n"
        "assert models.Dependency in waiting and models.Verdict in waiting, waiting\n"
    )
    subprocess.run((sys.executable, "-c", script), check=True)
