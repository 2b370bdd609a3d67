"""Hostile text through every renderer: nothing becomes an escape sequence, a line of its own or a runner command."""

import json
from collections.abc import Iterator
from functools import cache

import pytest

from scangate.output import dependencies, escape
from tests.output.cases import LOCKFILE_ITEM, dependency
from tests.output.hostile import HARMLESS, HUGE, TEXTS, hostile_verdict, huge_verdict
from tests.output.renderers import RENDERERS
from tests.output.runner_commands import commands

COMPLETE = {"json", "sarif"}
"""Formats for programs: they carry text whole, or have bounds of their own."""


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("name", RENDERERS)
def test_nothing_hostile_comes_out(name: str, text: str) -> None:
    rendered = RENDERERS[name](hostile_verdict(text))
    rendered.encode("utf-8")  # no lone surrogate is left
    own_colours = ("\x1b[1;31m", "\x1b[1;33m", "\x1b[1;32m", "\x1b[1m", "\x1b[2m", "\x1b[0m")
    for code in own_colours if name == "colour.txt" else ():
        rendered = rendered.replace(code, "")
    assert rendered.endswith("\n")
    assert all(char.isprintable() or char == "\n" for char in rendered)
    assert "##[" not in rendered
    assert _own_commands(rendered) == _expected_commands(name)
    assert name in COMPLETE or len(rendered) < 200_000


@cache
def _expected_commands(name: str) -> list[tuple[str, frozenset[str]]]:
    return _own_commands(RENDERERS[name](hostile_verdict(HARMLESS)))


def _own_commands(rendered: str) -> list[tuple[str, frozenset[str]]]:
    """Which commands the runner would obey, with which properties: the ones that are meant, whatever the text."""
    return [(each.name, frozenset(each.properties) - {"file", "line"}) for each in commands(rendered)]


@pytest.mark.parametrize("name", sorted(set(RENDERERS) - {"github.txt"}))
def test_only_the_format_for_the_runner_gives_commands(name: str) -> None:
    assert not _own_commands(RENDERERS[name](hostile_verdict(HARMLESS)))


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_the_runner_shows_the_text_as_it_is(text: str) -> None:
    shown = escape.terminal(text)[:200].replace("##[", "##\\[")
    annotations = list(commands(RENDERERS["github.txt"](hostile_verdict(text))))
    assert shown in annotations[0].properties["title"]
    assert shown in annotations[0].data
    if shown and len(shown) < 200:
        # No line of the message begins where the text wants one to.
        expected = next(commands(RENDERERS["github.txt"](hostile_verdict(HARMLESS)))).data.count("\n")
        assert annotations[0].data.count("\n") == expected


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_json_carries_the_text_itself(text: str) -> None:
    document = json.loads(RENDERERS["json"](hostile_verdict(text)))
    assert document["packages"][0]["name"] == text
    assert document["packages"][0]["findings"][0]["evidence"][0]["host"] == text


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_the_dependency_table_holds_too(text: str) -> None:
    entry = dependency("x", "1", line=3)._replace(name=text, version=text, purl=None, lockfile=text)
    lockfile = LOCKFILE_ITEM.lockfile._replace(path=text, dependencies=(entry,))
    rendered = dependencies.as_table((lockfile,))
    assert all(char.isprintable() or char == "\n" for char in rendered)
    assert not list(commands(rendered))


@pytest.mark.parametrize("text", HUGE.values(), ids=HUGE)
@pytest.mark.parametrize("name", sorted(set(RENDERERS) - COMPLETE))
def test_a_megabyte_is_shortened_and_says_so(name: str, text: str) -> None:
    rendered = RENDERERS[name](huge_verdict(text))
    assert all(char.isprintable() or char in "\n\x1b" for char in rendered)
    assert len(rendered) < 100_000
    assert "…" in rendered or "\\u2026" in rendered


MEGABYTE = "\u202e[x](" * 200_000


def test_json_carries_a_megabyte_whole() -> None:
    (package,) = json.loads(RENDERERS["json"](huge_verdict(MEGABYTE)))["packages"]
    assert package["name"] == MEGABYTE
    assert package["findings"][0]["evidence"][0]["host"] == MEGABYTE


def test_sarif_shortens_a_megabyte_wherever_it_stands_and_says_so() -> None:
    document = json.loads(RENDERERS["sarif"](huge_verdict(MEGABYTE)))
    (result,) = document["runs"][0]["results"]
    assert any("[x](" in text for text in _strings(result))
    assert all("…" in text for text in _strings(document) if "[x](" in text)


def _strings(document: object) -> Iterator[str]:
    match document:
        case str():
            yield document
        case list():
            for item in document:
                yield from _strings(item)
        case dict():
            for item in document.values():
                yield from _strings(item)


def test_printable_text_is_left_alone() -> None:
    assert escape.terminal("äöü 漢字 pkg:npm/%40a/b@1") == "äöü 漢字 pkg:npm/%40a/b@1"
    assert escape.terminal("😀") == "😀"
