"""What can stand in scangate.yml, as data: the loader reads by it, documentation and JSON Schema come from it."""

import ipaddress
from collections.abc import Callable, Mapping
from typing import NamedTuple


class Text(NamedTuple):
    """Text in a given form. `what` completes "expected …" ("a host name"); `pattern` matches the whole text."""

    what: str
    pattern: str = r"(?s).+"
    longest: int = 2000
    fold: bool = False
    """Letter case does not count: the text is lower-cased before it is looked at."""


class Word(NamedTuple):
    """One of a few words."""

    words: tuple[str, ...]


class Integer(NamedTuple):
    lowest: int
    highest: int


class Flag:
    """`true` or `false`, and none of YAML 1.1's other words for them."""


class Day:
    """An ISO date, YYYY-MM-DD."""


class Regex(NamedTuple):
    """A google-re2 pattern, searched for anywhere in the text; `.` also matches a newline.

    With `templates`, `{name}` and `{version}` in it stand for the package's own, escaped.
    """

    templates: bool = False


class Address:
    """An IP address or a network in CIDR notation."""


class Many(NamedTuple):
    """A list of at least one; with `least` 0, also of none. `single`: one value may stand without the list around it.

    `sets`: `@name` stands for the values of that set.
    """

    item: "Shape"
    single: bool = False
    sets: bool = False
    least: int = 1


class Table(NamedTuple):
    """A mapping whose keys are data."""

    key: Text | Word
    value: "Shape"


class Field(NamedTuple):
    """`example`: a policy without its line `version: 1`, in which the key stands; a test loads each."""

    name: str
    shape: "Shape | Depends"
    doc: str
    required: bool = False
    example: str = ""


class Record(NamedTuple):
    """A mapping with the given keys and no others. `but` says why a key that looks right is not among them.

    `topic`: what the reference calls it and all others of that topic; a key that they share means the same in each.
    """

    name: str
    fields: tuple[Field, ...]
    but: str = ""
    topic: str = ""


class Either(NamedTuple):
    """A scalar, short for the record with only its key `short`; or the record itself."""

    short: str
    record: Record


class Depends(NamedTuple):
    """A shape that depends on the value of another key, `on`, of the same record.

    `on` has one of `words`; for those without a shape, the key has no meaning.
    """

    on: str
    words: tuple[str, ...]
    shapes: Mapping[str, "Shape"]


class Variant(NamedTuple):
    """One of several records. `which` names it, by the mapping's keys with their single values ("" for others) and the
    ids of the rules that the file inherits."""

    records: Mapping[str, Record]
    which: Callable[[Mapping[str, str], frozenset[str]], str]


class Tagged(NamedTuple):
    """One of several records, each known by the key that it alone has."""

    name: str
    records: Mapping[str, Record]


Testable = Text | Word | Integer | Flag | Regex | Address
"""What a condition's values can be."""
Scalars = Testable | Day
Shape = Scalars | Many | Table | Record | Either | Variant | Tagged

HOST = Text(
    what="a host name", pattern=r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*", fold=True
)
HOST_AND_PORT = Text(
    what="a host name, with a port where it has one", pattern=HOST.pattern + r"(:[0-9]{1,5})?", fold=True
)
KEBAB = Text(what="a kebab-case word", pattern=r"[a-z][a-z0-9]*(-[a-z0-9]+)*", longest=64)
SENTENCE = Text(what="a text")
GLOB = Text(what="a glob")

SET_REFERENCE = f"@({KEBAB.pattern})"
"""A pattern, compiled where it is used: the built-in policy needs none of it."""


def network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """An address (as a network of one) or a CIDR network. Raises ValueError."""
    return ipaddress.ip_network(text, strict=True)
