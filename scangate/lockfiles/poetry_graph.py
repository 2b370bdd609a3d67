"""Who brings a package of a poetry.lock in: reachability and shortest paths from the project's own requirements."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from scangate.lockfiles.poetry_project import Requirement
from scangate.models.lockfile import Scope

MAX_PATH = 100
"""Packages in one path. A longer one is left out: no real tree is so deep, and a made-up one must not fill memory."""

_MAX_COMPARED = 20
"""Versions of one name up to which constraints tell them apart; with more, a requirement means all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One locked package. `extras` are the requirements that each of its extras adds."""

    name: str
    version: str
    requires: tuple[Requirement, ...] = ()
    extras: Mapping[str, tuple[Requirement, ...]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """What the graph says of one package. `scope` is the strongest of those that reach it."""

    direct: bool
    scope: Scope
    path: tuple[str, ...]


def reach(nodes: Sequence[Node], roots: Iterable[Requirement]) -> list[Reached | None]:
    """For each node: how the roots reach it; None where they do not."""
    by_name: dict[str, list[int]] = {}
    for index, node in enumerate(nodes):
        by_name.setdefault(node.name, []).append(index)
    roots = sorted(roots, key=lambda root: (root.name, root.constraint, root.extras))
    graph = _Graph(nodes, by_name)
    parents = graph.search(roots)
    scopes: list[Scope | None] = [None] * len(nodes)
    for strongest in (Scope.PROD, Scope.OPTIONAL, Scope.DEV):
        for index in graph.search([root for root in roots if root.scope is strongest]):
            scopes[index] = scopes[index] or strongest
    return [
        None if scope is None else Reached(direct=parents[index] is None, scope=scope, path=graph.path(index, parents))
        for index, scope in enumerate(scopes)
    ]


@dataclass(frozen=True, slots=True)
class _Graph:
    nodes: Sequence[Node]
    by_name: Mapping[str, list[int]]

    def search(self, roots: Iterable[Requirement]) -> dict[int, int | None]:
        """Breadth first: every package reached, with the package that brought it in (None: a root).

        An extra's requirements count only where something asks for that extra: (package, extra) is visited too.
        """
        parents: dict[int, int | None] = {}
        seen: set[tuple[int, str]] = set()
        expanded: set[tuple[str, str, tuple[str, ...]]] = set()
        queue: deque[tuple[Iterable[Requirement], int | None]] = deque([(roots, None)])
        while queue:
            wanted, parent = queue.popleft()
            for requirement in wanted:
                indexes = self.by_name.get(requirement.name, [])
                constraint = requirement.constraint if 1 < len(indexes) <= _MAX_COMPARED else "*"
                key = (requirement.name, constraint, requirement.extras)
                if key in expanded:
                    continue
                expanded.add(key)
                for index in self._admitted(indexes, constraint):
                    parents.setdefault(index, parent)
                    node = self.nodes[index]
                    for extra in ("", *requirement.extras):
                        if (index, extra) not in seen:
                            seen.add((index, extra))
                            queue.append((node.extras.get(extra, ()) if extra else node.requires, index))
        return parents

    def path(self, index: int, parents: Mapping[int, int | None]) -> tuple[str, ...]:
        chain: list[str] = []
        step: int | None = index
        while step is not None:
            if len(chain) == MAX_PATH:
                return ()
            chain.append(self.nodes[step].label)
            step = parents[step]
        return tuple(reversed(chain))

    def _admitted(self, indexes: Sequence[int], constraint: str) -> Sequence[int]:
        if constraint == "*":
            return indexes
        return [i for i in indexes if _admits(constraint, self.nodes[i].version)] or indexes


def _admits(constraint: str, version: str) -> bool:
    """Whether a constraint of poetry's admits a version; True where it is written in a way that we do not know."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.version import InvalidVersion

    try:
        return any(
            SpecifierSet(_as_specifiers(alternative)).contains(version, prereleases=True)
            for alternative in constraint.split("||")
        )
    except (InvalidSpecifier, InvalidVersion):
        return True


def _as_specifiers(alternative: str) -> str:
    """PEP 440 for poetry's bare "1.2" and "*"; its "^1.2" and "~1.2" stay as they are, and are unknown."""
    parts = [part.strip() for part in alternative.split(",")]
    return ",".join(f"=={part}" if part[:1].isdigit() else part for part in parts if part not in ("", "*"))
