"""Where the two halves of a lockfileVersion 2 file disagree.

npm 7 and later read `packages`, npm 6 reads `dependencies`: a file whose halves differ installs one thing on the
machine of the reviewer and another one elsewhere. `packages` is what scangate lists.
"""

from collections.abc import Iterator, Mapping

from scangate.lockfiles import npm_entries
from scangate.lockfiles.jsonlines import Object
from scangate.lockfiles.npm_entries import Entry, Tree
from scangate.models.lockfile import LockFact
from scangate.urls import source_id


def divergences(document: Object, tree: Tree, path: str) -> tuple[LockFact, ...]:
    """One fact for each entry that differs or is missing; none where the file has one half only."""
    if "dependencies" not in document:
        return ()
    packages = {entry.location: entry for entry in tree.entries}
    legacy = npm_entries.from_dependencies(document, path, None).entries
    return tuple(_compare(packages, legacy, document.lines["dependencies"]))


def _compare(packages: Mapping[str, Entry], legacy: list[Entry], line: int) -> Iterator[LockFact]:
    # Below a link, `dependencies` has the link's place, `packages` has its target's.
    moved: dict[str, str] = {}
    seen: set[str] = set()
    for entry in legacy:
        location = _followed(entry.location, moved)
        other = packages.get(location)
        seen.add(location)
        if other is None:
            yield _fact(entry.line, f"{entry.location} stands in dependencies and not in packages", entry)
            continue
        if other.target is not None:
            moved[entry.location] = other.target
        elif _differ(entry, other):
            yield _fact(entry.line, f"{entry.location} is not the same in dependencies and in packages", entry, other)
    for location, entry in packages.items():
        if entry.folder and location not in seen:
            yield _fact(entry.line, f"{location} stands in packages and not in dependencies (line {line})", entry)


def _followed(location: str, moved: Mapping[str, str]) -> str:
    place, name = npm_entries.holder(location)
    if not name or not moved:
        return location
    place = moved.get(place) or _followed(place, moved)
    return f"{place}/{npm_entries.NODE_MODULES}{name}" if place else location


def _differ(old: Entry, new: Entry) -> bool:
    """Whether two entries give other content. `dependencies` has no version for what comes by URL, file or git."""
    if old.version is not None and (old.name, old.version) != (new.name, new.version):
        return True
    if old.digests != new.digests:
        return True
    return old.spec != new.spec and old.version is not None


def _fact(line: int, what: str, *halves: Entry) -> LockFact:
    """The fact; it is another one where either half says something else than before."""
    said = (
        text or "" for one in halves for text in (one.location, one.name, one.version, one.spec, " ".join(one.digests))
    )
    detail = f"{what}: npm 6 and npm 7 install different things."
    return LockFact(check="v1-v2-divergence", detail=detail, line=line, about=(source_id(*said) or "",))
