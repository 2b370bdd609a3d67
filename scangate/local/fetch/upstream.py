"""The registries over HTTPS: bounded, without anyone's credentials, and never off to a plain connection."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urljoin, urlsplit

from scangate import urls
from scangate.errors import ScangateError
from scangate.local.engines.base import Interrupted
from scangate.local.fetch.base import MAX_ARCHIVE_BYTES, FetchError, IntegrityMismatch
from scangate.local.fetch.digests import verify

if TYPE_CHECKING:
    import requests

MAX_DOCUMENT_BYTES = 64 * 1024 * 1024
"""Of one index page. npm's longest are below 20 MB."""
CACHE_BYTES = 128 * 1024 * 1024
CACHE_SECONDS = 300.0
"""A long-running service must learn of new versions."""
MAX_REDIRECTS = 5
TRIES = 3
_CHUNK = 256 * 1024
_TIMEOUTS = (10.0, 30.0)
"""Seconds to connect, and between two pieces of an answer."""
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
        content = b"".join(self._tried(url, accept, MAX_DOCUMENT_BYTES, stop))
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
        """A file. Raises FetchError, NotThere, Interrupted."""
        chunks = self._tried(url, "*/*", MAX_ARCHIVE_BYTES, stop)
        target.write_bytes(b"".join(chunks))

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

    def _tried(self, url: str, accept: str, most: int, stop: Event) -> list[bytes]:
        for number in range(1, TRIES + 1):
            try:
                return list(self._chunks(url, accept, most, stop))
            except _TransientError as exc:
                if number == TRIES:
                    raise FetchError(exc.message, exc.hint) from exc
            if stop.wait(self._pause_seconds * number):
                raise Interrupted
        raise AssertionError

    def _chunks(self, url: str, accept: str, most: int, stop: Event) -> Iterator[bytes]:
        size = 0
        with self._answer(url, accept) as answer:
            for chunk in self._pieces(answer, url):
                if stop.is_set():
                    raise Interrupted
                size += len(chunk)
                if size > most:
                    raise FetchError(f"{_shown(url)}: larger than {most} bytes.", "It is not analysed.")
                yield chunk

    def _pieces(self, answer: "requests.Response", url: str) -> Iterator[bytes]:
        import requests

        try:
            yield from answer.iter_content(_CHUNK)
        except requests.RequestException as exc:
            raise _unreachable(url, exc) from exc

    @contextmanager
    def _answer(self, url: str, accept: str) -> Iterator["requests.Response"]:
        """The answer to a GET, redirects followed by hand."""
        import requests

        for _ in range(MAX_REDIRECTS + 1):
            _require_protected(url)
            try:
                answer = self._session().get(
                    url, headers={"Accept": accept}, stream=True, timeout=_TIMEOUTS, allow_redirects=False
                )
            except (requests.RequestException, ValueError) as exc:
                raise _unreachable(url, exc) from exc
            with answer:
                if answer.status_code not in _REDIRECTS:
                    _check_status(answer.status_code, url)
                    yield answer
                    return
                url = urljoin(url, answer.headers.get("Location", ""))
        raise FetchError(f"{_shown(url)}: more than {MAX_REDIRECTS} redirects.", "Look at the registry's address.")

    def _session(self) -> "requests.Session":
        """One for each thread: requests does not promise more."""
        session: requests.Session | None = getattr(self._threads, "session", None)
        if session is None:
            session = self._threads.session = _new_session()
        return session


def _new_session() -> "requests.Session":
    import requests

    session = requests.Session()
    session.headers["User-Agent"] = "scangate"
    session.auth = _unchanged  # with any `auth` at all, requests leaves ~/.netrc alone
    return session


def _unchanged(request: "requests.PreparedRequest") -> "requests.PreparedRequest":
    return request


def _require_protected(url: str) -> None:
    """https, or this machine (tests, a local mirror); no user and no password in it."""
    parts = urlsplit(url)
    plain_scheme = parts.scheme == "http" and not urls.is_plain(url)
    if (parts.scheme != "https" and not plain_scheme) or urls.host_of(url) is None or parts.username is not None:
        raise FetchError(f"{_shown(url)}: not a plain https address.", "Packages are fetched over https alone.")


def _check_status(status: int, url: str) -> None:
    if status == 200:
        return
    if status in (404, 410):
        raise NotThere(f"{_shown(url)}: there is no such thing ({status}).", "Check the name and the version.")
    hint = "Try again later."
    if status in _AGAIN:
        raise _TransientError(f"{_shown(url)}: the registry answers {status}.", hint)
    raise FetchError(f"{_shown(url)}: the registry answers {status}.", hint)


def _unreachable(url: str, exc: Exception) -> _TransientError:
    return _TransientError(f"{_shown(url)}: out of reach ({type(exc).__name__}).", "Check the network, and try again.")


def _shown(url: str) -> str:
    plain = urls.without_credentials(url)
    return plain if len(plain) <= 200 else plain[:200] + "…"
