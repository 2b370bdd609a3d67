"""Each case in each format equals its golden file; `make golden` rewrites them.

They are our own output: they show what a change to a renderer changes, and prove nothing of its being right. What does:
JSON is held to its schema, and the terminal to its width, below; SARIF to the standard's schema and its validator
(test_sarif_valid); Markdown is rendered by GitHub's implementation and another (test_markdown); JUnit is read by an XML
reader, with its schema (test_junit); GitLab's by its documented fields (test_gitlab); annotations by the runner's own
rules (test_github, test_runner_commands); that all say the same, and nothing that is not so, by test_honest.
"""

import json
from pathlib import Path

import jsonschema
import pytest

from scangate.output import terminal
from tests.conftest import ROOT
from tests.output.cases import CASES
from tests.output.renderers import RENDERERS

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("suffix", RENDERERS)
@pytest.mark.parametrize("case", CASES)
def test_golden(case: str, suffix: str, request: pytest.FixtureRequest) -> None:
    rendered = RENDERERS[suffix](CASES[case])
    path = GOLDEN / f"{case}.{suffix}"
    if request.config.getoption("--golden-update"):
        path.write_text(rendered, encoding="utf-8")
    assert rendered == path.read_text(encoding="utf-8")


def test_no_golden_file_is_left_over() -> None:
    expected = {f"{case}.{suffix}" for case in CASES for suffix in RENDERERS}
    assert {path.name for path in GOLDEN.iterdir()} == expected


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
