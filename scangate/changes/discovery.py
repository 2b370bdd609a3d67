"""Which lockfiles there are to check: those that PATHs name, or all in the working directory.

In a git repository these are the tracked files, submodules included, and the untracked ones that are not ignored: a
lockfile that is new and not yet added counts, and so does one that a sparse checkout leaves out. Where git is missing,
refuses or fails, the folder is walked; a walk sees everything that git would have listed (but for what is not on disk),
and ignored files besides, so nothing can be missed by it.

Left out, wherever they lie below the searched folder: installed and vendored trees (LEFT_OUT), and virtual
environments (folders with a pyvenv.cfg, but never for a file that git tracks: else a planted pyvenv.cfg would hide a
lockfile), and what `exclude` matches. A folder that is itself named as PATH is searched, whatever its name.

Vendored trees hold other projects' lockfiles, hundreds in some, that nobody installs from; but a folder of one's own
may have that name. So those lockfiles there that git tracks are named in the answer, and so are the repositories inside
that are no submodules: git lists nothing in them.
"""

import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from scangate.changes.git import Git, GitError
from scangate.changes.worktree import WorkTree
from scangate.errors import UsageError
from scangate.files import Files
from scangate.globs import path_matches

VENDORED = frozenset({"vendor", "vendored", "third_party", "third-party"})
"""Names of folders that hold other people's code, if not always."""

INSTALLED = frozenset(
    {
        *(".git", ".hg", ".svn"),
        *("node_modules", "bower_components", "jspm_packages"),
        *("site-packages", "__pypackages__", ".tox", ".nox", ".eggs"),
    }
)
"""Names of folders that tools write."""

LEFT_OUT = VENDORED | INSTALLED
"""Names of folders that do not hold this project's lockfiles."""

MAX_ENTRIES = 1_000_000
"""Files and folders that a walk looks at, at most."""

MAX_DEPTH = 100
"""Folders that a walk descends, at most."""


class Candidate(NamedTuple):
    """A lockfile that was found, not read yet.

    `path` is relative to the working directory with "/", or absolute where it lies outside of it; `files.read(path)`
    reads it. `supported` is False where its format is recognised but cannot be read yet.
    A file name that is not UTF-8 stands in `path` as os.fsdecode gives it (lone surrogates).
    """

    path: str
    format: str
    supported: bool
    files: Files


class Discovery(NamedTuple):
    """What was found, each once, sorted by path.

    `vendored` are the lockfiles below VENDORED folders that git tracks, `repositories` the folders (as shown) of
    repositories inside that are no submodules. Neither are among the `lockfiles`. `tracked` is all that git tracks on
    disk in the searched folders, as shown, where it was asked.
    """

    lockfiles: tuple[Candidate, ...]
    vendored: tuple[Candidate, ...] = ()
    repositories: tuple[str, ...] = ()
    tracked: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        found: Iterable[Candidate],
        vendored: Iterable[Candidate] = (),
        repositories: Iterable[str] = (),
        tracked: frozenset[str] = frozenset(),
    ) -> "Discovery":
        lockfiles = {one.path: one for one in found}
        others = {one.path: one for one in vendored if one.path not in lockfiles}
        return cls(
            tuple(lockfiles[path] for path in sorted(lockfiles)),
            tuple(others[path] for path in sorted(others)),
            tuple(sorted(set(repositories))),
            tracked,
        )


