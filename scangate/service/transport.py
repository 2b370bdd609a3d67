"""One HTTP exchange, bounded in every direction. Imported only when the first request is made: requests is heavy.

requests gives proxies, CA bundles and TLS as its users know them. What it would do on its own and must not is left
out by preparing requests by hand and sending them through the adapter: credentials of ~/.netrc, redirects, cookies.
What it lacks is added below it, in the connection: a limit for the whole exchange, and a check of the address that
is really connected to, so that a name cannot resolve to one address for the check and to another for the connection.

Exceptions of requests hold the request, key and signed URL included. So every failure is told anew, *outside* the
`except` block that caught it: no error of ours has one of them as its cause or context.
"""

import http.client
import io
import logging
import re
import socket
import ssl
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError
from urllib3.poolmanager import PoolManager

from scangate import __version__
from scangate.errors import ServiceError
from scangate.service.addresses import AddressRule, Endpoint, parse_address
from scangate.service.base import BadAnswer, Refused, Unreachable
from scangate.service.settings import Secret, Timeouts

MAX_ERROR_BYTES = 64 * 1024
"""How much of an error's body is read for its message."""

_STEP = 64 * 1024
_MIN_PATIENCE = 0.001
_PROXY_HINT = "Check the network, and HTTPS_PROXY and NO_PROXY if there is a proxy."
_CA_HINT = "If a proxy or a private CA signs here, name its CA bundle in REQUESTS_CA_BUNDLE."

_Failure = (requests.RequestException, HTTPError, http.client.HTTPException, OSError, UnicodeError)
"""All that requests and what is below it raise for trouble on the way (OSError: sockets, TLS, resolver, CA file)."""


class Resolver(Protocol):
    """`socket.getaddrinfo`, as far as it is used here."""

    def __call__(self, host: str, port: int, /, *, type: int) -> list[tuple[Any, ...]]: ...  # noqa: A002 (its name)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """`what` starts every error's message ("Submitting pkg:npm/a@1"). `key` None: nothing is authorised.

    `limit`: the largest body of an answer, in bytes after decompression; `total`: seconds for all of it.
    """

    what: str
    method: str
    target: Endpoint
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False)
    key: Secret | None = None
    limit: int
    total: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """Header names are case-insensitive. The body is decompressed; of an error, at most MAX_ERROR_BYTES of it."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(slots=True, kw_only=True)
class _Exchange:
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


_EXCHANGE: ContextVar[_Exchange] = ContextVar("exchange")


class _TimedStream(io.RawIOBase):
    """A socket's stream whose every read gets what is left of the exchange's time."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        exchange = _EXCHANGE.get()
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
    sock: socket.socket | None

    def send(self, data: Any) -> None:
        exchange = _EXCHANGE.get()
        if self.sock is None:
            self.connect()  # type: ignore[attr-defined]  # of the connection that this is mixed into
        exchange.sock = self.sock
        if self.sock is not None:
            self.sock.settimeout(exchange.patience(exchange.timeouts.read))
        exchange.sent = True
        super().send(data)  # type: ignore[misc]  # likewise


class _Checked(_Bounded):
    """Mixed into a connection that we resolve for: connects to none but addresses that the rule allows."""

    def _new_conn(self: Any) -> socket.socket:
        exchange = _EXCHANGE.get()
        addresses = exchange.resolve(self._dns_host, self.port, type=socket.SOCK_STREAM)
        # A proxy is the user's own choice, and it is the proxy that resolves the target's name.
        if self.proxy is None and not all(exchange.rule(parse_address(entry[4][0])) for entry in addresses):
            raise _ForbiddenAddressError
        return _connect(addresses, exchange, self.socket_options or ())


class _ForbiddenAddressError(Exception):
    """A name resolved to an address that the rule does not allow. Nothing was sent."""


def _connect(addresses: list[tuple[Any, ...]], exchange: _Exchange, options: Any) -> socket.socket:
    """Try the addresses in the resolver's order."""
    failure = OSError("the name has no address")
    for family, kind, protocol, _, address in addresses:
        exchange.sock = sock = socket.socket(family, kind, protocol)
        try:
            for option in options:
                sock.setsockopt(*option)
            sock.settimeout(exchange.patience(exchange.timeouts.connect))
            sock.connect(address)
        except OSError as exc:
            sock.close()
            failure = exc
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure


