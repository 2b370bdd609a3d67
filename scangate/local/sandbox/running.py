"""One program of the package under the tracer: starts it, watches its limits, reads its trace to the end."""

import contextlib
import fcntl
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import FileIO
from typing import IO

from scangate.local.sandbox import launch, seccomp, stage, usage
from scangate.local.sandbox.base import Limits, SandboxFailed
from scangate.local.sandbox.processes import Tree
from scangate.local.sandbox.trace import Reader, TraceError

_POLL_SECONDS = 0.01
_WATCH_SECONDS = 0.1
_DAEMON_SECONDS = 2.0
"""So long may what a program has left behind go on, and is still recorded."""
_END_SECONDS = 20.0
_PIPE = 512 * 1024
_BATCH_SECONDS = 0.005
"""Lines are read many at once: to be woken up for each of them would slow the package down."""
_LONGEST_LINE = 8 * 1024**2
_RESERVE = 256 * 1024**2
"""Of the machine's memory: below it the job ends."""
_SOME_MORE = 16
"""Processes of the sandbox itself."""


@dataclass(slots=True)
class _Tail:
    """Reads a pipe to its end and keeps the last bytes."""

    pipe: IO[bytes]
    most: int
    data: bytearray = field(default_factory=bytearray)

    def read(self) -> None:
        with self.pipe:
            while part := os.read(self.pipe.fileno(), 65536):
                self.data += part
                del self.data[: -self.most]


@dataclass(slots=True)
class Log:
    """Reads strace's log into the tree while it is written."""

    path: str
    tree: Tree
    most: int
    failure: Exception | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    def read(self) -> None:
        try:
            with FileIO(self.path) as stream:
                self._lines(stream)
        except (TraceError, OSError, UnicodeDecodeError, KeyError, ValueError) as error:
            self.failure = error
        finally:
            self.ended.set()

    def _lines(self, stream: FileIO) -> None:
        with contextlib.suppress(PermissionError):  # a user's pipes have a common limit
            fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, _PIPE)
        reader, size, rest = Reader(), 0, b""
        while part := stream.read(_PIPE):
            size += len(part)
            if size > self.most:
                raise TraceError(f"the trace is larger than {self.most} bytes")
            *lines, rest = (rest + part).split(b"\n")
            if len(rest) > _LONGEST_LINE:
                raise TraceError(f"a line of the trace is longer than {_LONGEST_LINE} bytes")
            for line in lines:
                event = reader.read(line.decode("ascii"))
                if event is not None:
                    self.tree.add(event)
            if len(part) < _PIPE // 2:
                time.sleep(_BATCH_SECONDS)
        if rest:
            raise TraceError("the trace breaks off in the middle of a line")
        self.tree.close()


@dataclass(slots=True)
class Run:
    """One program from its start to the end of all that it has started."""

    tree: Tree
    log: Log
    limits: Limits
    stdout: bytes = b""
    stderr: bytes = b""
    verdict: str | None = None
    killed: bool = False

    def execute(self, argv: Callable[[int], list[str]], deadline: float) -> str:
        with _filter() as filter_fd:
            tracer = subprocess.Popen(  # noqa: S603  (made of absolute paths; the package's argv is data)
                argv(filter_fd),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=stage.ENVIRON,
                pass_fds=(filter_fd,),
            )
        assert tracer.stdout is not None
        assert tracer.stderr is not None
        tails = [_Tail(tracer.stdout, self.limits.output), _Tail(tracer.stderr, self.limits.output)]
        threads = [
            threading.Thread(target=work, daemon=True) for work in (*(tail.read for tail in tails), self.log.read)
        ]
        for thread in threads:
            thread.start()
        self._wait(tracer, deadline)
        self._kill_all(tracer)  # without its tracer nothing may go on
        self._release_reader()
        for thread in threads:
            thread.join(_END_SECONDS)
        self.stdout, self.stderr = (bytes(tail.data) for tail in tails)
        if any(thread.is_alive() for thread in threads):
            raise SandboxFailed("The sandbox did not end.")
        return self._status(tracer.returncode)

    def _wait(self, tracer: subprocess.Popen[bytes], deadline: float) -> None:
        left_since: float | None = None
        watched = 0.0
        while tracer.poll() is None:
            now = time.monotonic()
            if self.log.failure is not None:
                self._kill_all(tracer)
            elif now > deadline:
                self._kill("error_timeout", tracer, deadline)
            elif self.tree.ended:
                left_since = left_since or now
                if now - left_since > _DAEMON_SECONDS:
                    self._kill(None, tracer, left_since + _DAEMON_SECONDS)
            if now - watched > _WATCH_SECONDS:
                watched = now
                self._watch(tracer, now)
            time.sleep(_POLL_SECONDS)

    def _watch(self, tracer: subprocess.Popen[bytes], now: float) -> None:
        used = usage.measure()
        if used.memory > self.limits.memory:
            used = usage.measure(exactly=True)
        too_many = used.processes > self.limits.processes + _SOME_MORE
        if too_many or used.memory > self.limits.memory or usage.free_memory() < _RESERVE:
            self._kill("error_other", tracer, now)

    def _kill(self, verdict: str | None, tracer: subprocess.Popen[bytes], since: float) -> None:
        """End the package's processes, so that the tracer still writes their ends; if that is in vain, all."""
        if not self.killed:
            self.killed, self.verdict = True, verdict
            if self.tree.init is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.tree.init, signal.SIGKILL)
        if time.monotonic() - since > _END_SECONDS:
            self._kill_all(tracer)

    def _kill_all(self, tracer: subprocess.Popen[bytes]) -> None:
        tracer.kill()
        if os.getpid() == 1:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)  # all in this namespace but process 1 itself

    def _release_reader(self) -> None:
        """A tracer that never opened its log has left the reader waiting for it, or about to."""
        latest = time.monotonic() + _END_SECONDS
        while not self.log.ended.wait(_POLL_SECONDS) and time.monotonic() < latest:
            with contextlib.suppress(OSError):
                os.close(os.open(self.log.path, os.O_WRONLY | os.O_NONBLOCK))

    def _status(self, tracer_code: int) -> str:
        """Raises SandboxFailed unless the trace is proved to be whole."""
        if self.log.failure is not None:
            raise SandboxFailed(f"The trace cannot be read: {self.log.failure}.")
        if self.tree.root is None:
            said = self.stderr.decode("utf-8", "replace").strip()[-300:]
            raise SandboxFailed(f"The program was not started: {said or 'nothing was traced'}.")
        if tracer_code < 0 or not self.tree.complete:
            raise SandboxFailed("The tracer ended before the package did.")
        if self.verdict is not None:
            return self.verdict
        return "completed" if self.tree.started and self.tree.code == 0 else "error_analysis"


def as_traced(argument: str) -> str:
    """An argument as strace shows it, cut off where it cuts."""
    raw = os.fsencode(argument)
    if len(raw) <= launch.STRING_SIZE:
        return raw.decode("utf-8", "surrogateescape")
    return raw[: launch.STRING_SIZE].decode("utf-8", "surrogateescape") + "..."


@contextlib.contextmanager
def _filter() -> Iterator[int]:
    fd = os.memfd_create("seccomp")
    try:
        os.write(fd, seccomp.program(os.uname().machine))
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)
