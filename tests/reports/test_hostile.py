"""Whatever bytes come, the reader answers; it never raises and never reads half a report."""

import copy
import json
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from scangate.models.analysis import Analysed, Engine, OutcomeCode, Shortfall

from .samples import ASSETS, LASTPYMILE, MADE, read

_SMALL = [ASSETS / "dynamic-analysis" / "benign-npm-bcrypt.json", *MADE, *LASTPYMILE]
_DOCUMENTS = [json.loads(path.read_bytes()) for path in _SMALL]
_KEYS = sorted(
    {"Analysis", "install", "import", "Package", "metadata", "analysis_results", "results", "completed", "Files", "DNS"}
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS) | st.text(), inner, max_size=4),
    max_leaves=20,
)
_ANSWERS = (Analysed, Shortfall)


@given(st.binary(max_size=200), st.sampled_from(Engine))
def test_arbitrary_bytes(payload: bytes, engine: Engine) -> None:
    result = read(payload, engine=engine)
    assert isinstance(result, Shortfall)
    assert result.code is OutcomeCode.REPORT_INVALID


@given(_VALUES, st.sampled_from(Engine), st.sampled_from([None, "pkg:npm/thing@1.2.3"]))
def test_arbitrary_json(value: object, engine: Engine, purl: str | None) -> None:
    assert isinstance(read(json.dumps(value).encode(), purl, engine), _ANSWERS)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a document."""
    found: list[tuple[Any, Any]] = []
    todo = [value]
    while todo:
        container = todo.pop()
        keys = container.keys() if isinstance(container, dict) else range(len(container))
        for key in list(keys):
            found.append((container, key))
            if isinstance(container[key], dict | list):
                todo.append(container[key])
    return found


@settings(max_examples=150)
@given(st.randoms(use_true_random=False), st.sampled_from(range(len(_DOCUMENTS))), _VALUES, st.booleans())
def test_mutated_reports(chance: random.Random, index: int, value: object, remove: bool) -> None:
    document = copy.deepcopy(_DOCUMENTS[index])
    container, key = chance.choice(_places(document))
    if remove:
        del container[key]
    else:
        container[key] = value
    for engine in Engine:
        result = read(json.dumps(document).encode(), engine=engine)
        assert isinstance(result, _ANSWERS)
        repr(result).encode("utf-8")


@given(st.sampled_from(_SMALL), st.randoms(use_true_random=False))
def test_cut_and_flipped_reports(path: Any, chance: random.Random) -> None:
    payload = bytearray(path.read_bytes())
    for _ in range(3):
        payload[chance.randrange(len(payload))] = chance.randrange(256)
    for candidate in (bytes(payload), bytes(payload[: chance.randrange(len(payload))])):
        assert isinstance(read(candidate), _ANSWERS)


def test_nesting_in_every_part() -> None:
    deep = "[" * 900 + "]" * 900
    for text in (
        f'{{"Analysis": {deep}}}',
        f'{{"analysis_results": "{deep}"}}',
        f'{{"Analysis": {{"install": {{"Files": {deep}}}}}}}',
        f'{{"Analysis": {{}}, "x": "\\ud800", "y": {deep}}}',
    ):
        assert isinstance(read(text.encode()), _ANSWERS)
