"""What outlives a run: the tasks that it submitted, and the reports that it fetched."""

from typing import Protocol

from scangate.models.analysis import AnalysisRequest, Report


class Memory(Protocol):
    """Told by the scheduler as it goes, so that a run that is killed leaves what the next one needs. Never raises."""

    def recall(self, request: AnalysisRequest) -> int | None:
        """The task that an earlier run submitted for this request and did not see to its end."""

    def remember(self, request: AnalysisRequest, task_id: int) -> None:
        """The submission was answered."""

    def keep(self, request: AnalysisRequest, report: Report) -> None:
        """The task ended with this report (not yet looked into); it need not be asked for again."""

    def forget(self, request: AnalysisRequest) -> None:
        """The task is gone, ended without a report, or is about something else."""


class NoMemory:
    """Every run stands alone."""

    def recall(self, request: AnalysisRequest) -> int | None:  # noqa: ARG002 - Memory's signature
        return None

    def remember(self, request: AnalysisRequest, task_id: int) -> None: ...

    def keep(self, request: AnalysisRequest, report: Report) -> None: ...

    def forget(self, request: AnalysisRequest) -> None: ...
