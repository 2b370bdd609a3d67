"""What is new: entries that no lockfile of the base has, and what became of those that it has. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from scangate.changes.deletion import deleted, without_place
from scangate.changes.known import Identity, Known, facts_of, identity, name_of, stripped, with_gap
from scangate.changes.versions import direction
from scangate.models.changes import Change, ChangeKind, Compared, Selection
from scangate.models.lockfile import Dependency, Kind, LockFact, Lockfile, Scope

_WEIGHT = {Scope.PROD: 2, Scope.OPTIONAL: 1, Scope.DEV: 0}


def select_new(
    current: Sequence[Lockfile],
    base: Sequence[Lockfile],
    *,
    renames: Mapping[str, str] | None = None,
    same: Collection[str] = (),
    moved: Collection[str] = (),
    left: Collection[str] = (),
    there: Collection[str] = (),
    asked: Mapping[str, Collection[str]] | None = None,
    compared: Compared | None = None,
) -> Selection:
    """What `current` has that `base` has not.

    `renames` says which current path was which one of the base, `same` which paths have the same file in both,
    `moved` which places of the project have other content: what may be installed from one of them is new;
    `left` the paths of the base's whose project (`manifests`) is still where they were, `there` those that are not
    read now and that nobody has deleted. `asked` has, of paths of the base's, the names of all packages that their
    project asks for now, where they are known.

    New is an entry whose purl (or kind, name and source or version) with these digests is in no lockfile of the base.
    Digests that the base does not have, in part or at all, and a fact that it does not show, make an entry new
    as well. Nothing is dropped silently: a current entry is in the selection, or the base has it.
    """
    known = Known(base, moved)
    was = {lockfile.path: lockfile for lockfile in base}
    rest = [one for one in base if one.path not in there]
    moved_from = {*(renames or {}).values()}
    lost = [one for one in without_place(current, rest) if one.path not in moved_from]
    changes: list[Change] = []
    selected: list[Lockfile] = []
    for lockfile in current:
        before = was.get((renames or {}).get(lockfile.path, lockfile.path))
        found = list(_found(lockfile, before or _left_behind(lockfile, lost), known))
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
        deleted=deleted(current, rest, renames or {}, left, asked or {}),
        changes=tuple(sorted(changes, key=_order)),
        compared=compared,
    )


def _found(lockfile: Lockfile, before: Lockfile | None, known: Known) -> Iterator[tuple[ChangeKind, Dependency]]:
    bare = stripped(lockfile, before)
    for one in lockfile.dependencies:
        kind = known.change(one)
        if bare and not one.integrity and identity(one) in bare:
            yield kind or ChangeKind.DIGESTS, with_gap(one, lockfile)
        elif kind is not None:
            yield kind, known.marked(kind, one)


def _left_behind(lockfile: Lockfile, lost: Iterable[Lockfile]) -> Lockfile:
    """What one that came may have been: all of its format that is gone."""
    entries = (one for other in lost if other.format == lockfile.format for one in other.dependencies)
    return lockfile._replace(dependencies=tuple(entries))


def _order(change: Change) -> tuple[str, int, str, str]:
    entry = change.dependency
    return entry.lockfile, entry.line, entry.name, change.kind


class _Pairs:
    """The entries of one lockfile beside those that its earlier state had and it no longer has."""

    def __init__(self, lockfile: Lockfile, before: Lockfile | None) -> None:
        stays = {identity(one) for one in lockfile.dependencies}
        self._gone: dict[tuple[str, str], list[Dependency]] = {}
        self._was: dict[Identity, Dependency] = {}
        for one in before.dependencies if before is not None else ():
            self._was.setdefault(identity(one), one)
            if identity(one) not in stays:
                self._gone.setdefault(name_of(one), []).append(one)

    def label(self, kind: ChangeKind, one: Dependency, known: Known) -> Change:
        """The change with its name, and the entry that it comes from."""
        if kind is not ChangeKind.ADDED:
            before = self._was.get(identity(one)) or known.entries[identity(one)][0]
            return Change(kind=kind, dependency=one, before=before)
        same_version = [other for other in known.names.get(name_of(one), ()) if other.version == one.version]
        gone = self._gone.get(name_of(one), [])
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


def _scope_changes(current: Iterable[Lockfile], known: Known) -> list[Change]:
    widest: dict[Identity, Dependency] = {}
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
    known = facts_of(before.facts) if before is not None else set()
    return tuple(fact for fact in lockfile.facts if not facts_of([fact]) <= known)
