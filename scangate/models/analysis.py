"""Asking for an analysis, and what comes of it: a report, or the reason why there is none."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from scangate.models.lockfile import Ecosystem

if TYPE_CHECKING:
    from datetime import datetime

    from scangate.models.observations import Observation


class Engine(StrEnum):
    DYNAMIC_ANALYSIS = "dynamic-analysis"
    LASTPYMILE = "lastpymile"

    def takes(self, ecosystem: Ecosystem | None) -> bool:
        """Whether it analyses packages of that ecosystem at all; None: one that scangate does not know."""
        return ecosystem in ENGINE_ECOSYSTEMS[self]


ENGINE_ECOSYSTEMS: Mapping[Engine, frozenset[Ecosystem]] = {
    Engine.DYNAMIC_ANALYSIS: frozenset(Ecosystem),
    Engine.LASTPYMILE: frozenset({Ecosystem.NPM, Ecosystem.PYPI}),
}
"""Which ecosystems an engine takes (the service's contract, openapi.yaml)."""


class Phase(StrEnum):
    INSTALL = "install"
    IMPORT = "import"
    EXECUTE = "execute"


class OutcomeCode(StrEnum):
    """Why there is no (whole) verdict by analysis. Policy decides what each one means."""

    SUBMIT_ERROR = "submit-error"
    """The service refused the submission."""
    UNREACHABLE = "unreachable"
    """The service could not be reached, or went away, and retries were used up."""
    FAILED = "failed"
    """The analysis ended as failed, or in a status that is unknown."""
    TIMEOUT = "timeout"
    """The service's own time limit for the analysis passed."""
    PENDING = "pending"
    """Not finished within --timeout."""
    REPORT_MISSING = "report-missing"
    """The task is completed, its report cannot be had."""
    REPORT_INVALID = "report-invalid"
    """A report came that is not in the documented form."""
    WRONG_PACKAGE = "wrong-package"
    """The report is about another package than the one asked for."""
    INTEGRITY_MISMATCH = "integrity-mismatch"
    """The archive is not the one that the lockfile, or else the registry, promises: it was not run."""
    BLIND = "blind"
    """A phase completed in which nothing at all was observed."""
    NO_CREDENTIALS = "no-credentials"
    OVER_BUDGET = "over-budget"
    UNSUPPORTED_LOCKFILE = "unsupported-lockfile"
    UNSUPPORTED_ECOSYSTEM = "unsupported-ecosystem"
    GIT = "git"
    URL = "url"
    PRIVATE_REGISTRY = "private-registry"
    FILE = "file"
    LOCAL = "local"
    UNPINNED = "unpinned"
    IMPORT_FAILED = "import-failed"
    """Every module failed to import: nothing of the package ran."""
    PHASE_ERROR = "phase-error"
    """A phase ended in an error status."""
    TRUNCATED = "truncated"
    """More happened in a phase than the analysis keeps."""
    DEPENDENCY_MISSING = "dependency-missing"
    """Something that the package asks for was not there while it ran."""
    STALE = "stale"
    """The report is older than the policy's maximum age."""


class Shortfall(NamedTuple):
    """ "Not analysed", or not wholly: a value with a reason. `detail` is one sentence (text from outside)."""

    code: OutcomeCode
    detail: str = ""
    engine: Engine | None = None
    phase: Phase | None = None
    task_id: int | None = None

    @classmethod
    def not_taken(cls, engine: Engine, ecosystem: Ecosystem) -> "Shortfall":
        """Of a package that the engine does not take."""
        detail = f"The engine {engine} does not take {ecosystem} packages."
        return cls(code=OutcomeCode.UNSUPPORTED_ECOSYSTEM, detail=detail, engine=engine)


MAX_ARCHIVE_BYTES = 256 * 1024 * 1024
"""Larger archives are neither read nor uploaded."""

MAX_REPORT_BYTES = 64 * 1024 * 1024
"""Larger reports are refused, wherever they come from."""


class Archive(NamedTuple):
    """An archive to upload: its file name and its bytes."""

    filename: str
    content: bytes
    github_url: str | None = None

    def __repr__(self) -> str:
        """Without the bytes: they are a private archive's."""
        return f"Archive(filename={self.filename!r}, github_url={self.github_url!r})"


class AnalysisRequest(NamedTuple):
    """One analysis to be had: a package by purl, by one engine; with `archive`, of those bytes.

    `integrity`: what the lockfiles pin it to, each entry's digests (none: an empty tuple) once, sorted. It is not
    sent: it tells whether an earlier answer is about what is installed now.
    """

    purl: str
    engine: Engine = Engine.DYNAMIC_ANALYSIS
    archive: Archive | None = None
    integrity: tuple[tuple[str, ...], ...] = ()


class Report(NamedTuple):
    """A report as it was downloaded (bytes of a JSON document, not yet looked into)."""

    payload: bytes
    task_id: int | None = None

    def __repr__(self) -> str:
        """Without the bytes: they may be 64 MB."""
        return f"Report(task_id={self.task_id!r})"


Answer = Report | Shortfall
"""What an analyser gives for each request."""


class Analyser(Protocol):
    """The ANALYSE stage as the pipeline sees it."""

    def analyse(self, requests: Sequence[AnalysisRequest]) -> Mapping[AnalysisRequest, Answer]:
        """An answer for every request, without exception; never raises for a single request's trouble."""


class Analysed(NamedTuple):
    """What one report shows. `shortfalls` name what it could not show (blind phase, failed imports …)."""

    engine: Engine
    observations: tuple["Observation", ...]
    shortfalls: tuple[Shortfall, ...] = ()
    created: "datetime | None" = None
    task_id: int | None = None
