"""JSON read strictly, with the line of each key where a reader needs it.

Strict: UTF-8, no duplicate keys (a reader and the package manager could pick different ones), no NaN, bounded size
and depth. The objects that a `Shape` names are walked here, key by key; everything inside them goes through the
standard library's decoder, so lines cost little and cannot be led astray by keys that look alike.
"""

import json
import re
from collections.abc import Mapping
from functools import partial
from typing import NoReturn

from scangate.errors import LockfileError
from scangate.files import MAX_LOCKFILE_BYTES

MAX_DEPTH = 200
"""Objects within objects of a Shape. Real lockfiles stay below 30."""

Shape = Mapping[str, "Shape"]
"""Which members of an object are walked in turn: key → their shape; "*" stands for every other key."""

_MEMBER = re.compile(r'"([^"\\\x00-\x1f]*(?:\\.[^"\\\x00-\x1f]*)*)"[ \t\n\r]*:[ \t\n\r]*')
_NEXT_MEMBER = re.compile(r"[ \t\n\r]*,[ \t\n\r]*" + _MEMBER.pattern)
_SPACE = re.compile(r"[ \t\n\r]*")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:]')
_CONFLICT = re.compile(r"^(?:<<<<<<<|=======|>>>>>>>)", re.MULTILINE)


class Object(dict[str, object]):
    """A JSON object that knows the 1-based line of each of its keys, and, if asked to keep it, the text of each value.

    Kept are the texts of objects that the Shape does not name.
    """

    __slots__ = ("lines", "texts")

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, int] = {}
        self.texts: dict[str, str] = {}


class _DuplicateKeyError(ValueError):
    """Raised within the decoder, which knows no position."""


def parse(content: bytes, path: str, shape: Shape, *, keep_texts: bool = False, like: Object | None = None) -> Object:
    """Read a document that is one object. Raises LockfileError with line and column.

    `like` is another document of that shape whose texts were kept: an object that stands here in the same words at the
    same keys is not read again, but is the very same one.
    """
    return _Reader(_decode(content, path), path, keep_texts=keep_texts).document(shape, like)


