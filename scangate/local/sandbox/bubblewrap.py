"""The sandbox of Linux machines: bubblewrap isolates, strace sees."""

from pathlib import Path, PurePosixPath
from threading import Event

from scangate.local.sandbox import doctor, driver, layout
from scangate.local.sandbox.base import PhaseTrace, Plan, SandboxFailed, SandboxUnavailable


class BubblewrapSandbox:
    """Implements base.Sandbox. Needs no set-up; whatever misses is told by `run` (SandboxUnavailable).

    `workspace`: where its empty working directories are made (default: the machine's temporary directory).
    """

    def __init__(self, *, workspace: Path | None = None) -> None:
        self._workspace = workspace

    def run(self, plan: Plan, stop: Event) -> tuple[PhaseTrace, ...]:
        """See base.Sandbox.run. Blocks; each call has namespaces, a file tree and processes of its own."""
        if problems := doctor.missing():
            raise SandboxUnavailable(problems)
        _check(plan)
        try:
            return driver.drive(plan, doctor.tools(), stop, self._workspace)
        except SandboxFailed as error:
            # Is it this plan, or does no sandbox work here? The second has its own advice.
            if problems := doctor.problems(self._workspace):
                raise SandboxUnavailable(problems) from error
            raise


def _check(plan: Plan) -> None:
    for phase in plan.phases:
        for program in phase.programs:
            if not program.argv or "=" in program.argv[0] or program.argv[0].startswith("-"):
                raise ValueError(f"not a program: {program.argv[:1]!r}")
    for inside, outside in plan.read_only.items():
        if any(PurePosixPath(inside).is_relative_to(path) for path in layout.WRITABLE):
            # There the package could have put a link in its place.
            raise ValueError(f"bound below a folder that the package writes to: {inside!r}")
        if not inside.startswith("/") or not outside.exists():
            raise SandboxFailed(f"{outside} cannot be bound to {inside}.", "Check that it exists.")
