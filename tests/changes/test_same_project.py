"""The same project in other words is nothing new: by another version of its tool, line ending or encoding."""

import codecs
import json
from pathlib import Path

import pytest

from scangate import lockfiles
from scangate.changes.select import select_new
from scangate.changes.worktree import WorkTree
from scangate.lockfiles.examine import examine
from scangate.models.changes import Selection
from scangate.models.lockfile import Lockfile
from scangate.registries import NO_REGISTRIES
from tests.changes.sides import against, new_facts

ASSETS = Path(__file__).parent.parent / "assets"
NAMES = {"npm": "package-lock.json", "poetry": "poetry.lock", "requirements": "requirements.txt"}


def real(folder: str) -> tuple[Lockfile, ...]:
    name = NAMES[folder.partition("/")[0]]
    found = lockfiles.read(name, lockfiles.recognise(name) or "", WorkTree(ASSETS / folder), NO_REGISTRIES)
    assert found.dependencies
    return examine([found], NO_REGISTRIES)


def said(selection: Selection) -> tuple[list[str], list[str]]:
    return [f"{change.kind} {change.dependency.name}" for change in selection.changes], new_facts(selection)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("npm/v1-real", "npm/v3-real"),
        ("npm/v2", "npm/v1"),
        ("npm/v2", "npm/v3"),
        ("npm/v3", "npm/v2"),
        ("npm/v2-workspaces", "npm/workspaces"),
        ("npm/workspaces", "npm/v2-workspaces"),
        ("poetry/1.0-every-source", "poetry/1.1-every-source"),
        ("poetry/1.4-every-source", "poetry/1.8-every-source"),
        ("poetry/1.0-index-as-source", "poetry/1.1-index-as-source"),
        ("poetry/1.1-index-as-source", "poetry/1.4-index-as-source"),
        ("poetry/1.4-index-as-source", "poetry/1.8-index-as-source"),
        ("poetry/1.8-index-as-source", "poetry/2.2-index-as-source"),
    ],
)
def test_the_same_project_by_another_version_of_its_tool(before: str, after: str) -> None:
    assert said(select_new(real(after), real(before))) == ([], [])


def test_what_comes_from_elsewhere_by_npm_6_and_npm_10() -> None:
    """The fixtures were made apart, so that their repositories have other commits: both get the same one."""
    texts = [(ASSETS / "npm" / name / "package-lock.json").read_text() for name in ("v1-elsewhere", "elsewhere")]
    commits = [text.partition("tool.git#")[2][:40] for text in texts]
    six, ten = (
        {"package-lock.json": text.replace(commit, "c" * 40)} for text, commit in zip(texts, commits, strict=True)
    )
    assert {"lib", "packed", "tool"} <= json.loads(texts[0])["dependencies"].keys()
    assert said(against(six, ten)) == said(against(ten, six)) == ([], [])


WRITTEN = {
    "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "byte order mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "no end of line": lambda text: text.rstrip("\n").encode(),
    "UTF-16": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
}


TAKEN = {  # by the tools themselves: pip alone reads UTF-16, and poetry wants no byte order mark
    "npm/v3-real": ("CRLF", "byte order mark", "no end of line"),
    "npm/v1-real": ("CRLF", "byte order mark", "no end of line"),
    "poetry/1.8-every-source": ("CRLF", "no end of line"),
    "requirements/hashed": tuple(WRITTEN),
}


@pytest.mark.parametrize(("name", "written"), [(name, written) for name, some in TAKEN.items() for written in some])
def test_another_line_ending_or_encoding_is_not_new(name: str, written: str, tmp_path: Path) -> None:
    file = NAMES[name.partition("/")[0]]
    text = (ASSETS / name / file).read_bytes().decode()
    for beside in ("package.json", "pyproject.toml"):
        if (ASSETS / name / beside).is_file():
            (tmp_path / beside).write_bytes((ASSETS / name / beside).read_bytes())
    (tmp_path / file).write_bytes(WRITTEN[written](text))
    found = lockfiles.read(file, lockfiles.recognise(file) or "", WorkTree(tmp_path), NO_REGISTRIES)
    other = examine([found], NO_REGISTRIES)
    assert said(select_new(other, real(name))) == said(select_new(real(name), other)) == ([], [])
