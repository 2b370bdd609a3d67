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
from functools import partial
from pathlib import Path

from scangate.local.sandbox import dns, wire_names
from scangate.local.sandbox.addresses import plain_address
from scangate.local.sandbox.base import LookedUp
from scangate.local.sandbox.packets import Tap

TCP_PORTS = (
    21, 22, 23, 25, 53, 80, 81, 110, 143, 443, 444, 465, 587, 843, 853, 993, 995, 1080, 1337, 1433, 1521, 2222, 2375,
    3128, 3306, 3333, 4242, 4443, 4444, 4445, 5222, 5432, 5555, 5672, 5900, 6379, 6443, 6666, 6667, 6697, 7000, 7777,
    8000, 8008, 8080, 8081, 8088, 8200, 8443, 8545, 8888, 9000, 9001, 9050, 9090, 9200, 9443, 9999, 10000, 11211,
    13337, 14444, 27017, 31337, 33333, 44444, 45700, 50000, 55555,
)  # fmt: skip
"""Listened on from the start; a port that somebody tried to connect to is listened on from then on."""
UDP_PORTS = (69, 80, 123, 161, 443, 514, 1900, 3478, 4444, 5353, 8080, 9999, 31337)
"""Where a sender gets no error. What is sent, to any port, the taps have."""

MOST_LISTENERS = 512
MOST_CONNECTIONS = 256
MOST_OF_ONE = 256 * 1024
"""Bytes kept of one connection."""
MOST_OF_ALL = 8 * 1024 * 1024
_MOST_RECORDS = 20_000
_MOST_NAMES = 1000
_BACKLOG = 4096
_SECONDS_OPEN = 5.0
"""Then a client that waits for a word is told that none will come; what it says after that is still read."""
_SECONDS_DRAINING = 10.0
_DRAINING_POLL = 0.05
_READ = 65536
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_IPV6_PKTINFO_SPACE = 20


@dataclass(slots=True)
class Records:
    """What reached the sink since the phase began. `names`: by (address, port), from TLS SNI and HTTP Host.

    `arrived`: what the kernel took each connection and datagram to be meant for; the trace may have looked too early.
    """

    looked_up: set[LookedUp] = field(default_factory=set)
    names: dict[tuple[str, int], set[str]] = field(default_factory=dict)
    sent: list[tuple[str, int, bytes]] = field(default_factory=list)
    arrived: set[tuple[str, int]] = field(default_factory=set)
    kept: int = 0
    overflow: bool = False
    """Something was left out: the phase's records are not whole."""

    def arrival(self, address: str, port: int) -> None:
        if len(self.arrived) < _MOST_RECORDS:
            self.arrived.add((address, port))
        else:
            self.overflow = True

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
    hung_up: bool = False
    """The sink says no more; it reads until the other side ends, too."""