def discover(
    paths: Sequence[str] = (),
    *,
    cwd: Path,
    environ: Mapping[str, str],
    recognise: Callable[[str], str | None],
    formats: Collection[str],
    exclude: Iterable[str] = (),
    lockfile_as: str | None = None,
    may_be_empty: bool = False,
    root: Path | None = None,
    max_entries: int = MAX_ENTRIES,
    max_depth: int = MAX_DEPTH,
) -> Discovery:
    """The lockfiles at `paths` (in the working directory where there are none).

    `recognise` gives a path's format, or None; `formats` are those that can be read. `exclude` are globs as
    `path_matches` takes them, from the repository's root, or from `cwd` where there is no repository.

    A folder is searched. A file is taken as `lockfile_as` says, else as its name says, and also where it is
    excluded: it was asked for. Raises UsageError where a PATH does not exist, or is a file that its name does not
    explain, or is a folder without any lockfile: an empty answer must not look like a pass. `may_be_empty`: a folder
    may have none, because the base has some; the caller then reports that they are gone. `root`: the repository
    that `cwd` lies in, where it is known.
    """
    search = _Search(
        cwd, environ, recognise, tuple(formats), tuple(exclude), may_be_empty, root, max_entries, max_depth
    )
    if lockfile_as is not None and lockfile_as not in search.formats:
        raise UsageError(f"--lockfile-as {lockfile_as!r} is not a lockfile format.", search.formats_hint())
    targets = [search.existing(path) for path in paths or (".",)]
    if lockfile_as is not None and all(target.is_dir() for target in targets):
        raise UsageError("--lockfile-as says what a file is, and no PATH is a file.", "Name the file as PATH.")
    found = [
        search.folder(target) if target.is_dir() else Discovery((search.file(target, lockfile_as),))
        for target in targets
    ]
    asked_for = {_absolute(target) for target in targets}
    inner = {path for each in found for path in each.repositories}
    return Discovery.of(
        (one for each in found for one in each.lockfiles),
        (one for each in found for one in each.vendored),
        (path for path in inner if _absolute(cwd / path) not in asked_for),
        found[0].tracked.union(*(each.tracked for each in found[1:])),
    )


