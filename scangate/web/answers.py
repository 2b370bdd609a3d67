"""What a server says, on one line and without secrets. All of it is data from outside."""

import json
from collections.abc import Callable
from contextlib import suppress

MAX_TEXT_CHARACTERS = 300
"""How much of a text of the server's is kept for people."""

Mask = Callable[[str], str]
"""Takes the key out of a text, should the server repeat it."""


def one_line(text: str, mask: Mask, limit: int = MAX_TEXT_CHARACTERS) -> str:
    """A text of the server's on one line, without the key and without unprintable characters, cut at `limit`."""
    masked = mask(text[: 64 * 1024])
    line = " ".join("".join(character if character.isprintable() else " " for character in masked).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def json_of(body: bytes) -> object:
    """None where the body is not JSON. No error is raised from the decoder's, which holds the whole body."""
    with suppress(ValueError, RecursionError):
        return json.loads(body)
    return None


def error_text(body: bytes, mask: Mask) -> str:
    """What an error's body says, with or without an envelope; "" where it says nothing that can be read."""
    document = json_of(body)
    if not isinstance(document, dict):
        return ""
    texts = [text for name in ("error", "message") if isinstance(text := document.get(name), str)]
    lines = dict.fromkeys(one_line(text, mask).rstrip(".") for text in texts)
    return ": ".join(line for line in lines if line)
