"""The shapes of the answers: the envelope, the errors, and how any exception becomes one of them."""

import asyncio
import json
import logging
import sqlite3
import uuid
from collections.abc import Awaitable, Callable, Mapping

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("scangate.local")

MAX_JSON_BYTES = 64 * 1024
"""Of a request's body: the longest real one is a purl, a path and a URL."""

BARE = {401: "Invalid API key", 429: "Rate limit exceeded"}
"""The errors that come without an envelope (observed), by their fixed words."""

_CODES = {400: "invalid_request", 404: "not_found", 405: "method_not_allowed", 408: "timeout", 413: "too_large"}


class Refusal(Exception):
    """A request that is not carried out. `fields` says what is wrong with which part of it."""

    def __init__(self, status: int, message: str, *, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.fields = fields or {}


def envelope(data: Mapping[str, object], status: int = 200) -> JSONResponse:
    """A success. Never stored by caches: it may hold a signed URL."""
    content = {"success": True, "request_id": str(uuid.uuid4()), "data": data}
    return JSONResponse(content, status, {"Cache-Control": "no-store"})


def error(
    status: int, message: str, *, fields: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """An error in its status's shape: enveloped, or bare. `fields` says what is wrong with which part."""
    if status in BARE:
        challenge = {"WWW-Authenticate": "Bearer"} if status == 401 else None
        return JSONResponse({"error": BARE[status], "message": message}, status, challenge)
    content: dict[str, object] = {"success": False, "error": message, "message": message}
    content["code"] = _CODES.get(status, "error" if status < 500 else "server_error")
    if fields:
        content["fields"] = {name: [problem] for name, problem in fields.items()}
    return JSONResponse(content | {"request_id": str(uuid.uuid4())}, status, headers)


async def read_json(request: Request) -> dict[str, object]:
    """The body's JSON object. Raises Refusal (400, 413) without ever holding more than MAX_JSON_BYTES."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Refusal(400, "The body must be JSON, sent as Content-Type: application/json.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_JSON_BYTES:
            raise Refusal(413, f"The body is larger than {MAX_JSON_BYTES} bytes.")
    try:
        document = json.loads(bytes(body))
    except (ValueError, RecursionError) as exc:  # not UTF-8, not JSON, or nested or written to do harm
        raise Refusal(400, "The body is not JSON.") from exc
    if not isinstance(document, dict):
        raise Refusal(400, "The body is not a JSON object.")
    return document


# ------------------------------------------------------------------------------- exceptions → answers


async def _refused(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, Refusal)
    return error(exc.status, exc.message, fields=exc.fields)


async def _http_error(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    return error(exc.status_code, f"{exc.detail}.", headers=exc.headers)


async def _disconnected(_request: Request, _exc: Exception) -> Response:
    """Nobody is there to read it."""
    return Response(status_code=400)


async def _broken(request: Request, exc: Exception) -> Response:
    """A full disk, a broken store: an answer, and the reason in the log alone (a path is nobody's business)."""
    log.error("%s %r: %s: %r", request.method, request.scope["path"], type(exc).__name__, str(exc))
    return error(500, "The service could not carry the request out.")


EXCEPTION_HANDLERS: Mapping[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    Refusal: _refused,
    HTTPException: _http_error,
    ClientDisconnect: _disconnected,
    OSError: _broken,
    sqlite3.Error: _broken,
    Exception: _broken,
}
"""Starlette answers with the last one and raises on: a bug's traceback belongs in the log."""


class Deadline:
    """Bounds the time of one request, so that a client that sends or reads slowly does not hold it for ever."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            async with asyncio.timeout(self._seconds):
                await self._app(scope, receive, watched)
        except TimeoutError:
            if not started:
                await error(408, "The request took too long.", headers={"Connection": "close"})(scope, receive, send)
