"""A policy that was read and checked: everything resolved, nothing left to look up."""

import fnmatch
import re
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import Generic, NamedTuple, TypeVar, assert_never
from urllib.parse import unquote

from scangate.errors import UsageError
from scangate.models.analysis import Engine, OutcomeCode, Phase
from scangate.models.changes import ChangeKind
from scangate.models.lockfile import Ecosystem, Relation, Scope
from scangate.models.verdict import BUILT_IN, Action, DecidedBy, Decider, Mode, OutcomeAction, Severity, Subject
from scangate.purls import Purl, normalise_pypi_name
from scangate.registries import NO_REGISTRIES, Registries

DEFAULT = "default"
"""The place of all that is built in."""


class Observe(StrEnum):
    """The kinds of observation that a rule can look at."""

    HOST = "host"
    SOCKET = "socket"
    COMMAND = "command"
    FILE = "file"
    BAIT = "bait"
    LASTPYMILE = "lastpymile"
    LOCKFILE = "lockfile"
    PACKAGE = "package"


DecisionT = TypeVar("DecisionT", Action, OutcomeAction)


class Decided(NamedTuple, Generic[DecisionT]):
    """An action and who set it."""

    action: DecisionT
    by: DecidedBy = BUILT_IN


def decider_at(place: str) -> DecidedBy:
    """Who decides by what stands at a place as it is shown."""
    return BUILT_IN if place == DEFAULT else DecidedBy(Decider.POLICY, place)


class Condition(NamedTuple):
    """One key of `match` or `unless`: it holds where any of the values does."""

    key: str
    values: tuple[str | int | bool, ...]


class AtLeast(NamedTuple):
    """At `least` so many distinct values of `distinct`, within one domain or one package."""

    least: int
    distinct: str
    per: str = "package"


class PackageGlob(NamedTuple):
    """`pkg:TYPE/NAME@VERSION` with `*` and `?`, on decoded, normalised text; without `@VERSION`, every version.

    `*` also stands for "/": `pkg:npm/*` is every npm package. `exact_name`: the name where it holds no wildcard.

    It also matches packages that have no purl (git, URL, private), by ecosystem and name: a ban must not be evaded by
    another source. An unknown version is matched by `@*` alone.
    """

    ecosystem: Ecosystem
    name: re.Pattern[str]
    version: re.Pattern[str]
    exact_name: str | None = None
    text: str = ""
    """As it was written."""

    @classmethod
    def read(cls, text: str) -> "PackageGlob":
        """From its text, percent-encoded or not. Raises ValueError."""
        type_, _, rest = text.removeprefix("pkg:").partition("/")
        if type_ not in tuple(Ecosystem):
            raise ValueError(f"unknown package type {type_!r}")
        head, slash, tail = rest.rpartition("/")
        # An "@" at the start is a scope's.
        base, version = tail.rsplit("@", 1) if "@" in tail[1:] else (tail, "*")
        ecosystem, name = Ecosystem(type_), unquote(head + slash + base)
        name = normalised_name(ecosystem, name)
        exact = None if "*" in name or "?" in name else name
        return cls(ecosystem, _glob(name), _glob(unquote(version)), exact, text)

    def matches(self, subject: Subject) -> bool:
        return (
            subject.ecosystem is self.ecosystem
            and self.name.fullmatch(normalised_name(subject.ecosystem, subject.name)) is not None
            and self.version.fullmatch(subject.version or "") is not None
        )


def normalised_name(ecosystem: Ecosystem, name: str) -> str:
    match ecosystem:
        case Ecosystem.PYPI:
            return normalise_pypi_name(name)
        case Ecosystem.VSCODE_EXTENSION:
            return name.lower()
        case Ecosystem.NPM:
            return name
        case _:
            assert_never(ecosystem)


def _glob(text: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(text.replace("[", "[[]")))


class Watch(NamedTuple):
    """A rule's test on observations of one kind. Empty phases: all; empty `match`: every observation."""

    observe: Observe
    phases: tuple[Phase, ...] = ()
    match: tuple[Condition, ...] = ()
    unless: tuple[tuple[Condition, ...], ...] = ()
    together: tuple[tuple[str, ...], ...] = ()
    """Groups of patterns on LastPyMile tests: every group must be hit in the same file."""
    at_least: AtLeast | None = None
    new_behaviour: bool = False
    """Only for packages that replace another version, and only what that one did not show."""


