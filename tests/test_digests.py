"""When two sets of digests agree, are in conflict, and say nothing of each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scangate.digests import Agreement, compare, is_conflict, shown

A, B = (f"sha512:{letter * 128}" for letter in "ab")
S = "sha1:" + "d" * 40

_SETS = st.sets(st.sampled_from([f"{algorithm}:{value}" for algorithm in ("sha1", "sha256") for value in "123"]))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((A,), (A,), Agreement.SAME),
        ((A, S), (A,), Agreement.SAME),
        ((A,), (B,), Agreement.CONFLICT),
        ((A, S), (B,), Agreement.CONFLICT),
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
    assert (compare(one, other) is Agreement.SAME) == bool(one & other)


def test_what_is_shown_is_the_strongest_and_short() -> None:
    assert shown((S, A)) == "sha512:aaaaaaaaaaaaaaaa… and 1 more"
    assert shown((S,)) == "sha1:dddddddddddddddd…"
