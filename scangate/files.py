"""How parsers see files: by a relative path, from the working tree, an index or a commit. And the one bounded read."""

import os
import stat
from typing import NamedTuple, Protocol

MAX_LOCKFILE_BYTES = 64 * 1024 * 1024
"""Larger files are refused. The largest real lockfiles known to us are below 20 MB."""


class Files(Protocol):
    """A tree of files. Paths are relative, with "/", and never leave the tree."""

    def read(self, path: str) -> bytes | None:
        """The file's bytes; None where there is no such file.

        Raises LockfileError where it is a directory, not readable, or larger than MAX_LOCKFILE_BYTES.
        """


class Unreadable(Exception):
    """A file cannot be used. Who asked for it says which one it is and what to do.

    `reason` is the rest of a sentence that begins with the file's name, without its period: "is larger than 4 MiB".
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Content(NamedTuple):
    """A whole file, and what the system said of it when it was open."""

    data: bytes
    status: os.stat_result

    @property
    def is_open_to_all(self) -> bool:
        """Whether every user of this machine can read it or write to it. A pipe's rights say nothing."""
        mode = self.status.st_mode
        return stat.S_ISREG(mode) and bool(mode & (stat.S_IROTH | stat.S_IWOTH))


def read_bounded(
    path: str | os.PathLike[str], limit: int, *, follow_link: bool = True, may_be_pipe: bool = False
) -> Content:
    """The whole of an ordinary file of at most `limit` bytes.

    `may_be_pipe`: one of `<(command)` is waited for; otherwise nothing makes the run wait. Raises Unreadable.
    """
    more = (0 if follow_link else os.O_NOFOLLOW) | (0 if may_be_pipe else os.O_NONBLOCK)
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | more)) as file:
            status = os.fstat(file.fileno())
            is_pipe = may_be_pipe and stat.S_ISFIFO(status.st_mode)
            data = file.read(limit + 1) if stat.S_ISREG(status.st_mode) or is_pipe else None
    except (OSError, ValueError) as exc:  # ValueError: a NUL or a lone surrogate, which no path has
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else "not a path"
        raise Unreadable(f"cannot be read: {reason}") from exc
    if data is None:
        raise Unreadable("is not an ordinary file")
    if len(data) > limit:
        raise Unreadable(f"is larger than {_size(limit)}")
    return Content(data, status)


def _size(count: int) -> str:
    return (
        f"{count // 2**20} MiB" if count >= 2**20 else f"{count // 2**10} KiB" if count >= 2**10 else f"{count} bytes"
    )
