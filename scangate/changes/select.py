"""What is new: entries that no lockfile of the base has, and what became of those that it has. Pure."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from scangate.changes.versions import direction
from scangate.digests import is_conflict, shown
from scangate.models.changes import Change, ChangeKind, Compared, Selection
from scangate.models.lockfile import Dependency, Kind, LockFact, Lockfile, Scope

DELETED = "deleted"
"""The check of the fact that a lockfile is gone (rule `lock-deleted`)."""

INTEGRITY_CHANGED = "integrity-changed"
"""The check of the fact that a package has other content than in the base."""

_JAVASCRIPT = frozenset({"npm-package-lock", "yarn-lock", "pnpm-lock", "bun-lock", "bun-lock-binary"})
_MANIFESTS = {
    "poetry-lock": ("pyproject.toml",),
    "uv-lock": ("pyproject.toml",),
    "pdm-lock": ("pyproject.toml",),
    "pipenv-lock": ("Pipfile",),
}
_WEIGHT = {Scope.PROD: 2, Scope.OPTIONAL: 1, Scope.DEV: 0}
_ARCHIVE = re.compile(r"\.(?:whl|egg|zip|t[a-z]+z2?|tar)\b|\.(?:gz|bz2|xz|lzma)\b")
_PLACE = re.compile(r"^.*?:\d+: ")

_Identity = str | tuple[str, ...]


def select_new(
    current: Sequence[Lockfile],
    base: Sequence[Lockfile],
    *,
    renames: Mapping[str, str] | None = None,
    same: Collection[str] = (),
    archives: Collection[str] = (),
    left: Collection[str] = (),
    compared: Compared | None = None,
) -> Selection:
    """What `current` has that `base` has not.

    `renames` says which current path was which one of the base, `same` which paths have the same file in both,
    `archives` the names of those files of the project that differ: what may be installed from one of them is new;
    `left` the paths of the base's whose project (`manifests`) is still where they were.

    New is an entry whose purl (or kind, name, version and source) with these digests is in no lockfile of the base.
    Digests that the base does not have, in part or at all, and a fact that it does not show, make an entry new
    as well. Nothing is dropped silently: a current entry is in the selection, or the base has it.
    """
    known = _Known.of(base, archives)
    was = {lockfile.path: lockfile for lockfile in base}
    changes: list[Change] = []
    selected: list[Lockfile] = []
    for lockfile in current:
        before = was.get((renames or {}).get(lockfile.path, lockfile.path))
        found = [(kind, known.marked(kind, one)) for one in lockfile.dependencies if (kind := known.change(one))]
        new = [one for _, one in found]
        pairs = _Pairs(lockfile, before if found else None)
        changes += _once(pairs.label(kind, one, known) for kind, one in found)
        facts = _new_facts(lockfile, before)
        selected.append(
            lockfile._replace(dependencies=tuple(new), facts=facts, unchanged=lockfile.path in same and not new)
        )
    changes += _scope_changes(current, known)
    return Selection(
        lockfiles=tuple(selected),
        deleted=_deleted(current, base, renames or {}, left),
        changes=tuple(sorted(changes, key=_order)),
        compared=compared,
    )


def _order(change: Change) -> tuple[str, int, str, str]:
    entry = change.dependency
    return entry.lockfile, entry.line, entry.name, change.kind


def identity(dependency: Dependency) -> _Identity:
    """What makes two entries the same package: the purl, else kind, name, version and source."""
    if dependency.purl is not None:
        return dependency.purl
    source = "" if dependency.source is None else f"={dependency.source}"
    version = "" if dependency.version is None else f"={dependency.version}"
    return dependency.kind, dependency.ecosystem, dependency.name, version, source


@dataclass(frozen=True, slots=True)
class _Known:
    """The base's entries, by identity, and by name."""

    entries: dict[_Identity, list[Dependency]] = field(default_factory=dict)
    digests: dict[_Identity, set[str]] = field(default_factory=dict)
    bare: dict[_Identity, set[str | None]] = field(default_factory=dict)
    """The sources of those that stand somewhere without any digest."""
    names: dict[tuple[str, str], list[Dependency]] = field(default_factory=dict)
    archives: Collection[str] = ()

    @classmethod
    def of(cls, base: Iterable[Lockfile], archives: Collection[str] = ()) -> "_Known":
        known = cls(archives=archives)
        for lockfile in base:
            for one in lockfile.dependencies:
                key = identity(one)
                known.entries.setdefault(key, []).append(one)
                known.names.setdefault(_name(one), []).append(one)
                known.digests.setdefault(key, set()).update(one.integrity)
                if not one.integrity:
                    known.bare.setdefault(key, set()).add(one.source)
        return known

    def change(self, one: Dependency) -> ChangeKind | None:
        """Why the entry is new; None where it is not. ADDED stands for: the base has no such package."""
        key = identity(one)
        before = self.entries.get(key)
        if before is None:
            return ChangeKind.ADDED
        if not self._has_digests(key, one.integrity):
            is_other = is_conflict(one.integrity, (other.integrity for other in before))
            return ChangeKind.INTEGRITY if is_other else ChangeKind.DIGESTS
        if not one.integrity and one.source not in self.bare[key]:
            return ChangeKind.SOURCE  # no digest says that another place has the same content
        if one.kind is Kind.FILE and self._may_be_other(one):
            return ChangeKind.DIGESTS
        if one.facts and not _facts(one.facts) <= {fact for other in before for fact in _facts(other.facts)}:
            return ChangeKind.FACTS
        return None

    def marked(self, kind: ChangeKind, one: Dependency) -> Dependency:
        """The entry; with the fact that its digests are in conflict with the base's, where they are."""
        if kind is not ChangeKind.INTEGRITY:
            return one
        before = next(other for other in self.entries[identity(one)] if is_conflict(one.integrity, [other.integrity]))
        detail = (
            f"{one.name}@{one.version} is {shown(one.integrity)} here, and was {shown(before.integrity)} in "
            f"{before.lockfile}: other content under the same version."
        )
        fact = LockFact(check=INTEGRITY_CHANGED, detail=detail, line=one.line)
        return one._replace(facts=(*one.facts, fact))

    def _may_be_other(self, one: Dependency) -> bool:
        """Whether its archive is among those that differ; where it names none (--find-links), it may be any."""
        source = unquote(one.source or "").lower()
        return any(name.lower() in source for name in self.archives) or (
            bool(self.archives) and _ARCHIVE.search(source) is None
        )

    def _has_digests(self, key: _Identity, integrity: tuple[str, ...]) -> bool:
        return self.digests[key].issuperset(integrity) if integrity else key in self.bare


