"""Where in the project a path that a lockfile names may lead.

Package managers differ about what a path is counted from, and what an escape in it means. All readings are given: one
that leads to nothing does no harm, and one that is left out would hide a change.
"""

import posixpath
from urllib.parse import unquote

from scangate.models.lockfile import ANYWHERE

_SCHEME = "file:"


def spots(written: str, *folders: str) -> tuple[str, ...]:
    """The paths that a path or "file:" URL may mean, counted from each of the folders; ANYWHERE if a variable says."""
    if "${" in written:
        return (ANYWHERE,)
    is_url = written[: len(_SCHEME)].lower() == _SCHEME
    path = written[len(_SCHEME) :] if is_url else written
    before_fragment = path.partition("#")[0]
    cut = {path, before_fragment, before_fragment.partition("?")[0]}
    readings = {reading.replace("\\", slash) for one in cut for reading in (one, unquote(one)) for slash in "\\/"}
    if is_url:
        # "file://localhost/x.tgz"; to npm "file:///../x.tgz" is no absolute path, and neither is "file://x/y.tgz".
        readings |= {"/" + reading[2:].partition("/")[2] for reading in readings if reading.startswith("//")}
        readings |= {reading.lstrip("/") for reading in readings}
    return tuple(sorted({_joined(folder, reading) for reading in readings for folder in folders}))


def above(path: str) -> tuple[str, ...]:
    """The folder of a file and all folders above it: pip counts from where it is run."""
    folders = [posixpath.dirname(path)]
    while folders[-1] not in ("", "/"):
        folders.append(posixpath.dirname(folders[-1]))
    return tuple(folders)


def _joined(folder: str, path: str) -> str:
    joined = posixpath.normpath(posixpath.join(folder, path))
    return joined[1:] if joined.startswith("//") else joined
