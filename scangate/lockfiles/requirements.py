"""requirements.txt: pip's requirements files, with everything that they include.

Read as pip's own reader does (pip 20 to 26), with four differences, all of them on the safe side: environment
variables are never expanded (a URL may hold one; a name, version or path may not), nothing is fetched, the locale is
no encoding, and text that pip passes over in silence is a fact of the lockfile. Where each part is:
`requirements_lines` (bytes to logical lines), `_options`, `_entries` (one requirement), `_walk` (includes),
`_places` (indexes), `_via` (relations).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from scangate import purls
from scangate.digests import from_hex
from scangate.errors import PurlError
from scangate.files import Files
from scangate.lockfiles.requirements_entries import Link
from scangate.lockfiles.requirements_lines import LogicalLine, logical_lines, shown
from scangate.lockfiles.requirements_places import PlacedAt, Places
from scangate.lockfiles.requirements_via import relation, shortest_paths
from scangate.lockfiles.requirements_walk import Statement, walk
from scangate.models.lockfile import Dependency, Ecosystem, Kind, LockFact, Lockfile, Relation, Scope
from scangate.registries import Registries
from scangate.urls import host_of, is_plain, source_id, without_credentials

NAME = "pip-requirements"

_DEV_WORDS = frozenset(
    {"ci", "dev", "devel", "develop", "development", "doc", "docs", "lint", "linting", "qa", "test", "testing"}
    | {"tests", "typing"}
)
_WORD_BREAKS = re.compile(r"[-_.]+")
_SHAPE = re.compile(
    r"-[-A-Za-z]|[./]|[a-z+]+://\S+\Z|\S+\.(whl|zip|tar\.gz)\Z"
    r"|[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[[^\]]*\]\s*)?(\Z|[;@(]|[=<>!~]=|[<>])"
)
_SCP_USER = re.compile(r"(?<=\Agit\+)[^/@]*@", re.IGNORECASE)
_SAMPLED_LINES = 200
_SAMPLED_CHARACTERS = 100_000


def read(path: str, files: Files, registries: Registries) -> Lockfile:
    """Read a requirements file and all that it includes.

    Each entry names the file and line at which it stands, which may be an included file's. Markers are kept out of
    it: an entry for another platform is an entry. Raises LockfileError.
    """
    run = walk(path, files)
    places = Places(all=run.places, registries=registries, path=path)
    facts = list(run.facts)
    facts += [_plain_http(place.url, place.line) for place in run.places if place.line and is_plain(place.url)]
    bindings = _Bindings(run.statements)
    entries = [bindings.resolve(statement) for statement in run.statements if not statement.is_constraint]
    if any(entry.link is None and places.of(entry.name).ambiguous for entry in entries):
        facts.append(places.extra_index())
    is_hashed = any(entry.hashes for entry in entries)
    dependencies = (_dependency(entry, places, is_hashed=is_hashed) for entry in entries)
    return Lockfile(path=path, format=NAME, dependencies=_related(dependencies, run.statements), facts=tuple(facts))


def looks_like(text: str) -> bool:
    """Whether a text file whose name does not settle it is pip's: most of its first lines have the shape."""
    lines = []
    for line in logical_lines(text[:_SAMPLED_CHARACTERS], ""):
        if line.text:
            lines.append(bool(_SHAPE.match(line.text)))
        if len(lines) == _SAMPLED_LINES:
            break
    return sum(lines) * 2 > len(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A statement with what the rest of the run settles for it: its version or link by a pin elsewhere."""

    statement: Statement
    name: str
    version: str | None
    link: Link | None
    hashes: tuple[str, ...]


@dataclass(slots=True)
class _Binding:
    """What all requirements and constraints of one name under one marker say together."""

    versions: set[str] = field(default_factory=set)
    link: Link | None = None
    hashes: tuple[str, ...] = ()


class _Bindings:
    """What binds a name in the whole run: pip joins all requirements and constraints of a name."""

    def __init__(self, statements: Iterable[Statement]) -> None:
        self._by_marker: dict[tuple[str, str], _Binding] = {}
        self._constraint_links: dict[str, Link] = {}
        for statement in statements:
            own = statement.requirement
            if own.name is None:
                continue
            binding = self._by_marker.setdefault((own.name, own.marker), _Binding())
            binding.link = binding.link or own.link
            if own.version is not None:
                binding.versions.add(own.version)
            if statement.is_constraint:
                binding.hashes = binding.hashes or statement.hashes
                if own.link is not None:
                    self._constraint_links.setdefault(own.name, own.link)

    def resolve(self, statement: Statement) -> _Entry:
        """A pin binds where it holds whenever the entry does: without a marker, or under the entry's own.

        A constraint to a link binds under any marker: that it may be taken must not go unseen.
        """
        own = statement.requirement
        name = own.name or _unnamed(own.link)
        if own.name is None or own.link is not None:
            return _Entry(statement=statement, name=name, version=own.version, link=own.link, hashes=statement.hashes)
        keys = dict.fromkeys(((name, ""), (name, own.marker)))
        bindings = [self._by_marker[key] for key in keys if key in self._by_marker]
        link = next((b.link for b in bindings if b.link), self._constraint_links.get(name))
        versions = {own.version} if own.version else set().union(*(b.versions for b in bindings))
        hashes = statement.hashes or next((b.hashes for b in bindings if b.hashes), ())
        version = next(iter(versions)) if len(versions) == 1 and link is None else None
        return _Entry(statement=statement, name=name, version=version, link=link, hashes=hashes)


def _unnamed(link: Link | None) -> str:
    """A name for what has none before it is built: the last part of its path."""
    assert link is not None
    path = _source(link.url).partition("#")[0].rstrip("/")
    return path.rpartition("/")[2] or link.url


def _dependency(entry: _Entry, places: Places, *, is_hashed: bool) -> Dependency:
    found = _located(entry, places)
    if not is_hashed or found.integrity or found.kind in (Kind.GIT, Kind.LOCAL):
        return found
    # pip refuses such a file; other installers check the digests that there are, and take the rest as it comes.
    fact = LockFact(
        check="no-integrity",
        detail=f"{found.name} has no --hash, and others here have: nothing holds its source to what was locked.",
        line=found.line,
    )
    return found._replace(facts=(*found.facts, fact))


def _located(entry: _Entry, places: Places) -> Dependency:
    line = entry.statement.line
    base = Dependency(
        ecosystem=Ecosystem.PYPI,
        name=entry.name,
        version=entry.version,
        kind=Kind.UNPINNED,
        purl=None,
        integrity=from_hex(" ".join(entry.hashes)),
        scope=_scope(line.path),
        lockfile=line.path,
        line=line.number,
    )
    if entry.link is not None:
        return _linked(base, entry, entry.link, places)
    place = places.of(entry.name)
    return base._replace(
        kind=place.kind if entry.version is not None or place.confused_with else Kind.UNPINNED,
        purl=_purl(entry.name, entry.version, line) if entry.version and place.kind is Kind.REGISTRY else None,
        registry=place.host,
        source=None if entry.version else without_credentials(entry.statement.text),
        facts=_confusion(entry.name, place, line),
        source_id=places.id,
        # pip takes no archive but those with the digests.
        places=() if entry.hashes else places.local,
    )


def _linked(base: Dependency, entry: _Entry, link: Link, places: Places) -> Dependency:
    """An entry with a link. One that points at an archive of the public registry is that registry's package."""
    line = entry.statement.line
    facts: list[LockFact] = []
    host = host_of(link.url) if link.kind is Kind.URL else None
    if host and "${" in host:
        host = None
    place = PlacedAt(kind=link.kind)
    if link.kind is Kind.URL:
        origin = places.registries.origin(Ecosystem.PYPI, entry.name, host)
        place = PlacedAt(kind=origin.kind, confused_with=origin.confused_with, tied_by=origin.tied_by)
    given = entry.statement.requirement.name
    named_otherwise = link.name is not None and given is not None and link.name != given
    if named_otherwise:
        detail = f"{entry.name} is taken from an archive that is named as {link.name}'s."
        facts.append(LockFact(check="url-mismatch", detail=detail, line=line.number))
    if is_plain(link.url):
        facts.append(_plain_http(link.url, line))
    kind = place.kind
    if kind is Kind.REGISTRY and (named_otherwise or link.version is None):
        kind = Kind.URL
    source = _source(link.url)
    return base._replace(
        version=link.version,
        kind=kind,
        purl=_purl(entry.name, link.version, line) if kind is Kind.REGISTRY and link.version else None,
        registry=host,
        source=source,
        source_id=source_id(link.url, shown=source),
        places=places.spots(link.url, line) if kind is Kind.FILE else (),
        integrity=from_hex(" ".join((*entry.hashes, link.digest))),
        facts=(*facts, *_confusion(entry.name, place, line)),
    )


def _source(url: str) -> str:
    """The URL without credentials, also where it is a repository in scp's form: "git+user@host:path"."""
    return _SCP_USER.sub("", without_credentials(url), count=1)


def _purl(name: str, version: str, line: LogicalLine) -> str:
    try:
        return purls.pypi(name, version)
    except PurlError as exc:
        hint = "Write a version as PEP 440 has it."
        raise line.error(f"{shown(f'{name}=={version}')} cannot be written as a package URL.", hint) from exc


def _plain_http(url: str, line: LogicalLine) -> LockFact:
    detail = f"{line.path}:{line.number}: {shown(url)} is fetched without TLS: who sits between can change it."
    return LockFact(check="plain-http", detail=detail, line=line.number)


def _confusion(name: str, place: PlacedAt, line: LogicalLine) -> tuple[LockFact, ...]:
    if place.confused_with is None:
        return ()
    detail = f"{name} belongs to {place.confused_with} ({place.tied_by}), and is taken from elsewhere."
    return (LockFact(check="confusion", detail=detail, line=line.number),)


def _scope(path: str) -> Scope:
    """Dev where a word of the file's name, or its directory's whole name, says so: "requirements-dev.txt",
    "requirements/test.txt", "docs/requirements.txt". Each entry by its own file: what a dev file includes is prod.
    """
    file = PurePosixPath(path)
    words = {*_WORD_BREAKS.split(file.stem.lower()), file.parent.name.lower()}
    return Scope.DEV if words & _DEV_WORDS else Scope.PROD


def _related(dependencies: Iterable[Dependency], statements: Sequence[Statement]) -> tuple[Dependency, ...]:
    """Add relations and paths. Where nothing says more, what stands in a requirements file was asked for."""
    written = [statement for statement in statements if not statement.is_constraint]
    entries = list(zip(dependencies, (_relation(statement) for statement in written), strict=True))
    labels: dict[str, str] = {}
    parents: dict[str, dict[str, None]] = {}
    for dependency, (_, above) in entries:
        labels.setdefault(
            dependency.name, f"{dependency.name}@{dependency.version}" if dependency.version else dependency.name
        )
        parents.setdefault(dependency.name, {}).update(dict.fromkeys(above))
    direct = dict.fromkeys(entry.name for entry, (said, _) in entries if said is Relation.DIRECT)
    paths = shortest_paths(direct, parents, labels)
    return tuple(
        entry._replace(relation=said, path=() if said is Relation.UNKNOWN else paths.get(entry.name, ()))
        for entry, (said, _) in entries
    )


def _relation(statement: Statement) -> tuple[Relation, tuple[str, ...]]:
    said, parents = relation(statement.via)
    return said or (Relation.UNKNOWN if statement.is_generated else Relation.DIRECT), parents