class Sink:
    """One thread serves all ports. Made before the process gives up its privileges; then `start`."""

    def __init__(
        self,
        *,
        tcp: Iterable[int] = TCP_PORTS,
        udp: Iterable[int] = UDP_PORTS,
        dns_port: int = dns.PORT,
        taps: Iterable[Tap] = (),
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
        self._silent = [self._bound(port) for port in udp]
        """Never read: that they are bound spares who sends there an error, and the taps have what is sent."""
        resolver = self._bound(dns_port)
        resolver.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        self._selector.register(resolver, selectors.EVENT_READ, self._question)
        self._taps = tuple(taps)
        self._answers: set[tuple[int, bytes | None]] = set()
        self._dropped = kernel_drops()
        for tap in self._taps:
            self._selector.register(tap.socket, selectors.EVENT_READ, partial(self._passed, tap))
        self._thread = threading.Thread(target=self._run, name="sink", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def take(self) -> Records:
        """The records so far; new ones from here on. Connections that are open end here.

        For when the phase's processes are gone: what they sent is in the kernel, finite, and read to its end, which
        each connection must come to, for the kernel has closed its other side.
        """
        with self._lock:
            until = time.monotonic() + _SECONDS_DRAINING
            while self._poll(_DRAINING_POLL if self._open else 0) or self._open:
                if time.monotonic() > until:
                    self._records.overflow = True
                    break
            for connection in list(self._open):
                self._finish(connection)
            for tap in self._taps:
                self._records.overflow |= tap.lost()
            before, self._dropped = self._dropped, kernel_drops()
            self._records.overflow |= before != self._dropped
            records, self._records = self._records, Records()
        return records

    def _run(self) -> None:
        while True:
            # Waiting is done without the lock: whoever holds it changes the selector.
            self._selector.select(0.05)
            with self._lock:
                self._poll(0)
                now = time.monotonic()
                for connection, state in self._open.items():
                    if state.until < now:
                        _hang_up(connection, state)

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
            listener.listen(_BACKLOG)
        except OSError:  # the package itself has taken this port
            listener.close()
            return
        self._selector.register(listener, selectors.EVENT_READ, self._accept)

    def _bound(self, port: int) -> socket.socket:
        receiver = _dual_stack(socket.SOCK_DGRAM)
        receiver.bind(("::", port))
        return receiver

    def _accept(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        try:
            connection.settimeout(0)
            address, port = connection.getsockname()[:2]
            address = plain_address(address)
            if ipaddress.ip_address(address).is_loopback:
                connection.close()  # a service of its own machine, which is not there
                return
            if len(self._open) >= MOST_CONNECTIONS:
                self._records.overflow = True
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
        if len(state.data) > MOST_OF_ONE:
            self._records.overflow = True
            self._finish(connection)
        elif not data:
            self._finish(connection)
        elif state.port == self._dns_port:
            self._dns_stream(connection, state)
        elif state.hung_up:
            return
        elif answer := wire_names.answer_to(state.data):
            connection.send(answer)
            _hang_up(connection, state)
        elif wire_names.wants_continue(state.data) and not state.continued:
            state.continued = True
            connection.send(_CONTINUE)

    def _dns_stream(self, connection: socket.socket, state: _Connection) -> None:
        while len(state.data) >= 2 and len(state.data) >= 2 + (size := int.from_bytes(state.data[:2])):
            message = bytes(state.data[2 : 2 + size])
            del state.data[: 2 + size]
            self._record(message, state.address, state.port)
            _, response = dns.answer(message, self.names)
            if response is not None:
                with contextlib.suppress(OSError):  # who does not take the answer has asked all the same
                    connection.send(len(response).to_bytes(2) + response)

    def _finish(self, connection: socket.socket) -> None:
        state = self._open.pop(connection)
        self._selector.unregister(connection)
        connection.close()
        data = bytes(state.data[:MOST_OF_ONE])
        for name in wire_names.names(data):
            self._records.name(state.address, state.port, name)
        self._records.body(state.address, state.port, data)

    def _passed(self, tap: Tap, _: socket.socket) -> None:
        packet = tap.read()
        if packet is None:
            return
        if (packet.port, packet.data) in self._answers:
            self._answers.remove((packet.port, packet.data))  # the resolver's own, on its way back
            return
        address, port = plain_address(packet.address), packet.port
        if ipaddress.ip_address(address).is_loopback and port != self._dns_port:
            return
        if port:
            self._records.arrival(address, port)
        if packet.data is not None:
            self._record(packet.data, address, port)
        elif port not in self._tcp and len(self._tcp) < MOST_LISTENERS:
            self._listen(port)

    def _question(self, receiver: socket.socket) -> None:
        """Answered here, recorded as it passes: the package may take this port, too, and the questions with it."""
        data, ancillary, _, sender = receiver.recvmsg(_READ, socket.CMSG_SPACE(_IPV6_PKTINFO_SPACE))
        _, response = dns.answer(data, self.names)
        if response is not None:
            if self._taps:
                self._answers.add((sender[1], response))
            # From the address that was asked, or the asker would not take it.
            receiver.sendmsg([response], ancillary, 0, sender)

    def _record(self, message: bytes, address: str, port: int) -> None:
        asked = dns.question(message) if port == self._dns_port else None
        if asked is None:
            self._records.body(address, port, message)
        else:
            self._records.lookup(asked)


def _hang_up(connection: socket.socket, state: _Connection) -> None:
    """To close it would lose what is still said, and what the other side can still send without an error."""
    if not state.hung_up:
        state.hung_up = True
        with contextlib.suppress(OSError):  # the other side has ended it meanwhile
            connection.shutdown(socket.SHUT_WR)


def kernel_drops(statistics: Path = Path("/proc/self/net")) -> tuple[int, ...]:
    """How often this network has dropped what no socket and no tap has seen. Raises OSError, ValueError.

    Attempts to connect that a listener had no room for (ListenDrops, docs.kernel.org/networking/snmp_counter.html), and
    packets that the loopback interface could not queue (the fourth value of its line in `dev`).
    """
    names, values = (
        line.split() for line in (statistics / "netstat").read_text().splitlines() if line.startswith("TcpExt:")
    )
    loopback = next(
        line.split(":")[1].split()
        for line in (statistics / "dev").read_text().splitlines()
        if line.split(":")[0].strip() == "lo"
    )
    return int(values[names.index("ListenDrops")]), int(loopback[3])


def _dual_stack(kind: socket.SocketKind) -> socket.socket:
    made = socket.socket(socket.AF_INET6, kind)
    made.settimeout(0)
    made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return made


def _socket_of(key: selectors.SelectorKey) -> socket.socket:
    assert isinstance(key.fileobj, socket.socket)
    return key.fileobj
