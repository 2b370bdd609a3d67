"""READ: lockfiles to dependencies. One module a format; this is the literal registry of them.

A format's module is imported when a file of that format is read, not before: a project without poetry never
loads tomllib, one without requirements files never loads packaging.
"""

import posixpath
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import NamedTuple

from scangate.errors import LockfileError, PurlError, UsageError
from scangate.files import Files
from scangate.lockfiles.base import Format
from scangate.lockfiles.selection import Found, is_prose, without_overlaps
from scangate.models.lockfile import Lockfile
from scangate.registries import NO_REGISTRIES, Registries


def _npm() -> Format:
    from scangate.lockfiles import npm

    return npm


def _requirements() -> Format:
    from scangate.lockfiles import requirements

    return requirements


def _poetry() -> Format:
    from scangate.lockfiles import poetry

    return poetry


FORMATS: Mapping[str, Callable[[], Format]] = {
    "npm-package-lock": _npm,
    "pip-requirements": _requirements,
    "poetry-lock": _poetry,
}
"""The formats that can be read, by the word of `--lockfile-as`, each with the loader of its module."""

_FILE_NAMES: Mapping[str, str] = {
    "package-lock.json": "npm-package-lock",
    "npm-shrinkwrap.json": "npm-package-lock",
    "poetry.lock": "poetry-lock",
    "yarn.lock": "yarn-lock",
    "pnpm-lock.yaml": "pnpm-lock",
    "bun.lock": "bun-lock",
    "bun.lockb": "bun-lock-binary",
    "deno.lock": "deno-lock",
    "vlt-lock.json": "vlt-lock",
    "uv.lock": "uv-lock",
    "pipfile.lock": "pipenv-lock",
    "pdm.lock": "pdm-lock",
    "pixi.lock": "pixi-lock",
    "conda-lock.yml": "conda-lock",
    "pylock.toml": "pylock",
}
"""File names, folded, and their formats, those that cannot be read yet included: they must not be overlooked."""

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"

_PATTERNS: tuple[tuple[str, str], ...] = (
    ("pnpm-lock.*.yaml", "pnpm-lock"),
    ("pylock.*.toml", "pylock"),
    ("requirements*.txt", "pip-requirements"),
    ("*requirements.txt", "pip-requirements"),
)


def recognise(path: str) -> str | None:
    """The format of a lockfile by its path ("/" between folders); None where the name says nothing.

    It may be a format that cannot be read yet: one that is not in FORMATS. Letters' case says nothing: on macOS and
    Windows npm takes "Package-Lock.json" for its own, and whoever reviews that on Linux sees a file that nobody uses.
    """
    folder, _, name = path.rpartition("/")
    folded = name.casefold()
    if (format_ := _FILE_NAMES.get(folded)) is not None:
        return format_
    if not folded.endswith(_ENDINGS):
        return None
    for pattern, format_ in _PATTERNS:
        if fnmatchcase(folded, pattern):
            return format_
    is_in_requirements = folded.endswith(".txt") and posixpath.basename(folder).casefold() == "requirements"
    return "pip-requirements" if is_in_requirements else None


_ENDINGS = (".yaml", ".toml", ".txt")
"""Of the patterns' names: most files of a project have another one."""


def read(path: str, format_: str, files: Files, registries: Registries) -> Lockfile:
    """Read one lockfile. A recognised format that cannot be read yet gives a Lockfile with supported=False.

    Raises LockfileError where it cannot be read completely, UsageError where nothing has that format.
    """
    if (loader := FORMATS.get(format_)) is None:
        if format_ in _FILE_NAMES.values():
            return Lockfile(path=path, format=format_, supported=False)
        raise UsageError(f"{format_!r} is not a lockfile format.", f"Use one of {', '.join(FORMATS)}.")
    with _last_line(path, files):
        return loader().read(path, files, registries)


