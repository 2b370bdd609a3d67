"""The entries of a package-lock, of either form, as one list: what stands where in the tree of node_modules.

Form `packages` (lockfileVersion 2 and 3, npm 7 and later): every key is a location. Form `dependencies`
(lockfileVersion 1, npm 5 and 6, and the shrinkwraps of npm 2 to 4 without a version): names within names.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

from scangate.digests import from_sri
from scangate.errors import LockfileError
from scangate.lockfiles.jsonlines import Object, Shape
from scangate.models.lockfile import Scope

_NAMED: dict[str, Shape] = {}
_TREE: dict[str, Shape] = {"dependencies": {"*": _NAMED}}
_NAMED.update(_TREE)
SHAPE: Shape = {"packages": {"*": {}}, **_TREE}
"""The members of a package-lock whose lines are wanted."""

NODE_MODULES = "node_modules/"
_NAME = re.compile(r"(?:@[A-Za-z0-9~!'()*_-][A-Za-z0-9~!'()*._-]*/)?[A-Za-z0-9~!'()*_-][A-Za-z0-9~!'()*._-]*\Z")
_EXACT = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.+-]*\Z")
# What npm-package-arg takes for anything but a version, range or tag.
_NOT_A_RANGE = re.compile(r"\.|.*[:/\\@]|.*\.(?:tgz|tar\.gz|tar)\Z", re.IGNORECASE | re.DOTALL)
_MAX_LOCATION = 4096  # PATH_MAX of Linux
_HINT = "Make the lockfile anew with npm; if npm made this one, report it to scangate."
_PROD = Scope.PROD
_MANIFEST_KEYS = ("dependencies", "optionalDependencies", "peerDependencies")

Needs = tuple[Mapping[str, object], ...]


class Entry(NamedTuple):
    """One place of the tree: `folder` within the node_modules of `place`; "" where it is in none.

    `location` is its path from the project ("node_modules/a/node_modules/b"). `name` is the package's own name (an
    alias has its alias as `folder`). `spec` is what npm fetches: `resolved`, or the version of a v1 entry that is no
    version. `needs`: the names that it requires, in any number of maps. `target`: a link to this location.
    `digests`: those of `integrity` that npm knows, junk in there protects nothing.
    `own`: the project's own code (root, workspace, a linked directory's contents), which is no dependency.
    """

    location: str
    place: str
    folder: str
    name: str
    line: int
    version: str | None = None
    spec: str | None = None
    digests: tuple[str, ...] = ()
    scope: Scope = Scope.PROD
    needs: Needs = ()
    bundled: bool = False
    target: str | None = None
    own: bool = False


class Tree:
    """`entries` in the file's order; `roots` are the locations whose needs are direct dependencies."""

    def __init__(self, entries: Iterable[Entry] = (), roots: Iterable[str] = ()) -> None:
        self.entries = list(entries)
        self.roots = list(roots)


def holder(location: str) -> tuple[str, str]:
    """Split a location into the place whose node_modules it is in, and its name there ("" where in none)."""
    place, found, name = f"/{location}".rpartition("/" + NODE_MODULES)
    return (place[1:], name) if found else (location, "")


def is_exact(version: str | None) -> bool:
    """Whether this is a version (semver, or what npm long took for one), not a range, tag or URL."""
    return version is not None and _EXACT.match(version) is not None


class _BadEntryError(Exception):
    """What is wrong with an entry; whoever knows its place makes a LockfileError of it."""

    def at(self, path: str, entry: str, line: int | None) -> LockfileError:
        shown = entry if len(entry) <= 100 else entry[:100] + "…"
        return LockfileError(path, f"entry {shown!r} {self}.", _HINT, line=line)


def _object(value: object) -> dict[str, object]:
    if isinstance(value, dict):
        return value
    raise _BadEntryError("is not an object")


def _text(members: Mapping[str, object], key: str) -> str | None:
    value = members.get(key)
    if isinstance(value, str):
        return value or None
    if value is None:
        return None
    raise _BadEntryError(f"has a {key!r} that is not text")


def _flag(members: Mapping[str, object], key: str) -> bool:
    value = members.get(key, False)
    if isinstance(value, bool):
        return value
    raise _BadEntryError(f"has a {key!r} that is neither true nor false")


def _needs(members: Mapping[str, object], keys: Iterable[str]) -> Needs:
    found: Needs = ()
    for key in keys:
        if key in members:
            value = members[key]
            if not isinstance(value, dict):
                raise _BadEntryError(f"has {key!r} that is not an object")
            found += (value,)
    return found


