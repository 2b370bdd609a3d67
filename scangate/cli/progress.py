"""How far the analyses are, on stderr: a live line on a terminal, lines in a log, nothing where quiet is asked for."""

import contextlib
import os
from typing import Self, TextIO

from scangate.cli.context import Context
from scangate.service.progress import Progress, line_due

_REDRAWS_APART = 0.1
_ERASE = "\r\x1b[K"


class ProgressReporter:
    """Shows nothing; `of` chooses the one that fits. A context manager: what is live is taken away at the end."""

    @staticmethod
    def of(context: Context, quiet: bool) -> "ProgressReporter":
        if quiet:
            return ProgressReporter()
        if context.stderr.isatty() and not context.environ.get("CI") and context.environ.get("TERM") != "dumb":
            return _LiveLine(context.stderr)
        return _LogLines(context.stderr)

    def show(self, progress: Progress) -> None:
        """Called at every change and about once a second."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


class _LogLines(ProgressReporter):
    """A line when something changes, and after a minute in which nothing did: a silent job looks like a hung one."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown: Progress | None = None

    def show(self, progress: Progress) -> None:
        if line_due(progress, self._shown):
            self._shown = progress
            # Progress is a courtesy: a reader of stderr that went away does not end the run.
            with contextlib.suppress(OSError, ValueError):
                self._stream.write(f"scangate: {describe(progress)}\n")
                self._stream.flush()


class _LiveLine(ProgressReporter):
    """One line, redrawn in place. The cursor waits at its start, so that whatever else is said replaces it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._drawn: Progress | None = None

    def show(self, progress: Progress) -> None:
        if self._drawn is None or progress.finished or progress.elapsed - self._drawn.elapsed >= _REDRAWS_APART:
            self._drawn = progress
            self._write(f"{_ERASE}{describe(progress)[: _columns(self._stream) - 1]}\r")

    def __exit__(self, *_: object) -> None:
        if self._drawn is not None:
            self._write(_ERASE)

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def describe(progress: Progress) -> str:
    """ "12 of 20 submitted, 3 running, 8 done (1 blocked), 1 without a report, 1:05"."""
    done = f"{progress.done} done" + (f" ({progress.blocked} blocked)" if progress.blocked else "")
    without = f", {progress.shortfalls} without a report" if progress.shortfalls else ""
    minutes, seconds = divmod(int(progress.elapsed), 60)
    submitted = f"{progress.submitted} of {progress.total} submitted, {progress.running} running"
    return f"{submitted}, {done}{without}, {minutes}:{seconds:02d}"
