"""What an analysis engine is to the workers. A new engine implements `AnalysisEngine`; nothing else changes."""

from threading import Event
from typing import Protocol

from scangate.local.jobs import Job, Outcome


class AnalysisEngine(Protocol):
    """Runs in a worker's thread, many at once."""

    def analyse(self, job: Job, stop: Event) -> Outcome:
        """Analyse one package. Raises Interrupted soon after `stop` is set.

        What cannot be analysed is an Outcome, too. An exception that escapes makes the task `failed`.
        """
