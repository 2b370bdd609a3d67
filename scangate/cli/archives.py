"""Archives named on the command line: their bytes, and which package they say they are."""

import io
import json
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from scangate import purls
from scangate.errors import PurlError, UsageError
from scangate.files import Unreadable, read_bounded
from scangate.models.analysis import MAX_ARCHIVE_BYTES, Archive

MAX_MANIFEST_BYTES = 4 * 1024 * 1024
MAX_MEMBERS = 20_000
MAX_UNPACKED_BYTES = 1024 * 1024 * 1024
"""How much of an archive is decompressed, at most, to find its manifest."""


def load(path: Path, shown: str, github_url: str | None) -> Archive:
    """Read an archive whole. Raises UsageError."""
    try:
        content = read_bounded(path, MAX_ARCHIVE_BYTES).data
    except Unreadable as exc:
        raise UsageError(f"{shown} {exc.reason}.", "Name an archive, or a package as pkg:TYPE/NAME@VERSION.") from exc
    suffixes = (*_READERS, ".zip")
    if not path.name.endswith(suffixes):
        names = ", ".join(suffixes)
        raise UsageError(f"{shown}: not an archive that can be analysed.", f"Use a file that ends in {names}.")
    return Archive(filename=path.name, content=content, github_url=github_url)


def purl_of(archive: Archive) -> str:
    """The purl that an archive's own name or manifest makes. Raises UsageError where it does not say."""
    try:
        for suffix, read in _READERS.items():
            if archive.filename.endswith(suffix) and (purl := read(archive)) is not None:
                return str(purls.submittable(purl))
    except (PurlError, OSError, ValueError, KeyError, TypeError, EOFError, RecursionError) as exc:
        raise _unknown(archive) from exc
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as exc:
        raise _unknown(archive) from exc
    raise _unknown(archive)


def _unknown(archive: Archive) -> UsageError:
    return UsageError(
        f"{archive.filename}: does not say which package it is.",
        "Say it: --purl pkg:npm/NAME@VERSION, pkg:pypi/NAME@VERSION or pkg:vscode-extension/PUBLISHER/NAME@VERSION.",
    )


def _wheel(archive: Archive) -> str | None:
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    try:
        name, version, _, _ = parse_wheel_filename(archive.filename)
    except InvalidWheelFilename:
        return None
    return purls.pypi(name, str(version))


def _tarball(archive: Archive) -> str | None:
    """npm tarballs hold package/package.json (the folder may have another name), sdists NAME-VERSION/PKG-INFO."""
    with tarfile.open(fileobj=io.BytesIO(archive.content), mode="r|gz") as tar:
        unpacked = 0
        for number, member in enumerate(tar):
            unpacked += member.size
            if number >= MAX_MEMBERS or unpacked > MAX_UNPACKED_BYTES:
                return None
            if member.isfile() and member.name.count("/") == 1 and member.size <= MAX_MANIFEST_BYTES:
                read = _MANIFESTS.get(member.name.partition("/")[2])
                file = tar.extractfile(member) if read else None
                if read and file:
                    return read(file.read(MAX_MANIFEST_BYTES))
    return None


def _extension(archive: Archive) -> str | None:
    with zipfile.ZipFile(io.BytesIO(archive.content)) as zipped, zipped.open("extension/package.json") as file:
        manifest = json.loads(file.read(MAX_MANIFEST_BYTES))
    return purls.vscode_extension(str(manifest["publisher"]), str(manifest["name"]), str(manifest["version"]))


def _package_json(content: bytes) -> str:
    manifest = json.loads(content)
    return purls.npm(str(manifest["name"]), str(manifest["version"]))


def _pkg_info(content: bytes) -> str:
    headers = dict(_headers(content))
    return purls.pypi(headers["name"], headers["version"])


def _headers(content: bytes) -> Iterator[tuple[str, str]]:
    for line in content.decode("utf-8").splitlines():
        if not line:
            return
        key, colon, value = line.partition(":")
        if colon and not line.startswith((" ", "\t")):
            yield key.lower(), value.strip()


_MANIFESTS: Mapping[str, Callable[[bytes], str]] = {"package.json": _package_json, "PKG-INFO": _pkg_info}
_READERS: Mapping[str, Callable[[Archive], str | None]] = {
    ".whl": _wheel,
    ".tgz": _tarball,
    ".tar.gz": _tarball,
    ".vsix": _extension,
}
