"""TOML from outside: a bounded load with one clear error, and the lines that tomllib does not tell."""

import re
from collections.abc import Mapping

from scangate.errors import LockfileError

MAX_KEY_PARTS = 64
"""Dots in one key. tomllib takes quadratic time over them; real files have fewer than five."""

_LONG_KEY = re.compile(rf"""(?<![\w.-])(?>(?>[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){{{MAX_KEY_PARTS}}}""", re.ASCII)
_PLACE = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)\Z")


def load(path: str, content: bytes, hint: str) -> Mapping[str, object]:
    """The document. Raises LockfileError, with `hint` as the advice, where it is not UTF-8 or not TOML."""
    import tomllib

    text = decode(path, content, hint)
    if (long_key := _LONG_KEY.search(text)) is not None:
        line = text.count("\n", 0, long_key.start()) + 1
        raise LockfileError(path, f"a key has more than {MAX_KEY_PARTS} parts.", hint, line=line)
    try:
        return tomllib.loads(text)
    except RecursionError as exc:
        raise LockfileError(path, "it is nested too deeply.", hint) from exc
    except ValueError as exc:  # TOMLDecodeError, and numbers or dates that Python refuses
        raise _not_toml(path, " ".join(str(exc).split()), text, hint) from exc


def _not_toml(path: str, problem: str, text: str, hint: str) -> LockfileError:
    """tomllib tells the place at the end of its message: "(at line 1, column 2)" or "(at end of document)"."""
    place = _PLACE.search(problem)
    line = column = None
    if place is not None:
        problem = problem[: place.start()]
        line, column = (int(place[1]), int(place[2])) if place[1] else (text.count("\n") + 1, None)
    return LockfileError(path, f"it is not TOML: {problem[:200]}.", hint, line=line, column=column)


def decode(path: str, content: bytes, hint: str) -> str:
    """The text of a UTF-8 file. Raises LockfileError with the line of the first byte that is wrong."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise LockfileError(path, f"it is not UTF-8 (byte {exc.start}).", hint, line=line) from exc


def name_lines(text: str, header: str) -> list[int]:
    """For each `[[header]]` of a valid document, in order: the line of its `name = …`, or its own line.

    Strings and comments are skipped as a whole, so that text inside of them is never taken for a header. A header
    in an unusual spelling (quoted) is not seen: compare the count with that of the elements.
    """
    token = re.compile(
        r'"""(?:\\.|[^\\])*?"{3,5}|'
        r"'''.*?'{3,5}|"
        r'"(?:\\.|[^"\\\n])*"|'
        r"'[^'\n]*'|"
        r"#[^\n]*|"
        rf"^[ \t]*(?P<header>\[\[[ \t]*{re.escape(header)}[ \t]*\]\])|"
        r"^[ \t]*(?P<other>\[)|"
        r"^[ \t]*(?P<name>name)[ \t]*=",
        re.MULTILINE | re.DOTALL,
    )
    lines: list[int] = []
    line, position, inside = 1, 0, False
    for match in token.finditer(text):
        if match.lastgroup is None:
            continue
        start = match.start(match.lastgroup)
        line += text.count("\n", position, start)
        position = start
        if match.lastgroup == "header":
            lines.append(line)
            inside = True
        elif match.lastgroup == "other":
            inside = False
        elif inside:
            lines[-1] = line
    return lines
