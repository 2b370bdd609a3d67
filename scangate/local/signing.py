"""Signed URLs: whoever holds one may do one thing with one object until it expires, without a key."""

import hashlib
import hmac
import re
from collections.abc import Callable
from urllib.parse import quote, urlencode

_EXPIRES = re.compile(r"[0-9]{1,12}\Z", re.ASCII)


class SignatureRefused(Exception):
    """The URL is not one of ours, was changed, is for another method, or has expired."""


class Signer:
    """Makes and checks signed URLs of one origin.

    The signature is HMAC-SHA256 over the method, the object's path and the second at which the URL expires.
    """

    def __init__(self, secret: bytes, origin: str, seconds: int, clock: Callable[[], float]) -> None:
        self._secret = secret
        self._origin = origin
        self._seconds = seconds
        self._clock = clock

    def url(self, method: str, path: str) -> str:
        expires = str(int(self._clock()) + self._seconds)
        query = urlencode({"expires": expires, "signature": self._sign(method, path, expires)})
        return f"{self._origin}/{quote(path)}?{query}"

    def check(self, method: str, path: str, expires: str, signature: str) -> None:
        """Raises SignatureRefused. The signature comes first: only our own `expires` is worth reading."""
        expected = self._sign(method, path, expires)
        if not hmac.compare_digest(expected.encode(), signature.encode(errors="replace")):
            raise SignatureRefused("The URL's signature does not hold.")
        if not _EXPIRES.match(expires) or self._clock() >= int(expires):
            raise SignatureRefused("The signed URL has expired.")

    def _sign(self, method: str, path: str, expires: str) -> str:
        message = "\n".join((method, path, expires)).encode(errors="replace")
        return hmac.new(self._secret, message, hashlib.sha256).hexdigest()