def _with(mixin: type, manager: PoolManager) -> None:
    """Let the manager's pools make connections that have the mixin."""
    pools: dict[str, Any] = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {
        scheme: type(pool.__name__, (pool,), {"ConnectionCls": type(mixin.__name__, (mixin, pool.ConnectionCls), {})})
        for scheme, pool in pools.items()
    }


class _Adapter(HTTPAdapter):
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
        if isinstance(record.args, tuple):
            record.args = tuple(
                re.sub(r"\?.*", "?…", value, flags=re.DOTALL) if isinstance(value, str) else value
                for value in record.args
            )
        return True


for _name in ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(_Discreet())


class Transport:
    """Connections of one thread, kept alive, to addresses of one rule. Only `close` is thread-safe."""

    def __init__(self, rule: AddressRule, *, timeouts: Timeouts, clock: Callable[[], float], resolve: Resolver) -> None:
        self._rule = rule
        self._timeouts = timeouts
        self._clock = clock
        self._resolve = resolve
        self._environment = requests.Session()
        self._adapter = _Adapter()
        self._under_way: _Exchange | None = None
        self._closed = False

    def close(self) -> None:
        """End what is under way and whatever comes after. May be called from another thread."""
        self._closed = True
        if self._under_way is not None:
            self._under_way.give_up()
        self._adapter.close()
        self._environment.close()

    def exchange(self, request: HttpRequest) -> HttpAnswer:
        """One request and its whole answer, whatever the status; redirects are answers like any other.

        Raises Unreachable (transient), Refused (certificate, forbidden address) or BadAnswer (too large, encoding).
        """
        exchange = self._under_way = _Exchange(
            rule=self._rule,
            resolve=self._resolve,
            clock=self._clock,
            timeouts=self._timeouts,
            ends=self._clock() + request.total,
        )
        exchange.given_up = self._closed
        token = _EXCHANGE.set(exchange)
        try:
            return self._exchange(request)
        except _Oversize as exc:
            failure: ServiceError = BadAnswer(f"{request.what}: the answer of {request.target.host} {exc}.")
        except _ForbiddenAddressError:
            failure = Refused(
                f"{request.what}: {request.target.host} resolves to an address that is not allowed there.",
                "Nothing was sent. Check SCANGATE_API_URL, or tell the service's operator.",
            )
        except _Failure as exc:
            failure = _told(exc, request, exchange)
        finally:
            self._under_way = None
            _EXCHANGE.reset(token)
        raise failure

    def _exchange(self, request: HttpRequest) -> HttpAnswer:
        prepared = requests.Request(
            request.method,
            request.target.url,
            headers={"User-Agent": f"scangate/{__version__}", "Accept-Encoding": "gzip", **request.headers},
            data=None if request.body is None else io.BytesIO(request.body),
        ).prepare()
        if request.key is not None:
            prepared.headers["Authorization"] = f"Bearer {request.key.reveal()}"
        verify, proxies = self._trust(request)
        timeout = (self._timeouts.connect, self._timeouts.read)
        with closing(self._adapter.send(prepared, timeout=timeout, verify=verify, proxies=proxies)) as response:
            return HttpAnswer(
                status=response.status_code, headers=response.headers, body=_body(response, request.limit)
            )

    def _trust(self, request: HttpRequest) -> tuple[bool | str, dict[str, str]]:
        """The CA bundle and the proxies that the environment names, as requests reads them.

        None of the proxies for loopback: over plain http a proxy would see the key.
        """
        settings = self._environment.merge_environment_settings(request.target.url, {}, None, None, None)
        verify, proxies = settings["verify"] or True, settings["proxies"]
        if isinstance(verify, str) and not Path(verify).exists():
            raise Refused(f"{request.what}: the CA bundle {verify} is not there.", "Check REQUESTS_CA_BUNDLE.")
        return verify, {} if request.target.is_loopback else dict(proxies)


class _Oversize(Exception):
    """The body breaks a limit; the text says which."""


