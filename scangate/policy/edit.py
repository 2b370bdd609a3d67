"""Adds an entry to a policy's text: everything else stays as it was written, comments and layout included.

The places of the node tree say where it goes. What comes out is parsed again and compared with what went in before
anyone sees it: the same policy, and the one entry more, or nothing at all.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import assert_never

from scangate.errors import PolicyError
from scangate.models.lockfile import LockFact
from scangate.models.observations import (
    BaitSeen,
    CommandRun,
    FileTouched,
    HostContacted,
    LastPyMileHit,
    Observation,
    PackagePresent,
    SocketOpened,
)
from scangate.policy import document
from scangate.policy.conditions import command_line, tests_of
from scangate.policy.document import Mapping, Node, Problems, Scalar
from scangate.policy.document import Sequence as Items

NEW = "version: 1\n"
"""What a policy starts with where there is none."""

_LINE_END = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
"""Where YAML 1.1 breaks lines."""
_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")
_ESCAPED = r"\\\g<0>"
_PLAIN = re.compile(r"[A-Za-z0-9_./@%+-][A-Za-z0-9_./@%:+*-]*\Z")

Conditions = tuple[tuple[str, str | int | bool], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEntry:
    """An `allow` entry. `evidence` are the observations that it is for; empty: any."""

    target: str
    rules: tuple[str, ...]
    reason: str
    owner: str
    expires: date
    evidence: tuple[Observation, ...] = ()


def add_allow(source: str, where: str, entry: NewEntry) -> str:
    """The policy's text with the entry at the end of `allow`, which is made where there is none.

    Raises PolicyError where the text is no policy's, and where no place for the entry can be found.
    """
    mark = "\ufeff" if source.startswith("\ufeff") else ""
    text = source.removeprefix(mark)
    wanted = _with_entry(_plain(_parsed(text, where)), entry)
    for candidate in _candidates(text, entry):
        try:
            if _plain(_parsed(candidate, where)) == wanted:
                return mark + candidate
        except PolicyError:
            continue
    raise PolicyError(
        f"{where}: the entry cannot be added without changing something else.",
        "Add it by hand, to the list under `allow`: " + _flow(entry),
    )


def conditions(observation: Observation) -> tuple[str, Conditions]:
    """The kind of an observation, and conditions under which only its like fits. Of what has none, no conditions."""
    match observation:
        case HostContacted(host=host):
            return "host", (("host", _exactly(host)),)
        case SocketOpened():
            return "socket", _of_socket(observation)
        case CommandRun():
            return "command", (("cmdline", _exactly(command_line(observation))),)
        case FileTouched(path=path, read=read, write=write, delete=delete):
            return "file", (("path", _exactly(path)), ("read", read), ("write", write), ("delete", delete))
        case BaitSeen(bait=bait, where=where):
            return "bait", (("bait", _exactly(bait)), ("where", where))
        case LastPyMileHit(file=file):
            tests = tests_of(observation)
            named = (("test", _exactly(tests[0])),) if tests else ()
            return "lastpymile", (("list", observation.list), ("file", _exactly(file)), *named)
        case LockFact(check=check, detail=detail):
            # The sentence names the host, the digest …: with another one it is another matter.
            return "lockfile", (("check", check), ("detail", _exactly(detail)))
        case PackagePresent():
            return "package", ()
        case _:
            assert_never(observation)


def _of_socket(socket: SocketOpened) -> Conditions:
    """By its address, where no name stands for it: behind a name, addresses differ from run to run."""
    port = ("port", socket.port)
    if socket.hostnames:
        return ("hostname", _exactly(socket.hostnames[0])), port
    return (("address", socket.address), port) if socket.address else (("network", socket.network), port)


def _exactly(text: str) -> str:
    """A pattern that finds this text alone; a brace is escaped, so nothing in it is a placeholder."""
    return f"^{_SPECIAL.sub(_ESCAPED, text)}$"


# --------------------------------------------------------------------------------------------------- the entry


def _fields(entry: NewEntry) -> Iterator[tuple[str, str]]:
    """The keys of the entry and their values, as YAML that can stand in a block and in a flow mapping."""
    yield "package", _scalar(entry.target)
    yield "rules", f"[{', '.join(_scalar(rule) for rule in entry.rules)}]"
    if entry.evidence:
        yield "evidence", _evidence(entry.evidence)
    yield "reason", _scalar(entry.reason)
    yield "owner", _scalar(entry.owner)
    yield "expires", entry.expires.isoformat()


def _evidence(evidence: Iterable[Observation]) -> str:
    kinds: dict[str, dict[str, None]] = {}
    for observation in evidence:
        kind, wanted = conditions(observation)
        held = ", ".join(f"{key}: {_scalar(value)}" for key, value in wanted)
        kinds.setdefault(kind, {})[f"{{{held}}}"] = None
    return "{" + ", ".join(f"{kind}: [{', '.join(alternatives)}]" for kind, alternatives in kinds.items()) + "}"


def _block(entry: NewEntry, indent: str) -> list[str]:
    lines = [f"{key}: {value}" for key, value in _fields(entry)]
    return [f"{indent}- {lines[0]}", *(f"{indent}  {line}" for line in lines[1:])]


def _flow(entry: NewEntry) -> str:
    return "{" + ", ".join(f"{key}: {value}" for key, value in _fields(entry)) + "}"


def _scalar(value: str | int | bool) -> str:
    """A value as YAML: plain where that is safe in every place, else in double quotes, of printable characters."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) or (_PLAIN.match(value) and value not in ("null", "~")):
        return str(value)
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else _escaped(ord(char)) for char in quoted)


