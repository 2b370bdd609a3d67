"""Who needs whom in a tree of node_modules: one shortest path to every entry."""

from collections.abc import Mapping, Sequence

from scangate.lockfiles.npm_entries import Entry, Tree, holder

MAX_PATH = 100
"""Packages on a shortest path. Real ones stay below 30; a chain written to be long would fill the memory with paths."""

_Children = dict[str, int]


class TooDeepError(Exception):
    """More than MAX_PATH packages lead to `entry`."""

    def __init__(self, entry: Entry) -> None:
        super().__init__()
        self.entry = entry


class _Places:
    """node's own resolution: the nearest node_modules upward that has the name."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.children: dict[str, _Children] = {}
        self._visible: dict[str, tuple[_Children, ...]] = {}
        children = self.children
        for i, entry in enumerate(entries):
            if entry.folder:
                if entry.place not in children:
                    children[entry.place] = {}
                children[entry.place][entry.folder] = i

    def visible(self, place: str) -> tuple[_Children, ...]:
        """The node_modules that a module at `place` sees, nearest first."""
        known = self._visible.get(place)
        if known is None:
            found = []
            here = place
            # What lies outside the project ("../x") does not see the project's node_modules.
            while here not in ("", ".."):
                found.append(self.children.get(here))
                outer, folder = holder(here)
                here = outer if folder else here.rpartition("/")[0]
            found.append(self.children.get(here))
            known = self._visible[place] = tuple(children for children in found if children)
        return known


def shortest_paths(tree: Tree, labels: Sequence[str], at: Mapping[str, Entry]) -> list[tuple[str, ...]]:
    """For each of the tree's entries, one shortest path from a direct dependency to it; empty where none leads there.

    `labels` are the entries' "name@version", as paths show them. Breadth first from all direct dependencies at once,
    in the file's order: so the first path that reaches an entry is a shortest one. Raises TooDeepError.
    """
    entries = tree.entries
    places = _Places(entries)
    paths: list[tuple[str, ...] | None] = [() if entry.own else None for entry in entries]
    order: list[int] = []

    def reach(needy: Entry, path: tuple[str, ...]) -> None:
        # Without modules of its own, a package sees what its neighbours see.
        visible = places.visible(needy.location if needy.location in places.children else needy.place)
        for names in needy.needs:
            for name in names:
                for children in visible:
                    if name in children:
                        i = children[name]
                        if paths[i] is None:
                            if len(path) == MAX_PATH:
                                raise TooDeepError(entries[i])
                            paths[i] = (*path, labels[i])
                            order.append(i)
                        break

    for root in tree.roots:
        reach(at[root], ())
    for i in order:  # which grows meanwhile
        entry = entries[i]
        if entry.target is not None:
            entry = at.get(entry.target, entry)
        if entry.needs:
            reach(entry, paths[i] or ())
    return [path or () for path in paths]
