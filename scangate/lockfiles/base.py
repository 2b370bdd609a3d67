"""What a lockfile format is to the rest of scangate."""

from typing import Protocol

from scangate.files import Files
from scangate.models.lockfile import Lockfile
from scangate.registries import Registries


class Format(Protocol):
    """One lockfile format. Implementations are modules with these names."""

    NAME: str
    """The kebab-case word of `--lockfile-as` and of JSON ("npm-package-lock")."""

    def read(self, path: str, files: Files, registries: Registries) -> Lockfile:
        """Read the lockfile at `path` (relative, "/"), and what beside it decides scope, relation or registry.

        Complete or not at all: raises LockfileError with file, place, problem and advice.
        """
