"""The sandbox's only name server: every name exists, each has a stand-in address of its own (198.18.0.0/15)."""

import ipaddress
import struct
import zlib
from dataclasses import dataclass, field

ADDRESS = "198.18.0.53"
"""Where the sandbox's resolver listens."""
PORT = 53

_NETWORK = ipaddress.ip_network("198.18.0.0/15")  # RFC 2544: routed nowhere
_SIZE = _NETWORK.num_addresses
_MOST_NAMES = 50_000
_TYPES = {1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA", 33: "SRV", 255: "ANY"}
_TYPES |= {35: "NAPTR", 43: "DS", 48: "DNSKEY", 64: "SVCB", 65: "HTTPS", 257: "CAA"}
_A, _IN = 1, 1
_HEADER = struct.Struct("!6H")
_ANSWER_FLAGS = 0x8180  # an answer, recursion wanted and available
_POINTER_TO_QUESTION = 0xC00C
_TTL = 60


@dataclass(frozen=True, slots=True)
class Question:
    """`name` in lower case without the last dot; bytes that are not printable ASCII are written as `\\ddd`."""

    name: str
    record_type: str
    number: int
    end: int
    """Where the question section's first entry ends in the message."""


def question(message: bytes) -> Question | None:
    """The question of a DNS query, or None if this is none."""
    if len(message) < _HEADER.size + 5:
        return None
    _, flags, questions, _, _, _ = _HEADER.unpack_from(message)
    if flags & 0x8000 or questions != 1:
        return None
    labels: list[str] = []
    at = _HEADER.size
    while at < len(message) and (length := message[at]):
        if length > 63 or at - _HEADER.size > 255:
            return None
        labels.append("".join(_shown(byte) for byte in message[at + 1 : at + 1 + length]))
        at += 1 + length
    if at + 5 > len(message):
        return None
    number = int.from_bytes(message[at + 1 : at + 3])
    return Question(".".join(labels).lower(), _TYPES.get(number, f"TYPE{number}"), number, at + 5)


def _shown(byte: int) -> str:
    return chr(byte) if 0x21 <= byte <= 0x7E and byte not in b".\\" else f"\\{byte:03d}"


@dataclass(slots=True)
class Names:
    """Stand-in addresses. The same name has the same address in every run (unless two collide)."""

    _by_name: dict[str, str] = field(default_factory=dict)
    _by_address: dict[str, str] = field(default_factory=lambda: {ADDRESS: ""})

    def address(self, name: str) -> str | None:
        """The address that stands for this name; None once there are too many names."""
        known = self._by_name.get(name)
        if known is not None or len(self._by_name) >= _MOST_NAMES:
            return known
        offset = zlib.crc32(name.encode()) % _SIZE
        while (address := str(_NETWORK[offset])) in self._by_address or offset % 256 in (0, 255):
            offset = (offset + 1) % _SIZE
        self._by_name[name] = address
        self._by_address[address] = name
        return address

    def name(self, address: str) -> str | None:
        """The name that this address stands for."""
        return self._by_address.get(address) or None


def answer(message: bytes, names: Names) -> tuple[Question | None, bytes | None]:
    """What was asked, and the response: an address for A, an empty answer for all other types."""
    asked = question(message)
    if asked is None:
        return None, None
    address = names.address(asked.name) if asked.number == _A and asked.name else None
    header = _HEADER.pack(int.from_bytes(message[:2]), _ANSWER_FLAGS, 1, 0 if address is None else 1, 0, 0)
    response = header + message[_HEADER.size : asked.end]
    if address is not None:
        record = struct.pack("!HHHIH", _POINTER_TO_QUESTION, _A, _IN, _TTL, 4)
        response += record + ipaddress.IPv4Address(address).packed
    return asked, response
