"""The cache's file: what comes out is what was put in, or nothing, and trouble is said once."""

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scangate.errors import StateError
from scangate.models.analysis import AnalysisRequest, Archive, Engine, Report
from scangate.service import cache as module
from scangate.service.cache import FILE, SET_ASIDE, Cache, Entry

NOW = 1_800_000_000.0
AXIOS = AnalysisRequest(purl="pkg:npm/axios@1.14.0", integrity=(("sha512:ab",),))
REPORT = Report(payload=b'{"Analysis": {}}' * 50, task_id=7)


def entry(request: AnalysisRequest = AXIOS, analyser: str = "https://api.example.com") -> Entry:
    return Entry(analyser=analyser, request=request)


class Opened:
    """Caches of one directory, as one run after another opens it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.warnings: list[str] = []
        self.now = NOW
        self._open: list[Cache] = []

    def __call__(self, *, workspace: Path | None = None) -> Cache:
        cache = Cache(self.directory, workspace=workspace, clock=lambda: self.now, warn=self.warnings.append)
        self._open.append(cache)
        return cache

    def close(self) -> None:
        for cache in self._open:
            cache.close()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    caches = Opened(tmp_path / "cache")
    yield caches
    caches.close()


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_a_report_is_there_for_the_next_run(opened: Opened) -> None:
    opened().keep(entry(), REPORT)
    assert opened().report(entry()) == REPORT
    assert opened.warnings == []


def test_a_report_without_a_task_comes_back_without_one(opened: Opened) -> None:
    opened().keep(entry(), Report(payload=b"{}"))
    assert opened().report(entry()) == Report(payload=b"{}")


def test_nothing_is_made_by_looking(opened: Opened) -> None:
    cache = opened()
    assert cache.report(entry()) is None
    assert cache.task(entry()) is None
    cache.forget(entry())
    assert cache.info().bytes == 0
    cache.clear()
    assert not opened.directory.exists()


OTHERS = [
    entry(analyser="https://other.example.com"),
    entry(AXIOS._replace(engine=Engine.LASTPYMILE)),
    entry(AXIOS._replace(purl="pkg:npm/axios@1.14.1")),
    entry(AXIOS._replace(integrity=(("sha512:cd",),))),
    entry(AXIOS._replace(integrity=(("sha1:ab", "sha512:ab"),))),
    entry(AXIOS._replace(integrity=((), ("sha512:ab",)))),
    entry(AXIOS._replace(integrity=((),))),
    entry(AXIOS._replace(integrity=())),
    entry(AXIOS._replace(archive=Archive(filename="a.tgz", content=b"x"))),
]


@pytest.mark.parametrize("other", OTHERS)
def test_a_report_answers_for_nothing_else(opened: Opened, other: Entry) -> None:
    opened().keep(entry(), REPORT)
    assert opened().report(other) is None
    opened().keep(other, Report(payload=b"other"))
    assert opened().report(entry()) == REPORT


def test_an_archive_is_its_bytes_and_what_goes_with_them() -> None:
    archives = [
        Archive(filename="a.tgz", content=b"x"),
        Archive(filename="a.tgz", content=b"y"),
        Archive(filename="b.tgz", content=b"x"),
        Archive(filename="a.tgz", content=b"x", github_url="https://github.com/a/b"),
    ]
    assert len({entry(AXIOS._replace(archive=archive)).key for archive in archives}) == 4


def test_what_a_package_is_kept_under_latest_first(opened: Opened) -> None:
    kept = [
        entry(),
        entry(AXIOS._replace(integrity=((), ("sha1:ab", "sha512:cd")))),
        entry(AXIOS._replace(engine=Engine.LASTPYMILE), analyser="other"),
    ]
    for each in kept:
        opened.now += 1
        opened().keep(each, REPORT)
    opened().keep(entry(AXIOS._replace(purl="pkg:npm/axios@1.14.1")), REPORT)
    assert opened().entries(AXIOS.purl) == tuple(reversed(kept))
    assert opened().entries("pkg:npm/axios@1.14.2") == ()


def test_an_archive_that_calls_itself_a_package_is_not_among_its_entries(opened: Opened) -> None:
    opened().keep(entry(AXIOS._replace(archive=Archive(filename="a.tgz", content=b"x"))), REPORT)
    assert opened().entries(AXIOS.purl) == ()


def test_no_more_entries_are_looked_at_than_there_can_be(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ENTRIES", 2)
    for number in range(4):
        opened.now += 1
        opened().keep(entry(analyser=str(number)), REPORT)
    assert [each.analyser for each in opened().entries(AXIOS.purl)] == ["3", "2"]


def test_entries_are_found_without_reading_the_reports(opened: Opened) -> None:
    opened().keep(entry(), REPORT)
    with closing(sqlite3.connect(opened.directory / FILE)) as database:
        for table in ("reports", "tasks"):
            (plan,) = database.execute(f"EXPLAIN QUERY PLAN SELECT key FROM {table} WHERE purl = ?", ("x",)).fetchall()
            assert f"USING INDEX {table}_by_purl" in plan[3]


def test_what_a_package_was_asked_for_by_is_remembered_without_a_report(opened: Opened) -> None:
    other = entry(AXIOS._replace(integrity=(("sha512:cd",),)), analyser="other")
    opened().remember(entry(), 7)
    opened.now += 1
    opened().remember(other, None)  # nothing to come back to
    assert opened().asked(AXIOS.purl) == (other, entry())
    assert (opened().entries(AXIOS.purl), opened().task(other), opened().info().tasks) == ((), None, 1)
    opened().forget(entry())
    assert opened().asked(AXIOS.purl) == (other, entry())
    opened.now += 1
    opened().keep(entry(), REPORT)
    assert opened().asked(AXIOS.purl) == (entry(), other)
    opened.now += module.MAX_TASK_AGE
    opened().remember(OTHERS[2], 8)
    assert opened().asked(AXIOS.purl) == (entry(),)


def test_an_archive_is_not_what_the_package_was_asked_for_by(opened: Opened) -> None:
    opened().remember(entry(AXIOS._replace(archive=Archive(filename="a.tgz", content=b"x"))), 7)
    assert opened().asked(AXIOS.purl) == ()


def test_a_clock_that_was_set_back_loses_no_report_and_keeps_no_task_for_longer(opened: Opened) -> None:
    opened().remember(OTHERS[0], 8)
    opened().keep(entry(), REPORT)
    opened.now -= module.MAX_TASK_AGE - 1
    assert opened().task(OTHERS[0]) == 8
    opened.now -= 10 * 365 * 86400
    assert opened().report(entry()) == REPORT
    assert opened().task(OTHERS[0]) is None  # else for ten years, and a week
    opened().keep(OTHERS[1], REPORT)
    opened().remember(OTHERS[2], 9)
    assert (opened().report(OTHERS[1]), opened().task(OTHERS[2])) == (REPORT, 9)
    assert opened().info().tasks == 1
    assert opened.warnings == []


def test_a_file_of_older_tables_is_left_to_the_older_version_and_cleared_with_all_else(opened: Opened) -> None:
    opened().keep(entry(), REPORT)
    older = opened.directory / "cache-v1.sqlite3"
    older.write_bytes(b"of another version")
    assert opened().report(entry()) == REPORT
    assert (opened.warnings, older.exists()) == ([], True)
    opened().clear()
    assert [path.name for path in opened.directory.iterdir()] == [FILE]


@pytest.mark.parametrize("integrity", ["nonsense", "7", "[7]", b"\xff"])
@pytest.mark.parametrize("column", ["integrity", "engine"])
def test_an_entry_that_cannot_be_read_sets_the_file_aside(opened: Opened, column: str, integrity: object) -> None:
    opened().keep(entry(), REPORT)
    with closing(sqlite3.connect(opened.directory / FILE)) as database, database:
        database.execute(f"UPDATE reports SET {column} = ?", (integrity,))
    assert opened().entries(AXIOS.purl) == ()
    assert len(opened.warnings) == 1
    assert (opened.directory / (FILE + SET_ASIDE)).exists()


words = st.text(alphabet='ab",[]\\:', max_size=4)
requests = st.builds(
    AnalysisRequest,
    purl=words,
    engine=st.sampled_from(Engine),
    integrity=st.lists(st.lists(words, max_size=2).map(tuple), max_size=2).map(tuple),
    archive=st.none() | st.builds(Archive, filename=words, content=st.binary(max_size=2), github_url=st.none() | words),
)
entries = st.builds(Entry, analyser=words, request=requests)


@given(entries, entries)
def test_keys_are_equal_where_all_is_equal_and_nowhere_else(one: Entry, other: Entry) -> None:
    assert (one.key == other.key) == (one == other)
    assert one.key == one._replace().key


def test_the_newer_report_counts_and_the_task_is_done_with(opened: Opened) -> None:
    cache = opened()
    cache.remember(entry(), 7)
    cache.keep(entry(), Report(payload=b"old"))
    cache.keep(entry(), REPORT)
    assert cache.report(entry()) == REPORT
    assert cache.task(entry()) is None


def test_a_task_is_remembered_until_it_is_forgotten(opened: Opened) -> None:
    opened().remember(entry(), 7)
    opened().remember(OTHERS[0], 8)
    assert opened().task(entry()) == 7
    opened().forget(entry())
    assert [opened().task(each) for each in (entry(), OTHERS[0])] == [None, 8]
    opened().remember(entry(), 9)
    assert opened().task(entry()) == 9


def test_a_task_of_long_ago_is_forgotten(opened: Opened) -> None:
    opened().remember(entry(), 7)
    opened.now += module.MAX_TASK_AGE - 1
    assert opened().task(entry()) == 7
    opened.now += 1
    assert opened().task(entry()) is None
    opened().remember(OTHERS[0], 8)
    assert opened().info().tasks == 1


def test_the_file_is_for_its_owner_alone_whatever_the_umask(opened: Opened) -> None:
    os.umask(0)
    opened().keep(entry(), REPORT)
    os.umask(0o022)
    assert stat.S_IMODE(opened.directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((opened.directory / FILE).stat().st_mode) == 0o600


def test_the_reports_fetched_longest_ago_make_room(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 300_000)
    cache = opened()
    asked = [entry(AnalysisRequest(purl=f"pkg:npm/p{number}@1")) for number in range(60)]
    for each in asked:
        opened.now += 1
        cache.keep(each, Report(payload=os.urandom(10_000)))
    there = [cache.report(each) is not None for each in asked]
    assert there == sorted(there)
    # Each takes three of SQLite's pages of 4 KiB, and a tenth of them goes at a time.
    assert 0.8 * module.MAX_BYTES < 3 * 4096 * sum(there) < module.MAX_BYTES
    assert cache.info().bytes < 1.1 * module.MAX_BYTES


def test_info_counts(opened: Opened) -> None:
    cache = opened()
    cache.keep(entry(), REPORT)
    opened.now += 60
    for each in OTHERS[:3]:
        cache.keep(each, REPORT)
    cache.remember(OTHERS[4], 1)
    info = opened().info()
    assert info.reports == (
        ("https://api.example.com", "dynamic-analysis", 2),
        ("https://api.example.com", "lastpymile", 1),
        ("https://other.example.com", "dynamic-analysis", 1),
    )
    assert (info.tasks, info.oldest, info.newest) == (1, NOW, NOW + 60)
    assert info.bytes == (opened.directory / FILE).stat().st_size


def test_clear_leaves_nothing_even_where_another_run_has_the_file_open(opened: Opened) -> None:
    other = opened()
    other.keep(entry(), REPORT)
    (opened.directory / f"{FILE}{SET_ASIDE}").write_text("old")
    opened().clear()
    assert other.report(entry()) is None
    assert opened().info().reports == ()
    assert b"axios" not in (opened.directory / FILE).read_bytes()
    assert [path.name for path in opened.directory.iterdir()] == [FILE]
    other.keep(entry(), REPORT)
    assert opened().report(entry()) == REPORT


# ------------------------------------------------------------------------------------------------- broken


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)


def _garbage(path: Path) -> None:
    path.write_bytes(b"this is no database" * 1000)


def _cut(path: Path) -> None:
    os.truncate(path, 5000)


def _overwritten(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))


def _sql(*statements: str) -> Callable[[Path], None]:
    return lambda path: change(path, *statements)


BROKEN = [
    _garbage,
    _cut,
    _overwritten,
    _sql(f"PRAGMA user_version = {module.VERSION + 1}"),
    _sql(f"PRAGMA user_version = {module.VERSION - 1}"),
    _sql("DROP TABLE reports", "DROP TABLE tasks"),
    _sql("DROP TABLE reports", "CREATE TABLE reports (key)"),
    _sql("UPDATE reports SET payload = x'00'"),
    _sql("UPDATE reports SET payload = 'text'"),
    _sql("UPDATE reports SET digest = x'00'"),
    _sql("UPDATE reports SET task = 8"),
]


@pytest.mark.parametrize("spoil", BROKEN)
def test_a_broken_file_is_set_aside_and_said_once(spoil: Callable[[Path], None], opened: Opened) -> None:
    opened().keep(entry(), REPORT)
    opened.close()
    spoil(opened.directory / FILE)
    spoiled = (opened.directory / FILE).read_bytes()
    cache = opened()
    assert cache.report(entry()) is None
    cache.keep(entry(), REPORT)
    assert cache.report(entry()) is None
    assert cache.task(entry()) is None
    (warning,) = opened.warnings
    assert "set aside" in warning
    assert [path.name for path in opened.directory.iterdir()] == [f"{FILE}{SET_ASIDE}"]
    assert (opened.directory / f"{FILE}{SET_ASIDE}").read_bytes() == spoiled
    opened().keep(entry(), REPORT)
    assert opened().report(entry()) == REPORT
    assert len(opened.warnings) == 1


def test_a_task_that_is_no_number_is_not_asked_for(opened: Opened) -> None:
    opened().remember(entry(), 7)
    change(opened.directory / FILE, "UPDATE tasks SET task = 'x'")
    assert opened().task(entry()) is None
    assert "set aside" in opened.warnings[0]


@pytest.mark.parametrize("payload", [b"", b"no zlib", module.zlib.compress(bytes(2000))[:-1]])
def test_what_cannot_be_unpacked_is_no_report(opened: Opened, payload: bytes) -> None:
    opened().keep(entry(), REPORT)
    with closing(sqlite3.connect(opened.directory / FILE)) as database, database:
        digest = module._digest(entry().key, payload, 7)
        database.execute("UPDATE reports SET payload = ?, digest = ?", (payload, digest))
    assert opened().report(entry()) is None
    assert "unpacked" in opened.warnings[0]


def test_a_report_larger_than_any_is_no_report(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REPORT_BYTES", 1000)
    opened().keep(entry(), Report(payload=bytes(1000)))
    assert opened().report(entry()) == Report(payload=bytes(1000))
    opened().keep(entry(), Report(payload=bytes(100_000)))
    assert opened().report(entry()) is None
    assert "unpacked" in opened.warnings[0]


@pytest.mark.parametrize("spoil", [_garbage, _sql("PRAGMA user_version = 99"), _overwritten])
def test_clear_mends_a_broken_file_and_info_says_so(spoil: Callable[[Path], None], opened: Opened) -> None:
    opened().keep(entry(), REPORT)
    opened.close()
    spoil(opened.directory / FILE)
    with pytest.raises(StateError) as error:
        opened().info()
    assert "cache clear" in error.value.hint
    opened().clear()
    opened().keep(entry(), REPORT)
    assert opened().report(entry()) == REPORT


def test_a_file_that_somebody_holds_is_left_and_the_run_goes_on(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.05)
    opened().keep(entry(), REPORT)
    with closing(sqlite3.connect(opened.directory / FILE, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        cache = opened()
        assert cache.report(entry()) is None
        assert "locked" in opened.warnings[0]
        with pytest.raises(StateError, match="locked"):
            opened().clear()
    assert cache.report(entry()) is None
    assert opened().report(entry()) == REPORT
    assert len(opened.warnings) == 1


def test_a_directory_that_cannot_be_made_is_said_once(opened: Opened) -> None:
    opened.directory.write_text("")
    cache = opened()
    for number in range(3):
        cache.remember(entry(), number)
    assert len(opened.warnings) == 1


# ------------------------------------------------------------------------------------------------- refused


def test_a_cache_that_the_project_could_bring_along_is_not_read(opened: Opened, tmp_path: Path) -> None:
    opened().keep(entry(), REPORT)
    (tmp_path / "link").symlink_to(opened.directory)
    for directory in (opened.directory, tmp_path / "link"):
        cache = Cache(directory, workspace=tmp_path, clock=lambda: NOW, warn=opened.warnings.append)
        assert cache.report(entry()) is None
        assert "inside the project" in opened.warnings.pop()
        assert opened.warnings == []
    with pytest.raises(StateError, match="inside the project"):
        opened(workspace=opened.directory).info()


def test_nothing_is_made_inside_the_project(opened: Opened, tmp_path: Path) -> None:
    opened(workspace=tmp_path).keep(entry(), REPORT)
    assert list(tmp_path.iterdir()) == []
    assert len(opened.warnings) == 1


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_directory_that_others_can_write_to_is_not_read(opened: Opened, mode: int) -> None:
    opened().keep(entry(), REPORT)
    opened.directory.chmod(mode)
    assert opened().report(entry()) is None
    assert "others" in opened.warnings[0]


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_to_is_not_read(opened: Opened, mode: int) -> None:
    opened().keep(entry(), REPORT)
    (opened.directory / FILE).chmod(mode)
    assert opened().report(entry()) is None
    (warning,) = opened.warnings
    assert f"{FILE} belongs to another user, or others may write to it" in warning
    with pytest.raises(StateError, match="others may write") as error:
        opened().clear()
    assert "chmod 600" in error.value.hint
    (opened.directory / FILE).chmod(0o644)  # read it they may, where the directory lets them
    assert opened().report(entry()) == REPORT


def test_a_broken_file_that_cannot_be_set_aside_is_said_all_the_same(opened: Opened) -> None:
    opened().keep(entry(), REPORT)
    opened.close()
    _garbage(opened.directory / FILE)
    (opened.directory / f"{FILE}{SET_ASIDE}").mkdir()
    assert opened().report(entry()) is None
    (warning,) = opened.warnings
    assert "nor be set aside" in warning
    assert "remove it" in warning


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("what", ["", FILE])
def test_what_belongs_to_another_user_is_not_read(opened: Opened, what: str) -> None:
    opened().keep(entry(), REPORT)
    os.chown(opened.directory / what, 4711, 4711)
    assert opened().report(entry()) is None
    assert "another user" in opened.warnings[0]


def test_a_link_in_the_files_place_is_not_followed(opened: Opened, tmp_path: Path) -> None:
    opened().keep(entry(), REPORT)
    opened.close()
    (opened.directory / FILE).rename(tmp_path / "elsewhere")
    (opened.directory / FILE).symlink_to(tmp_path / "elsewhere")
    assert opened().report(entry()) is None
    assert "is no file" in opened.warnings[0]