class _Search(NamedTuple):
    cwd: Path
    environ: Mapping[str, str]
    recognise: Callable[[str], str | None]
    formats: tuple[str, ...]
    exclude: tuple[str, ...]
    may_be_empty: bool
    root: Path | None
    max_entries: int
    max_depth: int

    def existing(self, path: str) -> Path:
        target = self.cwd / path
        try:
            target.stat()
        except (OSError, ValueError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else "not a path"
            raise UsageError(f"{path}: {reason}.", "Name a lockfile, or a folder to search.") from exc
        return target

    def file(self, target: Path, lockfile_as: str | None) -> Candidate:
        shown = self._shown(target)
        format_ = lockfile_as or self.recognise(shown)
        if format_ is None:
            raise UsageError(f"{shown}: the name is not that of a lockfile.", self.formats_hint())
        root = self._root(target.parent)
        return self._candidate(shown, format_, WorkTree(self.cwd, root=root))

    def folder(self, folder: Path) -> Discovery:
        root = self._root(folder)
        start = os.path.relpath(os.path.realpath(folder), os.path.realpath(root)).replace(os.sep, "/")

        def excluded(name: str) -> bool:
            return path_matches(self.exclude, name if start == "." else f"{start}/{name}")

        listing = self._listing(folder, excluded)
        tree: Files = WorkTree(self.cwd, root=root)
        if listing.skipped:
            from scangate.changes.sparse import SparseTree

            tree = SparseTree(tree, Git(_absolute(folder), self.environ), listing.skipped, cwd=_absolute(self.cwd))

        def candidates(names: Iterable[str]) -> list[Candidate]:
            return [
                self._candidate(self._shown(folder / name), format_, tree)
                for name in names
                if (format_ := self.recognise(name)) is not None and not excluded(name)
            ]

        found = candidates(listing.names)
        if not found and not self.may_be_empty:
            raise UsageError(
                f"{self._shown(folder)}: no lockfile in this folder.",
                "Commit the lockfile of your package manager (files that git ignores do not count, nor do excluded "
                "ones), or name the file as PATH.",
            )
        inner = (self._shown(folder / name) for name in listing.repositories if not excluded(name))
        prefix = "" if folder == self.cwd else f"{self._shown(folder)}/"
        tracked = frozenset(f"{prefix}{name}" for name in listing.tracked) if prefix else listing.tracked
        return Discovery.of(found, candidates(listing.vendored), inner, tracked)

    def formats_hint(self) -> str:
        return f"Say what it is by --lockfile-as FORMAT, one of: {', '.join(self.formats)}."

    def _root(self, folder: Path) -> Path:
        """What a lockfile in the folder may refer to: its repository, else the working directory, else the folder."""
        if self.root is not None and folder == self.cwd:
            return self.root
        try:
            return Git(folder, self.environ).toplevel()
        except GitError:
            return self.cwd if _absolute(folder).is_relative_to(_absolute(self.cwd)) else folder

    def _listing(self, folder: Path, excluded: Callable[[str], bool]) -> "_Listing":
        """Files below the folder, as paths relative to it; recognised ones at least.

        And all tracked ones that a sparse checkout does not have on disk.
        """
        git = Git(folder, self.environ)
        try:
            (tracked, skipped), untracked = git.listed(), git.untracked()
        except GitError:
            return _Listing(self._walk(folder, excluded))
        known = [name for name in tracked if self.recognise(name) is not None and _is_there(folder, name, skipped)]
        new = [name for name in untracked - tracked if self.recognise(name) is not None or name.endswith("/")]
        other = [name for name in new if _is_searched(name) and not self._is_virtual(folder, name)]
        return _Listing(
            names=[*filter(_is_searched, known), *(name for name in other if _is_file(folder / name))],
            vendored=[name for name in known if not _is_searched(name) and INSTALLED.isdisjoint(name.split("/")[:-1])],
            repositories=[name[:-1] for name in other if name.endswith("/")],
            skipped=skipped,
            tracked=tracked - skipped,
        )

    def _is_virtual(self, folder: Path, name: str) -> bool:
        """Whether any folder that leads there is a virtual environment."""
        parents = name.split("/")[:-1]
        return any(_is_virtual_environment(folder.joinpath(*parents[:end])) for end in range(1, len(parents) + 1))

    def _walk(self, folder: Path, excluded: Callable[[str], bool]) -> Iterator[str]:
        entries = 0
        parents = [""]
        while parents:
            parent = parents.pop()
            for name, is_folder in _entries(folder / parent, self._shown(folder / parent)):
                path = f"{parent}/{name}" if parent else name
                entries += 1
                if entries > self.max_entries or path.count("/") > self.max_depth:
                    raise UsageError(
                        f"{self._shown(folder)}: more than {self.max_entries} files, or folders deeper than "
                        f"{self.max_depth} levels.",
                        "Name the lockfiles, or the folders that hold them, as PATH.",
                    )
                if not is_folder:
                    yield path
                elif name not in LEFT_OUT and not excluded(path) and not _is_virtual_environment(folder / path):
                    parents.append(path)

    def _candidate(self, shown: str, format_: str, files: Files) -> Candidate:
        return Candidate(path=shown, format=format_, supported=format_ in self.formats, files=files)

    def _shown(self, target: Path) -> str:
        absolute, cwd = _absolute(target), _absolute(self.cwd)
        return (absolute.relative_to(cwd) if absolute.is_relative_to(cwd) else absolute).as_posix()


class _Listing(NamedTuple):
    """Paths relative to a folder; `skipped` are those that need not be on disk."""

    names: Iterable[str]
    vendored: Sequence[str] = ()
    repositories: Sequence[str] = ()
    skipped: frozenset[str] = frozenset()
    tracked: frozenset[str] = frozenset()


def named(found: Iterable[Candidate], paths: Iterable[str], cwd: Path) -> frozenset[str]:
    """The paths of those that PATHs name themselves, not by a folder above them."""
    asked_for = {_absolute(cwd / path) for path in paths}
    return frozenset(one.path for one in found if _absolute(cwd / one.path) in asked_for)


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would replace links, and so the name that was given


def _is_searched(name: str) -> bool:
    return LEFT_OUT.isdisjoint(name.split("/")[:-1])


def _is_there(folder: Path, name: str, skipped: Collection[str]) -> bool:
    """Whether what git lists is a file: it lists deleted ones, too, and a submodule without content."""
    return name in skipped or _is_file(folder / name)


def _is_virtual_environment(folder: Path) -> bool:
    return os.path.lexists(folder / "pyvenv.cfg")


def _is_file(path: Path) -> bool:
    """Whether anything but a folder has this name. A link counts: whether it may be followed is the reader's call."""
    try:
        return not stat.S_ISDIR(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def _entries(folder: Path, shown: str) -> list[tuple[str, bool]]:
    """Names in a folder, and whether each is a folder itself; links are not followed."""
    try:
        with os.scandir(folder) as entries:
            return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    except OSError as exc:
        raise UsageError(
            f"{shown}: cannot be listed: {exc.strerror}.", "Make it readable, or exclude it in scangate.yml."
        ) from exc
