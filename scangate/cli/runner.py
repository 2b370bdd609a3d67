"""GitHub's runner as a step meets it: its variables, the step's outputs and summary, the commands in the log."""

import os
import secrets
from pathlib import Path

from scangate.cli.context import Context
from scangate.errors import UsageError
from scangate.output import escape

MAX_SUMMARY_BYTES = 1024 * 1024
"""The runner drops a larger step summary as a whole."""

MAX_TOLD = 2000
"""Characters of an error that are shown; the log has all of it."""


class Step:
    """One step of a job. GITHUB_ENV and GITHUB_PATH are never written: what they hold reaches the job's other steps."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.environ = context.environ

    def folder(self, variable: str) -> Path:
        """The folder that the runner's variable names. Raises UsageError."""
        folder = Path(self._variable(variable))
        if not folder.is_absolute() or not folder.is_dir():
            raise UsageError(f"{variable}: {os.fspath(folder)!r:.200} is no folder.", "GitHub's runner sets it.")
        return folder

    def mask(self, secret: str) -> None:
        """Whatever prints it from now on, the log has `***`."""
        for line in secret.splitlines():
            self.write(f"::add-mask::{escape.command_data(line)}\n")

    def error(self, title: str, text: str) -> None:
        """An annotation, and the same in the summary."""
        self.annotate(title, text)
        shown = escape.log(escape.prose(escape.shorten(text, MAX_TOLD)))
        self.summarise(f"**{title}**\n\n{shown}\n")

    def annotate(self, title: str, text: str) -> None:
        shown = escape.terminal(escape.shorten(text, MAX_TOLD))
        self.write(f"::error title={escape.command_property(title)}::{escape.command_data(shown)}\n")

    def write(self, text: str) -> None:
        self.context.stdout.write(text)
        self.context.stdout.flush()

    def output(self, name: str, value: str) -> None:
        """The last value of a name counts. No value can end its own block: the delimiter is random."""
        delimiter = f"scangate_{secrets.token_hex(16)}"
        self._append("GITHUB_OUTPUT", f"{name}<<{delimiter}\n{value}\n{delimiter}\n")

    def summarise(self, markdown: str) -> None:
        """Add it to the step's summary. What would make that too large to be shown at all is left out."""
        path = Path(self._variable("GITHUB_STEP_SUMMARY"))
        there = path.stat().st_size if path.exists() else 0
        if there + len(markdown.encode(errors="backslashreplace")) < MAX_SUMMARY_BYTES:
            self._append("GITHUB_STEP_SUMMARY", f"{markdown}\n")

    def _append(self, variable: str, text: str) -> None:
        try:
            with open(self._variable(variable), "a", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
                file.write(text)
        except OSError as exc:
            raise UsageError(f"{variable} cannot be written: {exc.strerror}.", "Look at the runner's disk.") from exc

    def _variable(self, name: str) -> str:
        value = self.environ.get(name)
        if not value:
            raise UsageError(
                f"{name} is not set.", "`scangate action` is what action.yml runs; elsewhere: `scangate check`."
            )
        return value
