"""A forward proxy on loopback: CONNECT to one fixed port here, whatever the name; anything else is answered 501."""

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from tests.service.fakes.raw import receive


class ConnectProxy:
    """`asked` has every target that a tunnel was asked for; `seen` all bytes that came before a tunnel stood."""

    def __init__(self, port: int, *, refuse: bytes | None = None, tls: ssl.SSLContext | None = None) -> None:
        self._port = port
        self._refuse = refuse
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.asked: list[str] = []
        self.seen = b""
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        for sock in (self._listener, *self._open):
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join()

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(client)
            self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        try:
            if self._tls is not None:
                client = self._tls.wrap_socket(client, server_side=True)
                self._open.append(client)
            received = receive(client)
            if received is None:
                return
            self.seen += received.raw
            if received.method != "CONNECT" or self._refuse is not None:
                client.sendall(self._refuse or b"HTTP/1.1 501 Not here\r\nContent-Length: 0\r\n\r\n")
                client.shutdown(socket.SHUT_RDWR)
                return
            self.asked.append(received.target)
            server = socket.create_connection(("127.0.0.1", self._port))
            self._open.append(server)
            client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            self._start(_pump, client, server)
            _pump(server, client)
        except OSError:
            pass


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while piece := source.recv(65536):
            sink.sendall(piece)
        socket.socket.shutdown(sink, socket.SHUT_RDWR)
    except OSError:
        pass