def _decode(content: bytes, path: str) -> str:
    if len(content) > MAX_LOCKFILE_BYTES:
        raise LockfileError(
            path,
            f"larger than {MAX_LOCKFILE_BYTES // 1024**2} MiB.",
            "Check what made this file: no real lockfile is so large.",
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise LockfileError(path, "not UTF-8.", "Save the file as UTF-8, or make it anew.", line=line) from exc


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _DuplicateKeyError
    return members


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


class _Reader:
    """One pass over one text. `line` is the line of `counted`, up to which newlines have been counted."""

    def __init__(self, text: str, path: str, *, keep_texts: bool) -> None:
        self.text = text
        self.path = path
        self.keep_texts = keep_texts
        self.counted = 0
        self.line = 1
        self.decode = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant).raw_decode

    def document(self, shape: Shape, like: Object | None) -> Object:
        start = self._skip(0)
        if not self.text.startswith("{", start):
            raise self._not_an_object(start)
        found, end = self._object(start, shape, like or Object(), 1)
        end = self._skip(end)
        if end != len(self.text):
            raise self._error(end, "text behind the end of the document.")
        return found

    def _object(self, start: int, shape: Shape, like: Object, depth: int) -> tuple[Object, int]:
        """The object that starts at `start` with "{", and the position behind its "}"."""
        if depth > MAX_DEPTH:
            raise self._error(start, f"nested deeper than {MAX_DEPTH} levels.")
        text, count, next_member = self.text, self.text.count, _NEXT_MEMBER.match
        found = Object()
        lines, every, known = found.lines, shape.get("*"), like.texts
        position = self._skip(start + 1)
        if text.startswith("}", position):
            return found, position + 1
        member = _MEMBER.match(text, position)
        while member is not None:
            key_at, end = member.span(1)
            key = text[key_at:end]
            if "\\" in key:
                key = str(self._leaf(key_at - 1)[0])
            if key in lines:
                raise self._duplicate(key_at, key)
            self.line += count("\n", self.counted, key_at)
            self.counted = key_at
            lines[key] = self.line
            inner = shape.get(key, every)
            position = member.end()
            if key in known and text.startswith(known[key], position):
                # An object's text ends where the object does, whatever stands behind it.
                found[key] = like[key]
                position += len(known[key])
            elif inner and text.startswith("{", position):
                other = like.get(key)
                other = other if isinstance(other, Object) else Object()
                found[key], position = self._object(position, inner, other, depth + 1)
            else:
                value_at = position
                found[key], position = self._leaf(position)
                if self.keep_texts and text.startswith("{", value_at):
                    found.texts[key] = text[value_at:position]
            member = next_member(text, position)
        end = self._skip(position)
        if not text.startswith("}", end):
            raise self._misplaced(end)
        return found, end + 1

    def _misplaced(self, position: int) -> LockfileError:
        """What stands at `position` instead of a member, or of what follows one."""
        if not self.text.startswith(",", position):
            return self._error(position, 'a key in double quotes, a "," or a "}" is missing here.')
        return self._error(self._skip(position + 1), "a key in double quotes, with a colon, is missing here.")

    def _leaf(self, start: int) -> tuple[object, int]:
        try:
            return self.decode(self.text, start)
        except json.JSONDecodeError as exc:
            raise self._error(exc.pos, exc.msg[0].lower() + exc.msg[1:]) from exc
        except _DuplicateKeyError as exc:
            raise self._duplicate(*_find_duplicate(self.text, start)) from exc
        except RecursionError as exc:
            raise self._error(start, "nested too deeply.") from exc
        except ValueError as exc:
            # NaN, or an integer of thousands of digits.
            raise self._error(start, "a number that is not valid.") from exc

    def _skip(self, position: int) -> int:
        space = _SPACE.match(self.text, position)
        assert space is not None
        return space.end()

    def _not_an_object(self, start: int) -> LockfileError:
        if start == len(self.text):
            return LockfileError(self.path, "empty.", "Make it anew with the package manager.")
        if not self.text.startswith(("[", '"', "null", "true", "false")):
            return self._error(start, 'a "{" is missing here.')
        self._leaf(start)
        return LockfileError(self.path, "holds no JSON object.", "Make it anew with the package manager.", line=1)

    def _duplicate(self, position: int, key: str) -> LockfileError:
        line = self.text.count("\n", 0, position) + 1
        hint = "Remove one of the two, or make the file anew: readers differ in which one counts."
        return LockfileError(self.path, f"the key {_shortened(key)} stands twice in one object.", hint, line=line)

    def _error(self, position: int, problem: str) -> LockfileError:
        place = partial(LockfileError, self.path, line=self.text.count("\n", 0, position) + 1)
        column = position - self.text.rfind("\n", 0, position)
        if _CONFLICT.search(self.text):
            return place("broken JSON, with marks of a merge conflict.", "Resolve the conflict first.", column=column)
        if position >= len(self.text):
            problem = "the text ends in the middle of the document."
        return place(f"broken JSON: {problem}", "Restore the file, or make it anew.", column=column)


def _find_duplicate(text: str, start: int) -> tuple[int, str]:
    """Position and key of the first duplicate in the valid JSON value at `start`. Slow: only for the message."""
    open_objects: list[set[str] | None] = []
    last_string, position = "", start
    for token in _TOKEN.finditer(text, start):
        match token[0]:
            case "{":
                open_objects.append(set())
            case "[":
                open_objects.append(None)
            case "}" | "]":
                open_objects.pop()
            case ":":
                keys = open_objects[-1]
                key = str(json.loads(last_string))
                if keys is not None and key in keys:
                    return position, key
                if keys is not None:
                    keys.add(key)
            case string:
                last_string, position = string, token.start()
    raise AssertionError("the decoder saw a duplicate key")


def _shortened(key: str) -> str:
    return repr(key if len(key) <= 100 else key[:100] + "…")
