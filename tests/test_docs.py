"""Documents are generated or tested: what they say is what the program does."""

import ast
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from scangate.cli.main import COMMANDS, command_parser
from scangate.local.engines import recordings
from scangate.models.analysis import OutcomeCode
from scangate.models.verdict import NoticeCode
from scangate.output.advice import MEANING, NOTICES
from scangate.policy import loader
from scangate.policy.model import Lint
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


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_no_two_headings_have_one_anchor(path: Path) -> None:
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    anchors = [re.sub(r"[^\w -]", "", found.lower()) for found in re.findall(r"^#+ (.*)$", text, re.MULTILINE)]
    assert len(set(anchors)) == len(anchors)


def _environ_names() -> set[str]:
    """What the client may read of its environment: words in capitals, but for those of git's own and of HTTP."""
    found: set[str] = set()
    for folder in ("cli", "changes", "service", "forge"):
        for path in (ROOT / "scangate" / folder).glob("*.py"):
            if path.name == "git.py":  # what is set for git, not read
                continue
            words = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
            found |= {word for word in words if isinstance(word, str) and re.fullmatch(r"[A-Z]+(_[A-Z]+)+", word)}
    return {name for name in found if not name.endswith("_HEAD")} | {"CI", "TERM", "COLUMNS", "BUILDKITE"}


def test_every_variable_that_the_client_reads_is_documented() -> None:
    text = (docs.DOCS / "cli.md").read_text() + (docs.DOCS / "action.md").read_text()
    names = _environ_names()
    assert {"SCANGATE_GIT_TOKEN", "PRE_COMMIT_FROM_REF", "GITHUB_SERVER_URL", "CHANGE_TARGET"} <= names
    assert not sorted(name for name in names if not re.search(rf"\b{name}\b", text))


def test_no_table_is_empty() -> None:
    for path in TEXTS:
        assert not re.search(r"^\|[-|: ]+\|\n(?!\|)", path.read_text(), re.MULTILINE), path.name


def test_the_replay_document_s_example_is_one(tmp_path: Path) -> None:
    ((_, script),) = blocks("json")
    shutil.copytree(ROOT / "examples" / "recorded", tmp_path / "replay")
    (tmp_path / "replay" / "replay.json").write_text(json.dumps(json.loads(script)))
    recordings.load(tmp_path / "replay")


def test_every_outcome_has_a_meaning_and_advice() -> None:
    assert set(MEANING) == set(OutcomeCode)
    assert all(meaning and advice for meaning, advice in MEANING.values())


def test_every_notice_has_a_meaning_and_every_lint_is_one() -> None:
    assert set(NOTICES) == set(NoticeCode)
    assert {str(lint) for lint in Lint} <= set(NoticeCode)
    assert len(set(NOTICES.values())) == len(NOTICES)


def test_pages_keys_and_options_that_advice_names_exist() -> None:
    texts = " ".join(text for both in MEANING.values() for text in both)
    assert "see docs" not in texts
    pages = re.findall(r"docs/[a-z/-]+[.][a-z]+", texts)
    assert pages
    assert all((ROOT / page).is_file() for page in pages)
    language = (docs.DOCS / "policy.md").read_text()
    commands = (docs.DOCS / "cli.md").read_text()
    assert "`upload-files`" in language
    assert "upload-files" in MEANING[OutcomeCode.FILE][1]
    assert all(f"`{option}" in commands for option in re.findall(r"--[a-z-]+", texts))
