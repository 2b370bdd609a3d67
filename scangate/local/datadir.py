"""The data directory: what a restart needs, readable by its owner alone, and used by one service at a time."""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scangate.errors import StateError, UsageError

KEY_FILE = "api-key"
_SECRET_FILE = "signing-secret"  # noqa: S105  a file's name
_LOCK_FILE = "lock"


@contextmanager
def opened(path: Path) -> Iterator[Path]:
    """The directory, made if need be, and locked. Raises StateError where it cannot be used."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise StateError(f"{path}: {exc.strerror}.", "Name a directory that you can write to.") from exc
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise StateError(f"{path}: in use by another service.", "Stop it, or name another directory.") from exc
        yield path
    finally:
        os.close(lock)


def keys(directory: Path, given: tuple[str, ...]) -> tuple[str, ...]:
    """The keys that are let in: those given, else the one kept here, else a new one. The first is kept here."""
    file = directory / KEY_FILE
    found = given or (_kept(file),)
    for key in found:
        if not (key.isascii() and key.isprintable() and key and " " not in key):
            place = "" if given else f"{file}: "
            raise UsageError(f"{place}an API key must be printable ASCII without spaces.", "Take another key.")
    if given:
        _write(file, given[0])
    return found


def signing_secret(directory: Path) -> bytes:
    """Kept, so that signed URLs outlive a restart."""
    return _kept(directory / _SECRET_FILE).encode()


def workspace(directory: Path) -> Path:
    """An empty directory for what lives no longer than an analysis; what a killed server left there is removed.

    Raises StateError.
    """
    path = directory / "work"
    try:
        if path.exists():
            shutil.rmtree(path)
        path.mkdir(mode=0o700)
    except OSError as exc:
        raise StateError(f"{path}: {exc.strerror}.", "Remove it, or name another directory.") from exc
    return path


def _kept(file: Path) -> str:
    """The file's secret, made if need be."""
    try:
        content = file.read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        content = ""
    if not content:
        content = secrets.token_urlsafe(32)
        _write(file, content)
    return content


def _write(file: Path, content: str) -> None:
    """Whole or not at all, and never readable by others."""
    temporary = file.with_name(file.name + ".new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as stream:
        stream.write(content + "\n")
    temporary.replace(file)
