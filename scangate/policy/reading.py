"""Nodes → values, by the shapes of the schema. What does not fit is added to the problems, and reads as None."""

import re
from collections.abc import Iterator
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from datetime import date
from typing import assert_never

from scangate.policy import patterns, suggest
from scangate.policy.document import Mapping, Node, Place, Problems, Scalar, Sequence
from scangate.policy.shapes import (
    SET_REFERENCE,
    Address,
    Day,
    Depends,
    Either,
    Flag,
    Integer,
    Many,
    Record,
    Regex,
    Scalars,
    Shape,
    Table,
    Tagged,
    Text,
    Variant,
    Word,
    network,
)

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})\Z")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")


@dataclass(frozen=True, slots=True)
class Leaf:
    value: str | int | bool | date
    place: Place


@dataclass(frozen=True, slots=True)
class Row:
    items: tuple["Value", ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Entry:
    """A mapping that was read. The typed getters rely on the shape by which it was read."""

    values: MappingType[str, "Value"]
    place: Place

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def leaf(self, key: str) -> Leaf:
        value = self.values[key]
        assert isinstance(value, Leaf)
        return value

    def text(self, key: str, default: str = "") -> str:
        return str(self.leaf(key).value) if key in self.values else default

    def integer(self, key: str, default: int) -> int:
        value = self.leaf(key).value if key in self.values else default
        assert isinstance(value, int)
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self.leaf(key).value if key in self.values else default
        assert isinstance(value, bool)
        return value

    def day(self, key: str) -> date:
        value = self.leaf(key).value
        assert isinstance(value, date)
        return value

    def entry(self, key: str) -> "Entry | None":
        value = self.values.get(key)
        assert value is None or isinstance(value, Entry)
        return value

    def entries(self, key: str) -> Iterator["Entry"]:
        for item in self._items(key):
            assert isinstance(item, Entry)
            yield item

    def leaves(self, key: str) -> tuple[Leaf, ...]:
        return tuple(item for item in self._items(key) if isinstance(item, Leaf))

    def texts(self, key: str) -> tuple[str, ...]:
        return tuple(str(leaf.value) for leaf in self.leaves(key))

    def table(self, key: str) -> tuple[tuple[str, Leaf], ...]:
        """The keys and values of a table of single values."""
        inner = self.entry(key)
        return () if inner is None else tuple((name, inner.leaf(name)) for name in inner.values)

    def groups(self, key: str) -> Iterator[tuple[Leaf, ...]]:
        for item in self._items(key):
            assert isinstance(item, Row)
            yield tuple(leaf for leaf in item.items if isinstance(leaf, Leaf))

    def _items(self, key: str) -> tuple["Value", ...]:
        value = self.values.get(key)
        assert value is None or isinstance(value, Row)
        return () if value is None else value.items


Value = Leaf | Row | Entry


@dataclass(slots=True)
class Reader:
    """Reads one file. `sets`: what `@name` stands for; `inherited_rules`: what a Variant may go by."""

    problems: Problems
    sets: dict[str, tuple[Scalar, ...]] = field(default_factory=dict)
    inherited_rules: frozenset[str] = frozenset()

    def read(self, node: Node, shape: Shape) -> Value | None:
        match shape:
            case Record():
                return self._record(node, shape)
            case Many():
                return self._many(node, shape)
            case Table():
                return self._table(node, shape)
            case Either():
                return self._either(node, shape)
            case Variant():
                return self._record(node, shape.records[shape.which(_single_values(node), self.inherited_rules)])
            case Tagged():
                return self._tagged(node, shape)
            case Text() | Word() | Integer() | Flag() | Day() | Regex() | Address():
                return self._scalar(node, shape)
            case _:
                assert_never(shape)

    # ------------------------------------------------------------------------------------------- mappings

    def _record(self, node: Node, record: Record) -> Entry | None:
        if not isinstance(node, Mapping):
            self._wrong(node, f"a mapping ({record.name})")
            return None
        if not node.entries:
            self._empty(node)
            return None
        fields = {entry.name: entry for entry in record.fields}
        nodes = {key.text: value for key, value in node.entries}
        values: dict[str, Value] = {}
        for key, value in node.entries:
            known = fields.get(key.text)
            if known is None:
                hint = record.but or suggest.hint(key.text, fields)
                self.problems.add(key.place, f"{record.name} has no key {_shown(key.text)}", hint)
                continue
            shape: Shape | None = (
                self._depending(key, known.shape, nodes.get(known.shape.on))
                if isinstance(known.shape, Depends)
                else known.shape
            )
            read = None if shape is None else self.read(value, shape)
            if read is not None:
                values[key.text] = read
        for known in record.fields:
            if known.required and known.name not in nodes:
                self.problems.add(node.place, f"{record.name} needs {known.name!r}", f"Add `{known.name}: …`.")
        return Entry(values, node.place)

    def _depending(self, key: Scalar, depends: Depends, on: Node | None) -> Shape | None:
        chosen = on.text if isinstance(on, Scalar) else ""
        shape = depends.shapes.get(chosen)
        if shape is None and chosen in depends.words:  # else what is wrong with `on` is said there
            hint = f"It goes with `{depends.on}`: {', '.join(depends.shapes)}."
            self.problems.add(key.place, f"{key.text!r} has no meaning with `{depends.on}: {chosen}`", hint)
        return shape

    def _tagged(self, node: Node, tagged: Tagged) -> Entry | None:
        keys = tuple(key for key, _ in node.entries) if isinstance(node, Mapping) else ()
        tags = [key for key in keys if key.text in tagged.records]
        if len(tags) == 1:
            return self._record(node, tagged.records[tags[0].text])
        words = ", ".join(tagged.records)
        if not isinstance(node, Mapping):
            self._wrong(node, f"a mapping ({tagged.name})", f"Write one with one of {words}.")
        elif tags:
            hint = f"It goes without {tags[0].text!r}."
            self.problems.add(tags[1].place, f"{tagged.name} has one of {words}", hint)
        else:
            near = next((word for key in keys if (word := suggest.nearest(key.text, tagged.records))), None)
            self.problems.add(
                node.place,
                f"{tagged.name} needs one of {words}",
                f"Did you mean {near!r}?" if near else f"Add one of {words}.",
            )
        return None

    def _either(self, node: Node, either: Either) -> Entry | None:
        if not isinstance(node, Scalar):
            return self._record(node, either.record)
        return self._record(Mapping(node.place, ((Scalar(node.place, either.short), node),)), either.record)

    def _table(self, node: Node, table: Table) -> Entry | None:
        if not isinstance(node, Mapping):
            self._wrong(node, "a mapping")
            return None
        if not node.entries:
            self._empty(node)
            return None
        values: dict[str, Value] = {}
        for key, value in node.entries:
            name, read = self._scalar(key, table.key), self.read(value, table.value)
            if name is not None and read is not None:
                values[str(name.value)] = read
        return Entry(values, node.place)

    # ---------------------------------------------------------------------------------------------- lists

    def _many(self, node: Node, many: Many) -> Row | None:
        if isinstance(node, Sequence):
            nodes: tuple[Node, ...] = node.items
        elif many.single and not (isinstance(node, Scalar) and node.empty):
            nodes = (node,)
        else:
            self._wrong(node, "a list")
            return None
        if len(nodes) < many.least:
            self._empty(node)
            return None
        read = tuple(value for item in nodes for value in self._item(item, many))
        return Row(tuple(value for value in read if value is not None), node.place) if None not in read else None

    def _item(self, node: Node, many: Many) -> tuple[Value | None, ...]:
        if many.sets and isinstance(node, Scalar) and (reference := re.fullmatch(SET_REFERENCE, node.text)):
            return self._set(node, reference[1], many.item)
        return (self.read(node, many.item),)

    def _set(self, node: Scalar, name: str, shape: Shape) -> tuple[Value | None, ...]:
        if name not in self.sets:
            hint = suggest.hint(name, self.sets) or "Name it under `sets`."
            self.problems.add(node.place, f"there is no set {name!r}", hint)
            return (None,)
        # Read at the place of the reference: the set may stand in another file.
        trial = Problems(self.problems.where)
        reader = Reader(trial)
        read = tuple(reader.read(Scalar(node.place, item.text, item.plain), shape) for item in self.sets[name])
        for problem in trial.found:
            self.problems.add(node.place, f"in set {name!r}: {problem.message}", problem.hint)
        return read

    # -------------------------------------------------------------------------------------------- scalars

    def _scalar(self, node: Node, shape: Scalars) -> Leaf | None:
        if not isinstance(node, Scalar) or node.empty:
            self._wrong(node, _what(shape))
            return None
        value: str | int | bool | date | None
        match shape:
            case Text():
                value = self._text(node, shape)
            case Word():
                value = self._word(node, shape)
            case Integer():
                value = self._integer(node, shape)
            case Flag():
                value = self._flag(node)
            case Day():
                value = self._day(node)
            case Regex():
                value = self._regex(node, shape)
            case Address():
                value = self._address(node)
            case _:
                assert_never(shape)
        return None if value is None else Leaf(value, node.place)

    def _text(self, node: Scalar, shape: Text) -> str | None:
        text = node.text.lower() if shape.fold else node.text
        if len(text) > shape.longest:
            self.problems.add(node.place, f"longer than {shape.longest} characters", "Shorten it.")
        elif not re.fullmatch(shape.pattern, text) or not text.strip():
            self._wrong(node, shape.what)
        else:
            return text
        return None

    def _word(self, node: Scalar, shape: Word) -> str | None:
        if node.text in shape.words:
            return node.text
        self.problems.add(node.place, f"unknown word {_shown(node.text)}", suggest.hint(node.text, shape.words))
        return None

    def _integer(self, node: Scalar, shape: Integer) -> int | None:
        if not node.plain or not _INTEGER.match(node.text):
            self._wrong(node, _what(shape), "Write decimal digits, without quotes.")
        elif not shape.lowest <= int(node.text) <= shape.highest:
            self._wrong(node, _what(shape))
        else:
            return int(node.text)
        return None

    def _flag(self, node: Scalar) -> bool | None:
        if node.plain and node.text in ("true", "false"):
            return node.text == "true"
        self._wrong(node, "true or false", "Write `true` or `false`, without quotes.")
        return None

    def _day(self, node: Scalar) -> date | None:
        try:
            if _DAY.match(node.text):
                return date.fromisoformat(node.text)
        except ValueError:
            pass  # 2027-02-30
        self._wrong(node, "a date", "Write YYYY-MM-DD, e.g. 2027-06-30.")
        return None

    def _regex(self, node: Scalar, shape: Regex) -> str | None:
        if not shape.templates and patterns.has_placeholder(node.text):
            hint = "Placeholders stand only in patterns on commands and paths."
            self.problems.add(node.place, "a placeholder has no meaning here", hint)
            return None
        trouble = patterns.trouble(node.text)
        if trouble is None:
            return node.text
        self.problems.add(node.place, f"not a pattern: {trouble}", "Write it in google-re2 syntax (no look-around).")
        return None

    def _address(self, node: Scalar) -> str | None:
        try:
            return str(network(node.text))
        except ValueError as exc:
            self._wrong(node, "an IP address or network", f"{exc}.")
            return None

    def _empty(self, node: Node) -> None:
        self.problems.add(node.place, "nothing stands in it", "Remove the key, or fill it in.")

    def _wrong(self, node: Node, expected: str, hint: str = "") -> None:
        match node:
            case Scalar() if node.empty:
                found = "nothing"
            case Scalar():
                found = _shown(node.text)
            case Sequence():
                found = "a list"
            case Mapping():
                found = "a mapping"
            case _:
                assert_never(node)
        self.problems.add(node.place, f"expected {expected}, found {found}", hint or f"Write {expected}.")


def _single_values(node: Node) -> dict[str, str]:
    entries = node.entries if isinstance(node, Mapping) else ()
    return {key.text: value.text if isinstance(value, Scalar) else "" for key, value in entries}


def _what(shape: Scalars) -> str:
    match shape:
        case Text():
            return shape.what
        case Word():
            return f"one of {', '.join(shape.words[:12])}"
        case Integer():
            single = shape.lowest == shape.highest
            return f"the number {shape.lowest}" if single else f"a whole number from {shape.lowest} to {shape.highest}"
        case Flag():
            return "true or false"
        case Day():
            return "a date"
        case Regex():
            return "a pattern"
        case Address():
            return "an IP address or network"
        case _:
            assert_never(shape)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:60] + "…")
