"""What the policy decides: all that a renderer sees."""

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from scangate.models.changes import Change, Compared
from scangate.models.lockfile import Dependency, Ecosystem, Lockfile

if TYPE_CHECKING:  # a run without anything new has none of these
    from datetime import date

    from scangate.models.analysis import Analysed, Engine, Shortfall
    from scangate.models.observations import Observation


class Subject(NamedTuple):
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
    results: tuple["Analysed | Shortfall", ...] = ()
    changes: tuple[Change, ...] = ()
    """What happened to its entries since the base; empty where there is no base, or nothing happened."""
    earlier: tuple["Analysed", ...] = ()
    """What the versions that it replaces showed, as far as the cache has it."""


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


class DecidedBy(NamedTuple):
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


class Allowed(NamedTuple):
    """The `allow` entry that silences a finding. `where` is its place, "scangate.yml:12"."""

    reason: str
    expires: "date"
    where: str
    owner: str = ""


class Finding(NamedTuple):
    """One rule's match on one package (or lockfile), with everything that it matched.

    `decided_by` set the action. `where` is the place of the rule itself, "scangate.yml:12" or "default".
    `allowed`: an allow entry silences it; it is reported and does not count.
    """

    rule: str
    title: str
    severity: Severity
    action: Action
    decided_by: DecidedBy
    evidence: tuple["Observation", ...]
    where: str = "default"
    description: str = ""
    advice: str = ""
    references: tuple[str, ...] = ()
    engine: "Engine | None" = None
    allowed: Allowed | None = None


class DecidedShortfall(NamedTuple):
    shortfall: "Shortfall"
    action: OutcomeAction
    decided_by: DecidedBy


class Status(StrEnum):
    """Of one package or lockfile, and of the whole run. Order of weight: blocked > incomplete > warned > passed."""

    PASSED = "passed"
    WARNED = "warned"
    INCOMPLETE = "incomplete"
    BLOCKED = "blocked"


class SubjectVerdict(NamedTuple):
    subject: Subject
    status: Status
    findings: tuple[Finding, ...] = ()
    shortfalls: tuple[DecidedShortfall, ...] = ()


class LockfileVerdict(NamedTuple):
    lockfile: Lockfile
    status: Status
    findings: tuple[Finding, ...] = ()
    shortfalls: tuple[DecidedShortfall, ...] = ()


class NoticeCode(StrEnum):
    """What a notice is about. What each means is in `output.advice`; the first ones are those of the policy's lints."""

    ALLOW_EXPIRED = "allow-expired"
    ALLOW_UNUSED = "allow-unused"
    ALLOW_BROAD = "allow-broad"
    ALLOW_SHADOWED = "allow-shadowed"
    OVERRIDE_INSTALL_PHASE = "override-install-phase"
    NARROWED = "narrowed"
    POLICY_CHANGED = "policy-changed"
    BASE_UNREADABLE = "base-unreadable"
    LEFT_OUT = "left-out"
    SUBMODULE_CHANGED = "submodule-changed"
    NOTHING_DECIDED = "nothing-decided"


class PolicyNotice(NamedTuple):
    """Something about the policy, or about what is checked, that every output has to say.

    `action`: with `deny`, the run is blocked.
    """

    code: NoticeCode
    message: str
    where: str
    action: Action = Action.WARN
    decided_by: DecidedBy = BUILT_IN


class Verdict(NamedTuple):
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
