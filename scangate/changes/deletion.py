"""Lockfiles of the base that are gone, and what replaces them."""

from collections.abc import Collection, Mapping, Sequence

from scangate.changes.known import identity, name_of
from scangate.models.lockfile import LockFact, Lockfile

DELETED = "deleted"
"""The check of the fact that a lockfile is gone (rule `lock-deleted`)."""

_JAVASCRIPT = frozenset({"npm-package-lock", "yarn-lock", "pnpm-lock", "bun-lock", "bun-lock-binary"})
_MANIFESTS = {
    "poetry-lock": ("pyproject.toml",),
    "uv-lock": ("pyproject.toml",),
    "pdm-lock": ("pyproject.toml",),
    "pipenv-lock": ("Pipfile",),
}


def manifests(lockfile: Lockfile) -> tuple[str, ...]:
    """The files, in the folder of the lockfile, of the project whose packages it locks; () where there is none."""
    return _MANIFESTS.get(lockfile.format, ("package.json",) if lockfile.format in _JAVASCRIPT else ())


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
    is_replaced = any(_holds_all(other, lockfile) for other in elsewhere) or any(
        _is_sibling(other, lockfile) and _replaces(other, lockfile, is_added=other in added) for other in current
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


def _replaces(other: Lockfile, gone: Lockfile, *, is_added: bool) -> bool:
    """An added sibling locks something where the deleted one did; one that was there holds all of its packages.

    One that cannot be read yet is reported as such where it is added; where it was there, nobody knows what it holds.
    """
    if not other.supported:
        return is_added
    if is_added:
        return bool(other.dependencies) or not gone.dependencies
    return {name_of(one) for one in gone.dependencies} <= {name_of(one) for one in other.dependencies}


def _folder(lockfile: Lockfile) -> str:
    return lockfile.path.rpartition("/")[0]
