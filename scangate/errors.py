"""The one family of errors, and the exit codes.

Every error that a user can cause or meet is a `ScangateError`: a message that says where and what,
and a hint that says what to do now. Only `scangate.cli` catches it. Anything else is a bug (exit 4).
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple


class ExitCode(IntEnum):
    """What the process ends with. 1 wins over 3: malware that was found beats an outage."""

    PASS = 0
    BLOCKED = 1
    """The policy denies at least one package."""
    USAGE = 2
    """Wrong usage, configuration, policy or lockfile: nothing was decided."""
    INCOMPLETE = 3
    """A verdict could not be had for something, and the policy does not excuse it."""
    BUG = 4
    INTERRUPTED = 130


class ScangateError(Exception):
    """The root of all expected errors.

    `message` says where and what in one line; `hint` says what to do now (may be empty).
    Both may hold text from outside: whoever prints them escapes them.
    """

    exit_code = ExitCode.USAGE

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(ScangateError):
    """A wrong argument, option or environment variable."""


class PurlError(ScangateError):
    """A text that is not a package URL, or parts that make none."""


class LockfileError(ScangateError):
    """A lockfile, or a file that it needs, cannot be read completely."""

    def __init__(
        self, path: str, problem: str, hint: str, *, line: int | None = None, column: int | None = None
    ) -> None:
        place = path if line is None else f"{path}:{line}" if column is None else f"{path}:{line}:{column}"
        super().__init__(f"{place}: {problem}", hint)
        self.path = path
        self.line = line


class PolicyProblem(NamedTuple):
    """One thing that is wrong in a policy file; `line` and `column` are 1-based."""

    where: str
    line: int
    column: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.where}:{self.line}:{self.column}: {self.message}"


class PolicyError(ScangateError):
    """scangate.yml cannot be used: file:line:column, what is wrong, the nearest valid word.

    `message` and `hint` are the first problem's; `problems` holds all that were found, in the order of the file.
    """

    def __init__(self, message: str, hint: str = "", problems: Sequence[PolicyProblem] = ()) -> None:
        super().__init__(message, hint)
        self.problems = tuple(problems)

    @classmethod
    def of(cls, problems: Sequence[PolicyProblem], *, total: int | None = None) -> "PolicyError":
        """From at least one problem. `total`: how many there are, where not all are given."""
        first, more = problems[0], (total or len(problems)) - 1
        return cls(f"{first}{f' (and {more} more)' if more else ''}.", first.hint, problems)


class ReportError(ScangateError):
    """A saved report given by the user is not a report."""


class ServiceError(ScangateError):
    """The analysis service cannot be asked at all (wrong URL, refused key, out of reach)."""

    exit_code = ExitCode.INCOMPLETE


class BaseError(ScangateError):
    """What a change is compared with cannot be found or read: that is never "no changes"."""

    exit_code = ExitCode.INCOMPLETE


class StateError(ScangateError):
    """A file of scangate's own (budget, cache, store) cannot be used."""

    exit_code = ExitCode.INCOMPLETE
