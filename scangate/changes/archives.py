"""Archives of the project that packages are installed from: other content there is something new.

The lockfile may stay the same meanwhile, and whether git tracks the archive makes no difference to a package manager.
"""

import os
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice, takewhile
from pathlib import Path
from urllib.parse import unquote

from scangate.changes.discovery import Candidate
from scangate.changes.git import GitError
from scangate.changes.trees import GitTree
from scangate.changes.unchanged import included_by, is_same_file
from scangate.errors import LockfileError
from scangate.files import Files
from scangate.models.lockfile import ANYWHERE

_PIP = "pip-requirements"
_PAGES = (".html", ".htm", ".shtml", ".xhtml")
"""What pip takes for a list of links, which may lead to any archive."""
_LFS = rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize \d+\n"
"""A pointer without extensions: those would change the content (git-lfs, docs/spec.md)."""
# As pip, npm and Poetry have them.
_ARCHIVES = (
    *(".whl", ".egg", ".zip", ".tar", ".tgz", ".tbz", ".tbz2", ".txz", ".tlz"),
    *(".gz", ".bz2", ".xz", ".lz", ".lzma"),
)


def _npm_may(content: bytes) -> bool:
    # A value that may end in an archive's name (".tgz", ".tar.gz"), and is no URL of the web. Megabytes are searched at
    # each start: each pattern begins with a literal, and one byte is found faster than two.
    value = rb"""%s"\s*:\s*"(?!https?://)[^"]*(?:\.[tT]|\\)"""
    keys = (b"resolved", b"version", b"from")
    return any(re.search(value % key, content) for key in keys) or (b"\\" in content and b"\\u" in content)


def _poetry_may(content: bytes) -> bool:
    return re.search(rb"""(?<![\w ])file["']|\\[uUx\s]""", content) is not None


def _pip_may(content: bytes) -> bool:
    """Of one file: what it includes is looked into as well. UTF-16 and the like can be read, and not searched."""
    path = rb"(?i)\.(?:whl|zip|tar|t[a-z]z|t[a-z]z2)\b|file:|\$\{|[^\x00-\x7f]|\x00"
    option = rb"(?:^|\s)--?(?:f|(?:i|ex|pypi)[\w-]*+[=\s]*+(?!https?://))"
    return re.search(path, content) is not None or re.search(option, content) is not None


_MAY: Mapping[str, Callable[[bytes], bool]] = {
    "npm-package-lock": _npm_may,
    "poetry-lock": _poetry_may,
    _PIP: _pip_may,
}
"""Whether a lockfile's text has what it needs to take an archive of the project, in whatever spelling."""


def may_take(found: Iterable[Candidate]) -> bool:
    """Whether any of the lockfiles could take an archive of the project; where one cannot be read, it could."""
    return any(_may(one) for one in found if one.supported)


def _may(one: Candidate) -> bool:
    may = _MAY.get(one.format)
    if may is None:
        return True  # a format that nobody has looked at for it
    waiting, seen = [one.path], {one.path}
    try:
        while waiting:
            path = waiting.pop()
            content = one.files.read(path)
            if content is None:
                continue
            if may(content):
                return True
            included = included_by(path, content) if one.format == _PIP else ()
            if included is None:
                return True
            waiting += set(included) - seen
            seen.update(included)
    except (LockfileError, GitError):
        return True
    return False


def may_have(trees: Iterable[GitTree]) -> bool:
    """Whether any of the trees has an archive, or a page that may lead to one, that could be taken."""
    return any(is_taken("/\n".join(tree)) for tree in trees)  # all names at once: there may be a million


def is_taken(path: str) -> bool:
    """Whether the path is one of an archive that could be installed, or of a page of links.

    So is all that lies in a folder of such a name: pip builds what is in it.
    """
    lower = path.lower() + "/"
    return any(f"{end}/" in lower for end in (*_ARCHIVES, *_PAGES))


