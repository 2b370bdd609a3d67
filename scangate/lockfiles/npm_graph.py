"""Who needs whom in a tree of node_modules: relation, and one shortest path to every entry."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scangate.lockfiles.npm_entries import Entry, Tree, holder
from scangate.models import Relation

_Children = dict[str, int]


@dataclass(frozen=True, slots=True)
class Trace:
    """How an entry came in. `path` is empty where nothing that is known needs it."""

    relation: Relation
    path: tuple[str, ...] = ()


_UNKNOWN = Trace(Relation.UNKNOWN)


class _Places:
    """node's own resolution: the nearest node_modules upward that has the name."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.index = {entry.location: i for i, entry in enumerate(entries)}
        self.children: dict[str, _Children] = {}
        for i, entry in enumerate(entries):
            place, name = holder(entry.location)
            if name:
                self.children.setdefault(place, {})[name] = i
        self._visible: dict[str, tuple[_Children, ...]] = {}

    def visible(self, place: str) -> tuple[_Children, ...]:
        """The node_modules that a module at `place` sees, nearest first."""
        known = self._visible.get(place)
        if known is not None:
            return known
        own = self.children.get(place)
        above: tuple[_Children, ...] = ()
        if place:
            outer, name = holder(place)
            if not name:
                outer = place.rpartition("/")[0]
            # What lies outside the project does not see the project's node_modules.
            above = () if place == ".." or (not outer and place.startswith("../")) else self.visible(outer)
        found = above if own is None else (own, *above)
        self._visible[place] = found
        return found


def trace(tree: Tree, labels: Sequence[str]) -> list[Trace]:
    """Relation and path of each of the tree's entries; `labels` are their "name@version", as paths show them."""
    entries = tree.entries
    places = _Places(entries)
    found: list[Trace | None] = [None] * len(entries)
    queue: deque[tuple[int, tuple[str, ...]]] = deque()
    for root in tree.roots:
        for i in _needed(entries[places.index[root]], places):
            if found[i] is None and not entries[i].own:
                path: tuple[str, ...] = (labels[i],)
                found[i] = Trace(Relation.DIRECT, path)
                queue.append((i, path))
    while queue:
        i, path = queue.popleft()
        entry = entries[i]
        target = entry if entry.target is None else _target(entry.target, places, entries)
        if target is None or not target.needs:
            continue
        for j in _needed(target, places):
            if found[j] is None:
                longer = (*path, labels[j])
                found[j] = Trace(Relation.TRANSITIVE, longer)
                queue.append((j, longer))
    return [_UNKNOWN if one is None else one for one in found]


def _needed(entry: Entry, places: _Places) -> Iterator[int]:
    visible = places.visible(entry.location)
    for names in entry.needs:
        for name in names:
            for children in visible:
                i = children.get(name)
                if i is not None:
                    yield i
                    break


def _target(location: str, places: _Places, entries: Sequence[Entry]) -> Entry | None:
    i = places.index.get(location)
    return None if i is None else entries[i]
