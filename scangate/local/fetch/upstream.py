"""The registries over HTTPS: bounded, without anyone's credentials, and never off to a plain connection."""

import io
import math
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, BinaryIO, TypeVar
from urllib.parse import urljoin

from scangate import urls
from scangate.errors import ScangateError, ServiceError
from scangate.local.fetch.base import FetchError, IntegrityMismatch
from scangate.local.fetch.digests import verify
from scangate.local.jobs import Interrupted
from scangate.models.analysis import MAX_ARCHIVE_BYTES
from scangate.web.addresses import Endpoint, any_address, read_url
from scangate.web.errors import Unreachable
from scangate.web.settings import Timeouts

if TYPE_CHECKING:
    from scangate.web.transport import HttpAnswer, Transport

MAX_DOCUMENT_BYTES = 64 * 1024 * 1024
"""Of one index page. npm's longest are below 20 MB."""
MAX_SECONDS = 600.0
"""For one page or archive, with all redirects and tries."""
CACHE_BYTES = 128 * 1024 * 1024
CACHE_SECONDS = 300.0
"""A long-running service must learn of new versions."""
MAX_REDIRECTS = 5
TRIES = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_AGAIN = frozenset({429, 500, 502, 503, 504})


_T = TypeVar("_T")


class NotThere(FetchError):
    """The registry says that there is no such thing (404, 410)."""


class _TransientError(ScangateError):
    """Worth another try."""


class Upstream:
    """Thread-safe. Proxies and certificates come from the environment as usual; ~/.netrc does not."""

    def __init__(
        self,
        *,
        pause_seconds: float = 1.0,
        cache_bytes: int = CACHE_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pause_seconds = pause_seconds
        self._cache_bytes = cache_bytes
        self._clock = clock
        self._cache: OrderedDict[tuple[str, str], tuple[float, bytes]] = OrderedDict()
        self._lock = threading.Lock()
        self._threads = threading.local()

    def document(self, url: str, accept: str, stop: Event, *, read: Callable[[bytes], _T]) -> _T:
        """What `read` makes of an index page, which is kept in memory for the packages to come.

        Raises FetchError, NotThere, Interrupted, and what `read` raises: such a page is not kept.
        """
        key = (url, accept)
        if (kept := self._kept(key)) is not None:
            return read(kept)
        page = io.BytesIO()
        self._fetch(url, accept, MAX_DOCUMENT_BYTES, page, stop)
        content = page.getvalue()
        found = read(content)
        with self._lock:
            self._cache[key] = (self._clock(), content)
            self._cache.move_to_end(key)
            while sum(len(each) for _, each in self._cache.values()) > self._cache_bytes:
                self._cache.popitem(last=False)
        return found

    def _kept(self, key: tuple[str, str]) -> bytes | None:
        with self._lock:
            since, content = self._cache.get(key, (0.0, None))
            if content is None or self._clock() - since > CACHE_SECONDS:
                return None
            self._cache.move_to_end(key)
            return content

    def download(self, url: str, target: Path, stop: Event) -> None:
        """A file. Raises FetchError, NotThere, Interrupted, and OSError where it cannot be written."""
        with target.open("wb") as file:
            self._fetch(url, "*/*", MAX_ARCHIVE_BYTES, file, stop)

    def download_checked(self, what: str, url: str, target: Path, expected: tuple[str, ...], stop: Event) -> None:
        """A file that has one of these digests. Raises as `download` does, and IntegrityMismatch.

        What differs is fetched once more: damage on the way is not what the registry has.
        """
        for last in (False, True):
            self.download(url, target, stop)
            try:
                verify(what, target, expected)
            except IntegrityMismatch:
                if last:
                    raise
            else:
                return

    def _fetch(self, url: str, accept: str, limit: int, into: BinaryIO, stop: Event) -> None:
        ends = self._clock() + MAX_SECONDS
        for number in range(1, TRIES + 1):
            if number > 1:
                into.seek(0)
                into.truncate()
            try:
                return self._follow(url, accept, limit, _Writer(into, stop), ends)
            except _TransientError as exc:
                if number == TRIES or self._clock() >= ends:
                    raise FetchError(exc.message, exc.hint) from exc
            if stop.wait(self._pause_seconds * number):
                raise Interrupted
        raise AssertionError

    def _follow(self, url: str, accept: str, limit: int, write: "_Writer", ends: float) -> None:
        """A GET, redirects followed by hand: each may lead to another host."""
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._exchange(url, accept, limit, write, ends)
            if answer.status not in _REDIRECTS:
                return _check_status(answer.status, url)
            url = urljoin(url, answer.headers.get("Location", ""))
        raise FetchError(f"{_shown(url)}: more than {MAX_REDIRECTS} redirects.", "Look at the registry's address.")

    def _exchange(self, url: str, accept: str, limit: int, write: "_Writer", ends: float) -> "HttpAnswer":
        from scangate.web.transport import HttpRequest

        request = HttpRequest(
            what=_shown(url),
            method="GET",
            target=_target(url),
            headers={"Accept": accept},
            limit=limit,
            total=float(max(1, math.ceil(ends - self._clock()))),
            into=write,
        )
        try:
            return self._transport().exchange(request)
        except _NotWritten as exc:
            raise exc.reason from exc
        except Unreachable as exc:
            raise _TransientError(exc.message, exc.hint) from exc
        except ServiceError as exc:
            raise FetchError(exc.message, exc.hint) from exc

    def _transport(self) -> "Transport":
        """One for each thread, as its connections are."""
        from scangate.web.transport import Transport

        transport: Transport | None = getattr(self._threads, "transport", None)
        if transport is None:
            transport = Transport(any_address, timeouts=Timeouts(), clock=self._clock, resolve=socket.getaddrinfo)
            self._threads.transport = transport
        return transport


class _NotWritten(Exception):
    """The disk did not do its part: no fault of the network, which OSError is taken for."""

    def __init__(self, reason: OSError) -> None:
        super().__init__(reason)
        self.reason = reason


class _Writer:
    """Takes the pieces of a body as they come. Raises Interrupted where it is to stop."""

    def __init__(self, into: BinaryIO, stop: Event) -> None:
        self._into = into
        self._stop = stop

    def __call__(self, piece: bytes) -> None:
        if self._stop.is_set():
            raise Interrupted
        try:
            self._into.write(piece)
        except OSError as exc:
            raise _NotWritten(exc) from exc


def _target(url: str) -> Endpoint:
    """https, or this machine (tests, a local mirror); no user and no password in it."""
    try:
        endpoint = read_url(url.partition("#")[0])
    except ValueError as exc:
        raise _unprotected(url) from exc
    if endpoint.scheme != "https" and not endpoint.is_loopback:
        raise _unprotected(url)
    return endpoint


def _unprotected(url: str) -> FetchError:
    return FetchError(f"{_shown(url)}: not a plain https address.", "Packages are fetched over https alone.")


def _check_status(status: int, url: str) -> None:
    if status == 200:
        return
    if status in (404, 410):
        raise NotThere(f"{_shown(url)}: there is no such thing ({status}).", "Check the name and the version.")
    hint = "Try again later."
    if status in _AGAIN:
        raise _TransientError(f"{_shown(url)}: the registry answers {status}.", hint)
    raise FetchError(f"{_shown(url)}: the registry answers {status}.", hint)


def _shown(url: str) -> str:
    plain = urls.without_credentials(url)
    return plain if len(plain) <= 200 else plain[:200] + "…"
