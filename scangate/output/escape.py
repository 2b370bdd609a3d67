"""One escaper for each output language. Everything from outside goes through one of them, exactly once."""

import re

_COMMAND_START = re.compile(r"^(\s*)::", re.MULTILINE)


def terminal(text: str) -> str:
    """Text that a terminal shows as characters and never obeys.

    Control characters (ANSI, CR, LF, NUL), format characters (bidirectional overrides, zero width), line
    separators, lone surrogates and unassigned code points become visible escapes: `str.isprintable` is false for
    just these (and for spaces other than U+0020).
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _visible(char) for char in text)


def log(text: str) -> str:
    """A whole rendered text, made harmless for CI runners that read commands from logs.

    GitHub's runner obeys `::command::` at the start of a line and `##[command]` anywhere. Wrapping can move foreign
    text to a line's start, so this is done to the finished text.
    """
    return _COMMAND_START.sub(r"\1:\\:", text).replace("##[", "##\\[")


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters, cut at the end and marked. Cut first, then escape."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _visible(char: str) -> str:
    code = ord(char)
    if char in _NAMED:
        return _NAMED[char]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
