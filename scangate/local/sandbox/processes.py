"""Whose doing is it: follows the process tree through a trace, and keeps what the package's own processes did."""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, assert_never

from scangate.local.sandbox import dns, trace
from scangate.local.sandbox.addresses import plain_address
from scangate.local.sandbox.base import Ran, Touched
from scangate.local.sandbox.trace import Call, Event, Exited, Superseded, TraceError

LAUNCHERS = 2
"""Programs that each process of a job runs before the planned one, by execve in one process: prlimit and env."""

MOST_DIFFERENT = 200_000
"""So many different paths, commands and addresses are kept of one phase; more is no analysis."""

_MOST_WAITING = 100_000
_CLONE_RESULT = re.compile(r"(\d+)(?: /\* (\d+) in strace's PID NS \*/)?")
_FLAGS = re.compile(r'[",}] ?(?:\{flags=)?(O_[A-Z0-9_|x]+)')
_SOCKET_ADDRESS = re.compile(
    r'\{sa_family=AF_INET, sin_port=htons\((?P<port>\d+)\), sin_addr=inet_addr\("(?P<inet>[^"]*)"\)\}'
    r'|\{sa_family=AF_INET6, sin6_port=htons\((?P<port6>\d+)\), [^"}]*inet_pton\(AF_INET6, "(?P<inet6>[^"]*)"'
    rf'|\{{sa_family=AF_UNIX, sun_path="(?P<unix>{trace.QUOTED})"'
    rf'|"(?P<data>{trace.QUOTED})"'
)

_DESCRIPTORS_OF_INIT = re.compile(r'\d+</proc>, "self/fd", O_RDONLY')
"""bwrap looks which of its descriptors are to be closed."""
_THROUGH_A_DESCRIPTOR = re.compile(r"/(?:proc/(?:self|thread-self|\d+)(?:/task/\d+)?|dev)/fd/(\d+)")
_MEMORY = re.compile(r'/mem[">]')
_FOR_WRITING = re.compile(r"\bO_(?:RDWR|WRONLY)\b")

_EXECUTES = frozenset({"execve", "execveat"})
_CLONES = frozenset({"clone", "clone3", "fork", "vfork"})
_LOOKS = frozenset({"stat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2"})
_WRITES = frozenset({"truncate", "chmod", "fchmodat", "mknod", "mknodat", "creat"})
_DELETES = frozenset({"unlink", "unlinkat", "rmdir"})
_RENAMES = frozenset({"rename", "renameat", "renameat2"})
_LINKS = frozenset({"link", "linkat"})
_SYMLINKS = frozenset({"symlink", "symlinkat"})
_OPENS = frozenset({"open", "openat", "openat2"})
_TALKS = frozenset({"connect", "bind", "sendto", "sendmsg", "sendmmsg"})
TRACED = tuple(
    sorted(
        _EXECUTES | _CLONES | _LOOKS | _WRITES | _DELETES | _RENAMES | _LINKS | _SYMLINKS | _OPENS | _TALKS
        | {"chdir", "fchdir", "memfd_create"}
    )
)  # fmt: skip
"""The system calls that strace is asked for."""


@dataclass(slots=True)
class Seen:
    """What some processes did. `reached` and `asked`: sockets' peers and own addresses, names in DNS questions."""

    ran: set[Ran] = field(default_factory=set)
    paths: dict[str, int] = field(default_factory=dict)
    reached: set[tuple[str, int]] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)

    def touched(self) -> tuple[Touched, ...]:
        return tuple(
            Touched(path=path, read=bool(how & READ), write=bool(how & WRITE), delete=bool(how & DELETE))
            for path, how in sorted(self.paths.items())
        )

    def touch(self, path: str, how: int) -> None:
        self.paths[path] = self.paths.get(path, 0) | how

    def check_bounds(self) -> None:
        if max(len(self.ran), len(self.paths), len(self.reached), len(self.asked)) > MOST_DIFFERENT:
            raise TraceError(f"more than {MOST_DIFFERENT} different things were done in one phase")


READ, WRITE, DELETE = 1, 2, 4


