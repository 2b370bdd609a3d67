"""The base's state of a package-lock that was read already: what stands there unchanged need not be read again."""

import json
from collections.abc import Iterable, Mapping

from scangate.errors import LockfileError
from scangate.lockfiles import integrity, npm, npm_entries, npmrc
from scangate.lockfiles.jsonlines import Object
from scangate.lockfiles.npm_same import is_public, unique
from scangate.models.lockfile import Dependency, Kind, Lockfile, Scope
from scangate.registries import NO_REGISTRIES

_Label = tuple[str, str, tuple[str, ...]]

_RANK = {Scope.OPTIONAL: 0, Scope.DEV: 1, Scope.PROD: 2}


def read_beside(content: bytes, current: Lockfile, current_content: bytes) -> Lockfile | None:
    """What `npm.read` says of `content`, but for lines, relations and paths, which are those of `current`.

    Only entries that differ are made anew. None where that could say anything else: then it has to be read wholly.
    There must be no .npmrc beside either, and no registries in the policy.
    """
    try:
        # The current one was read already; that no key stands twice is open for the base's alone.
        now = json.loads(current_content.decode("utf-8-sig"))
        before = json.loads(content.decode("utf-8-sig"), object_pairs_hook=unique)
        places, known = before["packages"], now["packages"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    comparable = isinstance(places, dict) and isinstance(known, dict) and "" in places and "dependencies" not in before
    if not comparable or before.get("lockfileVersion") != now.get("lockfileVersion"):
        return None
    ordinary = _ordinary(current.dependencies)
    found: list[Dependency] = []
    rest = Object()
    for place, members in places.items():
        same = _same(place, members, known.get(place), ordinary)
        if same is None:
            rest[place] = members
        else:
            found.append(same)
    if any("inBundle" in members for members in rest.values() if isinstance(members, dict)):
        return None
    rest.lines = dict.fromkeys(rest, 1)
    try:
        tree = npm_entries.from_packages(rest, current.path)
        found += npm.dependencies_of(tree, current.path, npmrc.Npmrc(), NO_REGISTRIES)
    except LockfileError:
        return None  # reading it wholly says what is wrong, and where
    return current._replace(dependencies=tuple(_with_scopes(found)), facts=())


def _ordinary(dependencies: Iterable[Dependency]) -> Mapping[_Label, Dependency]:
    """Packages of the public registry that have no more to say, by name, version and digests."""
    return {
        (one.name, one.version, one.integrity): one
        for one in dependencies
        if one.kind is Kind.REGISTRY and one.version is not None and one.integrity and not one.facts
    }


def _same(place: str, members: object, other: object, ordinary: Mapping[_Label, Dependency]) -> Dependency | None:
    if members != other or not isinstance(members, dict) or not is_public(place, members):
        return None
    if "link" in members or "inBundle" in members:
        return None
    label = npm_entries.holder(place)[1], members["version"], integrity.from_sri(members["integrity"])
    one = ordinary.get(label)
    return one and _scoped(one, npm_entries.scope_of(members))


def _with_scopes(found: list[Dependency]) -> Iterable[Dependency]:
    """One scope a package, as in a whole reading."""
    scopes: dict[tuple[str, str | None], Scope] = {}
    for one in found:
        label = one.name, one.version
        if label not in scopes or _RANK[one.scope] > _RANK[scopes[label]]:
            scopes[label] = one.scope
    return (_scoped(one, scopes[one.name, one.version]) for one in found)


def _scoped(one: Dependency, scope: Scope) -> Dependency:
    return one if one.scope is scope else one._replace(scope=scope)
