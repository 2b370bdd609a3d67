"""The working tree as the parsers see it: bounded reads of ordinary files that stay inside one root."""

import errno
import os
import stat
from pathlib import Path

from scangate.errors import LockfileError
from scangate.files import MAX_LOCKFILE_BYTES

_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR})


class WorkTree:
    """`files.Files` over a folder on disk.

    Paths are relative to `folder`, with "/", or absolute; either way the file must lie inside `root` (by default
    `folder` itself), symbolic links followed. A wider root lets `-r ../base.txt` stay inside one repository.
    """

    def __init__(self, folder: Path, *, root: Path | None = None) -> None:
        self._folder = folder
        self._root = os.path.realpath(self._folder if root is None else root)

    def read(self, path: str) -> bytes | None:
        """The file's bytes; None where there is no such file.

        Raises LockfileError where the path leaves the root, or is no ordinary file, or not readable, or larger
        than MAX_LOCKFILE_BYTES.
        """
        try:
            return self._read(path)
        except OSError as exc:
            if exc.errno in _ABSENT:
                return None
            reason = exc.strerror or type(exc).__name__
            raise LockfileError(
                path, f"cannot be read: {reason}.", "Make it a readable file, or exclude it in scangate.yml."
            ) from exc
        except ValueError as exc:  # a NUL or a lone surrogate: no file system has such a name
            raise LockfileError(
                path, "the path holds a character that no file name has.", "Correct the path where it is written."
            ) from exc

    def _read(self, path: str) -> bytes:
        real = os.path.realpath(self._folder / path)
        inside = Path(real).is_relative_to(self._root)
        # git's own folder holds credentials; a lockfile that "includes" .git/config must not get it quoted in an error.
        if not inside or ".git" in Path(real).relative_to(self._root).parts:
            raise LockfileError(
                path,
                "it leads out of the files that are checked.",
                "Replace the link or the path by a file inside, or name the file itself as PATH.",
            )
        # The path is resolved: a link that appears now is a race. O_NONBLOCK: opening a FIFO must not wait.
        descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return _read_all(path, descriptor)
        finally:
            os.close(descriptor)


def _read_all(path: str, descriptor: int) -> bytes:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "not an ordinary file"
        raise LockfileError(path, f"it is {what}.", "Name a lockfile, or remove what has its name.")
    content = b""
    if status.st_size <= MAX_LOCKFILE_BYTES:
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(MAX_LOCKFILE_BYTES + 1)
    # The second bound is for a file that grows, or that reports no size.
    if status.st_size > MAX_LOCKFILE_BYTES or len(content) > MAX_LOCKFILE_BYTES:
        raise LockfileError(
            path,
            f"it is larger than {MAX_LOCKFILE_BYTES // 2**20} MiB.",
            "No known lockfile is that large: check what wrote it, or exclude it in scangate.yml.",
        )
    return content
