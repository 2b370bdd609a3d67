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
    found: dict[str | None, list[Dependency]] = {}
    for one in lockfile.dependencies:
        if one.kind is Kind.PRIVATE_REGISTRY and one.registry not in known and registries.owner(one.name) is None:
            found.setdefault(one.registry, []).append(one)
    for host, some in found.items():
        packages = "1 package comes" if len(some) == 1 else f"{len(some)} packages come"
        detail = (
            f"{packages} from {host or 'a registry that cannot be told'}, which only the project's own configuration"
            f" names; the first is {some[0].name}."
        )
        about = tuple(f"{host} {_unheld_place(one)} {one.name}" for one in some)
        yield LockFact(check=CHECK, detail=detail, line=some[0].line, about=about)


def _unheld_place(one: Dependency) -> str:
    """Which index of the host it is, where no digest holds that one to what was locked."""
    return "" if one.integrity else one.source_id or ""
