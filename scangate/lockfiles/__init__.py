"""READ: lockfiles to dependencies. One module a format; this is the literal registry of them.

A format's module is imported when a file of that format is read, not before: a project without poetry never
loads tomllib, one without requirements files never loads packaging.
"""

import posixpath
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Protocol

from scangate.errors import UsageError
from scangate.files import Files
from scangate.lockfiles.base import Format
from scangate.models import Lockfile
from scangate.registries import Registries


class Found(Protocol):
    """A lockfile that is to be read: where it stands, which format it has, the tree that it is read from."""

    @property
    def path(self) -> str: ...
    @property
    def format(self) -> str: ...
    @property
    def files(self) -> Files: ...


def _npm() -> Format:
    import scangate.lockfiles.npm as npm

    return npm


def _requirements() -> Format:
    import scangate.lockfiles.requirements as requirements

    return requirements


def _poetry() -> Format:
    import scangate.lockfiles.poetry as poetry

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
    if (loader := FORMATS.get(format_)) is not None:
        return loader().read(path, files, registries)
    if any(format_ == known for _, known in _FILE_NAMES):
        return Lockfile(path=path, format=format_, supported=False)
    raise UsageError(f"{format_!r} is not a lockfile format.", f"Use one of {', '.join(FORMATS)}.")
