"""Commits that a base can be: found here, else fetched, the history deepened step by step within a time bound."""

import re
import time
from collections.abc import Callable, Mapping, Sequence

from scangate.changes.git import Git, GitError
from scangate.errors import BaseError, UsageError

FETCH_SECONDS = 90.0
"""For all fetches of one run together."""

DEEPENING = ("--deepen=50", "--deepen=500", "--deepen=5000", "--unshallow")
"""How much more history each step asks for, from the shallow boundary on."""

REMOTE = "origin"

TOKEN_VARIABLE = "SCANGATE_GIT_TOKEN"  # noqa: S105 - a variable's name
"""A token for the repositories of GITHUB_SERVER_URL; only a fetch gets it."""

# Compiled where they are used: most runs ask for none of them. "(?a)" is re.ASCII.
_SERVER = r"(?a)(https://[\w.-]+|http://(127\.0\.0\.1|localhost))(:\d{1,5})?/?"
_ID = r"[0-9a-f]{40}(?:[0-9a-f]{24})?"
_ABBREVIATED = r"[0-9a-f]{4,39}"
_SUFFIX = r"[~^]|@\{"
_SPECIAL = ("HEAD", "@", "FETCH_HEAD", "ORIG_HEAD", "MERGE_HEAD")
"""Names that git looks up in its own folder, before any ref."""
_REF = r"(?!-)[^\x00-\x20\x7f:?*\[\\]{1,1024}"
"""No option, no refspec, no pattern; what else a name may be, git says."""


def is_id(text: str) -> bool:
    """Whether it is a full commit id, of SHA-1 or SHA-256."""
    return re.fullmatch(_ID, text) is not None


def is_nothing(text: str) -> bool:
    """Whether it is the id of all zeros: there was no commit before."""
    return bool(text) and set(text) == {"0"} and is_id(text)


