"""Digests as "algorithm:hex": of archives, and from the ways in which registries write them."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from pathlib import Path

from scangate.local.fetch.base import IntegrityMismatch

STRENGTH = ("sha512", "sha384", "sha256", "sha1", "md5")
"""The algorithms that registries and lockfiles use, the strongest first."""


def of_file(path: Path, algorithm: str) -> str:
    with path.open("rb") as stream:
        return f"{algorithm}:{hashlib.file_digest(stream, algorithm).hexdigest()}"


def matches(path: Path, expected: Iterable[str]) -> tuple[bool, tuple[str, ...]]:
    """Whether the file has one of the digests of the strongest algorithm among them, and its digest by that.

    Weaker digests beside a stronger one are not asked: they are what an attacker could meet. Without any digest of
    a known algorithm nothing matches.
    """
    by_algorithm: dict[str, list[str]] = {}
    for digest in expected:
        by_algorithm.setdefault(digest.partition(":")[0], []).append(digest)
    strongest = next((algorithm for algorithm in STRENGTH if algorithm in by_algorithm), None)
    if strongest is None:
        return False, (of_file(path, STRENGTH[0]),)
    actual = of_file(path, strongest)
    return any(hmac.compare_digest(actual, each.lower()) for each in by_algorithm[strongest]), (actual,)


def verify(what: str, path: Path, expected: Iterable[str]) -> None:
    """Raises IntegrityMismatch, of `what`, unless the file matches."""
    promised = tuple(expected)
    right, actual = matches(path, promised)
    if not right:
        raise IntegrityMismatch(what, promised, actual)


def from_sri(text: object) -> tuple[str, ...]:
    """npm's `dist.integrity`: "sha512-BASE64 sha1-BASE64". What is no digest is left out."""
    found = []
    for part in text.split() if isinstance(text, str) else ():
        algorithm, _, encoded = part.partition("?")[0].partition("-")
        if algorithm in STRENGTH:
            try:
                found.append(f"{algorithm}:{base64.b64decode(encoded, validate=True).hex()}")
            except binascii.Error:
                continue
    return tuple(found)


def to_sri(digest: str) -> str:
    """The inverse of `from_sri`, of one digest."""
    algorithm, _, written = digest.partition(":")
    return f"{algorithm}-{base64.b64encode(bytes.fromhex(written)).decode('ascii')}"