def _body(response: requests.Response, limit: int) -> bytes:
    if 300 <= response.status_code < 400:
        return b""
    if response.ok:
        body = b"".join(_unpacked(response, limit))
        if not body and not {"Content-Length", "Transfer-Encoding"} & response.headers.keys():
            # http.client takes an end within the headers for the end of the headers.
            raise http.client.IncompleteRead(b"")
        return body
    try:
        return b"".join(_unpacked(response, MAX_ERROR_BYTES))
    except (_Oversize, *_Failure):
        return b""


def _unpacked(response: requests.Response, limit: int) -> Iterator[bytes]:
    """The body piece by piece, counted before and after decompression."""
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    pieces = _limited(response.raw.stream(_STEP, decode_content=False), limit)
    if encoding == "identity":
        yield from pieces
    elif encoding in {"gzip", "x-gzip"}:
        yield from _limited(_gunzipped(pieces), limit)
    else:
        raise _Oversize("is encoded in a way that was not asked for")


def _limited(pieces: Iterator[bytes], limit: int) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > limit:
            raise _Oversize(f"is larger than {limit // 1024} KiB")
        yield piece


def _gunzipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Decompress at most _STEP bytes at a time, so that a bomb is noticed before it is in memory."""
    unzip = zlib.decompressobj(wbits=31)
    for piece in pieces:
        rest = piece
        while True:
            if unzip.eof:
                if not rest:
                    break
                unzip = zlib.decompressobj(wbits=31)
            try:
                plain = unzip.decompress(rest, _STEP)
            except zlib.error:
                raise _Oversize("is not the gzip that it says") from None
            yield plain
            rest = unzip.unused_data if unzip.eof else unzip.unconsumed_tail
            if not rest and len(plain) < _STEP:
                break
    if not unzip.eof:
        raise http.client.IncompleteRead(b"")


def _told(exc: BaseException, request: HttpRequest, exchange: _Exchange) -> ServiceError:
    """An error of ours for one of theirs, which it does not refer to (see the module's text)."""
    root = _root(exc)
    host, what = request.target.host, request.what
    if isinstance(root, ssl.SSLCertVerificationError):
        return Refused(f"{what}: the TLS certificate of {host} is not trusted ({root.verify_message}).", _CA_HINT)
    if isinstance(root, ssl.SSLError) and root.library == "X509":
        return Refused(f"{what}: the CA bundle that the environment names cannot be read.", _CA_HINT)
    if isinstance(exc, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        # The target's own URL is in order: read_url has seen to that.
        return Refused(f"{what}: the proxy named by the environment cannot be used.", "Check HTTPS_PROXY.")
    if exchange.given_up:
        problem = "the request was given up"
    elif exchange.late:
        problem = f"{host} did not finish within {request.total:g} seconds"
    elif isinstance(root, TimeoutError | urllib3.exceptions.TimeoutError):
        problem = f"{host} did not answer in time"
    elif isinstance(root, socket.gaierror):
        problem = f"the name {host} cannot be resolved"
    elif not exchange.sent:
        problem = f"{host} cannot be reached ({_reason(root) or 'no connection'})"
    else:
        problem = f"the connection to {host} broke off ({_reason(root) or 'the answer is cut off or not HTTP'})"
    return Unreachable(f"{what}: {problem}.", _PROXY_HINT, sent=exchange.sent)


def _root(exc: BaseException) -> BaseException:
    """What happened at the bottom. Not further: a caller's own handled error may stand below it."""
    while isinstance(exc, (requests.RequestException, HTTPError)):
        inner = exc.__context__ or exc.__cause__
        if not isinstance(inner, _Failure):
            break
        exc = inner
    return exc


def _reason(root: BaseException) -> str:
    """A few words without anything that was sent: the system's text for an errno, if there is one."""
    if isinstance(root, ssl.SSLError):
        return f"TLS failed: {root.reason or 'connection closed'}"
    if isinstance(root, OSError) and root.strerror:
        return root.strerror
    if isinstance(root, OSError) and str(root).startswith("Tunnel connection failed"):
        return " ".join(str(root).split())[:100]
    return ""
