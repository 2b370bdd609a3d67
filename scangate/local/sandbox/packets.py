"""What passes the loopback interface of the sandbox's network: each datagram, and each attempt to connect.

The trace alone does not know: `write` on a connected socket is no call that is traced, another thread can change an
address between the tracer's look and the kernel's, and what is sent to a port without a listener reaches no socket.
"""

import ctypes
import ipaddress
import socket
import struct
from dataclasses import dataclass

_IPV4, _IPV6 = 0x0800, 0x86DD
_TCP, _UDP, _UDP_LITE, _FRAGMENT = 6, 17, 136, 44
_HOP_BY_HOP, _ROUTING, _DESTINATION = 0, 43, 60
"""IPv6 headers that stand before the one that counts. A program may set a routing header without any right."""
_SYN, _SYN_ACK = 0x02, 0x12
_FLAGS_AT = 13
"""Of a TCP header: where its flags stand."""
_UDP_HEADER = struct.Struct("!4H")
_FRAGMENT_HEADER = 8
_MOST_BYTES = 65536
_BUFFER = 4 * 1024 * 1024
_SO_ATTACH_FILTER, _SOL_PACKET, _PACKET_STATISTICS = 26, 263, 6  # linux/socket.h, linux/if_packet.h
_STATISTICS = struct.Struct("=II")
_LOAD_BYTE, _LOAD_BYTE_BEHIND, _LOAD_HEADER_SIZE, _AND, _EQUAL, _RETURN = 0x30, 0x50, 0xB1, 0x54, 0x15, 0x06
_ALL = 0xFFFFFFFF
_FILTERS = {
    _IPV4: (
        (_LOAD_BYTE, 0, 0, 9),  # the protocol
        (_EQUAL, 3, 0, _TCP),
        (_EQUAL, 7, 0, _UDP),
        (_EQUAL, 6, 0, _UDP_LITE),
        (_RETURN, 0, 0, 0),
        (_LOAD_HEADER_SIZE, 0, 0, 0),
        (_LOAD_BYTE_BEHIND, 0, 0, _FLAGS_AT),
        (_AND, 0, 0, _SYN_ACK),
        (_EQUAL, 1, 0, _SYN),
        (_RETURN, 0, 0, 0),
        (_RETURN, 0, 0, _ALL),
    ),
    _IPV6: (
        (_LOAD_BYTE, 0, 0, 6),  # the next header
        (_EQUAL, 7, 0, _TCP),
        (_EQUAL, 10, 0, _UDP),
        (_EQUAL, 9, 0, _UDP_LITE),
        (_EQUAL, 8, 0, _FRAGMENT),
        (_EQUAL, 7, 0, _ROUTING),
        (_EQUAL, 6, 0, _DESTINATION),
        (_EQUAL, 5, 0, _HOP_BY_HOP),
        (_RETURN, 0, 0, 0),
        (_LOAD_BYTE, 0, 0, 40 + _FLAGS_AT),
        (_AND, 0, 0, _SYN_ACK),
        (_EQUAL, 1, 0, _SYN),
        (_RETURN, 0, 0, 0),
        (_RETURN, 0, 0, _ALL),
    ),
}
"""Classic BPF (operation, jump if true, jump if false, operand): datagrams, and the first packet of connections."""


@dataclass(frozen=True, slots=True)
class Packet:
    """What was sent where. `data` None: somebody tries to connect. `port` 0: a piece of a datagram, without one."""

    address: str
    port: int
    data: bytes | None


class Tap:
    """A packet socket for one version of IP. To be made it needs CAP_NET_RAW in the network's own user namespace."""

    def __init__(self, version: int, interface: str = "lo") -> None:
        """`version`: 4 or 6. Raises OSError."""
        ethertype = _IPV4 if version == 4 else _IPV6
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            _attach(self.socket, _FILTERS[ethertype])
            # Bound to one type, and not to all, it gets what arrives and not what is sent: each packet once.
            self.socket.bind((interface, ethertype))
            self.socket.settimeout(0)
        except OSError:
            self.socket.close()
            raise

    def read(self) -> Packet | None:
        """The next one; None for what cannot be read as one. Raises BlockingIOError where there is none."""
        return parsed(self.socket.recv(_MOST_BYTES))

    def lost(self) -> bool:
        """Whether some have been dropped since this was last asked: they came faster than they were read."""
        answer = self.socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size)
        return bool(_STATISTICS.unpack(answer)[1])


def _attach(tap: socket.socket, code: tuple[tuple[int, int, int, int], ...]) -> None:
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in code))
    tap.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(code), ctypes.addressof(program))
    )  # struct sock_fprog


def parsed(data: bytes) -> Packet | None:
    """An IP packet that passed the filter. Pure; the input is the attacker's."""
    version = data[0] >> 4 if data else 0
    if version == 4 and len(data) >= 20:
        address, protocol, rest = data[16:20], data[9], data[(data[0] & 0xF) * 4 :]
    elif version == 6 and len(data) >= 40:
        address, (protocol, rest) = data[24:40], _behind_extensions(data[6], data[40:])
    else:
        return None
    shown = str(ipaddress.ip_address(address))
    if version == 6 and protocol == _FRAGMENT:
        return Packet(shown, 0, rest[_FRAGMENT_HEADER:])
    if protocol not in (_TCP, _UDP, _UDP_LITE) or len(rest) < _UDP_HEADER.size:
        return None
    if protocol == _TCP and rest[_FLAGS_AT : _FLAGS_AT + 1] and rest[_FLAGS_AT] & _SYN_ACK != _SYN:
        return None  # in the middle of a connection, behind a header that the filter does not look behind
    port = _UDP_HEADER.unpack_from(rest)[1]  # where TCP has it, too
    return Packet(shown, port, None if protocol == _TCP else rest[_UDP_HEADER.size :])


def _behind_extensions(protocol: int, rest: bytes) -> tuple[int, bytes]:
    """RFC 8200, 4.1: each says what follows, and how many units of eight bytes it has beyond the first."""
    while protocol in (_HOP_BY_HOP, _ROUTING, _DESTINATION) and len(rest) >= 8:
        protocol, rest = rest[0], rest[(rest[1] + 1) * 8 :]
    return protocol, rest
