"""Texts and places as SARIF has them: messages that nothing in them can mark up, URIs relative to the repository."""

from typing import Any
from urllib.parse import quote

from scangate.output import escape, facts
from scangate.output.base import Tree

Json = dict[str, Any]

SOURCE_ROOT = "SRCROOT"
"""The base that every URI is relative to: the repository's root, wherever it lies."""

MAX_TEXT = 300
MAX_PATH = 4096
"""Longer paths no file system has."""

FOUND_POLICIES = frozenset({"scangate.yml", ".github/scangate.yml"})


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
    inside = tree.inside(escape.shorten(path, MAX_PATH)) if path else None
    if inside is None:
        return None
    return {
        "artifactLocation": {"uri": uri(inside), "uriBaseId": SOURCE_ROOT},
        "region": {"startLine": max(line, 1)},
    }


def policy_location(where: str, tree: Tree) -> Json | None:
    """The location of "scangate.yml:12"; None for what is built in, and for a policy outside of the repository."""
    place = facts.place_in_policy(where)
    if place is None:
        return None
    path, line = place
    # The policy that is found, not named, is shown as it is called at the repository's root; no other is shown so.
    base = Tree(root=tree.root, cwd=tree.root) if path in FOUND_POLICIES else tree
    found = physical(path, line, base)
    return None if found is None else {"physicalLocation": found}


def uri(path: str) -> str:
    """A relative path as a URI reference: percent-encoded UTF-8, so that no name can pass for a scheme or a query."""
    try:
        encoded = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a lone surrogate that stands for no byte
        encoded = path.encode("utf-8", "replace")
    return quote(encoded, safe="/")
