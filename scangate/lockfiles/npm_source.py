"""Where the content of a package-lock's entry comes from, decided as npm decides it."""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import unquote

from scangate.lockfiles.npm_entries import Entry, is_exact
from scangate.lockfiles.npmrc import PUBLIC, Npmrc, Registry
from scangate.models.lockfile import Ecosystem, Kind, LockFact
from scangate.registries import DEFAULT_URL, PUBLIC_HOSTS, Registries
from scangate.urls import host_of, is_plain, source_id, without_credentials

_PUBLIC = PUBLIC_HOSTS[Ecosystem.NPM]
_WEB = re.compile(r"https?://", re.IGNORECASE)
# npm-package-arg: a shortcut of a git host, "user/repository", or any scheme that git speaks.
_GIT = re.compile(r"git[+:@]|ssh:|github:|gitlab:|bitbucket:|gist:|[^@./:~][^/:@]*/[^/:@#]+(?:#|\Z)", re.IGNORECASE)
_PATH = re.compile(r"file:|\.{0,2}/|\.{1,2}\Z|~/|[a-z]:[/\\]", re.IGNORECASE)
_ARCHIVE = re.compile(r"\.(?:tgz|tar\.gz|tar)\Z", re.IGNORECASE)


class Source(NamedTuple):
    """`text` is what the entry says, without credentials; `version` is for an entry that has none of its own.

    `id` is the dependency's `source_id`, `archive` the path of the archive on disk that it comes in, as written.
    """

    kind: Kind
    host: str | None = None
    text: str | None = None
    version: str | None = None
    facts: tuple[LockFact, ...] = ()
    id: str | None = None
    archive: str | None = None


_PUBLIC_URL = DEFAULT_URL[Ecosystem.NPM]
_ORDINARY = Source(kind=Kind.REGISTRY, host=host_of(_PUBLIC_URL))


class Sources:
    """Classifies the entries of one lockfile; `at` finds them by location."""

    def __init__(self, npmrc: Npmrc, registries: Registries, at: Mapping[str, Entry]) -> None:
        self._npmrc = npmrc
        self._registries = registries
        self._at = at
        # Nothing ties any name to another registry, nor puts another one in the public one's place.
        self._plain = not npmrc.scopes and npmrc.default == PUBLIC and not any(one.names for one in registries.private)

    def of(self, entry: Entry) -> Source:
        """Where the entry's content comes from."""
        if self._plain and _is_ordinary(entry):
            return _ORDINARY
        if entry.target is not None:
            return Source(kind=Kind.LOCAL, text=entry.target)
        if entry.spec is None:
            return self._without_url(entry)
        if _WEB.match(entry.spec):
            return self._by_url(entry, entry.spec)
        return _elsewhere(entry, entry.spec)

    def _without_url(self, entry: Entry) -> Source:
        if entry.bundled and not entry.digests:
            bundler = self._bundler(entry)
            if bundler is not None:
                return self._bundled(entry, bundler)
        registry = self._npmrc.asked_for(entry.name)
        kind, facts = self._kind(entry, registry)
        places = _places(registry)
        return Source(
            kind=_pinned(kind, entry.version),
            host=registry.host,
            facts=facts + _cleartext(entry, *places) + _unprotected(entry),
            id=source_id(*places),
        )

    def _bundler(self, entry: Entry) -> Entry | None:
        """The package in whose archive a bundled entry ships; None where the project itself bundles it."""
        bundler = self._at.get(entry.place)
        while bundler is not None and bundler.bundled:
            bundler = self._at.get(bundler.place)
        return None if bundler is None or bundler.own else bundler

    def _bundled(self, entry: Entry, bundler: Entry) -> Source:
        """What is bundled comes with its bundler, and is as public or private as that one."""
        outer = self.of(bundler)
        label = f"{bundler.name}@{bundler.version or outer.version}"
        detail = f"{entry.name} ships inside the archive of {label}: the registry's package of that name may differ."
        return Source(
            kind=_pinned(outer.kind, entry.version),
            host=outer.host,
            text=f"bundled in {label}",
            facts=(LockFact(check="bundled", detail=detail, line=entry.line),),
            archive=outer.archive,
        )

    def _by_url(self, entry: Entry, url: str) -> Source:
        registry = self._npmrc.fetched_from(host_of(url))
        kind, facts = self._kind(entry, registry)
        version = entry.version
        if kind is not Kind.URL:
            version = _named_by(url, entry.name, version, registry.host, kind)
            if version is None:
                facts += (_mismatch(entry, url),)
                # What the URL gives is not the public registry's package of this name and version.
                kind = Kind.URL if kind is Kind.REGISTRY else kind
        places, text = (*_places(registry), url), without_credentials(url)
        return Source(
            kind=_pinned(kind, version),
            host=registry.host,
            text=text,
            version=version,
            facts=facts + _cleartext(entry, *places) + _unprotected(entry),
            id=source_id(*places, shown=text),
        )

    def _kind(self, entry: Entry, registry: Registry) -> tuple[Kind, tuple[LockFact, ...]]:
        """The kind by scangate.yml, then by what .npmrc ties the scope to; with the fact of a confusion."""
        host = registry.host
        origin = self._registries.origin(Ecosystem.NPM, entry.name, host, configured=registry.configured)
        if origin.confused_with is not None:
            return origin.kind, (confusion(entry, host, origin.confused_with, origin.tied_by or "scangate.yml"),)
        tied = self._npmrc.tied(entry.name)
        if tied is None or tied.host in _PUBLIC or tied.host in self._registries.mirrors:
            return origin.kind, ()
        if tied.host is None:
            # Which registry it is stands in an environment variable: only what is public is surely not to be named.
            return Kind.PRIVATE_REGISTRY if origin.kind is Kind.REGISTRY else origin.kind, ()
        return Kind.PRIVATE_REGISTRY, () if tied.host == host else (confusion(entry, host, tied.host, ".npmrc"),)


