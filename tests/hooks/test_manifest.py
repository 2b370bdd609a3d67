"""What pre-commit reads of this repository. Its own validation takes unknown keys and values that nobody meant."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from scangate import lockfiles
from scangate.cli.main import COMMANDS, command_parser
from scangate.cli.project import POLICY_FILES
from tests.conftest import ROOT

MANIFEST = ROOT / ".pre-commit-hooks.yaml"
HOOKS = {hook["id"]: hook for hook in yaml.safe_load(MANIFEST.read_text())}
FILES = HOOKS["scangate"]["files"]

LOCKFILES = (
    *("package-lock.json", "npm-shrinkwrap.json", "poetry.lock", "yarn.lock", "pnpm-lock.yaml", "pnpm-lock.ci.yaml"),
    *("bun.lock", "bun.lockb", "uv.lock", "Pipfile.lock", "pdm.lock", "pylock.toml", "pylock.dev.toml"),
    *(
        "deno.lock",
        "vlt-lock.json",
        "pixi.lock",
        "conda-lock.yml",
        "Package-Lock.json",
        "pipfile.lock",
        "PYLOCK.X.toml",
    ),
    *("pac\u212aage-lock.json", "poetry.loc\u212a", "requirement\u017f.txt"),
    *("requirements.txt", "requirements-dev.txt", "Requirements_All.TXT", "dev-requirements.txt", "requirements/x.txt"),
)
OTHERS = (
    *("package.json", "package-lock.json.bak", "pnpm-lock.yml", "poetry.lock.txt"),
    *("requirements.in", "requirements", "requirements/x.in", "myrequirements/x.txt", "requirements/a/x.txt", "x.txt"),
    *("scangate.yaml", "pylock.toml/x", "notes.txt"),
)


def test_pre_commit_takes_it() -> None:
    subprocess.run([sys.executable, "-m", "pre_commit", "validate-manifest", MANIFEST], check=True)


def test_the_hooks_say_what_is_meant_and_nothing_else() -> None:
    common = {
        "language": "python",
        "pass_filenames": False,
        "require_serial": True,
        "verbose": True,
        "minimum_pre_commit_version": "3.2.0",
        "types": [],
        "files": FILES,
    }
    own = ("id", "name", "description", "entry", "stages")
    assert {id_: {key: hook[key] for key in hook if key not in own} for id_, hook in HOOKS.items()} == {
        "scangate": common,
        "scangate-push": common,
    }
    assert {id_: (hook["entry"], hook["stages"]) for id_, hook in HOOKS.items()} == {
        "scangate": ("scangate check --staged", ["pre-commit", "pre-merge-commit", "manual"]),
        "scangate-push": ("scangate check --pushed", ["pre-push"]),
    }
    assert all(hook["name"] and hook["description"].endswith(".") for hook in HOOKS.values())


@pytest.mark.parametrize("hook", HOOKS)
def test_its_command_is_one(hook: str) -> None:
    program, command, *arguments = HOOKS[hook]["entry"].split()
    assert program in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert command in COMMANDS
    command_parser(command).parse_args(arguments)


def triggers(path: str) -> bool:
    return re.search(FILES, path) is not None  # as pre-commit does


@pytest.mark.parametrize("folder", ["", "web/", "a b/ü/", "requirements.txt/", "vendor/x/"])
@pytest.mark.parametrize("name", [*LOCKFILES, *OTHERS])
def test_it_is_triggered_by_what_scangate_recognises(folder: str, name: str) -> None:
    path = f"{folder}{name}"
    assert triggers(path) == (lockfiles.recognise(path) is not None)
    assert triggers(path) == (name in LOCKFILES)


def test_every_format_is_tried() -> None:
    known = {*lockfiles._FILE_NAMES.values(), "pip-requirements"}
    assert {lockfiles.recognise(name) for name in LOCKFILES} == known


@pytest.mark.parametrize("path", POLICY_FILES)
def test_it_is_triggered_by_the_policy(path: str) -> None:
    assert triggers(path)
    assert not triggers(f"docs/{path}")
    assert not triggers(f"{path}.bak")


_PARTS = [
    *("package-lock", "npm-shrinkwrap", "poetry", "yarn", "pnpm-lock", "bun", "uv", "Pipfile", "pdm", "pylock"),
    *("requirements", "REQUIREMENTS", "requirement\u017f", "\u0130", ".json", ".lock", ".lockb", ".yaml", ".toml"),
    *("deno", "vlt-lock", "pixi", "Conda-Lock", "poetry.loc", "\u212a", ".yml", ".LOCK", ".j\u017fon", ".JSON"),
    *(".txt", ".TXT", "/", ".", "-", "x", "\n", " "),
]


@given(st.lists(st.sampled_from(_PARTS), min_size=1, max_size=6).map("".join))
def test_any_path_is_judged_as_scangate_judges_it(path: str) -> None:
    assert triggers(path) == (lockfiles.recognise(path) is not None)


def test_the_configuration_in_the_document_is_one(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yml\n(.*?)```", (ROOT / "docs" / "pre-commit.md").read_text(), re.DOTALL)
    (tmp_path / "config.yaml").write_text(block)
    subprocess.run([sys.executable, "-m", "pre_commit", "validate-config", tmp_path / "config.yaml"], check=True)
    assert [hook["id"] for hook in yaml.safe_load(block)["repos"][0]["hooks"]] == list(HOOKS)