@dataclass(slots=True)
class _Directory:
    """A current directory, shared by the threads of a process."""

    path: str = "/"


@dataclass(slots=True)
class _Process:
    directory: _Directory
    ours: bool = False
    launching: int | None = None
    """How many launchers are still to come before the planned program; None: not a planned process."""
    replaced: bool = False
    """A thread's execve has just taken the process over: it did not fail, though strace, which misses its end, shows
    "?" or the number of the new program's next system call, negated, as an error that there is none of."""


@dataclass(slots=True, kw_only=True)
class Tree:
    """The processes of one program's trace. `launch` is the argv with which the planned process begins.

    `own` as in base.Program. What the launchers and the sandbox itself do is nobody's.
    """

    launch: tuple[str, ...]
    own: bool
    package: Seen
    others: Seen
    top: int | None = None
    """The first process of the trace: bwrap."""
    init: int | None = None
    """The first process in bwrap's own process namespace: killing it ends all others there."""
    root: int | None = None
    started: bool = False
    """The planned program was executed."""
    ended: bool = False
    code: int | None = None
    """The planned process's exit code, None where a signal killed it (or it has not ended)."""
    _processes: dict[int, _Process] = field(default_factory=dict)
    _waiting: dict[int, list[Event]] = field(default_factory=dict)
    _count: int = 0
    _memory_files: dict[int, str] = field(default_factory=dict)
    """The last file in memory (memfd_create) of each descriptor's number: "/memfd:NAME"."""
    _links: dict[str, str] = field(default_factory=dict)
    """Symbolic links that the package has made to descriptors."""
    _tampered: bool = False
    """The package has opened a process's memory: from then on any process may do the package's work."""

    def add(self, event: Event) -> None:
        """Take the trace's next event. Raises TraceError."""
        if self.top is None:
            self.top = event.pid
            self._processes[event.pid] = _Process(_Directory())
        if isinstance(event, Superseded) and event.thread in self._processes:
            self._processes[event.pid] = self._processes.pop(event.thread)
            self._processes[event.pid].replaced = True
            return
        if event.pid not in self._processes:
            # A child's first lines may come before its parent's fork returns.
            self._waiting.setdefault(event.pid, []).append(event)
            self._count += 1
            if self._count > _MOST_WAITING:
                raise TraceError("too many lines of processes without a parent")
            return
        self._apply(event)

    def close(self) -> None:
        """The trace is at its end. A process whose parent never told of it is taken for the package's."""
        while self._waiting:
            pid = next(iter(self._waiting))
            self._adopt(pid, _Process(_Directory(), ours=True))
        self.package.check_bounds()

    @property
    def complete(self) -> bool:
        """Everything that began has ended, the sandbox's own processes included."""
        return self.ended and not self._processes

    def _apply(self, event: Event) -> None:
        match event:
            case Call():
                self._called(event, self._processes[event.pid])
            case Exited():
                del self._processes[event.pid]
                if event.pid == self.root:
                    self.ended, self.code = True, event.code
            case Superseded():
                # The thread had ended already, or nothing was heard of it yet: its leader is known.
                self._processes[event.pid].replaced = True

    def _adopt(self, pid: int, process: _Process) -> None:
        self._processes[pid] = process
        for event in self._waiting.pop(pid, ()):
            self._count -= 1
            # An adopted process can itself adopt, supersede or end.
            self.add(event)

    def _called(self, call: Call, process: _Process) -> None:
        name = call.name
        if name in _CLONES:
            self._cloned(call, process)
        elif name in _EXECUTES:
            self._executed(call, process)
        elif name in ("chdir", "fchdir"):
            self._moved(call, process)
        elif call.pid == self.init and name in _OPENS and _DESCRIPTORS_OF_INIT.match(call.arguments):
            return  # before it waits; on a busy machine that is after the planned program's start
        elif process.ours or self._tampered:
            _note(call, process.directory, self.package)
            self._remember(call, process)
            self._tampered = self._tampered or _opens_memory(call)
        elif name in _TALKS:
            _talked(call, process.directory, self.others)

    def _cloned(self, call: Call, process: _Process) -> None:
        result = _CLONE_RESULT.fullmatch(call.result)
        if result is None:
            if not call.failed:
                raise TraceError(f"a fork without a child: {call.result[:100]!r}")
            return
        child = int(result[2] or result[1])
        if self.init is None and call.pid == self.top:
            self.init = child
        shares = "CLONE_FS" in call.arguments
        directory = process.directory if shares else _Directory(process.directory.path)
        self._adopt(child, _Process(directory, ours=process.ours))

    def _executed(self, call: Call, process: _Process) -> None:
        failed = call.failed and not process.replaced
        process.replaced = False
        if failed and not (process.ours or self._tampered):
            return
        if not failed or call.result.startswith("-1 ENOENT") or call.result.startswith("-1 EACCES"):
            argv, environ = trace.arrays(call.arguments)
            self._planned(call.pid, argv, process)
            if process.ours or self._tampered:
                self.package.ran.add(Ran(argv=argv, environ=environ))
                self._executed_file(call, process)

    def _planned(self, pid: int, argv: tuple[str, ...], process: _Process) -> None:
        if self.root is None:
            if argv == self.launch:
                self.root, process.launching = pid, LAUNCHERS
            return
        if process.launching is None:
            return
        process.launching -= 1
        if process.launching == 0:
            process.launching = None
            self.started = True
            process.ours = self.own
            if self.init in self._processes:
                # It only waits from now on. What else it does, the package made it do (by /proc/1/mem).
                self._processes[self.init].ours = True

    def _executed_file(self, call: Call, process: _Process) -> None:
        operand = next(trace.operands(call.arguments))  # arrays() has seen it
        if (path := _absolute(operand, process.directory)) is not None:
            self.package.touch(path, READ)
            if not call.failed and (file := self._in_memory(path)) is not None:
                self.package.touch(file, READ)
        self.package.check_bounds()

    def _remember(self, call: Call, process: _Process) -> None:
        """What a later execve's path may lead to."""
        if call.failed:
            return
        if call.name == "memfd_create":
            number = call.result.partition("<")[0]
            if (path := trace.descriptor_path(call.result)) is not None:
                self._memory_files[int(number)] = path
        elif call.name in _SYMLINKS:
            target, link = (*trace.operands(call.arguments), None, None)[:2]
            if target is not None and link is not None and _THROUGH_A_DESCRIPTOR.fullmatch(target.path):
                self._links[_absolute(link, process.directory) or ""] = target.path

    def _in_memory(self, path: str) -> str | None:
        """The file in memory that a path through a descriptor leads to; the descriptor may be a copy of another."""
        through = _THROUGH_A_DESCRIPTOR.fullmatch(self._links.get(path, path))
        if through is None or not self._memory_files:
            return None
        return self._memory_files.get(int(through[1]), next(iter(self._memory_files.values())))

    def _moved(self, call: Call, process: _Process) -> None:
        if call.failed:
            return
        if call.name == "fchdir":
            path = trace.descriptor_path(call.arguments)
        else:
            path = next((_absolute(operand, process.directory) for operand in trace.operands(call.arguments)), None)
        if path is None:
            raise TraceError(f"a change to an unknown directory: {call.arguments[:200]!r}")
        process.directory.path = path


