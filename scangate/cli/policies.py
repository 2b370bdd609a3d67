"""The policy files of both sides of a run: which of them decides, and what differs between them.

A change must not allow itself: where it is only proposed (pull request, merge queue), the base's policy decides.
"""

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from scangate.changes.trees import GitTree, Place
from scangate.cli import project
from scangate.cli.context import TYPE_CHECKING, Context
from scangate.errors import LockfileError, PolicyError
from scangate.files import Files
from scangate.models import PolicyNotice

if TYPE_CHECKING:
    from scangate.policy.model import Policy

CHANGED = "policy-changed"


class Policies:
    """`base` and `checked` are the two sides' files; None where there is no base, and outside of a repository.

    `named` is what `--policy` names. A file outside of the repository is on neither side: it is read as it is.
    """

    def __init__(
        self,
        named: Path | None,
        context: Context,
        *,
        place: Place | None = None,
        base: GitTree | None = None,
        checked: Files | None = None,
        from_base: bool = False,
    ) -> None:
        self._named = named
        self._context = context
        self._place = place
        self._base = base
        self._checked = checked
        self._from_base = from_base

    def load(self) -> "Policy":
        """The policy that decides. Raises PolicyError."""
        from scangate.policy import loader

        tree = self._deciding
        if tree is None:
            return project.load_policy(self._named, self._context)
        found = self._found(tree)
        if found is None:
            return loader.default()
        shown, content = found
        return loader.load(content, shown)

    @cached_property
    def is_built_in(self) -> bool:
        """Whether no file decides, but the built-in policy. Raises PolicyError."""
        tree = self._deciding
        if tree is None:
            return project.find_policy(self._named, self._context) is None
        return self._found(tree) is None

    @cached_property
    def notices(self) -> tuple[PolicyNotice, ...]:
        """What a reader must know: a policy that this change changes, and which one decides."""
        if self._base is None or self._checked is None:
            return ()
        return tuple(
            notice
            for shown, path in self._files.items()
            if (notice := self._notice(shown, _content(self._base, path), _content(self._checked, path))) is not None
        )

    @property
    def _deciding(self) -> GitTree | None:
        """The tree of git whose policy decides; None: what is on disk."""
        if not self._files:
            return None
        if self._from_base and self._base is not None:
            return self._base
        return self._checked if isinstance(self._checked, GitTree) else None

    @cached_property
    def _files(self) -> Mapping[str, str]:
        """The places where a policy may be, as they are shown, and as both sides read them."""
        if self._place is None:
            return {}
        if self._named is None:
            return {name: self._place.shown(name) for name in project.POLICY_FILES}
        named = os.fspath(self._named)
        return {} if self._place.inside(named) is None else {named: named}

    def _found(self, tree: GitTree) -> tuple[str, bytes] | None:
        found = [
            (shown, content) for shown, path in self._files.items() if (content := _read(tree, shown, path)) is not None
        ]
        if len(found) > 1:
            raise PolicyError(f"{found[0][0]} and {found[1][0]}: two policies", "Keep one of them.")
        if not found and self._named is not None and not self._is_base(tree):
            raise PolicyError(
                f"{self._named}: it is not in what is checked.", "git add it, or name a file outside of the repository."
            )
        return found[0] if found else None

    def _is_base(self, tree: GitTree) -> bool:
        return tree is self._base

    def _notice(self, shown: str, before: bytes | None, now: bytes | None) -> PolicyNotice | None:
        if before == now:
            return None
        what = "is new" if before is None else "is gone" if now is None else "is changed"
        if not self._from_base:
            who = "the built-in policy decides" if now is None else "it decides as it is now"
        elif before is None:
            who = "the built-in policy decides, as the base has none"
        else:
            who = "the base's decides"
        return PolicyNotice(code=CHANGED, message=f"{shown} {what} since the base: {who}.", where=shown)


def _read(files: Files, shown: str, path: str) -> bytes | None:
    try:
        return files.read(path)
    except LockfileError as exc:
        problem = exc.message.removeprefix(f"{exc.path}: ")
        raise PolicyError(f"{shown}: {problem}", "Make it an ordinary file of the repository.") from exc


def _content(files: Files, path: str) -> bytes | None:
    """For comparing: what cannot be read differs from everything else that cannot be read in another way."""
    try:
        return files.read(path)
    except LockfileError as exc:
        return exc.message.encode("utf-8", "surrogateescape")
