"""The working tree of a sparse checkout: what it leaves out is part of the project, and stands in the index."""

import os
from collections.abc import Collection
from pathlib import Path

from scangate.changes.git import Git, GitError
from scangate.errors import LockfileError
from scangate.files import MAX_LOCKFILE_BYTES, Files


class SparseTree:
    """`files.Files` over `tree`; where a file is not there and among the `skipped` ones, it is read from the index.

    `skipped` are paths relative to the folder of `git`; those that are read are relative to `cwd`, as those of `tree`.
    """

    def __init__(self, tree: Files, git: Git, skipped: Collection[str], *, cwd: Path) -> None:
        self._tree = tree
        self._git = git
        self._skipped = skipped
        self._cwd = cwd

    def read(self, path: str) -> bytes | None:
        """The file's bytes; None where there is no such file. Raises LockfileError as `tree` does."""
        content = self._tree.read(path)
        if content is not None:
            return content
        name = os.path.relpath(self._cwd / path, self._git.folder).replace(os.sep, "/")
        return self._indexed(path, name) if name in self._skipped else None

    def _indexed(self, path: str, name: str) -> bytes:
        try:
            content = self._git.run("cat-file", "blob", f":./{name}")
        except GitError as exc:
            problem = f"the sparse checkout leaves it out, and the index does not give it: {exc.message}"
            raise LockfileError(path, problem, "Check it out: git sparse-checkout add FOLDER.") from exc
        if len(content) > MAX_LOCKFILE_BYTES:
            problem = f"it is larger than {MAX_LOCKFILE_BYTES // 2**20} MiB."
            raise LockfileError(path, problem, "Check what wrote it, or exclude it in scangate.yml.")
        return content
