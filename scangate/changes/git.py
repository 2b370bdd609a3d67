"""The one place that runs git: bounded in time and output, and deaf to what the workspace tells git to run.

A workspace can make git execute commands: a committed bare repository whose config names a `core.fsmonitor`, hooks,
`ext::` remotes. So every call refuses bare repositories that it stumbles on and switches those three off; no
inherited GIT_* variable reaches git, and no `git` that lies in the workspace is found through a relative PATH.
"""

import os
import re
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from scangate.errors import ExitCode, ScangateError

MAX_OUTPUT_BYTES = 256 * 1024 * 1024
"""Of one call. A listing of a million paths is about 100 MB."""

TIMEOUT_SECONDS = 60.0

_SLOW = "Try again on a faster disk or network."

_HARDENING = (
    "--no-pager",
    "-c",
    "safe.bareRepository=explicit",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "protocol.ext.allow=never",
    # What a fetch would do besides: ask in a window, tidy up, visit submodules.
    "-c",
    "core.askPass=",
    "-c",
    "gc.auto=0",
    "-c",
    "maintenance.auto=false",
    "-c",
    "fetch.recurseSubmodules=false",
)

_CREDENTIALS = r"://[^/@\s]*@"


class GitError(ScangateError):
    """git is missing, failed, took too long or said too much. What that means is for the caller to decide.

    `status` is what git ended with by itself; None where it did not get to that.
    """

    exit_code = ExitCode.INCOMPLETE

    def __init__(self, message: str, hint: str = "", *, status: int | None = None) -> None:
        super().__init__(message, hint)
        self.status = status


