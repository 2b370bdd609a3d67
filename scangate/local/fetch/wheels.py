"""Wheels without pip: choosing the file of a release, unpacking one into a venv, and one that only has metadata."""

import email
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scangate import purls
from scangate.local.fetch.base import FetchError
from scangate.local.fetch.unpack import WantedMember, read_member, unpack

if TYPE_CHECKING:
    from packaging.requirements import Requirement

SDIST_SUFFIXES = (".tar.gz", ".zip")
STUB_MARK = "scangate-stub"
"""A wheel with this file has nothing but metadata: the release has to be built from its source distribution."""


def parsed(filename: str) -> tuple[str, str] | None:
    """Name and version that a wheel's or a source distribution's file name says; None where it is neither."""
    from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename

    try:
        if filename.endswith(".whl"):
            name, version, _, _ = parse_wheel_filename(filename)
        else:
            name, version = parse_sdist_filename(filename)
    except (InvalidWheelFilename, InvalidSdistFilename, ValueError):
        return None
    return str(name), str(version)


def preferred(filenames: Iterable[str]) -> Iterator[str]:
    """The files that can be used here, the best first: wheels by how well they fit, then source distributions."""
    from packaging.tags import sys_tags
    from packaging.utils import parse_wheel_filename

    rank = {tag: number for number, tag in enumerate(sys_tags())}
    ranked: list[tuple[int, str]] = []
    for filename in filenames:
        if parsed(filename) is None:
            continue
        if filename.endswith(".whl"):
            fits = [rank[tag] for tag in parse_wheel_filename(filename)[3] if tag in rank]
            if fits:
                ranked.append((min(fits), filename))
        elif filename.endswith(SDIST_SUFFIXES):
            ranked.append((len(rank) + SDIST_SUFFIXES.index(_suffix(filename)), filename))
    return (filename for _, filename in sorted(ranked))


def _suffix(filename: str) -> str:
    return next(suffix for suffix in SDIST_SUFFIXES if filename.endswith(suffix))


def requirements(metadata: bytes) -> "tuple[list[Requirement], list[str]]":
    """`Requires-Dist` of core metadata: those an index can answer, and the names of those it cannot (URLs)."""
    lines = email.message_from_bytes(metadata).get_all("Requires-Dist") or []
    return parsed_requirements(str(line) for line in lines)


def parsed_requirements(lines: Iterable[str]) -> "tuple[list[Requirement], list[str]]":
    from packaging.requirements import InvalidRequirement, Requirement

    usable, others = [], []
    for line in lines:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            others.append(line[:100])
            continue
        if requirement.url is None:
            usable.append(requirement)
        else:
            others.append(requirement.name)
    return usable, others


def wheel_metadata(wheel: Path) -> bytes:
    content = read_member(wheel, WantedMember("METADATA", 1, parent_suffix=".dist-info"))
    if content is None:
        raise FetchError(f"{wheel.name}: a wheel without METADATA.", "It is not analysed.")
    return content


def write_stub(target: Path, name: str, version: str, requires: "Sequence[Requirement]") -> None:
    """A wheel for pip to resolve with, where there is only a source distribution."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    lines = [f"Requires-Dist: {requirement}" for requirement in requires]
    metadata = "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *lines, ""])
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/{STUB_MARK}", "")
        archive.writestr(f"{info}/RECORD", "")


def is_stub(wheel: Path) -> bool:
    return read_member(wheel, WantedMember(STUB_MARK, 1, parent_suffix=".dist-info")) is not None


def install(wheel: Path, venv: Path, site_packages: Path) -> None:
    """Unpack a wheel as an installer does: `.data` spread, everything else into site-packages. Runs nothing."""
    unpack(wheel, site_packages)
    schemes = {"purelib": site_packages, "platlib": site_packages, "scripts": venv / "bin", "data": venv}
    schemes["headers"] = venv / "include" / purls.normalise_pypi_name(wheel.name.split("-")[0])
    # Of any name, as pip does it: what lay in another's .data would run where pip installs it, and never here.
    for data in sorted(site_packages.glob("*.data")):
        try:
            _spread(data, schemes)
        except OSError as exc:
            raise FetchError(f"{wheel.name}: it cannot be unpacked ({exc.strerror}).", "It is not analysed.") from exc


def _spread(data: Path, schemes: Mapping[str, Path]) -> None:
    if not data.is_dir():
        return
    for scheme, target in schemes.items():
        _move(data / scheme, target, executable=scheme == "scripts")
    shutil.rmtree(data)


def _move(source: Path, target: Path, *, executable: bool) -> None:
    """Renaming, never copying: a file called bin/python must not be written through the link to the real one."""
    for file in sorted(source.rglob("*")):
        if file.is_file():
            if executable:
                file.chmod(0o755)
            place = target / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            file.replace(place)
