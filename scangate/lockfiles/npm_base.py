"""A package-lock and its state in the base, read together: what stands in both in the same words is read once."""

from collections.abc import Iterable, Iterator, Mapping

from scangate.errors import LockfileError
from scangate.files import Files
from scangate.lockfiles import jsonlines, npm, npm_entries, npmrc
from scangate.lockfiles.jsonlines import Object
from scangate.lockfiles.npm_entries import Tree
from scangate.models.lockfile import Dependency, Kind, Lockfile, Scope
from scangate.registries import NO_REGISTRIES

_RANK = {scope: rank for rank, scope in enumerate(npm.SCOPES)}


def read_both(path: str, files: Files, base: Files) -> tuple[Lockfile, Lockfile | None]:
    """What `npm.read` says of the lockfile in `files`, and of the one in `base`, but for what follows.

    Lines, relations and paths of the base's entries are those of the current one. None for the base where that could
    say anything else: then it has to be read wholly. There must be no .npmrc beside either, and no registries in the
    policy. Raises LockfileError for the current one.
    """
    with npm.collector_at_rest():
        document = jsonlines.parse(npm.content_of(path, files), path, npm_entries.SHAPE, keep_texts=True)
        lockfile, tree = npm.lockfile_of(document, path, files, NO_REGISTRIES)
        return lockfile, _beside(base, document, lockfile, tree)


def _beside(base: Files, current: Object, lockfile: Lockfile, tree: Tree) -> Lockfile | None:
    try:
        content = npm.content_of(lockfile.path, base)
        document = jsonlines.parse(content, lockfile.path, npm_entries.SHAPE, like=current)
    except LockfileError:
        return None  # reading it wholly says what is wrong, and where
    places, known = document.get("packages"), current.get("packages")
    if not isinstance(places, Object) or not isinstance(known, Object) or "" not in places:
        return None
    if "dependencies" in document or document.get("lockfileVersion") != current.get("lockfileVersion"):
        return None
    ordinary = _ordinary(tree, lockfile.dependencies)
    found: list[tuple[Dependency, Scope]] = []
    rest = Object()
    for place, members in places.items():
        if place in ordinary and members is known[place]:
            found.append(ordinary[place])
        else:
            rest[place] = members
    if any("inBundle" in members for members in rest.values() if isinstance(members, dict)):
        return None
    rest.lines = dict.fromkeys(rest, 1)
    try:
        others = npm.dependencies_of(
            npm_entries.from_packages(rest, lockfile.path), lockfile.path, npmrc.Npmrc(), NO_REGISTRIES
        )
    except LockfileError:
        return None
    found += ((one, one.scope) for one in others)
    return lockfile._replace(dependencies=tuple(_with_scopes(found)), facts=())


def _ordinary(tree: Tree, dependencies: Iterable[Dependency]) -> Mapping[str, tuple[Dependency, Scope]]:
    """By place, packages of the public registry that have no more to say, each with the scope of this place alone.

    What such an entry says depends on no other one, so that the same words say the same in the base. A directory is
    none of them: links take their names from there.
    """
    entries = (entry for entry in tree.entries if not entry.own)
    return {
        entry.location: (one, entry.scope)
        for entry, one in zip(entries, dependencies, strict=True)
        if entry.folder and one.kind is Kind.REGISTRY and one.integrity and not one.facts
    }


def _with_scopes(found: list[tuple[Dependency, Scope]]) -> Iterator[Dependency]:
    """One scope a package, as in a whole reading."""
    scopes: dict[tuple[str, str | None], Scope] = {}
    for one, scope in found:
        label = one.name, one.version
        if label not in scopes or _RANK[scope] > _RANK[scopes[label]]:
            scopes[label] = scope
    for one, _ in found:
        scope = scopes[one.name, one.version]
        yield one if one.scope is scope else one._replace(scope=scope)
