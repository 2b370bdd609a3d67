"""What a command gets from the outside world, so that tests can give it another one.

A plain class whose imports wait for their use: `scangate --version` must not pay for dataclasses, pathlib, datetime.
"""

import os
import sys
import time

TYPE_CHECKING = False  # as typing has it; importing typing alone costs a tenth of the start-up
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime
    from pathlib import Path
    from typing import TextIO


class Context:
    """Environment, working directory, streams and clocks of one run."""

    def __init__(
        self,
        *,
        environ: "Mapping[str, str] | None" = None,
        cwd: "Path | None" = None,
        stdout: "TextIO | None" = None,
        stderr: "TextIO | None" = None,
        now: "Callable[[], datetime] | None" = None,
        monotonic: "Callable[[], float]" = time.monotonic,
    ) -> None:
        self.environ = os.environ if environ is None else environ
        self.stdout = _open(sys.stdout if stdout is None else stdout)
        self.stderr = _open(sys.stderr if stderr is None else stderr)
        self.monotonic = monotonic
        self._cwd = cwd
        self._now = now

    @property
    def cwd(self) -> "Path":
        """Raises UsageError where the working directory was deleted."""
        if self._cwd is None:
            from pathlib import Path

            try:
                self._cwd = Path.cwd()
            except OSError as exc:
                from scangate.errors import UsageError

                problem = f"the working directory cannot be found: {exc.strerror}."
                raise UsageError(problem, "Change to a directory that exists.") from exc
        return self._cwd

    def now(self) -> "datetime":
        """The time, timezone-aware."""
        if self._now is not None:
            return self._now()
        from datetime import UTC, datetime

        return datetime.now(UTC)

    def stopwatch(self) -> "Callable[[], float]":
        """Seconds since this call."""
        started = self.monotonic()
        return lambda: self.monotonic() - started

    def say(self, line: str) -> None:
        """One line for people on stderr, escaped. Where it cannot be written, the exit code alone has to say it."""
        try:
            self.stderr.write(_escaped((line,)))
            self.stderr.flush()
        except (OSError, ValueError):
            pass

    def warn(self, text: str) -> None:
        """A warning on stderr, escaped."""
        self.say(f"scangate: warning: {text}")

    def show(self, *lines: str) -> None:
        """Lines of the answer on stdout, each escaped. Raises OSError, ValueError where they cannot be written."""
        self.stdout.write(_escaped(lines))
        self.stdout.flush()

    def colour(self, stream: "TextIO") -> bool:
        """Whether to colour: NO_COLOR, then FORCE_COLOR (no-color.org, force-color.org), then a terminal."""
        if self.environ.get("NO_COLOR"):
            return False
        if self.environ.get("FORCE_COLOR"):
            return True
        return stream.isatty() and self.environ.get("TERM") != "dumb"

    def width(self) -> int:
        """The columns to write in, 40 to 120: what COLUMNS says, else the terminal's, else 80."""
        said = self.environ.get("COLUMNS", "")
        columns = int(said[:6]) if said.isdecimal() else 0
        if not columns:
            try:
                columns = os.get_terminal_size(self.stdout.fileno()).columns
            except (OSError, ValueError):
                columns = 0
        return max(40, min(columns or 80, 120))


def _escaped(lines: "Iterable[str]") -> str:
    """Whole lines, from which neither a terminal nor a CI runner takes a command."""
    from scangate.output import escape

    return escape.log("".join(f"{escape.terminal(line)}\n" for line in lines))


def _open(stream: "TextIO | None") -> "TextIO":
    """Python has None for a stream that the caller closed (`>&-`)."""
    if stream is not None:
        return stream
    import io

    return io.StringIO()
