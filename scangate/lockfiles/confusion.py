"""Dependency confusion across lockfiles: a name that is private in one place must not be public in another."""

from collections.abc import Sequence

from scangate.models.lockfile import Dependency, Ecosystem, Kind, LockFact, Lockfile

CHECK = "confusion"

_Name = tuple[Ecosystem, str]


def tie_private_names(lockfiles: Sequence[Lockfile]) -> tuple[Lockfile, ...]:
    """The lockfiles, with every entry marked whose name another entry takes from a private registry.

    A name is tied by an entry that comes from a private registry on a host that is known (not by one that is itself
    confused). Where it turns up from the public registry or from a URL, that entry gets the fact "confusion", and is
    a private package from then on: without a purl, so that the name is sent nowhere.
    """
    owners: dict[_Name, Dependency] = {}
    for lockfile in lockfiles:
        for one in lockfile.dependencies:
            if one.kind is Kind.PRIVATE_REGISTRY and one.registry is not None and not _is_confused(one):
                owners.setdefault((one.ecosystem, one.name), one)
    if not owners:
        return tuple(lockfiles)
    return tuple(
        lockfile._replace(dependencies=tuple(_tied(one, owners) for one in lockfile.dependencies))
        for lockfile in lockfiles
    )


def _tied(one: Dependency, owners: dict[_Name, Dependency]) -> Dependency:
    owner = owners.get((one.ecosystem, one.name))
    if owner is None or one.kind not in (Kind.REGISTRY, Kind.URL) or _is_confused(one):
        return one
    detail = (
        f"{one.name} belongs to {owner.registry} ({owner.lockfile}:{owner.line}), "
        f"and comes from {one.registry or 'elsewhere'}."
    )
    fact = LockFact(check=CHECK, detail=detail, line=one.line)
    return one._replace(kind=Kind.PRIVATE_REGISTRY, purl=None, facts=(*one.facts, fact))


def _is_confused(one: Dependency) -> bool:
    return any(fact.check == CHECK for fact in one.facts)
