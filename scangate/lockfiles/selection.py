"""Which of the lockfiles that were found say something of their own: what the formats know of one another."""

import posixpath
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from scangate.errors import LockfileError
from scangate.files import Files

if TYPE_CHECKING:
    from scangate.lockfiles.requirements_walk import Run


class Found(Protocol):
    """A lockfile that is to be read: where it stands, which format it has, the tree that it is read from."""

    @property
    def path(self) -> str: ...
    @property
    def format(self) -> str: ...
    @property
    def files(self) -> Files: ...


_REQUIREMENT_MARK = r"(?m)[=~!<>]=|://|\$\{|^\s*--?[A-Za-z]"


def without_overlaps(found: Sequence[Found]) -> list[Found]:
    """What is left when files that another found file covers are taken away.

    npm reads npm-shrinkwrap.json and not the package-lock.json beside it. A requirements file that another one
    includes by "-r" is read, and reported with its own lines, as part of that one; but not where that one asks other
    indexes than the file alone does: then what pip takes depends on which of the two it is given.
    """
    paths = {one.path for one in found}
    covered = {
        posixpath.join(posixpath.dirname(path), "package-lock.json")
        for path in paths
        if posixpath.basename(path) == "npm-shrinkwrap.json"
    }
    pip = [one for one in found if one.format == "pip-requirements"]
    covered.update(_included(_runs(pip)) if len(pip) > 1 else ())
    return [one for one in found if one.path not in covered]


def is_prose(found: Found) -> bool:
    """Whether a text that has the name of a requirements file, and cannot be read as one, is something else.

    Only where nothing in all of it could make pip install a thing: a text that is meant to be a requirements file
    and is broken must stay an error. A plain "requirements.txt" is never prose.
    """
    if found.format != "pip-requirements" or posixpath.basename(found.path).lower() == "requirements.txt":
        return False
    from scangate.lockfiles import requirements, requirements_lines

    try:
        text = requirements_lines.decode(found.files.read(found.path) or b"", found.path)
        is_text = "\x00" not in text
        return is_text and re.search(_REQUIREMENT_MARK, text) is None and not requirements.looks_like(text)
    except LockfileError:
        return False


def _included(runs: Mapping[str, "Run"]) -> frozenset[str]:
    return frozenset(
        path for run in runs.values() for path in run.included if path in runs and runs[path].places == run.places
    )


def _runs(found: Sequence[Found]) -> Mapping[str, "Run"]:
    from scangate.lockfiles import requirements_walk

    runs = {}
    for one in found:
        # Where it cannot be read, reading it will say the same, where it counts.
        with suppress(LockfileError):
            runs[one.path] = requirements_walk.walk(one.path, one.files)
    return runs
