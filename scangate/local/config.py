"""What the embedded service is started with. Nothing here is read from the environment: the caller decides."""

import ipaddress
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from scangate.errors import UsageError
from scangate.local.fetch.base import Hints
from scangate.models.analysis import MAX_ARCHIVE_BYTES

Clock = Callable[[], float]
"""Seconds since 1970, UTC."""

LOOPBACK = "127.0.0.1"
MAX_WORKERS = 64
_PUBLIC_URL = re.compile(r"https?://[A-Za-z0-9.\-:\[\]]+(?:/[A-Za-z0-9._~/-]*)?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig:
    """The settings of one embedded service.

    `data_dir` holds the tasks, the archives, the reports, the key and the signing secret: what a restart needs.
    `replay_dir`: recorded reports to answer with; None: packages are analysed on this machine.
    `keys` are the API keys that are let in; empty means the one kept in `data_dir`, made at the first start.
    `listen` is the address that both ports listen on. One beyond loopback needs `keys` and `public_url`.
    `public_url` is where clients reach the service: https behind a proxy that ends TLS, or http to loopback. With it
    one port serves the API and the signed URLs, which are made with it; the proxy hands paths on without its own.
    `port` is the API's port, 0 a free one; the signed URLs' is always a free one.
    `rate_limit` is how many counted requests a key has in an hour; None switches the limit off.
    `workers` is how many analyses run at once; `hints` are what lockfiles say of the packages to come.
    The others are there for the tests, which cannot wait so long nor write so much. `url_seconds` is how long a signed
    URL is good for, `max_upload_bytes` the size of one archive; `request_seconds` bounds one API request (and how long
    a connection may idle), `transfer_seconds` one upload or download.
    """

    data_dir: Path
    replay_dir: Path | None = None
    listen: str = LOOPBACK
    public_url: str | None = None
    port: int = 0
    keys: tuple[str, ...] = ()
    rate_limit: int | None = 100
    workers: int = 2
    hints: Hints = field(default_factory=dict, repr=False)
    url_seconds: int = 900
    max_upload_bytes: int = MAX_ARCHIVE_BYTES
    request_seconds: float = 30.0
    transfer_seconds: float = 600.0
    clock: Clock = time.time

    def __post_init__(self) -> None:
        """Raises UsageError where a setting makes no sense, or would open the service to whoever finds it."""
        if not 0 <= self.port <= 65535:
            raise UsageError(f"port {self.port} is not a port.", "Use 0 (any free port) to 65535.")
        if self.rate_limit is not None and self.rate_limit < 1:
            raise UsageError(f"rate limit {self.rate_limit} lets nothing through.", "Use 1 or more, or none at all.")
        if not 1 <= self.workers <= MAX_WORKERS:
            raise UsageError(f"{self.workers} workers: out of range.", f"Use 1 to {MAX_WORKERS}.")
        self._check_public_url()
        self._check_listen()

    def _check_listen(self) -> None:
        try:
            address = ipaddress.ip_address(self.listen)
        except ValueError:
            raise UsageError(
                f"{self.listen[:80]!r} is not an IP address to listen on.", "Write one: 127.0.0.1, 0.0.0.0, ::"
            ) from None
        if address.is_loopback:
            return
        if not self.keys:
            raise UsageError(
                f"{self.listen} is reachable from other machines, and there is no key file.",
                "Give --key-file FILE with the keys to let in, or listen on 127.0.0.1.",
            )
        if self.public_url is None:
            raise UsageError(
                f"{self.listen} is reachable from other machines, and clients go to signed URLs by https alone.",
                "Give --public-url https://HOST of a proxy that ends TLS, or listen on 127.0.0.1.",
            )

    def _check_public_url(self) -> None:
        if self.public_url is None:
            return
        hint = "Write https://HOST[:PORT][/PREFIX], or http:// to 127.0.0.1, [::1] or localhost."
        try:
            parts = urlsplit(self.public_url)
            host = parts.hostname if _PUBLIC_URL.match(self.public_url) and parts.port != 0 else None
        except ValueError:
            host = None
        if not host:
            raise UsageError(f"{self.public_url[:200]!r} is not a URL of a service.", hint)
        if parts.scheme == "http" and not _is_loopback(host):
            raise UsageError(f"{self.public_url} would carry keys and reports in the clear.", hint)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