class AllOf(NamedTuple):
    """A finding of any rule of each group, on one package."""

    groups: tuple[tuple[str, ...], ...]


class Rule(NamedTuple):
    """Empty ecosystems, packages, engines and changed: all. `place`: where the rule, or the last change of its
    severity, stands.

    `own_action`: an action of its own, instead of its severity's; `decided`: the one that holds.
    """

    id: str
    title: str
    severity: Severity
    test: Watch | AllOf
    decided: Decided[Action]
    own_action: Decided[Action] | None = None
    place: str = DEFAULT
    description: str = ""
    advice: str = ""
    references: tuple[str, ...] = ()
    ecosystems: tuple[Ecosystem, ...] = ()
    packages: tuple[PackageGlob, ...] = ()
    engines: tuple[Engine, ...] = ()
    changed: tuple[ChangeKind, ...] = ()


Alternatives = tuple[tuple[Condition, ...], ...]
"""Sets of conditions, of which any must hold."""


class AllowEntry(NamedTuple):
    """`target` is as written: a purl, the key of a subject without one, with `@*` behind it every version of it; or
    the path of a lockfile.

    `purl` is None for a key and for a lockfile. `evidence`, where there is any: every observation of a finding must
    be of one of these kinds, and fit any of its alternatives.
    """

    target: str
    rules: tuple[str, ...]
    reason: str
    owner: str
    expires: date
    place: str
    purl: Purl | None = None
    lockfile: bool = False
    every_version: bool = False
    evidence: tuple[tuple[Observe, Alternatives], ...] = ()


class Override(NamedTuple):
    """A cap on what findings do, where everything named holds; empty: whatever it is. `keeps`: rules without the cap.

    `install_phase`: also for findings that are not of importing and calling alone.
    """

    cap: Action
    place: str
    scopes: tuple[Scope, ...] = ()
    relations: tuple[Relation, ...] = ()
    ecosystems: tuple[Ecosystem, ...] = ()
    lockfiles: tuple[str, ...] = ()
    keeps: frozenset[str] = frozenset()
    install_phase: bool = False


class Lint(StrEnum):
    """What a policy's own entries can be found to be, in a run."""

    ALLOW_EXPIRED = "allow-expired"
    ALLOW_UNUSED = "allow-unused"
    ALLOW_BROAD = "allow-broad"
    ALLOW_SHADOWED = "allow-shadowed"
    OVERRIDE_INSTALL_PHASE = "override-install-phase"
    NARROWED = "narrowed"


class Narrowing(NamedTuple):
    """A setting (its key) by which less is looked at, or less follows, than by the built-in policy."""

    key: str
    message: str
    place: str


class Policy(NamedTuple):
    """`actions`, `outcomes` and `lints` are total; `rules` are distinct by id, correlations behind what they refer to.

    `files`: what it was made of, from the root of the repository, the extending file first; none: built in.
    """

    where: str
    mode: Mode
    engines: tuple[Engine, ...]
    max_report_age: int
    """Days."""
    rules: tuple[Rule, ...]
    actions: Mapping[Severity, Decided[Action]]
    outcomes: Mapping[OutcomeCode, Decided[OutcomeAction]]
    lints: Mapping[Lint, Decided[Action]]
    files: tuple[str, ...] = ()
    allow: tuple[AllowEntry, ...] = ()
    overrides: tuple[Override, ...] = ()
    narrowings: tuple[Narrowing, ...] = ()
    registries: Registries = NO_REGISTRIES
    upload_files: bool = False
    """Whether `check` may upload archives of the project to an analysis service on another machine."""
    exclude: tuple[str, ...] = ()
    hook: Mapping[OutcomeCode, Decided[OutcomeAction]] = MappingProxyType({})
    """What outcomes do in a hook alone: of HOOK_OUTCOMES."""

    def rule(self, name: str) -> Rule:
        """The rule of that name. Raises UsageError where there is none."""
        from scangate.policy import suggest

        for each in self.rules:
            if each.id == name:
                return each
        problem, hint = suggest.no_rule(name, (each.id for each in self.rules))
        raise UsageError(f"{problem}.", hint)

    def in_hook(self) -> "Policy":
        """The policy that holds in a commit or push hook, outside of CI: with the outcomes of `hook`.

        The profile decides on what a CI would block on; where it would not, that is a decision like any other.
        """
        hook = {
            code: decided if self._blocks(code) else decided._replace(by=decider_at(decided.by.where))
            for code, decided in self.hook.items()
        }
        return self._replace(outcomes={**self.outcomes, **hook})

    def _blocks(self, code: OutcomeCode) -> bool:
        return self.mode is Mode.ENFORCE and self.outcomes[code].action is OutcomeAction.FAIL


