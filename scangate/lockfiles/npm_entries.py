"""The entries of a package-lock, of either form, as one list: what stands where in the tree of node_modules.

Form `packages` (lockfileVersion 2 and 3, npm 7 and later): every key is a location. Form `dependencies`
(lockfileVersion 1, npm 5 and 6, and the shrinkwraps of npm 2 to 4 without a version): names within names.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from scangate.errors import LockfileError
from scangate.lockfiles.jsonlines import Object, Shape
from scangate.models import Scope

_NAMED: dict[str, Shape] = {}
_TREE: dict[str, Shape] = {"dependencies": {"*": _NAMED}}
_NAMED.update(_TREE)
SHAPE: Shape = {"packages": {"*": {}}, **_TREE}
"""The members of a package-lock whose lines are wanted."""

NODE_MODULES = "node_modules/"
_NAME = re.compile(r"(?:@[A-Za-z0-9~!'()*_-][A-Za-z0-9~!'()*._-]*/)?[A-Za-z0-9~!'()*_-][A-Za-z0-9~!'()*._-]*\Z")
_EXACT = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.+-]*\Z")
_HINT = "Make the lockfile anew with npm; if npm made this one, report it to scangate."
_MANIFEST_KEYS = ("dependencies", "optionalDependencies", "peerDependencies")

Needs = tuple[Mapping[str, object], ...]


@dataclass(slots=True, kw_only=True)
class Entry:
    """One place of the tree. `location` is its path from the project ("node_modules/a/node_modules/b").

    `name` is the package's own name (an alias has its alias in `location` only). `spec` is what npm fetches:
    `resolved`, or the version of a v1 entry that is no version. `target`: a link to this location.
    `own`: the project's own code (root, workspace, a linked directory's contents), which is no dependency.
    `needs`: names that it requires, in any number of maps.
    """

    location: str
    name: str
    line: int
    version: str | None = None
    spec: str | None = None
    integrity: str | None = None
    bundled: bool = False
    scope: Scope = Scope.PROD
    needs: Needs = ()
    target: str | None = None
    own: bool = False


@dataclass(slots=True, kw_only=True)
class Tree:
    """`entries` in the file's order; `roots` are the locations whose needs are direct dependencies."""

    entries: list[Entry] = field(default_factory=list)
    roots: list[str] = field(default_factory=list)


def holder(location: str) -> tuple[str, str]:
    """Split a location into the place whose node_modules it is in, and its name there ("" where in none)."""
    place, found, name = f"/{location}".rpartition("/" + NODE_MODULES)
    return (place[1:], name) if found else (location, "")


def is_exact(version: str | None) -> bool:
    """Whether this is a version (semver, or what npm long took for one), not a range, tag or URL."""
    return version is not None and _EXACT.match(version) is not None


def is_name(name: str) -> bool:
    """Whether this can be an npm package's name (the characters that the registry ever took)."""
    return _NAME.match(name) is not None


class _Fields:
    """Members of one entry, with their types checked: a wrong type is an error at the entry's line."""

    __slots__ = ("line", "members", "path", "where")

    def __init__(self, path: str, where: str, line: int, members: object) -> None:
        self.path, self.where, self.line = path, where, line
        if not isinstance(members, dict):
            raise self.error("is not an object")
        self.members: dict[str, object] = members

    def error(self, problem: str) -> LockfileError:
        shown = self.where if len(self.where) <= 100 else self.where[:100] + "…"
        return LockfileError(self.path, f"entry {shown!r} {problem}", _HINT, line=self.line)

    def text(self, key: str) -> str | None:
        value = self.members.get(key)
        if value is None or isinstance(value, str):
            return value or None
        raise self.error(f"has a {key} that is not text")

    def flag(self, key: str) -> bool:
        value = self.members.get(key, False)
        if isinstance(value, bool):
            return value
        raise self.error(f"has a {key!r} that is neither true nor false")

    def needs(self, keys: Iterable[str]) -> Needs:
        return tuple(self._map(key) for key in keys if key in self.members)

    def _map(self, key: str) -> Mapping[str, object]:
        value = self.members[key]
        if not isinstance(value, dict):
            raise self.error(f"has {key} that are not an object")
        return value

    def scope(self) -> Scope:
        """npm: "dev" is needed by development only, "optional" by optional packages only, "devOptional" by both."""
        if not ("dev" in self.members or "optional" in self.members or "devOptional" in self.members):
            return Scope.PROD
        if self.flag("dev"):
            return Scope.DEV
        return Scope.OPTIONAL if self.flag("optional") or self.flag("devOptional") else Scope.PROD

    def checked(self, name: str) -> str:
        if not is_name(name):
            raise self.error(f"names {name[:100]!r}, which cannot be a package's name")
        return name


# ------------------------------------------------------------------------------------------------- packages


def from_packages(packages: Object, path: str, manifest: Object | None = None) -> Tree:
    """The entries of the `packages` form; `manifest` is the package.json for a file without its root entry."""
    tree = _rooted(manifest, path)
    lines = packages.lines
    for location, members in packages.items():
        fields = _Fields(path, location, lines[location], members)
        tree.entries.append(_package(location, fields))
    _mark_workspaces(tree, packages, path)
    return tree