def scope_of(members: Mapping[str, object]) -> Scope:
    """npm: "dev" is needed by development only, "optional" by optional packages only, "devOptional" by both."""
    if "dev" in members and _flag(members, "dev"):
        return Scope.DEV
    if "optional" in members and _flag(members, "optional"):
        return Scope.OPTIONAL
    return Scope.OPTIONAL if "devOptional" in members and _flag(members, "devOptional") else _PROD


def _checked(name: str) -> str:
    if _NAME.match(name):
        return name
    raise _BadEntryError(f"names {name[:100]!r}, which cannot be a package's name")


# ------------------------------------------------------------------------------------------------- packages


def from_packages(packages: Object, path: str, manifest: Object | None = None) -> Tree:
    """The entries of the `packages` form; `manifest` is the package.json for a file without its root entry."""
    tree = _rooted(manifest, path)
    lines, add = packages.lines, tree.entries.append
    for location, members in packages.items():
        try:
            add(_package(location, lines[location], members if isinstance(members, dict) else _object(members)))
        except _BadEntryError as exc:
            raise exc.at(path, location, lines[location]) from exc
    _complete_links(tree)
    _mark_workspaces(tree, packages, path)
    return tree


def _package(location: str, line: int, members: dict[str, object]) -> Entry:
    if len(location) > _MAX_LOCATION:
        raise _BadEntryError(f"is longer than a path can be ({_MAX_LOCATION} characters)")
    if "\\" in location:
        raise _BadEntryError("holds a backslash: on Windows that is another place than elsewhere")
    place, folder = holder(location)
    version, spec, integrity = members.get("version"), members.get("resolved"), members.get("integrity")
    if not (isinstance(version, str) and isinstance(spec, str) and isinstance(integrity, str) and spec):
        version, spec, integrity = _text(members, "version"), _text(members, "resolved"), _text(members, "integrity")
    digests = from_sri(integrity) if integrity is not None else ()
    if not folder:
        # A directory of the project is fetched from nowhere; one that says otherwise is a dependency in disguise.
        name = _text(members, "name") or location.rpartition("/")[2]
        name = name if spec is None else _checked(name)
        needs = _needs(members, (*_MANIFEST_KEYS, "devDependencies"))
        return Entry(
            location, place, "", name, line, version, spec, digests, scope_of(members), needs, own=spec is None
        )
    name = _checked(folder)
    if "name" in members:
        name = _checked(_text(members, "name") or folder)
    needs = _needs(members, _MANIFEST_KEYS)
    if "peerDependenciesMeta" in members:
        needs = _without_optional_peers(members, needs)
    is_link = "link" in members and _flag(members, "link")
    if spec is None and version is not None and not is_link and _NOT_A_RANGE.match(version):
        # npm then fetches NAME@VERSION, whatever that is: "npm:other@1.0.0" and a URL give another package.
        spec, version = version, None
    bundled = "inBundle" in members and _flag(members, "inBundle")
    target = _target(spec) if is_link else None
    return Entry(location, place, folder, name, line, version, spec, digests, scope_of(members), needs, bundled, target)


def _target(spec: str | None) -> str:
    if spec is None:
        raise _BadEntryError("is a link without a target")
    return spec.removeprefix("file:").rstrip("/")


def _without_optional_peers(members: Mapping[str, object], needs: Needs) -> Needs:
    """An optional peer brings nothing in: it must not be the reason why a package is there."""
    meta = _object(members["peerDependenciesMeta"])
    optional = {name for name, about in meta.items() if isinstance(about, dict) and about.get("optional") is True}
    peers = members.get("peerDependencies")
    return tuple(
        {name: wanted for name, wanted in names.items() if name not in optional} if names is peers else names
        for names in needs
    )


def _complete_links(tree: Tree) -> None:
    """A link says no more than where it leads: its name, version and scope stand there."""
    links = [i for i, entry in enumerate(tree.entries) if entry.target is not None]
    directories = {entry.location: entry for entry in tree.entries if not entry.folder} if links else {}
    for i in links:
        link = tree.entries[i]
        target = directories.get(link.target or "")
        if target is not None:
            name = target.name if _NAME.match(target.name) else link.name
            tree.entries[i] = link._replace(name=name, version=target.version, scope=target.scope)