def credentials(environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """git's settings for a fetch with the token that the environment names; () where there is none."""
    token, server = environ.get(TOKEN_VARIABLE, ""), environ.get("GITHUB_SERVER_URL", "")
    if not token or re.fullmatch(_SERVER, server) is None:
        return ()
    import base64  # most runs have no token

    key = f"http.{server.rstrip('/')}/.extraheader"
    header = base64.b64encode(f"x-access-token:{token}".encode()).decode("ascii")
    # The empty one clears what the checkout may have left: GitHub refuses two of them.
    return (key, ""), (key, f"Authorization: Basic {header}")


class History:
    """One repository's commits. `mend` is the line for the workflow that spares the fetching.

    `settings` are git's for a fetch alone (`credentials`).
    """

    def __init__(
        self,
        git: Git,
        *,
        mend: str,
        fetch_seconds: float = FETCH_SECONDS,
        settings: Sequence[tuple[str, str]] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.git = git
        self.mend = mend
        self._settings = settings
        self._clock = clock
        self._left = fetch_seconds
        self._why = ""

    def commit(self, revision: str) -> str | None:
        """The id of the commit that the revision names, where it is here; None where it is not. Raises UsageError."""
        if re.fullmatch(_REF, revision) is None:
            raise UsageError(f"{revision!r:.200} is not the name of a commit.", "Name a branch, a tag or a commit id.")
        try:
            found = self.git.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        except GitError as exc:
            if exc.status is None:
                raise
            return None
        return found.decode("ascii").strip()

    def named(self, revision: str, by: str) -> str | None:
        """As `commit`, for a name that people write. Raises UsageError where a tag has the name of something else.

        git takes the tag then, and anybody who may push can have made one that names their own commit. `by`: the
        option or the variable that has the name.
        """
        found = self.commit(revision)
        name = re.split(_SUFFIX, revision, maxsplit=1)[0]
        if found is None or is_id(name) or name.startswith("refs/") or name in _SPECIAL:
            return found
        tag = f"refs/tags/{name}"
        tagged = self.commit(tag)
        if tagged is None:
            return found
        branches = [f"refs/heads/{name}", f"refs/remotes/{name}", f"refs/remotes/{REMOTE}/{name}"]
        for other in (*branches, *self._abbreviated(name)):
            if self.commit(other) not in (None, tagged):
                raise UsageError(f"{by} {name}: that is {tag}, and also {other}.", f"Write {other} or {tag}.")
        return found

    def _abbreviated(self, name: str) -> list[str]:
        """The ids that begin like this."""
        if re.fullmatch(_ABBREVIATED, name) is None:
            return []
        return self.git.run("rev-parse", f"--disambiguate={name}").decode("ascii").split()

    def head(self) -> str | None:
        """The commit that is checked out; None before the first one. Raises GitError outside of a repository."""
        try:
            found = self.git.run("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        except GitError as exc:
            if exc.status == 1:
                return None
            raise
        return found.decode("ascii").strip()

    def parents(self, commit: str) -> tuple[str, ...]:
        """As the commit itself says, also where a shallow clone does not have them."""
        text = self.git.run("cat-file", "commit", commit).partition(b"\n\n")[0].decode("utf-8", "replace")
        return tuple(line.removeprefix("parent ") for line in text.split("\n") if line.startswith("parent "))

    def need(self, commit: str, what: str) -> str:
        """The commit itself, fetched where it is missing. Raises BaseError; `what` says for people what it is."""
        if not is_id(commit) or is_nothing(commit):
            raise BaseError(f"{what} is {commit!r:.80}, which is not a commit.", "Name a base with --base REF.")
        if self.commit(commit) is None:
            depth = ["--depth=1"] if self._is_shallow() else []
            self._fetch(*depth, REMOTE, commit)
        if self.commit(commit) is None:
            raise self._missing(f"{what}, commit {commit}, is not in this clone and cannot be fetched")
        return commit

    def branch(self, name: str) -> str:
        """The commit of the remote's branch, fetched where this clone does not have it. Raises BaseError."""
        short = name.removeprefix("refs/heads/")
        found = self.commit(f"refs/remotes/{REMOTE}/{short}")
        if found is None:
            depth = ["--depth=1"] if self._is_shallow() else []
            found = self.commit("FETCH_HEAD") if self._fetch(*depth, REMOTE, f"refs/heads/{short}") else None
        if found is None:
            raise self._missing(f"branch {short!r} of {REMOTE} is not in this clone and cannot be fetched")
        return found

    def default_branch(self) -> tuple[str, str] | None:
        """Name and commit of the remote's default branch as far as this clone knows it: no network is used."""
        candidates = [f"{REMOTE}/HEAD", *(f"{REMOTE}/{name}" for name in ("main", "master", "trunk", "develop"))]
        for name in candidates:
            commit = self.commit(f"refs/remotes/{name}")
            if commit is not None:
                return name, commit
        return None

    def merge_base(self, one: str, other: str) -> str:
        """The commit that both have in common, the history deepened until there is one. Raises BaseError."""
        found = self._merge_base(one, other)
        for step in DEEPENING:
            if found is not None or not self._is_shallow():
                break
            if not self._fetch(step, REMOTE, one, other) and not self._fetch(step, REMOTE, other):
                break
            found = self._merge_base(one, other)
        if found is None and self._is_shallow():
            raise self._missing(f"the history of this clone is too short to show what {one} and {other} have in common")
        if found is None:
            raise BaseError(
                f"Commits {one} and {other} have no history in common, so there is nothing to compare with.",
                "Name the commit to compare with by --base REF, or check everything with --all.",
            )
        return found

    def _merge_base(self, one: str, other: str) -> str | None:
        try:
            return self.git.run("merge-base", "--end-of-options", one, other).decode("ascii").strip()
        except GitError as exc:
            if exc.status == 1:
                return None
            raise

    def _is_shallow(self) -> bool:
        return self.git.run("rev-parse", "--is-shallow-repository").strip() == b"true"

    def _fetch(self, *what: str) -> bool:
        """Whether it went well. Why not, `_missing` says."""
        if self._left <= 0:
            return False
        started = self._clock()
        command: Sequence[str] = ("fetch", "--quiet", "--no-tags", "--no-recurse-submodules", *what)
        try:
            self.git.run(*command, timeout_seconds=self._left, settings=self._settings)
        except GitError as exc:
            self._why = exc.message
            return False
        finally:
            self._left -= self._clock() - started
        return True

    def _missing(self, problem: str) -> BaseError:
        why = f" ({self._why.rstrip('.')})" if self._why else ""
        return BaseError(
            f"The base cannot be read: {problem}{why}.",
            f"{self.mend} Or name another base with --base REF, or check everything with --all.",
        )
