"""Strict JSON with lines: agreement with the standard library, and every way to be refused."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scangate.errors import LockfileError
from scangate.files import MAX_LOCKFILE_BYTES
from scangate.lockfiles import jsonlines
from scangate.lockfiles.jsonlines import MAX_DEPTH, Object, Shape

DEEP: dict[str, Shape] = {}
DEEP["*"] = DEEP
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def problem(text: str | bytes, shape: Shape = DEEP) -> str:
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    with pytest.raises(LockfileError) as caught:
        jsonlines.parse(content, "a.json", shape)
    assert caught.value.hint
    assert "\n" not in caught.value.message
    return caught.value.message


@settings(deadline=None, max_examples=40)
@given(st.dictionaries(st.text(), VALUES), st.sampled_from([None, 0, 1]), st.booleans(), st.sampled_from([{}, DEEP]))
def test_it_reads_what_the_standard_library_reads(
    document: dict[str, object], indent: int | None, ascii_only: bool, shape: Shape
) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_only)
    assert jsonlines.parse(text.encode(), "a.json", shape) == document


@settings(deadline=None, max_examples=40)
@given(st.dictionaries(st.text(), st.dictionaries(st.text(), st.integers()), min_size=1))
def test_lines_point_at_their_keys(document: dict[str, dict[str, int]]) -> None:
    text = json.dumps(document, indent=1)
    lines = text.splitlines()

    def check(found: object) -> None:
        assert isinstance(found, Object)
        assert found.lines.keys() == found.keys()
        for key, line in found.lines.items():
            assert lines[line - 1].strip().startswith(json.dumps(key) + ":")

    found = jsonlines.parse(text.encode(), "a.json", {"*": {"*": {}}})
    check(found)
    for inner in found.values():
        check(inner)


def test_keys_that_look_alike_do_not_mislead() -> None:
    text = '{\n"x": {"y": 1},\n"s": "\\"y\\": {",\n"y": ", :",\n", ": [{"y": 2}],\n"\\u0079\\u0079": 3}'
    found = jsonlines.parse(text.encode(), "a.json", {"x": {}})
    assert found.lines == {"x": 2, "s": 3, "y": 4, ", ": 5, "yy": 6}


def test_windows_line_ends_and_a_byte_order_mark() -> None:
    found = jsonlines.parse(b'\xef\xbb\xbf{\r\n"a": 1,\r\n"b" \r\n:\t2}\r\n', "a.json", {})
    assert (dict(found), found.lines) == ({"a": 1, "b": 2}, {"a": 2, "b": 3})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "a.json: empty"),
        (" \n", "a.json: empty"),
        ("null", "a.json:1: holds no JSON object"),
        ("[]", "a.json:1: holds no JSON object"),
        ('"x"', "a.json:1: holds no JSON object"),
        ("[1", "a.json:1:3: broken JSON: the text ends"),
        ("not json", 'a.json:1:1: broken JSON: a "{" is missing here'),
        ("{", "a.json:1:2: broken JSON: the text ends"),
        ('{\n "a"', "a.json:2:2: broken JSON: a key"),
        ('{\n "a": ', "a.json:2:7: broken JSON: the text ends"),
        ('{\n "a": "b', "a.json:2:7: broken JSON: unterminated string"),
        ('{\n "a": 1', "a.json:2:8: broken JSON: the text ends"),
        ('{\n "a": 1,', "a.json:2:9: broken JSON: the text ends"),
        ('{\n "a": 1,\n}', "a.json:3:1: broken JSON: a key in double quotes, with a colon"),
        ('{\n "a": 1 "b": 2}', 'a.json:2:9: broken JSON: a key in double quotes, a ","'),
        ('{\n "a": {"b": 1,}}', "a.json:2:15: broken JSON: a key"),
        ("{'a': 1}", "a.json:1:2: broken JSON"),
        ('{"a": 1} x', "a.json:1:10: broken JSON: text behind the end"),
        ('{"a": NaN}', "a.json:1:7: broken JSON: a number that is not valid"),
        ('{"a": -Infinity}', "a.json:1:7: broken JSON: a number that is not valid"),
        ('{"a": ' + "9" * 5000 + "}", "a.json:1:7: broken JSON: a number that is not valid"),
        ('{"a\\q": 1}', "a.json:1:4: broken JSON: invalid \\escape"),
        ('{"a\n": 1}', "a.json:1:2: broken JSON"),
        ('{\n<<<<<<< ours\n"a": 1\n=======\n', "a.json:2:1: broken JSON, with marks of a merge conflict"),
    ],
)
def test_broken_text_has_one_error_with_its_place(text: str, expected: str) -> None:
    assert problem(text).startswith(expected)


@pytest.mark.parametrize("shape", [{}, DEEP])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1,\n"a": 1}', "a.json:2: the key 'a' stands twice"),
        ('{"a": 1,\n"\\u0061": 1}', "a.json:2: the key 'a' stands twice"),
        ('{"x": {"a": 1},\n"y": {"b": "a\\": 1",\n"a": {"b": 1},\n"a": 2}}', "a.json:4: the key 'a' stands twice"),
        ('{"x": [{"a": ":"},\n["a", {"a": 1,\n"a": 1}]]}', "a.json:3: the key 'a' stands twice"),
        ('{"' + "k" * 300 + '": 1, "' + "k" * 300 + '": 1}', f"a.json:1: the key '{'k' * 100}…' stands twice"),
    ],
)
def test_duplicate_keys_are_refused_at_the_second_one(text: str, expected: str, shape: Shape) -> None:
    assert problem(text, shape).startswith(expected)


@pytest.mark.parametrize("shape", [{}, DEEP])
@pytest.mark.parametrize("opening", ['{"a":', '{"a":[', "["])
def test_depth_is_bounded(opening: str, shape: Shape) -> None:
    text = '{"a":' + opening * 100_000
    assert re.match(r"a\.json:1:\d+: broken JSON: nested (too deeply|deeper than)", problem(text, shape))


def test_depth_below_the_bound_is_fine() -> None:
    depth = MAX_DEPTH - 1
    text = '{"a":' * depth + "{}" + "}" * depth
    assert jsonlines.parse(text.encode(), "a.json", DEEP) == json.loads(text)


def test_what_is_not_utf8_is_refused() -> None:
    assert problem(b'{\n"a": "\xff"}') == "a.json:2: not UTF-8."
    assert problem('{"a": 1}'.encode("utf-16")) == "a.json:1: not UTF-8."


def test_size_is_bounded() -> None:
    assert problem(b" " * (MAX_LOCKFILE_BYTES + 1)) == "a.json: larger than 64 MiB."
