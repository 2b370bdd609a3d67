"""Below requests: connections with a limit for the whole exchange, and a check of the address connected to.

requests bounds single steps alone, and neither it nor urllib3 lets a caller say which addresses are allowed. Both are
added where sockets are made and read: a name is resolved once, and what was checked is what is connected to, so that
it cannot lead to one address for the check and to another for the connection.
"""

import http.client
import io
import logging
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

from requests.adapters import HTTPAdapter
from urllib3.poolmanager import PoolManager

from scangate.web.addresses import AddressRule, parse_address
from scangate.web.settings import Timeouts

_MIN_PATIENCE = 0.001


class Resolver(Protocol):
    """`socket.getaddrinfo`, as far as it is used here."""

    def __call__(self, host: str, port: int, /, *, type: int) -> list[tuple[Any, ...]]: ...  # noqa: A002 (its name)


@dataclass(slots=True, kw_only=True)
class Exchange:
    """What the connection must know of the exchange under way, which urllib3 has no way to hand down."""

    rule: AddressRule
    resolve: Resolver
    clock: Callable[[], float]
    timeouts: Timeouts
    ends: float
    sent: bool = False
    sock: socket.socket | None = None
    given_up: bool = False

    def patience(self, limit: float) -> float:
        """Seconds to wait for the next step. Raises TimeoutError where the whole exchange has taken too long."""
        if self.late:
            raise TimeoutError("the whole exchange took too long")
        return max(_MIN_PATIENCE, min(limit, self.ends - self.clock()))

    @property
    def late(self) -> bool:
        return self.given_up or self.clock() >= self.ends

    def give_up(self) -> None:
        """End it, from another thread: what it waits for ends at once."""
        self.given_up = True
        sock = self.sock
        if sock is not None:
            with suppress(OSError):
                # Past TLS on purpose: its own shutdown changes state that the other thread is using.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


EXCHANGE: ContextVar[Exchange] = ContextVar("exchange")
"""Set around each use of a connection."""


class _TimedStream(io.RawIOBase):
    """A socket's stream whose every read gets what is left of the exchange's time."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        exchange = EXCHANGE.get()
        self._sock.settimeout(exchange.patience(exchange.timeouts.read))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp = io.BufferedReader(_TimedStream(self.fp.detach(), sock))


class _Bounded:
    """Mixed into a urllib3 connection: a limit for the whole exchange, and no debug print of headers."""

    response_class = _TimedResponse
    debuglevel = 0
    sock: Any

    def send(self, data: Any) -> None:
        exchange = EXCHANGE.get()
        if self.sock is None:
            self.connect()  # type: ignore[attr-defined]  # of the connection that this is mixed into
        exchange.sock = self.sock
        self.sock.settimeout(exchange.patience(exchange.timeouts.read))
        exchange.sent = True
        super().send(data)  # type: ignore[misc]  # likewise


class _Checked(_Bounded):
    """Mixed into a connection that we resolve for: connects to none but addresses that the rule allows."""

    def _new_conn(self: Any) -> socket.socket:
        exchange = EXCHANGE.get()
        addresses = exchange.resolve(self._dns_host, self.port, type=socket.SOCK_STREAM)
        # A proxy is the user's own choice, and it is the proxy that resolves the target's name.
        if self.proxy is None and not all(exchange.rule(parse_address(entry[4][0])) for entry in addresses):
            raise ForbiddenAddressError
        return _connect(addresses, exchange, self.socket_options or ())


class ForbiddenAddressError(Exception):
    """A name resolved to an address that the rule does not allow. Nothing was sent."""


def _connect(addresses: list[tuple[Any, ...]], exchange: Exchange, options: Any) -> socket.socket:
    """Try the addresses in the resolver's order."""
    failure = OSError("the name has no address")
    for family, kind, protocol, _, address in addresses:
        exchange.sock = sock = socket.socket(family, kind, protocol)
        try:
            for option in options:
                sock.setsockopt(*option)
            sock.settimeout(exchange.patience(exchange.timeouts.connect))
            sock.connect(address)
            return sock
        except OSError as exc:
            sock.close()
            failure = exc
    raise failure


def _with(mixin: type, manager: PoolManager) -> None:
    """Let the manager's pools make connections that have the mixin."""
    pools: dict[str, Any] = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {
        scheme: type(pool.__name__, (pool,), {"ConnectionCls": type(mixin.__name__, (mixin, pool.ConnectionCls), {})})
        for scheme, pool in pools.items()
    }


class BoundedAdapter(HTTPAdapter):
    """requests' adapter over such connections; they need EXCHANGE set."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        _with(_Checked, self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        known = proxy in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **options)
        if not known:
            # A SOCKS manager's connections do their own connecting.
            _with(_Bounded if proxy.lower().startswith("socks") else _Checked, manager)
        return manager


class _Discreet(logging.Filter):
    """Keeps urllib3's log lines free of secrets: the query of a signed URL is one, a header may repeat the key."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info:  # the only such line shows headers that could not be parsed
            return False
        record.msg, record.args = re.sub(r"\?\S*", "?…", record.getMessage()), None
        return True


for _name in ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(_Discreet())
