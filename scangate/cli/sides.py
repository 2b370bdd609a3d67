"""What is checked and what it is compared with, side by side: their lockfiles, and whose policy decides."""

import argparse
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from scangate import lockfiles
from scangate.changes import trees
from scangate.changes.base import Base
from scangate.changes.discovery import INSTALLED, Candidate, Discovery, discover, named
from scangate.changes.git import Git, GitError
from scangate.changes.objects import Objects
from scangate.changes.trees import GitTree, Place
from scangate.changes.unchanged import is_same_file, nothing_added, same_lockfiles
from scangate.changes.worktree import WorkTree
from scangate.cli.context import Context
from scangate.cli.policies import Policies
from scangate.cli.project import POLICY_FILES
from scangate.errors import BaseError, LockfileError, UsageError
from scangate.files import Files
from scangate.globs import path_matches
from scangate.models.changes import Compared, Selection
from scangate.models.lockfile import Kind, Lockfile
from scangate.models.verdict import NoticeCode, PolicyNotice
from scangate.registries import NO_REGISTRIES, Registries


class Found(NamedTuple):
    """The lockfiles of both sides, not read yet. `same`: the paths whose files are the same on both.

    `may_take`: whether one of them may take archives of the project, which may have changed without it.
    """

    current: tuple[Candidate, ...]
    before: tuple[Candidate, ...]
    same: frozenset[str]
    may_take: bool = False
    notices: tuple[PolicyNotice, ...] = ()
    """Of what lies here, and is not among them."""

    @property
    def is_empty(self) -> bool:
        return not self.current and not self.before

    @property
    def is_same(self) -> bool:
        """Whether no lockfile differs, came or went, nor could what it installs from here: nothing can be new."""
        return len(self.same) == len(self.current) == len(self.before) and not self.may_take


class Read(NamedTuple):
    """The lockfiles, parsed: `current` is all that there is, `selection` what is new of it."""

    current: tuple[Lockfile, ...]
    selection: Selection
    notices: tuple[PolicyNotice, ...] = ()
    """Of lockfiles in the base that cannot be read."""


