"""The digests of lockfiles, under the name that their readers know them by."""

from scangate.digests import from_hex

__all__ = ["from_hex"]
