"""What is new against a base."""

from enum import StrEnum
from typing import NamedTuple

from scangate.models.lockfile import Dependency, Lockfile


class ChangeKind(StrEnum):
    """What happened to an entry since the base."""

    ADDED = "added"
    UPGRADED = "upgraded"
    DOWNGRADED = "downgraded"
    CHANGED = "changed"
    """Another version, and nobody can say which of the two is the later one."""
    INTEGRITY = "integrity"
    """The same package, and other content: its digests are in conflict with the base's."""
    DIGESTS = "digests"
    """The same package, with digests that the base does not have, or without those that it has."""
    SOURCE = "source"
    """The same package from another place."""
    FACTS = "facts"
    """The same package, and the lockfile now shows something notable of it."""
    SCOPE = "scope"
    """The same package for another use (dev, prod): not new."""


class Change(NamedTuple):
    """One entry that differs from the base. `before` is what it was there, None where it was not.

    Everything but a change of scope is new: it has to be analysed.
    """

    kind: ChangeKind
    dependency: Dependency
    before: Dependency | None = None


class Compared(NamedTuple):
    """What the lockfiles were compared with: a commit (full id), or nothing (None), and why that: one sentence.

    `why` may hold text from outside. `is_head`: the commit is the one that is checked out.
    """

    commit: str | None
    why: str
    is_head: bool = False


class Selection(NamedTuple):
    """What is new against a base.

    `lockfiles` are the current ones, each with its new entries and facts alone (unchanged ones are empty).
    `deleted` are lockfiles of the base that are gone, without entries, each with the fact "deleted" where nothing
    replaces it. `changes` name every new entry, and changes of scope, in the order of the lockfiles.
    `compared` says which base it was.
    """

    lockfiles: tuple[Lockfile, ...]
    deleted: tuple[Lockfile, ...] = ()
    changes: tuple[Change, ...] = ()
    compared: Compared | None = None
