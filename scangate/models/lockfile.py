"""What a lockfile holds."""

from enum import StrEnum
from typing import NamedTuple


class Ecosystem(StrEnum):
    """Package ecosystems, named by their purl type."""

    NPM = "npm"
    PYPI = "pypi"
    VSCODE_EXTENSION = "vscode-extension"


class Kind(StrEnum):
    """Where a dependency's content comes from."""

    REGISTRY = "registry"
    """The public registry, or a mirror of it that the policy names."""
    PRIVATE_REGISTRY = "private-registry"
    GIT = "git"
    URL = "url"
    """An archive by URL, or a registry host that nothing names as one."""
    FILE = "file"
    """An archive on disk."""
    LOCAL = "local"
    """A directory on disk: workspace, editable install, path dependency."""
    UNPINNED = "unpinned"
    """No exact version: which content is installed is open."""


class Scope(StrEnum):
    PROD = "prod"
    DEV = "dev"
    OPTIONAL = "optional"


class Relation(StrEnum):
    DIRECT = "direct"
    TRANSITIVE = "transitive"
    UNKNOWN = "unknown"


ANYWHERE = "*"
"""Among an entry's `places`: whatever archive of the project it is."""


class LockFact(NamedTuple):
    """Something notable that a lockfile alone shows, before anything is analysed.

    `check` is the kebab-case word that `lock-…` rules match ("confusion", "extra-index"); `detail` is one
    sentence for people (may hold text from outside). `about` is all that it speaks of, where the detail does not tell
    that exactly: it is known where the base says it of all of that, too. It is never shown.
    """

    check: str
    detail: str
    line: int = 1
    about: tuple[str, ...] = ()


class Dependency(NamedTuple):
    """One entry of one lockfile.

    `purl` is None where the entry is not a package of a public registry at an exact version; `kind` says why.
    `name` is written as the ecosystem writes it (npm: as it is; PyPI: PEP 503 normalised).
    `registry` is the host that it comes from (lower case, no port unless given), None where unknown or none.
    `source` is the resolved URL, git reference, path or the requirement as written, without credentials.
    `source_id` (`urls.source_id`) tells the place from all others where `source` does not: what stands in a query,
    which index is asked. None where `source` says it all. It is never shown.
    `places` are the archives of the project that its content may come from, and the folders and pages in which its
    package manager looks for some: paths relative to the working directory, or absolute; ANYWHERE is all archives.
    `integrity` holds digests as "algorithm:hex", lower case, sorted.
    `path` is one shortest chain "name@version" from a direct dependency to this one, both included;
    empty where the lockfile does not say.
    `lockfile` is the path relative to the working directory with "/" ; `line` is 1-based.
    """

    ecosystem: Ecosystem
    name: str
    version: str | None
    kind: Kind
    purl: str | None
    registry: str | None = None
    source: str | None = None
    integrity: tuple[str, ...] = ()
    scope: Scope = Scope.PROD
    relation: Relation = Relation.UNKNOWN
    path: tuple[str, ...] = ()
    lockfile: str = ""
    line: int = 1
    facts: tuple[LockFact, ...] = ()
    source_id: str | None = None
    places: tuple[str, ...] = ()


class Lockfile(NamedTuple):
    """One lockfile that was found. `supported` is False where scangate recognises it but cannot read it yet."""

    path: str
    format: str
    dependencies: tuple[Dependency, ...] = ()
    facts: tuple[LockFact, ...] = ()
    supported: bool = True
    unchanged: bool = False
    """The base has the very same file: nothing of it is new, also where it cannot be read yet."""
