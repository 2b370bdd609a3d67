"""One escaper for each output language. Everything from outside goes through one of them, exactly once."""

import re

# Compiled where they are used: at most one output is made, and most have little from outside in it.
_COMMAND_START = r"(?m)^(\s*)::"

_COMMAND_ANYWHERE = r"##(?=\w*\[)"
"""`##[command]` of GitHub's and Azure's runners, `##vso[…]` of Azure's alone, `##teamcity[…]`."""

_UNSEEN = "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
"""Fillers, joiners and selectors that `str.isprintable` lets pass and nobody sees (Default_Ignorable_Code_Point)."""

_PLAIN_WORD = r"""[("']?[^\W\d_]+(?:['’-][^\W\d_]+)*[)"']?[.,;:!?…]?[)"']?|\d{1,6},?"""
"""A word that no Markdown, and no filter that makes links afterwards, does anything with."""

_PUNCTUATED = r"""(?s)([("']?)(.+?)([)"'.,;:!?…]*)"""
"""What stands before a word, the word, and what stands behind it."""

_HEX = r"[0-9a-fA-F]{7,64}\W?"
"""What may be the name of a commit."""


def terminal(text: str) -> str:
    """Text that a terminal shows as characters and never obeys.

    Control characters (ANSI, CR, LF, NUL), format characters (bidirectional overrides, zero width), line
    separators, lone surrogates and unassigned code points become visible escapes: `str.isprintable` is false for
    just these (and for spaces other than U+0020). So do the few others that nobody sees.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if char.isprintable() and not re.match(_UNSEEN, char) else _visible(char) for char in text)


def log(text: str) -> str:
    """A whole rendered text, made harmless for CI runners that read commands from logs.

    GitHub's runner obeys `::command::` at the start of a line and `##[command]` anywhere, Azure's `##vso[command]`.
    Wrapping can move foreign text to a line's start, so this is done to the finished text.
    """
    return re.sub(_COMMAND_ANYWHERE, r"##\\", re.sub(_COMMAND_START, r"\1:\\:", text))


def json(text: str) -> str:
    """The same for a whole JSON document: to its reader it stays what it was, for one `#` becomes an escape."""
    return re.sub(_COMMAND_ANYWHERE, r"#\\u0023", text)


def command_data(text: str) -> str:
    """The message of a workflow command (`::error::message`), whose lines end with LF.

    The runner undoes just these three escapes, "%" last, so "%" is written first. `##[` in it would be obeyed where
    the line itself is not taken as a command (a log that is printed again).
    """
    text = text.replace("##[", "##\\[")
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def command_property(text: str) -> str:
    """The value of a property of a workflow command (`::error file=value::`)."""
    return command_data(text).replace(":", "%3A").replace(",", "%2C")


def code(text: str, *, cell: bool = False) -> str:
    """A Markdown code span: nothing in it is markup, a link, a mention or a reference, here or afterwards.

    `cell`: in a table, where a bar would end the cell. A backtick is written as an escape, for a longer fence is
    not read by every implementation.
    """
    text = terminal(text).replace("`", "\\x60")
    if cell:
        text = text.replace("|", "\\|")
    return f"`{text}`" if text.strip() else "(empty)"


def prose(text: str, *, cell: bool = False) -> str:
    """A sentence in Markdown: plain words stay as they are, all else stands in code spans.

    GitHub looks for mentions, references, addresses and commits in the finished page, where escaped characters are
    plain again: only code is left alone.
    """
    pieces: list[str] = []
    special: list[str] = []
    for word in text.split():
        if re.fullmatch(_PLAIN_WORD, word) and not re.fullmatch(_HEX, word):
            pieces += [*_span(special, cell=cell), word]
            continue
        found = re.fullmatch(_PUNCTUATED, word)
        lead, core, tail = found.groups() if found else ("", word, "")
        if lead:
            pieces += _span(special, cell=cell)
        special.append(core)
        if lead or tail:
            pieces.append("".join([lead, *_span(special, cell=cell), tail]))
    return " ".join([*pieces, *_span(special, cell=cell)])


def _span(words: list[str], *, cell: bool) -> list[str]:
    """The words as one code span, if there are any; they are used up."""
    found = [code(" ".join(words), cell=cell)] if words else []
    words.clear()
    return found


def xml(text: str) -> str:
    """Text or an attribute's value in XML 1.0, for which control characters are not even allowed as references.

    `::` and what `log` looks for are written with a reference: an XML reader sees them, a CI runner does not.
    `[[ATTACHMENT|path]]` makes Jenkins and GitLab show a file: a backslash stands in it.
    """
    text = (
        terminal(text)
        .replace("[[ATTACHMENT", "[\\[ATTACHMENT")
        .replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace('"', "&quot;")
    )
    return re.sub(_COMMAND_ANYWHERE, "#&#35;", text.replace("'", "&apos;").replace("::", ":&#58;"))


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters, cut at the end and marked. Cut first, then escape."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _visible(char: str) -> str:
    code = ord(char)
    if char in _NAMED:
        return _NAMED[char]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
