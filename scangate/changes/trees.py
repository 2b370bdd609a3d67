"""A commit or the index as the parsers see it: names from one listing, contents from the object store.

No checkout, no worktree, no filters: what is read are the bytes that git has. Symbolic links are followed inside the
tree alone, as in the working tree; what lies in a submodule is not part of the tree (but see `with_submodules`).
"""

import os
import posixpath
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from scangate.changes.discovery import INSTALLED, LEFT_OUT, Candidate, Discovery
from scangate.changes.git import Git, GitError
from scangate.changes.objects import Objects, TooLargeError
from scangate.errors import BaseError, LockfileError, UsageError
from scangate.files import MAX_LOCKFILE_BYTES
from scangate.globs import path_matches

MAX_LINKS = 40
"""Symbolic links that one path may lead through (as Linux has it)."""

MAX_NAMES = 1_000_000
"""Files of one tree."""

_LINK, _SUBMODULE = "120000", "160000"
_MAX_RENAMES = 1000
_EMPTY = (
    "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
    "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813",
)
"""The id of no content at all, by SHA-1 and by SHA-256."""
_INDEX_SIGNATURE = b"DIRC"


class Entry(NamedTuple):
    """A file of a tree: git's mode ("100644"), the id of its content, and the stage (not 0: a merge conflict).

    `objects` are those of the submodule that it lies in; None for the repository's own.
    """

    mode: str
    object_id: str
    stage: int = 0
    objects: Objects | None = None


class Place(NamedTuple):
    """Where the run stands in the repository, to translate between paths as people see them and as git has them.

    `prefix` is the working directory below the repository's root ("" or "web/app/"); `cwd` is absolute.
    """

    cwd: Path
    prefix: str

    @classmethod
    def of(cls, git: Git) -> "Place":
        """Where git's folder stands. Raises GitError outside of a repository."""
        prefix = os.fsdecode(git.run("rev-parse", "--show-prefix").removesuffix(b"\n"))
        cwd = os.path.abspath(git.folder)  # noqa: PTH100 - resolve() would replace links, and so the name that was given
        return cls(cwd=Path(cwd), prefix=prefix)

    @property
    def root(self) -> Path:
        """The repository's root, by the name that leads to the working directory."""
        ups = [".."] * self.prefix.count("/")
        return Path(os.path.normpath(self.cwd.joinpath(*ups)))

    def shown(self, path: str) -> str:
        """A path in the repository, as `discovery` shows it: relative to the working directory, else absolute."""
        if path.startswith(self.prefix):
            return path[len(self.prefix) :]
        return (self.root / path).as_posix()

    def inside(self, shown: str) -> str | None:
        """The path in the repository ("" is its root); None where it leads out of it."""
        path = posixpath.normpath(posixpath.join(self.cwd.as_posix(), shown))
        for root in (self.root, Path(os.path.realpath(self.root))):
            if Path(path).is_relative_to(root):
                relative = Path(path).relative_to(root).as_posix()
                return "" if relative == "." else relative
        return None


