"""Where pip takes packages from: the index options of a whole run, and what they mean for one name."""

from dataclasses import dataclass, field
from functools import cached_property

from scangate.lockfiles.local_places import above, spots
from scangate.lockfiles.requirements_lines import LogicalLine
from scangate.lockfiles.requirements_options import Options
from scangate.models.lockfile import ANYWHERE, Ecosystem, Kind, LockFact
from scangate.registries import DEFAULT_URL, Registries
from scangate.urls import host_of, source_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An index or a find-links page or directory. `line` is None for pip's default index."""

    option: str
    url: str
    line: LogicalLine | None = None

    @property
    def host(self) -> str | None:
        """None for a directory, and for a host that an environment variable names."""
        return None if "${" in (host_of(self.url) or "${") else host_of(self.url)

    @property
    def is_local(self) -> bool:
        return self.url.lower().startswith("file:") or ("://" not in self.url and "${" not in self.url)

    @property
    def is_default(self) -> bool:
        return self.option != "--find-links" and self.url.rstrip("/") == DEFAULT_URL[Ecosystem.PYPI]

    @property
    def exact(self) -> str:
        """What tells it from others: pip asks an index the same with and without a slash at its end."""
        return self.url if self.option == "--find-links" and "://" in self.url else self.url.rstrip("/")

    def __str__(self) -> str:
        if self.host is not None:
            return self.host
        return "a directory" if self.is_local else "a host that an environment variable names"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedAt:
    """Where one name comes from. `ambiguous`: from the public registry or from elsewhere, nobody can tell."""

    kind: Kind
    host: str | None = None
    confused_with: str | None = None
    tied_by: str | None = None
    ambiguous: bool = False


@dataclass(slots=True)
class PlacesReader:
    """Collects the index options as pip does: one state for the run, changed line by line."""

    indexes: list[Place] = field(default_factory=lambda: [Place(option="--index-url", url=DEFAULT_URL[Ecosystem.PYPI])])
    find_links: list[Place] = field(default_factory=list)
    no_index: bool = False

    def apply(self, options: Options, line: LogicalLine) -> None:
        """pip: "--no-index" stays; "--index-url" drops the extra ones before it; one "--find-links" a line."""
        if options.no_index:
            self.no_index, self.indexes = True, []
        if options.index_url and not self.no_index:
            self.indexes = [Place(option="--index-url", url=options.index_url, line=line)]
        if not self.no_index:
            self.indexes += [Place(option="--extra-index-url", url=url, line=line) for url in options.extra_index_url]
        self.find_links += [Place(option="--find-links", url=url, line=line) for url in options.find_links[:1]]


@dataclass(frozen=True, kw_only=True)
class Places:
    """Every place that pip looks at for a name; it takes the best match from whichever has it.

    `path` is the file that pip is given.
    """

    all: tuple[Place, ...]
    registries: Registries
    path: str

    def of(self, name: str) -> PlacedAt:
        """Decide for one normalised name."""
        owner = self.registries.owner(name)
        if owner is None:
            return self._untied
        hosts = [place.host for place in self.all if not place.is_local]
        if not hosts:
            return self._untied
        host = owner.host if owner.host in hosts else hosts[0]
        origin = self.registries.origin(Ecosystem.PYPI, name, host, configured=True)
        return PlacedAt(kind=origin.kind, host=host, confused_with=origin.confused_with, tied_by=origin.tied_by)

    def extra_index(self) -> LockFact:
        """What to say of the lockfile where a name's place is ambiguous."""
        public = ", ".join(str(place) for place, kind in self._kinds.items() if kind is Kind.REGISTRY)
        others = [place for place, kind in self._kinds.items() if kind is not Kind.REGISTRY]
        line = next(place.line for place in self.all[1:] if place.line is not None)
        return LockFact(
            check="extra-index",
            detail=f"{line.path}:{line.number}: pip takes any package from {public} or from "
            f"{', '.join(f'{place} ({place.option})' for place in others)}, whichever has the better match. Declare "
            "the host under registries in scangate.yml: as a mirror, or as private with the names that it has.",
            line=line.number,
            about=tuple(id_ for place in self.all if (id_ := source_id(place.exact))),
        )

    @cached_property
    def id(self) -> str | None:
        """The `source_id` of what is taken from any of them; None where pip asks its default index alone."""
        return source_id(*sorted(place.exact for place in self.all if not place.is_default))

    @cached_property
    def local(self) -> tuple[str, ...]:
        """The places of the project that pip looks at (`Dependency.places`)."""
        found = [place for place in self.all if place.is_local or "://" not in place.url]
        spots_ = {spot for place in found if place.line for spot in self.spots(place.url, place.line)}
        # The pages of an index lead to archives that stand beside them, or elsewhere.
        is_index = any(place.option != "--find-links" for place in found)
        return tuple(sorted(spots_ | {ANYWHERE} if is_index else spots_))

    def spots(self, path: str, line: LogicalLine) -> tuple[str, ...]:
        """What a path on this line may mean."""
        return spots(path, *above(line.path), *above(self.path))

    @cached_property
    def _kinds(self) -> dict[Place, Kind]:
        """What each place is by its host alone, whatever names are tied to it."""
        hosts = self.registries._replace(private=tuple(entry._replace(names=()) for entry in self.registries.private))
        return {
            place: Kind.FILE
            if place.is_local
            else hosts.origin(Ecosystem.PYPI, "", place.host, configured=place.option != "--find-links").kind
            for place in self.all
        }

    @cached_property
    def _untied(self) -> PlacedAt:
        """The answer for every name that scangate.yml ties to no private registry."""
        kinds = set(self._kinds.values())
        public = [place for place, kind in self._kinds.items() if kind is Kind.REGISTRY]
        others = [place for place, kind in self._kinds.items() if kind is not Kind.REGISTRY]
        if not others and public:
            return PlacedAt(kind=Kind.REGISTRY, host=public[0].host)
        if not public:
            hosts = {place.host for place in others}
            worst = next((kind for kind in (Kind.URL, Kind.PRIVATE_REGISTRY) if kind in kinds), Kind.FILE)
            return PlacedAt(kind=worst, host=hosts.pop() if len(hosts) == 1 else None)
        with_names = {entry.host for entry in self.registries.private if entry.names}
        if all(place.host in with_names for place in others):
            return PlacedAt(kind=Kind.REGISTRY, host=public[0].host)
        return PlacedAt(kind=Kind.PRIVATE_REGISTRY, ambiguous=True)
