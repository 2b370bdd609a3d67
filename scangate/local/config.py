"""What the embedded service is started with. Nothing here is read from the environment: the caller decides."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scangate.errors import UsageError

Clock = Callable[[], float]
"""Seconds since 1970, UTC."""

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig:
    """The settings of one embedded service. It listens on 127.0.0.1 only.

    `data_dir` holds the tasks, the archives, the reports, the key and the signing secret: what a restart needs.
    `keys` are the API keys that are let in; empty means the one kept in `data_dir`, made at the first start.
    `port` and `storage_port` are the API's and the signed URLs' ports; 0 takes a free one.
    `rate_limit` is how many counted requests a key has per `rate_window` seconds; None switches the limit off.
    `delay_scale` multiplies the scripted delays; `url_seconds` is how long a signed URL is good for.
    `request_seconds` bounds one API request (and how long a connection may idle), `transfer_seconds` one upload
    or download.
    """

    data_dir: Path
    replay_dir: Path
    port: int = 0
    storage_port: int = 0
    keys: tuple[str, ...] = ()
    rate_limit: int | None = 100
    rate_window: float = 3600.0
    workers: int = 2
    delay_scale: float = 1.0
    url_seconds: int = 900
    max_upload_bytes: int = 256 * MIB
    request_seconds: float = 30.0
    transfer_seconds: float = 600.0
    clock: Clock = time.time

    def __post_init__(self) -> None:
        """Raises UsageError where a setting makes no sense."""
        for name, port in (("port", self.port), ("storage port", self.storage_port)):
            if not 0 <= port <= 65535:
                raise UsageError(f"{name} {port} is not a port.", "Use 0 (any free port) to 65535.")
        if self.rate_limit is not None and self.rate_limit < 1:
            raise UsageError(f"rate limit {self.rate_limit} lets nothing through.", "Use 1 or more, or none at all.")
        if self.workers < 1:
            raise UsageError(f"{self.workers} workers analyse nothing.", "Use 1 or more.")
        if self.delay_scale < 0:
            raise UsageError(f"delay scale {self.delay_scale} is negative.", "Use 0 or more.")
