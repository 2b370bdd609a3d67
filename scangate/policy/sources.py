"""Where the file stands that another one extends, and what it is called."""

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass

from scangate.policy.document import Problems, Scalar

Read = Callable[[str], bytes | None]
"""A file's bytes, by its path from the root of the repository; None where there is none. At most one byte more than
MAX_BYTES need to be read."""

MAX_FILES = 8
"""Files in one chain of `extends`."""

_ELSEWHERE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//|~")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file of a policy. `path` is from the root of the repository, `shown` stands in places and errors.

    `extended_by`: the paths of the files on the way to it, from the first.
    """

    path: str
    shown: str
    extended_by: tuple[str, ...] = ()


def extended(source: Source, named: Scalar, read: Read | None, problems: Problems) -> tuple[Source, bytes]:
    """The file that `source` extends by the name `named`, and its bytes. Raises PolicyError at that place."""
    text, place = named.text, named.place
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source.path), text))
    hint = "Write a path from this file's folder, e.g. policies/base.yml."
    if _ELSEWHERE.match(text):
        raise problems.fail(place, f"{text!r} is no file of this repository", f"{hint} Nothing is downloaded.")
    if text.startswith("/"):
        raise problems.fail(place, f"{text!r} is an absolute path", hint)
    if path.partition("/")[0] == "..":
        raise problems.fail(place, f"{text!r} is outside of the repository", hint)
    chain = (*source.extended_by, source.path)
    if path in chain:
        circle = " → ".join((*chain[chain.index(path) :], path))
        raise problems.fail(place, f"files extend each other: {circle}", "Break the circle.")
    if len(chain) >= MAX_FILES:
        raise problems.fail(place, f"more than {MAX_FILES} files extend each other", "Put some of them into one.")
    content = None if read is None else read(path)
    if content is None:
        raise problems.fail(place, f"there is no file {path!r}", hint)
    shown = posixpath.normpath(posixpath.join(posixpath.dirname(source.shown), text))
    return Source(path=path, shown=shown, extended_by=chain), content
