"""Which package a report is about, by everything in it that says so.

The service has mixed up stored reports before, so one field that agrees is not enough: every claim in the report
has to agree with what was asked for, and together they have to confirm both the name and the version.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from scangate import purls
from scangate.errors import PurlError
from scangate.models.lockfile import Ecosystem
from scangate.purls import Purl
from scangate.reports.shapes import mapping, shown, text

_ECOSYSTEMS: Mapping[str, Ecosystem] = {
    "npm": Ecosystem.NPM,
    "pypi": Ecosystem.PYPI,
    "vscode": Ecosystem.VSCODE_EXTENSION,
    "vscode-extension": Ecosystem.VSCODE_EXTENSION,
}
_UNRECORDED_VERSIONS = frozenset({"", "0"})
"""What stands where the version was not recorded: this says nothing, so it neither agrees nor disagrees."""

_HARNESS = re.compile(r"/usr/local/bin/analyze-[a-z]+\.[a-z]+")
# Compiled where they are used: most reports name no archive.
_ARCHIVE_SUFFIX = r"(?i)(?:\.tar(?:\.(?:gz|bz2|xz))?|\.egg|\.tgz|\.zip|\.whl|\.vsix|\.apk)\Z"
_APK_REVISION = r"-r\d+\Z"
_NAMES_A_VERSION = r"[-_]v?\d"
LOCAL_MARKER = "scangate-local"


class Claim(NamedTuple):
    """One place that says which package this is. None: that place does not say this part.

    `archive` is an archive's file name without directories, suffix and wheel tags: NAME-VERSION.
    """

    place: str
    ecosystem: str | None = None
    name: str | None = None
    version: str | None = None
    archive: str | None = None

    def __str__(self) -> str:
        said = [part for part in (self.ecosystem, self.name, self.version, self.archive) if part]
        return f"{self.place} says {shown(' '.join(said)) or 'nothing'}"


def recorded(body: Mapping[str, object], metadata: Mapping[str, object]) -> Iterator[Claim]:
    """What the report itself, and its wrapper, say: `Package`, `package`, `metadata.package`.

    Raises ReportError where one of them is mistyped.
    """
    package = mapping(body.get("Package"), "Package")
    if package:
        yield _claim("Package", package, ("Ecosystem", "Name", "Version"))
    for place, value in (("package", body.get("package")), ("metadata.package", metadata.get("package"))):
        package = mapping(value, place)
        if package:
            yield _claim(place, package, ("ecosystem", "name", "version"))
            yield from _by_purl(f"{place}.purl", text(package.get("purl"), f"{place}.purl"))
    yield from _by_purl("metadata.purl", text(metadata.get("purl"), "metadata.purl"))


def by_command(argv: tuple[str, ...]) -> Iterator[Claim]:
    """What the analysis harness was told to run: `analyze-python.py [--local FILE] [--version V] PHASE NAME`,
    and the local engine's marker `scangate-local PHASE PURL`."""
    if len(argv) == 3 and argv[0] == LOCAL_MARKER:
        yield from _by_purl("the analysis command", argv[2])
        return
    start = next((i for i, part in enumerate(argv[:3]) if _HARNESS.fullmatch(part)), None)
    if start is None:
        return
    words = list(argv[start + 1 :])
    version = None
    while len(words) > 1 and words[0].startswith("--"):
        option, value, *words = words
        if option == "--local":
            yield from by_archive("the analysis command", value)
        elif option == "--version":
            version = value
    if len(words) > 1:
        yield Claim(place="the analysis command", name=words[1], version=version)


def by_archive(place: str, path: str) -> Iterator[Claim]:
    """What an archive's file name says, where it has the form NAME-VERSION; others say nothing."""
    base = path.rpartition("/")[2]
    stem = re.sub(_ARCHIVE_SUFFIX, "", base)
    if base.lower().endswith(".whl"):
        stem = "-".join(stem.split("-")[:2])
    elif base.lower().endswith(".apk"):
        stem = re.sub(_APK_REVISION, "", stem)
    if stem != base and re.search(_NAMES_A_VERSION, stem):
        yield Claim(place=place, archive=stem)


def disagreement(claims: Iterable[Claim], asked: Purl) -> str | None:
    """Why the report is not proven to be about `asked`; None where it is. One sentence, text from outside in it."""
    named = versioned = False
    for claim in claims:
        if not _agrees(claim, asked):
            return f"Asked for {asked}, but {claim}."
        named = named or claim.name is not None or claim.archive is not None
        versioned = versioned or claim.archive is not None or _version(claim, asked) is not None
    if not named:
        return f"Asked for {asked}, but the report does not say which package it is about."
    if not versioned:
        return f"Asked for {asked}, but the report does not record which version was analysed."
    return None


