"""Archives and reports on disk, named by their own SHA-256: written once, whole or not at all, never changed."""

import hashlib
import os
import tempfile
from collections.abc import Container
from pathlib import Path
from types import TracebackType
from typing import Self


class Incoming:
    """A blob on its way in. Leaving the context without `keep` removes what was written."""

    def __init__(self, blobs: Path, incoming: Path) -> None:
        self._blobs = blobs
        descriptor, name = tempfile.mkstemp(dir=incoming)
        self._file = os.fdopen(descriptor, "wb")
        self._path = Path(name)
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, chunk: bytes) -> None:
        self._file.write(chunk)
        self._digest.update(chunk)
        self.size += len(chunk)

    def keep(self) -> str:
        """Make the blob durable and visible; its digest."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        digest = self._digest.hexdigest()
        self._path.replace(self._blobs / digest)
        return digest

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()  # flushes, and so may meet the full disk once more
        finally:
            self._path.unlink(missing_ok=True)


class Blobs:
    """The blobs of one data directory. Names come from contents, so that no name from outside reaches the disk."""

    def __init__(self, root: Path) -> None:
        self._blobs = root / "blobs"
        self._incoming = root / "incoming"
        for folder in (self._blobs, self._incoming):
            folder.mkdir(mode=0o700, exist_ok=True)

    def incoming(self) -> Incoming:
        return Incoming(self._blobs, self._incoming)

    def add(self, content: bytes) -> str:
        """Keep these bytes; their digest."""
        with self.incoming() as blob:
            blob.write(content)
            return blob.keep()

    def path(self, digest: str) -> Path:
        return self._blobs / digest

    def sweep(self, keep: Container[str]) -> None:
        """Remove what a killed server left behind: unfinished files, and blobs that nothing refers to.

        For the start alone, before anything is written.
        """
        for file in self._incoming.iterdir():
            file.unlink()
        for file in self._blobs.iterdir():
            if file.name not in keep:
                file.unlink()
