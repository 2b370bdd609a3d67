"""A threaded HTTP server on loopback that says exactly the bytes it is told to, right or wrong."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True)
class Received:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    raw: bytes = field(repr=False)


Answer = bytes | Iterable[bytes]


def response(status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> bytes:
    """A correct HTTP/1.1 response that ends its connection, unless `headers` say otherwise."""
    lines = {"Content-Length": str(len(body)), "Connection": "close", **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode("latin-1") + body


def json_response(status: int, document: Any, headers: dict[str, str] | None = None) -> bytes:
    return response(status, json.dumps(document).encode(), {"Content-Type": "application/json", **(headers or {})})


def envelope(status: int, data: Any) -> bytes:
    return json_response(status, {"success": True, "request_id": "r-1", "data": data})


class RawServer:
    """Answers every request with `answer(received)`: bytes, or pieces sent one by one; then closes the connection.

    `keep`: go on with the same connection instead. `received` has every request in order; `connections` counts.
    With `tls`, TLS is spoken.
    """

    def __init__(
        self,
        answer: Callable[[Received], Answer],
        *,
        tls: ssl.SSLContext | None = None,
        keep: bool = False,
        host: str = "127.0.0.1",
    ) -> None:
        self._answer = answer
        self._tls = tls
        self._keep = keep
        self._listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self.stopped = threading.Event()
        self.asked = threading.Event()
        self.received: list[Received] = []
        self.connections = 0
        self.port: int = self._listener.getsockname()[1]
        self.host = host
        self.url = f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{self.port}"

    def __enter__(self) -> Self:
        acceptor = threading.Thread(target=self._accept)
        acceptor.start()
        self._threads.append(acceptor)
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        for sock in (self._listener, *self._open):
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            thread.start()
            self._threads.append(thread)

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            while (received := receive(connection)) is not None:
                self.received.append(received)
                self.asked.set()
                answer = self._answer(received)
                for piece in [answer] if isinstance(answer, bytes) else answer:
                    connection.sendall(piece)
                if not self._keep:
                    break
        except OSError:
            pass
        finally:
            connection.close()


def receive(connection: socket.socket) -> Received | None:
    raw = b""
    while b"\r\n\r\n" not in raw:
        piece = connection.recv(65536)
        if not piece:
            return None
        raw += piece
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", "0"))
    while len(body) < length:
        piece = connection.recv(65536)
        if not piece:
            return None
        body += piece
    method, target, _ = first.split(" ", 2)
    return Received(method, target, headers, body, head + b"\r\n\r\n" + body)