class Sides:
    """The one side is the working tree, the index or a pushed commit; the other is a commit, or nothing.

    Paths are as `discovery` shows them.
    """

    def __init__(
        self,
        args: argparse.Namespace,
        context: Context,
        git: Git,
        base: Base,
        *,
        place: Place | None = None,
        objects: Objects | None = None,
        index: Path | None = None,
    ) -> None:
        self.base = base
        self._args = args
        self._context = context
        self._git = git
        self._place = place
        self._objects = objects
        self._index = index

    @property
    def compared(self) -> Compared:
        return Compared(commit=self.base.commit, why=self.base.why, is_head=self.base.is_head)

    @cached_property
    def policies(self) -> Policies:
        """Raises BaseError where the base's policy is asked for, and there is no base."""
        wanted = self._args.policy_from or ("base" if self.base.is_proposal else "head")
        if wanted == "base" and self._ground is None:
            raise BaseError(f"The policy is the base's, and there is none: {self.base.why}", "Name it with --base REF.")
        return Policies(
            self._args.policy,
            self._context,
            place=self._place,
            base=self._ground,
            checked=None if self._place is None else self._checked or self._worktree,
            from_base=wanted == "base",
        )

    # ------------------------------------------------------------------------------------------------- trees

    @cached_property
    def _before(self) -> GitTree | None:
        """The base's tree; None where everything is new."""
        return None if self.base.commit is None else self._comparable(self.base.commit)

    @cached_property
    def _ground(self) -> GitTree | None:
        """The tree whose policy decides on proposals: the base's, also where everything is checked."""
        return self._before if self.base.ground is None else self._commit(self.base.ground)

    @cached_property
    def _checked(self) -> GitTree | None:
        """The tree that is checked; None where that is the working tree."""
        if self._args.pushed:
            assert self.base.head is not None  # a push hook's base says what is pushed
            return self._commit(self.base.head)
        return self._indexed if self._args.staged else None

    @cached_property
    def _indexed(self) -> GitTree:
        place, objects = self._repository
        return trees.of_index(self._git, objects, place, self._index, matters=_matters_empty)

    @cached_property
    def _worktree(self) -> Files:
        """The working tree; with what a sparse checkout leaves out, where there is one."""
        place = self._repository[0]
        tree = WorkTree(self._context.cwd, root=place.root)
        # In a linked worktree and in a submodule .git is a file, which says where the list is.
        if not (place.root / ".git/info/sparse-checkout").exists() and (place.root / ".git").is_dir():
            return tree
        from scangate.changes.sparse import SparseTree

        git = self._git.at(place.root)
        skipped = git.listed()[1]
        return SparseTree(tree, git, skipped, cwd=place.cwd) if skipped else tree

    def _commit(self, commit: str) -> GitTree:
        place, objects = self._repository
        return trees.at_commit(self._git, commit, objects, place)

    def _comparable(self, commit: str) -> GitTree:
        """A commit's tree, as far as what is checked reaches: the working tree has the files of submodules."""
        tree = self._commit(commit)
        return tree.with_submodules(self._git, self._is_seen) if self._checked is None and tree.submodules else tree

    @property
    def _repository(self) -> tuple[Place, Objects]:
        assert self._place is not None  # where there is a commit or an index, there is a repository
        assert self._objects is not None
        return self._place, self._objects

    # --------------------------------------------------------------------------------------------- lockfiles

    def find(self, exclude: Sequence[str] = ()) -> Found:
        """The lockfiles of both sides. Raises UsageError where a PATH has none on either."""
        before = () if self._before is None else self._in(self._before, exclude).lockfiles
        if self._checked is not None:
            here = self._in(self._checked, exclude)
        else:
            here = discover(
                self._args.paths,
                cwd=self._context.cwd,
                environ=self._context.environ,
                recognise=lockfiles.recognise,
                formats=lockfiles.FORMATS,
                exclude=exclude,
                lockfile_as=self._args.lockfile_as,
                may_be_empty=bool(before),
                root=None if self._place is None else self._place.root,
            )
        current = here.lockfiles
        self._refuse_empty([*current, *before], excluded=bool(exclude))
        same = frozenset[str]() if self._before is None else same_lockfiles(current, before, self._before)
        notices = (*self._left_out(here), *self._submodules(here, exclude))
        return Found(current=current, before=before, same=same, may_take=self._may_take(current), notices=notices)

    def read(self, found: Found, registries: Registries) -> Read:
        """All of them, completely. Raises LockfileError where a current one cannot be read.

        What cannot be read in the base is taken to hold nothing, so that all of it is new, and that is said.
        """
        if found.is_same or (registries == NO_REGISTRIES and not found.may_take and self._adds_nothing(found)):
            return Read(current=(), selection=self.unread(found))
        from scangate.changes.deletion import manifests
        from scangate.changes.select import select_new
        from scangate.lockfiles.examine import examine

        asked_for = named(found.current, self._args.paths, self._context.cwd)
        parsed, base, unreadable = lockfiles.read_both_sides(
            found.current, found.before, registries, named=asked_for, same=found.same
        )
        current = examine(parsed, registries)
        if self._before is None:
            return Read(current=current, selection=Selection(lockfiles=current, compared=self.compared))
        gone, added = _beyond(base, parsed), _beyond(parsed, base)
        selection = select_new(
            current,
            examine(base, registries),
            renames=self._renames(gone, added),
            same=found.same,
            moved=self._moved(current),
            left=[one.path for one in gone if self._is_left(one.path, manifests(one))],
            there=self._not_deleted({one.path for one in gone}, found.current),
            asked=self._asked(gone),
            compared=self.compared,
        )
        return Read(
            current=current,
            selection=selection,
            notices=tuple(_unreadable(path, error) for path, error in unreadable.items()),
        )

    def unread(self, found: Found) -> Selection:
        """The selection where nothing differs, or surely nothing is new: nothing need be read."""
        unread = (
            Lockfile(path=one.path, format=one.format, supported=one.supported, unchanged=one.path in found.same)
            for one in found.current
        )
        return Selection(lockfiles=tuple(unread), compared=self.compared)

    def _adds_nothing(self, found: Found) -> bool:
        """Whether those lockfiles that changed surely hold nothing new; False where only reading them can tell."""
        return self._before is not None and nothing_added(
            found.current, found.before, self._before, same=found.same, adds_nothing=lockfiles.adds_nothing
        )

    def _may_take(self, current: Sequence[Candidate]) -> bool:
        """Whether one of the lockfiles may take an archive of the project."""
        from scangate.changes import archives

        if self._before is None:
            return False
        # What is on disk is not looked for; what a lockfile may take is told faster.
        may_have = self._checked is None or archives.may_have((self._before, self._checked))
        return may_have and archives.may_take(current)

    def _moved(self, current: Sequence[Lockfile]) -> frozenset[str]:
        places = {one.places for lockfile in current for one in lockfile.dependencies if one.places}
        if not places or self._before is None:
            return frozenset()
        from scangate.changes.archives import Archives

        return Archives(self._before, self._checked or self._worktree, self._names).moved(places)

    def _names(self) -> Iterable[str]:
        """All files of what is checked; of those on disk not those that git ignores."""
        return self._checked or {*self._tracked, *self._git.at(self._repository[0].root).untracked()}

    def archives_not_here(self, selection: Selection) -> frozenset[str]:
        """Places of archives that are not on disk as they are in what is checked: on disk they are something else."""
        if self._checked is None:
            return frozenset()
        found = (one for lockfile in selection.lockfiles for one in lockfile.dependencies if one.kind is Kind.FILE)
        places = {one.places for one in found if one.places}
        if not places:
            return frozenset()
        from scangate.changes.archives import Archives

        disk = WorkTree(self._context.cwd, root=self._repository[0].root)
        return Archives(self._checked, disk, lambda: self._tracked).moved(places)

    def _is_left(self, path: str, names: Sequence[str]) -> bool:
        """Whether one of the files is still there, beside the path of a lockfile."""
        folder = path[: path.rfind("/") + 1]
        try:
            return any((self._checked or self._worktree).read(folder + name) is not None for name in names)
        except LockfileError:
            return True  # something is

    def _in(self, tree: GitTree, exclude: Sequence[str]) -> Discovery:
        return trees.lockfiles_in(
            tree,
            self._args.paths,
            recognise=lockfiles.recognise,
            formats=lockfiles.FORMATS,
            exclude=exclude,
            lockfile_as=self._args.lockfile_as,
        )

    def _refuse_empty(self, found: Sequence[Candidate], *, excluded: bool) -> None:
        """An empty answer must not look like a pass, nor one to a single PATH of several.

        A hook is triggered by more than lockfiles, and its repository may have none: that is said, and passes.
        """
        if not self._args.paths and (self._args.staged or self._args.pushed) and not excluded:
            return
        places = [self._absolute(one.path) for one in found]
        for path in self._args.paths or (".",):
            target = self._absolute(path)
            if not any(place.is_relative_to(target) for place in places):
                raise UsageError(
                    f"{path}: no lockfile here, neither now nor in the base.",
                    "Commit the lockfile of your package manager, or name the folder or the file that it is in.",
                )

    def _absolute(self, path: str) -> Path:
        return Path(os.path.abspath(self._context.cwd / path))  # noqa: PTH100 - as discovery has it

    def _renames(self, gone: Sequence[Lockfile], added: Sequence[Lockfile]) -> Mapping[str, str]:
        from scangate.changes.deletion import manifests_of, with_projects

        assert self.base.commit is not None
        found = trees.renames(
            self._git,
            self._repository[0],
            self.base.commit,
            gone={one.path for one in gone} | manifests_of(gone),
            added={one.path for one in added} | manifests_of(added),
            head=self.base.head,
            cached=self._args.staged,
            index=self._index,
        )
        return with_projects(found, gone, added)

    def _not_deleted(self, gone: Collection[str], current: Sequence[Candidate]) -> Collection[str]:
        """Those of the base's lockfiles that are not read here, and that this change does not take away.

        Another one covers them now, or the branch that `--base` names has got them since this one left it.
        """
        # A shrinkwrap covers a package-lock.json and includes nothing of it.
        covered = {one.path for one in current if one.path in gone and one.format == "pip-requirements"}
        if covered:
            covered -= {one.path for one in lockfiles.selection.without_overlaps(current)}
        return covered | {path for path in gone if self._came_since(path)}

    def _asked(self, gone: Iterable[Lockfile]) -> Mapping[str, Collection[str]]:
        """The names of what the projects of lockfiles ask for now, by the lockfile's path, where they are known."""
        from scangate.changes.deletion import is_locked_by_package_json
        from scangate.lockfiles.package_json import asked_for

        found: dict[str, Collection[str]] = {}
        for one in gone:
            if not is_locked_by_package_json(one):
                continue
            path = one.path[: one.path.rfind("/") + 1] + "package.json"
            with suppress(LockfileError):
                content = (self._checked or self._worktree).read(path)
                names = None if content is None else asked_for(content, path)
                if names is not None:
                    found[one.path] = names
        return found

    def _came_since(self, path: str) -> bool:
        try:
            return self._fork is not None and self._fork.entry(path) is None
        except LockfileError:
            return False

    @cached_property
    def _fork(self) -> GitTree | None:
        """Where the branch left the one that `--base` names; None where the base is that commit, or nobody can tell."""
        if self._args.base is None or self.base.commit is None:
            return None
        try:
            ends = (self.base.commit, self.base.head or "HEAD")
            found = self._git.run("merge-base", "--end-of-options", *ends).decode("ascii").strip()
        except GitError:
            return None
        return None if found == self.base.commit else self._comparable(found)

    # ---------------------------------------------------------------------------------------------- what is not read

    def _left_out(self, here: Discovery) -> tuple[PolicyNotice, ...]:
        if not here.vendored and not here.repositories:
            return ()
        from scangate.cli import unseen

        new = [one.path for one in here.vendored if self._is_new(one)]
        is_compared = self._before is not None
        return (*unseen.vendored(new, self._place, since_base=is_compared), *unseen.repositories(here.repositories))

    def _is_new(self, one: Candidate) -> bool:
        try:
            return self._before is None or not is_same_file(one.path, one.files, self._before)
        except (LockfileError, GitError):
            return True  # too large to be compared, for one

    def _submodules(self, here: Discovery, exclude: Sequence[str]) -> tuple[PolicyNotice, ...]:
        """What moved since the base and cannot be seen here: a tree of git has no files of its submodules.

        In the working tree those are seen that are checked out.
        """
        was: Mapping[str, str] = {} if self._before is None else self._before.submodules
        if self._checked is not None:
            now: Mapping[str, str] = self._checked.submodules
        else:
            now = self._submodules_here if was or self._may_have_submodules(here) else {}
        if was == now:
            return ()
        from scangate.cli import unseen

        place = self._repository[0]
        before, after = (
            {place.shown(path): commit for path, commit in side.items() if self._matters(path, exclude)}
            for side in (was, now)
        )
        return unseen.submodules(None if self._before is None else before, after)

    def _may_have_submodules(self, here: Discovery) -> bool:
        """To git one is a file that it tracks, and a folder on disk."""
        if self._place is None or not here.tracked:
            return False
        if self._before is None or os.path.lexists(self._place.root / ".gitmodules"):
            return True
        prefix = self._place.prefix
        new = here.tracked.difference(path.removeprefix(prefix) for path in self._before if path.startswith(prefix))
        return any(os.path.isdir(self._context.cwd / path) for path in new)  # noqa: PTH112 - no error in a closed folder

    def _matters(self, path: str, exclude: Sequence[str]) -> bool:
        return (
            INSTALLED.isdisjoint(path.split("/"))
            and not path_matches(exclude, path)
            and not (self._checked is None and self._is_seen(path))
        )

    @cached_property
    def _submodules_here(self) -> Mapping[str, str]:
        """The submodules of the working tree and their commits, those inside of others included."""
        place, objects = self._repository
        found: dict[str, str] = {}
        waiting = [("", self._indexed.submodules)]
        while waiting:
            above, some = waiting.pop()
            for name, commit in some.items():
                path = f"{above}{name}"
                found[path] = commit
                if self._is_seen(path):
                    inner = self._git.at(place.root / path)
                    waiting.append((f"{path}/", trees.of_index(inner, objects, Place.of(inner)).submodules))
        return found

    def _is_seen(self, path: str) -> bool:
        """Whether git lists what is in the submodule."""
        from bisect import bisect_left  # most projects have none

        at = bisect_left(self._tracked, f"{path}/")
        return at < len(self._tracked) and self._tracked[at].startswith(f"{path}/")

    @cached_property
    def _tracked(self) -> Sequence[str]:
        return sorted(self._git.at(self._repository[0].root).tracked())


def _matters_empty(path: str) -> bool:
    return lockfiles.recognise(path) is not None or path in POLICY_FILES


def _beyond(some: Sequence[Lockfile], others: Sequence[Lockfile]) -> list[Lockfile]:
    """Those at paths that the others do not have."""
    paths = {one.path for one in others}
    return [one for one in some if one.path not in paths]


def _unreadable(path: str, error: LockfileError) -> PolicyNotice:
    message = f"The base's lockfile cannot be read, so that all of it counts as new: {error.message}"
    return PolicyNotice(code=NoticeCode.BASE_UNREADABLE, message=message, where=path)
