"""What a command gets from the outside world, so that tests can give it another one."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Environment, working directory, streams and clocks of one run."""

    environ: Mapping[str, str]
    cwd: Path
    stdout: TextIO
    stderr: TextIO
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    monotonic: Callable[[], float] = time.monotonic

    @classmethod
    def real(cls) -> "Context":
        return cls(environ=os.environ, cwd=Path.cwd(), stdout=sys.stdout, stderr=sys.stderr)

    def stopwatch(self) -> Callable[[], float]:
        """Seconds since this call."""
        started = self.monotonic()
        return lambda: self.monotonic() - started

    def say(self, text: str) -> None:
        """One line for people on stderr."""
        self.stderr.write(f"{text}\n")
        self.stderr.flush()

    def colour(self, stream: TextIO) -> bool:
        """Whether to colour: NO_COLOR, then FORCE_COLOR (no-color.org, force-color.org), then a terminal."""
        if self.environ.get("NO_COLOR"):
            return False
        if self.environ.get("FORCE_COLOR"):
            return True
        return stream.isatty() and self.environ.get("TERM") != "dumb"

    def width(self) -> int:
        """Columns of the terminal; 80 where there is none."""
        columns = self.environ.get("COLUMNS", "")
        if columns.isdecimal():
            return min(int(columns), 200)
        try:
            return min(os.get_terminal_size(self.stdout.fileno()).columns, 120) or 80
        except (OSError, ValueError):
            return 80