class _Pairs:
    """The entries of one lockfile beside those that its earlier state had and it no longer has."""

    def __init__(self, lockfile: Lockfile, before: Lockfile | None) -> None:
        stays = {identity(one) for one in lockfile.dependencies}
        self._gone: dict[tuple[str, str], list[Dependency]] = {}
        self._was: dict[_Identity, Dependency] = {}
        for one in before.dependencies if before is not None else ():
            self._was.setdefault(identity(one), one)
            if identity(one) not in stays:
                self._gone.setdefault(_name(one), []).append(one)

    def label(self, kind: ChangeKind, one: Dependency, known: _Known) -> Change:
        """The change with its name, and the entry that it comes from."""
        if kind is not ChangeKind.ADDED:
            before = self._was.get(identity(one)) or known.entries[identity(one)][0]
            return Change(kind=kind, dependency=one, before=before)
        same_version = [other for other in known.names.get(_name(one), ()) if other.version == one.version]
        gone = self._gone.get(_name(one), [])
        if any(other.version == one.version for other in gone):
            same_version = [other for other in gone if other.version == one.version]
        if same_version:
            return Change(kind=ChangeKind.SOURCE, dependency=one, before=same_version[0])
        if not gone:
            return Change(kind=ChangeKind.ADDED, dependency=one)
        before = _nearest(one, gone)
        moved = before.kind is not one.kind or (one.kind is not Kind.REGISTRY and before.registry != one.registry)
        label = ChangeKind.SOURCE if moved else direction(one.ecosystem, before.version, one.version)
        return Change(kind=label, dependency=one, before=before)


def _nearest(one: Dependency, gone: Sequence[Dependency]) -> Dependency:
    """The latest of the earlier versions, else the first of the later ones, else any."""
    best = gone[0]
    for other in gone[1:]:
        was, now = (direction(one.ecosystem, each.version, one.version) for each in (best, other))
        between = direction(one.ecosystem, best.version, other.version)
        nearer = ChangeKind.UPGRADED if now is ChangeKind.UPGRADED else ChangeKind.DOWNGRADED
        if (now is was and between is nearer) or (now is ChangeKind.UPGRADED and was is not ChangeKind.UPGRADED):
            best = other
    return best


def _once(changes: Iterable[Change]) -> list[Change]:
    """A package that stands in one lockfile several times with the same digests is one change."""
    found = {
        (change.kind, identity(change.dependency), change.dependency.integrity): change
        for change in sorted(changes, key=_order, reverse=True)
    }
    return list(found.values())


