"""What the process ends with, by the verdict; apart from the decision: a run with nothing new loads no rules."""

from typing import assert_never

from scangate.errors import ExitCode
from scangate.models.verdict import Mode, Status, Verdict


def exit_code(verdict: Verdict) -> ExitCode:
    """What the process ends with; 0 whatever was found where the policy only observes."""
    if verdict.mode is Mode.OBSERVE:
        return ExitCode.PASS
    match verdict.status:
        case Status.PASSED | Status.WARNED:
            return ExitCode.PASS
        case Status.INCOMPLETE:
            return ExitCode.INCOMPLETE
        case Status.BLOCKED:
            return ExitCode.BLOCKED
        case _:
            assert_never(verdict.status)
