"""Archives of the project that lockfiles name by a path: other content under the same path is something new."""

import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress

from scangate.changes.discovery import Candidate
from scangate.changes.git import GitError
from scangate.changes.trees import GitTree, is_archive
from scangate.changes.unchanged import is_same_file
from scangate.changes.worktree import WorkTree
from scangate.errors import LockfileError
from scangate.files import Files

_HINTS = {
    "npm-package-lock": re.compile(rb"(?i)file:|\\u"),
    "poetry-lock": re.compile(rb"""(?i)["']file["']|\\u"""),
    # What is included is not looked into here: it may name any.
    "pip-requirements": re.compile(rb"(?i)\.(?:whl|egg|zip|t[a-z]z2?|tar)\b|file:|-f|-r|-c|\$\{|[^\x00-\x7f]|\A.\x00"),
}
"""What a lockfile must hold to name an archive by a path."""


def may_name_archives(found: Iterable[Candidate]) -> bool:
    """Whether any of the lockfiles could; where one cannot be read, that is left to its reader."""
    return any(_may(one) for one in found)


def _may(one: Candidate) -> bool:
    hint = _HINTS.get(one.format)
    if hint is None:
        return False
    try:
        content = one.files.read(one.path)
    except (LockfileError, GitError):
        return True
    return content is not None and hint.search(content) is not None


def changed_archives(tree: GitTree, now: GitTree | WorkTree) -> frozenset[str]:
    """The names, without folders, of those archives of the base's `tree` that have other content now, or are gone.

    And of those that came into a folder where the base has some: pip's --find-links takes the best that it finds.
    """
    before = {path for path in tree if is_archive(path)}
    folders = {posixpath.dirname(path) for path in before}
    here = {path for path in _listed(now, folders, tree) if is_archive(path)}
    return frozenset(
        posixpath.basename(path)
        for path in before | here
        if path not in before or not _same(tree.place.shown(path), now, tree)
    )


def _same(path: str, now: Files, tree: GitTree) -> bool:
    try:
        return is_same_file(path, now, tree)
    except (LockfileError, GitError):
        return False  # too large to be compared, for one


def _listed(now: GitTree | WorkTree, folders: Iterable[str], tree: GitTree) -> Iterator[str]:
    if isinstance(now, GitTree):
        yield from (path for path in now if posixpath.dirname(path) in folders)
        return
    for folder in folders:
        # Where the folder is gone, what was in it differs.
        with suppress(OSError), os.scandir(tree.place.root / folder) as entries:
            yield from (posixpath.join(folder, entry.name) for entry in entries)