class GitTree:
    """`files.Files` over a tree of git, with paths as `Place` shows them."""

    def __init__(self, entries: Mapping[str, Entry], objects: Objects, place: Place) -> None:
        self.place = place
        self._objects = objects
        self._entries = {path: entry for path, entry in entries.items() if entry.mode != _SUBMODULE}
        self.submodules = {path: entry.object_id for path, entry in entries.items() if entry.mode == _SUBMODULE}
        """Path in the repository and commit of each: its files are not part of this tree, or below that path in it."""
        self._has_links = any(entry.mode == _LINK for entry in self._entries.values())

    def with_submodules(self, git: Git, is_seen: Callable[[str], bool]) -> "GitTree":
        """The tree with the files of those submodules that are seen, each at the commit that the tree names.

        `is_seen` tells by its path in the repository whether one is checked out, and git lists what is in it. Where its
        clone does not have the commit, the tree stays without its files.
        """
        entries = {**self._entries, **{path: Entry(_SUBMODULE, commit) for path, commit in self.submodules.items()}}
        waiting = [*self.submodules.items()]
        while waiting:
            path, commit = waiting.pop()
            if not is_seen(path):
                continue
            with suppress(GitError):
                below = git.at(self.place.root / path)
                listing = [*_from_tree(_tree_of(below, commit))]
                objects = self._objects.also(below)
                entries |= {f"{path}/{name}": entry._replace(objects=objects) for name, entry in listing}
                waiting += [(f"{path}/{name}", one.object_id) for name, one in listing if one.mode == _SUBMODULE]
        return GitTree(entries, self._objects, self.place)

    def __iter__(self) -> Iterator[str]:
        """All files, as paths in the repository, in git's order."""
        return iter(self._entries)

    def read(self, path: str) -> bytes | None:
        """The file's bytes; None where there is no such file.

        Raises LockfileError where the path leaves the tree, or is a submodule, or in conflict, or larger than
        MAX_LOCKFILE_BYTES; GitError where git cannot give what it lists.
        """
        entry = self.entry(path)
        return None if entry is None else self._content(path, entry)

    def entry(self, path: str) -> Entry | None:
        """What stands at the path, links followed; None where nothing does. Raises LockfileError as `read` does."""
        place = self.resolved(path)
        entry = self._entries.get(place)
        if entry is not None and entry.stage:
            raise LockfileError(path, "it has a merge conflict in the index.", "Resolve the conflict and git add it.")
        if entry is None and place in self.submodules:
            raise LockfileError(path, "it is a submodule.", "Name a lockfile, or remove what has its name.")
        return entry

    def _content(self, path: str, entry: Entry) -> bytes:
        try:
            return (entry.objects or self._objects).blob(entry.object_id)
        except TooLargeError as exc:
            raise LockfileError(
                path,
                f"it is larger than {MAX_LOCKFILE_BYTES // 2**20} MiB.",
                "No known lockfile is that large: check what wrote it, or exclude it in scangate.yml.",
            ) from exc

    def resolved(self, path: str) -> str:
        """The path in the repository, links followed. Raises LockfileError where it leaves the tree."""
        place = self.place.inside(path)
        if place is None:
            raise _leads_out(path)
        if not self._has_links:
            return place
        done: list[str] = []
        rest = place.split("/")
        links = 0
        while rest:
            name = rest.pop(0)
            if name == "..":
                if not done:
                    raise _leads_out(path)
                done.pop()
            elif name not in ("", "."):
                done.append(name)
                entry = self._entries.get("/".join(done))
                if entry is not None and entry.mode == _LINK:
                    links += 1
                    if links > MAX_LINKS:
                        raise LockfileError(path, "too many symbolic links.", "Replace the link by a file.")
                    rest = self._target(path, entry).split("/") + rest
                    done.pop()
        return "/".join(done)

    def _target(self, path: str, entry: Entry) -> str:
        target = os.fsdecode(self._content(path, entry))
        if target.startswith("/"):
            raise _leads_out(path)
        return target


def at_commit(git: Git, commit: str, objects: Objects, place: Place) -> GitTree:
    """A commit's tree. `commit` is a full id. Raises GitError."""
    return GitTree(dict(_from_tree(_tree_of(git, commit))), objects, place)


def of_index(
    git: Git,
    objects: Objects,
    place: Place,
    index: Path | None = None,
    *,
    matters: Callable[[str], bool] = lambda _path: True,
) -> GitTree:
    """The index's tree: what would be committed. `index` as `index_file` gives it. Raises GitError.

    What is only intended to be added (`git add -N`) is not in it, where it `matters`, as a path in the repository: to
    the listing it is an empty file.
    """
    at_root = git.at(place.root)
    entries = dict(_from_index(at_root.run("ls-files", "--stage", "-z", index=index)))
    empty = [path for path, entry in entries.items() if entry.object_id in _EMPTY and matters(path)]
    if empty:
        options = ("--name-only", "-z", "--diff-filter=A", "--no-ext-diff", "--ignore-submodules")
        for record in _records(at_root.run("diff-files", *options, "--", *empty[:_MAX_RENAMES], index=index)):
            entries.pop(os.fsdecode(record), None)
    return GitTree(entries, objects, place)


def index_file(environ: Mapping[str, str], place: Place) -> Path | None:
    """The index that GIT_INDEX_FILE names (in `git commit -a` and `git commit PATH` it is not the usual one).

    None where it names none. Raises UsageError where it is no index.
    """
    named = environ.get("GIT_INDEX_FILE", "")
    if not named:
        return None
    path = place.root / named  # git runs hooks in the root
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            is_index = stat.S_ISREG(os.fstat(file.fileno()).st_mode) and file.read(4) == _INDEX_SIGNATURE
    except FileNotFoundError:
        # Nothing staged yet in a new repository.
        is_index = path == place.root / ".git" / "index"
    except (OSError, ValueError):
        is_index = False
    if not is_index:
        raise UsageError(f"GIT_INDEX_FILE names {named!r}, which is not an index of git.", "Unset GIT_INDEX_FILE.")
    return path