class Archives:
    """The archives in the base's tree beside those that are there now.

    `now` reads what is checked, with paths as shown. `names` lists all of it, as paths in the repository: it is asked
    where an archive can be anywhere.
    """

    def __init__(self, before: GitTree, now: Files, names: Callable[[], Iterable[str]]) -> None:
        self._before = before
        self._now = now
        self._names = names
        self._seen: dict[str, bool | None] = {}

    def moved(self, entries: Iterable[tuple[str, ...]]) -> frozenset[str]:
        """Those of the entries' places (`Dependency.places`) with other content than in the base; some came, or went.

        A path that leads to nothing here, by any reading, is one of the machine on which it is installed. Most of the
        project may have been copied there: it may lead to any archive.
        """
        return frozenset(place for places in {*entries} for place in self._moved_of(places))

    def _moved_of(self, places: tuple[str, ...]) -> Iterator[str]:
        named: dict[str, dict[str, bool | None]] = {}
        for place in places:
            named.setdefault(_name(place), {})[place] = self._differs(place)
        for readings in named.values():
            yield from (place for place, differs in readings.items() if differs)
            if all(differs is None for differs in readings.values()) and self._differs_anywhere:
                yield max(readings, key=len)  # other projects of the repository have the shorter ones, too

    def _differs(self, place: str) -> bool | None:
        """None where nothing is there, now and in the base."""
        if place == ANYWHERE:
            return self._differs_anywhere
        if place not in self._seen:
            # A package manager may be run above the folder that is checked.
            ups = 0 if place.startswith("/") else self._before.place.prefix.count("/")
            inside = {self._before.place.inside("../" * up + place) for up in range(ups + 1)}
            found = {self._differs_at(path) for path in inside if path is not None}
            self._seen[place] = True if True in found else False if False in found else None
        return self._seen[place]

    def _differs_at(self, path: str) -> bool | None:
        try:
            before, now = self._before_in(path), self._now_in(path)
            was_file = before is None and self._before.entry(self._before.place.shown(path)) is not None
        except (LockfileError, GitError):
            return True  # a link that leads out, for one
        found = {posixpath.join(path, name) for name in (before or set()) | (now or set())}
        # What is listed and no file is a link to a folder, which is not looked into.
        if not all(self._is_same(one) and self._before.entry(self._before.place.shown(one)) for one in found):
            return True
        if was_file if now is not None else not self._is_same(path):
            return True
        if before is None and now is None and not was_file:
            return None
        return any(one.lower().endswith(_PAGES) for one in (path, *found)) and self._differs_anywhere

    @cached_property
    def _differs_anywhere(self) -> bool:
        return any(not self._is_same(path) for path in {*self._before, *self._names()} if is_taken(path))

    def _is_same(self, path: str) -> bool:
        try:
            shown = self._before.place.shown(path)
            return is_same_file(shown, self._now, self._before) or self._is_from_lfs(shown)
        except (LockfileError, GitError):
            return False  # too large to be compared, for one

    def _is_from_lfs(self, shown: str) -> bool:
        """Whether what is on disk is what the base has a pointer of Git LFS for."""
        if isinstance(self._now, GitTree):
            return False  # a pointer, too
        pointer, content = self._before.read(shown), self._now.read(shown)
        found = re.fullmatch(_LFS, pointer or b"")
        if found is None or content is None:
            return False
        from hashlib import sha256  # few projects keep archives so

        return sha256(content).hexdigest() == found[1].decode()

    # ------------------------------------------------------------------------------------- what is in a folder

    @cached_property
    def _sorted(self) -> tuple[Sequence[str], Sequence[str]]:
        """The files of the base, and those of the index or commit that is checked."""
        return sorted(self._before), sorted(self._now) if isinstance(self._now, GitTree) else ()

    def _before_in(self, folder: str) -> set[str] | None:
        return _in(self._before, self._sorted[0], folder)

    def _now_in(self, folder: str) -> set[str] | None:
        if isinstance(self._now, GitTree):
            return _in(self._now, self._sorted[1], folder)
        try:
            taken = [one for one in (self._before.place.root / folder).iterdir() if is_taken(f"{folder}/{one.name}")]
        except (OSError, ValueError):
            return None
        return {name for one in taken for name in _below(one)}


def _name(place: str) -> str:
    """What all readings of one path have in common."""
    name = posixpath.basename(unquote(place.partition("#")[0].partition("?")[0]).replace("\\", "/"))
    return "" if name in (".", "..") else name


def _below(taken: Path) -> Iterator[str]:
    """The file, or all files that are in the folder, as paths from beside it."""
    if taken.is_symlink() or not taken.is_dir():
        yield taken.name
    for folder, _, names in os.walk(taken):
        yield from ((Path(folder) / name).relative_to(taken.parent).as_posix() for name in names)


def _in(tree: GitTree, names: Sequence[str], folder: str) -> set[str] | None:
    """What can be taken from the folder, as names in it; None where it is none. Raises LockfileError as `tree` does."""
    from bisect import bisect_left  # most lockfiles take nothing from the project

    real = tree.resolved(tree.place.shown(folder))
    start = f"{real}/" if real else ""
    first = bisect_left(names, start)
    below = [name[len(start) :] for name in takewhile(lambda name: name.startswith(start), islice(names, first, None))]
    if not below and real not in tree.submodules:
        return None
    return {name for name in below if is_taken(f"{folder}/{name.partition('/')[0]}")}
