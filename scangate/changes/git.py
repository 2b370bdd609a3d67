"""The one place that runs git: bounded in time and output, and deaf to what the workspace tells git to run.

A workspace can make git execute commands: a committed bare repository whose config names a `core.fsmonitor`, hooks,
`ext::` remotes. So every call refuses bare repositories that it stumbles on and switches those three off; no
inherited GIT_* variable reaches git, and no `git` that lies in the workspace is found through a relative PATH.
"""

import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from scangate.errors import ExitCode, ScangateError

MAX_OUTPUT_BYTES = 256 * 1024 * 1024
"""Of one call. A listing of a million paths is about 100 MB."""

TIMEOUT_SECONDS = 60.0

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
)


class GitError(ScangateError):
    """git is missing, failed, took too long or said too much. What that means is for the caller to decide."""

    exit_code = ExitCode.INCOMPLETE


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
        self._folder = folder
        self._environ = _clean(environ)
        self._timeout_seconds = timeout_seconds
        self._max_output_bytes = max_output_bytes

    def toplevel(self) -> Path:
        """The working tree's root. Raises GitError outside of one."""
        return Path(os.fsdecode(self.run("rev-parse", "--show-toplevel").removesuffix(b"\n")))

    def tracked(self) -> frozenset[str]:
        """Tracked files in the folder and below, submodules included, as paths relative to it."""
        return self._listing("--cached", "--recurse-submodules")

    def untracked(self) -> frozenset[str]:
        """Files that are neither tracked nor ignored, in the folder and below, as paths relative to it.

        A repository inside that is no submodule stands there as one entry that ends in "/".
        """
        return self._listing("--others", "--exclude-standard")

    def run(self, *arguments: str) -> bytes:
        """What `git ARGUMENTS…` prints. Raises GitError where it fails in any way."""
        command = ("git", *_HARDENING, *arguments)
        try:
            return self._run(command)
        except (OSError, ValueError) as exc:
            raise GitError(f"git cannot be run: {exc}.", "Install git, or put it on PATH by its full path.") from exc

    def _run(self, command: tuple[str, ...]) -> bytes:
        with tempfile.TemporaryFile() as complaints:
            process = subprocess.Popen(  # noqa: S603 - a fixed program, no shell, arguments are ours
                command,
                cwd=self._folder,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=complaints,
                start_new_session=True,
            )
            late = threading.Event()

            def end_it() -> None:
                late.set()
                _kill(process)

            watchdog = threading.Timer(self._timeout_seconds, end_it)
            watchdog.start()
            try:
                assert process.stdout is not None
                with process.stdout as stdout:
                    output = stdout.read(self._max_output_bytes + 1)
                if len(output) > self._max_output_bytes:
                    _kill(process)
                status = process.wait()
            except BaseException:  # Ctrl-C too: leave no git behind
                _kill(process)
                process.wait()
                raise
            finally:
                watchdog.cancel()
            complaints.seek(0)
            self._check(command[len(_HARDENING) + 1], status, output, complaints.read(4096), late=late.is_set())
            return output

    def _check(self, verb: str, status: int, output: bytes, complaints: bytes, *, late: bool) -> None:
        if late:
            raise GitError(f"git {verb} took longer than {self._timeout_seconds:g} s.", "Try again on a faster disk.")
        if len(output) > self._max_output_bytes:
            raise GitError(f"git {verb} printed more than {self._max_output_bytes} bytes.", "Name a folder as PATH.")
        if status != 0:
            said = " ".join(complaints.decode("utf-8", "replace").split())
            raise GitError(f"git {verb} failed with status {status}: {said[:500]}", "Run it yourself to see why.")

    def _listing(self, *options: str) -> frozenset[str]:
        listing = self.run("ls-files", "-z", *options)
        return frozenset(os.fsdecode(path) for path in listing.split(b"\0") if path)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The whole session: a submodule's git is a child of git, and keeps the pipe open."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _clean(environ: Mapping[str, str]) -> dict[str, str]:
    clean = {key: value for key, value in environ.items() if not key.startswith("GIT_")}
    folders = environ.get("PATH", os.defpath).split(os.pathsep)
    absolute = [folder for folder in folders if os.path.isabs(folder)]  # noqa: PTH117 - a text, not a path to use
    return clean | {
        # An empty PATH would mean the working directory.
        "PATH": os.pathsep.join(absolute) or os.devnull,
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
    }
