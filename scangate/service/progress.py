"""How far a run is, and when a log needs a line about it. Pure; `scangate.cli.progress` shows it."""

from dataclasses import dataclass, replace

_CHANGES_APART = 1.0
_SILENCE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Counts of requests: total = waiting + running + done + shortfalls. `elapsed` in seconds.

    `submitted` were sent so far; `done` have a report, of which the policy blocks `blocked`; `shortfalls` ended
    without one.
    """

    total: int
    waiting: int = 0
    submitted: int = 0
    running: int = 0
    done: int = 0
    shortfalls: int = 0
    blocked: int = 0
    elapsed: float = 0.0

    @property
    def finished(self) -> bool:
        return self.done + self.shortfalls == self.total


def line_due(now: Progress, shown: Progress | None) -> bool:
    """Whether a log needs a line: something changed (one line a second at most), or a minute has passed.

    `shown` is what the last line said. The end is shown at once.
    """
    if shown is None:
        return True
    age = now.elapsed - shown.elapsed
    if replace(now, elapsed=shown.elapsed) == shown:
        return age >= _SILENCE
    return now.finished or age >= _CHANGES_APART
