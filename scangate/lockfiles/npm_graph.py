"""Who needs whom in a tree of node_modules: relation, and one shortest path to every entry."""

from collections import deque
from collections.abc import Sequence

from scangate.lockfiles.npm_entries import Entry, Tree, holder
from scangate.models import Relation

_Children = dict[str, int]

Trace = tuple[Relation, tuple[str, ...]]
"""How an entry came in: the relation, and the path, empty where nothing that is known needs the entry."""

_UNKNOWN: Trace = (Relation.UNKNOWN, ())


class _Places:
    """node's own resolution: the nearest node_modules upward that has the name."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.index = {entry.location: i for i, entry in enumerate(entries)}
        self.children: dict[str, _Children] = {}
        for i, entry in enumerate(entries):
            if entry.folder:
                self.children.setdefault(entry.place, {})[entry.folder] = i
        self._visible: dict[str, tuple[_Children, ...]] = {}

    def visible(self, entry: Entry) -> tuple[_Children, ...]:
        """The node_modules that the entry's modules see, nearest first."""
        own = self.children.get(entry.location)
        above = self._above(entry.place if entry.folder else entry.place.rpartition("/")[0])
        return above if own is None or not entry.location else (own, *above)

    def _above(self, place: str) -> tuple[_Children, ...]:
        known = self._visible.get(place)
        if known is None:
            own = self.children.get(place)
            outer, folder = holder(place)
            if not folder:
                outer = place.rpartition("/")[0]
            # What lies outside the project does not see the project's node_modules.
            above = self._above(outer) if place not in ("", "..") else ()
            known = self._visible[place] = above if own is None else (own, *above)
        return known


def trace(tree: Tree, labels: Sequence[str]) -> list[Trace]:
    """Relation and path of each of the tree's entries; `labels` are their "name@version", as paths show them."""
    entries = tree.entries
    places = _Places(entries)
    found = [_UNKNOWN] * len(entries)
    queue: deque[int] = deque()

    def reach(needy: Entry, relation: Relation, path: tuple[str, ...]) -> None:
        visible = places.visible(needy)
        for names in needy.needs:
            for name in names:
                for children in visible:
                    i = children.get(name)
                    if i is not None:
                        if found[i] is _UNKNOWN and not entries[i].own:
                            found[i] = (relation, (*path, labels[i]))
                            queue.append(i)
                        break

    for root in tree.roots:
        reach(entries[places.index[root]], Relation.DIRECT, ())
    while queue:
        i = queue.popleft()
        entry = entries[i]
        if entry.target is not None:
            target = places.index.get(entry.target)
            entry = entry if target is None else entries[target]
        if entry.needs:
            reach(entry, Relation.TRANSITIVE, found[i][1])
    return found
