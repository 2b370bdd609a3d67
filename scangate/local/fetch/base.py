"""Fetching a package: what may be known about it beforehand, and what lies on disk afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Event
from typing import Protocol

from scangate import purls
from scangate.errors import ScangateError
from scangate.local.jobs import Job
from scangate.models.lockfile import Ecosystem
from scangate.purls import Purl


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One package at a lockfile's version. `integrity`: its digests there, as "algorithm:hex"; empty: none."""

    purl: str
    integrity: tuple[str, ...] = ()


@dataclass(frozen=True)
class Closure:
    """The packages that are installed together. One for all packages of a lockfile: it is sorted out once."""

    pins: tuple[Pin, ...] = ()

    def versions(self, ecosystem: Ecosystem, name: str) -> Mapping[str, tuple[str, ...]]:
        """The digests (none: any) by version of a package; empty where it is not among the pins."""
        return self._by_name.get((ecosystem, name), {})

    @cached_property
    def _by_name(self) -> Mapping[tuple[Ecosystem, str], Mapping[str, tuple[str, ...]]]:
        found: dict[tuple[Ecosystem, str], dict[str, tuple[str, ...]]] = {}
        for pin in self.pins:
            purl = purls.parse(pin.purl)
            if purl.ecosystem is not None and purl.version is not None:
                versions = found.setdefault((purl.ecosystem, purl.package_name), {})
                # Lockfiles may each name another file of one release.
                versions[purl.version] = tuple(sorted({*versions.get(purl.version, ()), *pin.integrity}))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """What a lockfile says about one package: its own digests, and the versions of whatever is installed with it.

    `closure` may hold more than the package needs (the whole lockfile): of the names in it, only these versions are
    installed beside the package; names that it lacks are resolved as usual.
    """

    integrity: tuple[str, ...] = ()
    closure: Closure = Closure()


Hints = Mapping[str, Hint]
"""By canonical purl."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A package with all that it needs, on disk. `tree` is what the sandbox has as /app.

    `folder` is the package's own directory below the tree (npm). `own_source` and `other_sources` are unpacked source
    distributions below the tree that are still to be built (PyPI): the package's, and its dependencies'.
    `missing` names dependencies that are not there, and why: not from the registry.
    """

    purl: Purl
    tree: Path
    folder: str = ""
    own_source: str | None = None
    other_sources: tuple[str, ...] = ()
    missing: tuple[str, ...] = field(default=())


class FetchError(ScangateError):
    """The package, or something that it needs, cannot be had: it was not analysed."""


class IntegrityMismatch(FetchError):
    """The archive is not the one that the lockfile, or else the registry, promises. Digests as "algorithm:hex"."""

    def __init__(self, what: str, expected: tuple[str, ...], actual: tuple[str, ...]) -> None:
        super().__init__(
            f"{what}: the archive's digest is {', '.join(actual)}, not {', '.join(expected)}.",
            "Do not install it: find out which of the two was changed.",
        )
        self.expected = expected
        self.actual = actual


class Fetcher(Protocol):
    """Thread-safe. Runs nothing of any package, and reads no configuration of the workspace or the user."""

    def fetch(self, job: Job, hint: Hint, directory: Path, stop: Event) -> Fetched:
        """Lay the package out below `directory` (empty, and the caller's to remove).

        Raises FetchError, IntegrityMismatch, and jobs.Interrupted soon after `stop` is set.
        """