def lockfiles_in(
    tree: GitTree,
    paths: Sequence[str] = (),
    *,
    recognise: Callable[[str], str | None],
    formats: Collection[str],
    exclude: Iterable[str] = (),
    lockfile_as: str | None = None,
) -> Discovery:
    """What `discovery.discover` would find at the same PATHs if the tree were checked out, which may be nothing.

    A PATH that the tree has neither as a file nor as a folder, or that lies outside of it, has no lockfiles in it.
    """
    patterns = tuple(exclude)
    targets = [place for path in paths or (".",) if (place := tree.place.inside(path)) is not None]
    found: list[Candidate] = []
    vendored: list[Candidate] = []
    for name in tree:
        for target in targets:
            below = _below(name, target)
            format_ = (lockfile_as if below == "" else None) or recognise(name)
            # What is named as PATH was asked for, excluded or not.
            if below is None or format_ is None or (below != "" and path_matches(patterns, name)):
                continue
            one = Candidate(path=tree.place.shown(name), format=format_, supported=format_ in formats, files=tree)
            folders = below.split("/")[:-1]
            if LEFT_OUT.isdisjoint(folders):
                found.append(one)
            elif INSTALLED.isdisjoint(folders):
                vendored.append(one)
    return Discovery.of(found, vendored)


def renames(
    git: Git,
    place: Place,
    base: str,
    *,
    gone: Collection[str],
    added: Collection[str],
    head: str | None = None,
    cached: bool = False,
    index: Path | None = None,
) -> dict[str, str]:
    """Which of the `added` paths were which of the `gone` ones, by git's measure of likeness: {added: gone}.

    Paths are as shown. Compared with `base` is the commit `head`; without one the index (`cached`), else the working
    tree. No git runs where nothing is gone or nothing added. Raises GitError.
    """
    inside = {shown: path for shown in (*gone, *added) if (path := place.inside(shown)) is not None}
    if not any(path in inside for path in gone) or not any(path in inside for path in added):
        return {}
    verb = ["diff-tree", "-r"] if head is not None else ["diff-index", *(["--cached"] if cached else [])]
    options = ["-M", f"-l{_MAX_RENAMES}", "-z", "--name-status", "--diff-filter=R", "--no-ext-diff", "--no-textconv"]
    commits = [base] if head is None else [base, head]
    # git measures only what it is shown; a longer list would not fit a command line.
    limit = sorted(inside.values()) if len(inside) <= _MAX_RENAMES else []
    output = git.at(place.root).run(*verb, *options, "--end-of-options", *commits, "--", *limit, index=index)
    fields = [place.shown(os.fsdecode(field)) for field in output.split(b"\0")]
    pairs = zip(fields[1::3], fields[2::3], strict=False)
    return {new: old for old, new in pairs if old in gone and new in added}


def _below(name: str, target: str) -> str | None:
    """The rest of the name below the folder `target`; "" where it is the target itself, None elsewhere."""
    if name == target:
        return ""
    if target == "":
        return name
    return name.removeprefix(f"{target}/") if name.startswith(f"{target}/") else None


def _tree_of(git: Git, commit: str) -> bytes:
    return git.run("ls-tree", "-r", "-z", "--full-tree", "--end-of-options", commit)


def _from_tree(listing: bytes) -> Iterator[tuple[str, Entry]]:
    for record in _records(listing):
        facts, _, path = record.partition(b"\t")
        mode, _, object_id = facts.decode("ascii").split(" ")
        yield os.fsdecode(path), Entry(mode, object_id)


def _from_index(listing: bytes) -> Iterator[tuple[str, Entry]]:
    for record in _records(listing):
        facts, _, path = record.partition(b"\t")
        mode, object_id, stage = facts.decode("ascii").split(" ")
        yield os.fsdecode(path), Entry(mode, object_id, int(stage))


def _records(listing: bytes) -> list[bytes]:
    records = [record for record in listing.split(b"\0") if record]
    if len(records) > MAX_NAMES:
        raise BaseError(f"The repository has more than {MAX_NAMES} files.", "Check with --all, and name PATHs.")
    return records


def _leads_out(path: str) -> LockfileError:
    return LockfileError(
        path,
        "it leads out of the files that are checked.",
        "Replace the link or the path by a file inside, or name the file itself as PATH.",
    )
