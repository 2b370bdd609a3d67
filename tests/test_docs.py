"""Documents are generated or tested: what they say is what the program does."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from scangate.cli.main import COMMANDS, command_parser
from scangate.local.engines import recordings
from scangate.models.analysis import OutcomeCode
from scangate.output.advice import MEANING
from scangate.policy import loader
from tests.conftest import ROOT
from tools import docs

TEXTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))


def blocks(language: str) -> list[tuple[str, str]]:
    """(file, block) of each fenced block of a language in the README and docs."""
    found = []
    for path in TEXTS:
        for block in re.findall(rf"```{language}\n(.*?)```", path.read_text(), re.DOTALL):
            found.append((path.name, block))
    assert found
    return found


@pytest.mark.parametrize("name", docs.FILES)
def test_generated_documents_are_up_to_date(name: str) -> None:
    assert (docs.DOCS / name).read_text() == docs.FILES[name](), "run `make docs`"


@pytest.mark.parametrize(("file", "block"), blocks("yaml"))
def test_policies_in_documents_are_policies(file: str, block: str) -> None:
    assert loader.load(block, file).rules


@pytest.mark.parametrize(
    "line",
    [
        line.removeprefix("$ ").partition("#")[0].strip()
        for _, block in blocks("console")
        for line in block.splitlines()
        if line.startswith("$ scangate ")
    ],
)
def test_commands_in_documents_are_commands(line: str) -> None:
    _, name, *arguments = shlex.split(line)
    assert name in COMMANDS
    command_parser(name).parse_args(arguments)


def test_make_targets_in_documents_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = {
        target
        for path in (*TEXTS, ROOT / "CONTRIBUTING.md")
        for target in re.findall(r"make ([a-z]+)", path.read_text())
    }
    assert {"demo", "test"} <= named
    assert not [
        target
        for target in named & {"demo", "test", "dev", "check", "bench", "golden", "lock", "docs", "help"}
        if not re.search(rf"^{target}:", makefile, re.MULTILINE)
    ]


def test_links_in_documents_lead_somewhere() -> None:
    for path in (*TEXTS, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
            assert target.startswith("https://") or (path.parent / target).exists(), f"{path.name}: {target}"


def test_the_replay_document_s_example_is_one(tmp_path: Path) -> None:
    ((_, script),) = blocks("json")
    shutil.copytree(ROOT / "examples" / "recorded", tmp_path / "replay")
    (tmp_path / "replay" / "replay.json").write_text(json.dumps(json.loads(script)))
    recordings.load(tmp_path / "replay")


def test_every_outcome_has_a_meaning_and_advice() -> None:
    assert set(MEANING) == set(OutcomeCode)
    assert all(meaning and advice for meaning, advice in MEANING.values())
