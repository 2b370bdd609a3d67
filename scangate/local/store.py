"""The tasks and uploads, in SQLite: every change of state is one transaction, and a restart loses nothing.

One connection behind one lock: statements are short, and the one writer that SQLite allows is us. The write-ahead
log is synchronised at every commit: a submission that was answered is on disk.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from scangate.errors import StateError
from scangate.local.config import Clock
from scangate.local.jobs import COMPLETED, FAILED, Job, Outcome
from scangate.models.analysis import Engine

QUEUED = "queued"
PROCESSING = "processing"
ACTIVE = (QUEUED, PROCESSING, "pending", "submitted", "running")
"""The statuses of unfinished tasks, older servers' words included: a script may leave a task in one."""

MAX_ATTEMPTS = 3
"""How often a task is begun before it is taken to be what kills the server."""

_VERSION = 2
_SCHEMA = """
BEGIN IMMEDIATE;
CREATE TABLE tasks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL,
    engine TEXT NOT NULL,
    purl TEXT NOT NULL,
    archive TEXT NOT NULL,              -- the archive's digest, '' for the registry's package
    filename TEXT,
    github_url TEXT,
    status TEXT NOT NULL,
    active INTEGER NOT NULL DEFAULT 1,
    attempts INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL,
    ended_at REAL,
    error_message TEXT,
    report TEXT,                        -- the report's digest
    report_bytes INTEGER,
    answers_others INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE UNIQUE INDEX one_active ON tasks (engine, purl, archive) WHERE active;
CREATE INDEX by_owner ON tasks (owner, id);
CREATE INDEX by_package ON tasks (engine, purl, archive, status);
CREATE INDEX by_status ON tasks (status, id);
CREATE TABLE uploads (
    path TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    created_at REAL NOT NULL,
    archive TEXT
) STRICT;
PRAGMA user_version = 2;
COMMIT;
"""
_FROM_1 = """
BEGIN IMMEDIATE;
ALTER TABLE tasks ADD COLUMN answers_others INTEGER NOT NULL DEFAULT 1;
PRAGMA user_version = 2;
COMMIT;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What a client asked for. `archive` is the digest of an uploaded blob, "" for the registry's package."""

    owner: str
    engine: Engine
    purl: str
    archive: str = ""
    filename: str | None = None
    github_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTask:
    """One row. Times are seconds since 1970; `report` is a blob's digest."""

    id: int
    engine: Engine
    purl: str
    status: str
    created_at: float
    ended_at: float | None
    error_message: str | None
    report: str | None
    report_bytes: int | None


class Found(Enum):
    """What a submission met."""

    NOTHING = auto()
    """A new task was made."""
    ACTIVE = auto()
    COMPLETED = auto()


