"""The values that flow through the pipeline: frozen, without I/O and without behaviour of their own.

lockfiles make `Lockfile`s of `Dependency`s; the service answers an `AnalysisRequest` with a `Report` or a
`Shortfall`; reports turn a `Report` into `Analysed` (observations) or a `Shortfall`; the policy turns all of it
into a `Verdict`, which is all that a renderer sees.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

from scangate.values import dataclass


class Ecosystem(StrEnum):
    """Package ecosystems, named by their purl type."""

    NPM = "npm"
    PYPI = "pypi"
    VSCODE_EXTENSION = "vscode-extension"


class Kind(StrEnum):
    """Where a dependency's content comes from."""

    REGISTRY = "registry"
    """The public registry, or a mirror of it that the policy names."""
    PRIVATE_REGISTRY = "private-registry"
    GIT = "git"
    URL = "url"
    """An archive by URL, or a registry host that nothing names as one."""
    FILE = "file"
    """An archive on disk."""
    LOCAL = "local"
    """A directory on disk: workspace, editable install, path dependency."""
    UNPINNED = "unpinned"
    """No exact version: which content is installed is open."""


class Scope(StrEnum):
    PROD = "prod"
    DEV = "dev"
    OPTIONAL = "optional"


class Relation(StrEnum):
    DIRECT = "direct"
    TRANSITIVE = "transitive"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class LockFact:
    """Something notable that a lockfile alone shows, before anything is analysed.

    `check` is the kebab-case word that `lock-…` rules match ("confusion", "extra-index"); `detail` is one
    sentence for people (may hold text from outside).
    """

    check: str
    detail: str
    line: int = 1


