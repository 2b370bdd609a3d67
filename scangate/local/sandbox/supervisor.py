"""The program in the outer namespaces: lays out the tree, runs the phases under strace and bwrap, reads the trace.

It is process 1 there: when it ends, everything in the sandbox ends. Standard input is an order (wire.Order) and the
driver's life line; standard output takes one answer.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from scangate.errors import ScangateError
from scangate.local.sandbox import dns, kernel, launch, layout, seccomp, wire
from scangate.local.sandbox.base import Limits, LookedUp, PhasePlan, PhaseTrace, Program, Reached, SandboxFailed
from scangate.local.sandbox.processes import Seen, Tree
from scangate.local.sandbox.sink import Records, Sink, plain_address
from scangate.local.sandbox.trace import Reader, TraceError

_ENVIRON = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
_STAGE_BYTES = 4 * 1024**2
_MOST_FILES = 400_000
"""Inodes of the package's tmpfs: they are kernel memory."""
_POLL_SECONDS = 0.01
_WATCH_SECONDS = 0.1
_DAEMON_SECONDS = 2.0
"""So long may what a program has left behind go on, and is still recorded."""
_END_SECONDS = 20.0
_LONGEST_LINE = 8 * 1024**2
_NETWORK = "link set lo up\nroute add local 0.0.0.0/0 dev lo\nroute add local ::/0 dev lo\n"
_RESERVE = 256 * 1024**2
"""Of the machine's memory: below it the job ends."""


def main() -> None:
    """Take one order, answer, end. What is not an answer is a failure to the driver."""
    order = wire.decode_order(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_driver, daemon=True).start()
    try:
        answer = wire.encode_traces(run(order))
    except (ScangateError, TraceError, OSError, subprocess.SubprocessError) as error:
        answer = wire.encode_failure(str(error))
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()


def _end_with_driver() -> None:
    sys.stdin.buffer.read(1)
    os._exit(1)


def run(order: wire.Order) -> tuple[PhaseTrace, ...]:
    """All phases. Raises SandboxFailed, TraceError, OSError, SubprocessError."""
    sources = _lay_out(order)
    _open_network(order.tools)
    sink = Sink()
    Path("/proc/self/oom_score_adj").write_text("1000")  # the machine's own programs come first
    _give_up_privileges(order.user)
    sink.start()
    return tuple(_Phase(order, sources, sink, plan).run() for plan in order.job.phases)


def _command(*argv: str, text: str | None = None) -> None:
    done = subprocess.run(argv, input=text, env=_ENVIRON, capture_output=True, text=True, check=False)  # noqa: S603  (fixed programs)
    if done.returncode != 0:
        raise SandboxFailed(f"The sandbox could not be prepared: {argv[0]}: {done.stderr.strip()[-500:]}.")


def _lay_out(order: wire.Order) -> dict[str, str]:
    """Mount and fill the stage; returns what to bind read-only, source by sandbox path."""
    at, job = Path(order.workspace), order.job
    kernel.mount("tmpfs", str(at), "tmpfs", kernel.NOSUID | kernel.NODEV, f"size={_STAGE_BYTES},mode=755")
    tree = at / "tree"
    for folder in (tree, at / "etc", at / "ro", at / "run"):
        folder.mkdir(mode=0o755)
    options = f"size={job.limits.disk},nr_inodes={_MOST_FILES},mode=755"
    kernel.mount("tmpfs", str(tree), "tmpfs", kernel.NOSUID | kernel.NODEV, options)
    for folder_name in layout.WRITABLE.values():
        (tree / folder_name).mkdir(mode=0o755)
    _command("cp", "-R", "-P", "--preserve=mode,timestamps,links", f"{job.tree}/.", str(tree / "app"))
    for name, text in layout.ETC.items():
        (at / "etc" / name).write_text(text)
    for name, text in layout.bait_files(job.baits).items():
        file = tree / "home" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, errors="surrogateescape")
        file.chmod(0o600)
    if order.user is not None:
        _command("chown", "-hR", f"{order.user}:{order.user}", str(tree), str(at / "run"))
    sources = {inside: _bound(outside, at / "ro" / str(n)) for n, (inside, outside) in enumerate(job.read_only.items())}
    # Under a name that every user can reach, whatever the rights of the workspace's parents are.
    kernel.mount(str(at), launch.STAGE, "", kernel.BIND | kernel.RECURSIVE)
    return sources


def _bound(outside: Path, point: Path) -> str:
    if outside.is_dir():
        point.mkdir()
    else:
        point.touch()
    kernel.mount(str(outside), str(point), "", kernel.BIND | kernel.RECURSIVE)
    return f"{launch.STAGE}/ro/{point.name}"


def _open_network(tools: dict[str, str]) -> None:
    _command(tools["ip"], "-batch", "-", text=_NETWORK)
    Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0")


def _give_up_privileges(user: int | None) -> None:
    if user is None:
        return
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    kernel.die_with_parent()


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
class _Log:
    """Reads strace's log into the tree while it is written."""

    path: str
    tree: Tree
    most: int
    failure: Exception | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    def read(self) -> None:
        try:
            with open(self.path, "rb") as stream:
                self._lines(stream)
        except (TraceError, OSError, UnicodeDecodeError, KeyError, ValueError) as error:
            self.failure = error
        finally:
            self.ended.set()

    def _lines(self, stream: IO[bytes]) -> None:
        reader, size = Reader(), 0
        while line := stream.readline(_LONGEST_LINE):
            size += len(line)
            if size > self.most:
                raise TraceError(f"the trace is larger than {self.most} bytes")
            if not line.endswith(b"\n"):
                raise TraceError("the trace breaks off in the middle of a line")
            event = reader.read(line[:-1].decode("ascii"))
            if event is not None:
                self.tree.add(event)
        self.tree.close()


