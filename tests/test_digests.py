"""When two sets of digests agree, are in conflict, and say nothing of each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scangate.digests import Agreement, compare, is_conflict, shown

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