def purl_of(claims: Iterable[Claim], presumed: Ecosystem | None = None) -> str | None:
    """The purl that a report's first full claim makes; None where there is none.

    `presumed`: the ecosystem of claims that do not name one. A version that was not recorded is "0".
    """
    for claim in claims:
        ecosystem = _ECOSYSTEMS.get(claim.ecosystem.lower()) if claim.ecosystem else presumed
        if ecosystem and claim.name:
            try:
                return _compose(ecosystem, claim.name, _bare_version(claim, ecosystem) or "0")
            except PurlError:
                continue
    return None


def _compose(ecosystem: Ecosystem, name: str, version: str) -> str:
    match ecosystem:
        case Ecosystem.NPM:
            return str(purls.parse(purls.npm(name, version)))
        case Ecosystem.PYPI:
            return purls.pypi(name, version)
        case Ecosystem.VSCODE_EXTENSION:
            publisher, _, base = _spelling(ecosystem, name).partition("/")
            return str(purls.parse(purls.vscode_extension(publisher, base, version)))


def _claim(place: str, package: Mapping[str, object], keys: tuple[str, str, str]) -> Claim:
    ecosystem, name, version = (text(package.get(key), f"{place}.{key}") or None for key in keys)
    return Claim(place=place, ecosystem=ecosystem, name=name, version=version)


def _by_purl(place: str, purl: str) -> Iterator[Claim]:
    if not purl:
        return
    try:
        parsed = purls.parse(purl)
    except PurlError:
        yield Claim(place=place, ecosystem="an unreadable purl", name=purl)
        return
    yield Claim(place=place, ecosystem=parsed.type, name=parsed.package_name, version=parsed.version)


def _agrees(claim: Claim, asked: Purl) -> bool:
    assert asked.ecosystem is not None
    if claim.ecosystem is not None and _ECOSYSTEMS.get(claim.ecosystem.lower()) is not asked.ecosystem:
        return False
    name = _spelling(asked.ecosystem, asked.package_name)
    if claim.name is not None and _spelling(asked.ecosystem, claim.name) != name:
        return False
    if claim.archive is not None and not _archive_agrees(claim.archive, asked):
        return False
    version = _version(claim, asked)
    return version is None or _same_version(asked.ecosystem, version, asked.version or "")


def _spelling(ecosystem: Ecosystem, name: str) -> str:
    """A name in the one spelling that the ecosystem's spellings can be compared in."""
    match ecosystem:
        case Ecosystem.NPM:
            return name.replace("%40", "@")
        case Ecosystem.PYPI:
            return purls.normalise_pypi_name(name)
        case Ecosystem.VSCODE_EXTENSION:
            return name.lower().replace(".", "/", 0 if "/" in name else 1)


def _version(claim: Claim, asked: Purl) -> str | None:
    """The version that a claim states; None where it states none."""
    assert asked.ecosystem is not None
    version = _bare_version(claim, asked.ecosystem)
    return None if version in _UNRECORDED_VERSIONS and version != asked.version else version


def _bare_version(claim: Claim, ecosystem: Ecosystem) -> str:
    """The version without the name before it: the service writes "pytagora-1.2" for 1.2."""
    version, name = claim.version or "", claim.name or ""
    head, tail = version[: len(name)], version[len(name) :]
    if name and tail.startswith("-") and _spelling(ecosystem, head) == _spelling(ecosystem, name):
        return tail[1:]
    return version


def _same_version(ecosystem: Ecosystem, one: str, other: str) -> bool:
    if one == other:
        return True
    if ecosystem is not Ecosystem.PYPI:
        return ecosystem is Ecosystem.VSCODE_EXTENSION and one.lower() == other.lower()
    from packaging.version import Version

    try:
        return Version(one) == Version(other)
    except ValueError:  # InvalidVersion, and Python's own limit on the digits of a number
        return False


def _archive_agrees(stem: str, asked: Purl) -> bool:
    """Whether NAME-VERSION is this package. `npm pack` writes @scope/name as scope-name."""
    assert asked.ecosystem is not None
    names = {asked.name}
    if asked.namespace:
        names.add(f"{asked.namespace.removeprefix('@')}-{asked.name}")
        names.add(f"{asked.namespace}.{asked.name}")
    if asked.ecosystem is Ecosystem.NPM:
        return any(stem in (f"{name}-{asked.version}", f"{name}-v{asked.version}") for name in names)
    head, _, version = stem.rpartition("-")
    spelled = {purls.normalise_pypi_name(name) for name in names}
    if purls.normalise_pypi_name(head) in spelled and _same_version(asked.ecosystem, version, asked.version or ""):
        return True
    # A version may hold a "-" itself (1.0-1); written together, name and version are compared as one.
    return purls.normalise_pypi_name(stem) in {
        f"{name}-{purls.normalise_pypi_name(asked.version or '')}" for name in spelled
    }
