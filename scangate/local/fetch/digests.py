"""Digests of archives, and what an archive's digest is compared with."""

import base64
import hashlib
from collections.abc import Iterable
from pathlib import Path

from scangate.digests import strongest
from scangate.local.fetch.base import IntegrityMismatch

_SHOWN = "sha512"
"""What a file's digest is told by where nothing was promised of it."""


def of_file(path: Path, algorithm: str) -> str:
    with path.open("rb") as stream:
        return f"{algorithm}:{hashlib.file_digest(stream, algorithm).hexdigest()}"


def matches(path: Path, expected: Iterable[str]) -> tuple[bool, tuple[str, ...]]:
    """Whether the file has one of the digests of the strongest algorithm among them, and its digest by that.

    Weaker digests beside a stronger one are not asked: they are what an attacker could meet. Without any digest of
    a known algorithm nothing matches.
    """
    promised = tuple(expected)
    actual = of_file(path, strongest(promised) or _SHOWN)
    return actual in promised, (actual,)


def verify(what: str, path: Path, expected: Iterable[str]) -> None:
    """Raises IntegrityMismatch, of `what`, unless the file matches."""
    promised = tuple(expected)
    right, actual = matches(path, promised)
    if not right:
        raise IntegrityMismatch(what, promised, actual)


def to_sri(digest: str) -> str:
    """One digest as npm writes it: the inverse of scangate.digests.from_sri."""
    algorithm, _, written = digest.partition(":")
    return f"{algorithm}-{base64.b64encode(bytes.fromhex(written)).decode('ascii')}"
