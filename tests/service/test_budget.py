"""The request budget: counted as the service counts, shared by processes, never lifted by a broken file."""

import math
import multiprocessing
import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scangate.errors import UsageError
from scangate.service.budget import Budget, ProcessBudget, Rate, SharedBudget, account

NOW = 1_800_000_000.0


def no_warning(text: str) -> None:
    raise AssertionError(text)


THREE = Rate(3, 3600.0)


def shared(directory: Path, rate: Rate = THREE, *, warn: Callable[[str], None] = no_warning) -> SharedBudget:
    return SharedBudget(rate, directory, account="a", warn=warn)


@pytest.fixture(params=["process", "shared"])
def budget(request: pytest.FixtureRequest, tmp_path: Path) -> Budget:
    rate = Rate(3, 3600.0)
    return ProcessBudget(rate) if request.param == "process" else shared(tmp_path / "state", rate)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("100/h", Rate(100, 3600)),
        ("5/s", Rate(5, 1)),
        (" 30 / m ", Rate(30, 60)),
        ("1000/d", Rate(1000, 86400)),
    ],
)
def test_rates_are_read(text: str, rate: Rate) -> None:
    assert Rate.parse(text) == rate
    assert Rate.parse(str(rate)) == rate


@pytest.mark.parametrize(
    "text", ["", "100", "/h", "100/", "0/h", "-1/h", "1.5/h", "100/w", "100/hour/h", "١٠/h", "9" * 40 + "/h", "1/h\n2"]
)
def test_what_is_no_rate_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="is not a rate") as caught:
        Rate.parse(text)
    assert "100/h" in caught.value.hint


def test_the_limit_is_the_limit(budget: Budget) -> None:
    assert [budget.spend(NOW + at) for at in (0, 1, 2)] == [0, 0, 0]
    assert budget.spend(NOW + 10) == 3592


def test_the_window_is_renewed_by_every_counted_request(budget: Budget) -> None:
    assert budget.spend(NOW) == 0
    assert budget.spend(NOW + 3599) == 0
    assert budget.spend(NOW + 3600) == 0
    # The first one is more than an hour old, and counts all the same: the service has not started anew.
    assert budget.spend(NOW + 3700) == pytest.approx(3500)
    assert budget.spend(NOW + 7200) == 0


def test_some_can_be_left_for_others(budget: Budget) -> None:
    assert budget.spend(NOW, leave=2) == 0
    assert budget.spend(NOW, leave=2) == 3600
    assert budget.spend(NOW, leave=1) == 0
    assert budget.spend(NOW, leave=3) == math.inf


def test_what_was_not_counted_comes_back(budget: Budget) -> None:
    budget.give_back()
    for _ in range(10):
        assert budget.spend(NOW) == 0
        budget.give_back()
    assert [budget.spend(NOW) for _ in range(4)] == [0, 0, 0, 3600]


def test_a_clock_that_was_set_back_locks_nobody_out_for_long(budget: Budget) -> None:
    for _ in range(3):
        budget.spend(NOW + 1e6)
    assert budget.spend(NOW) == 3600
    assert budget.spend(NOW + 3600) == 0


@given(
    st.lists(st.tuples(st.floats(0, 5000), st.integers(0, 3), st.booleans()), max_size=60),
    st.integers(1, 6),
    st.sampled_from([1.0, 60.0, 3600.0]),
)
def test_no_period_ever_holds_more_than_the_limit(
    steps: list[tuple[float, int, bool]], limit: int, period: float
) -> None:
    budget = ProcessBudget(Rate(limit, period))
    now, taken = NOW, list[float]()
    for pause, leave, obedient in steps:
        now += pause
        wait = budget.spend(now, leave=leave)
        if wait > 0 and obedient and math.isfinite(wait):
            now += wait
            assert wait <= period
            wait = budget.spend(now, leave=leave)
            assert wait < 1e-3
        if wait == 0:
            taken.append(now)
    # (The clock of seconds since 1970 has steps of about a quarter of a microsecond.)
    for at in taken:
        assert sum(at - period + 1e-5 < other <= at for other in taken) <= limit


# ------------------------------------------------------------------------------------------------- shared


def test_runs_one_after_another_share_it(tmp_path: Path) -> None:
    assert [shared(tmp_path).spend(NOW + at) for at in range(4)] == [0, 0, 0, 3599]


def test_keys_and_services_have_budgets_of_their_own(tmp_path: Path) -> None:
    names = {account(origin, key) for origin in ("https://a.example", "https://b.example") for key in ("k", "l")}
    assert len(names) == 4
    for name in names:
        budget = SharedBudget(Rate(1, 3600.0), tmp_path, account=name, warn=no_warning)
        assert [budget.spend(NOW) == 0 for _ in range(2)] == [True, False]