class Git:
    """git in one folder. `environ` is the process's environment: of it, git gets PATH, HOME and all but GIT_*."""

    def __init__(
        self,
        folder: Path,
        environ: Mapping[str, str],
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        max_output_bytes: int = MAX_OUTPUT_BYTES,
    ) -> None:
        self.folder = folder
        self._environ = _clean(environ)
        self._timeout_seconds = timeout_seconds
        self._max_output_bytes = max_output_bytes

    def at(self, folder: Path) -> "Git":
        """The same git in another folder."""
        return Git(
            folder, self._environ, timeout_seconds=self._timeout_seconds, max_output_bytes=self._max_output_bytes
        )

    def toplevel(self) -> Path:
        """The working tree's root. Raises GitError outside of one."""
        return Path(os.fsdecode(self.run("rev-parse", "--show-toplevel").removesuffix(b"\n")))

    def tracked(self) -> frozenset[str]:
        """Tracked files in the folder and below, submodules included, as paths relative to it."""
        return self.listed()[0]

    def listed(self) -> tuple[frozenset[str], frozenset[str]]:
        """Tracked files as `tracked` has them, and those of them that a sparse checkout leaves out."""
        listing = self._listing("-t", "--cached", "--recurse-submodules")
        skipped = frozenset(line[2:] for line in listing if line.startswith("S "))
        return frozenset(line[2:] for line in listing), skipped

    def untracked(self) -> frozenset[str]:
        """Files that are neither tracked nor ignored, in the folder and below, as paths relative to it.

        A repository inside that is no submodule stands there as one entry that ends in "/".
        """
        return self._listing("--others", "--exclude-standard")

    def run(
        self,
        *arguments: str,
        index: Path | None = None,
        timeout_seconds: float | None = None,
        settings: Sequence[tuple[str, str]] = (),
    ) -> bytes:
        """What `git ARGUMENTS…` prints. Raises GitError where it fails in any way.

        `index` is the index file that the call reads (an absolute path), where it is not the repository's own.
        `settings` are configuration for this call alone; they may be secret, and are not among the arguments.
        """
        allowed = self._timeout_seconds if timeout_seconds is None else timeout_seconds
        try:
            return self._run(arguments, _variables(index, settings), allowed)
        except (OSError, ValueError) as exc:
            raise _cannot_run(exc) from exc

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """`git ARGUMENTS…` with pipes to it and from it. To end it, and in time, is for the caller: `kill`."""
        try:
            return self._popen(arguments, {}, stdin=subprocess.PIPE, complaints=subprocess.DEVNULL)
        except (OSError, ValueError) as exc:
            raise _cannot_run(exc) from exc

    def _popen(
        self, arguments: Sequence[str], own: Mapping[str, str], *, stdin: int, complaints: int | IO[bytes]
    ) -> subprocess.Popen[bytes]:
        command = ("git", *_HARDENING, *arguments)
        return subprocess.Popen(  # noqa: S603 - a fixed program, no shell, arguments are ours
            command,
            cwd=self.folder,
            env={**self._environ, **own},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=complaints,
            start_new_session=True,
        )

    def _run(self, arguments: Sequence[str], own: Mapping[str, str], allowed_seconds: float) -> bytes:
        with _scratch() as complaints:
            process = self._popen(arguments, own, stdin=subprocess.DEVNULL, complaints=complaints)
            late = threading.Event()

            def end_it() -> None:
                late.set()
                kill(process)

            watchdog = threading.Timer(allowed_seconds, end_it)
            watchdog.start()
            try:
                assert process.stdout is not None
                with process.stdout as stdout:
                    output = stdout.read(self._max_output_bytes + 1)
                if len(output) > self._max_output_bytes:
                    kill(process)
                status = process.wait()
            except BaseException:  # Ctrl-C too: leave no git behind
                kill(process)
                process.wait()
                raise
            finally:
                watchdog.cancel()
            complaints.seek(0)
            said = " ".join(complaints.read(4096).decode("utf-8", "replace").split())
            if late.is_set():
                raise GitError(f"git {arguments[0]} took longer than {allowed_seconds:g} s.", _SLOW)
            self._check(arguments[0], status, output, said)
            return output

    def _check(self, verb: str, status: int, output: bytes, said: str) -> None:
        if len(output) > self._max_output_bytes:
            raise GitError(f"git {verb} printed more than {self._max_output_bytes} bytes.", "Name a folder as PATH.")
        if status != 0:
            problem = f"git {verb} failed with status {status}: {re.sub(_CREDENTIALS, '://', said)[:500]}"
            raise GitError(problem, "Run it yourself to see why.", status=status)

    def _listing(self, *options: str) -> frozenset[str]:
        listing = self.run("ls-files", "-z", *options)
        return frozenset(os.fsdecode(path) for path in listing.split(b"\0") if path)


def kill(process: subprocess.Popen[bytes]) -> None:
    """The whole session: a submodule's git is a child of git, and keeps the pipe open."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _scratch() -> IO[bytes]:
    """A file for what git complains of: in memory where that is to be had, to import tempfile costs more than git."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("git"), "w+b")
    import tempfile

    return tempfile.TemporaryFile()


def _cannot_run(exc: Exception) -> GitError:
    return GitError(f"git cannot be run: {exc}.", "Install git, or put it on PATH by its full path.")


def _variables(index: Path | None, settings: Sequence[tuple[str, str]]) -> dict[str, str]:
    own = {} if index is None else {"GIT_INDEX_FILE": str(index)}
    if settings:
        own["GIT_CONFIG_COUNT"] = str(len(settings))
    for number, (key, value) in enumerate(settings):
        own |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return own


def _clean(environ: Mapping[str, str]) -> dict[str, str]:
    # SSH_ASKPASS would open a window, and wait; the SCANGATE_ ones may be secret.
    clean = {
        key: value
        for key, value in environ.items()
        if not key.startswith(("GIT_", "SCANGATE_")) and key != "SSH_ASKPASS"
    }
    folders = environ.get("PATH", os.defpath).split(os.pathsep)
    absolute = [folder for folder in folders if os.path.isabs(folder)]  # noqa: PTH117 - a text, not a path to use
    return clean | {
        # An empty PATH would mean the working directory.
        "PATH": os.pathsep.join(absolute) or os.devnull,
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GCM_INTERACTIVE": "never",
    }