def _scope_changes(current: Iterable[Lockfile], known: _Known) -> list[Change]:
    widest: dict[_Identity, Dependency] = {}
    for lockfile in current:
        for one in lockfile.dependencies:
            key = identity(one)
            if key in known.entries and (key not in widest or _weight(one) > _weight(widest[key])):
                widest[key] = one
    found = ((one, max(known.entries[key], key=_weight)) for key, one in widest.items())
    return [
        Change(kind=ChangeKind.SCOPE, dependency=one, before=before)
        for one, before in found
        if one.scope is not before.scope
    ]


def _weight(dependency: Dependency) -> int:
    return _WEIGHT[dependency.scope]


def _new_facts(lockfile: Lockfile, before: Lockfile | None) -> tuple[LockFact, ...]:
    known = _facts(before.facts) if before is not None else set()
    return tuple(fact for fact in lockfile.facts if _facts([fact]).isdisjoint(known))


def _facts(facts: Iterable[LockFact]) -> set[tuple[str, str]]:
    # Details may begin with the place, "file:line: ", and an entry that only moved has nothing new to say.
    return {(fact.check, _PLACE.sub("", fact.detail, count=1)) for fact in facts}


def _name(dependency: Dependency) -> tuple[str, str]:
    return dependency.ecosystem, dependency.name


# ---------------------------------------------------------------------------------------------- deleted


def manifests(lockfile: Lockfile) -> tuple[str, ...]:
    """The files, in the folder of the lockfile, of the project whose packages it locks; () where there is none."""
    return _MANIFESTS.get(lockfile.format, ("package.json",) if lockfile.format in _JAVASCRIPT else ())


def _deleted(
    current: Sequence[Lockfile], base: Sequence[Lockfile], renames: Mapping[str, str], left: Collection[str]
) -> tuple[Lockfile, ...]:
    here = {lockfile.path for lockfile in current}
    there = {lockfile.path for lockfile in base}
    moved = {renames[path] for path in here if path in renames and _may_lock(path, renames[path], left)}
    added = [lockfile for lockfile in current if lockfile.path not in there and lockfile.path not in renames]
    gone = [lockfile for lockfile in base if lockfile.path not in here and lockfile.path not in moved]
    return tuple(
        _gone(lockfile, current, added, [one for one in added if _may_lock(one.path, lockfile.path, left)])
        for lockfile in sorted(gone, key=lambda one: one.path)
    )


def _may_lock(path: str, gone: str, left: Collection[str]) -> bool:
    """Whether a lockfile there may lock the project of a deleted one: one that stayed has it beside it, or above."""
    folder = path.rpartition("/")[0]
    return gone not in left or folder == "" or gone.startswith(f"{folder}/")


def _gone(
    lockfile: Lockfile, current: Sequence[Lockfile], added: Sequence[Lockfile], elsewhere: Sequence[Lockfile]
) -> Lockfile:
    is_replaced = any(_holds_all(other, lockfile) for other in elsewhere) or any(
        _is_sibling(other, lockfile) and _replaces(other, lockfile, is_added=other in added) for other in current
    )
    detail = "The lockfile was deleted, and nothing in its folder replaces it: what is installed there is open."
    facts = () if is_replaced else (LockFact(check=DELETED, detail=detail),)
    # That nobody could read it is no trouble any more.
    return lockfile._replace(dependencies=(), facts=facts, supported=True)


def _holds_all(other: Lockfile, gone: Lockfile) -> bool:
    """Moved, and not known to git yet: the same format with all that the deleted one had."""
    wanted = {identity(one) for one in gone.dependencies}
    return other.format == gone.format and bool(wanted) and wanted <= {identity(one) for one in other.dependencies}


def _is_sibling(other: Lockfile, gone: Lockfile) -> bool:
    return _folder(other) == _folder(gone) and (other.format in _JAVASCRIPT) == (gone.format in _JAVASCRIPT)


def _replaces(other: Lockfile, gone: Lockfile, *, is_added: bool) -> bool:
    """An added sibling locks something where the deleted one did; one that was there holds all of its packages.

    One that cannot be read yet is reported as such where it is added; where it was there, nobody knows what it holds.
    """
    if not other.supported:
        return is_added
    if is_added:
        return bool(other.dependencies) or not gone.dependencies
    return {_name(one) for one in gone.dependencies} <= {_name(one) for one in other.dependencies}


def _folder(lockfile: Lockfile) -> str:
    return lockfile.path.rpartition("/")[0]
