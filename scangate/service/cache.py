"""The user's cache: reports that were fetched, and tasks that are under way, in one SQLite file for all processes.

Reports are kept as they came, compressed. What they show is read from them anew each time: 0.3 ms of 13 KiB, and 2 to
3 ms of the largest known, 140 KiB. Pickled observations, the fastest form (and one that must not be loaded from a
file), would take a fifth of that; a second copy that has to be right whenever the reader changes is not worth it.

Nothing here decides anything: who takes a report from here reads it as if it had just come from the service.
"""

import hashlib
import json
import os
import sqlite3
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

from scangate.errors import StateError
from scangate.models.analysis import MAX_REPORT_BYTES, AnalysisRequest, Engine, Report

T = TypeVar("T")

VERSION = 2
"""Of the tables. It is in the file's name as well, so that two versions of scangate do not fight over one file."""
_FILES = "cache-v{}.sqlite3"
FILE = _FILES.format(VERSION)
SET_ASIDE = ".set-aside"

MAX_BYTES = 1024**3
"""Above this size of the file, the reports fetched longest ago go."""
MAX_TASK_AGE = 7 * 86400.0
"""Seconds. A task that was submitted a week ago is submitted anew, and so is one of a clock that was set back since."""
BUSY_SECONDS = 5.0
MAX_ENTRIES = 100
"""Of one package that are looked at, the latest ones."""

_TABLES = (
    "CREATE TABLE reports (key BLOB PRIMARY KEY, analyser TEXT NOT NULL, engine TEXT NOT NULL, purl TEXT NOT NULL,"
    " integrity TEXT NOT NULL, task INTEGER, fetched REAL NOT NULL, payload BLOB NOT NULL, digest BLOB NOT NULL)",
    "CREATE INDEX reports_by_age ON reports (fetched)",
    "CREATE INDEX reports_by_purl ON reports (purl)",
    "CREATE TABLE tasks (key BLOB PRIMARY KEY, analyser TEXT NOT NULL, engine TEXT NOT NULL, purl TEXT NOT NULL,"
    " integrity TEXT NOT NULL, task INTEGER, submitted REAL NOT NULL)",
    "CREATE INDEX tasks_by_purl ON tasks (purl)",
)
_KEPT = "SELECT key, analyser, engine, integrity, fetched FROM reports WHERE purl = :purl"
_OTHERS = "SELECT key, analyser, engine, integrity, submitted FROM tasks WHERE purl = :purl"
_ASKED = f"{_KEPT} UNION ALL {_OTHERS}"
_LEFTOVERS = ("-journal", "-wal", "-shm")
_BROKEN = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH})


class Entry(NamedTuple):
    """What a report is kept under. `analyser`: the API's origin and prefix, or the local engine and its version."""

    analyser: str
    request: AnalysisRequest

    @property
    def integrity(self) -> str:
        return json.dumps(self.request.integrity)

    @property
    def key(self) -> bytes:
        """Equal where, and only where, the same analyser would be asked for the same thing.

        Digests that were added (or left out) make another key: such an entry may install other archives. An entry
        without digests is one of its own: what was fetched for it answers for no pinned one, nor the other way round.
        An archive is its bytes, and what is sent along with them.
        """
        asked = self.request
        archive = asked.archive and (hashlib.sha256(asked.archive.content).hexdigest(), *_named(asked))
        parts = (self.analyser, asked.engine, asked.purl, asked.integrity, archive)
        return hashlib.sha256(json.dumps(parts).encode()).digest()


class Info(NamedTuple):
    """`reports`: how many of each analyser and engine; `bytes`: the file's size; times in seconds since 1970."""

    path: Path
    bytes: int
    reports: tuple[tuple[str, str, int], ...] = ()
    tasks: int = 0
    oldest: float | None = None
    newest: float | None = None


