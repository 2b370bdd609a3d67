"""The keys of `match` and `unless`: each declared once, with its form, what it is compared with, and its meaning.

`of` takes the observation apart; a key holds where any of its values fits any of what `of` returns.
"""

from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from scangate.models.analysis import Engine
from scangate.models.lockfile import LockFact
from scangate.models.observations import (
    BAIT_PLACES,
    CONTACTS,
    LASTPYMILE_LISTS,
    BaitSeen,
    CommandRun,
    FileTouched,
    HostContacted,
    LastPyMileHit,
    Network,
    PackagePresent,
    SocketOpened,
)
from scangate.policy.model import Observe
from scangate.policy.shapes import HOST, KEBAB, Address, Field, Flag, Integer, Many, Regex, Testable, Text, Word

ObservationT = TypeVar("ObservationT")
Value = str | int | bool

PORT = Integer(lowest=0, highest=65535)
RECORD_TYPE = Text(what="a DNS record type", pattern="[A-Z][A-Z0-9]*", longest=16)


class Key(NamedTuple, Generic[ObservationT]):
    """`negative`: the key holds where *none* of its values fits."""

    name: str
    shape: Testable
    of: Callable[[ObservationT], tuple[Value, ...]]
    doc: str
    example: str
    """A value, as YAML."""
    negative: bool = False

    def field(self, example: str = "") -> Field:
        """How it stands in the schema; `example` as `Field` has it."""
        sets = isinstance(self.shape, Regex | Address) or self.shape is HOST
        shape = self.shape if isinstance(self.shape, Flag) else Many(item=self.shape, single=True, sets=sets)
        return Field(name=self.name, shape=shape, doc=self.doc, example=example)


class Countable(NamedTuple, Generic[ObservationT]):
    """What `at-least` can count distinct values of; `domain`: it is a host, so `per: domain` has a meaning."""

    name: str
    of: Callable[[ObservationT], str | int]
    domain: bool = False


class ObservationKind(NamedTuple, Generic[ObservationT]):
    type: type[ObservationT]
    keys: tuple[Key[ObservationT], ...]
    countables: tuple[Countable[ObservationT], ...] = ()
    phased: bool = True
    """Its observations have a phase."""
    engines: tuple[Engine, ...] = (Engine.DYNAMIC_ANALYSIS,)
    """Whose reports show it; none: it is no matter of analysis."""


_OPERATORS = (";", "&", "|", "`", "$(", "<", ">", "\n", "\r")


def base_name(command: CommandRun) -> str:
    return command.argv[0].rpartition("/")[2] if command.argv else ""


def command_line(command: CommandRun) -> str:
    return " ".join(command.argv)


def is_plain(command: CommandRun) -> bool:
    """No shell operator anywhere in argv: what an excuse for a command should demand."""
    line = command_line(command)
    return not any(operator in line for operator in _OPERATORS)


_HOST = ObservationKind(
    type=HostContacted,
    keys=(
        Key(
            name="host",
            shape=Regex(),
            of=lambda o: (o.host,),
            doc="The host name matches.",
            example="'^[0-9a-f]{8}[.]'",
        ),
        Key(
            name="suffix",
            shape=HOST,
            of=lambda o: (o.host,),
            doc="The host is this domain or a subdomain of it.",
            example="[evil.example]",
        ),
        Key(
            name="label",
            shape=Regex(),
            of=lambda o: tuple(o.host.split(".")),
            doc="One label of the name matches.",
            example="'^[0-9a-f]{24,}$'",
        ),
        Key(
            name="record-type",
            shape=RECORD_TYPE,
            of=lambda o: tuple(word.upper() for word in o.record_types),
            doc="A DNS record of this type was asked for.",
            example="TXT",
        ),
        Key(
            name="via",
            shape=Word(words=CONTACTS),
            of=lambda o: o.via,
            doc="How the host was contacted.",
            example="dns",
        ),
    ),
    countables=(Countable(name="host", of=lambda o: o.host, domain=True),),
)

_SOCKET = ObservationKind(
    type=SocketOpened,
    keys=(
        Key(
            name="address",
            shape=Address(),
            of=lambda o: (o.address,),
            doc="The address is this, or in this network.",
            example="[192.0.2.0/24]",
        ),
        Key(name="port", shape=PORT, of=lambda o: (o.port,), doc="The port is one of these.", example="[25, 587]"),
        Key(
            name="port-not",
            shape=PORT,
            of=lambda o: (o.port,),
            doc="The port is none of these.",
            example="[80, 443]",
            negative=True,
        ),
        Key(
            name="network",
            shape=Word(words=tuple(Network)),
            of=lambda o: (o.network,),
            doc="What the address is.",
            example="public",
        ),
        Key(
            name="named",
            shape=Flag(),
            of=lambda o: (bool(o.hostnames),),
            doc="A name resolved to the address.",
            example="false",
        ),
        Key(
            name="hostname",
            shape=Regex(),
            of=lambda o: o.hostnames,
            doc="A name that resolved to the address matches.",
            example="'[.]evil[.]example$'",
        ),
    ),
    countables=(
        Countable(name="address", of=lambda o: o.address),
        Countable(name="port", of=lambda o: o.port),
    ),
)

