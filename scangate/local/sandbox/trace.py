r"""Reads the lines of `strace -f -y -v -o FILE` into events.

The lines quote the package's own text. strace escapes quotes, backslashes, control characters and, in the paths
after a descriptor, angle brackets; so each line has one reading, and a line that has none is an error, never noise.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

# Written so that each text has one way to match: no possessive repeats, in which Python 3.11.2 has a bug.
QUOTED = r'[^"\\]*(?:\\.[^"\\]*)*'
_STRING = rf'"{QUOTED}"(?:\.\.\.)?'
_CALL = re.compile(rf'(\w+)\(([^"<)]*(?:(?:{_STRING}|<[^>]*>|\)(?! *= ))[^"<)]*)*)\) *= (.+)')
_PREFIX = re.compile(r"(\d+) +(.*)")
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)")
_CHANGED = re.compile(r"(.*) <pid changed to (\d+) \.\.\.>")
_SUPERSEDED = re.compile(r"\+\+\+ superseded by execve in pid (\d+) \+\+\+")
_EXITED = re.compile(r"\+\+\+ (?:exited with (\d+)|killed by (\w+)(?: \(core dumped\))?) \+\+\+")
_UNFINISHED = " <unfinished ...>"
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)")
_NAMED_ESCAPES = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f"}
FIRST_PATH = _OPERAND = re.compile(
    rf'(?:(AT_FDCWD|-?\d+)(?:<([^>]*)>)?(?:\(deleted\))?, )?"({QUOTED})"(?:\.\.\.)?(?=[,]|$)'
)
_ARRAY = re.compile(rf"\[((?:(?:{_STRING})(?:, )?)*)\]|(NULL)")
_ELEMENT = re.compile(rf'"({QUOTED})"((?:\.\.\.)?)')
_DESCRIPTOR = re.compile(r"(-?\d+)(?:<([^>]*)>)?")


class TraceError(Exception):
    """A line that cannot be read with certainty: the trace proves nothing any more."""


@dataclass(frozen=True, slots=True)
class Call:
    """One finished system call, its arguments and result as strace wrote them. The result "?": it never returned."""

    pid: int
    name: str
    arguments: str
    result: str

    @property
    def failed(self) -> bool:
        return self.result.startswith(("-1 ", "?"))


@dataclass(frozen=True, slots=True)
class Exited:
    """A process or thread ended. `code` is None where a signal killed it."""

    pid: int
    code: int | None


@dataclass(frozen=True, slots=True)
class Superseded:
    """Thread `thread` ran execve: it goes on under its leader's id `pid`, and all other threads are gone."""

    pid: int
    thread: int


Event = Call | Exited | Superseded


@dataclass(frozen=True, slots=True)
class Operand:
    """A path argument: the directory it is relative to (None: no descriptor is given), and whether that is the cwd."""

    path: str
    directory: str | None
    at_cwd: bool


class Reader:
    """Joins the halves of interrupted calls."""

    def __init__(self) -> None:
        self._halves: dict[int, str] = {}

    def read(self, line: str) -> Event | None:
        """The event that this line (without its newline) ends, if any. Raises TraceError."""
        prefix = _PREFIX.fullmatch(line)
        if prefix is None:
            raise TraceError(f"not a line of strace: {line[:200]!r}")
        pid, rest = int(prefix[1]), prefix[2]
        if rest.startswith("+++ "):
            return self._ended(pid, rest)
        if rest.startswith("--- "):
            return None
        if rest.endswith(_UNFINISHED):
            self._keep(pid, rest.removesuffix(_UNFINISHED))
            return None
        if rest.endswith(" ...>") and (changed := _CHANGED.fullmatch(rest)):
            self._keep(int(changed[2]), changed[1])
            return None
        if rest.startswith("<... "):
            rest = self._joined(pid, rest)
        call = _CALL.fullmatch(rest)
        if call is None:
            raise TraceError(f"not a call: {rest[:100]!r} … {rest[-200:]!r}")
        return Call(pid, call[1], call[2], call[3])

    def _keep(self, pid: int, half: str) -> None:
        if pid in self._halves:
            raise TraceError(f"two unfinished calls of process {pid}")
        self._halves[pid] = half

    def _joined(self, pid: int, rest: str) -> str:
        resumed, half = _RESUMED.fullmatch(rest), self._halves.pop(pid, None)
        if resumed is None or half is None or not half.startswith(f"{resumed[1]}("):
            raise TraceError(f"the end of a call that never began: {rest[:200]!r}")
        return half + resumed[2]

    def _ended(self, pid: int, rest: str) -> Event:
        if superseded := _SUPERSEDED.fullmatch(rest):
            return Superseded(pid, int(superseded[1]))
        exited = _EXITED.fullmatch(rest)
        if exited is None:
            raise TraceError(f"not an end: {rest[:200]!r}")
        self._halves.pop(pid, None)
        return Exited(pid, None if exited[1] is None else int(exited[1]))


def text(quoted: str) -> str:
    """What stands between strace's quotes, unescaped; bytes that are not UTF-8 become surrogates."""
    if "\\" not in quoted:
        return quoted
    raw = raw_bytes(quoted)
    return raw.decode("utf-8", "surrogateescape")


def raw_bytes(quoted: str) -> bytes:
    """As `text`, but bytes (what a sendto carried)."""
    return _ESCAPE.sub(_unescape, quoted.encode("ascii"))


def _unescape(match: re.Match[bytes]) -> bytes:
    sign = match[1]
    if sign[:1].isdigit():
        return bytes([int(sign, 8) & 0xFF])
    return _NAMED_ESCAPES.get(sign, sign)


def operands(arguments: str) -> Iterator[Operand]:
    """The paths among the arguments, in order; the first one must stand at the beginning."""
    position = 0
    while match := _OPERAND.match(arguments, position):
        directory = None if match[2] is None else text(match[2])
        yield Operand(text(match[3]), directory, match[1] in (None, "AT_FDCWD"))
        position = match.end() + 2  # ", "


def arrays(arguments: str) -> tuple[tuple[str, ...], ...]:
    """The string arrays of an execve, in order (argv, environ). NULL is an empty one. Raises TraceError."""
    first = _OPERAND.match(arguments)
    if first is None:
        raise TraceError(f"execve without a path: {arguments[:200]!r}")
    found: list[tuple[str, ...]] = []
    position = first.end() + 2
    while len(found) < 2:
        match = _ARRAY.match(arguments, position)
        if match is None:
            raise TraceError(f"execve with arguments that cannot be read: {arguments[:200]!r}")
        found.append(tuple(text(item[1]) + item[2] for item in _ELEMENT.finditer(match[1] or "")))
        position = match.end() + 2
    return tuple(found)


def descriptor_path(shown: str) -> str | None:
    """The path that strace shows after a descriptor (`3</etc/passwd>`), if it shows one that is absolute."""
    match = _DESCRIPTOR.match(shown)
    if match is None or not match[2] or not match[2].startswith("/"):
        return None
    return text(match[2])