@dataclass(slots=True)
class _Phase:
    order: wire.Order
    sources: dict[str, str]
    sink: Sink
    plan: PhasePlan
    package: Seen = field(default_factory=Seen)
    others: Seen = field(default_factory=Seen)
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)

    def run(self) -> PhaseTrace:
        deadline = time.monotonic() + self.plan.seconds
        status = "completed"
        for program in self.plan.programs:
            status = self._program(program, deadline)
            if status != "completed":
                break
        records = self.sink.take()
        if records.overflow or not self.sink.alive:
            raise SandboxFailed("More reached the sandbox's sink than can be kept.")
        return PhaseTrace(
            phase=self.plan.phase,
            status=status,
            stdout=bytes(self.stdout),
            stderr=bytes(self.stderr),
            ran=tuple(sorted(self.package.ran, key=lambda ran: (ran.argv, ran.environ))),
            touched=self.package.touched(),
            reached=tuple(sorted(self._reached(records), key=lambda item: (item.address, item.port))),
            looked_up=tuple(sorted(self._looked_up(records), key=lambda item: (item.name, item.record_type))),
            sent=tuple(sorted({data for address, port, data in records.sent if self._is_ours(address, port)})),
        )

    def _is_ours(self, address: str, port: int) -> bool:
        """Not what only the tools have spoken to."""
        return (address, port) in self.package.reached or (address, port) not in self.others.reached

    def _reached(self, records: Records) -> Iterator[Reached]:
        for address, port in self.package.reached:
            if (address, port) == (dns.ADDRESS, dns.PORT):
                continue  # the sandbox's own resolver, told of by `looked_up`
            names = set(records.names.get((address, port), ()))
            if (known := self.sink.names.name(address)) is not None:
                names.add(known)
            yield Reached(address=address, port=port, names=tuple(sorted(names)))

    def _looked_up(self, records: Records) -> Iterator[LookedUp]:
        theirs = self.others.asked - self.package.asked
        return (asked for asked in records.looked_up if asked.name not in theirs)

    def _program(self, program: Program, deadline: float) -> str:
        limits = self.order.job.limits
        inner = launch.inner(program, limits)
        tree = Tree(
            launch=tuple(_as_traced(item) for item in inner),
            own=program.own,
            roots=program.roots,
            package=self.package,
            others=self.others,
        )
        log = f"{launch.STAGE}/run/log"
        Path(log).unlink(missing_ok=True)
        os.mkfifo(log, 0o600)
        run = _Run(tree=tree, log=_Log(log, tree, limits.trace), limits=limits, sink=self.sink)
        status = run.execute(self._argv(program, inner), deadline)
        for kept, new in ((self.stdout, run.stdout), (self.stderr, run.stderr)):
            kept += new
            del kept[: -limits.output]
        return status

    def _argv(self, program: Program, inner: list[str]) -> "_Argv":
        return _Argv(self.order, program, inner, self.sources)


@dataclass(frozen=True, slots=True)
class _Argv:
    order: wire.Order
    program: Program
    inner: list[str]
    sources: dict[str, str]

    def build(self, log: str, filter_fd: int) -> list[str]:
        tools = self.order.tools
        return launch.tracer(tools, log) + launch.bubblewrap(
            tools,
            command=self.inner,
            environ={**self.program.environ, **self.order.job.baits},
            read_only=self.sources,
            filter_fd=filter_fd,
        )


@dataclass(slots=True)
class _Run:
    """One program from its start to the end of all that it has started."""

    tree: Tree
    log: _Log
    limits: Limits
    sink: Sink
    stdout: bytes = b""
    stderr: bytes = b""
    verdict: str | None = None
    killed: bool = False

    def execute(self, argv: _Argv, deadline: float) -> str:
        with _filter() as filter_fd:
            tracer = subprocess.Popen(  # noqa: S603  (made of absolute paths; the package's argv is data)
                argv.build(self.log.path, filter_fd),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_ENVIRON,
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
        count, memory = _usage()
        if count > self.limits.processes + 16 or memory > self.limits.memory or _free_memory() < _RESERVE:
            self._kill("error_other", tracer, now)
        refused = {port for address, port in self.tree.refused if not address.startswith(("127.", "::1"))}
        if refused:
            self.sink.listen_on(refused)

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
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)  # process 1 itself is not meant by it

    def _release_reader(self) -> None:
        """A tracer that never opened its log has left the reader waiting for it."""
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


def _as_traced(argument: str) -> str:
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


def _usage() -> tuple[int, int]:
    """How many processes there are besides this one, and the bytes of memory that are theirs alone."""
    count = pages = 0
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit() or entry.name == "1":
            continue
        try:
            with open(f"/proc/{entry.name}/statm", "rb") as file:
                _, resident, shared = file.read().split()[:3]
        except (OSError, ValueError):
            continue  # it has ended meanwhile
        count += 1
        pages += int(resident) - int(shared)
    return count, pages * os.sysconf("SC_PAGE_SIZE")


def _free_memory() -> int:
    with open("/proc/meminfo", "rb") as file:
        for line in file:
            if line.startswith(b"MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 1 << 62
