"""Where the content of a package-lock's entry comes from, decided as npm decides it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from scangate.lockfiles.npm_entries import Entry, holder, is_exact
from scangate.lockfiles.npmrc import Npmrc, Registry
from scangate.models import Ecosystem, Kind, LockFact
from scangate.registries import PUBLIC_HOSTS, Origin, Registries
from scangate.urls import host_of, without_credentials

_PUBLIC = PUBLIC_HOSTS[Ecosystem.NPM]
_WEB = re.compile(r"https?://", re.IGNORECASE)
# npm-package-arg: a shortcut of a git host, "user/repository", or any scheme that git speaks.
_GIT = re.compile(r"git[+:@]|ssh:|github:|gitlab:|bitbucket:|gist:|[^@./:~][^/:@]*/[^/:@#]+(?:#|\Z)", re.IGNORECASE)
_PATH = re.compile(r"file:|\.{0,2}/|\.{1,2}\Z|~/|[a-z]:[/\\]", re.IGNORECASE)
_ARCHIVE = re.compile(r"\.(?:tgz|tar\.gz|tar)\Z", re.IGNORECASE)
_CLEARTEXT = re.compile(r"(?:git\+)?http:|git:", re.IGNORECASE)


@dataclass(slots=True, kw_only=True)
class Source:
    """`version` is the entry's, or the one that its registry URL names where the entry has none."""

    kind: Kind
    version: str | None
    host: str | None = None
    text: str | None = None
    facts: tuple[LockFact, ...] = ()


class Sources:
    """Classifies the entries of one lockfile."""

    def __init__(self, npmrc: Npmrc, registries: Registries, at: Mapping[str, Entry]) -> None:
        self._npmrc = npmrc
        self._registries = registries
        self._at = at

    def of(self, entry: Entry) -> Source:
        spec = entry.spec
        if entry.target is not None:
            return Source(kind=Kind.LOCAL, version=entry.version, text=entry.target)
        if spec is None:
            return self._without_url(entry)
        if _WEB.match(spec):
            return self._by_url(entry, spec)
        return _elsewhere(entry, spec)

    def _without_url(self, entry: Entry) -> Source:
        if entry.bundled and entry.integrity is None:
            bundler = self._bundler(entry)
            if bundler is not None:
                return self._bundled(entry, bundler)
        registry = self._npmrc.asked_for(entry.name)
        origin, facts = self._origin(entry, registry)
        return _of_registry(entry, origin, registry.host, entry.version, facts)

    def _bundler(self, entry: Entry) -> Entry | None:
        """The package in whose archive a bundled entry ships; None where the project itself bundles it."""
        place = entry.location
        while True:
            place = holder(place)[0]
            bundler = self._at.get(place)
            if bundler is None or bundler.own:
                return None
            if not bundler.bundled:
                return bundler

    def _bundled(self, entry: Entry, bundler: Entry) -> Source:
        """What is bundled comes with its bundler, and is as public or private as that one."""
        outer = self.of(bundler)
        label = f"{bundler.name}@{outer.version}"
        detail = f"{entry.name} ships inside the archive of {label}: the registry's package of that name may differ."
        return Source(
            kind=Kind.UNPINNED if outer.kind is Kind.REGISTRY and not is_exact(entry.version) else outer.kind,
            version=entry.version,
            host=outer.host,
            text=f"bundled in {label}",
            facts=(LockFact(check="bundled", detail=detail, line=entry.line),),
        )

    def _by_url(self, entry: Entry, url: str) -> Source:
        registry = self._npmrc.fetched_from(host_of(url))
        origin, facts = self._origin(entry, registry)
        if _CLEARTEXT.match(url):
            facts += (_cleartext(entry, url),)
        if origin.kind is Kind.URL:
            return Source(
                kind=Kind.URL,
                version=entry.version,
                host=registry.host,
                text=without_credentials(url),
                facts=_with_integrity(entry, facts),
            )
        version = entry.version
        named = _named_by(url, entry.name, version, registry.host, origin.kind)
        if named is None:
            facts += (_mismatch(entry, url),)
            if origin.kind is Kind.REGISTRY:
                # What the URL gives is not the registry's package of this name and version.
                origin = Origin(kind=Kind.URL)
        return _of_registry(entry, origin, registry.host, named or version, facts, text=without_credentials(url))

    def _origin(self, entry: Entry, registry: Registry) -> tuple[Origin, tuple[LockFact, ...]]:
        """The origin by scangate.yml, then by what .npmrc ties the scope to; with the fact of a confusion."""
        origin = self._registries.origin(
            Ecosystem.NPM, entry.name, registry.host, configured=registry.configured or registry.host is None
        )
        tied = self._npmrc.tied(entry.name)
        if tied is not None and origin.confused_with is None and not self._serves_public(tied.host):
            if tied.host is None:
                # The private registry's host is not known here: only the public one is surely another.
                origin = Origin(kind=Kind.PRIVATE_REGISTRY) if origin.kind is Kind.REGISTRY else origin
            else:
                other = tied.host if tied.host != registry.host else None
                origin = Origin(kind=Kind.PRIVATE_REGISTRY, confused_with=other, tied_by=".npmrc")
        if origin.confused_with is None:
            return origin, ()
        return origin, (confusion(entry, registry.host, origin.confused_with, origin.tied_by),)

    def _serves_public(self, host: str | None) -> bool:
        return host is not None and (host in _PUBLIC or host in self._registries.mirrors)


