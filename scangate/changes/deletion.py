"""Lockfiles of the base that are gone, and what replaces them."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from scangate.changes.known import identity, name_of
from scangate.models.lockfile import LockFact, Lockfile, Relation

DELETED = "deleted"
"""The check of the fact that a lockfile is gone (rule `lock-deleted`)."""

_JAVASCRIPT = frozenset(
    {"npm-package-lock", "yarn-lock", "pnpm-lock", "bun-lock", "bun-lock-binary", "deno-lock", "vlt-lock"}
)
_MANIFESTS = {
    "poetry-lock": ("pyproject.toml",),
    "uv-lock": ("pyproject.toml",),
    "pdm-lock": ("pyproject.toml",),
    "pixi-lock": ("pyproject.toml", "pixi.toml"),
    "deno-lock": ("package.json", "deno.json", "deno.jsonc"),
    "pipenv-lock": ("Pipfile",),
}


def manifests(lockfile: Lockfile) -> tuple[str, ...]:
    """The files, in the folder of the lockfile, of the project whose packages it locks; () where there is none."""
    return _MANIFESTS.get(lockfile.format, ("package.json",) if lockfile.format in _JAVASCRIPT else ())


def with_projects(renames: Mapping[str, str], gone: Sequence[Lockfile], added: Sequence[Lockfile]) -> Mapping[str, str]:
    """The renames that git knows, {new: old}, and those of lockfiles whose manifest is among them.

    A lockfile that was brought up to date while its folder moved may have too little in common with what it was.
    """
    places = {**renames}
    for one in gone:
        for other in added:
            went_along = any(renames.get(_beside(other, name)) == _beside(one, name) for name in manifests(one))
            if went_along and other.format == one.format and one.path not in renames.values():
                places.setdefault(other.path, one.path)
    return places


def manifests_of(lockfiles: Iterable[Lockfile]) -> set[str]:
    """The paths of all that `manifests` names for them, there or not."""
    return {_beside(one, name) for one in lockfiles for name in manifests(one)}


def _beside(lockfile: Lockfile, name: str) -> str:
    return lockfile.path[: lockfile.path.rfind("/") + 1] + name


def deleted(
    current: Sequence[Lockfile], base: Sequence[Lockfile], renames: Mapping[str, str], left: Collection[str]
) -> tuple[Lockfile, ...]:
    here = {lockfile.path for lockfile in current}
    there = {lockfile.path for lockfile in base}
    moved = {renames[path] for path in here if path in renames and _may_lock(path, renames[path], left)}
    added = [lockfile for lockfile in current if lockfile.path not in there and lockfile.path not in renames]
    gone = [lockfile for lockfile in base if lockfile.path not in here and lockfile.path not in moved]
    return tuple(
        _gone(lockfile, current, added, [one for one in added if _may_lock(one.path, lockfile.path, left)])
        for lockfile in sorted(gone, key=lambda one: one.path)
    )


def _may_lock(path: str, gone: str, left: Collection[str]) -> bool:
    """Whether a lockfile there may lock the project of a deleted one: one that stayed has it beside it, or above."""
    folder = path.rpartition("/")[0]
    return gone not in left or folder == "" or gone.startswith(f"{folder}/")


def _gone(
    lockfile: Lockfile, current: Sequence[Lockfile], added: Sequence[Lockfile], elsewhere: Sequence[Lockfile]
) -> Lockfile:
    siblings = [other for other in current if _is_sibling(other, lockfile)]
    is_replaced = any(_holds_all(other, lockfile) for other in elsewhere) or _is_replaced(
        lockfile, [one for one in siblings if one in added], [one for one in siblings if one not in added]
    )
    detail = "The lockfile was deleted, and nothing in its folder replaces it: what is installed there is open."
    facts = () if is_replaced else (LockFact(check=DELETED, detail=detail),)
    # That nobody could read it is no trouble any more.
    return lockfile._replace(dependencies=(), facts=facts, supported=True)


def _holds_all(other: Lockfile, gone: Lockfile) -> bool:
    """Moved, and not known to git yet: the same format with all that the deleted one had."""
    wanted = {identity(one) for one in gone.dependencies}
    return other.format == gone.format and bool(wanted) and wanted <= {identity(one) for one in other.dependencies}


def _is_sibling(other: Lockfile, gone: Lockfile) -> bool:
    return _folder(other) == _folder(gone) and (other.format in _JAVASCRIPT) == (gone.format in _JAVASCRIPT)


def _is_replaced(gone: Lockfile, added: Sequence[Lockfile], stayed: Sequence[Lockfile]) -> bool:
    """Whether siblings lock what the deleted one did.

    Those that were added do if they hold, together, all that the project asks for; one that was there before, if it
    holds every package. Of one that nobody can read only its place is known: the same manifest's lockfile, added where
    it was, replaces it. One that cannot be read yet is reported as such where it is added.
    """
    if not gone.dependencies:
        return any(not set(manifests(one)).isdisjoint(manifests(gone)) for one in added)
    return (
        any(not one.supported for one in added)
        or _names(gone, but=Relation.TRANSITIVE) <= {name for one in added for name in _names(one)}
        or any(_names(gone) <= _names(one) for one in stayed)
    )


def _names(lockfile: Lockfile, *, but: Relation | None = None) -> set[tuple[str, str]]:
    found = {name_of(one) for one in lockfile.dependencies if one.relation is not but}
    return found or {name_of(one) for one in lockfile.dependencies}


def _folder(lockfile: Lockfile) -> str:
    return lockfile.path.rpartition("/")[0]