def _package(location: str, fields: _Fields) -> Entry:
    members = fields.members
    place, folder = holder(location)
    spec = fields.text("resolved")
    name = fields.text("name") or folder
    entry = Entry(
        location=location,
        name=fields.checked(name) if folder else name or place.rpartition("/")[2],
        line=fields.line,
        version=fields.text("version"),
        spec=spec,
        integrity=fields.text("integrity"),
        scope=fields.scope(),
    )
    if folder:
        fields.checked(folder)
        entry.needs = _without_optional_peers(fields, fields.needs(_MANIFEST_KEYS))
        entry.bundled = "inBundle" in members and fields.flag("inBundle")
    else:
        entry.needs = fields.needs((*_MANIFEST_KEYS, "devDependencies"))
        # A directory of the project is fetched from nowhere; one that says otherwise is a dependency in disguise.
        entry.own = spec is None
        if not entry.own:
            fields.checked(name)
    if "link" in members and fields.flag("link"):
        if spec is None:
            raise fields.error("is a link without a target")
        entry.target = spec.removeprefix("file:").rstrip("/")
    return entry


def _without_optional_peers(fields: _Fields, needs: Needs) -> Needs:
    """An optional peer brings nothing in: it must not be the reason why a package is there."""
    meta = fields.members.get("peerDependenciesMeta")
    if not isinstance(meta, dict):
        return needs
    optional = {name for name, about in meta.items() if isinstance(about, dict) and about.get("optional") is True}
    peers = fields.members.get("peerDependencies")
    return tuple(
        {name: wanted for name, wanted in names.items() if name not in optional} if names is peers else names
        for names in needs
    )


def _mark_workspaces(tree: Tree, packages: Object, path: str) -> None:
    """Workspaces are roots beside the project itself, and the links to them are the project's own code."""
    if "" in packages:
        tree.roots.append("")
    root = packages.get("")
    patterns = list(_workspace_patterns(root if isinstance(root, dict) else {}, path))
    if not patterns:
        return
    for entry in tree.entries:
        place = entry.location if entry.target is None else entry.target
        if (entry.own or entry.target is not None) and place and _is_workspace(place, patterns):
            if entry.target is None:
                tree.roots.append(entry.location)
            entry.own = True


def _workspace_patterns(root: Mapping[str, object], path: str) -> Iterator[tuple[bool, re.Pattern[str]]]:
    """The globs of `workspaces` (a list, or yarn's {"packages": list}); False for a "!" one."""
    globs = root.get("workspaces", [])
    if isinstance(globs, dict):
        globs = globs.get("packages", [])
    if not isinstance(globs, list) or not all(isinstance(glob, str) for glob in globs):
        raise LockfileError(path, 'entry "" has workspaces that are not a list of paths', _HINT)
    for glob in globs:
        negated = glob.startswith("!")
        plain = glob.lstrip("!").removeprefix("./").strip("/")
        parts = re.split(r"(\*\*/?|\*|\?)", plain)
        regex = "".join(_GLOB.get(part, re.escape(part)) for part in parts)
        yield not negated, re.compile(regex + r"\Z")


_GLOB = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def _is_workspace(place: str, patterns: list[tuple[bool, re.Pattern[str]]]) -> bool:
    """The last pattern that matches decides, as npm has it."""
    return next((positive for positive, pattern in reversed(patterns) if pattern.match(place)), False)


# --------------------------------------------------------------------------------------------- dependencies


def from_dependencies(document: Object, path: str, manifest: Object | None) -> Tree:
    """The entries of the `dependencies` form; the project's own needs stand in its package.json (`manifest`)."""
    tree = _rooted(manifest, path)
    tree.entries.extend(_nested(document, "", path))
    return tree


def _rooted(manifest: Object | None, path: str) -> Tree:
    if manifest is None:
        return Tree()
    root = _Fields(f"{path[: path.rfind('/') + 1]}package.json", "", 1, manifest)
    needs = root.needs((*_MANIFEST_KEYS, "devDependencies"))
    return Tree(entries=[Entry(location="", name="", line=1, needs=needs, own=True)], roots=[""])


def _nested(members: Mapping[str, object], place: str, path: str) -> Iterator[Entry]:
    dependencies = members.get("dependencies")
    if dependencies is None:
        return
    if not isinstance(dependencies, Object):
        line = members.lines["dependencies"] if isinstance(members, Object) else None
        raise LockfileError(path, "dependencies are not an object", _HINT, line=line)
    for name, inner in dependencies.items():
        fields = _Fields(path, name, dependencies.lines[name], inner)
        location = f"{place}{NODE_MODULES}{fields.checked(name)}"
        yield _dependency(location, name, fields)
        yield from _nested(fields.members, f"{location}/", path)


def _dependency(location: str, name: str, fields: _Fields) -> Entry:
    version, spec, integrity = fields.text("version"), fields.text("resolved"), fields.text("integrity")
    requires = fields.members.get("requires")
    if version is not None and version.startswith("npm:"):
        name, _, version = version[4:].rpartition("@")
        fields.checked(name)
    elif version is not None and not is_exact(version):
        spec, version = version, None
    elif spec is None and integrity is None:
        spec = _requested(fields.text("from"), name)
    return Entry(
        location=location,
        name=name,
        line=fields.line,
        version=version,
        spec=spec,
        integrity=integrity,
        bundled="bundled" in fields.members and fields.flag("bundled"),
        scope=fields.scope(),
        needs=() if requires is None or isinstance(requires, bool) else fields.needs(("requires",)),
    )


def _requested(text: str | None, name: str) -> str | None:
    """`from` of an entry that has neither resolved nor integrity: npm fetches that where it is no version or range."""
    if text is None:
        return None
    spec = text.removeprefix(f"{name}@")
    return spec if ":" in spec or "/" in spec.removeprefix(f"@{name}") else None