def _opens_memory(call: Call) -> bool:
    shown = f"{call.arguments} {call.result}"
    return call.name in _OPENS and bool(_MEMORY.search(shown) and _FOR_WRITING.search(shown))


def _note(call: Call, directory: _Directory, seen: Seen) -> None:
    if call.name in _TALKS:
        _talked(call, directory, seen)
    elif call.name == "memfd_create":
        return  # as a command it is seen by its execveat, as a file it is memory
    elif call.name in _OPENS:
        _opened(call, directory, seen)
    else:
        _named(call, directory, seen)
    seen.check_bounds()


def _opened(call: Call, directory: _Directory, seen: Seen) -> None:
    operand = next(trace.operands(call.arguments), None)
    flags = _FLAGS.search(call.arguments[_end_of_path(call.arguments) :])
    how = _how(flags[1] if flags else "")
    asked = None if operand is None else _absolute(operand, directory)
    if asked is not None:
        seen.touch(asked, how)
    if call.failed:
        return
    if "<" not in call.result:
        # Not even the tracer may look: an executable that nobody may read makes its process so.
        raise TraceError(f"an open of an unknown path: {call.arguments[:200]!r}")
    result = trace.descriptor_path(call.result)
    if result is not None and result != asked:
        seen.touch(posixpath.normpath(result), how)  # where links led to


