"""Rendered Markdown, as GitHub and others make it, and what they would make links, mentions and references of."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser

import cmarkgfm
from cmarkgfm.cmark import Options
from markdown_it import MarkdownIt

_VOID = {"br", "hr", "img", "input"}
_LEFT_ALONE = {"code", "pre", "a", "tt", "script", "style"}
"""Where GitHub's filters look for nothing (its HTML pipeline: mentions, references, autolinks)."""

REFERENCES = {
    "mention": re.compile(r"(?<![\w/])@[a-z0-9][\w./-]*", re.IGNORECASE),
    "issue": re.compile(r"(?<!\w)(?:[\w.-]+/[\w.-]+)?#\d+|\bGH-\d+", re.IGNORECASE),
    "commit": re.compile(r"\b[0-9a-f]{7,64}\b"),
    "address": re.compile(r"\b[a-z][a-z0-9+.-]*://|\bwww\.\w|\b(?:mailto|xmpp|javascript):", re.IGNORECASE),
    "email": re.compile(r"[\w.+-]+@[\w-]"),
    "ticket": re.compile(r"\b[A-Z]+-\d+\b"),
    "emoji": re.compile(r":[a-z0-9_+-]+:"),
    "math": re.compile(r"\$"),
}
"""What GitHub's filters look for in text outside of code, and generously so."""


@dataclass
class Page(HTMLParser):
    """The elements in order (without the code spans: their number may follow the text), links, and free text."""

    html: str
    elements: list[str] = field(default_factory=list)
    attributes: set[tuple[str, str]] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    free: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    _open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(self.html)
        self.close()
        self.problems += [f"left open: {name}" for name in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "code":
            self.elements.append(tag)
        self.attributes |= {(tag, name) for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        if not self._open or self._open.pop() != tag:
            self.problems.append(f"closed out of turn: {tag}")

    def handle_data(self, data: str) -> None:
        if "code" in self._open:
            self.codes.append(data)
        elif not _LEFT_ALONE & set(self._open):
            self.free.append(data)

    def handle_comment(self, data: str) -> None:
        self.problems.append(f"comment: {data}")

    def handle_decl(self, decl: str) -> None:
        self.problems.append(f"declaration: {decl}")

    def handle_pi(self, data: str) -> None:
        self.problems.append(f"processing instruction: {data}")

    def references(self) -> list[str]:
        return [
            f"{kind}: {found[0]!r} in {text!r}"
            for text in self.free
            for kind, pattern in REFERENCES.items()
            if (found := pattern.search(text))
        ]


def _github(text: str) -> str:
    return cmarkgfm.github_flavored_markdown_to_html(text, options=Options.CMARK_OPT_UNSAFE)


def _markdown_it(text: str) -> str:
    return str(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text))


IMPLEMENTATIONS: dict[str, Callable[[str], str]] = {"cmark-gfm": _github, "markdown-it": _markdown_it}
"""GitHub's and GitLab's parser family, and that of Azure DevOps and most others."""
