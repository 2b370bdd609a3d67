"""Running npm and pip outside the sandbox: nothing of the user's environment, nowhere to go but the relay."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event

from scangate.local.fetch.base import FetchError
from scangate.local.jobs import Interrupted

TOOL_SECONDS = 300.0
_LOOK_SECONDS = 0.02
_TAIL_BYTES = 4096
_NOWHERE = "http://127.0.0.1:9"
"""The discard port: whatever is not on loopback is refused at once."""


def environment(home: Path, path: str) -> dict[str, str]:
    """All that a tool gets. No variable of the user's can configure it, and no proxy leads it out."""
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"), _NOWHERE)
    return {
        "HOME": str(home),
        "TMPDIR": str(home),
        "PATH": path,
        "LANG": "C.UTF-8",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        **proxies,
    }


def run(argv: Sequence[str], cwd: Path, environ: Mapping[str, str], stop: Event, *, what: str) -> None:
    """Run a tool to its end, with all that it starts. Raises FetchError (with its last words), Interrupted."""
    log = cwd / ".scangate-tool.log"
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(  # noqa: S603  # our own argv, no shell
                argv,
                cwd=cwd,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        except OSError as exc:
            raise FetchError(f"{what}: {argv[0]} cannot be started ({exc.strerror}).", "Install it.") from exc
        try:
            status = _wait(process, stop, what)
        finally:
            _kill(process)
    if status != 0:
        raise FetchError(f"{what}: {_last_words(log)}.", "Try again later; if it stays so, report it.")


def _wait(process: "subprocess.Popen[bytes]", stop: Event, what: str) -> int:
    deadline = time.monotonic() + TOOL_SECONDS
    while (status := process.poll()) is None:
        if stop.wait(_LOOK_SECONDS):
            raise Interrupted
        if time.monotonic() > deadline:
            raise FetchError(f"{what}: not done within {TOOL_SECONDS:.0f} seconds.", "Try again later.")
    return status


def _kill(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _last_words(log: Path) -> str:
    """The lines that say what went wrong, in one."""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        lines = stream.read().decode("utf-8", "replace").splitlines()
    errors = [line for line in lines if "error" in line.lower()] or lines[-3:]
    text = " ".join(" ".join(errors[:4]).split())
    return text[:500] or "it failed and said nothing"
