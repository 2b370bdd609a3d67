"""One HTTP exchange, bounded in every direction. Imported only when the first request is made: requests is heavy.

requests gives proxies, CA bundles and TLS as its users know them. What it would do on its own and must not is left
out by preparing requests by hand and sending them through the adapter: credentials of ~/.netrc, redirects, cookies.
What it lacks (a limit for the whole exchange, a check of the address connected to) is added below it, in `wire`.

Exceptions of requests hold the request, key and signed URL included. So every failure is told anew, *outside* the
`except` block that caught it: no error of ours has one of them as its cause or context.
"""

import http.client
import io
import socket
import ssl
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import requests
import urllib3
from urllib3.exceptions import HTTPError

from scangate import __version__
from scangate.errors import ServiceError
from scangate.web.addresses import AddressRule, Endpoint
from scangate.web.errors import BadAnswer, Refused, Unreachable
from scangate.web.settings import Secret, Timeouts
from scangate.web.wire import EXCHANGE, BoundedAdapter, Exchange, ForbiddenAddressError, Resolver

MAX_ERROR_BYTES = 64 * 1024
"""How much of an error's body is read for its message."""

_STEP = 64 * 1024
_PROXY_HINT = "Check the network, and HTTPS_PROXY and NO_PROXY if there is a proxy."
_CA_HINT = "If a proxy or a private CA signs here, name its CA bundle in REQUESTS_CA_BUNDLE."

_Failure = (requests.RequestException, HTTPError, http.client.HTTPException, OSError, UnicodeError)
"""All that requests and what is below it raise for trouble on the way (OSError: sockets, TLS, resolver, CA file)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """`what` starts every error's message ("Submitting pkg:npm/a@1"). `key` None: nothing is authorised.

    `limit`: the largest body of an answer, in bytes after decompression; `total`: seconds for all of it.
    `into` takes a success's body piece by piece, and the answer has none: for what is too large for the memory. Its
    OSError would be taken for the network's: it is to raise another one.
    """

    what: str
    method: str
    target: Endpoint
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False)
    key: Secret | None = None
    limit: int
    total: float
    into: Callable[[bytes], object] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """Header names are case-insensitive. The body is decompressed; of an error, at most MAX_ERROR_BYTES of it."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Transport:
    """Connections of one thread, kept alive, to addresses of one rule. Only `close` is thread-safe."""

    def __init__(self, rule: AddressRule, *, timeouts: Timeouts, clock: Callable[[], float], resolve: Resolver) -> None:
        self._rule = rule
        self._timeouts = timeouts
        self._clock = clock
        self._resolve = resolve
        self._environment = requests.Session()
        self._adapter = BoundedAdapter()
        self._under_way: Exchange | None = None
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
        exchange = self._under_way = Exchange(
            rule=self._rule,
            resolve=self._resolve,
            clock=self._clock,
            timeouts=self._timeouts,
            ends=self._clock() + request.total,
        )
        exchange.given_up = self._closed
        token = EXCHANGE.set(exchange)
        try:
            return self._exchange(request)
        except _Oversize as exc:
            failure: ServiceError = BadAnswer(
                f"{request.what}: the answer of {request.target.host} {exc}.", "Tell the server's operator."
            )
        except ForbiddenAddressError:
            failure = Refused(
                f"{request.what}: {request.target.host} resolves to an address that is not allowed there.",
                "Nothing was sent. Check the address that is configured, or tell the server's operator.",
            )
        except _Failure as exc:
            failure = _told(exc, request, exchange)
        finally:
            self._under_way = None
            EXCHANGE.reset(token)
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
            return HttpAnswer(status=response.status_code, headers=response.headers, body=_body(response, request))

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


def _body(response: requests.Response, request: HttpRequest) -> bytes:
    if 300 <= response.status_code < 400:
        return b""
    if response.ok:
        kept: list[bytes] = []
        take, size = request.into or kept.append, 0
        for piece in _unpacked(response, request.limit):
            take(piece)
            size += len(piece)
        if not size and not {"Content-Length", "Transfer-Encoding"} & response.headers.keys():
            # http.client takes an end within the headers for the end of the headers.
            raise http.client.IncompleteRead(b"")
        return b"".join(kept)
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


def _told(exc: BaseException, request: HttpRequest, exchange: Exchange) -> ServiceError:
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
