"""Texts and places as SARIF has them: messages that nothing in them can mark up, URIs relative to the repository."""

from typing import Any
from urllib.parse import quote

from scangate.output import escape, facts
from scangate.output.base import Tree

Json = dict[str, Any]

SOURCE_ROOT = "SRCROOT"
"""The base that every URI is relative to: the repository's root, wherever it lies."""

NOWHERE = "not-in-the-repository"
"""The folder that stands for all that has no file in the repository."""

MAX_TEXT = 300


def prose(text: str, limit: int = MAX_TEXT) -> str:
    """A sentence of the policy's or of ours, for messages and for Markdown alike."""
    return _unlinked(escape.prose(escape.shorten(text, limit)))


def code(text: str, limit: int = MAX_TEXT) -> str:
    """A text from outside between backticks: code to a viewer that knows Markdown, quoted to one that does not."""
    return _unlinked(escape.code(escape.shorten(text, limit)))


def _unlinked(text: str) -> str:
    # Plain messages may hold links, [text](target) (SARIF 2.1.0, 3.11.6): backticks mean nothing there.
    return text.replace("](", "] (")


def value(text: str, limit: int = MAX_TEXT) -> str:
    """A text in a property bag: for programs, so just without what makes a file unreadable."""
    return escape.terminal(escape.shorten(text, limit))


def message(text: str) -> Json:
    return {"text": text}


def physical(path: str, line: int, tree: Tree) -> Json | None:
    """The physicalLocation of a line, relative to the repository; None where the file lies outside of it."""
    inside = tree.inside(path) if path else None
    return None if inside is None else _line(inside, line)


def nowhere(name: str) -> Json:
    """A physicalLocation for what has none: GitHub refuses a whole file for one result without it."""
    steps = (step for step in escape.shorten(name, MAX_TEXT).split("/") if step not in ("", ".", ".."))
    return _line("/".join((NOWHERE, *steps)), 1)


def _line(path: str, line: int) -> Json:
    return {
        "artifactLocation": {"uri": uri(path), "uriBaseId": SOURCE_ROOT},
        "region": {"startLine": max(line, 1)},
    }


def policy_location(where: str, tree: Tree) -> Json | None:
    """The location of "scangate.yml:12"; None for what is built in, and for a policy outside of the repository."""
    place = facts.place_in_policy(where, tree)
    found = None if place is None else physical(*place, tree)
    return None if found is None else {"physicalLocation": found}


def uri(path: str) -> str:
    """A relative path as a URI reference: percent-encoded UTF-8, so that no name can pass for a scheme or a query."""
    try:
        encoded = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a lone surrogate that stands for no byte
        encoded = path.encode("utf-8", "replace")
    return quote(encoded, safe="/")
