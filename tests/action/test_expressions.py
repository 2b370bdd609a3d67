"""The tests' evaluator of `${{ }}` agrees with GitHub's own library."""

import json
from typing import Any

import pytest

from tests.action.expressions import ExpressionError, evaluate, string, truthy
from tests.conftest import ROOT

ORACLE: dict[str, Any] = json.loads((ROOT / "tests" / "assets" / "action" / "expressions.json").read_text())


@pytest.mark.parametrize("case", ORACLE["expressions"], ids=lambda case: case["text"])
def test_an_expression_is_what_the_library_says(case: dict[str, Any]) -> None:
    if case.get("refused"):
        with pytest.raises((ExpressionError, IndexError)):
            evaluate(case["text"], ORACLE["contexts"], {})
        return
    value = evaluate(case["text"], ORACLE["contexts"], {})
    assert (string(value), truthy(value)) == (case["string"], case["truthy"])
