"""Contents of git's object store: one `git cat-file --batch` process for all that a run reads."""

import re
import select
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from scangate.changes.git import Git, GitError, kill
from scangate.files import MAX_LOCKFILE_BYTES

READ_SECONDS = 60.0
"""For one object. It may have to come from the remote first (partial clones)."""

_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_MAX_HEADER_BYTES = 1024


class TooLargeError(GitError):
    """The object is larger than a lockfile may be."""


class Objects:
    """The blobs of one repository. A context manager: the process starts with the first read and ends with it."""

    def __init__(
        self,
        git: Git,
        *,
        max_bytes: int = MAX_LOCKFILE_BYTES,
        read_seconds: float = READ_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._git = git
        self._max_bytes = max_bytes
        self._read_seconds = read_seconds
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = b""
        self._others: list[Objects] = []

    def also(self, git: Git) -> "Objects":
        """Those of another repository, which end with these."""
        other = Objects(git, max_bytes=self._max_bytes, read_seconds=self._read_seconds, clock=self._clock)
        self._others.append(other)
        return other

    def __enter__(self) -> "Objects":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in (self, *self._others):
            one.close()

    def close(self) -> None:
        """End the process, if there is one; the next read starts another."""
        process, self._process, self._buffer = self._process, None, b""
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with suppress(OSError):
                pipe.close()
        kill(process)
        process.wait()

    def blob(self, object_id: str) -> bytes:
        """A blob's bytes. Raises GitError where it is missing, no blob, or late; TooLargeError where it is too large.

        `object_id` is a full hexadecimal id, as git itself lists it.
        """
        if _ID.match(object_id) is None:
            raise GitError(f"{object_id!r:.80} is not the id of a git object.", "Check the repository with git fsck.")
        try:
            return self._blob(object_id)
        except BaseException:
            self.close()  # what is left in the pipe belongs to no later answer
            raise

    def _blob(self, object_id: str) -> bytes:
        deadline = self._clock() + self._read_seconds
        if self._process is None:
            self._process = self._git.start("cat-file", "--batch")
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(object_id.encode() + b"\n")
            self._process.stdin.flush()
        except OSError as exc:
            raise _ended() from exc
        header = self._line(deadline).split()
        if len(header) != 3 or header[0] != object_id.encode() or not header[2].isdigit():
            raise GitError(
                f"git has no object {object_id}.",
                "Check the repository with git fsck; in a partial clone the remote must be within reach.",
            )
        if header[1] != b"blob":
            raise GitError(f"git object {object_id} is no file.", "Check the repository with git fsck.")
        size = int(header[2])
        if size > self._max_bytes:
            raise TooLargeError(f"git object {object_id} has {size} bytes.", "Exclude the file in scangate.yml.")
        content = self._exactly(size + 1, deadline)
        return content[:-1]

    def _line(self, deadline: float) -> bytes:
        while b"\n" not in self._buffer:
            if len(self._buffer) > _MAX_HEADER_BYTES:
                raise _ended()
            self._buffer += self._more(deadline)
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _exactly(self, size: int, deadline: float) -> bytes:
        parts, got = [self._buffer], len(self._buffer)
        while got < size:
            parts.append(self._more(deadline))
            got += len(parts[-1])
        content = b"".join(parts)
        self._buffer = content[size:]
        return content[:size]

    def _more(self, deadline: float) -> bytes:
        assert self._process is not None
        stdout = self._process.stdout
        assert stdout is not None
        poll = select.poll()
        poll.register(stdout, select.POLLIN | select.POLLHUP)
        if not poll.poll(max(0.0, deadline - self._clock()) * 1000):
            raise GitError(
                f"git cat-file took longer than {self._read_seconds:g} s for one file.",
                "Fetch what the partial clone lacks, or try again.",
            )
        # read1 gives what is there; read would wait for more.
        chunk: bytes = stdout.read1(1 << 20)  # type: ignore[attr-defined]  # a BufferedReader, which IO does not say
        if not chunk:
            raise _ended()
        return chunk


def _ended() -> GitError:
    return GitError("git cat-file ended before it had answered.", "Check the repository with git fsck.")