class Store:
    """The store of one data directory. Every method raises sqlite3.Error where the disk does not do its part."""

    def __init__(self, path: Path, clock: Clock) -> None:
        """Raises StateError where the file is not ours, or of a newer version."""
        self._clock = clock
        self._lock = threading.Lock()
        path.touch(mode=0o600)  # SQLite gives the log beside it the same mode
        self._connection = sqlite3.connect(path, timeout=1, check_same_thread=False, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        try:
            self._prepare(path)
        except sqlite3.Error as exc:
            self._connection.close()
            raise StateError(f"{path}: {exc}.", "Move the file away (its tasks are lost), or use another one.") from exc

    def _prepare(self, path: Path) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        version: int = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version > _VERSION:
            self._connection.close()
            raise StateError(f"{path}: written by a newer scangate (version {version}).", "Upgrade scangate.")
        if version < _VERSION:
            self._connection.executescript(_SCHEMA if version == 0 else _FROM_1)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    # ------------------------------------------------------------------------------------------- clients

    def submit(self, submission: Submission) -> tuple[StoredTask, Found]:
        """The task of this submission: one that is there (made by any key), else a new one.

        An archive's task is matched by the archive's content, and only while it is active (the contract's 200).
        """
        identity = (submission.engine, submission.purl, submission.archive)
        with self._transaction() as connection:
            row = connection.execute(
                "SELECT * FROM tasks WHERE engine = ? AND purl = ? AND archive = ? AND active", identity
            ).fetchone()
            if row is not None:
                return _task(row), Found.ACTIVE
            if not submission.archive:
                row = connection.execute(
                    "SELECT * FROM tasks WHERE engine = ? AND purl = ? AND archive = ? AND status = ?"
                    " AND answers_others ORDER BY id DESC LIMIT 1",
                    (*identity, COMPLETED),
                ).fetchone()
                if row is not None:
                    return _task(row), Found.COMPLETED
            others = (submission.filename, submission.github_url, submission.owner, QUEUED, self._clock())
            row = connection.execute(
                "INSERT INTO tasks (engine, purl, archive, filename, github_url, owner, status, created_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING *",
                (*identity, *others),
            ).fetchone()
            return _task(row), Found.NOTHING

    def task(self, task_id: int) -> StoredTask | None:
        with self._lock:
            row = self._connection.execute("SELECT * FROM tasks WHERE id = ?", (task_id,)).fetchone()
        return None if row is None else _task(row)

    def tasks(self, owner: str, status: str | None, offset: int, limit: int) -> tuple[tuple[StoredTask, ...], int]:
        """One page of this key's tasks, newest first, and how many there are in all; both of one moment."""
        which = (owner, status, status)
        with self._transaction() as connection:
            total: int = connection.execute(
                "SELECT count(*) FROM tasks WHERE owner = ? AND (? IS NULL OR status = ?)", which
            ).fetchone()[0]
            rows = connection.execute(
                "SELECT * FROM tasks WHERE owner = ? AND (? IS NULL OR status = ?) ORDER BY id DESC LIMIT ? OFFSET ?",
                (*which, limit, offset),
            ).fetchall()
        return tuple(_task(row) for row in rows), total

    def expect_upload(self, path: str, owner: str) -> None:
        with self._transaction() as connection:
            connection.execute("INSERT INTO uploads VALUES (?, ?, ?, NULL)", (path, owner, self._clock()))

    def uploaded(self, path: str, archive: str) -> bool:
        """Note what was uploaded; False where no such upload is expected (any more)."""
        with self._transaction() as connection:
            done = connection.execute("UPDATE uploads SET archive = ? WHERE path = ?", (archive, path))
            return done.rowcount == 1

    def upload(self, path: str, owner: str) -> str | None:
        """The digest of what this key uploaded there: None where nothing was, or another key did."""
        query = "SELECT archive FROM uploads WHERE path = ? AND owner = ?"
        with self._lock:
            row: tuple[str | None] | None = self._connection.execute(query, (path, owner)).fetchone()
        return None if row is None else row[0]

    # ------------------------------------------------------------------------------------------- workers

    def claim(self, locate: Callable[[str], Path]) -> Job | None:
        """The oldest queued task, now processing: no other worker gets it. None where nothing is queued.

        `locate` says where the blob of a digest is.
        """
        with self._transaction() as connection:
            row = connection.execute(
                "UPDATE tasks SET status = ?, attempts = attempts + 1"
                " WHERE id = (SELECT id FROM tasks WHERE status = ? ORDER BY id LIMIT 1) RETURNING *",
                (PROCESSING, QUEUED),
            ).fetchone()
        if row is None:
            return None
        return Job(
            task_id=row["id"],
            purl=row["purl"],
            engine=Engine(row["engine"]),
            archive=locate(row["archive"]) if row["archive"] else None,
            filename=row["filename"],
            github_url=row["github_url"],
        )

    def finish(self, task_id: int, outcome: Outcome, report: str | None) -> None:
        """Record how a task ended; `report` is the digest of outcome.report.

        A status of ACTIVE (a script's stuck task) leaves it active, and no worker takes it again.
        """
        size = None if outcome.report is None else len(outcome.report)
        state = (outcome.status, outcome.status in ACTIVE, outcome.error_message, outcome.answers_others)
        with self._transaction() as connection:
            connection.execute(
                "UPDATE tasks SET status = ?, active = ?, error_message = ?, answers_others = ?,"
                " report = ?, report_bytes = ?, ended_at = ? WHERE id = ?",
                (*state, report, size, self._clock(), task_id),
            )

    def give_back(self, task_id: int) -> None:
        """An orderly stop: the task is queued again, and the attempt does not count."""
        with self._transaction() as connection:
            connection.execute("UPDATE tasks SET status = ?, attempts = attempts - 1 WHERE id = ?", (QUEUED, task_id))

    # --------------------------------------------------------------------------------------------- start

    def recover(self) -> None:
        """Queue again what was processing when the server died, unless it did so too often."""
        problem = f"The server died {MAX_ATTEMPTS} times during this analysis."
        with self._transaction() as connection:
            connection.execute(
                "UPDATE tasks SET status = ?, active = 0, error_message = ?, ended_at = ?"
                " WHERE status = ? AND attempts >= ?",
                (FAILED, problem, self._clock(), PROCESSING, MAX_ATTEMPTS),
            )
            connection.execute("UPDATE tasks SET status = ? WHERE status = ?", (QUEUED, PROCESSING))

    def forget_uploads(self, before: float) -> None:
        """Forget uploads asked for before that time; the archives of tasks stay."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM uploads WHERE created_at < ?", (before,))

    def queued(self) -> int:
        with self._lock:
            count: int = self._connection.execute("SELECT count(*) FROM tasks WHERE status = ?", (QUEUED,)).fetchone()[
                0
            ]
        return count

    def blobs(self) -> frozenset[str]:
        """The digests of all blobs that something refers to."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT archive FROM tasks UNION SELECT report FROM tasks UNION SELECT archive FROM uploads"
            ).fetchall()
        return frozenset(digest for (digest,) in rows if digest)


def _task(row: sqlite3.Row) -> StoredTask:
    return StoredTask(
        id=row["id"],
        engine=Engine(row["engine"]),
        purl=row["purl"],
        status=row["status"],
        created_at=row["created_at"],
        ended_at=row["ended_at"],
        error_message=row["error_message"],
        report=row["report"],
        report_bytes=row["report_bytes"],
    )
