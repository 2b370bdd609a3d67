"""The two origins as one application: which one is asked is told by the port, or behind a proxy by the path."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from scangate.local.answers import Deadline
from scangate.local.app import Api, Faults
from scangate.local.auth import Keys
from scangate.local.blobs import Blobs
from scangate.local.config import ServiceConfig
from scangate.local.limit import RateLimit
from scangate.local.signing import Signer
from scangate.local.storage import Storage
from scangate.local.store import Store
from scangate.local.workers import Workers
from scangate.models.analysis import Engine

API_PREFIX = "/api/"


class NoFaults:
    """Nothing fails by a script."""

    def submission(self, _engine: Engine, _purl: str) -> None: ...

    def download(self, _engine: Engine, _purl: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """What both origins stand on."""

    store: Store
    blobs: Blobs
    workers: Workers
    faults: Faults
    keys: tuple[str, ...]
    secret: bytes


def application(config: ServiceConfig, backend: Backend, api_url: str, storage_url: str) -> ASGIApp:
    """The ASGI application to be served on both ports, or on the one that a public URL leads to."""
    signer = Signer(backend.secret, storage_url, config.url_seconds, config.clock)
    api = Api(
        store=backend.store,
        keys=Keys(backend.keys),
        limit=RateLimit(config.rate_limit, config.clock),
        signer=signer,
        faults=backend.faults,
        wake=backend.workers.wake,
        origin=api_url,
    )
    storage = Storage(
        store=backend.store,
        blobs=backend.blobs,
        signer=signer,
        faults=backend.faults,
        max_upload_bytes=config.max_upload_bytes,
    )
    api_app = Deadline(api.app(), config.request_seconds)
    storage_app = Deadline(storage.app(), config.transfer_seconds)
    api_port = urlsplit(api_url).port

    def is_for_api(scope: Scope) -> bool:
        if config.public_url is not None:
            path: str = scope["path"]
            return path.startswith(API_PREFIX)
        port: int | None = scope["server"][1]
        return port == api_port

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        await (api_app if is_for_api(scope) else storage_app)(scope, receive, send)

    return dispatch