def _escaped(code: int) -> str:
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


# ----------------------------------------------------------------------------------------------------- the text


def _candidates(text: str, entry: NewEntry) -> Iterator[str]:
    """Texts with the entry in them, the one that looks best first. None of them is trusted."""
    end = _LINE_END.search(text)
    newline = end[0] if end else "\n"
    root, allow = _spans(text)
    if allow is not None and allow.flow:
        yield text[: allow.last] + f", {_flow(entry)}" + text[allow.last :]
    elif allow is not None:
        indent = " " * allow.column
        yield _with_lines(text, _after(text, allow.last, allow.column), _block(entry, indent), newline)
        yield _with_lines(text, _after(text, allow.last, None), _block(entry, indent), newline)
    elif root.flow:
        yield text[: root.last] + f", allow: [{_flow(entry)}]" + text[root.last :]
    else:
        indent = " " * root.column
        lines = ["", f"{indent}allow:", *_block(entry, f"{indent}  ")]
        yield _with_lines(text, len(text), lines, newline)
        yield _with_lines(text, _after(text, root.last, None), lines[1:], newline)


@dataclass(frozen=True, slots=True)
class _Span:
    """A mapping or a list in the text: its column (from 0), and the index behind the last thing that stands in it."""

    column: int
    flow: bool
    last: int


def _spans(text: str) -> tuple[_Span, _Span | None]:
    """Of the whole policy, and of the list under `allow`. `text` has been parsed before: it is one document."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    spans: dict[str, _Span] = {}
    opened: list[tuple[str, int, bool]] = []
    key, last = "", 0
    for event in yaml.parse(text, Loader=loader):
        assert event.start_mark is not None  # only events that are made by hand have none
        assert event.end_mark is not None
        if isinstance(event, yaml.CollectionStartEvent):
            name = "/" if not opened else key if len(opened) == 1 else ""
            opened.append((name, event.start_mark.column, bool(event.flow_style)))
        elif isinstance(event, yaml.CollectionEndEvent):
            name, column, flow = opened.pop()
            spans[name] = _Span(column=column, flow=flow, last=last)
            # A block ends where the next thing starts; what it holds has ended before.
            last = event.end_mark.index if flow else last
        elif isinstance(event, yaml.ScalarEvent):
            last = event.end_mark.index
        if len(opened) == 1:
            key = event.value if isinstance(event, yaml.ScalarEvent) else ""
    return spans["/"], spans.get("allow")


def _after(text: str, index: int, column: int | None) -> int:
    """The start of the line behind `index`; with a column, behind comments that stand deeper than that, too."""
    ends = [match.end() for match in _LINE_END.finditer(text)]
    starts = [0, *ends]
    at = next((start for start in starts if start >= index), len(text))
    while column is not None and at < len(text):
        end = next((each for each in ends if each > at), len(text))
        line = text[at:end]
        if not line.lstrip(" ").startswith("#") or len(line) - len(line.lstrip(" ")) <= column:
            break
        at = end
    return at


def _with_lines(text: str, index: int, lines: Sequence[str], newline: str) -> str:
    before, after = text[:index], text[index:]
    if before and not _LINE_END.search(before[-1]):
        before += newline
    return before + "".join(f"{line}{newline}" for line in lines) + after


# ------------------------------------------------------------------------------------------------------- trees


def _parsed(text: str, where: str) -> Node:
    problems = Problems(where)
    node = document.parse(text, problems)
    problems.check()
    return node


def _plain(node: Node) -> object:
    """The tree without places: what the policy says, in its order."""
    match node:
        case Scalar(text=text):
            return text, node.empty
        case Items(items=items):
            return [_plain(item) for item in items]
        case Mapping(entries=entries):
            return {key.text: _plain(value) for key, value in entries}
        case _:
            assert_never(node)


def _with_entry(tree: object, entry: NewEntry) -> object:
    new = _plain(_parsed(_flow(entry), "the entry"))
    if not isinstance(tree, dict):
        return None  # no policy: nothing equals it
    there = tree.get("allow", [])
    return {**tree, "allow": [*there, new]} if isinstance(there, list) else None
