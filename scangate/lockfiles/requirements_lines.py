"""requirements.txt as lines: bytes to text, text to logical lines, exactly as pip reads them (pip 20 to 26)."""

import codecs
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

from scangate.errors import LockfileError

MAX_LINES = 500_000
"""Of a file. One with 2,000 packages and 50 digests each has 100,000."""
MAX_LINE_CHARACTERS = 1_000_000
"""Of a logical line. A package with 2,000 wheels and a digest for each has 180,000."""

# The order matters: the mark of UTF-16 little-endian is the beginning of that of UTF-32.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CODING = re.compile(rb"coding[:=]\s*([-\w.]+)")
# pip takes any codec of Python's. These hide what a reviewer sees, or take quadratic time.
_REFUSED_CODECS = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"})
_CREDENTIALS = re.compile(r"(?<=://)\S*@|\?\S*")
_SHOWN_CHARACTERS = 120
_READ_CHARACTERS = 5000
_LINE_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"


@dataclass(frozen=True, slots=True)
class LogicalLine:
    """One line after joining: `number` is the physical line (1-based) that it starts at.

    `text` has no comment and no white space around it; `comment` is what follows the "#", as it stands.
    """

    path: str
    number: int
    text: str
    comment: str

    def error(self, problem: str, hint: str) -> LockfileError:
        return LockfileError(self.path, problem, hint, line=self.number)


def shown(text: str) -> str:
    """Text of a requirements file as an error may show it: short, and without what may be a secret in a URL."""
    text = _CREDENTIALS.sub("", text[:_READ_CHARACTERS])
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…")


def decode(data: bytes, path: str) -> str:
    """Bytes to text: byte order mark, else a PEP 263 comment in the first two lines, else UTF-8.

    pip goes on to the machine's locale. We do not: the same file must have the same verdict everywhere, and where
    the locale is UTF-8 (every CI) pip fails too. Raises LockfileError.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return _decode(data[len(mark) :], encoding, path)
    for line in data.split(b"\n", 2)[:2]:
        declared = _CODING.search(line) if line.startswith(b"#") else None
        if declared is not None:
            return _decode(data, declared[1].decode("ascii"), path)
    return _decode(data, "utf-8", path)


def _decode(data: bytes, encoding: str, path: str) -> str:
    hint = 'Save the file as UTF-8, or name its encoding in the first line: "# -*- coding: latin-1 -*-".'
    try:
        name = codecs.lookup(encoding).name.replace("_", "-")
        if name in _REFUSED_CODECS:
            raise LockfileError(path, f"its comment declares the encoding {encoding}, which hides its text.", hint)
        return data.decode(name)
    except LookupError as exc:  # no such codec, or one that does not make text
        raise LockfileError(path, f"its comment declares the encoding {encoding!r}, which is none.", hint) from exc
    except UnicodeError as exc:
        raise LockfileError(path, f"it is not text in the encoding {encoding}.", hint) from exc


def logical_lines(text: str, path: str) -> Iterator[LogicalLine]:
    """Join lines that end in a backslash, then split off comments (in this order, as pip does).

    A comment line ends a continuation. Empty lines are yielded too: they end a "# via" block. pip breaks lines
    where `str.splitlines` does; numbers count only what an editor counts. Raises LockfileError.
    """
    number, started, size = 1, 1, 0
    parts: list[str] = []
    for raw in _physical_lines(text):
        line = raw.rstrip(_LINE_ENDS)
        size += len(line)
        if size > MAX_LINE_CHARACTERS or number > MAX_LINES:
            problem = f"a line longer than {MAX_LINE_CHARACTERS} characters, or more than {MAX_LINES} lines."
            raise LockfileError(path, problem, "Check what made this file, or exclude it.", line=started)
        is_comment = line.lstrip().startswith("#")
        if line.endswith("\\") and not is_comment:
            parts.append(line.strip("\\"))
        else:
            parts.append(f" {line}" if is_comment else line)
            yield _without_comment(path, started, "".join(parts))
            parts, size = [], 0
        if raw[-1] in "\r\n":
            number += 1
        if not parts:
            started = number
    if parts:
        yield _without_comment(path, started, "".join(parts))


def _physical_lines(text: str) -> Iterator[str]:
    """What `text.splitlines(keepends=True)` gives, but one by one: a list of millions of lines is gigabytes."""
    for chunk in io.StringIO(text, newline="\n"):
        yield from chunk.splitlines(keepends=True)


def _without_comment(path: str, number: int, line: str) -> LogicalLine:
    """A comment starts at a "#" at the start or after white space, so that "#egg=" and "#sha256=" survive.

    pip's expression for it, `(^|\\s+)#.*$`, takes quadratic time on white space.
    """
    at = line.find("#")
    while at > 0 and not line[at - 1].isspace():
        at = line.find("#", at + 1)
    if at < 0:
        return LogicalLine(path, number, line.strip(), "")
    return LogicalLine(path, number, line[:at].strip(), line[at + 1 :])
