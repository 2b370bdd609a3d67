"""The policy files of both sides of a run: which of them decides, and what differs between them.

A change must not allow itself: where it is only proposed (pull request, merge queue), the base's policy decides.
"""

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from scangate.changes.trees import GitTree, Place
from scangate.changes.worktree import WorkTree
from scangate.cli import project
from scangate.cli.context import TYPE_CHECKING, Context
from scangate.errors import LockfileError, PolicyError
from scangate.files import Files
from scangate.models.verdict import NoticeCode, PolicyNotice

if TYPE_CHECKING:
    from scangate.policy.model import Policy


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
        self._extended: set[str] = set()

    def load(self) -> "Policy":
        """The policy that decides. Raises PolicyError."""
        return self._policy

    @cached_property
    def shown(self) -> str | None:
        """The file that decides, as it is shown; None for the built-in policy. Raises PolicyError."""
        tree = self._deciding
        if tree is not None:
            found = self._found(tree)
            return None if found is None else found[0]
        file = project.find_policy(self._named, self._context)
        return None if file is None else file[1]

    @property
    def are_same(self) -> bool:
        """Whether both sides have the same policy, and all that it extends is the same. Raises PolicyError."""
        if self.notices():
            return False
        if any(content is not None and b"extends" in content for content in self._contents(self._checked)):
            self.load()  # which says what it extends
        return not self.notices()

    def notices(self) -> tuple[PolicyNotice, ...]:
        """What a reader must know: a policy that this change changes, and which one decides.

        Files that a policy extends are known when it is loaded.
        """
        if self._base is None or self._checked is None:
            return ()
        files = {**self._files, **{self._shown(path): self._inside(path) for path in sorted(self._extended)}}
        return tuple(
            notice
            for shown, path in files.items()
            if (notice := self._notice(shown, _content(self._base, path), _content(self._checked, path))) is not None
        )

    @cached_property
    def _policy(self) -> "Policy":
        tree = self._deciding
        if tree is None:
            on_read = self._extended.add if self._files else lambda _path: None
            return project.load_policy(self._named, self._context, on_read=on_read)
        found = self._found(tree)
        if found is None:
            from scangate.policy import builtin

            return builtin.POLICY

        def read(path: str) -> bytes | None:
            self._extended.add(path)
            return _read(tree, self._shown(path), self._inside(path))

        from scangate.policy import loader

        shown, content = found
        assert self._place is not None
        return loader.load(content, shown, read=read, path=self._place.inside(self._files[shown]))

    @property
    def _deciding(self) -> Files | None:
        """The tree whose policy decides: one of git, or a sparse checkout; None: what is on disk."""
        if not self._files:
            return None
        if self._from_base and self._base is not None:
            return self._base
        return None if isinstance(self._checked, WorkTree) else self._checked

    @cached_property
    def _files(self) -> Mapping[str, str]:
        """The places where a policy may be, as they are shown, and as both sides read them."""
        if self._place is None:
            return {}
        if self._named is None:
            return {name: self._inside(name) for name in project.POLICY_FILES}
        named = os.fspath(self._named)
        return {} if self._place.inside(named) is None else {project.shown_name(self._named, self._context): named}

    def _inside(self, path: str) -> str:
        """A path from the repository's root, as both sides read it."""
        assert self._place is not None
        return self._place.shown(path)

    def _shown(self, path: str) -> str:
        """A path from the repository's root, as people see it: like the policy's own."""
        return path if self._named is None else os.path.relpath(self._inside(path), self._context.cwd)

    def _contents(self, files: Files | None) -> list[bytes | None]:
        return [] if files is None else [_content(files, path) for path in self._files.values()]

    def _found(self, tree: Files) -> tuple[str, bytes] | None:
        found = [
            (shown, content) for shown, path in self._files.items() if (content := _read(tree, shown, path)) is not None
        ]
        if len(found) > 1:
            raise PolicyError(f"{found[0][0]} and {found[1][0]}: two policies.", "Keep one of them.")
        if not found and self._named is not None and tree is not self._base:
            raise PolicyError(
                f"{self._named}: it is not in what is checked.", "git add it, or name a file outside of the repository."
            )
        return found[0] if found else None

    def _notice(self, shown: str, before: bytes | None, now: bytes | None) -> PolicyNotice | None:
        if before == now:
            return None
        what = "is new" if before is None else "is gone" if now is None else "is changed"
        if not self._from_base:
            who = "it no longer decides" if now is None else "it decides as it is now"
        elif before is None:
            who = "what the base has decides, without it"
        else:
            who = "it decides as it is in the base"
        return PolicyNotice(
            code=NoticeCode.POLICY_CHANGED, message=f"{shown} {what} since the base: {who}.", where=shown
        )


def _read(files: Files, shown: str, path: str) -> bytes | None:
    try:
        return files.read(path)
    except LockfileError as exc:
        problem = exc.message.removeprefix(f"{exc.path}: ")
        raise PolicyError(f"{shown}: {problem}", "Make it an ordinary file of the repository.") from exc


def _content(files: Files, path: str) -> bytes | None:
    """For comparing: what cannot be read differs from all that is read."""
    try:
        return files.read(path)
    except LockfileError as exc:
        return exc.message.encode("utf-8", "surrogateescape")