@dataclass(frozen=True, kw_only=True)
class Dependency:
    """One entry of one lockfile.

    `purl` is None where the entry is not a package of a public registry at an exact version; `kind` says why.
    `name` is written as the ecosystem writes it (npm: as it is; PyPI: PEP 503 normalised).
    `registry` is the host that it comes from (lower case, no port unless given), None where unknown or none.
    `source` is the resolved URL, git reference, path or the requirement as written, without credentials.
    `integrity` holds digests as "algorithm:hex", lower case, sorted.
    `path` is one shortest chain "name@version" from a direct dependency to this one, both included;
    empty where the lockfile does not say.
    `lockfile` is the path relative to the working directory with "/" ; `line` is 1-based.
    """

    ecosystem: Ecosystem
    name: str
    version: str | None
    kind: Kind
    purl: str | None
    registry: str | None = None
    source: str | None = None
    integrity: tuple[str, ...] = ()
    scope: Scope = Scope.PROD
    relation: Relation = Relation.UNKNOWN
    path: tuple[str, ...] = ()
    lockfile: str = ""
    line: int = 1
    facts: tuple[LockFact, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Lockfile:
    """One lockfile that was found. `supported` is False where scangate recognises it but cannot read it yet."""

    path: str
    format: str
    dependencies: tuple[Dependency, ...] = ()
    facts: tuple[LockFact, ...] = ()
    supported: bool = True
    unchanged: bool = False
    """The base has the very same file: nothing of it is new, also where it cannot be read yet."""


# ---------------------------------------------------------------------------------------------- changes


class ChangeKind(StrEnum):
    """What happened to an entry since the base."""

    ADDED = "added"
    UPGRADED = "upgraded"
    DOWNGRADED = "downgraded"
    CHANGED = "changed"
    """Another version, and nobody can say which of the two is the later one."""
    INTEGRITY = "integrity"
    """The same package, and other content: its digests are in conflict with the base's."""
    DIGESTS = "digests"
    """The same package, with digests that the base does not have, or without those that it has."""
    SOURCE = "source"
    """The same package from another place."""
    FACTS = "facts"
    """The same package, and the lockfile now shows something notable of it."""
    SCOPE = "scope"
    """The same package for another use (dev, prod): not new."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One entry that differs from the base. `before` is what it was there, None where it was not.

    Everything but a change of scope is new: it has to be analysed.
    """

    kind: ChangeKind
    dependency: Dependency
    before: Dependency | None = None


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What the lockfiles were compared with: a commit (full id), or nothing (None), and why that: one sentence.

    `why` may hold text from outside.
    """

    commit: str | None
    why: str


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What is new against a base.

    `lockfiles` are the current ones, each with its new entries and facts alone (unchanged ones are empty).
    `deleted` are lockfiles of the base that are gone, without entries, each with the fact "deleted" where nothing
    replaces it. `changes` name every new entry, and changes of scope, in the order of the lockfiles.
    `compared` says which base it was.
    """

    lockfiles: tuple[Lockfile, ...]
    deleted: tuple[Lockfile, ...] = ()
    changes: tuple[Change, ...] = ()
    compared: Compared | None = None


# --------------------------------------------------------------------------------------------- analysis


class Engine(StrEnum):
    DYNAMIC_ANALYSIS = "dynamic-analysis"
    LASTPYMILE = "lastpymile"


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


@dataclass(frozen=True, kw_only=True)
class Shortfall:
    """ "Not analysed", or not wholly: a value with a reason. `detail` is one sentence (text from outside)."""

    code: OutcomeCode
    detail: str = ""
    engine: Engine | None = None
    phase: Phase | None = None
    task_id: int | None = None


MAX_ARCHIVE_BYTES = 256 * 1024 * 1024
"""Larger archives are neither read nor uploaded."""

MAX_REPORT_BYTES = 64 * 1024 * 1024
"""Larger reports are refused, wherever they come from."""


@dataclass(frozen=True, kw_only=True)
class Archive:
    """An archive to upload: its file name and its bytes."""

    filename: str
    content: bytes = field(repr=False)
    github_url: str | None = None


@dataclass(frozen=True, kw_only=True)
class AnalysisRequest:
    """One analysis to be had: a package by purl, by one engine; with `archive`, of those bytes.

    `integrity`: what the lockfiles pin it to, each entry's digests (none: an empty tuple) once, sorted. It is not
    sent: it tells whether an earlier answer is about what is installed now.
    """

    purl: str
    engine: Engine = Engine.DYNAMIC_ANALYSIS
    archive: Archive | None = None
    integrity: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Report:
    """A report as it was downloaded (bytes of a JSON document, not yet looked into)."""

    payload: bytes = field(repr=False)
    task_id: int | None = None


Answer = Report | Shortfall
"""What an analyser gives for each request."""


class Analyser(Protocol):
    """The ANALYSE stage as the pipeline sees it."""

    def analyse(self, requests: Sequence[AnalysisRequest]) -> Mapping[AnalysisRequest, Answer]:
        """An answer for every request, without exception; never raises for a single request's trouble."""


# ------------------------------------------------------------------------------------------ observations


@dataclass(frozen=True, kw_only=True)
class HostContacted:
    """A name that was looked up or connected to: lower case, no trailing dot. `via` is "dns", "socket" or both.

    `record_types` are the DNS types asked for ("A", "TXT").
    """

    phase: Phase
    host: str
    via: tuple[str, ...]
    record_types: tuple[str, ...] = ()


class Network(StrEnum):
    """What an address belongs to, as far as rules need it."""

    PUBLIC = "public"
    PRIVATE = "private"
    LOOPBACK = "loopback"
    LINK_LOCAL = "link-local"
    ANY = "any"
    """0.0.0.0, :: or empty: all interfaces (a listener)."""
    OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class SocketOpened:
    """A connect or bind (reports merge them)."""

    phase: Phase
    address: str
    port: int
    network: Network
    hostnames: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CommandRun:
    phase: Phase
    argv: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class FileTouched:
    """`read` also stands for failed opens and stats ("looked for")."""

    phase: Phase
    path: str
    read: bool
    write: bool
    delete: bool


@dataclass(frozen=True, kw_only=True)
class BaitSeen:
    """A planted secret's *value* outside the environment.

    `where` is "argv", "host", "sent" (what reached the sandbox's own servers), "stdout" or "stderr".
    """

    phase: Phase
    bait: str
    where: str
    encoding: str
    """"raw", "base64", "hex"."""
    context: str = ""
    """The text in which it stood, shortened; the value itself is masked."""


@dataclass(frozen=True, kw_only=True)
class LastPyMileHit:
    """One suspicious place in a file of a release that is not (so) in its source repository.

    `list` is the report's list without "_files": "phantom", "low_risk", "medium_risk", "high_risk".
    `added`: the hit's line is among the added lines, or there is no closest source file.
    `test_id`/`test_name` are empty for a file that is listed without a hit.
    """

    release: str
    list: str
    file: str
    test_id: str = ""
    test_name: str = ""
    line: int | None = None
    added: bool = False
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class PackagePresent:
    """The package is there at all: what a rule on the package alone (a ban) matches."""

    name: str
    version: str | None


Observation = (
    HostContacted | SocketOpened | CommandRun | FileTouched | BaitSeen | LastPyMileHit | LockFact | PackagePresent
)


@dataclass(frozen=True, kw_only=True)
class Analysed:
    """What one report shows. `shortfalls` name what it could not show (blind phase, failed imports …)."""

    engine: Engine
    observations: tuple[Observation, ...]
    shortfalls: tuple[Shortfall, ...] = ()
    created: datetime | None = None
    task_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What gets one verdict: a package, with every place that it stands at, and what each engine said of it.

    `key` is the purl, else "kind:ecosystem/name@version" (never sent anywhere).
    `results` holds, per engine asked, `Analysed` or a `Shortfall`; where nothing could be asked, one Shortfall
    with the dependency's kind as its code.
    """

    key: str
    ecosystem: Ecosystem
    name: str
    version: str | None
    purl: str | None
    dependencies: tuple[Dependency, ...]
    results: tuple[Analysed | Shortfall, ...] = ()
    changes: tuple[Change, ...] = ()
    """What happened to its entries since the base; empty where there is no base, or nothing happened."""
    earlier: tuple[Analysed, ...] = ()
    """What the versions that it replaces showed, as far as the cache has it."""


# ----------------------------------------------------------------------------------------------- verdict


class Severity(StrEnum):
    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Action(StrEnum):
    """What the policy does with a finding."""

    DENY = "deny"
    WARN = "warn"
    NOTE = "note"


class OutcomeAction(StrEnum):
    """What the policy does with a shortfall."""

    FAIL = "fail"
    WARN = "warn"
    NOTE = "note"


class Mode(StrEnum):
    ENFORCE = "enforce"
    OBSERVE = "observe"


class Decider(StrEnum):
    """Which part of a policy set an action."""

    DEFAULT = "default"
    """The built-in policy's rule or severity."""
    POLICY = "policy"
    """A rule, a severity or an outcome of a policy file."""
    OVERRIDE = "override"
    """A cap for packages of some scope, relation, ecosystem or lockfile."""
    PROFILE = "profile"
    """What holds in a commit hook alone."""


@dataclass(frozen=True)
class DecidedBy:
    """Who set an action: the part of the policy, and its place, "scangate.yml:12" ("default" for what is built in)."""

    decider: Decider = Decider.DEFAULT
    where: str = "default"

    def __str__(self) -> str:
        match self.decider:
            case Decider.DEFAULT | Decider.POLICY:
                return self.where
            case _:
                return f"{self.decider} {self.where}"


BUILT_IN = DecidedBy()
"""The built-in policy decided."""


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """The `allow` entry that silences a finding. `where` is its place, "scangate.yml:12"."""

    reason: str
    expires: date
    where: str
    owner: str = ""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One rule's match on one package (or lockfile), with everything that it matched.

    `decided_by` set the action. `where` is the place of the rule itself, "scangate.yml:12" or "default".
    `allowed`: an allow entry silences it; it is reported and does not count.
    """

    rule: str
    title: str
    severity: Severity
    action: Action
    decided_by: DecidedBy
    evidence: tuple[Observation, ...]
    where: str = "default"
    description: str = ""
    advice: str = ""
    references: tuple[str, ...] = ()
    engine: Engine | None = None
    allowed: Allowed | None = None


@dataclass(frozen=True, kw_only=True)
class DecidedShortfall:
    shortfall: Shortfall
    action: OutcomeAction
    decided_by: DecidedBy


class Status(StrEnum):
    """Of one package or lockfile, and of the whole run. Order of weight: blocked > incomplete > warned > passed."""

    PASSED = "passed"
    WARNED = "warned"
    INCOMPLETE = "incomplete"
    BLOCKED = "blocked"


@dataclass(frozen=True, kw_only=True)
class SubjectVerdict:
    subject: Subject
    status: Status
    findings: tuple[Finding, ...] = ()
    shortfalls: tuple[DecidedShortfall, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LockfileVerdict:
    lockfile: Lockfile
    status: Status
    findings: tuple[Finding, ...] = ()
    shortfalls: tuple[DecidedShortfall, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PolicyNotice:
    """Something the policy itself has to say in every output: an expired allow entry, an unused one.

    `action`: with `deny`, the run is blocked.
    """

    code: str
    message: str
    where: str
    action: Action = Action.WARN
    decided_by: DecidedBy = BUILT_IN


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The whole answer; all that a renderer sees. Sorted: same input, same bytes.

    `status` is what the packages and lockfiles say; `mode` observe turns the exit code to 0 and nothing else.
    """

    status: Status
    mode: Mode
    subjects: tuple[SubjectVerdict, ...]
    lockfiles: tuple[LockfileVerdict, ...]
    notices: tuple[PolicyNotice, ...] = ()
    policy: str = "default"
    """ "default", or the policy file's path."""
    analyser: str = ""
    """The API's origin, "saved reports" …"""
    elapsed_seconds: float = 0.0
    compared: Compared | None = None
    """None where no lockfile was read (`scan`, `evaluate`)."""
    scope_changes: tuple[Change, ...] = ()
    """Packages that are not new and have another use now (dev, prod)."""
