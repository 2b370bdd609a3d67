"""YAML text → a tree of nodes with places, and nothing more: no types, no tags, no aliases, no objects.

Built from PyYAML's event stream rather than by `yaml.compose`: depth and size are bounded before anything recurses,
and every scalar keeps its text, so that YAML 1.1's surprises (`on`, `1.10`, `012`) cannot happen here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from scangate.errors import PolicyError, PolicyProblem

if TYPE_CHECKING:
    from yaml import Event

MAX_BYTES = 1024 * 1024
MAX_NODES = 100_000
MAX_DEPTH = 16
MAX_PROBLEMS = 10
_ENOUGH = 100
"""Problems after which nothing more is looked at: a file of nothing but mistakes must not take minutes."""

_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """1-based."""

    line: int
    column: int


START = Place(1, 1)


@dataclass(frozen=True, slots=True)
class Scalar:
    """`plain`: written without quotes."""

    place: Place
    text: str
    plain: bool = True

    @property
    def empty(self) -> bool:
        """Nothing was written, or YAML's words for nothing."""
        return self.plain and self.text in ("", "~", "null")


@dataclass(frozen=True, slots=True)
class Sequence:
    place: Place
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys are distinct, in the order of the file."""

    place: Place
    entries: tuple[tuple[Scalar, "Node"], ...]


Node = Scalar | Sequence | Mapping


@dataclass(slots=True)
class Problems:
    """Collects what is wrong with one file, so that its author sees more than the first mistake."""

    where: str
    found: dict[PolicyProblem, None] = field(default_factory=dict)

    def add(self, place: Place, message: str, hint: str = "") -> None:
        self.found[PolicyProblem(self.where, place.line, place.column, message, hint)] = None
        if len(self.found) >= _ENOUGH:
            self.check()

    def check(self) -> None:
        """Raise PolicyError where a problem was added: the first MAX_PROBLEMS in the order of the file."""
        if self.found:
            ordered = sorted(self.found, key=lambda problem: (problem.line, problem.column))
            raise PolicyError.of(ordered[:MAX_PROBLEMS], total=len(ordered))

    def fail(self, place: Place, message: str, hint: str = "") -> PolicyError:
        """The error to raise where nothing after `place` can be trusted."""
        return PolicyError.of([PolicyProblem(self.where, place.line, place.column, message, hint)])


class _Mark(Protocol):
    line: int
    column: int


def parse(source: str | bytes, problems: Problems) -> Node:
    """The one document in `source`.

    Raises PolicyError where it is empty, too large, too deep, not UTF-8 or not YAML. Duplicate and merge keys, tags
    and anchors are added to `problems`.
    """
    import yaml

    text = _decode(source, problems)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    events = yaml.parse(text, Loader=loader)
    try:
        return _Composer(events, problems).document()
    except yaml.YAMLError as exc:
        place = _place(getattr(exc, "problem_mark", None) or getattr(exc, "context_mark", None))
        said = " ".join(part for part in (getattr(exc, "context", None), getattr(exc, "problem", None)) if part)
        raise problems.fail(place, f"not YAML: {said}", "Check indentation, colons and quotes at this place.") from exc


def _decode(source: str | bytes, problems: Problems) -> str:
    if len(source) > MAX_BYTES:
        raise problems.fail(START, f"larger than {MAX_BYTES // 1024} KiB", "Shorten it: a policy is a short file.")
    if isinstance(source, bytes):
        try:
            text = source.decode("utf-8-sig")
        except UnicodeDecodeError as exc:
            place = _place_in(source[: exc.start].decode("utf-8", "replace"))
            raise problems.fail(place, f"not UTF-8: byte 0x{source[exc.start]:02x}", "Save it as UTF-8.") from exc
    else:
        text = source.removeprefix("\ufeff")
    if bad := _FORBIDDEN.search(text):
        place = _place_in(text[: bad.start()])
        raise problems.fail(place, f"character U+{ord(bad[0]):04X} is not allowed", "Remove it.")
    return text


def _place_in(before: str) -> Place:
    """The place behind `before`."""
    return Place(before.count("\n") + 1, len(before) - before.rfind("\n"))


def _place(mark: _Mark | None) -> Place:
    return START if mark is None else Place(mark.line + 1, mark.column + 1)


class _Composer:
    """Events → nodes. Recursion is bounded by MAX_DEPTH, memory by MAX_NODES."""

    def __init__(self, events: Iterator["Event"], problems: Problems) -> None:
        self._events = events
        self._problems = problems
        self._nodes = 0

    def document(self) -> Node:
        import yaml

        next(self._events)  # StreamStart
        if isinstance(next(self._events), yaml.StreamEndEvent):
            raise self._problems.fail(START, "an empty file", "Write at least `version: 1`, or delete the file.")
        root = self._node(next(self._events), 0)
        next(self._events)  # DocumentEnd
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise self._problems.fail(_place(after.start_mark), "a second document", "Keep one document in the file.")
        return root

    def _node(self, event: "Event", depth: int) -> Node:
        import yaml

        place = _place(event.start_mark)
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._problems.fail(place, f"more than {MAX_NODES} nodes", "Split the policy.")
        if depth > MAX_DEPTH:
            raise self._problems.fail(place, f"nested deeper than {MAX_DEPTH} levels", "Nothing valid is that deep.")
        self._refuse_extras(event, place)
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(place, event.value, not event.style)
        if isinstance(event, yaml.SequenceStartEvent):
            return Sequence(place, tuple(self._until(yaml.SequenceEndEvent, depth)))
        if isinstance(event, yaml.MappingStartEvent):
            return Mapping(place, tuple(self._pairs(depth)))
        raise self._problems.fail(place, "an alias (`*name`)", "Write the value out, or name it under `sets`.")

    def _refuse_extras(self, event: "Event", place: Place) -> None:
        if getattr(event, "tag", None) is not None:
            self._problems.add(place, "a YAML tag (`!…`)", "Remove it: types follow from the key.")
        if getattr(event, "anchor", None) is not None:
            self._problems.add(place, "a YAML anchor or alias", "Write the value out, or name it under `sets`.")

    def _until(self, end: type["Event"], depth: int) -> Iterator[Node]:
        for event in self._events:
            if isinstance(event, end):
                return
            yield self._node(event, depth + 1)

    def _pairs(self, depth: int) -> Iterator[tuple[Scalar, Node]]:
        import yaml

        first: dict[str, Place] = {}
        nodes = self._until(yaml.MappingEndEvent, depth)
        for key in nodes:
            value = next(nodes)
            if not isinstance(key, Scalar):
                self._problems.add(key.place, "a key that is a list or a mapping", "A key is one word.")
            elif key.plain and key.text == "<<":
                self._problems.add(key.place, "a merge key (`<<`)", "Write the keys out.")
            elif key.text in first:
                place = first[key.text]
                self._problems.add(key.place, f"key {key.text!r} stands twice", f"The first is in line {place.line}.")
            else:
                first[key.text] = key.place
                yield key, value