class Cache:
    """The file in `directory`; opened at its first use, made at the first thing that is kept. One thread uses it.

    Where it cannot be used (no right, full disk, held by another process for long), `warn` is told once and the run
    goes on without. A corrupted file, or one of another version, is set aside besides: the next run starts a new one.
    Nothing is raised, except by `info` and `clear`. `workspace`: what a pull request can put files into.
    `clock`: seconds since 1970.
    """

    def __init__(
        self, directory: Path, *, workspace: Path | None, clock: Callable[[], float], warn: Callable[[str], None]
    ) -> None:
        self._directory = directory
        self.path = directory / FILE
        self._workspace = workspace
        self._clock = clock
        self._warn = warn
        self._database: sqlite3.Connection | None = None
        self._usable = True

    def report(self, entry: Entry) -> Report | None:
        return self._safely(lambda: self._report(entry), None)

    def entries(self, purl: str) -> tuple[Entry, ...]:
        """What reports of this package of a registry are kept under, by whichever analyser; the latest first."""
        return self._safely(lambda: tuple(self._entries(_KEPT, purl)), ())

    def asked(self, purl: str) -> tuple[Entry, ...]:
        """What this package of a registry was asked for by, whether or not a report came; the latest first.

        What no report came for is remembered as long as its task would be.
        """
        return self._safely(lambda: tuple(self._entries(_ASKED, purl)), ())

    def keep(self, entry: Entry, report: Report) -> None:
        """Instead of what was kept for the entry before; its task is done with."""
        self._safely(lambda: self._keep(entry, report), None)

    def task(self, entry: Entry) -> int | None:
        return self._safely(lambda: self._task(entry), None)

    def remember(self, entry: Entry, task_id: int | None) -> None:
        """That the entry is asked for; None where there is no task to come back to."""
        self._safely(lambda: self._remember(entry, task_id), None)

    def forget(self, entry: Entry) -> None:
        """The entry's task, though not that it was asked for."""
        self._safely(lambda: self._forget(entry), None)

    def info(self) -> Info:
        """Raises StateError where the file cannot be read, or must not be used."""
        with self._told():
            database = self._opened(make=False)
            if database is None:
                return Info(path=self.path, bytes=0)
            counts = "SELECT analyser, engine, count(*) FROM reports GROUP BY 1, 2 ORDER BY 1, 2"
            reports = tuple(database.execute(counts))
            oldest, newest = database.execute("SELECT min(fetched), max(fetched) FROM reports").fetchone()
            (tasks,) = database.execute("SELECT count(task) FROM tasks").fetchone()
            size = self.path.stat().st_size
        return Info(path=self.path, bytes=size, reports=reports, tasks=tasks, oldest=oldest, newest=newest)

    def clear(self) -> None:
        """Remove all that is kept, with what was set aside and what other versions keep.

        Raises StateError where it cannot be done.
        """
        with self._told():
            self._emptied()
            for path in self._directory.glob(_FILES.format("*") + "*"):
                if path.name == FILE + SET_ASIDE or not path.name.startswith(FILE):
                    path.unlink(missing_ok=True)

    def close(self) -> None:
        """Until the next use."""
        if self._database is not None:
            self._database.close()
            self._database = None

    # ------------------------------------------------------------------------------------------ operations

    def _report(self, entry: Entry) -> Report | None:
        database = self._opened(make=False)
        if database is None:
            return None
        wanted = "SELECT payload, digest, task FROM reports WHERE key = ?"
        row = database.execute(wanted, (entry.key,)).fetchone()
        if row is None:
            return None
        packed, digest, task_id = row
        if _digest(entry.key, packed, task_id) != digest:
            raise _Unusable("a report in it is not what was put there")
        return Report(payload=_unpacked(packed), task_id=task_id)

    def _entries(self, wanted: str, purl: str) -> Iterator[Entry]:
        database = self._opened(make=False)
        if database is None:
            return
        latest = f"{wanted} ORDER BY 5 DESC LIMIT :most"
        for key, analyser, engine, integrity, _ in database.execute(
            latest, {"purl": purl, "most": MAX_ENTRIES}
        ).fetchall():
            try:
                pinned = tuple(tuple(map(str, digests)) for digests in json.loads(integrity))
                request = AnalysisRequest(purl=purl, engine=Engine(engine), integrity=pinned)
                entry = Entry(analyser=str(analyser), request=request)
            except (TypeError, ValueError) as exc:
                raise _Unusable("an entry in it is not what was put there") from exc
            # An archive of a project may call itself anything: its key has its bytes in it, and is another one.
            if entry.key == key:
                yield entry

    def _keep(self, entry: Entry, report: Report) -> None:
        packed = zlib.compress(report.payload)
        digest = _digest(entry.key, packed, report.task_id)
        row = (*_row(entry), report.task_id, self._clock(), packed, digest)
        with self._writing() as database:
            database.execute("INSERT OR REPLACE INTO reports VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            database.execute("DELETE FROM tasks WHERE key = ?", (entry.key,))
            _shrink(database)

    def _task(self, entry: Entry) -> int | None:
        database = self._opened(make=False)
        if database is None:
            return None
        wanted = "SELECT task FROM tasks WHERE key = ? AND abs(submitted - ?) < ?"
        row = database.execute(wanted, (entry.key, self._clock(), MAX_TASK_AGE)).fetchone()
        if row is None:
            return None
        (task_id,) = row
        if not isinstance(task_id, int | None):
            raise _Unusable("a task in it is not what was put there")
        return task_id

    def _remember(self, entry: Entry, task_id: int | None) -> None:
        now = self._clock()
        with self._writing() as database:
            row = (*_row(entry), task_id, now)
            database.execute("INSERT OR REPLACE INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            database.execute("DELETE FROM tasks WHERE abs(submitted - ?) >= ?", (now, MAX_TASK_AGE))

    def _forget(self, entry: Entry) -> None:
        if self._opened(make=False) is not None:
            with self._writing() as database:
                database.execute("UPDATE tasks SET task = NULL WHERE key = ?", (entry.key,))

    def _emptied(self) -> None:
        """By SQL, not by removing the file: other processes may have it open. Only a broken one is removed."""
        try:
            database = self._opened(make=False)
            if database is not None:
                database.execute("DELETE FROM reports")
                database.execute("DELETE FROM tasks")
                database.execute("VACUUM")
        except (sqlite3.Error, _Unusable) as exc:
            if not _is_broken(exc):
                raise
            self.close()
            for suffix in (*_LEFTOVERS, ""):
                with suppress(FileNotFoundError):
                    self.path.with_name(FILE + suffix).unlink()

    # ------------------------------------------------------------------------------------------ the file

    def _opened(self, *, make: bool) -> sqlite3.Connection | None:
        """None where there is no file, and none is to be made. Raises OSError, sqlite3.Error, StateError, _Unusable."""
        if self._database is not None:
            return self._database
        if not make and not self.path.exists():
            return None
        self._check_place()
        # With these rights from its first moment on: what is analysed tells others what is installed here.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        database = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            # A process that is killed leaves a whole file all the same. A machine that loses its power may not: then
            # SQLite, or a row's digest, tells. Waiting for the disk at every report costs more than asking again.
            database.execute("PRAGMA synchronous = OFF")
            _prepare(database)
        except BaseException:
            database.close()
            raise
        self._database = database
        return database

    def _check_place(self) -> None:
        """Make the directory where it is missing. Raises StateError where somebody else can put entries into it."""
        check_directory(self._directory, workspace=self._workspace)
        with suppress(FileNotFoundError):
            status = self.path.lstat()
            if not stat.S_ISREG(status.st_mode):
                raise StateError(f"{self.path} is no file.", _OWN_DIRECTORY)
            if _is_open_to_others(status):
                hint = "Remove it, or, where you trust what is in it, make it yours alone (chmod 600)."
                raise StateError(f"{self.path} {_OTHERS_WRITE}.", hint)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        database = self._opened(make=True)
        assert database is not None
        database.execute("BEGIN IMMEDIATE")
        try:
            yield database
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:  # SQLite has rolled back by itself where the disk is full
                database.execute("ROLLBACK")
            raise

    def _safely(self, action: Callable[[], T], otherwise: T) -> T:
        if not self._usable:
            return otherwise
        try:
            return action()
        except (OSError, sqlite3.Error, StateError, _Unusable) as exc:
            self._usable = False
            self._warn(f"{self.path}: {self._given_up(exc)}")
        return otherwise

    def _given_up(self, exc: Exception) -> str:
        """What is wrong, and what is done about it, as one text."""
        with suppress(sqlite3.Error):
            self.close()
        if isinstance(exc, StateError):
            return f"the cache is not used: {exc.message} {exc.hint}"
        reason = exc.strerror or str(exc) if isinstance(exc, OSError) else str(exc)
        if not _is_broken(exc):
            return f"the cache cannot be used ({reason}); this run goes on without it."
        try:
            self._set_aside()
        except OSError as trouble:
            return f"the cache cannot be used ({reason}), nor be set aside ({trouble.strerror}); remove it."
        return f"the cache cannot be used ({reason}): set aside as {FILE}{SET_ASIDE}; this run goes on without it."

    def _set_aside(self) -> None:
        for suffix in _LEFTOVERS:  # of a broken file they would be taken for the next one's
            with suppress(FileNotFoundError):
                self.path.with_name(FILE + suffix).unlink()
        with suppress(FileNotFoundError):  # another process was faster
            self.path.replace(self.path.with_name(FILE + SET_ASIDE))

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Trouble as a StateError."""
        try:
            yield
        except (OSError, sqlite3.Error, _Unusable) as exc:
            reason = exc.strerror or str(exc) if isinstance(exc, OSError) else str(exc)
            hint = "Run `scangate cache clear`, or remove the file." if _is_broken(exc) else "Try again later."
            raise StateError(f"{self.path}: the cache cannot be used: {reason}.", hint) from exc


def check_directory(directory: Path, *, workspace: Path | None) -> None:
    """Make a directory of the user's own where it is missing. Raises StateError where others can put files into it."""
    place = directory.resolve()
    if workspace is not None and place.is_relative_to(workspace.resolve()):
        raise StateError(
            f"{place} is inside the project: a change of it could bring reports of its own.", _OWN_DIRECTORY
        )
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = place.stat()
    if _is_open_to_others(status):
        raise StateError(f"{place} {_OTHERS_WRITE}.", _OWN_DIRECTORY)


def _is_open_to_others(status: os.stat_result) -> bool:
    return status.st_uid != os.geteuid() or bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


_OTHERS_WRITE = "belongs to another user, or others may write to it"
_OWN_DIRECTORY = "Set SCANGATE_CACHE_DIR to a directory of your own, outside the project."


class _Unusable(Exception):
    """The file is a database, and not this cache's."""


def _is_broken(exc: Exception) -> bool:
    """Whether the file itself is the trouble, for every process and every run."""
    if isinstance(exc, sqlite3.Error):
        # Errors that Python's module raises itself have no code.
        return (getattr(exc, "sqlite_errorcode", None) or 0) & 0xFF in _BROKEN
    return isinstance(exc, _Unusable)


def _prepare(database: sqlite3.Connection) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version == VERSION:
        return
    database.execute("BEGIN IMMEDIATE")
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version == 0:
        for statement in _TABLES:
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {VERSION:d}")
    elif version != VERSION:  # else another process made the tables in the meantime
        raise _Unusable(f"it was written by another version of scangate, with tables of version {version}")
    database.execute("COMMIT")


def _shrink(database: sqlite3.Connection) -> None:
    """Drop the reports fetched longest ago, a tenth of all, where the file has grown above its limit."""
    pages, free, size = (
        database.execute(f"PRAGMA {what}").fetchone()[0] for what in ("page_count", "freelist_count", "page_size")
    )
    if (pages - free) * size > MAX_BYTES:
        oldest = "SELECT key FROM reports ORDER BY fetched LIMIT (SELECT count(*) / 10 + 1 FROM reports)"
        database.execute(f"DELETE FROM reports WHERE key IN ({oldest})")  # noqa: S608 - a constant


def _row(entry: Entry) -> tuple[bytes, str, str, str, str]:
    """The columns that both tables begin with."""
    return entry.key, entry.analyser, entry.request.engine, entry.request.purl, entry.integrity


def _named(request: AnalysisRequest) -> tuple[str, str | None]:
    assert request.archive is not None
    return request.archive.filename, request.archive.github_url


def _digest(key: bytes, packed: object, task_id: object) -> bytes:
    """Binds a row's content to its key; of content of the wrong type, no digest at all."""
    if not isinstance(packed, bytes):
        return b""
    return hashlib.sha256(b"%b %b %b" % (key, str(task_id).encode(), packed)).digest()


def _unpacked(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        # What is larger when unpacked was not put there by us: the client downloads no such report.
        payload = unpacker.decompress(packed, MAX_REPORT_BYTES + 1)
    except zlib.error:
        payload = b""
    if not unpacker.eof:
        raise _Unusable("a report in it cannot be unpacked")
    return payload
