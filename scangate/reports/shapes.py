"""Reading an untrusted JSON document: its text, and values of the expected type out of it.

Everything here raises `ReportError` where a value is not what the format says, naming its place. null stands for
"nothing", as in the programs that write these reports (Go's nil slices become null).
"""

import json
from collections.abc import Iterator, Mapping
from typing import cast

from scangate.errors import ReportError

MAX_SHOWN_CHARACTERS = 120


def parse(payload: bytes) -> object:
    """The JSON document in `payload` (UTF-8, as RFC 8259 demands), with strings that any encoder can take.

    Raises ReportError for anything else, however deep or odd.
    """
    try:
        text = payload.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise malformed("it is not UTF-8 text") from exc
    return parse_text(text)


def parse_text(text: str) -> object:
    """Like `parse`, for text that is decoded already."""
    try:
        document: object = json.loads(text)
        # A lone surrogate ("\ud800") is valid JSON and no valid text: it breaks every encoder further on.
        return _encodable(document) if "\\ud" in text.casefold() else document
    except RecursionError as exc:
        raise malformed("it is nested too deeply") from exc
    except ValueError as exc:
        raise malformed(f"it is not JSON ({shown(str(exc))})") from exc


def mapping(value: object, where: str) -> Mapping[str, object]:
    """A JSON object; empty for null or a missing one."""
    if value is None:
        return {}
    if type(value) is not dict:
        raise _mistyped(value, where, "an object")
    return cast(dict[str, object], value)


def items(value: object, where: str) -> list[object]:
    """A JSON array; empty for null or a missing one."""
    if value is None:
        return []
    if type(value) is not list:
        raise _mistyped(value, where, "a list")
    return value


def mappings(value: object, where: str) -> Iterator[Mapping[str, object]]:
    """The objects of a JSON array; a null among them is malformed."""
    for index, entry in enumerate(items(value, where)):
        if type(entry) is not dict:
            raise _mistyped(entry, f"{where}[{index}]", "an object")
        yield entry


def text(value: object, where: str) -> str:
    """A string; empty for null or a missing one."""
    if value is None:
        return ""
    if type(value) is not str:
        raise _mistyped(value, where, "a string")
    return value


def texts(value: object, where: str) -> tuple[str, ...]:
    """The strings of a JSON array."""
    entries = items(value, where)
    for index, entry in enumerate(entries):
        if type(entry) is not str:
            raise _mistyped(entry, f"{where}[{index}]", "a string")
    return tuple(cast(list[str], entries))


def flag(value: object, where: str) -> bool:
    """A boolean; false for null or a missing one."""
    if value is None:
        return False
    if type(value) is not bool:
        raise _mistyped(value, where, "true or false")
    return value


def integer(value: object, where: str) -> int:
    """A whole number; null or a missing one is malformed, since 0 would be a statement."""
    if type(value) is not int:
        raise _mistyped(value, where, "a whole number")
    return value


def shown(text: str) -> str:
    """Text from outside, shortened for a message."""
    return text if len(text) <= MAX_SHOWN_CHARACTERS else text[:MAX_SHOWN_CHARACTERS] + "…"


def malformed(problem: str) -> ReportError:
    return ReportError(
        f"This is not an analysis report: {problem}.",
        "Fetch the report again; if it stays so, tell whoever runs the analysis service.",
    )


def _mistyped(value: object, where: str, expected: str) -> ReportError:
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", int: "a number"}
    found = "null or missing" if value is None else names.get(type(value), "a number")
    return malformed(f"{where} is {found}, not {expected}")


def _encodable(value: object) -> object:
    """The same document with lone surrogates written out as escapes."""
    if type(value) is str:
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if type(value) is list:
        return [_encodable(entry) for entry in value]
    if type(value) is dict:
        return {_encodable(key): _encodable(entry) for key, entry in value.items()}
    return value
