"""Sets of digests ("algorithm:hex"), and what two of them say of each other. Integrity is such a set."""

from collections.abc import Iterable
from enum import Enum


class Agreement(Enum):
    """What two sets of digests say of each other."""

    SAME = "same"
    """They share a digest."""
    CONFLICT = "conflict"
    """They share none, and have an algorithm in common."""
    INCOMPARABLE = "incomparable"


def compare(one: Iterable[str], other: Iterable[str]) -> Agreement:
    """Compare sets of digests."""
    one, other = set(one), set(other)
    if one & other:
        return Agreement.SAME
    algorithms = {digest.partition(":")[0] for digest in one}
    shared = any(digest.partition(":")[0] in algorithms for digest in other)
    return Agreement.CONFLICT if shared else Agreement.INCOMPARABLE


def is_conflict(one: Iterable[str], others: Iterable[Iterable[str]]) -> bool:
    """Whether a set is in conflict with some of the others and agrees with none: it cannot be of the same content."""
    relations = {compare(one, other) for other in others}
    return Agreement.CONFLICT in relations and Agreement.SAME not in relations


def shown(digests: Iterable[str]) -> str:
    """For people: the first digest, shortened, and how many more there are."""
    first, *others = sorted(digests, key=lambda digest: (-len(digest), digest))
    algorithm, _, value = first.partition(":")
    more = f" and {len(others)} more" if others else ""
    return f"{algorithm}:{value[:16]}…{more}"
