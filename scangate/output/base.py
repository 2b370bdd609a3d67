"""What a renderer gets besides the verdict. All of it is decided by the caller; a renderer reads nothing itself."""

import posixpath
import re
from typing import NamedTuple, Protocol
from urllib.parse import quote

from scangate.errors import ExitCode
from scangate.models.verdict import Verdict

MAX_PATH = 4096
"""Characters of a path (PATH_MAX of Linux, in bytes)."""

_SERVER = r"https://[a-z0-9-]+(\.[a-z0-9-]+)*(:\d{1,5})?"
_REPOSITORY = r"(?!\.)[\w.-]{1,100}/(?!\.{1,2}\Z)[\w.-]{1,100}"
_COMMIT = r"[0-9a-f]{40}|[0-9a-f]{64}"


class Tree(NamedTuple):
    """Where the run stood: the repository's root and the working directory, absolute, written with "/".

    Paths of lockfiles are relative to the working directory; those in a pull request are relative to the root.
    `policy` is what the policy's paths are relative to: the working directory for one that was named, else the root
    (None).
    """

    root: str = ""
    cwd: str = ""
    policy: str | None = None

    def path(self, path: str) -> str:
        """The path from the repository's root; absolute where it lies outside of it."""
        whole = posixpath.normpath(posixpath.join(self.cwd, path))
        return whole.removeprefix(f"{self.root.rstrip('/')}/") if self.root else whole

    def place(self, path: str, line: int) -> str:
        """ "path:line" from the repository's root."""
        return f"{self.path(path)}:{line}"

    def of_policy(self, path: str) -> str:
        """A path of the policy, or of a file that it extends, as a lockfile there would have it."""
        return posixpath.join(self.root if self.policy is None else self.policy, path)

    @property
    def folder(self) -> str:
        """The working directory from the repository's root; "" where it is the root."""
        return "" if self.cwd == self.root else self.path(self.cwd)

    def inside(self, path: str) -> str | None:
        """The path from the repository's root; None where no file there can have it: outside of it, or too long."""
        found = self.path(path)
        outside = found.startswith(("/", "../")) or found in ("", ".", "..")
        return None if outside or len(found) > MAX_PATH else found


class Links(NamedTuple):
    """Addresses of lines in the repository's web pages. `base` is "https://SERVER/OWNER/NAME/blob/COMMIT/"."""

    base: str

    @classmethod
    def github(cls, server: str, repository: str, commit: str) -> "Links | None":
        """From GITHUB_SERVER_URL, GITHUB_REPOSITORY and GITHUB_SHA; None unless each is just what it should be."""
        good = (
            commit != ""  # outside of GitHub no pattern need be compiled
            and re.fullmatch(_SERVER, server, re.IGNORECASE) is not None
            and re.fullmatch(_REPOSITORY, repository, re.ASCII) is not None
            and re.fullmatch(_COMMIT, commit) is not None
        )
        return cls(f"{server}/{repository}/blob/{commit}/") if good else None

    def line(self, path: str, line: int) -> str | None:
        """The address of a line; `path` is relative to the repository's root. None where no address can name it.

        Everything but letters, digits and `_.-~/` is percent-encoded: no path can end the address or add to it.
        """
        try:
            return f"{self.base}{quote(path, safe='/', errors='surrogateescape')}#L{line}"
        except UnicodeEncodeError:
            return None


class Setting(NamedTuple):
    """The surroundings of one rendering. `colour` and `width` (columns) are for people at a terminal."""

    version: str
    exit_code: ExitCode
    colour: bool = False
    width: int = 80
    tree: Tree = Tree()
    links: Links | None = None


class Renderer(Protocol):
    """What stands behind a format's name."""

    def __call__(self, verdict: Verdict, setting: Setting) -> str:
        """The whole text, ending with a newline; the same bytes for the same arguments. Never raises."""
