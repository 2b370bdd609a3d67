"""Lockfiles of the base that are gone, and what replaces them."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from scangate.changes.known import identity, name_of
from scangate.models.lockfile import LockFact, Lockfile, Relation

DELETED = "deleted"
"""The check of the fact that a lockfile is gone (rule `lock-deleted`)."""

_JAVASCRIPT = frozenset(
    {"npm-package-lock", "yarn-lock", "pnpm-lock", "bun-lock", "bun-lock-binary", "deno-lock", "vlt-lock"}
)
_PACKAGE_JSON_ALONE = frozenset({"npm-package-lock", "yarn-lock", "bun-lock", "bun-lock-binary"})
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


def is_locked_by_package_json(lockfile: Lockfile) -> bool:
    """Whether package.json alone says what its project asks for; pnpm and deno have files of their own besides."""
    return lockfile.format in _PACKAGE_JSON_ALONE


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


def without_place(current: Iterable[Lockfile], base: Iterable[Lockfile]) -> list[Lockfile]:
    """The base's lockfiles at paths that have none now, those that moved included."""
    here = {lockfile.path for lockfile in current}
    return [lockfile for lockfile in base if lockfile.path not in here]


def deleted(
    current: Sequence[Lockfile],
    base: Sequence[Lockfile],
    renames: Mapping[str, str],
    left: Collection[str],
    asked: Mapping[str, Collection[str]],
) -> tuple[Lockfile, ...]:
    """The base's lockfiles that are gone, without entries; with the fact DELETED where nothing replaces one.

    `renames`, `left` and `asked` are as `select.select_new` has them.
    """
    was = {lockfile.path: lockfile for lockfile in base}
    moved = {
        old.path
        for one in current
        if (old := was.get(renames.get(one.path, ""))) is not None
        and _may_lock(one.path, old.path, left)
        and (not _has_other_name(one, old) or _is_replaced(old, [one], (), asked.get(old.path)))
    }
    added = [one for one in current if one.path not in was and renames.get(one.path) not in moved]
    gone = [lockfile for lockfile in without_place(current, base) if lockfile.path not in moved]
    return tuple(
        _gone(one, current, added, left, asked.get(one.path)) for one in sorted(gone, key=lambda one: one.path)
    )


def _may_lock(path: str, gone: str, left: Collection[str]) -> bool:
    """Whether a lockfile there may lock the project of a deleted one: one that stayed has it beside it, or above."""
    folder = path.rpartition("/")[0]
    return gone not in left or folder == "" or gone.startswith(f"{folder}/")


def _has_other_name(lockfile: Lockfile, gone: Lockfile) -> bool:
    """Whether it is another file of the same project, which its package manager prefers to the one that is gone."""
    return bool(manifests(gone)) and _folder(lockfile) == _folder(gone)


def _gone(
    lockfile: Lockfile,
    current: Sequence[Lockfile],
    added: Sequence[Lockfile],
    left: Collection[str],
    asked: Collection[str] | None,
) -> Lockfile:
    siblings = [other for other in current if _is_sibling(other, lockfile)]
    came, stayed = ([one for one in siblings if (one in added) is is_new] for is_new in (True, False))
    is_replaced = any(
        _holds_all(other, lockfile) for other in added if _may_lock(other.path, lockfile.path, left)
    ) or _is_replaced(lockfile, came, stayed, asked)
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


def _is_replaced(
    gone: Lockfile, added: Sequence[Lockfile], stayed: Sequence[Lockfile], asked: Collection[str] | None
) -> bool:
    """Whether siblings lock what the deleted one did.

    Those that were added do if they hold, together, all that the project asks for (`asked`: the names, where they are
    known); one that was there before, if it holds every package. Of one that nobody can read only its place is known:
    a lockfile of the same manifest, added where it was, replaces it, if it holds anything, or nothing is asked for.
    One that cannot be read yet is reported as such where it is added.
    """
    is_empty = asked is not None and not asked
    if not gone.dependencies:
        return any(_share_manifest(one, gone) and (one.dependencies or not one.supported or is_empty) for one in added)
    wanted = {
        (ecosystem, name) for ecosystem, name in _names(gone, but=Relation.TRANSITIVE) if asked is None or name in asked
    }
    return (
        any(not one.supported for one in added)
        or (
            any(one.dependencies or is_empty for one in added)
            and wanted <= {name for one in added for name in _names(one)}
        )
        or any(_keeps_all(one, gone) for one in stayed)
    )


def _keeps_all(stayed: Lockfile, gone: Lockfile) -> bool:
    """Whether one that was there holds every package: of the same manifest by name, else as firmly."""
    if _share_manifest(stayed, gone):
        return _names(gone) <= _names(stayed)
    kept = {(identity(one), held) for one in stayed.dependencies for held in (False, bool(one.integrity))}
    names = _names(stayed)
    return all(
        (identity(one), bool(one.integrity)) in kept
        if one.integrity or one.version is not None or one.source is not None
        else name_of(one) in names
        for one in gone.dependencies
    )


def _share_manifest(one: Lockfile, other: Lockfile) -> bool:
    return not set(manifests(one)).isdisjoint(manifests(other))


def _names(lockfile: Lockfile, *, but: Relation | None = None) -> set[tuple[str, str]]:
    found = {name_of(one) for one in lockfile.dependencies if one.relation is not but}
    return found or {name_of(one) for one in lockfile.dependencies}


def _folder(lockfile: Lockfile) -> str:
    return lockfile.path.rpartition("/")[0]
