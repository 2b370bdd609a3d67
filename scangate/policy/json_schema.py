"""The policy language as a JSON Schema, from the same description that the loader reads by: for editors.

Draft 7, which editors know best. It accepts all that the loader accepts. What only the loader can tell (does a rule
of that name exist, is the pattern one, are two keys at odds) it leaves to `scangate policy check`.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, assert_never

from scangate.policy.patterns import LONGEST_PATTERN
from scangate.policy.schema import POLICY
from scangate.policy.shapes import (
    KEBAB,
    Address,
    Day,
    Depends,
    Either,
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

URL = "https://scangate.github.io/schema/scangate-v1.json"
"""What the first line of a policy refers to."""

Json = dict[str, Any]

_SET = {"type": "string", "pattern": f"^@{KEBAB.pattern}$", "description": "The values of a set."}
_ANYTHING = re.compile(r"\(\?s\)\.\+\Z")


def document() -> Json:
    """The schema of scangate.yml."""
    writer = _Writer()
    root = writer.record_itself(POLICY)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": URL,
        "title": "scangate policy, version 1",
        **root,
        "definitions": writer.definitions,
    }


class _Writer:
    """Collects what is used more than once, each record once."""

    def __init__(self) -> None:
        self.definitions: dict[str, Json] = {}
        self._names: dict[int, str] = {}

    def of(self, shape: Shape) -> Json:
        match shape:
            case Record() | Tagged():
                return self._reference(shape)
            case Many():
                return self._many(shape)
            case Table():
                return self._table(shape)
            case Either():
                short = next(field.shape for field in shape.record.fields if field.name == shape.short)
                assert not isinstance(short, Depends)
                return {"anyOf": [self.of(short), self.of(shape.record)]}
            case Variant():
                return self._variant(tuple(shape.records.values()))
            case _:
                return _scalar(shape)

    def record_itself(self, record: Record) -> Json:
        properties: Json = {}
        depending: list[Json] = []
        for field in record.fields:
            if isinstance(field.shape, Depends):
                properties[field.name] = {"description": field.doc}
                depending += self._depending(field.name, field.shape)
            else:
                properties[field.name] = {"description": field.doc} | _beside(self.of(field.shape))
        required = [field.name for field in record.fields if field.required]
        return {
            "type": "object",
            "properties": properties,
            **({"required": required} if required else {"minProperties": 1}),
            "additionalProperties": False,
            **({"allOf": depending} if depending else {}),
        }

    def _reference(self, shape: Record | Tagged) -> Json:
        name = self._names.get(id(shape))
        if name is None:
            base = re.sub(r"[^a-z0-9]+", "-", shape.name).strip("-")
            taken = sum(1 for each in self._names.values() if each == base or each.startswith(f"{base}--"))
            name = self._names[id(shape)] = f"{base}--{taken + 1}" if taken else base
            self.definitions[name] = {}  # in its place before those that it refers to
            made = self.record_itself(shape) if isinstance(shape, Record) else self._tagged(shape.records)
            self.definitions[name] = made
        return {"$ref": f"#/definitions/{name}"}

    def _depending(self, key: str, depends: Depends) -> Iterable[Json]:
        for word in depends.words:
            shape = depends.shapes.get(word)
            # With a word of no shape the key has no meaning, and must not stand there.
            then = False if shape is None else self.of(shape)
            yield {
                "if": {"properties": {depends.on: {"const": str(word)}}, "required": [depends.on]},
                "then": {"properties": {key: then}},
            }

    def _many(self, many: Many) -> Json:
        item = self.of(many.item)
        if many.sets:
            item = {"anyOf": [_SET, item]}
        array = {"type": "array", "items": item, **({"minItems": many.least} if many.least else {})}
        return {"anyOf": [item, array]} if many.single else array

    def _table(self, table: Table) -> Json:
        return {
            "type": "object",
            "propertyNames": _scalar(table.key),
            "additionalProperties": self.of(table.value),
            "minProperties": 1,
        }

    def _variant(self, records: tuple[Record, ...]) -> Json:
        """Told apart by the required key that only one of them has; the last one has none of its own."""
        first, *others = sorted(records, key=lambda record: not _own_keys(record, records))
        if not others:
            return self.of(first)
        return {
            "if": {"anyOf": [{"required": [key]} for key in sorted(_own_keys(first, records))]},
            "then": self.of(first),
            "else": self._variant(tuple(others)),
        }

    def _tagged(self, records: Mapping[str, Record]) -> Json:
        return {
            "type": "object",
            "anyOf": [{"required": [tag]} for tag in records],
            "allOf": [{"if": {"required": [tag]}, "then": self.of(record)} for tag, record in records.items()],
        }


def _own_keys(record: Record, records: Iterable[Record]) -> set[str]:
    others = {field.name for other in records if other is not record for field in other.fields}
    return {field.name for field in record.fields if field.required} - others


def _beside(schema: Json) -> Json:
    """So that a description can stand next to it: draft 7 ignores what stands beside `$ref`."""
    return {"allOf": [schema]} if "$ref" in schema else schema


def _scalar(shape: Text | Word | Integer | Flag | Day | Regex | Address) -> Json:
    match shape:
        case Text():
            return _text(shape)
        case Word():
            return {"enum": [str(word) for word in shape.words]}
        case Integer():
            return {"type": "integer", "minimum": shape.lowest, "maximum": shape.highest}
        case Flag():
            return {"type": "boolean"}
        case Day():
            return {"type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
        case Regex():
            return {"type": ["string", "number", "boolean"], "minLength": 1, "maxLength": LONGEST_PATTERN}
        case Address():
            return {"type": "string", "pattern": "^[0-9A-Fa-f.:/]+$"}
        case _:
            assert_never(shape)


def _text(shape: Text) -> Json:
    # YAML takes `1.10` for a number; the loader takes every scalar as the text that was written.
    types = ["string"]
    types += ["number"] if re.fullmatch(shape.pattern, "1") else []
    types += ["boolean"] if re.fullmatch(shape.pattern, "true") else []
    form: Json = {"type": types[0] if len(types) == 1 else types, "maxLength": shape.longest}
    if _ANYTHING.match(shape.pattern):
        return form | {"pattern": r"\S"}
    pattern = shape.pattern.replace("a-z", "A-Za-z") if shape.fold else shape.pattern
    return form | {"pattern": f"^(?:{pattern})$"}
