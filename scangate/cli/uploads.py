"""Archives that a lockfile names by a path: found below the working directory, checked, and made ready to upload."""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from scangate import purls
from scangate.cli import archives
from scangate.digests import strongest
from scangate.errors import UsageError
from scangate.models.analysis import AnalysisRequest, Archive, OutcomeCode, Shortfall
from scangate.models.lockfile import Dependency, Kind
from scangate.models.verdict import Subject
from scangate.policy.model import normalised_name


def find(
    subjects: Iterable[Subject], root: Path, *, not_here: Collection[str] = ()
) -> dict[str, AnalysisRequest | Shortfall]:
    """By subject key, for each subject of kind `file`: its archive, or why there is none to analyse.

    `not_here`: places (as `Dependency` has them) that are not on disk as in the index or the commit that is checked.
    """
    return {
        subject.key: _of(subject, root.resolve(), not_here)
        for subject in subjects
        if subject.purl is None and subject.dependencies[0].kind is Kind.FILE
    }


def _of(subject: Subject, root: Path, not_here: Collection[str]) -> AnalysisRequest | Shortfall:
    try:
        return _request(subject, root, not_here)
    except UsageError as exc:
        return Shortfall(code=OutcomeCode.FILE, detail=exc.message)
    except _Otherwise as exc:
        return exc.shortfall


def _request(subject: Subject, root: Path, not_here: Collection[str]) -> AnalysisRequest:
    """Raises UsageError and _Otherwise."""
    paths = {path for entry in subject.dependencies for path in _paths(entry, root)}
    if not paths:
        raise UsageError(f"{subject.dependencies[0].source}: no such file in this project.")
    if any(place in not_here for entry in subject.dependencies for place in entry.places):
        names = ", ".join(sorted({path.name for path in paths}))
        raise UsageError(f"{names}: on disk it is not what is checked, in the index or the pushed commit.")
    found = {archives.load(path, str(path.relative_to(root)), None) for path in sorted(paths)}
    if len({archive.content for archive in found}) > 1:
        names = ", ".join(sorted(str(path.relative_to(root)) for path in paths))
        raise UsageError(f"{names}: different archives, and which of them is installed is open.")
    archive = min(found, key=lambda each: each.filename)
    purl = archives.purl_of(archive)
    if subject.name != archive.filename:  # what a line that gives no name is called
        _check_name(subject, purl)
    _check_digests(subject.dependencies, archive)
    return AnalysisRequest(purl=purl, archive=archive)


def _paths(entry: Dependency, root: Path) -> Iterator[Path]:
    """The files that the entry may mean. npm and Poetry count from the lockfile's folder, pip from its own."""
    for folder in ((root / entry.lockfile).parent, root):
        path = (folder / _written(entry.source or "")).resolve()
        if path.is_relative_to(root) and path.is_file():
            yield path


def _written(source: str) -> str:
    """The path in "file:x.tgz", "file:///srv/x.tgz", "./x.whl#sha256=…" or "name @ file:x.whl"."""
    path = source.partition(" @ ")[2] or source
    path = path.partition(";")[0].strip()
    if not path.lower().startswith("file:"):
        return path.partition("#")[0]
    try:
        return unquote(urlsplit(path).path)
    except ValueError:
        return path


def _check_name(subject: Subject, purl: str) -> None:
    own = purls.parse(purl)
    version = subject.version
    same = own.ecosystem is subject.ecosystem and normalised_name(subject.ecosystem, own.package_name) == (
        normalised_name(subject.ecosystem, subject.name)
    )
    if not same or (version is not None and own.version != version):
        asked = f"{subject.name}@{version}" if version else subject.name
        detail = f"The archive calls itself {purl}, the lockfile {asked}."
        raise _Otherwise(Shortfall(code=OutcomeCode.WRONG_PACKAGE, detail=detail))


def _check_digests(entries: Sequence[Dependency], archive: Archive) -> None:
    """Against every entry that has a digest, by its strongest algorithm."""
    for entry in entries:
        algorithm = strongest(entry.integrity)
        if algorithm is None:
            continue
        actual = f"{algorithm}:{hashlib.new(algorithm, archive.content).hexdigest()}"
        if actual not in entry.integrity:
            detail = f"{archive.filename}: its digest is {actual}, {entry.lockfile}:{entry.line} says another."
            raise _Otherwise(Shortfall(code=OutcomeCode.INTEGRITY_MISMATCH, detail=detail))


class _Otherwise(Exception):
    """The archive is there, and is not what the lockfile says."""

    def __init__(self, shortfall: Shortfall) -> None:
        super().__init__(shortfall.code)
        self.shortfall = shortfall
