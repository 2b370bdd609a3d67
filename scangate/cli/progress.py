"""How far the analyses are, on stderr: a live line on a terminal, lines in a log, nothing where quiet is asked for."""

import contextlib
from typing import TYPE_CHECKING, Self, TextIO

from scangate.cli.context import Context
from scangate.service.progress import Progress, line_due

if TYPE_CHECKING:
    from rich.live import Live

_REDRAWS_APART = 0.1


class ProgressReporter:
    """Shows nothing; `of` chooses the one that fits. A context manager: what is live is taken away at the end."""

    @staticmethod
    def of(context: Context, quiet: bool) -> "ProgressReporter":
        if quiet:
            return ProgressReporter()
        if context.stderr.isatty() and not context.environ.get("CI") and context.environ.get("TERM") != "dumb":
            return _LiveLine(context.stderr, colour=context.colour(context.stderr))
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
    def __init__(self, stream: TextIO, *, colour: bool) -> None:
        self._stream = stream
        self._colour = colour
        self._live: Live | None = None
        self._drawn_at = 0.0

    def show(self, progress: Progress) -> None:
        if self._live is not None and progress.elapsed - self._drawn_at < _REDRAWS_APART and not progress.finished:
            return
        self._drawn_at = progress.elapsed
        with contextlib.suppress(OSError, ValueError):
            self._started().update(describe(progress), refresh=True)

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            with contextlib.suppress(OSError, ValueError):
                self._live.stop()

    def _started(self) -> "Live":
        if self._live is None:
            from rich.console import Console
            from rich.live import Live

            console = Console(file=self._stream, no_color=not self._colour, highlight=self._colour)
            self._live = Live(
                console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
            )
            self._live.start()
        return self._live


def describe(progress: Progress) -> str:
    """ "12 of 20 submitted, 3 running, 8 done (1 blocked), 1 without a report, 1:05"."""
    done = f"{progress.done} done" + (f" ({progress.blocked} blocked)" if progress.blocked else "")
    without = f", {progress.shortfalls} without a report" if progress.shortfalls else ""
    minutes, seconds = divmod(int(progress.elapsed), 60)
    submitted = f"{progress.submitted} of {progress.total} submitted, {progress.running} running"
    return f"{submitted}, {done}{without}, {minutes}:{seconds:02d}"
