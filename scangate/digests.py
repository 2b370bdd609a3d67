"""Sets of digests ("algorithm:hex", lower case), and what two of them say of each other. Integrity is such a set.

What a lockfile or a registry writes in the place of a digest, and is none of a known algorithm, is left out: it
protects nothing, so it must not look like it does.

The strongest algorithm that both sets have decides, as it does in npm, which checks no other: they agree where they
share a digest of it, and are in conflict where they do not, though they may share one of a weaker algorithm. Sets
without a common algorithm say nothing of each other.
"""

import binascii
import re
from collections.abc import Iterable
from enum import Enum

HEX_LENGTH = {"md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128}
"""The known algorithms, the weakest first, with the length of a digest in hexadecimal characters."""

_STRENGTHS = tuple(HEX_LENGTH)
_SHA512_SRI = len("sha512-") + 88
_HEX = re.compile(r"[0-9a-f]+\Z")


def from_sri(text: str) -> tuple[str, ...]:
    """Subresource integrity (W3C SRI; npm's `integrity`): "sha512-BASE64?option sha1-BASE64", by spaces; sorted."""
    if len(text) == _SHA512_SRI and text.startswith("sha512-"):
        # The one form that npm writes today, ten thousand times a file.
        digest = _from_base64(text)
        return () if digest is None else (digest,)
    return _sorted(map(_from_base64, text.split()))


def from_hex(text: str) -> tuple[str, ...]:
    """Hexadecimal digests (pip's --hash, poetry's files): "sha256:HEX", also several by spaces or commas; sorted."""
    return _sorted(_from_pair(*part.partition(":")) for part in text.replace(",", " ").split())


def _from_base64(part: str) -> str | None:
    algorithm, _, encoded = part.partition("-")
    if "?" in encoded:
        encoded = encoded.partition("?")[0]
    try:
        digest = binascii.a2b_base64(encoded, strict_mode=True).hex()
    except ValueError:
        return None
    return f"{algorithm}:{digest}" if len(digest) == HEX_LENGTH.get(algorithm) else None


def _from_pair(algorithm: str, _colon: str, digest: str) -> str | None:
    algorithm, digest = algorithm.lower(), digest.lower()
    return f"{algorithm}:{digest}" if len(digest) == HEX_LENGTH.get(algorithm) and _HEX.match(digest) else None


def _sorted(digests: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(sorted({digest for digest in digests if digest is not None}))


def strongest(digests: Iterable[str]) -> str | None:
    """The strongest algorithm of these digests, which alone is to be checked; None where none is of a known one."""
    algorithms = {digest.partition(":")[0] for digest in digests}
    return next((algorithm for algorithm in reversed(_STRENGTHS) if algorithm in algorithms), None)


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
