"""The base's entries, and what makes a current entry another one than those."""

import re
from collections.abc import Collection, Iterable

from scangate.changes.versions import direction
from scangate.digests import is_conflict, shown
from scangate.models.changes import ChangeKind
from scangate.models.lockfile import Dependency, Kind, LockFact, Lockfile

INTEGRITY_CHANGED = "integrity-changed"
"""The check of the fact that a package has other content than in the base."""

NO_INTEGRITY = "no-integrity"
"""The check of the fact that an entry has no digest."""

_LOCATED = frozenset({Kind.GIT, Kind.URL, Kind.FILE, Kind.LOCAL})
"""What comes from its source, whatever version that has: npm 6 does not write it down, npm 7 does."""
_PLACE = re.compile(r"^.*?:\d+: ")

Identity = str | tuple[str, ...]


def identity(dependency: Dependency) -> Identity:
    """What makes two entries the same package: the purl, else kind, name and source, and of an index the version."""
    if dependency.purl is not None:
        return dependency.purl
    source = "" if dependency.source is None else f"={dependency.source}"
    is_located = bool(source) and dependency.kind in _LOCATED
    version = "" if is_located or dependency.version is None else f"={dependency.version}"
    return dependency.kind, dependency.ecosystem, dependency.name, version, source


class Known:
    """The base's entries, by identity, and by name. `moved`: places of the project with other content than there."""

    def __init__(self, base: Iterable[Lockfile], moved: Collection[str] = ()) -> None:
        self.entries: dict[Identity, list[Dependency]] = {}
        self.names: dict[tuple[str, str], list[Dependency]] = {}
        self._digests: dict[Identity, set[str]] = {}
        self._bare: dict[Identity, set[tuple[str | None, str | None]]] = {}
        """The exact places of those that stand somewhere without a digest: nothing else says that the content is the
        same. Of repositories all, for their content is not what a digest beside them is checked against."""
        self._moved = frozenset(moved)
        for lockfile in base:
            for one in lockfile.dependencies:
                key = identity(one)
                self.entries.setdefault(key, []).append(one)
                self.names.setdefault(name_of(one), []).append(one)
                self._digests.setdefault(key, set()).update(one.integrity)
                if not _is_held(one):
                    self._bare.setdefault(key, set()).add(_place(one))

    def change(self, one: Dependency) -> ChangeKind | None:
        """Why the entry is new; None where it is not. ADDED stands for: the base has no such package."""
        key = identity(one)
        there = self.entries.get(key)
        if there is None:
            return ChangeKind.ADDED
        before = there if one.purl is not None else [other for other in there if _may_be_one_version(one, other)]
        if not before:
            return direction(one.ecosystem, there[0].version, one.version)
        if not self._has_digests(key, one.integrity):
            is_other = is_conflict(one.integrity, (other.integrity for other in before))
            return ChangeKind.INTEGRITY if is_other else ChangeKind.DIGESTS
        if not _is_held(one) and _place(one) not in self._bare.get(key, ()):
            return ChangeKind.SOURCE
        if not self._moved.isdisjoint(one.places):
            return ChangeKind.DIGESTS
        if not _is_held(one) and not set(one.places) <= set().union(*(other.places for other in before)):
            return ChangeKind.SOURCE
        if one.facts and not facts_of(one.facts) <= set().union(*(facts_of(other.facts) for other in before)):
            return ChangeKind.FACTS
        return None

    def marked(self, kind: ChangeKind, one: Dependency) -> Dependency:
        """The entry; with the fact that its digests are in conflict with the base's, where they are."""
        if kind is not ChangeKind.INTEGRITY:
            return one
        before = next(other for other in self.entries[identity(one)] if is_conflict(one.integrity, [other.integrity]))
        label = one.name if one.version is None else f"{one.name}@{one.version}"
        detail = (
            f"{label} is {shown(one.integrity)} here, and was {shown(before.integrity)} in "
            f"{before.lockfile}: other content under the same version."
        )
        fact = LockFact(check=INTEGRITY_CHANGED, detail=detail, line=one.line)
        return one._replace(facts=(*one.facts, fact))

    def _has_digests(self, key: Identity, integrity: tuple[str, ...]) -> bool:
        return self._digests[key].issuperset(integrity) if integrity else key in self._bare


def _is_held(one: Dependency) -> bool:
    """Whether a digest says that another place has the same content: anybody makes two contents with one MD5."""
    return one.kind is not Kind.GIT and any(not digest.startswith("md5:") for digest in one.integrity)


def _may_be_one_version(one: Dependency, other: Dependency) -> bool:
    return one.version == other.version or one.version is None or other.version is None


def _place(one: Dependency) -> tuple[str | None, str | None]:
    return one.source, one.source_id


def stripped(lockfile: Lockfile, before: Lockfile | None) -> frozenset[Identity]:
    """What this lockfile had digests of, at every place of it, and now has without any at some.

    That another lockfile of the base never had them says nothing about this one.
    """
    bare = {identity(one) for one in lockfile.dependencies if not one.integrity}
    if not bare or before is None:
        return frozenset()
    held, open_ = ({identity(one) for one in before.dependencies if _is_held(one) is way} for way in (True, False))
    return frozenset(bare & held - open_)


def with_gap(one: Dependency, lockfile: Lockfile) -> Dependency:
    """The entry with the fact that its digests are gone, unless that is said already."""
    if any(fact.check == NO_INTEGRITY for fact in (*one.facts, *lockfile.facts)):
        return one
    detail = f"{one.name} has no integrity digest here, and had one in the base: nothing holds its source to that."
    return one._replace(facts=(*one.facts, LockFact(check=NO_INTEGRITY, detail=detail, line=one.line)))


def facts_of(facts: Iterable[LockFact]) -> set[tuple[str, str]]:
    """What facts say, and of what: a fact is known where all of it is."""
    # Details may begin with the place, "file:line: ", and an entry that only moved has nothing new to say.
    return {(fact.check, what) for fact in facts for what in fact.about or (_PLACE.sub("", fact.detail, count=1),)}


def name_of(dependency: Dependency) -> tuple[str, str]:
    return dependency.ecosystem, dependency.name
