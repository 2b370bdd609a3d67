"""Where every connection and datagram of the sandbox ends: records names and bodies, answers next to nothing.

All addresses are local in the sandbox's network, so one socket a port takes what is meant for any host.
"""

import contextlib
import ipaddress
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from scangate.local.sandbox import dns, wire_names
from scangate.local.sandbox.base import LookedUp

TCP_PORTS = (
    21, 22, 23, 25, 53, 80, 81, 110, 143, 443, 444, 465, 587, 843, 853, 993, 995, 1080, 1337, 1433, 1521, 2222, 2375,
    3128, 3306, 3333, 4242, 4443, 4444, 4445, 5222, 5432, 5555, 5672, 5900, 6379, 6443, 6666, 6667, 6697, 7000, 7777,
    8000, 8008, 8080, 8081, 8088, 8200, 8443, 8545, 8888, 9000, 9001, 9050, 9090, 9200, 9443, 9999, 10000, 11211,
    13337, 14444, 27017, 31337, 33333, 44444, 45700, 50000, 55555,
)  # fmt: skip
"""Listened on from the start; a port that refused a connection is listened on from then on."""
UDP_PORTS = (53, 69, 80, 123, 161, 443, 514, 1900, 3478, 4444, 5353, 8080, 9999, 31337)

MOST_LISTENERS = 512
MOST_CONNECTIONS = 256
MOST_OF_ONE = 256 * 1024
"""Bytes kept of one connection."""
MOST_OF_ALL = 8 * 1024 * 1024
_MOST_RECORDS = 20_000
_MOST_NAMES = 1000
_SECONDS_OPEN = 5.0
_SECONDS_DRAINING = 10.0
_READ = 65536
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_IPV6_PKTINFO_SPACE = 20


@dataclass(slots=True)
class Records:
    """What reached the sink since the phase began. `names`: by (address, port), from TLS SNI and HTTP Host."""

    looked_up: set[LookedUp] = field(default_factory=set)
    names: dict[tuple[str, int], set[str]] = field(default_factory=dict)
    sent: list[tuple[str, int, bytes]] = field(default_factory=list)
    kept: int = 0
    overflow: bool = False
    """Something was left out: the phase's records are not whole."""

    def name(self, address: str, port: int, name: str) -> None:
        known = self.names.setdefault((address, port), set())
        if len(known) < _MOST_NAMES:
            known.add(name)
        else:
            self.overflow = True

    def body(self, address: str, port: int, data: bytes) -> None:
        if not data:
            return
        if len(self.sent) >= _MOST_RECORDS or self.kept + len(data) > MOST_OF_ALL:
            self.overflow = True
            return
        self.kept += len(data)
        self.sent.append((address, port, data))

    def lookup(self, asked: dns.Question) -> None:
        if len(self.looked_up) < _MOST_RECORDS:
            self.looked_up.add(LookedUp(name=asked.name, record_type=asked.record_type))
        else:
            self.overflow = True


@dataclass(slots=True)
class _Connection:
    address: str
    port: int
    until: float
    data: bytearray = field(default_factory=bytearray)
    continued: bool = False


