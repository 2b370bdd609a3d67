"""What there is to be seen of a package: in a report, or in the lockfile alone."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from scangate.models.analysis import Engine, Phase, Shortfall


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketOpened:
    """A connect or bind (reports merge them)."""

    phase: Phase
    address: str
    port: int
    network: Network
    hostnames: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRun:
    phase: Phase
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTouched:
    """`read` also stands for failed opens and stats ("looked for")."""

    phase: Phase
    path: str
    read: bool
    write: bool
    delete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class LockFact:
    """Something notable that a lockfile alone shows, before anything is analysed.

    `check` is the kebab-case word that `lock-…` rules match ("confusion", "extra-index"); `detail` is one
    sentence for people (may hold text from outside).
    """

    check: str
    detail: str
    line: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagePresent:
    """The package is there at all: what a rule on the package alone (a ban) matches."""

    name: str
    version: str | None


Observation = (
    HostContacted | SocketOpened | CommandRun | FileTouched | BaitSeen | LastPyMileHit | LockFact | PackagePresent
)


class Analysed(NamedTuple):
    """What one report shows. `shortfalls` name what it could not show (blind phase, failed imports …)."""

    engine: Engine
    observations: tuple[Observation, ...]
    shortfalls: tuple[Shortfall, ...] = ()
    created: datetime | None = None
    task_id: int | None = None