def _mark_workspaces(tree: Tree, packages: Object, path: str) -> None:
    """Workspaces are roots beside the project itself, and the links to them are the project's own code."""
    root = packages.get("")
    if root is None:
        return
    assert isinstance(root, dict)
    tree.roots.append("")
    try:
        patterns = list(_workspace_patterns(root))
    except _BadEntryError as exc:
        raise exc.at(path, "", packages.lines[""]) from exc
    for i, entry in enumerate(tree.entries) if patterns else ():
        place = entry.location if entry.target is None else entry.target
        if (entry.own or entry.target is not None) and place and _is_workspace(place, patterns):
            if entry.target is None:
                tree.roots.append(entry.location)
            tree.entries[i] = entry._replace(own=True)


def _workspace_patterns(root: Mapping[str, object]) -> Iterator[tuple[bool, list[str]]]:
    """The globs of `workspaces` (a list, or yarn's {"packages": list}), in segments; False for a "!" one."""
    globs = root.get("workspaces", [])
    if isinstance(globs, dict):
        globs = globs.get("packages", [])
    if not isinstance(globs, list) or not all(isinstance(glob, str) for glob in globs):
        raise _BadEntryError("has workspaces that are not a list of paths")
    for glob in globs:
        yield not glob.startswith("!"), glob.lstrip("!").removeprefix("./").strip("/").split("/")


def _is_workspace(place: str, patterns: list[tuple[bool, list[str]]]) -> bool:
    """The last pattern that matches decides, as npm has it."""
    segments = place.split("/")
    return next((positive for positive, parts in reversed(patterns) if _matches(segments, parts)), False)


def _matches(segments: list[str], parts: list[str]) -> bool:
    """A glob, segment by segment and without going back: no pattern can take long. "**" stands for any number."""
    reached = {0}
    for i, part in enumerate(parts):
        if part == "**":
            # The last one stands for at least one segment.
            reached = set(range(min(reached) + (i == len(parts) - 1), len(segments) + 1))
        else:
            reached = {at + 1 for at in reached if at < len(segments) and fnmatchcase(segments[at], part)}
        if not reached:
            return False
    return len(segments) in reached


# --------------------------------------------------------------------------------------------- dependencies


def from_dependencies(document: Object, path: str, manifest: Object | None) -> Tree:
    """The entries of the `dependencies` form; the project's own needs stand in its package.json (`manifest`)."""
    tree = _rooted(manifest, path)
    tree.entries.extend(_nested(document, "", path))
    return tree


def _rooted(manifest: Object | None, path: str) -> Tree:
    if manifest is None:
        return Tree()
    try:
        needs = _needs(manifest, (*_MANIFEST_KEYS, "devDependencies"))
    except _BadEntryError as exc:
        raise exc.at(f"{path[: path.rfind('/') + 1]}package.json", "", None) from exc
    return Tree(entries=[Entry("", "", "", "", 1, needs=needs, own=True)], roots=[""])


def _nested(members: Mapping[str, object], place: str, path: str) -> Iterator[Entry]:
    dependencies = members.get("dependencies")
    if dependencies is None:
        return
    if not isinstance(dependencies, Object):
        line = members.lines["dependencies"] if isinstance(members, Object) else None
        raise LockfileError(path, "dependencies are not an object.", _HINT, line=line)
    for name, value in dependencies.items():
        line = dependencies.lines[name]
        try:
            inner = _object(value)
            entry = _dependency(name, place, line, inner)
        except _BadEntryError as exc:
            raise exc.at(path, name, line) from exc
        yield entry
        yield from _nested(inner, entry.location, path)


def _dependency(folder: str, place: str, line: int, members: dict[str, object]) -> Entry:
    version, spec, integrity = _text(members, "version"), _text(members, "resolved"), _text(members, "integrity")
    name = _checked(folder)
    if version is not None and version.startswith("npm:"):
        name, _, version = version[4:].rpartition("@")
        _checked(name)
        if spec is None and _NOT_A_RANGE.match(version):
            spec, version = version, None
    elif version is not None and not is_exact(version):
        spec, version = version, None
    elif spec is None and integrity is None:
        spec = _requested(_text(members, "from"), name)
    return Entry(
        f"{place}/{NODE_MODULES}{folder}" if place else f"{NODE_MODULES}{folder}",
        place,
        folder,
        name,
        line,
        version,
        spec,
        from_sri(integrity) if integrity is not None else (),
        scope_of(members),
        () if isinstance(members.get("requires"), bool) else _needs(members, ("requires",)),
        "bundled" in members and _flag(members, "bundled"),
    )


def _requested(text: str | None, name: str) -> str | None:
    """`from` of an entry that has neither resolved nor integrity: npm fetches that where it is no version or range."""
    if text is None:
        return None
    spec = text.removeprefix(f"{name}@")
    return spec if ":" in spec or "/" in spec.removeprefix(f"@{name}") else None