@contextmanager
def _last_line(path: str, files: Files) -> Iterator[None]:
    """What no format checks: that this is no lockfile but stands for one, and a name that no registry can have."""
    try:
        yield
    except LockfileError as exc:
        if (files.read(path) or b"").startswith(_LFS_POINTER):
            problem = "it is a pointer of Git LFS: what the lockfile holds is not here."
            hint = (
                "Run `git lfs pull`, or better take it out of LFS: in git's objects, where the base is, it stays one."
            )
            raise LockfileError(path, problem, hint) from exc
        raise
    except PurlError as exc:
        raise LockfileError(path, exc.message, "Make the lockfile anew with the package manager.") from exc


def adds_nothing(format_: str, current: bytes, base: bytes) -> bool:
    """Whether one state of a lockfile surely has nothing that another one has not, told without reading either wholly.

    False where that is open. Nothing else may decide about the lockfile: no .npmrc, no registries in the policy.
    """
    if format_ != "npm-package-lock":
        return False
    from scangate.lockfiles import npm_same

    return npm_same.adds_nothing(current, base)


def read_all(
    found: Sequence[Found],
    registries: Registries,
    *,
    named: Collection[str] = (),
    reading: Callable[[Found], Lockfile] | None = None,
) -> tuple[Lockfile, ...]:
    """Read every lockfile that says something of its own, in the given order.

    Left out: what another one covers (`selection.without_overlaps`), and texts that only have the name of a
    requirements file (`selection.is_prose`), unless their path is among `named`: those were asked for.
    `reading` reads one of them. Raises LockfileError where one cannot be read completely, also where all would be
    left out.
    """
    lockfiles: list[Lockfile] = []
    prose: LockfileError | None = None
    for one in without_overlaps(found):
        try:
            lockfiles.append(reading(one) if reading else read(one.path, one.format, one.files, registries))
        except LockfileError as exc:
            if one.path in named or not is_prose(one):
                raise
            prose = exc
    if prose is not None and not lockfiles:
        raise prose
    return tuple(lockfiles)


class BothSides(NamedTuple):
    """The current lockfiles and the base's; those of the base that are `unreadable`, by path, hold nothing there."""

    current: tuple[Lockfile, ...]
    base: tuple[Lockfile, ...]
    unreadable: Mapping[str, LockfileError]


def read_both_sides(
    found: Sequence[Found],
    before: Sequence[Found],
    registries: Registries,
    *,
    named: Collection[str] = (),
    same: Collection[str] = (),
) -> BothSides:
    """Read the current lockfiles as `read_all` does, and the base's beside them: what both have is read once.

    `same` are the paths of those of which both sides have the same. Lines, relations and paths of the base's entries
    may be the current ones. Raises LockfileError for a current one.
    """
    earlier = {one.path: one for one in without_overlaps(before)}
    base: dict[str, Lockfile] = {}

    def reading(one: Found) -> Lockfile:
        other = earlier.get(one.path)
        if other is not None and one.path not in same and _may_be_read_together(one, other, registries):
            now, then = _read_together(one, other)
        else:
            now = read(one.path, one.format, one.files, registries)
            then = now if other is not None and one.path in same else None
        if then is not None:
            base[one.path] = then
        return now

    current = read_all(found, registries, named=named, reading=reading)
    unreadable: dict[str, LockfileError] = {}
    for path, one in earlier.items():
        if path in base:
            continue
        try:
            base[path] = read(path, one.format, one.files, registries)
        except LockfileError as exc:
            if not is_prose(one):
                unreadable[path] = exc
                base[path] = Lockfile(path=path, format=one.format)
    ordered = tuple(base[path] for path in earlier if path in base)
    return BothSides(current=current, base=ordered, unreadable=unreadable)


def _may_be_read_together(current: Found, base: Found, registries: Registries) -> bool:
    npmrc = posixpath.join(posixpath.dirname(base.path), ".npmrc")
    return (
        base.format == current.format == "npm-package-lock"
        and registries == NO_REGISTRIES
        and not any(one.files.read(npmrc) is not None for one in (base, current))
    )


def _read_together(current: Found, base: Found) -> tuple[Lockfile, Lockfile | None]:
    from scangate.lockfiles import npm_base

    with _last_line(current.path, current.files):
        return npm_base.read_both(current.path, current.files, base.files)