ACTIONS: Mapping[Severity, Action] = {
    Severity.CRITICAL: Action.DENY,
    Severity.HIGH: Action.DENY,
    Severity.MEDIUM: Action.WARN,
    Severity.LOW: Action.NOTE,
}

OUTCOMES: Mapping[OutcomeCode, OutcomeAction] = {
    OutcomeCode.SUBMIT_ERROR: OutcomeAction.FAIL,
    OutcomeCode.UNREACHABLE: OutcomeAction.FAIL,
    OutcomeCode.FAILED: OutcomeAction.FAIL,
    OutcomeCode.TIMEOUT: OutcomeAction.FAIL,
    OutcomeCode.PENDING: OutcomeAction.FAIL,
    OutcomeCode.REPORT_MISSING: OutcomeAction.FAIL,
    OutcomeCode.REPORT_INVALID: OutcomeAction.FAIL,
    OutcomeCode.WRONG_PACKAGE: OutcomeAction.FAIL,
    OutcomeCode.INTEGRITY_MISMATCH: OutcomeAction.FAIL,
    OutcomeCode.BLIND: OutcomeAction.FAIL,
    OutcomeCode.TRUNCATED: OutcomeAction.FAIL,
    OutcomeCode.NO_CREDENTIALS: OutcomeAction.FAIL,
    OutcomeCode.OVER_BUDGET: OutcomeAction.FAIL,
    OutcomeCode.UNSUPPORTED_LOCKFILE: OutcomeAction.FAIL,
    OutcomeCode.GIT: OutcomeAction.FAIL,
    OutcomeCode.URL: OutcomeAction.FAIL,
    OutcomeCode.UNSUPPORTED_ECOSYSTEM: OutcomeAction.WARN,
    OutcomeCode.PRIVATE_REGISTRY: OutcomeAction.WARN,
    OutcomeCode.FILE: OutcomeAction.WARN,
    OutcomeCode.UNPINNED: OutcomeAction.WARN,
    OutcomeCode.IMPORT_FAILED: OutcomeAction.WARN,
    OutcomeCode.PHASE_ERROR: OutcomeAction.WARN,
    OutcomeCode.DEPENDENCY_MISSING: OutcomeAction.WARN,
    OutcomeCode.STALE: OutcomeAction.WARN,
    OutcomeCode.LOCAL: OutcomeAction.NOTE,
}

LINTS: Mapping[Lint, Action] = {
    Lint.ALLOW_EXPIRED: Action.WARN,
    Lint.ALLOW_UNUSED: Action.WARN,
    Lint.ALLOW_BROAD: Action.WARN,
    Lint.ALLOW_SHADOWED: Action.WARN,
    Lint.OVERRIDE_INSTALL_PHASE: Action.WARN,
    Lint.NARROWED: Action.NOTE,
}

HOOK_OUTCOMES = (OutcomeCode.PENDING, OutcomeCode.UNREACHABLE)
"""The outcomes that a hook may treat on its own: those of a wait that is too long there, and of no network."""

BLANK = Policy(
    where=DEFAULT,
    mode=Mode.ENFORCE,
    engines=(Engine.DYNAMIC_ANALYSIS,),
    max_report_age=90,
    rules=(),
    actions={severity: Decided(action) for severity, action in ACTIONS.items()},
    outcomes={code: Decided(action) for code, action in OUTCOMES.items()},
    lints={lint: Decided(action) for lint, action in LINTS.items()},
)
"""What holds where a policy says nothing: what the built-in policy, and one with `extends: none`, start from."""
