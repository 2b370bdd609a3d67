"""Entries whose content comes from a place that nobody vouches for, in every format the same."""

import re
from collections.abc import Sequence

from scangate.models.lockfile import Dependency, Ecosystem, Kind, LockFact, Lockfile
from scangate.registries import PUBLIC_HOSTS, Registries

UNKNOWN_HOST = "unknown-host"
GIT_UNPINNED = "git-unpinned"

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z", re.IGNORECASE)


def flag_origins(lockfiles: Sequence[Lockfile], registries: Registries) -> tuple[Lockfile, ...]:
    """The lockfiles, with the entries marked that come from a host that is no registry, or from a moving git branch.

    "unknown-host": an archive by URL, from a host that is neither its ecosystem's public registry nor one that
    scangate.yml names.
    "git-unpinned": a repository without the full id of a commit: what is installed tomorrow is open.
    """
    named = registries.mirrors | {entry.host for entry in registries.private}
    return tuple(
        lockfile._replace(dependencies=tuple(_flagged(one, named) for one in lockfile.dependencies))
        if any(one.kind is Kind.URL or one.kind is Kind.GIT for one in lockfile.dependencies)
        else lockfile
        for lockfile in lockfiles
    )


def _flagged(one: Dependency, named: frozenset[str]) -> Dependency:
    if one.kind is Kind.URL and one.registry not in named | PUBLIC_HOSTS[one.ecosystem]:
        host = one.registry or "a host that cannot be told"
        detail = f"{one.name} comes from {host}, which is no registry that scangate.yml names: {one.source}."
        return _with(one, UNKNOWN_HOST, detail)
    if one.kind is Kind.GIT and not _is_pinned(one):
        return _with(one, GIT_UNPINNED, f"{one.name} names no commit by its full id: {one.source}.")
    return one


def _is_pinned(one: Dependency) -> bool:
    """Whether a commit's full id stands where its package manager looks for one: npm "#ID", the others "@ID"."""
    repository, _, fragment = (one.source or "").partition("#")
    reference = fragment.partition("::")[0] if one.ecosystem is Ecosystem.NPM else repository.rpartition("@")[2]
    return _COMMIT.match(reference) is not None


def _with(one: Dependency, check: str, detail: str) -> Dependency:
    return one._replace(facts=(*one.facts, LockFact(check=check, detail=detail, line=one.line)))
