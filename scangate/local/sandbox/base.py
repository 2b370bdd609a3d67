"""What goes into the sandbox and what comes out: the values between the engine, the sandbox and the report."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Protocol

from scangate.errors import ScangateError
from scangate.models.analysis import Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program of a phase. Paths are the sandbox's own; `environ` is all of its environment but the baits.

    `own`: everything that the program does is the package's doing. Otherwise it is a tool (an installer), whose
    doing is nobody's.
    """

    argv: tuple[str, ...]
    cwd: str
    environ: Mapping[str, str] = field(default_factory=dict)
    own: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PhasePlan:
    """Programs run one after the other; the phase ends with the first that fails. `seconds` bounds all of them."""

    phase: Phase
    programs: tuple[Program, ...]
    seconds: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """For one plan. Sizes in bytes."""

    memory: int = 2 * 1024**3
    disk: int = 2 * 1024**3
    file_size: int = 1024**3
    processes: int = 512
    open_files: int = 4096
    trace: int = 512 * 1024**2
    output: int = 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`tree` is copied to /app (owned by the package's user, writable); `read_only` host paths are bound besides,
    by sandbox path, nowhere below a writable folder (layout.WRITABLE; layout.py names the places and the user).

    `baits`: environment variables with planted values that every program gets (and files that hold them are laid out
    by the sandbox).
    """

    tree: Path
    phases: tuple[PhasePlan, ...]
    read_only: Mapping[str, Path] = field(default_factory=dict)
    baits: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A process of the package that was started."""

    argv: tuple[str, ...]
    environ: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """A path that the package's processes opened, looked for, wrote or removed: absolute, links not followed."""

    path: str
    read: bool
    write: bool
    delete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """A connect, sendto or bind of the package's processes. Where the address stands for a name, `names` holds it.

    `names` come from the inner DNS (stand-in addresses resolved back), TLS SNI and HTTP Host.
    """

    address: str
    port: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedUp:
    """A DNS question that reached the inner resolver."""

    name: str
    record_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseTrace:
    """What one phase did. `status` is the report's word: completed, error_timeout, error_analysis, error_other.

    Everything is sorted and without duplicates; only what belongs to the package. `sent`: bodies that reached the
    sink (bounded), in which baits are looked for. `truncated`: more reached the sink than could be kept of it.
    """

    phase: Phase
    status: str
    stdout: bytes = b""
    stderr: bytes = b""
    ran: tuple[Ran, ...] = ()
    touched: tuple[Touched, ...] = ()
    reached: tuple[Reached, ...] = ()
    looked_up: tuple[LookedUp, ...] = ()
    sent: tuple[bytes, ...] = ()
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """One piece that is missing on this machine, and the command that mends it."""

    what: str
    mend: str


class SandboxUnavailable(ScangateError):
    """This machine cannot isolate: which pieces are missing, and how to mend each. Never a reason for less."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        first = problems[0]
        more = f" (and {len(problems) - 1} more: see `scangate doctor`)" if len(problems) > 1 else ""
        super().__init__(f"The sandbox cannot be used here: {first.what}.{more}", first.mend)
        self.problems = problems


class SandboxFailed(ScangateError):
    """The sandbox itself broke while a plan was run (killed, disk full, tracer lost): the package was not analysed."""


class Sandbox(Protocol):
    """Thread-safe; one call is one package."""

    def run(self, plan: Plan, stop: Event) -> tuple[PhaseTrace, ...]:
        """Run the phases in order, each in the file tree that the one before it left.

        Ends soon after `stop` is set (raising jobs.Interrupted). Raises SandboxUnavailable, SandboxFailed.
        """
