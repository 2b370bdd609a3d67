"""READ: lockfiles to dependencies. One module a format; this is the literal registry of them.

A format's module is imported when a file of that format is read, not before: a project without poetry never
loads tomllib, one without requirements files never loads packaging.
"""

import posixpath
from collections.abc import Callable, Collection, Mapping, Sequence
from fnmatch import fnmatchcase

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

_FILE_NAMES: tuple[tuple[str, str], ...] = (
    ("package-lock.json", "npm-package-lock"),
    ("npm-shrinkwrap.json", "npm-package-lock"),
    ("poetry.lock", "poetry-lock"),
    ("yarn.lock", "yarn-lock"),
    ("pnpm-lock.yaml", "pnpm-lock"),
    ("pnpm-lock.*.yaml", "pnpm-lock"),
    ("bun.lock", "bun-lock"),
    ("bun.lockb", "bun-lock-binary"),
    ("uv.lock", "uv-lock"),
    ("Pipfile.lock", "pipenv-lock"),
    ("pdm.lock", "pdm-lock"),
    ("pylock.toml", "pylock"),
    ("pylock.*.toml", "pylock"),
)
"""File names (globs) and their formats, those that cannot be read yet included: they must not be overlooked."""

_PIP_NAMES = ("requirements*.txt", "*requirements.txt")


def recognise(path: str) -> str | None:
    """The format of a lockfile by its path ("/" between folders); None where the name says nothing.

    It may be a format that cannot be read yet: one that is not in FORMATS.
    """
    folder, _, name = path.rpartition("/")
    for pattern, format_ in _FILE_NAMES:
        if fnmatchcase(name, pattern):
            return format_
    lower = name.lower()
    if any(fnmatchcase(lower, pattern) for pattern in _PIP_NAMES):
        return "pip-requirements"
    if posixpath.basename(folder).lower() == "requirements" and lower.endswith(".txt"):
        return "pip-requirements"
    return None


def read(path: str, format_: str, files: Files, registries: Registries) -> Lockfile:
    """Read one lockfile. A recognised format that cannot be read yet gives a Lockfile with supported=False.

    Raises LockfileError where it cannot be read completely, UsageError where nothing has that format.
    """
    if (loader := FORMATS.get(format_)) is None:
        if any(format_ == known for _, known in _FILE_NAMES):
            return Lockfile(path=path, format=format_, supported=False)
        raise UsageError(f"{format_!r} is not a lockfile format.", f"Use one of {', '.join(FORMATS)}.")
    try:
        return loader().read(path, files, registries)
    except PurlError as exc:
        # A name that no registry can have; the formats check what they can, this is the last line.
        raise LockfileError(path, exc.message, "Make the lockfile anew with the package manager.") from exc


def read_beside(base: Found, current: Lockfile, files: Files, registries: Registries) -> Lockfile:
    """Read the base's state of a lockfile that was read already: `current`, from `files`.

    Lines, relations and paths of entries that both have may be the current ones. Raises LockfileError.
    """
    npmrc = posixpath.join(posixpath.dirname(base.path), ".npmrc")
    trees = (base.files, files)
    is_alone = registries == NO_REGISTRIES and not any(tree.read(npmrc) is not None for tree in trees)
    if base.format == current.format == "npm-package-lock" and is_alone:
        from scangate.lockfiles import npm_base

        before, now = (tree.read(base.path) for tree in trees)
        if before is not None and now is not None:
            found = npm_base.read_beside(before, current, now)
            if found is not None:
                return found
    return read(base.path, base.format, base.files, registries)


def adds_nothing(format_: str, current: bytes, base: bytes) -> bool:
    """Whether one state of a lockfile surely has nothing that another one has not, told without reading either wholly.

    False where that is open. Nothing else may decide about the lockfile: no .npmrc, no registries in the policy.
    """
    if format_ != "npm-package-lock":
        return False
    from scangate.lockfiles import npm_same

    return npm_same.adds_nothing(current, base)


def read_all(found: Sequence[Found], registries: Registries, *, named: Collection[str] = ()) -> tuple[Lockfile, ...]:
    """Read every lockfile that says something of its own, in the given order.

    Left out: what another one covers (`selection.without_overlaps`), and texts that only have the name of a
    requirements file (`selection.is_prose`), unless their path is among `named`: those were asked for.
    Raises LockfileError where one cannot be read completely, also where all would be left out.
    """
    lockfiles: list[Lockfile] = []
    prose: LockfileError | None = None
    for one in without_overlaps(found):
        try:
            lockfiles.append(read(one.path, one.format, one.files, registries))
        except LockfileError as exc:
            if one.path in named or not is_prose(one):
                raise
            prose = exc
    if prose is not None and not lockfiles:
        raise prose
    return tuple(lockfiles)
