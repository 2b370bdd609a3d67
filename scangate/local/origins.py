"""The two origins as one application: which one is asked is told by the port that the connection came in on."""

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
    """The ASGI application to be served on both ports."""
    signer = Signer(backend.secret, storage_url, config.url_seconds, config.clock)
    api = Api(
        store=backend.store,
        keys=Keys(backend.keys),
        limit=RateLimit(config.rate_limit, config.rate_window, config.clock),
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
    by_port: dict[int | None, ASGIApp] = {
        urlsplit(api_url).port: Deadline(api.app(), config.request_seconds),
        urlsplit(storage_url).port: Deadline(storage.app(), config.transfer_seconds),
    }

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        await by_port[scope["server"][1]](scope, receive, send)

    return dispatch
