"""What there is to be seen of a package: in a report, or in the lockfile alone."""

from enum import StrEnum
from typing import NamedTuple

from scangate.models.analysis import Phase
from scangate.models.lockfile import LockFact

CONTACTS = ("dns", "socket")
"""How a host is contacted: `HostContacted.via`."""
BAIT_PLACES = ("argv", "host", "sent", "stdout", "stderr")
"""Where a planted secret's value turns up: `BaitSeen.where`."""
LASTPYMILE_LISTS = ("phantom", "low_risk", "medium_risk", "high_risk")
"""The lists of LastPyMile's reports, without "_files", by growing risk: `LastPyMileHit.list`."""


class HostContacted(NamedTuple):
    """A name that was looked up or connected to: lower case, no trailing dot. `via` is of CONTACTS, one or both.

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


class SocketOpened(NamedTuple):
    """A connect or bind (reports merge them)."""

    phase: Phase
    address: str
    port: int
    network: Network
    hostnames: tuple[str, ...] = ()


class CommandRun(NamedTuple):
    phase: Phase
    argv: tuple[str, ...]


class FileTouched(NamedTuple):
    """`read` also stands for failed opens and stats ("looked for")."""

    phase: Phase
    path: str
    read: bool
    write: bool
    delete: bool


class BaitSeen(NamedTuple):
    """A planted secret's *value* outside the environment.

    `where` is of BAIT_PLACES; "sent" is what reached the sandbox's own servers.
    """

    phase: Phase
    bait: str
    where: str
    encoding: str
    """"raw", "base64", "hex"."""
    context: str = ""
    """The text in which it stood, shortened; the value itself is masked."""


class LastPyMileHit(NamedTuple):
    """One suspicious place in a file of a release that is not (so) in its source repository.

    `list` is the report's list, of LASTPYMILE_LISTS.
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


class PackagePresent(NamedTuple):
    """The package is there at all: what a rule on the package alone (a ban) matches."""

    name: str
    version: str | None


Observation = (
    HostContacted | SocketOpened | CommandRun | FileTouched | BaitSeen | LastPyMileHit | LockFact | PackagePresent
)
