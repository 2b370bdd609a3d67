"""The HTTP/1.1 protocol with a bound on idle connections, which uvicorn has only between two requests."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

IDLE_SECONDS = 30.0


class BoundedProtocol(H11Protocol):
    """Drops a connection that brings no new request for a while: one that never sends its headers' end, one that
    keeps sending after its answer, one that never reads what is left of it. Requests have their own deadline.
    """

    idle_seconds = IDLE_SECONDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # uvicorn's business
        super().__init__(*args, **kwargs)
        self._last_request: object = None
        self._watch: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]  # uvicorn narrows asyncio's signature
        self._watch = self.loop.call_later(self.idle_seconds, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        request = self.cycle
        running = request is not None and not request.response_complete
        if self.transport.is_closing() or (request is self._last_request and not running):
            self.transport.abort()
            return
        self._last_request = request
        self._watch = self.loop.call_later(self.idle_seconds, self._look)


def bounded(seconds: float) -> type[BoundedProtocol]:
    """The protocol with this bound: uvicorn takes a class and makes the instances itself."""
    return type("BoundedProtocol", (BoundedProtocol,), {"idle_seconds": seconds})
