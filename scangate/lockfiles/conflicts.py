"""Digests that are in conflict with each other, and lockfiles without any."""

from collections.abc import Callable, Collection, Iterable, Sequence

from scangate.digests import is_conflict, shown
from scangate.models.lockfile import Dependency, LockFact, Lockfile

NO_INTEGRITY = "no-integrity"
CONFLICT = "integrity-conflict"
CONFLICT_WITH_CACHE = "integrity-cached-conflict"

MAX_SETS = 20
"""Different sets of digests of one package that are compared with each other; where there are more, all conflict."""

Digests = tuple[str, ...]


def gather_gaps(lockfiles: Sequence[Lockfile]) -> tuple[Lockfile, ...]:
    """The lockfiles; where no entry at all has a digest, that is one fact of the lockfile instead of one an entry."""
    return tuple(map(_gathered, lockfiles))


def _gathered(lockfile: Lockfile) -> Lockfile:
    told = [one for one in lockfile.dependencies if not one.integrity and _has(one, NO_INTEGRITY)]
    if len(told) < 2 or any(one.integrity for one in lockfile.dependencies):
        return lockfile
    detail = f"No entry has an integrity digest ({len(told)} packages): nothing holds a registry to what was locked."
    about = tuple(f"{one.name}@{one.version}" for one in told)
    fact = LockFact(check=NO_INTEGRITY, detail=detail, line=told[0].line, about=about)
    return _mapped(lockfile, _untold)._replace(facts=(*lockfile.facts, fact))


def _untold(one: Dependency) -> Dependency:
    return one._replace(facts=tuple(fact for fact in one.facts if fact.check != NO_INTEGRITY))


def flag_conflicts(lockfiles: Sequence[Lockfile]) -> tuple[Lockfile, ...]:
    """The lockfiles, with all entries marked that are one package by their purls and another one by their digests."""
    sets: dict[str, set[Digests]] = {}
    for lockfile in lockfiles:
        for one in lockfile.dependencies:
            if one.purl is not None and one.integrity:
                sets.setdefault(one.purl, set()).add(one.integrity)
    contested = {purl: found for purl, some in sets.items() if len(some) > 1 and (found := _contested(some))}
    if not contested:
        return tuple(lockfiles)
    places: dict[tuple[str | None, Digests], str] = {
        (one.purl, one.integrity): one.lockfile
        for lockfile in lockfiles
        for one in lockfile.dependencies
        if one.purl in contested
    }

    def flagged(one: Dependency) -> Dependency:
        other = contested.get(one.purl, {}).get(one.integrity) if one.purl is not None else None
        if other is None:
            return one
        detail = (
            f"{one.name}@{one.version} is {shown(one.integrity)} here and {shown(other)} in "
            f"{places[one.purl, other]}: they cannot both be that package."
        )
        return _with(one, CONFLICT, detail)

    return tuple(_mapped(lockfile, flagged) for lockfile in lockfiles)


def _contested(sets: Collection[Digests]) -> dict[Digests, Digests]:
    """Each set that is in conflict with another, and one such other."""
    ordered = sorted(sets)
    some = ordered[:MAX_SETS]
    found = {one: other for one in some for other in some if is_conflict(one, [other])}
    return found | dict.fromkeys(ordered[MAX_SETS:], ordered[0])


def flag_seen(lockfiles: Sequence[Lockfile], seen: Callable[[str], Iterable[Digests]]) -> tuple[Lockfile, ...]:
    """The lockfiles, with the entries marked whose digests are in conflict with those that earlier runs saw.

    `seen` gives, for a purl, the sets of digests under which reports are kept.
    """

    def flagged(one: Dependency) -> Dependency:
        if one.purl is None or not one.integrity:
            return one
        # Also where another earlier run agrees: else an alarm would be gone in the next run, which has seen this one.
        other = next((each for each in seen(one.purl) if is_conflict(one.integrity, [each])), None)
        if other is None:
            return one
        detail = f"{one.name}@{one.version} is {shown(one.integrity)} here, and was {shown(other)} in an earlier run."
        return _with(one, CONFLICT_WITH_CACHE, detail)

    return tuple(_mapped(lockfile, flagged) for lockfile in lockfiles)


def _has(one: Dependency, check: str) -> bool:
    return any(fact.check == check for fact in one.facts)


def _with(one: Dependency, check: str, detail: str) -> Dependency:
    return one._replace(facts=(*one.facts, LockFact(check=check, detail=detail, line=one.line)))


def _mapped(lockfile: Lockfile, change: Callable[[Dependency], Dependency]) -> Lockfile:
    return lockfile._replace(dependencies=tuple(map(change, lockfile.dependencies)))
