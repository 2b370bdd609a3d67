"""A registry on loopback, for npm and pip alone: they resolve and install, we decide what they can get.

Whatever a package's metadata asks for, the package manager can reach this address only. Each fetch has a secret path
of its own, so that nobody else on the machine is served, and what a lockfile pins is all that this fetch sees.
"""

import io
import logging
import secrets
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from scangate.errors import ScangateError
from scangate.local.fetch.upstream import NotThere
from scangate.local.jobs import Interrupted

log = logging.getLogger("scangate.local")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    content: bytes | Path
    media_type: str = "application/octet-stream"


Handler = Callable[[str], Page]
"""The path below the fetch's own, decoded. Raises NotThere for a 404, any other ScangateError for a failure."""


@dataclass(slots=True)
class Visit:
    """One fetch's address, and what went wrong behind it: the package manager only says that something did."""

    url: str
    problems: list[ScangateError] = field(default_factory=list)


class Relay:
    """Thread-safe. `close` ends it."""

    def __init__(self) -> None:
        self._visits: dict[str, tuple[Handler, Visit]] = {}
        relay = self

        class _Requests(_RelayRequests):
            visits = relay._visits

        self._server = _Server(("127.0.0.1", 0), _Requests)
        self._thread = threading.Thread(target=self._server.serve_forever, name="fetch-relay", daemon=True)
        self._thread.start()

    @contextmanager
    def serving(self, handler: Handler) -> Iterator[Visit]:
        """Serve one fetch below a URL that ends with "/"."""
        token = secrets.token_urlsafe(16)
        visit = Visit(f"http://127.0.0.1:{self._server.server_port}/{token}/")
        self._visits[token] = (handler, visit)
        try:
            yield visit
        finally:
            del self._visits[token]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002  # the base class calls it so
        """A package manager that was killed leaves its connections; that is no news. Anything else is a bug's."""
        if not isinstance(sys.exception(), ConnectionError):
            log.exception("the relay could not answer a package manager")


class _RelayRequests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    visits: dict[str, tuple[Handler, Visit]]

    def do_GET(self) -> None:
        token, _, path = self.path.partition("?")[0].removeprefix("/").partition("/")
        known = self.visits.get(token)
        if known is None:
            self._answer(404, Page(content=b""))
            return
        handler, visit = known
        try:
            self._answer(200, handler(unquote(path)))
        except NotThere:
            self._answer(404, Page(content=b""))
        except Interrupted:
            self._answer(403, Page(content=b""))
        except ScangateError as exc:
            visit.problems.append(exc)
            self._answer(403, Page(content=b""))  # any 5xx would be tried again

    def _answer(self, status: int, page: Page) -> None:
        with io.BytesIO(page.content) if isinstance(page.content, bytes) else page.content.open("rb") as content:
            size = content.seek(0, io.SEEK_END)
            content.seek(0)
            self.send_response(status)
            self.send_header("Content-Type", page.media_type)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            shutil.copyfileobj(content, self.wfile)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name for it
        """Nobody reads it."""
