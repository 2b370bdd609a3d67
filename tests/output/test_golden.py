"""Each case in each format equals its golden file; `make golden` rewrites them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from scangate.errors import ExitCode
from scangate.models import Verdict
from scangate.output import FORMATS, Format, terminal
from scangate.output.base import Links, Setting, Tree
from tests.conftest import ROOT
from tests.output.cases import CASES

GOLDEN = Path(__file__).parent / "golden"

SETTING = Setting(
    version="0",
    exit_code=ExitCode.PASS,
    tree=Tree(root="/repo", cwd="/repo/app"),
    links=Links.github("https://github.example", "acme/shop", "1f" * 20),
)

_SUFFIXES = {
    "terminal": "terminal.txt",
    "github": "github.txt",
    "markdown": "md",
    "gitlab": "gitlab.json",
    "junit": "junit.xml",
}


def _renderer(each: Format, setting: Setting = SETTING) -> Callable[[Verdict], str]:
    return lambda verdict: each.render(verdict, replace(setting, exit_code=exit_code(verdict)))


RENDERERS = {
    **{_SUFFIXES.get(name, name): _renderer(each) for name, each in FORMATS.items()},
    "colour.txt": _renderer(FORMATS["terminal"], replace(SETTING, colour=True)),
}
"""Everything that the conformance suite runs over, by the ending of its golden files: the registry, and colour."""


@pytest.mark.parametrize("suffix", RENDERERS)
@pytest.mark.parametrize("case", CASES)
def test_golden(case: str, suffix: str, request: pytest.FixtureRequest) -> None:
    rendered = RENDERERS[suffix](CASES[case])
    path = GOLDEN / f"{case}.{suffix}"
    if request.config.getoption("--golden-update"):
        path.write_text(rendered, encoding="utf-8")
    assert rendered == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES)
def test_json_is_as_the_published_schema_says(case: str) -> None:
    schema = json.loads((ROOT / "docs" / "schema" / "verdict-v1.json").read_text())
    document = json.loads(RENDERERS["json"](CASES[case]))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(document)


@pytest.mark.parametrize("case", CASES)
def test_terminal_is_readable_at_80_columns(case: str) -> None:
    long = [line for line in terminal.render(CASES[case]).splitlines() if len(line) > 80]
    # One word that is longer than a line (a purl, a URL) stays whole: it must be possible to copy it.
    assert all(len(line.split()) <= 2 for line in long), long
