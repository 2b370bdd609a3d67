"""Who asks: the API key, compared in constant time. Past this module a key is known by its digest alone."""

import hashlib
import hmac
from collections.abc import Iterable


def owner_of(key: str) -> str:
    """What stands for a key in the store: its SHA-256, so that the data directory holds no second copy of it."""
    return hashlib.sha256(key.encode()).hexdigest()


class Keys:
    """The keys that are let in."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._owners = tuple(owner_of(key) for key in keys)

    def owner(self, authorization: str | None, api_key: str | None) -> str | None:
        """The owner whose key stands in `Authorization: Bearer KEY`, else in `X-API-Key: KEY`; None for nobody's.

        Digests of equal length are compared, and always all of them: the time says nothing about any key.
        """
        presented = _bearer(authorization) if authorization is not None else api_key
        if not presented:
            return None
        candidate = owner_of(presented)
        known = [owner for owner in self._owners if hmac.compare_digest(owner, candidate)]
        return known[0] if known else None


def _bearer(authorization: str) -> str | None:
    scheme, _, credentials = authorization.partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else None
