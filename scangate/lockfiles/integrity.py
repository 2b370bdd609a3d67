"""Digests as lockfiles write them, in the one form that scangate compares: "algorithm:hex", lower case, sorted.

A part that is not a digest of a known algorithm is left out: it protects nothing, so it must not look like it does.
"""

import binascii
import re
from collections.abc import Iterable

HEX_LENGTH = {"md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128}
"""The length of an algorithm's digest in hexadecimal characters."""

_SHA512_SRI = len("sha512-") + 88
_HEX = re.compile(r"[0-9a-f]+\Z")


def from_sri(text: str) -> tuple[str, ...]:
    """Subresource integrity (W3C SRI; npm's `integrity`): "sha512-BASE64?option sha1-BASE64", by spaces."""
    if len(text) == _SHA512_SRI and text.startswith("sha512-"):
        # The one form that npm writes today, ten thousand times a file.
        digest = _from_base64(text)
        return () if digest is None else (digest,)
    return _sorted(map(_from_base64, text.split()))


def from_hex(text: str) -> tuple[str, ...]:
    """Hexadecimal digests (pip's --hash, poetry's files): "sha256:HEX", also several by spaces or commas."""
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
