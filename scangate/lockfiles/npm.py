"""package-lock.json (lockfileVersion 1, 2 and 3) and npm-shrinkwrap.json.

Sources: npm's own documentation of package-lock.json, and arborist (npm 11), which reads `packages` wherever there
is one, whatever lockfileVersion says; npm 6 reads `dependencies` alone.
"""

import gc
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager

from scangate import purls
from scangate.errors import LockfileError
from scangate.files import Files
from scangate.lockfiles import jsonlines, npm_entries, npmrc
from scangate.lockfiles.local_places import spots
from scangate.lockfiles.npm_divergence import divergences
from scangate.lockfiles.npm_entries import Entry, Tree
from scangate.lockfiles.npm_graph import MAX_PATH, TooDeepError, shortest_paths
from scangate.lockfiles.npm_source import Source, Sources, confusion
from scangate.models.lockfile import Dependency, Ecosystem, Kind, LockFact, Lockfile, Relation, Scope
from scangate.registries import Registries

NAME = "npm-package-lock"

_VERSIONS = (1, 2, 3)
# Looking up an enum's member costs as much as a call.
_NPM, _REGISTRY = Ecosystem.NPM, Kind.REGISTRY
_DIRECT, _TRANSITIVE, _UNKNOWN = Relation.DIRECT, Relation.TRANSITIVE, Relation.UNKNOWN
_HINT = "Make the lockfile anew with npm."

SCOPES = (Scope.OPTIONAL, Scope.DEV, Scope.PROD)
"""The last of these that any place of a package has is the package's."""


def read(path: str, files: Files, registries: Registries) -> Lockfile:
    """Read a package-lock or shrinkwrap, the .npmrc beside it, and package.json where the lock needs it.

    Complete or not at all: raises LockfileError with file, place, problem and advice.
    """
    with collector_at_rest():
        document = jsonlines.parse(content_of(path, files), path, npm_entries.SHAPE)
        return lockfile_of(document, path, files, registries)[0]


def content_of(path: str, files: Files) -> bytes:
    """Raises LockfileError where there is no such file."""
    content = files.read(path)
    if content is None:
        raise LockfileError(path, "no such file.", "Check the path.")
    return content


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Reading makes a hundred thousand objects and no cycle: to look for cycles would cost an eighth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def lockfile_of(document: jsonlines.Object, path: str, files: Files, registries: Registries) -> tuple[Lockfile, Tree]:
    """What the document says, and its entries. Raises LockfileError."""
    folder = path[: path.rfind("/") + 1]
    _check_version(document, path)
    packages = document.get("packages")
    facts: tuple[LockFact, ...] = ()
    if isinstance(packages, jsonlines.Object):
        tree = npm_entries.from_packages(packages, path, _manifest(folder, files) if "" not in packages else None)
        facts = divergences(document, tree, path)
    elif packages is None:
        tree = npm_entries.from_dependencies(document, path, _manifest(folder, files))
    else:
        raise LockfileError(path, "packages are not an object.", _HINT, line=document.lines["packages"])
    dependencies = dependencies_of(tree, path, npmrc.read(folder, files), registries)
    return Lockfile(path=path, format=NAME, dependencies=dependencies, facts=facts), tree


def _check_version(document: jsonlines.Object, path: str) -> None:
    version = document.get("lockfileVersion")
    if version is None and "dependencies" in document and "packages" not in document:
        return  # a shrinkwrap of npm 2 to 4
    if version is None:
        raise LockfileError(path, "not a package-lock: it has no lockfileVersion.", _HINT, line=1)
    # A bool is an int, and True == 1.
    if isinstance(version, bool) or version not in _VERSIONS:
        shown = repr(version)[:40]
        hint = "scangate reads versions 1, 2 and 3: use npm's --lockfile-version, or a newer scangate."
        raise LockfileError(path, f"lockfileVersion {shown} is unknown.", hint, line=document.lines["lockfileVersion"])


def _manifest(folder: str, files: Files) -> jsonlines.Object | None:
    path = f"{folder}package.json"
    content = files.read(path)
    return None if content is None else jsonlines.parse(content, path, {})


def dependencies_of(tree: Tree, path: str, config: npmrc.Npmrc, registries: Registries) -> tuple[Dependency, ...]:
    entries = tree.entries
    at = {entry.location: entry for entry in entries}
    sources = _tied(entries, list(map(Sources(config, registries, at).of, entries)))
    labels = list(map(_label, entries, sources))
    scopes = _scopes(entries, labels)
    try:
        paths = shortest_paths(tree, labels, at)
    except TooDeepError as exc:
        problem = f"more than {MAX_PATH} packages need one another in a row."
        raise LockfileError(path, problem, _HINT, line=exc.entry.line) from exc
    return tuple(
        _dependency(entry, source, scopes[label], way, path)
        for entry, source, label, way in zip(entries, sources, labels, paths, strict=True)
        if not entry.own
    )


def _label(entry: Entry, source: Source) -> str:
    version = entry.version or source.version
    return entry.name if version is None else f"{entry.name}@{version}"


def _scopes(entries: list[Entry], labels: list[str]) -> dict[str, Scope]:
    """One scope a package: prod if any of its places is prod, else dev, else optional."""
    scopes: dict[str, Scope] = {}
    for scope in SCOPES:
        scopes |= {label: scope for entry, label in zip(entries, labels, strict=True) if entry.scope is scope}
    return scopes


def _tied(entries: list[Entry], sources: list[Source]) -> list[Source]:
    """A name that one entry takes from a private registry, and another one from elsewhere, is confused there."""
    private = Kind.PRIVATE_REGISTRY
    owners = {
        entry.name: source.host
        for entry, source in zip(entries, sources, strict=True)
        if source.kind is private and source.host and not _is_confused(source)
    }
    if not owners:
        return sources
    return [
        _confused(entry, source, owner) if (owner := owners.get(entry.name)) else source
        for entry, source in zip(entries, sources, strict=True)
    ]


def _is_confused(source: Source) -> bool:
    return any(fact.check == "confusion" for fact in source.facts)


def _confused(entry: Entry, source: Source, owner: str) -> Source:
    if source.kind not in (Kind.REGISTRY, Kind.URL, Kind.PRIVATE_REGISTRY) or source.host == owner:
        return source
    if _is_confused(source):
        return source
    fact = confusion(entry, source.host, owner, "another entry")
    return source._replace(kind=Kind.PRIVATE_REGISTRY, facts=(*source.facts, fact))


def _dependency(entry: Entry, source: Source, scope: Scope, way: tuple[str, ...], path: str) -> Dependency:
    name, kind = entry.name, source.kind
    version = entry.version or source.version
    return Dependency(
        ecosystem=_NPM,
        name=name,
        version=version,
        kind=kind,
        purl=purls.npm(name, version) if kind is _REGISTRY and version is not None else None,
        registry=source.host,
        source=source.text or entry.spec,
        integrity=entry.digests,
        scope=scope,
        relation=_TRANSITIVE if len(way) > 1 else _DIRECT if way else _UNKNOWN,
        path=way,
        lockfile=path,
        line=entry.line,
        facts=source.facts,
        source_id=source.id,
        places=() if source.archive is None else spots(source.archive, posixpath.dirname(path)),
    )