def _end_of_path(arguments: str) -> int:
    match = trace.FIRST_PATH.match(arguments)
    return match.end() - 1 if match else 0


def _how(flags: str) -> int:
    words = set(flags.split("|"))
    how = 0
    if words & {"O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND", "O_TMPFILE"}:
        how |= WRITE
    if not words & {"O_WRONLY"}:
        how |= READ
    return how


_ONE_PATH: dict[frozenset[str], int] = {_LOOKS: READ, _WRITES: WRITE, _DELETES: DELETE}


def _named(call: Call, directory: _Directory, seen: Seen) -> None:
    name = call.name
    operands = [operand for operand in trace.operands(call.arguments) if operand.path]
    paths = [path for operand in operands if (path := _absolute(operand, directory)) is not None]
    if name in _SYMLINKS:
        hows = [0, WRITE]  # the first operand is a text
    elif name in _RENAMES:
        hows = [DELETE, WRITE]
    elif name in _LINKS:
        hows = [READ, WRITE]
    else:
        hows = [next((how for names, how in _ONE_PATH.items() if name in names), READ)]
        if not paths and name in _LOOKS:
            return  # fstat: a descriptor, opened before
    if len(paths) < len(hows) and not call.failed:
        raise TraceError(f"{name} of an unknown path: {call.arguments[:200]!r}")
    for path, how in zip(paths, hows, strict=False):
        if how:
            seen.touch(path, how)


def _talked(call: Call, directory: _Directory, seen: Seen) -> None:
    to_dns = call.name in ("sendmmsg", "sendmsg", "sendto")
    for operand in _operands_of_talk(call):
        match operand:
            case _Peer(address, port):
                seen.reached.add((address, port))
            case _UnixSocket(path):
                how = WRITE if call.name == "bind" else READ
                seen.touch(posixpath.normpath(posixpath.join(directory.path, path)), how)
            case _Data(content):
                if to_dns and (question := dns.question(content)):
                    seen.asked.add(question.name)
            case _:
                assert_never(operand)


class _Peer(NamedTuple):
    """A socket's address in a network."""

    address: str
    port: int


class _UnixSocket(NamedTuple):
    path: str


class _Data(NamedTuple):
    """What is sent, as far as strace shows it."""

    content: bytes


def _operands_of_talk(call: Call) -> Iterator[_Peer | _UnixSocket | _Data]:
    for match in _SOCKET_ADDRESS.finditer(call.arguments):
        if match["inet"] is not None:
            yield _Peer(address=_plain(match["inet"]), port=int(match["port"]))
        elif match["inet6"] is not None:
            yield _Peer(address=_plain(match["inet6"]), port=int(match["port6"]))
        elif match["unix"] is not None:
            yield _UnixSocket(path=trace.text(match["unix"]))
        else:
            yield _Data(content=trace.raw_bytes(match["data"]))


def _plain(address: str) -> str:
    try:
        return plain_address(address)
    except ValueError as exc:
        raise TraceError(f"not an address: {address[:100]!r}") from exc


def _absolute(operand: trace.Operand, directory: _Directory) -> str | None:
    """None: relative to a descriptor whose path is not known."""
    if operand.at_cwd and operand.directory is not None:
        directory.path = operand.directory
    base = directory.path if operand.at_cwd else operand.directory
    if base is None and not operand.path.startswith("/"):
        return None
    path = posixpath.normpath(posixpath.join(base or "/", operand.path))
    return path[1:] if path.startswith("//") else path
