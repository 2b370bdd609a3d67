"""pip-compile's and uv's "# via" comments: which package brings in which."""

import re
from collections import deque
from collections.abc import Iterable, Mapping

from scangate.models.lockfile import Relation
from scangate.purls import normalise_pypi_name

MAX_PATH = 100
"""Longer chains are left out: no real graph has them, and each entry holds its own."""

_VIA = re.compile(r"\s*via(?=\s|\Z)")
_NAME = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?:\[[^\]]*\])?\Z")


class ViaReader:
    """Fed with every comment in file order, tells which items it adds to the entry above it (or on its line)."""

    def __init__(self) -> None:
        self._in_list = False

    def items(self, comment: str, *, beside_entry: bool) -> tuple[str, ...]:
        """The items of one comment: "# via a, b", or a line of the list below "# via"."""
        started = _VIA.match(comment)
        if started is not None:
            self._in_list = True
            return tuple(item.strip() for item in comment[started.end() :].split(",") if item.strip())
        self._in_list = self._in_list and not beside_entry and comment.startswith("  ")
        return (comment.strip(),) if self._in_list else ()


def relation(items: Iterable[str]) -> tuple[Relation | None, tuple[str, ...]]:
    """What the items say: the relation (None: nothing), and the names that the entry is brought in by.

    "-r file", "-e path" and "project (pyproject.toml)" mean a direct dependency; "-c file" brings nothing in.
    """
    parents: list[str] = []
    direct = False
    for item in items:
        if item.startswith(("-r", "-e")) or item.endswith(")"):
            direct = True
        elif not item.startswith("-c") and (name := _NAME.match(item)):
            parents.append(normalise_pypi_name(name[1]))
    if direct:
        return Relation.DIRECT, tuple(parents)
    return (Relation.TRANSITIVE if parents else None), tuple(parents)


def shortest_paths(
    direct: Iterable[str], parents: Mapping[str, Iterable[str]], labels: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """For each name that can be reached, one shortest chain of labels from a direct name to it, both included."""
    children: dict[str, list[str]] = {}
    for name, above in parents.items():
        for parent in above:
            children.setdefault(parent, []).append(name)
    paths: dict[str, tuple[str, ...]] = {name: (labels[name],) for name in direct}
    queue = deque(paths)
    while queue:
        name = queue.popleft()
        if len(paths[name]) == MAX_PATH:
            continue
        for child in children.get(name, ()):
            if child not in paths:
                paths[child] = (*paths[name], labels[child])
                queue.append(child)
    return paths