def confusion(entry: Entry, host: str | None, owner: str, tied_by: str | None) -> LockFact:
    """The fact that a name that belongs to a private registry comes from elsewhere."""
    detail = f"{entry.name} belongs to {owner} ({tied_by}), and comes from {host or 'elsewhere'}."
    return LockFact(check="confusion", detail=detail, line=entry.line)


def _of_registry(
    entry: Entry,
    origin: Origin,
    host: str | None,
    version: str | None,
    facts: tuple[LockFact, ...],
    *,
    text: str | None = None,
) -> Source:
    kind = Kind.UNPINNED if origin.kind is Kind.REGISTRY and not is_exact(version) else origin.kind
    return Source(kind=kind, version=version, host=host, text=text, facts=_with_integrity(entry, facts))


def _with_integrity(entry: Entry, facts: tuple[LockFact, ...]) -> tuple[LockFact, ...]:
    if entry.integrity is not None:
        return facts
    detail = f"{entry.name} has no integrity digest: nothing holds the registry to what was locked."
    return (*facts, LockFact(check="no-integrity", detail=detail, line=entry.line))


def _cleartext(entry: Entry, url: str) -> LockFact:
    detail = f"{entry.name} is fetched without encryption from {host_of(url) or 'an unknown host'}."
    return LockFact(check="plain-http", detail=detail, line=entry.line)


def _mismatch(entry: Entry, url: str) -> LockFact:
    label = entry.name if entry.version is None else f"{entry.name}@{entry.version}"
    detail = f"The entry says {label}, its URL names something else: {without_credentials(url)}."
    return LockFact(check="url-mismatch", detail=detail, line=entry.line)


def _named_by(url: str, name: str, version: str | None, host: str | None, kind: Kind) -> str | None:
    """The version that a registry URL names, where name and version agree with the entry; else None.

    The public registry has HOST/NAME/-/BASE-VERSION.tgz and nothing else. Other registries stand below a prefix, and
    some write NAME/download/[@scope/]BASE-VERSION.tgz or NAME/VERSION/BASE-VERSION.tgz; private ones may have any
    other form, which says nothing.
    """
    path = url.partition("://")[2].partition("/")[2].partition("#")[0].partition("?")[0]
    if "%" in path:
        path = unquote(path)
    base = name.rpartition("/")[2]
    start = f"{name}/-/{base}-"
    if host in _PUBLIC and path.startswith(start) and path.endswith(".tgz"):
        return _agreed(path[len(start) : -4], version)
    if host in _PUBLIC:
        return None
    for form in _OTHER_FORMS:
        found = form(name, base).search(f"/{path}")
        if found:
            return _agreed(found[1], version)
    return version if kind is Kind.PRIVATE_REGISTRY and "/-/" not in path else None


_OTHER_FORMS: tuple[Callable[[str, str], re.Pattern[str]], ...] = (
    lambda name, base: re.compile(
        rf"/{re.escape(name)}/(?:-|download)/(?:@[^/]+/)?{re.escape(base)}-([^/]+)\.tgz\Z", re.IGNORECASE
    ),
    lambda name, base: re.compile(rf"/{re.escape(name)}/[^/]+/{re.escape(base)}-([^/]+)\.tgz\Z", re.IGNORECASE),
)


def _agreed(named: str, version: str | None) -> str | None:
    """Registries leave build metadata ("+build") out of file names."""
    if version is None:
        return named if is_exact(named) else None
    return version if named in (version, version.partition("+")[0]) else None


def _elsewhere(entry: Entry, spec: str) -> Source:
    """What comes from neither a registry nor the web."""
    facts = (_cleartext(entry, spec),) if _CLEARTEXT.match(spec) else ()
    if _PATH.match(spec):
        kind = Kind.FILE if _ARCHIVE.search(spec) else Kind.LOCAL
    elif _GIT.match(spec):
        kind = Kind.GIT
    else:
        # Anything that npm may make something else of ("npm:other@1.0.0", "https:host"): never a registry's package.
        kind = Kind.URL
    host = host_of(spec) if kind is not Kind.LOCAL else None
    return Source(kind=kind, version=entry.version, host=host, text=without_credentials(spec), facts=facts)
