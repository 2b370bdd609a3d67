"""poetry.lock of poetry 1.0 to 2.x.

Facts from poetry's own reader and writer (poetry/packages/locker.py of 1.0.10 to 2.2.1): every package that is not
from PyPI has a `source`; "legacy" is an index by URL, and pyproject.toml beside it says by the same name where that
index is. 1.x keeps digests by package name under `[metadata.files]` (before 1.0: `[metadata.hashes]`), 2.0 in each
package, 2.1 adds `groups`. Files without a lock-version are those of poetry before 1.0, which 1.x reads as 1.0.
"""

import posixpath
import re
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass
from urllib.parse import unquote

from scangate import purls
from scangate.digests import from_hex
from scangate.errors import LockfileError
from scangate.files import Files
from scangate.lockfiles import poetry_graph, poetry_project, toml_file
from scangate.lockfiles.local_places import spots
from scangate.lockfiles.poetry_graph import Node, Reached
from scangate.lockfiles.poetry_project import Project, Requirement, items, table
from scangate.models.lockfile import Dependency, Ecosystem, Kind, LockFact, Lockfile, Relation, Scope
from scangate.registries import DEFAULT_URL, PUBLIC_HOSTS, Registries
from scangate.urls import host_of, is_plain, source_id, without_credentials

NAME = "poetry-lock"

MAX_VERSIONS = 50
"""Of one name in one file: real files have a handful, and the digests of a name are looked through for each."""

_MAX_CONSTRAINTS = 20
"""Of one optional dependency that an extra adds; more would only make its paths more exact."""

