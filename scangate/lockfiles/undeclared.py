"""Registries that only the project's own configuration names: one line there must not end the analysis of packages."""

from collections.abc import Iterator, Sequence

from scangate.models.lockfile import Dependency, Kind, LockFact, Lockfile
from scangate.registries import Registries

CHECK = "undeclared-registry"


def flag_registries(lockfiles: Sequence[Lockfile], registries: Registries) -> tuple[Lockfile, ...]:
    """The lockfiles, each with one fact for every registry host that scangate.yml does not name.

    Packages of a private registry are not analysed. A .npmrc, an index option or a poetry source may be part of the
    very change that is checked: that it names a registry is not enough to let what comes from there pass.
    """
    known = {entry.host for entry in registries.private}
    return tuple(one._replace(facts=(*one.facts, *_facts(one, known, registries))) for one in lockfiles)


def _facts(lockfile: Lockfile, known: set[str], registries: Registries) -> Iterator[LockFact]:
    first: dict[str | None, Dependency] = {}
    count: dict[str | None, int] = {}
    for one in lockfile.dependencies:
        if one.kind is Kind.PRIVATE_REGISTRY and one.registry not in known and registries.owner(one.name) is None:
            first.setdefault(one.registry, one)
            count[one.registry] = count.get(one.registry, 0) + 1
    for host, one in first.items():
        detail = (
            f"{count[host]} packages come from {host or 'a registry that cannot be told'}, which only the project's own"
            f" configuration names; the first is {one.name}."
        )
        yield LockFact(check=CHECK, detail=detail, line=one.line)
