"""The request budget: how many counted requests this user may still send, over all processes.

The service counts submissions, upload-url and the task list; GET task is free. Its window is renewed by every counted
request that it lets through (service sources, observed): the count starts anew only when a whole period has passed
without one. The ledger here counts the same way, which also stays within a fixed or sliding window of that length.
"""

import hashlib
import math
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from scangate.errors import StateError, UsageError

_RATE = re.compile(r"\s*([0-9]{1,9})\s*/\s*([smhd])\s*\Z", re.ASCII)
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SCHEMA_VERSION = 1
_BUSY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `limit` requests in `seconds`."""

    limit: int
    seconds: float

    @classmethod
    def parse(cls, text: str) -> "Rate":
        """ "100/h", "5/s", "30/m", "1000/d". Raises UsageError."""
        found = _RATE.match(text)
        if not found or int(found[1]) == 0:
            raise UsageError(
                f"{text[:40]!r} is not a rate.", "Write how many requests in how long: 100/h (also /s, /m, /d)."
            )
        return cls(int(found[1]), _SECONDS[found[2]])

    def __str__(self) -> str:
        unit = next((unit for unit, seconds in _SECONDS.items() if seconds == self.seconds), f"{self.seconds:g} s")
        return f"{self.limit}/{unit}"


class Budget(Protocol):
    """Counted requests. `now` is seconds since 1970, the same for all processes."""

    def spend(self, now: float, *, leave: int = 0) -> float:
        """Take one request, where at least `leave` remain after it: 0.0.

        Otherwise nothing is taken, and the answer is how many seconds it takes until it may be had (infinite: never).
        """

    def give_back(self) -> None:
        """Return one that the service surely did not count: refused by a 429, or never sent."""


@dataclass(frozen=True, slots=True)
class Window:
    """The ledger of one key: `used` requests, the last at `last`, none further apart than `seconds`."""

    used: int = 0
    last: float = 0.0
    seconds: float = 0.0

    def spend(self, rate: Rate, now: float, leave: int) -> tuple["Window", float]:
        """The window afterwards, and the wait (see Budget.spend)."""
        if leave >= rate.limit:
            return self, math.inf
        # Processes may run with different rates: the longest period of those that counted here decides.
        seconds = max(rate.seconds, self.seconds)
        # A clock that was set back must lock nobody out for longer than one period.
        last = min(self.last, now)
        expired = now - last >= seconds
        if expired:
            return Window(1, now, rate.seconds), 0.0
        if self.used + leave < rate.limit:
            return Window(self.used + 1, now, seconds), 0.0
        return replace(self, last=last), last + seconds - now

    def give_back(self) -> "Window":
        return replace(self, used=max(0, self.used - 1))


class NoBudget:
    """No limit: for a service that this run has to itself."""

    def spend(self, now: float, *, leave: int = 0) -> float:  # noqa: ARG002 - Budget's signature
        return 0.0

    def give_back(self) -> None: ...


class ProcessBudget:
    """A budget that only this process knows of."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._window = Window()

    def spend(self, now: float, *, leave: int = 0) -> float:
        return self._change(lambda window: window.spend(self._rate, now, leave))

    def give_back(self) -> None:
        self._change(lambda window: (window.give_back(), 0.0))

    def _change(self, change: Callable[[Window], tuple[Window, float]]) -> float:
        self._window, wait = change(self._window)
        return wait


class SharedBudget(ProcessBudget):
    """A budget that all processes of one user share, through a SQLite file in `directory`.

    Where the file cannot be used (no right, full disk, corrupted, locked for long, of a newer version), `warn` is
    told once and this process counts alone from then on, starting from what it last read: no crash, and no limit
    lifted silently. The file is left as it is.
    """

    def __init__(self, rate: Rate, directory: Path, *, account: str, warn: Callable[[str], None]) -> None:
        super().__init__(rate)
        self._path = directory / "budget.sqlite3"
        self._account = account
        self._warn = warn
        self._alone = False

    def _change(self, change: Callable[[Window], tuple[Window, float]]) -> float:
        if not self._alone:
            try:
                return self._change_shared(change)
            except (OSError, sqlite3.Error, StateError) as exc:
                self._alone = True
                why = str(exc).rstrip(".")
                self._warn(
                    f"{self._path}: the request budget cannot be shared with other runs ({why}); this run keeps to"
                    f" {self._rate} by itself. Remove the file, or make it writable."
                )
        return super()._change(change)

    def _change_shared(self, change: Callable[[Window], tuple[Window, float]]) -> float:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A connection for each change: nothing to close, nothing shared between threads, nothing held while idle.
        with closing(sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)) as database:
            # The state is worth an hour. Waiting for the disk at every request is not.
            database.execute("PRAGMA synchronous = OFF")
            database.execute("BEGIN IMMEDIATE")
            _prepare(database)
            known = _read(database, self._account)
            window, wait = change(known)
            if window != known:
                database.execute(
                    "INSERT OR REPLACE INTO budget VALUES (?, ?, ?, ?)",
                    (self._account, window.used, window.last, window.seconds),
                )
            database.execute("COMMIT")
        self._window = window
        return wait


def account(origin: str, key: str) -> str:
    """What one limit of the service applies to, as text that tells nobody the key."""
    return f"{origin} {hashlib.sha256(f'scangate budget {key}'.encode()).hexdigest()[:32]}"


def _prepare(database: sqlite3.Connection) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version not in (0, _SCHEMA_VERSION):
        raise StateError(f"written by another version of scangate, {version}.")
    if version == 0:
        database.execute(
            "CREATE TABLE budget (account TEXT PRIMARY KEY, used INTEGER NOT NULL, last REAL NOT NULL,"
            " seconds REAL NOT NULL)"
        )
        database.execute(f"PRAGMA user_version = {_SCHEMA_VERSION:d}")


def _read(database: sqlite3.Connection, account: str) -> Window:
    row = database.execute("SELECT used, last, seconds FROM budget WHERE account = ?", (account,)).fetchone()
    match row:
        case None:
            return Window()
        case (int(used), float(last), float(seconds)) if used >= 0 and math.isfinite(last) and 0 <= seconds <= 86400:
            return Window(used, last, seconds)
    raise StateError("its values make no sense.")
