"""SARIF before its judges: the published schema, and Microsoft's validator with the rules of GitHub's service."""

import json
from pathlib import Path

import jsonschema
import pytest

from tests.conftest import IN_CI
from tests.output.cases import CASES
from tests.output.hostile import TEXTS, hostile_verdict
from tests.output.multitool import Multitool, NotAvailableError, fetch
from tests.output.renderers import RENDERERS

pytestmark = pytest.mark.tool("npm")


@pytest.fixture(scope="module")
def multitool() -> Multitool:
    try:
        return fetch()
    except NotAvailableError as exc:
        if IN_CI:
            raise
        pytest.skip(str(exc))


@pytest.fixture(scope="module")
def logs() -> list[str]:
    """Every golden case, and all that is hostile."""
    verdicts = [*CASES.values(), *(hostile_verdict(text) for text in TEXTS.values())]
    return [RENDERERS["sarif"](verdict) for verdict in verdicts]


def test_every_case_is_as_the_published_schema_says(multitool: Multitool, logs: list[str]) -> None:
    # The validator below applies it, too, to all of them: this is a second reader of the schema.
    schema = json.loads(multitool.schema.read_text())
    validator = jsonschema.validators.validator_for(schema)(schema, format_checker=jsonschema.FormatChecker())
    for log in logs[: len(CASES)]:
        validator.validate(json.loads(log))


def test_the_validator_finds_nothing_to_say(multitool: Multitool, logs: list[str], tmp_path: Path) -> None:
    assert multitool.judge(logs, tmp_path) == []


def test_it_would_say_so(multitool: Multitool, tmp_path: Path) -> None:
    """A judge that never objects is none."""
    log = json.loads(RENDERERS["sarif"](CASES["blocked"]))
    result, *_ = log["runs"][0]["results"]
    del result["locations"]
    assert any(each.startswith("GH") for each in multitool.judge([json.dumps(log)], tmp_path))
