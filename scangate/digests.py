"""Sets of digests ("algorithm:hex"), and what two of them say of each other. Integrity is such a set.

The strongest algorithm that both sets have decides, as it does in npm, which checks no other: they agree where they
share a digest of it, and are in conflict where they do not, though they may share one of a weaker algorithm. Sets
without a common algorithm say nothing of each other.
"""

from collections.abc import Iterable
from enum import Enum

_STRENGTHS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")


class Agreement(Enum):
    """What two sets of digests say of each other."""

    SAME = "same"
    """They share a digest of the strongest algorithm that both have."""
    CONFLICT = "conflict"
    """They share none of it."""
    INCOMPARABLE = "incomparable"
    """They have no algorithm in common."""


def compare(one: Iterable[str], other: Iterable[str]) -> Agreement:
    """Compare sets of digests."""
    ours, theirs = _by_algorithm(one), _by_algorithm(other)
    common = [algorithm for algorithm in ours if algorithm in theirs]
    if not common:
        return Agreement.INCOMPARABLE
    strongest = max(common, key=_strength)
    return Agreement.CONFLICT if ours[strongest].isdisjoint(theirs[strongest]) else Agreement.SAME


def _by_algorithm(digests: Iterable[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for digest in sorted(digests):
        algorithm, _, value = digest.partition(":")
        found.setdefault(algorithm, set()).add(value)
    return found


def _strength(algorithm: str) -> int:
    return _STRENGTHS.index(algorithm) if algorithm in _STRENGTHS else -1


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
