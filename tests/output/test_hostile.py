"""Hostile text through every renderer: nothing becomes an escape sequence, a line of its own or a runner command."""

import json
from dataclasses import replace

import pytest

from scangate.models import CommandRun, DecidedBy, Decider, HostContacted, Phase, PolicyNotice, Status
from scangate.output import dependencies, escape, terminal
from tests.output.cases import BLOCKED_ITEM, LOCKFILE_ITEM, dependency, finding, subject, verdict
from tests.output.renderers import RENDERERS

HOSTILE = {
    "ansi": "\x1b[2J\x1b]0;owned\x07name",
    "c1": "\x9b31mname",
    "carriage return": "good\rBLOCKED",
    "line feed": "name\n::error::forged",
    "bidi override": "a\u202egnp.exe",
    "bidi isolate": "a\u2066b\u2069",
    "zero width": "ax\u200bios",
    "line separator": "a\u2028::warning::b",
    "nul": "a\x00b",
    "workflow command": "::error file=a::forged",
    "legacy command": "##[error]forged",
    "group": "##[group]x",
    "percent": "%0A::error::x",
    "lone surrogate": "a\ud800b",
    "tag characters": "a\U000e0041b",
    "huge": "A" * 100_000,
}


def _hostile_verdict(text: str):  # type: ignore[no-untyped-def]  # a helper of this file
    entry = replace(
        dependency("x", "1", line=3), name=text, version=text, purl=text, lockfile=text, source=text, path=(text, text)
    )
    evidence = (
        HostContacted(phase=Phase.INSTALL, host=text, via=("dns",), record_types=(text,)),
        CommandRun(phase=Phase.INSTALL, argv=("sh", text)),
    )
    hostile = replace(
        finding("net-x", *evidence),
        title=text,
        decided_by=DecidedBy(Decider.POLICY, text),
        advice=text,
        description=text,
    )
    item = replace(BLOCKED_ITEM, subject=subject(entry), findings=(hostile,))
    lock = replace(LOCKFILE_ITEM, lockfile=replace(LOCKFILE_ITEM.lockfile, path=text), findings=(hostile,))
    notice = PolicyNotice(code="x", message=text, where=text)
    return replace(verdict(Status.BLOCKED, item, lockfiles=(lock,), notices=(notice,)), policy=text, analyser=text)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("name", RENDERERS)
def test_nothing_hostile_comes_out(name: str, text: str) -> None:
    rendered = RENDERERS[name](_hostile_verdict(text))
    rendered.encode("utf-8")  # no lone surrogate is left
    own_colours = ("\x1b[1;31m", "\x1b[1;33m", "\x1b[1;32m", "\x1b[1m", "\x1b[2m", "\x1b[0m")
    for code in own_colours if name == "colour.txt" else ():
        rendered = rendered.replace(code, "")
    assert all(char.isprintable() or char == "\n" for char in rendered)
    assert "##[" not in rendered
    assert not any(line.lstrip().startswith("::") for line in rendered.splitlines())
    if name == "json":
        assert json.loads(rendered)["packages"][0]["name"] == text


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_the_dependency_table_holds_too(text: str) -> None:
    entry = replace(dependency("x", "1", line=3), name=text, version=text, purl=None, lockfile=text)
    lockfile = replace(LOCKFILE_ITEM.lockfile, path=text, dependencies=(entry,))
    rendered = dependencies.as_table((lockfile,))
    assert all(char.isprintable() or char == "\n" for char in rendered)
    assert "##[" not in rendered
    assert not any(line.lstrip().startswith("::") for line in rendered.splitlines())


def test_long_text_is_shortened_and_says_so() -> None:
    rendered = terminal.render(_hostile_verdict("A" * 1_000_000))
    assert len(rendered) < 20_000
    assert "…" in rendered


def test_printable_text_is_left_alone() -> None:
    assert escape.terminal("äöü 漢字 pkg:npm/%40a/b@1") == "äöü 漢字 pkg:npm/%40a/b@1"
