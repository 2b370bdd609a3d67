"""The short way: where nothing that decides about the lockfiles differs from the base, nothing need be parsed.

Compared are git's object ids. Every doubt is answered by False: then all is parsed, and nothing can be missed.
"""

import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Sequence

from scangate.changes.discovery import Candidate
from scangate.changes.git import GitError
from scangate.changes.trees import GitTree
from scangate.errors import LockfileError
from scangate.files import Files

DECIDING = ("package.json", ".npmrc", "package-lock.json", "npm-shrinkwrap.json", "pyproject.toml")
"""Files that have a say about a lockfile in the same folder."""

_PIP = "pip-requirements"
# Compiled where there is a requirements file, not at every start; "(?m)" is re.MULTILINE.
_COMMENT = rb"(?m)(?:^|(?<=\s))#.*"
_INCLUDE = rb"(?m)^[ \t]*(?:-r|-c|--requirement|--constraint)(?:[ \t]+|=)([\w./-]+)[ \t]*\r?$"
# Whatever pip's shell-like reading could take for one of these options, abbreviated, quoted or continued ones included.
_PERHAPS = rb"""(?m)(?:^|\s)--?(?:r(?!equire-hashes\b)|c|e(?!xtra-index-url\b))|["'\\]-|-["'\\]"""
# Python ends lines at more characters than a pattern does.
_STRANGE = rb"\0|\r(?!\n)|[\x0b\x0c\x1c-\x1e]|\xc2\x85|\xe2\x80[\xa8\xa9]|\A\xef\xbb\xbf|coding[:=]"


def unchanged(
    current: Sequence[Candidate], base: Sequence[Candidate], tree: GitTree, *, also: Iterable[str] = ()
) -> bool:
    """Whether the lockfiles, and all that decides about them, are the same in the base's `tree`.

    That is: the lockfiles themselves, the files beside them that have a say (DECIDING), what requirements files
    include, and `also` (the policy and what it extends; paths as shown). Without any lockfile there is nothing to
    be the same: False.
    """
    if not current or [(one.path, one.format) for one in current] != [(one.path, one.format) for one in base]:
        return False
    policy = [(path, "", current[0].files) for path in also]
    return _are_same(policy, tree) and len(same_lockfiles(current, base, tree)) == len(current)


def same_lockfiles(current: Sequence[Candidate], base: Sequence[Candidate], tree: GitTree) -> frozenset[str]:
    """The paths of those lockfiles that are, with all that decides about them, the same in the base's `tree`.

    Where some have changed, these need be parsed once only, for both sides.
    """
    there = {(one.path, one.format) for one in base}
    return frozenset(one.path for one in current if (one.path, one.format) in there and _are_same(_of(one), tree))


def nothing_added(
    current: Sequence[Candidate],
    base: Sequence[Candidate],
    tree: GitTree,
    *,
    same: Collection[str],
    adds_nothing: Callable[[str, bytes, bytes], bool],
) -> bool:
    """Whether no lockfile came or went, and those that are not among the `same` surely add nothing to the base's.

    `adds_nothing` tells it for a format, the current content and the base's, where no .npmrc stands beside.
    """
    if [(one.path, one.format) for one in current] != [(one.path, one.format) for one in base]:
        return False
    try:
        for one in current:
            if one.path in same:
                continue
            npmrc = posixpath.join(posixpath.dirname(one.path), ".npmrc")
            now, before = one.files.read(one.path), tree.read(one.path)
            if now is None or before is None or one.files.read(npmrc) is not None or tree.read(npmrc) is not None:
                return False
            if not adds_nothing(one.format, now, before):
                return False
    except (LockfileError, GitError):
        return False  # parsing says what is wrong, where it counts
    return True


def included_by(path: str, content: bytes) -> tuple[str, ...] | None:
    """The files that a requirements file includes, where it does so in the plainest way; None: it has to be parsed."""
    if re.search(_STRANGE, content) is not None or not _is_utf8(content):
        return None
    text = re.sub(_COMMENT, b"", content)
    includes = re.findall(_INCLUDE, text)
    if len(includes) != len(re.findall(_PERHAPS, text)):
        return None
    folder = posixpath.dirname(path)
    return tuple(posixpath.normpath(posixpath.join(folder, one.decode())) for one in includes)


def blob_id(content: bytes, *, like: str) -> str:
    """git's id for this content, by the same hash as the id `like`."""
    import hashlib  # not needed between two trees of git

    algorithm = hashlib.sha256 if len(like) == 64 else hashlib.sha1
    digest = algorithm(b"blob %d\0" % len(content), usedforsecurity=False)
    digest.update(content)
    return digest.hexdigest()


def _of(one: Candidate) -> list[tuple[str, str, Files]]:
    # What nobody can read says the same, whatever stands beside it.
    names = DECIDING if one.supported else ()
    beside = (posixpath.join(posixpath.dirname(one.path), name) for name in names)
    return [(one.path, one.format, one.files), *((path, "", one.files) for path in beside if path != one.path)]


def _are_same(waiting: list[tuple[str, str, Files]], tree: GitTree) -> bool:
    """Whether these files, by path and format, and what they include are the same in the tree."""
    try:
        return _all_same(waiting, tree)
    except (LockfileError, GitError):
        return False  # parsing says what is wrong, where it counts


def _all_same(waiting: list[tuple[str, str, Files]], tree: GitTree) -> bool:
    seen: set[tuple[str, str]] = set()
    while waiting:
        path, format_, files = waiting.pop()
        if (path, format_) in seen:
            continue
        seen.add((path, format_))
        if not is_same_file(path, files, tree):
            return False
        content = files.read(path) if format_ == _PIP else None
        if content is not None:
            included = included_by(path, content)
            if included is None:
                return False
            waiting += ((one, _PIP, files) for one in included)
    return True


def is_same_file(path: str, files: Files, tree: GitTree) -> bool:
    """Whether one file, by its path as shown, has the same content in the tree. Raises LockfileError, GitError."""
    entry = tree.entry(path)
    if isinstance(files, GitTree):
        other = files.entry(path)
        return (entry and entry.object_id) == (other and other.object_id)
    content = files.read(path)
    if content is None or entry is None:
        return content is None and entry is None
    return blob_id(content, like=entry.object_id) == entry.object_id


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