def test_the_file_tells_nobody_the_key(tmp_path: Path) -> None:
    budget = SharedBudget(
        Rate(1, 60.0), tmp_path / "state", account=account("https://a.example", "s3cret-key"), warn=no_warning
    )
    budget.spend(NOW)
    (file,) = (tmp_path / "state").iterdir()
    assert b"s3cret-key" not in file.read_bytes()
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_a_faster_rate_does_not_forget_what_a_slower_one_counted(tmp_path: Path) -> None:
    slow, fast = shared(tmp_path, Rate(3, 3600.0)), shared(tmp_path, Rate(5, 1.0))
    assert [slow.spend(NOW) for _ in range(3)] == [0, 0, 0]
    assert [fast.spend(NOW + 10) for _ in range(2)] == [0, 0]
    assert fast.spend(NOW + 20) == 3590
    assert slow.spend(NOW + 20) == 3590


def _spend_all(directory: Path, tries: int, results: "multiprocessing.Queue[int]") -> None:
    budget = shared(directory, Rate(50, 3600.0))
    results.put(sum(budget.spend(NOW + number) == 0 for number in range(tries)))


def test_processes_at_the_same_time_never_exceed_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[int] = context.Queue()
    processes = [context.Process(target=_spend_all, args=(tmp_path, 40, results)) for _ in range(2)]
    for process in processes:
        process.start()
    taken = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert sum(taken) == 50


# ------------------------------------------------------------------------------------------------- broken


def _garbage(path: Path) -> None:
    path.write_bytes(b"this is no database" * 1000)


def _newer(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()


def _other_table(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE budget (something TEXT)")
        database.execute("PRAGMA user_version = 1")
    database.close()


def _directory(path: Path) -> None:
    path.mkdir()


def _nonsense(row: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE budget (account TEXT PRIMARY KEY, used, last, seconds)")
            database.execute(f"INSERT INTO budget VALUES ('a', {row})")
            database.execute("PRAGMA user_version = 1")
        database.close()

    return write


@pytest.mark.parametrize(
    "spoil",
    [
        _garbage,
        _newer,
        _other_table,
        _directory,
        _nonsense("-5, 1.0, 60.0"),
        _nonsense("'x', 1.0, 60.0"),
        _nonsense("1, 9e999, 60.0"),
        _nonsense("1, 1.0, 1e12"),
        _nonsense("1, NULL, NULL"),
    ],
)
def test_a_file_that_cannot_be_used_is_said_once_and_the_limit_stays(
    spoil: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "budget.sqlite3"
    spoil(path)
    before = path.read_bytes() if path.is_file() else None
    warnings: list[str] = []
    budget = shared(tmp_path, warn=warnings.append)
    assert [budget.spend(NOW) for _ in range(4)] == [0, 0, 0, 3600]
    budget.give_back()
    (warning,) = warnings
    assert str(path) in warning
    assert "3/h" in warning
    assert before is None or path.read_bytes() == before


def test_a_directory_that_cannot_be_made_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    warnings: list[str] = []
    budget = shared(tmp_path / "file" / "state", warn=warnings.append)
    assert [budget.spend(NOW) for _ in range(4)] == [0, 0, 0, 3600]
    assert len(warnings) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_said_once_and_what_was_known_counts(tmp_path: Path) -> None:
    warnings: list[str] = []
    budget = shared(tmp_path, warn=warnings.append)
    assert [budget.spend(NOW) for _ in range(2)] == [0, 0]
    path = tmp_path / "budget.sqlite3"
    path.unlink()
    path.symlink_to("/dev/full")
    assert [budget.spend(NOW) for _ in range(2)] == [0, 3600]
    assert len(warnings) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_file_without_the_right_to_write_is_said_once(tmp_path: Path) -> None:
    shared(tmp_path).spend(NOW)
    (tmp_path / "budget.sqlite3").chmod(0o400)
    warnings: list[str] = []
    budget = shared(tmp_path, warn=warnings.append)
    assert budget.spend(NOW) == 0
    assert len(warnings) == 1


def test_a_file_that_somebody_holds_is_given_up_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scangate.service.budget._BUSY_SECONDS", 0.05)
    shared(tmp_path).spend(NOW)
    holder = sqlite3.connect(tmp_path / "budget.sqlite3", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    warnings: list[str] = []
    assert shared(tmp_path, warn=warnings.append).spend(NOW) == 0
    holder.close()
    assert "locked" in warnings[0]