_COMMAND = ObservationKind(
    type=CommandRun,
    keys=(
        Key(
            name="cmdline",
            shape=Regex(templates=True),
            of=lambda o: (command_line(o),),
            doc="The arguments, joined by spaces, match.",
            example="'curl .*[|] *sh'",
        ),
        Key(
            name="argv0",
            shape=Regex(templates=True),
            of=lambda o: (base_name(o),),
            doc="The program's base name matches.",
            example="'^curl$'",
        ),
        Key(
            name="arg",
            shape=Regex(templates=True),
            of=lambda o: o.argv,
            doc="One argument, argv[0] included, matches.",
            example="'^--upload-file$'",
        ),
        Key(
            name="plain",
            shape=Flag(),
            of=lambda o: (is_plain(o),),
            doc="No argument holds `;`, `&`, `|`, a backtick, `$(`, `<`, `>` or a newline.",
            example="true",
        ),
    ),
    countables=(
        Countable(name="cmdline", of=command_line),
        Countable(name="argv0", of=base_name),
    ),
)

_FILE = ObservationKind(
    type=FileTouched,
    keys=(
        Key(
            name="path",
            shape=Regex(templates=True),
            of=lambda o: (o.path,),
            doc="The path matches.",
            example="'/[.]netrc$'",
        ),
        Key(name="read", shape=Flag(), of=lambda o: (o.read,), doc="It was read, or looked for.", example="true"),
        Key(name="write", shape=Flag(), of=lambda o: (o.write,), doc="It was written.", example="true"),
        Key(name="delete", shape=Flag(), of=lambda o: (o.delete,), doc="It was deleted.", example="true"),
    ),
    countables=(Countable(name="path", of=lambda o: o.path),),
)

_BAIT = ObservationKind(
    type=BaitSeen,
    keys=(
        Key(name="bait", shape=Regex(), of=lambda o: (o.bait,), doc="The bait's name matches.", example="AWS"),
        Key(
            name="where",
            shape=Word(words=BAIT_PLACES),
            of=lambda o: (o.where,),
            doc="Where its value turned up.",
            example="[argv, host]",
        ),
    ),
    countables=(Countable(name="bait", of=lambda o: o.bait),),
)


def tests_of(hit: LastPyMileHit) -> tuple[str, ...]:
    return tuple(text for text in (hit.test_name, hit.test_id) if text)


_LASTPYMILE = ObservationKind(
    type=LastPyMileHit,
    phased=False,
    engines=(Engine.LASTPYMILE,),
    keys=(
        Key(
            name="list",
            shape=Word(words=LASTPYMILE_LISTS),
            of=lambda o: (o.list,),
            doc="The report's list in which the file stands.",
            example="high_risk",
        ),
        Key(
            name="file",
            shape=Regex(),
            of=lambda o: (o.file,),
            doc="The file's path in the release matches.",
            example="'(^|/)setup[.]py$'",
        ),
        Key(name="test", shape=Regex(), of=tests_of, doc="The test's name or id matches.", example="exec_used"),
        Key(
            name="added",
            shape=Flag(),
            of=lambda o: (o.added,),
            doc="The hit is on a line that the source lacks.",
            example="true",
        ),
    ),
    countables=(
        Countable(name="file", of=lambda o: o.file),
        Countable(name="test", of=lambda o: o.test_name or o.test_id),
    ),
)

_LOCKFILE = ObservationKind(
    type=LockFact,
    phased=False,
    engines=(),
    keys=(
        Key(name="check", shape=KEBAB, of=lambda o: (o.check,), doc="What the lockfile shows.", example="confusion"),
        Key(
            name="detail",
            shape=Regex(),
            of=lambda o: (o.detail,),
            doc="The sentence that outputs show of it matches.",
            example="'from cdn[.]example[.]com[.]$'",
        ),
    ),
)

_PACKAGE = ObservationKind(type=PackagePresent, phased=False, engines=(), keys=())

# Any: the eight kinds have eight observation types, and a mapping cannot say which key goes with which.
KINDS: Mapping[Observe, ObservationKind[Any]] = {
    Observe.HOST: _HOST,
    Observe.SOCKET: _SOCKET,
    Observe.COMMAND: _COMMAND,
    Observe.FILE: _FILE,
    Observe.BAIT: _BAIT,
    Observe.LASTPYMILE: _LASTPYMILE,
    Observe.LOCKFILE: _LOCKFILE,
    Observe.PACKAGE: _PACKAGE,
}
