"""Which of many conditions hold for a value? One lookup instead of one test a condition.

A condition is known by a number. Every index answers with the numbers of the conditions that hold.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Protocol, assert_never

from scangate.policy.conditions import Key, Value
from scangate.policy.patterns import PatternSet, encoded
from scangate.policy.shapes import HOST, Address, Flag, Integer, Regex, Text, Word, network

Numbers = frozenset[int]
NONE: Numbers = frozenset()

Wanted = Mapping[int, tuple[Value, ...]]
"""By a condition's number: the values of which any must fit."""


class Index(Protocol):
    def lookup(self, values: tuple[Value, ...]) -> Numbers:
        """The conditions of which a value fits any of these."""


def index_for(key: Key[object], wanted: Wanted) -> Index:
    """The index for conditions on one key."""
    match key.shape:
        case Regex():
            index: Index = PatternIndex(wanted)
        case Address():
            index = NetworkIndex(wanted)
        case Text() if key.shape is HOST:
            index = DomainIndex(wanted)
        case Text() | Word() | Integer() | Flag():
            index = EqualityIndex(wanted)
        case _:
            assert_never(key.shape)
    return Negated(index, wanted) if key.negative else index


class Deferred:
    """The index for conditions on one key, made at its first look-up: a run asks few of them."""

    def __init__(self, key: Key[object], wanted: Wanted) -> None:
        self._key = key
        self._wanted = wanted
        self._index: Index | None = None

    def lookup(self, values: tuple[Value, ...]) -> Numbers:
        if self._index is None:
            self._index = index_for(self._key, self._wanted)
        return self._index.lookup(values)


def _by_value(wanted: Wanted) -> dict[Value, Numbers]:
    found: dict[Value, set[int]] = {}
    for number, values in wanted.items():
        for value in values:
            found.setdefault(value, set()).add(number)
    return {value: frozenset(numbers) for value, numbers in found.items()}


def _union(found: Iterable[Numbers]) -> Numbers:
    return NONE.union(*found)


class EqualityIndex:
    def __init__(self, wanted: Wanted) -> None:
        self._numbers = _by_value(wanted)

    def lookup(self, values: tuple[Value, ...]) -> Numbers:
        if len(values) == 1:
            return self._numbers.get(values[0], NONE)
        return _union(self._numbers.get(value, NONE) for value in values)


class DomainIndex:
    """A host fits a domain that it is, or that is a parent of it."""

    def __init__(self, wanted: Wanted) -> None:
        self._numbers = _by_value(wanted)
        self._deepest = max((str(domain).count(".") + 1 for domain in self._numbers), default=0)

    def lookup(self, values: tuple[Value, ...]) -> Numbers:
        return _union(self._numbers.get(domain, NONE) for host in values for domain in self._parents(str(host)))

    def _parents(self, host: str) -> Iterable[str]:
        # No domain in the index is deeper: a host of a thousand labels costs no more than its last few.
        labels = host.rsplit(".", self._deepest)[-self._deepest :]
        return (".".join(labels[start:]) for start in range(len(labels)))


class NetworkIndex:
    """An address fits a network that it is in; IPv4 inside of IPv6 counts as IPv4. Other text fits nothing."""

    def __init__(self, wanted: Wanted) -> None:
        networks = {number: [network(str(value)) for value in values] for number, values in wanted.items()}
        found: dict[tuple[int, int], dict[int, set[int]]] = {}
        for number, each in networks.items():
            for net in each:
                same_length = found.setdefault((net.version, net.prefixlen), {})
                same_length.setdefault(int(net.network_address), set()).add(number)
        self._by_length = {
            key: {start: frozenset(numbers) for start, numbers in starts.items()} for key, starts in found.items()
        }

    def lookup(self, values: tuple[Value, ...]) -> Numbers:
        return _union(self._one(str(value)) for value in values)

    def _one(self, text: str) -> Numbers:
        try:
            address = ipaddress.ip_address(text.partition("%")[0].strip("[]"))
        except ValueError:
            return NONE
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        number = int(address)
        hits = []
        for (version, length), starts in self._by_length.items():
            if version == address.version:
                host_bits = address.max_prefixlen - length
                hits.append(starts.get(number >> host_bits << host_bits, NONE))
        return _union(hits)


class PatternIndex:
    """A text fits a pattern that is found in it."""

    def __init__(self, wanted: Wanted) -> None:
        numbers = {encoded(str(pattern)): each for pattern, each in _by_value(wanted).items()}
        self._set = PatternSet(numbers)
        self._numbers = tuple(numbers.values())

    def lookup(self, values: tuple[Value, ...]) -> Numbers:
        found = NONE
        for text in values:
            for hit in self._set.found_in(text):  # type: ignore[arg-type]  # a pattern's key gives text
                found |= self._numbers[hit]
        return found


class Negated:
    """Holds where the other index's does not."""

    def __init__(self, index: Index, wanted: Wanted) -> None:
        self._index = index
        self._all = frozenset(wanted)

    def lookup(self, values: tuple[Value, ...]) -> Numbers:
        return self._all - self._index.lookup(values)
