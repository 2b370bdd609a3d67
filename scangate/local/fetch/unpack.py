"""Archives from outside: looked through before anything is written, and unpacked without leaving the directory."""

import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from scangate.local.fetch.base import FetchError

MAX_MEMBERS = 100_000
MAX_UNPACKED_BYTES = 2 * 1024**3
MAX_RATIO = 200
"""Unpacked to packed. Source code packs to a fifth, or a twentieth at best."""
FREE_BYTES = 64 * 1024 * 1024
"""Below this size no ratio is too much: a small file may well pack to nothing."""
MAX_PATH_CHARACTERS = 1024
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Member:
    """A regular file to be written."""

    path: PurePosixPath
    executable: bool
    info: tarfile.TarInfo | zipfile.ZipInfo


def unpack(archive: Path, target: Path, *, only: str | None = None) -> None:
    """Unpack a .tgz, .tar.gz, .tar.bz2, .tar.xz, .zip or .whl into `target`, files only.

    Links are left out, as npm and pip leave them out where they lead outside; nothing that a package runs needs
    them. Raises FetchError for a path that leaves the directory, a device, and where a bound is passed.
    `only`: files below this first directory alone.
    """
    with _opened(archive) as (members, read):
        budget = _budget(archive)
        for member in members:
            if only is None or member.path.parts[0] == only:
                budget -= _write(read(member), target / member.path, budget, archive, executable=member.executable)


def check(archive: Path) -> None:
    """Read an archive through, as `unpack` would, and write nothing. Raises FetchError as that does."""
    with _opened(archive) as (members, read):
        budget = _budget(archive)
        for member in members:
            with read(member) as source:
                while chunk := source.read(_CHUNK):
                    budget -= len(chunk)
                    if budget < 0:
                        raise _too_large(archive)


def read_member(archive: Path, wanted: "WantedMember", most: int = 8 * 1024 * 1024) -> bytes | None:
    """The first file that `wanted` says yes to, without unpacking the others; None where there is none."""
    with _opened(archive) as (members, read):
        for member in members:
            if wanted(member.path):
                content = read(member).read(most + 1)
                if len(content) > most:
                    raise _bad(archive, f"{member.path} is larger than {most} bytes")
                return content
    return None


class WantedMember:
    """A file of this name, so many directories deep."""

    def __init__(self, name: str, depth: int, *, parent_suffix: str = "") -> None:
        self._name, self._depth, self._parent_suffix = name, depth, parent_suffix

    def __call__(self, path: PurePosixPath) -> bool:
        fits = path.name == self._name and len(path.parts) == self._depth + 1
        return fits and (not self._parent_suffix or path.parent.name.endswith(self._parent_suffix))


def _budget(archive: Path) -> int:
    return min(MAX_UNPACKED_BYTES, max(FREE_BYTES, archive.stat().st_size * MAX_RATIO))


@contextmanager
def _opened(archive: Path) -> "Iterator[tuple[Iterator[_Member], _Reader]]":
    """The members one by one, each readable while it is the current one."""
    try:
        if zipfile.is_zipfile(archive) and not _is_tar_name(archive):
            with zipfile.ZipFile(archive) as opened_zip:
                yield _counted(_zip_members(opened_zip, archive), archive), _Reader(opened_zip)
        else:
            with tarfile.open(archive, "r|*") as opened_tar:
                yield _counted(_tar_members(opened_tar, archive), archive), _Reader(opened_tar)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as exc:
        raise _bad(archive, f"it cannot be unpacked ({type(exc).__name__})") from exc


def _counted(members: Iterator[_Member], archive: Path) -> Iterator[_Member]:
    for number, member in enumerate(members):
        if number == MAX_MEMBERS:
            raise _bad(archive, f"it has more than {MAX_MEMBERS} members")
        yield member


class _Reader:
    def __init__(self, archive: tarfile.TarFile | zipfile.ZipFile) -> None:
        self._archive = archive

    def __call__(self, member: _Member) -> IO[bytes]:
        match self._archive, member.info:
            case tarfile.TarFile() as tar, tarfile.TarInfo() as info:
                stream = tar.extractfile(info)
                assert stream is not None  # it is a regular file
                return stream
            case zipfile.ZipFile() as zipped, zipfile.ZipInfo() as info:
                return zipped.open(info)
            case _:
                raise AssertionError


def _is_tar_name(archive: Path) -> bool:
    return archive.name.endswith((".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar"))


def _tar_members(archive: tarfile.TarFile, path: Path) -> Iterator[_Member]:
    for info in archive:
        if info.isdir() or info.issym() or info.islnk():
            continue
        if not info.isreg():
            raise _bad(path, f"{info.name[:100]!r} is a device or a pipe")
        yield _Member(_safe(info.name, path), bool(info.mode & 0o111), info)


def _zip_members(archive: zipfile.ZipFile, path: Path) -> Iterator[_Member]:
    for info in archive.infolist():
        mode = info.external_attr >> 16
        if info.is_dir() or stat.S_ISLNK(mode):
            continue
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise _bad(path, f"{info.filename[:100]!r} is a device or a pipe")
        yield _Member(_safe(info.filename, path), bool(mode & 0o111), info)


def _safe(name: str, archive: Path) -> PurePosixPath:
    path = PurePosixPath(name)
    parts = path.parts
    leaves = path.is_absolute() or ".." in parts or not parts or "\\" in name or "\0" in name
    if leaves or len(name) > MAX_PATH_CHARACTERS or any(len(part.encode("utf-8", "replace")) > 255 for part in parts):
        raise _bad(archive, f"{name[:100]!r} is no path inside it")
    return path


def _write(source: IO[bytes], target: Path, budget: int, archive: Path, *, executable: bool) -> int:
    """Returns the bytes written. A later member of the same name replaces an earlier one, as with tar."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    size = 0
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with source, os.fdopen(os.open(target, flags, 0o755 if executable else 0o644), "wb") as out:
        while chunk := source.read(_CHUNK):
            size += len(chunk)
            if size > budget:
                raise _too_large(archive)
            out.write(chunk)
    return size


def _too_large(archive: Path) -> FetchError:
    return _bad(archive, "it unpacks to more than its size allows")


def _bad(archive: Path, problem: str) -> FetchError:
    return FetchError(f"{archive.name}: {problem}.", "It is not analysed; a package of this form is not installable.")
