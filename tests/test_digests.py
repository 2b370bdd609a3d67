"""How digests are written, and when two sets of them agree, are in conflict, and say nothing of each other."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scangate.digests import HEX_LENGTH, Agreement, compare, from_hex, from_sri, is_conflict, shown, strongest

A, B, C = (f"sha512:{letter * 128}" for letter in "abc")
S, T = (f"sha1:{letter * 40}" for letter in "de")
M = "sha256:" + "f" * 64

_SETS = st.sets(st.sampled_from([f"{algorithm}:{value}" for algorithm in ("sha1", "sha256") for value in "123"]))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((A,), (A,), Agreement.SAME),
        ((A, S), (A,), Agreement.SAME),
        ((A,), (B,), Agreement.CONFLICT),
        ((A, S), (B,), Agreement.CONFLICT),
        pytest.param((A, S), (B, S), Agreement.CONFLICT, id="npm would check the strongest alone"),
        pytest.param((A, S), (A, T), Agreement.SAME, id="the weaker one is not checked"),
        pytest.param((A, S), (M, S), Agreement.SAME, id="the strongest that both have"),
        pytest.param((A, M, S), (M, S), Agreement.SAME, id="the second strongest"),
        pytest.param((A, B), (B, C), Agreement.SAME, id="one of several"),
        ((A,), (S,), Agreement.INCOMPARABLE),
        ((), (A,), Agreement.INCOMPARABLE),
        ((), (), Agreement.INCOMPARABLE),
    ],
)
def test_sets_of_digests(one: tuple[str, ...], other: tuple[str, ...], expected: Agreement) -> None:
    assert compare(one, other) is expected
    assert compare(other, one) is expected


@pytest.mark.parametrize(
    ("others", "expected"), [([], False), ([(S,)], False), ([(B,)], True), ([(B,), (S,)], True), ([(B,), (A,)], False)]
)
def test_a_conflict_is_one_with_some_where_none_agrees(others: list[tuple[str, ...]], expected: bool) -> None:
    assert is_conflict((A,), others) is expected


@given(_SETS, _SETS)
def test_who_says_what_of_whom_does_not_matter(one: set[str], other: set[str]) -> None:
    assert compare(one, other) is compare(other, one)
    assert compare(one, one) is (Agreement.SAME if one else Agreement.INCOMPARABLE)


@given(_SETS, _SETS)
def test_sets_agree_by_their_strongest_common_algorithm(one: set[str], other: set[str]) -> None:
    def of(algorithm: str, digests: set[str]) -> set[str]:
        return {digest for digest in digests if digest.startswith(algorithm)}

    strongest = next((each for each in ("sha256", "sha1") if of(each, one) and of(each, other)), None)
    expected = Agreement.INCOMPARABLE
    if strongest is not None:
        expected = Agreement.SAME if of(strongest, one) & of(strongest, other) else Agreement.CONFLICT
    assert compare(one, other) is expected


def test_what_is_shown_is_the_strongest_and_short() -> None:
    assert shown((S, A)) == "sha512:aaaaaaaaaaaaaaaa… and 1 more"
    assert shown((S,)) == "sha1:dddddddddddddddd…"


@pytest.mark.parametrize(
    ("digests", "expected"),
    [((S, A, M), "sha512"), ((S, "sha224:" + "0" * 56), "sha224"), (("crc32:00",), None), ((), None)],
)
def test_the_strongest_known_algorithm(digests: tuple[str, ...], expected: str | None) -> None:
    assert strongest(digests) == expected


def sri(algorithm: str, content: bytes) -> str:
    return f"{algorithm}-{base64.b64encode(hashlib.new(algorithm, content).digest()).decode()}"


@given(st.sampled_from(sorted(HEX_LENGTH)), st.binary())
def test_both_forms_of_one_digest_are_the_same(algorithm: str, content: bytes) -> None:
    digest = hashlib.new(algorithm, content).hexdigest()
    expected = (f"{algorithm}:{digest}",)
    assert from_sri(sri(algorithm, content)) == expected
    assert from_hex(f"{algorithm}:{digest}") == expected
    assert from_hex(f"{algorithm.upper()}:{digest.upper()}") == expected


def test_several_digests_come_sorted_and_once() -> None:
    one, two = sri("sha512", b"a"), sri("sha1", b"a")
    found = from_sri(f" {one}  {two}\n{one} ")
    assert [digest.partition(":")[0] for digest in found] == ["sha1", "sha512"]


def test_options_are_not_part_of_the_digest() -> None:
    assert from_sri(sri("sha256", b"a") + "?ct=text/plain") == from_sri(sri("sha256", b"a"))


@pytest.mark.parametrize(
    "text",
    ["", " ", "sha512", "sha512-", "sha512-AAAA", "sha512-!!!!", "nonsense-AAAA", "-", "sha1-\u00e9\u00e9\u00e9\u00e9"],
)
def test_what_is_no_digest_is_left_out(text: str) -> None:
    assert from_sri(text) == ()
    good = sri("sha256", b"a")
    assert from_sri(f"{text} {good}") == from_sri(good)


@pytest.mark.parametrize("text", ["", "sha256", "sha256:", "sha256:" + "g" * 64, "sha256:" + "0" * 63, "crc:00"])
def test_what_is_no_hex_digest_is_left_out(text: str) -> None:
    assert from_hex(text) == ()


@given(st.text())
def test_no_text_is_too_odd(text: str) -> None:
    for digest in (*from_sri(text), *from_hex(text)):
        algorithm, _, value = digest.partition(":")
        assert len(bytes.fromhex(value)) * 2 == HEX_LENGTH[algorithm]
