"""How parsers see files: by a relative path, from the working tree, an index or a commit."""

from typing import Protocol

MAX_LOCKFILE_BYTES = 64 * 1024 * 1024
"""Larger files are refused. The largest real lockfiles known to us are below 20 MB."""


class Files(Protocol):
    """A tree of files. Paths are relative, with "/", and never leave the tree."""

    def read(self, path: str) -> bytes | None:
        """The file's bytes; None where there is no such file.

        Raises LockfileError where it is a directory, not readable, or larger than MAX_LOCKFILE_BYTES.
        """