_HINT = "Make it again with `poetry lock`, or restore it from version control."
_LOCK_VERSION = re.compile(r"([12])\.(\d{1,4})(?:\.\d{1,4})?\Z")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\Z")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]*\Z")
_BARE_SHA256 = re.compile(r"[0-9a-fA-F]{64}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    type: str
    url: str
    reference: str
    resolved: str
    subdirectory: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Package:
    node: Node
    line: int
    optional: bool
    groups: frozenset[str] | None
    """The groups that want it; None where the lockfile does not say (2.0)."""
    source: _Source | None
    hashes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lock:
    path: str
    packages: tuple[_Package, ...]
    version: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a package's content comes from."""

    kind: Kind
    registry: str | None = None
    source: str | None = None
    facts: tuple[LockFact, ...] = ()
    source_id: str | None = None
    places: tuple[str, ...] = ()


def read(path: str, files: Files, registries: Registries) -> Lockfile:
    """Read a poetry.lock, and pyproject.toml beside it.

    Without pyproject.toml every relation is unknown, and the scope is what the lockfile itself says.
    Raises LockfileError where either cannot be read completely.
    """
    content = files.read(path)
    if content is None:
        raise LockfileError(path, "there is no such file.", "Name a poetry.lock that exists.")
    lock = _Reader(path).lock(content)
    project = _project(path, files, lock)
    reached: list[Reached | None] = [None] * len(lock.packages)
    if project is not None:
        reached = poetry_graph.reach([package.node for package in lock.packages], project.requirements)
    dependencies = [
        _dependency(path, package, project, how, registries)
        for package, how in zip(lock.packages, reached, strict=True)
    ]
    return Lockfile(
        path=path,
        format=NAME,
        dependencies=tuple(sorted(dependencies, key=lambda d: (d.name, d.version or "", d.source or "", d.line))),
    )


def _project(path: str, files: Files, lock: _Lock) -> Project | None:
    beside = posixpath.join(posixpath.dirname(path), "pyproject.toml")
    content = files.read(beside)
    if content is None:
        return None
    # Lock version 2.1 is that of poetry 2, in which one primary source switches the public index off.
    return poetry_project.load(beside, content, primary_replaces=lock.version >= (2, 1))


def _dependency(
    path: str, package: _Package, project: Project | None, reached: Reached | None, registries: Registries
) -> Dependency:
    name, version = package.node.name, package.node.version
    place = _place(path, package, project, registries)
    digests = from_hex(" ".join(package.hashes))
    relation = Relation.UNKNOWN
    if reached is not None:
        relation = Relation.DIRECT if reached.direct else Relation.TRANSITIVE
    return Dependency(
        ecosystem=Ecosystem.PYPI,
        name=name,
        version=version,
        kind=place.kind,
        purl=purls.pypi(name, version) if place.kind is Kind.REGISTRY else None,
        registry=place.registry,
        source=place.source,
        integrity=digests,
        scope=_scope(package, reached),
        relation=relation,
        path=reached.path if reached is not None else (),
        lockfile=path,
        line=package.line,
        facts=place.facts if digests else (*place.facts, *_no_integrity(package)),
        source_id=place.source_id,
        places=place.places,
    )


def _scope(package: _Package, reached: Reached | None) -> Scope:
    if package.groups is None:
        return reached.scope if reached is not None else Scope.OPTIONAL if package.optional else Scope.PROD
    if "main" not in package.groups:
        return Scope.DEV
    return Scope.OPTIONAL if package.optional else Scope.PROD


def _place(path: str, package: _Package, project: Project | None, registries: Registries) -> _Place:
    source = package.source
    if source is None or source.type == "legacy":
        return _from_index(package, source, project, registries)
    url = without_credentials(source.url)
    id_ = source_id(source.url, shown=url)
    facts = _plain_http(package, source.url)
    below = f"#subdirectory={source.subdirectory}" if source.subdirectory else ""
    match source.type:
        case "git":
            text = f"{url}@{source.resolved or source.reference}{below}"
            return _Place(kind=Kind.GIT, source=text, facts=facts, source_id=id_)
        case "url":
            host = host_of(source.url)
            facts += _mismatch(package, url, host)
            return _Place(kind=Kind.URL, registry=host, source=url + below, facts=facts, source_id=id_)
        case "file":
            return _Place(kind=Kind.FILE, source=url, places=spots(source.url, posixpath.dirname(path)))
        case _:
            return _Place(kind=Kind.LOCAL, source=url)


def _mismatch(package: _Package, url: str, host: str | None) -> tuple[LockFact, ...]:
    """A wheel says by its name what it is; of other archives only those of the public registry surely do."""
    file = unquote(url.partition("#")[0]).rpartition("/")[2]
    is_wheel = file.endswith(".whl")
    if not is_wheel and host not in PUBLIC_HOSTS[Ecosystem.PYPI]:
        return ()
    from packaging.utils import parse_sdist_filename, parse_wheel_filename
    from packaging.version import Version

    try:
        name, version = parse_wheel_filename(file)[:2] if is_wheel else parse_sdist_filename(file)
        if (name, version) == (package.node.name, Version(package.node.version)):
            return ()
    except ValueError:  # neither, or the package's own version is none
        pass
    detail = f"The entry says {package.node.label}, its URL names something else: {url}."
    return (LockFact(check="url-mismatch", detail=detail, line=package.line),)


def _from_index(package: _Package, source: _Source | None, project: Project | None, registries: Registries) -> _Place:
    """A package of an index: its own source, else the project's source that replaces the public index, else that."""
    sources = project.sources if project is not None else ()
    replacing = next((one for one in sources if one.replaces_index), None)
    if source is None:
        url = replacing.url if replacing is not None else None
        named = replacing
    else:
        url, named = source.url, project.source(source.reference) if project is not None else None
    host = host_of(url or DEFAULT_URL[Ecosystem.PYPI])
    facts = _plain_http(package, url or "")
    shown = without_credentials(url) if url else None
    asked = named.url if named is not None else None
    id_ = source_id(*(place for place in dict.fromkeys((url, asked)) if place), shown=shown)
    if named is not None and named.url is not None and named.host != host:
        # Poetry asks the index that pyproject.toml names so; its first versions asked the URL in the lockfile.
        detail = f"The lockfile has {package.node.label} from {host}, pyproject.toml says {named.host} for that source."
        facts = (*facts, LockFact(check="url-mismatch", detail=detail, line=package.line))
        return _Place(kind=Kind.URL, registry=host, source=shown, facts=facts, source_id=id_)
    configured = host is not None and any(one.host == host for one in sources)
    origin = registries.origin(Ecosystem.PYPI, package.node.name, host, configured=configured)
    if origin.confused_with is not None:
        belongs = f"{package.node.name} belongs to {origin.confused_with} ({origin.tied_by})"
        detail = f"{belongs}, and comes from {host}."
        facts = (*facts, LockFact(check="confusion", detail=detail, line=package.line))
    return _Place(kind=origin.kind, registry=host, source=shown, facts=facts, source_id=id_)


def _no_integrity(package: _Package) -> tuple[LockFact, ...]:
    """Poetry writes digests for whatever comes from an index; where there are none, it installs without a check."""
    if package.source is not None and package.source.type != "legacy":
        return ()
    detail = f"{package.node.label} has no integrity digest: nothing holds its source to what was locked."
    return (LockFact(check="no-integrity", detail=detail, line=package.line),)


def _plain_http(package: _Package, url: str) -> tuple[LockFact, ...]:
    if not is_plain(url):
        return ()
    detail = f"{package.node.label} is fetched without encryption from {host_of(url) or 'an unknown host'}."
    return (LockFact(check="plain-http", detail=detail, line=package.line),)


class _Reader:
    """From bytes to packages: everything in here that is not as poetry writes it is an error."""

    def __init__(self, path: str) -> None:
        self._path = path

    def lock(self, content: bytes) -> _Lock:
        document = toml_file.load(self._path, content, _HINT)
        metadata = document.get("metadata")
        if not isinstance(metadata, dict):
            raise self._error("it has no [metadata]: it is cut off, or no poetry.lock.")
        version = self._version(metadata)
        entries = document.get("package")
        if not isinstance(entries, list):
            raise self._error("it has no [[package]].")
        lines = self._lines(content.decode(), entries)
        if version < (2, 0) and entries and not {"files", "hashes"} & metadata.keys():
            raise self._error("it has no [metadata.files]: it is cut off.")
        counts = Counter(str(table(entry).get("name")) for entry in entries)
        for name, count in counts.items():
            if count > MAX_VERSIONS:
                raise self._error(f"it has more than {MAX_VERSIONS} versions of {name!r:.100}.")
        digests = _Digests(metadata, {name for name, count in counts.items() if count > 1})
        packages = tuple(self._package(entry, line, digests) for entry, line in zip(entries, lines, strict=True))
        return _Lock(path=self._path, packages=packages, version=version)

    def _version(self, metadata: Mapping[str, object]) -> tuple[int, int]:
        text = metadata.get("lock-version")
        if text is None and ("files" in metadata or "hashes" in metadata):
            return 1, 0
        match = _LOCK_VERSION.match(text) if isinstance(text, str) else None
        if match is None:
            raise LockfileError(
                self._path,
                "it has no lock-version." if text is None else f"lock-version {text!r:.40} is not known.",
                "scangate reads lock versions 1.0 to 2.x: lock again with such a poetry, or update scangate.",
            )
        return int(match[1]), int(match[2])

    def _lines(self, text: str, entries: list[object]) -> list[int]:
        lines = toml_file.name_lines(text, "package")
        if len(lines) == len(entries):
            return lines
        # Packages in an unusual spelling (inline tables, quoted headers): the first place that has the name.
        first: dict[str, int] = {}
        for number, line in enumerate(text.splitlines(), start=1):
            for quoted in re.findall(r"""["']([^"']*)["']""", line):
                first.setdefault(quoted, number)
        return [first.get(str(table(entry).get("name")), 1) for entry in entries]

    def _package(self, entry: object, line: int, digests: "_Digests") -> _Package:
        details = table(entry)
        name, version = details.get("name"), details.get("version")
        if not isinstance(name, str) or not _NAME.match(name):
            raise self._error("a package has no name, or one that no package can have.", line)
        if not isinstance(version, str) or not _VERSION.match(version):
            raise self._error(f"package {name:.100} has no version, or one that no package can have.", line)
        hashes = digests.of(details, name, version)
        if hashes is None:
            raise self._error(f"[metadata.files] has nothing on {name:.100}: it is cut off.", line)
        return _Package(
            node=Node(
                name=purls.normalise_pypi_name(name),
                version=version,
                requires=_requires(details),
                extras=_extras(details),
            ),
            line=line,
            optional=details.get("optional") is True,
            groups=_groups(details),
            source=self._source(details.get("source"), name, line),
            hashes=hashes,
        )

    def _source(self, value: object, name: str, line: int) -> _Source | None:
        if value is None:
            return None
        details = table(value)
        type_, url = details.get("type"), details.get("url")
        # Poetry 1.0 wrote no type for an index.
        type_ = type_ or "legacy"
        if type_ not in ("legacy", "git", "url", "file", "directory") or not isinstance(url, str) or not url:
            raise self._error(f"package {name:.100} has a source that is not known.", line)
        reference, resolved, below = map(details.get, ("reference", "resolved_reference", "subdirectory"))
        return _Source(
            type=str(type_),
            url=url,
            reference=reference if isinstance(reference, str) else "",
            resolved=resolved if isinstance(resolved, str) else "",
            subdirectory=below if isinstance(below, str) else "",
        )

    def _error(self, problem: str, line: int | None = None) -> LockfileError:
        return LockfileError(self._path, problem, _HINT, line=line)


class _Digests:
    """The digests of each package: its own `files`, else those of its name in the metadata."""

    def __init__(self, metadata: Mapping[str, object], several: Set[str]) -> None:
        files, hashes = metadata.get("files"), metadata.get("hashes")
        self._by_name = {purls.normalise_pypi_name(name): items(value) for name, value in table(files).items()}
        for name, value in table(hashes).items():
            self._by_name.setdefault(purls.normalise_pypi_name(name), items(value))
        self._complete = isinstance(files, dict) or isinstance(hashes, dict)
        self._several = several

    def of(self, package: Mapping[str, object], name: str, version: str) -> tuple[str, ...] | None:
        """None where the metadata lists digests by name, and this name is not among them."""
        if isinstance(own := package.get("files"), list):
            return _hashes(own)
        found = self._by_name.get(purls.normalise_pypi_name(name))
        if found is None:
            return None if self._complete else ()
        if name in self._several:
            # One list for all versions of a name: take the files that carry this version in their name.
            marked = re.compile(rf"-{re.escape(version.replace('+', '_'))}(?:-|\.(?!\d))")
            found = [one for one in found if marked.search(str(table(one).get("file")).replace("+", "_"))] or found
        return _hashes(found)


def _hashes(files: list[object]) -> tuple[str, ...]:
    found = (table(one).get("hash") if isinstance(one, dict) else one for one in files)
    return tuple(f"sha256:{text}" if _BARE_SHA256.match(text) else text for text in found if isinstance(text, str))


def _groups(package: Mapping[str, object]) -> frozenset[str] | None:
    if isinstance(groups := package.get("groups"), list):
        return frozenset(str(group) for group in groups)
    category = package.get("category")
    return frozenset({category}) if isinstance(category, str) else None


def _requires(package: Mapping[str, object]) -> tuple[Requirement, ...]:
    """What the package always asks for: optional entries belong to its extras."""
    found = table(package.get("dependencies")).items()
    return tuple(
        wanted for name, value in found for wanted, optional in poetry_project.constraints(name, value) if not optional
    )


def _extras(package: Mapping[str, object]) -> dict[str, tuple[Requirement, ...]]:
    """What each extra adds. `[package.extras]` has the names, `[package.dependencies]` constraints and extras."""
    details: dict[str, list[Requirement]] = {}
    for name, value in table(package.get("dependencies")).items():
        for wanted, optional in poetry_project.constraints(name, value):
            if optional:
                details.setdefault(wanted.name, []).append(wanted)
    extras: dict[str, tuple[Requirement, ...]] = {}
    for extra, texts in table(package.get("extras")).items():
        added = [found for text in items(texts) if (found := poetry_project.requirement(text)) is not None]
        extras[purls.normalise_pypi_name(extra)] = tuple(
            detail for one in added for detail in details.get(one.name, [one])[:_MAX_CONSTRAINTS]
        )
    return extras
