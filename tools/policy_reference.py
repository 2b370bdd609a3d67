"""docs/policy.md's reference: every key of the policy language, by the description that the loader reads by."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, assert_never

from scangate.policy.schema import POLICY
from scangate.policy.shapes import (
    Address,
    Day,
    Depends,
    Either,
    Field,
    Flag,
    Integer,
    Many,
    Record,
    Regex,
    Shape,
    Table,
    Tagged,
    Text,
    Variant,
    Word,
)


class _Section(NamedTuple):
    """What is told of one record, or of all records of one topic; `known`: names of keys that were told before."""

    title: str
    records: Sequence[Record]
    known: Sequence[str]
    fields: Sequence[Field]

    def whose(self) -> str:
        """Where these keys stand, where they stand in several mappings, and which of them stand in some alone."""
        if len(self.records) == 1:
            return ""
        said = [f"The same in {_mappings(self.records)}."]
        for field in self.fields:
            having = [record for record in self.records if field.name in {each.name for each in record.fields}]
            said += [f"`{field.name}` in {_mappings(having)} alone."] if len(having) < len(self.records) else []
        return f"{' '.join(said)}\n\n"


def examples() -> Iterator[tuple[str, str]]:
    """ "RECORD: KEY" and its example, for every key of every record, also those that the reference tells once."""
    for record in _all_records():
        for field in record.fields:
            yield f"{record.name}: {field.name}", field.example


def render() -> str:
    """One section for each mapping that can stand in a policy, with all its keys, each with an example."""
    return "\n".join(_section(section) for section in _sections())


def _sections() -> Iterator[_Section]:
    told: set[object] = set()
    for title, records in _topics().items():
        known: list[str] = []
        new: dict[str, Field] = {}
        for field in (field for record in records for field in record.fields):
            if field.name in new:
                continue
            if id(field) in told:
                known.append(field.name)
            else:
                new[field.name] = field
        told.update(id(field) for field in new.values())
        if new:
            yield _Section(title=title, records=records, known=known, fields=tuple(new.values()))


def _topics() -> dict[str, list[Record]]:
    """The records by the heading under which they are told, in the order in which the first of each comes up."""
    found: dict[str, list[Record]] = {}
    for record in _all_records():
        found.setdefault(record.topic or record.name, []).append(record)
    return found


def _all_records() -> Iterator[Record]:
    """Each record once, from the outside in."""
    waiting: list[Record] = [POLICY]
    seen = {id(POLICY)}
    while waiting:
        record = waiting.pop(0)
        yield record
        inner = [each for field in record.fields for each in _records(field.shape) if id(each) not in seen]
        seen.update(id(each) for each in inner)
        waiting = [*inner, *waiting]


def _records(shape: Shape | Depends) -> Iterator[Record]:
    match shape:
        case Record():
            yield shape
        case Many(item=item):
            yield from _records(item)
        case Table(value=value):
            yield from _records(value)
        case Either(record=record):
            yield record
        case Variant(records=records) | Tagged(records=records):
            yield from records.values()
        case Depends(shapes=shapes):
            yield from (record for each in shapes.values() for record in _records(each))
        case Text() | Word() | Integer() | Flag() | Day() | Regex() | Address():
            return
        case _:
            assert_never(shape)


def _section(section: _Section) -> str:
    text = f"## {section.title[:1].upper()}{section.title[1:]}\n\n{section.whose()}"
    if section.known:
        text += f"Keys as above: {', '.join(f'`{name}`' for name in section.known)}. And:\n\n"
    return text + "\n".join(_key(group) for group in _with_one_example(section.fields))


def _with_one_example(fields: Sequence[Field]) -> Iterator[list[Field]]:
    """Neighbours whose examples are one and the same, together."""
    group: list[Field] = []
    for field in fields:
        if group and group[-1].example != field.example:
            yield group
            group = []
        group.append(field)
    if group:
        yield group


def _key(fields: Sequence[Field]) -> str:
    lines = [
        f"- **`{each.name}`**: {each.doc}{_form(each.shape)}{' Required.' if each.required else ''}" for each in fields
    ]
    return "\n".join((*lines, "", "```yaml", f"version: 1\n{fields[0].example.rstrip()}", "```", ""))


def _form(shape: Shape | Depends) -> str:
    match shape:
        case Word(words=words):
            return f" One of {_words(words)}."
        case Many(item=Word(words=words)):
            return f" Of {_words(words)}."
        case Table(key=Word(words=keys), value=Word(words=words)):
            return f" Keys are of {_words(keys)}, values of {_words(words)}."
        case Regex() | Many(item=Regex()):
            return " A pattern."
        case Integer(lowest=lowest, highest=highest) if lowest != highest:
            return f" A whole number from {lowest} to {highest}."
        case _:
            return ""


def _words(words: Sequence[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _mappings(records: Sequence[Record]) -> str:
    """ "`match`, `unless` and `evidence`": a record of a topic is named KEY of TOPIC."""
    *first, last = (f"`{record.name.partition(' of ')[0]}`" for record in records)
    return f"{', '.join(first)} and {last}" if first else last
