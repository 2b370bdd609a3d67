"""What one requirement of a requirements.txt says: a name and a version, or a link. pip's rules, without a disk."""

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from scangate.lockfiles.requirements_lines import LogicalLine, shown
from scangate.models.lockfile import Kind
from scangate.purls import normalise_pypi_name

MAX_REQUIREMENT_CHARACTERS = 10_000

# What pip-compile writes 2,000 times a file; anything else goes to packaging. A local version is left to it, too.
_PLAIN = re.compile(
    r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)==([0-9]+(?:\.[0-9]+)*(?:(?:a|b|rc)[0-9]+)?(?:\.(?:post|dev)[0-9]+)?)\Z"
)
_NAMED_LINK = re.compile(r"[A-Za-z0-9._-]+\s*(?:\[[^\]]*\])?\s*@")
_PATH_EXTRAS = re.compile(r"\[[^\[\]]+\]\Z")
_VARIABLE = re.compile(r"\$\{[A-Z0-9_]+\}")
_EGG = re.compile(r"[#&]egg=([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?:\[[^&]*\])?(?:&|\Z)")
_URL_DIGEST = re.compile(r"[#&](md5|sha1|sha224|sha256|sha384|sha512)=([0-9A-Fa-f]+)")
# pip's own list (_internal/utils/filetypes.py).
_ARCHIVES = (
    ".whl",
    ".zip",
    ".tgz",
    ".tbz",
    ".txz",
    ".tlz",
    ".tar",
    *(f".tar.{z}" for z in ("gz", "bz2", "xz", "lz", "lzma")),
)
_VCS = ("git", "hg", "svn", "bzr")
_VCS_PREFIXES = tuple(f"{tool}+" for tool in _VCS)
_URL_START = re.compile(r"[A-Za-z][A-Za-z0-9.+-]*://")
_URL_SCHEMES = frozenset({"http", "https", "ftp", "file"})
_HINT = (
    "Correct the line as pip's documentation of the requirements file format says; "
    "if the file is not pip's, exclude it in scangate.yml."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Where a requirement's content is taken from in place of an index. `url` is a URL, or a path as written.

    `name` and `version` are what the archive's file name says, None where it does not say it without doubt.
    """

    kind: Kind
    url: str
    name: str | None = None
    version: str | None = None

    @property
    def digest(self) -> str:
        """The digest in the URL's fragment as "algorithm:hex"; empty where there is none."""
        found = _URL_DIGEST.search(self.url)
        return f"{found[1]}:{found[2]}" if found else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """`name` is normalised; None where only the content tells it. `version` only where it is exact."""

    name: str | None
    version: str | None = None
    link: Link | None = None
    marker: str = ""
    extras: bool = False
    editable: bool = False


def parse(text: str, line: LogicalLine) -> Requirement:
    """Read a requirement as written on a line without "-e". Raises LockfileError."""
    _bound(text, line)
    plain = _PLAIN.match(text)
    if plain is not None:
        return Requirement(name=normalise_pypi_name(plain[1]), version=plain[2])
    is_url = _is_url(text)
    head, _, marker = text.partition("; " if is_url else ";")
    head, marker = head.strip(), _marker(marker.strip(), line)
    if is_url:
        link = _link(head, line)
        return Requirement(name=link.name or _egg(head), link=link, marker=marker)
    path = _PATH_EXTRAS.sub("", head).rstrip()
    if _is_path(path) and not _NAMED_LINK.match(head):
        _refuse_variable(head, line)
        link = _link(path, line)
        return Requirement(name=link.name, link=link, marker=marker, extras=path != head)
    return _named(head, marker, line)


def parse_editable(text: str, line: LogicalLine) -> Requirement:
    """Read what stands behind "-e": a directory, a version control URL or `name @ URL`. Raises LockfileError."""
    _bound(text, line)
    if not text:
        raise line.error("-e without anything.", _HINT)
    if _NAMED_LINK.match(text):
        head, _, marker = text.partition(";")
        found = _named(head.strip(), _marker(marker.strip(), line), line)
    else:
        if text.lower().startswith(tuple(f"{tool}:" for tool in _VCS)):
            text = f"{text.partition(':')[0].lower()}+{text}"
        if not _is_url(text):
            _refuse_variable(text, line)
        path = text if "://" in text else _PATH_EXTRAS.sub("", text).rstrip()
        found = Requirement(name=_egg(text), link=_link(path, line))
    match found.link:
        case Link(kind=Kind.GIT | Kind.LOCAL as kind, url=url):
            pass
        case Link(kind=Kind.FILE, url=url):  # whatever its name: pip takes a directory or nothing
            kind = Kind.LOCAL
        case _:
            raise line.error(f"{shown(text)} is neither a directory nor a version control URL.", _HINT)
    return Requirement(name=found.name, link=Link(kind=kind, url=url), marker=found.marker, editable=True)


def _named(head: str, marker: str, line: LogicalLine) -> Requirement:
    """`name`, `name[extras] specifiers` or `name @ URL`."""
    from packaging.requirements import InvalidRequirement
    from packaging.requirements import Requirement as Parsed

    if not _NAMED_LINK.match(head):
        _refuse_variable(head, line)
    try:
        parsed = Parsed(head)
    except (InvalidRequirement, RecursionError) as exc:
        why = str(exc).partition("\n")[0]
        raise line.error(f"{shown(head)} is not a requirement: {shown(why)[1:-1]}.", _HINT) from exc
    name = normalise_pypi_name(parsed.name)
    if parsed.url is not None:
        if not _is_url(parsed.url):
            _refuse_variable(parsed.url, line)
        return Requirement(name=name, link=_link(parsed.url, line, name), marker=marker, extras=bool(parsed.extras))
    exact = {
        spec.version
        for spec in parsed.specifier
        if spec.operator == "===" or (spec.operator == "==" and not spec.version.endswith(".*"))
    }
    version = exact.pop() if len(exact) == 1 else None
    return Requirement(name=name, version=version, marker=marker, extras=bool(parsed.extras))


def _marker(text: str, line: LogicalLine) -> str:
    """The marker in its normal form: two that are written differently and mean the same are equal."""
    if not text:
        return ""
    from packaging.markers import InvalidMarker, Marker

    try:
        return str(Marker(text))
    except (InvalidMarker, RecursionError) as exc:
        raise line.error(f"{shown(text)} is not an environment marker.", _HINT) from exc


def _link(url: str, line: LogicalLine, name: str | None = None) -> Link:
    """`name` is the one that the line gives; it settles where the name ends in an sdist's file name."""
    kind = _kind(url)
    filename = _filename(url, line)
    if kind not in (Kind.URL, Kind.FILE):
        return Link(kind=kind, url=url)
    found_name, version = _from_filename(filename, name, line)
    return Link(kind=kind, url=url, name=found_name, version=version)


def _kind(url: str) -> Kind:
    if url.lower().startswith(_VCS_PREFIXES):
        return Kind.GIT
    scheme = _scheme(url)
    if _URL_START.match(url) and scheme != "file":
        return Kind.URL
    path = unquote(url.partition("#")[0].partition("?")[0]) if scheme else url
    # A variable at the end may become an archive's name.
    return Kind.FILE if is_archive(path) or _VARIABLE.search(path.rpartition("/")[2]) else Kind.LOCAL


def _filename(url: str, line: LogicalLine) -> str:
    try:
        path = unquote(urlsplit(url).path) if _URL_START.match(url) else url
    except ValueError as exc:
        raise line.error(f"{shown(url)} is not a URL.", _HINT) from exc
    return path.rstrip("/").rpartition("/")[2]


def _from_filename(filename: str, name: str | None, line: LogicalLine) -> tuple[str | None, str | None]:
    """The name and version that an archive's file name gives. Only a wheel's must: pip reads it, too."""
    from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename

    if _VARIABLE.search(filename):
        return None, None
    if filename.endswith(".whl"):
        try:
            wheel_name, wheel_version, *_ = parse_wheel_filename(filename)
        except (InvalidWheelFilename, ValueError) as exc:
            raise line.error(f"{shown(filename)} is not the file name of a wheel.", _HINT) from exc
        return wheel_name, str(wheel_version)
    try:
        sdist_name, sdist_version = parse_sdist_filename(filename)
    except (InvalidSdistFilename, ValueError):
        return None, None
    # "a-b-1.tar.gz" may be a-b at 1 or a at b-1; with one dash (PEP 625) there is nothing to settle.
    if sdist_name == name or filename.count("-") == 1:
        return sdist_name, str(sdist_version)
    return None, None


def is_archive(path: str) -> bool:
    return path.rstrip("/").lower().endswith(_ARCHIVES)


def _is_path(text: str) -> bool:
    """What pip takes as a path. It also looks on the disk; we take prose with a slash in it as no path instead."""
    if text.startswith((".", "/")) or is_archive(text):
        return True
    return "/" in text and "://" not in text and not any(map(str.isspace, text))


def _is_url(text: str) -> bool:
    return _scheme(text) in _URL_SCHEMES or text.lower().startswith(_VCS_PREFIXES)


def _egg(url: str) -> str | None:
    found = _EGG.search(url)
    return normalise_pypi_name(found[1]) if found else None


def _scheme(text: str) -> str:
    return text.partition(":")[0].lower() if ":" in text else ""


def _bound(text: str, line: LogicalLine) -> None:
    """packaging's parser recurses and backtracks: it gets no more than any real requirement needs."""
    if len(text) > MAX_REQUIREMENT_CHARACTERS:
        raise line.error(f"a requirement longer than {MAX_REQUIREMENT_CHARACTERS} characters.", _HINT)


def _refuse_variable(text: str, line: LogicalLine) -> None:
    """Outside of a URL a variable's value decides what is installed, and that must not depend on the machine."""
    found = _VARIABLE.search(text)
    if found is not None:
        raise line.error(
            f"the value of {found[0]} decides what is installed, and scangate does not read it.",
            "Write the name, version or path out; a variable may stand only inside a URL with its scheme.",
        )
