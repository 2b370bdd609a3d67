"""The package registries' hosts, and who is public, mirror or private. The only module that names such hosts."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

from scangate.models.lockfile import Ecosystem, Kind

FILES_HOST = "files.pythonhosted.org"
"""Where PyPI serves its archives from."""

PUBLIC_HOSTS: Mapping[Ecosystem, frozenset[str]] = {
    Ecosystem.NPM: frozenset({"registry.npmjs.org", "registry.yarnpkg.com", "registry.npmjs.com"}),
    Ecosystem.PYPI: frozenset({"pypi.org", FILES_HOST, "pypi.python.org"}),
    Ecosystem.VSCODE_EXTENSION: frozenset({"marketplace.visualstudio.com"}),
}
"""Hosts that serve the public registry. The yarn registry is an alias of npm's."""

DEFAULT_URL: Mapping[Ecosystem, str] = {
    Ecosystem.NPM: "https://registry.npmjs.org/",
    Ecosystem.PYPI: "https://pypi.org/simple",
}
"""Where a package manager looks when nothing says otherwise."""

ALL_PUBLIC_HOSTS: frozenset[str] = frozenset().union(*PUBLIC_HOSTS.values())


class PrivateRegistry(NamedTuple):
    """A private registry that scangate.yml names; `names` are glob patterns of packages that live only there."""

    host: str
    names: tuple[str, ...] = ()
    where: str = "scangate.yml"


class Origin(NamedTuple):
    """Where an entry comes from. `confused_with`: the private registry's host that the name belongs to instead."""

    kind: Kind
    confused_with: str | None = None
    tied_by: str | None = None


class Registries(NamedTuple):
    """scangate.yml's `registries`: which hosts mirror the public registry, which are private."""

    mirrors: frozenset[str] = frozenset()
    private: tuple[PrivateRegistry, ...] = ()

    def owner(self, name: str) -> PrivateRegistry | None:
        """The private registry that this name is tied to by scangate.yml, if any."""
        return next((one for one in self.private if any(fnmatchcase(name, pattern) for pattern in one.names)), None)

    def origin(self, ecosystem: Ecosystem, name: str, host: str | None, *, configured: bool = False) -> Origin:
        """Classify one entry that comes from `host`.

        `configured`: the project's own configuration (.npmrc, index option, poetry source) names the host as a
        registry. A host that nothing names is a URL like any other: an attacker can write any host into a lockfile.
        """
        owner = self.owner(name)
        if owner is not None:
            if host == owner.host:
                return Origin(kind=Kind.PRIVATE_REGISTRY)
            return Origin(kind=Kind.PRIVATE_REGISTRY, confused_with=owner.host, tied_by=owner.where)
        if host is not None and (host in PUBLIC_HOSTS[ecosystem] or host in self.mirrors):
            return Origin(kind=Kind.REGISTRY)
        if configured or any(host == one.host for one in self.private):
            return Origin(kind=Kind.PRIVATE_REGISTRY)
        return Origin(kind=Kind.URL)


NO_REGISTRIES = Registries()
