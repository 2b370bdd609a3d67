"""docs/policy.md's reference: every key of the policy language, by the description that the loader reads by."""

from collections.abc import Iterator, Sequence
from typing import assert_never

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


def examples() -> Iterator[tuple[str, str]]:
    """ "RECORD: KEY" and its example, for every key, each key once."""
    for record, fields in _sections():
        for field in fields:
            yield f"{record.name}: {field.name}", field.example


def render() -> str:
    """One section for each mapping that can stand in a policy, with all its keys, each with an example."""
    return "\n".join(_section(record, fields) for record, fields in _sections())


def _sections() -> Iterator[tuple[Record, Sequence[Field]]]:
    """Each record once, from the outside in, with the keys that no record before it had."""
    told: set[int] = set()
    waiting: list[Record] = [POLICY]
    seen = {id(POLICY)}
    while waiting:
        record = waiting.pop(0)
        new = [field for field in record.fields if id(field) not in told]
        told.update(id(field) for field in new)
        if new:
            yield record, new
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


def _section(record: Record, fields: Sequence[Field]) -> str:
    known = [field.name for field in record.fields if field not in fields]
    text = f"## {record.name[:1].upper()}{record.name[1:]}\n\n"
    if known:
        text += f"Keys as above: {', '.join(f'`{name}`' for name in known)}. And:\n\n"
    return text + "\n".join(_key(group) for group in _with_one_example(fields))


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