class Sink:
    """One thread serves all ports. Made before the process gives up its privileges; then `start`."""

    def __init__(
        self, *, tcp: Iterable[int] = TCP_PORTS, udp: Iterable[int] = UDP_PORTS, dns_port: int = dns.PORT
    ) -> None:
        self.names = dns.Names()
        self._records = Records()
        self._dns_port = dns_port
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._tcp: set[int] = set()
        self._open: dict[socket.socket, _Connection] = {}
        for port in tcp:
            self._listen(port)
        for port in udp:
            self._receive(port)
        self._thread = threading.Thread(target=self._run, name="sink", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def take(self) -> Records:
        """The records so far; new ones from here on. Connections that are open end here.

        For when the phase's processes are gone: what they sent is in the kernel, finite, and read to its end.
        """
        with self._lock:
            until = time.monotonic() + _SECONDS_DRAINING
            while self._poll(0):
                if time.monotonic() > until:
                    self._records.overflow = True
                    break
            for connection in list(self._open):
                self._finish(connection)
            records, self._records = self._records, Records()
        return records

    def listen_on(self, ports: Iterable[int]) -> None:
        """Have these TCP ports answered, too."""
        with self._lock:
            for port in ports:
                if port not in self._tcp and len(self._tcp) < MOST_LISTENERS:
                    self._listen(port)

    def _run(self) -> None:
        while True:
            # Waiting is done without the lock: whoever holds it changes the selector.
            self._selector.select(0.05)
            with self._lock:
                self._poll(0)
                now = time.monotonic()
                for connection in [item for item, state in self._open.items() if state.until < now]:
                    self._finish(connection)

    def _poll(self, timeout: float) -> bool:
        """Serve whatever is ready; whether anything was."""
        ready = self._selector.select(timeout)
        for key, _ in ready:
            handler: Callable[[socket.socket], None] = key.data
            # The package decides how its connections end; that must not end the sink.
            with contextlib.suppress(OSError):
                handler(_socket_of(key))
        return bool(ready)

    def _listen(self, port: int) -> None:
        self._tcp.add(port)
        listener = _dual_stack(socket.SOCK_STREAM)
        try:
            listener.bind(("::", port))
            listener.listen(64)
        except OSError:  # the package itself has taken this port
            listener.close()
            return
        self._selector.register(listener, selectors.EVENT_READ, self._accept)

    def _receive(self, port: int) -> None:
        receiver = _dual_stack(socket.SOCK_DGRAM)
        receiver.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        receiver.bind(("::", port))
        self._selector.register(receiver, selectors.EVENT_READ, self._datagram)

    def _accept(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        try:
            connection.settimeout(0)
            address, port = connection.getsockname()[:2]
            address = plain_address(address)
            if ipaddress.ip_address(address).is_loopback or len(self._open) >= MOST_CONNECTIONS:
                connection.close()
                return
        except OSError:
            connection.close()
            raise
        self._open[connection] = _Connection(address, port, time.monotonic() + _SECONDS_OPEN)
        self._selector.register(connection, selectors.EVENT_READ, self._read)

    def _read(self, connection: socket.socket) -> None:
        state = self._open[connection]
        try:
            data = connection.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        state.data += data
        if not data or len(state.data) >= MOST_OF_ONE:
            self._finish(connection)
        elif state.port == self._dns_port:
            self._dns_stream(connection, state)
        elif answer := wire_names.answer_to(state.data):
            connection.send(answer)
            self._finish(connection)
        elif wire_names.wants_continue(state.data) and not state.continued:
            state.continued = True
            connection.send(_CONTINUE)

    def _dns_stream(self, connection: socket.socket, state: _Connection) -> None:
        while len(state.data) >= 2 and len(state.data) >= 2 + (size := int.from_bytes(state.data[:2])):
            message = bytes(state.data[2 : 2 + size])
            del state.data[: 2 + size]
            response = self._resolve(message, state.address, state.port)
            if response is not None:
                connection.send(len(response).to_bytes(2) + response)

    def _finish(self, connection: socket.socket) -> None:
        state = self._open.pop(connection)
        self._selector.unregister(connection)
        connection.close()
        data = bytes(state.data[:MOST_OF_ONE])
        for name in wire_names.names(data):
            self._records.name(state.address, state.port, name)
        self._records.body(state.address, state.port, data)

    def _datagram(self, receiver: socket.socket) -> None:
        data, ancillary, _, sender = receiver.recvmsg(_READ, socket.CMSG_SPACE(_IPV6_PKTINFO_SPACE))
        address = "::"
        for level, kind, value in ancillary:
            if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
                address = plain_address(socket.inet_ntop(socket.AF_INET6, value[:16]))
        port = receiver.getsockname()[1]
        if port != self._dns_port:
            self._records.body(address, port, data)
            return
        response = self._resolve(data, address, port)
        if response is not None:
            # From the address that was asked, or the asker would not take it.
            receiver.sendmsg([response], ancillary, 0, sender)

    def _resolve(self, message: bytes, address: str, port: int) -> bytes | None:
        asked, response = dns.answer(message, self.names)
        if asked is None:
            self._records.body(address, port, message)
        else:
            self._records.lookup(asked)
        return response


def plain_address(address: str) -> str:
    """An IPv4 address that is written as an IPv6 one, as IPv4; others in their shortest form, without a scope."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)


def _dual_stack(kind: socket.SocketKind) -> socket.socket:
    made = socket.socket(socket.AF_INET6, kind)
    made.settimeout(0)
    made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return made


def _socket_of(key: selectors.SelectorKey) -> socket.socket:
    assert isinstance(key.fileobj, socket.socket)
    return key.fileobj