def _is_ordinary(entry: Entry) -> bool:
    """From the public registry, by the URL of just this name and version, or by none; with a digest."""
    name, version = entry.name, entry.version
    if version is None or not entry.digests or entry.target is not None or not is_exact(version):
        return False
    return entry.spec is None or entry.spec == f"{_PUBLIC_URL}{name}/-/{name.rpartition('/')[2]}-{version}.tgz"


def confusion(entry: Entry, host: str | None, owner: str, tied_by: str) -> LockFact:
    """The fact that a name that belongs to a private registry comes from elsewhere."""
    detail = f"{entry.name} belongs to {owner} ({tied_by}), and comes from {host or 'elsewhere'}."
    return LockFact(check="confusion", detail=detail, line=entry.line)


def _pinned(kind: Kind, version: str | None) -> Kind:
    return Kind.UNPINNED if kind is Kind.REGISTRY and not is_exact(version) else kind


def _unprotected(entry: Entry) -> tuple[LockFact, ...]:
    if entry.digests:
        return ()
    detail = f"{entry.name} has no integrity digest: nothing holds its source to what was locked."
    return (LockFact(check="no-integrity", detail=detail, line=entry.line),)


def _places(registry: Registry) -> tuple[str, ...]:
    return () if registry.url is None else (registry.url,)


def _cleartext(entry: Entry, *urls: str) -> tuple[LockFact, ...]:
    plain = next(filter(is_plain, urls), None)
    if plain is None:
        return ()
    detail = f"{entry.name} is fetched without encryption from {host_of(plain) or 'an unknown host'}."
    return (LockFact(check="plain-http", detail=detail, line=entry.line),)


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
    """Registries leave build metadata ("+build") out of file names.

    Only an exact version can be agreed on: "1.0.0-/../../../other/-/other-1.0.0" would lead to another package.
    """
    if version is None:
        return named if is_exact(named) else None
    return version if is_exact(version) and named in (version, version.partition("+")[0]) else None


def _elsewhere(entry: Entry, spec: str) -> Source:
    """What comes from neither a registry nor the web."""
    if _PATH.match(spec):
        if _ARCHIVE.search(spec):
            return Source(kind=Kind.FILE, text=spec, archive=spec)
        return Source(kind=Kind.LOCAL, text=spec.removeprefix("file:"))  # as links have it
    # Anything that npm may make something else of ("npm:other@1.0.0", "https:host") is never a registry's package.
    kind = Kind.GIT if _GIT.match(spec) else Kind.URL
    text = without_credentials(spec)
    id_ = source_id(spec, shown=text)
    archive = spec if ":" not in spec and _ARCHIVE.search(spec) else None
    return Source(kind=kind, host=host_of(spec), text=text, facts=_cleartext(entry, spec), id=id_, archive=archive)
