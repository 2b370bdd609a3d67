"""The embedded service as a whole: one process, two origins, started and stopped in order.

The API and the signed URLs have a port each, so that a client which mixes up what is sent where is found out. Behind
a proxy (`public_url`) there is one origin for both, and so one port.
starlette and uvicorn are an optional extra: nothing here loads them before the service starts.
"""

import signal
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Self

from scangate.errors import StateError, UsageError
from scangate.local import datadir, needs
from scangate.local.blobs import Blobs
from scangate.local.config import ServiceConfig
from scangate.local.engines.base import AnalysisEngine
from scangate.local.engines.recordings import load
from scangate.local.engines.replay import ReplayEngine, ScriptedFaults
from scangate.local.store import Store
from scangate.local.workers import Workers

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from scangate.local.app import Faults
    from scangate.local.origins import Backend

MAX_CONNECTIONS = 256
FETCHES_AHEAD = 2
"""Analyses that are begun beyond those that may run: they fetch, and wait for their turn."""
UPLOADS_KEPT_SECONDS = 24 * 3600.0
_STOP_SECONDS = 3
_LOOK_SECONDS = 0.2


class EmbeddedService:
    """The service in threads of its own, for as long as the context lasts.

    Inside it, `url` is the API's origin ("http://127.0.0.1:PORT", or the public URL), `storage_url` that of the
    signed URLs, `bound_url` the address that it listens on, `key` a key that is let in, and `key_file` where it is kept
    (mode 0600). `over` is set when the server has ended.

    `engine` analyses instead of the one that the settings name.
    Entering raises UsageError (extra missing, port taken, replay directory or script), ReportError (a recording),
    SandboxUnavailable (this machine cannot analyse) or StateError (data directory).
    """

    def __init__(self, config: ServiceConfig, engine: AnalysisEngine | None = None) -> None:
        self._config = config
        self._engine = engine
        self._running = ExitStack()
        self.over = threading.Event()
        self.url = self.storage_url = self.bound_url = self.key = ""
        self.key_file = config.data_dir / datadir.KEY_FILE

    def __enter__(self) -> Self:
        _require_extra()
        from scangate.local.origins import application

        config = self._config
        with ExitStack() as stack:
            ports = (config.port, 0) if config.public_url is None else (config.port,)
            sockets = [stack.enter_context(_listen(config.listen, port)) for port in ports]
            self.bound_url, *others = (_origin(config.listen, sock) for sock in sockets)
            self.url = self.bound_url if config.public_url is None else config.public_url.rstrip("/")
            self.storage_url = others[0] if others else self.url
            backend = _open_backend(config, self._engine, stack)
            self.key = backend.keys[0]
            self._serve(application(config, backend, self.url, self.storage_url), sockets, stack)
            self._running = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def _serve(self, app: "ASGIApp", sockets: list[socket.socket], stack: ExitStack) -> None:
        """Serve in a thread; the stack stops it. The sockets listen already: nobody has to wait for the thread."""
        import uvicorn

        from scangate.local.bounds import bounded

        server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=bounded(self._config.request_seconds),
                loop="asyncio",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",
                access_log=False,  # signed URLs are secrets
                proxy_headers=False,
                server_header=False,
                limit_concurrency=MAX_CONNECTIONS,
                timeout_graceful_shutdown=_STOP_SECONDS,
            )
        )

        def serve() -> None:
            try:
                server.run(sockets)
            finally:
                self.over.set()

        def stop() -> None:
            server.should_exit = True
            thread.join()

        thread = threading.Thread(target=serve, name="embedded-service", daemon=True)
        thread.start()
        stack.callback(stop)


def run(config: ServiceConfig, ready: Callable[[EmbeddedService], None]) -> None:
    """Serve until SIGINT or SIGTERM; `ready` is called once requests are taken. For the main thread.

    Raises what `EmbeddedService` raises, and StateError where the server ends by itself.
    """
    asked: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        asked.append(number)  # no more: a handler that sets an Event can wait for the very thread it interrupts

    with _handling((signal.SIGINT, signal.SIGTERM), stop), EmbeddedService(config) as service:
        ready(service)
        while not asked and not service.over.wait(_LOOK_SECONDS):
            pass
    if not asked:
        raise StateError("The embedded service has stopped by itself.", "Its log says why; start it again.")


def _open_backend(config: ServiceConfig, engine: AnalysisEngine | None, stack: ExitStack) -> "Backend":
    """Open what a restart needs and start the workers; the stack stops and closes them."""
    from scangate.local.origins import Backend, NoFaults

    faults: Faults = NoFaults()
    if config.replay_dir is not None:
        recordings = load(config.replay_dir)
        faults = ScriptedFaults(recordings)
        engine = engine or ReplayEngine(recordings)
    directory = stack.enter_context(datadir.opened(config.data_dir))
    engine = engine or _dynamic_engine(config, directory, stack)
    try:
        keys = datadir.keys(directory, config.keys)
        secret = datadir.signing_secret(directory)
        blobs = Blobs(directory)
        store = Store(directory / "tasks.db", config.clock)
        stack.callback(store.close)
        store.forget_uploads(before=config.clock() - UPLOADS_KEPT_SECONDS)
        blobs.sweep(store.blobs())
        ahead = 0 if config.replay_dir else FETCHES_AHEAD
        workers = Workers(store, blobs, engine, config.workers + ahead)
        workers.start()
        stack.callback(workers.stop)
    except (OSError, sqlite3.Error) as exc:
        raise StateError(f"{directory}: {exc}.", "Mend it, or name another directory.") from exc
    return Backend(store=store, blobs=blobs, workers=workers, faults=faults, keys=keys, secret=secret)


def _dynamic_engine(config: ServiceConfig, directory: Path, stack: ExitStack) -> AnalysisEngine:
    """Raises SandboxUnavailable where this machine cannot isolate."""
    from scangate.local.engines.dynamic import DynamicEngine
    from scangate.local.fetch.fetcher import PackageFetcher
    from scangate.local.sandbox import doctor
    from scangate.local.sandbox.base import SandboxUnavailable
    from scangate.local.sandbox.bubblewrap import BubblewrapSandbox
    from scangate.local.turns import InTurns

    if problems := doctor.missing():
        raise SandboxUnavailable(problems)
    fetcher = PackageFetcher()
    stack.callback(fetcher.close)
    # In the data directory, so that what a killed server leaves is found and removed.
    workspace = datadir.workspace(directory)
    sandbox = InTurns(BubblewrapSandbox(workspace=workspace), config.workers)
    return DynamicEngine(sandbox, fetcher, config.hints, workspace=workspace)


def _require_extra() -> None:
    for problem in needs.extra():
        raise UsageError(problem.what, problem.mend)


def _listen(address: str, port: int) -> socket.socket:
    # Saying TCP outright matters: asyncio switches Nagle's delay off only where the protocol number is TCP's.
    family = socket.AF_INET6 if isinstance(ip_address(address), IPv6Address) else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen()
    except OSError as exc:
        listener.close()
        raise UsageError(f"{address}:{port}: {exc.strerror}.", "Use another port, or 0 for any free one.") from exc
    return listener


def _origin(address: str, listener: socket.socket) -> str:
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{listener.getsockname()[1]}"


@contextmanager
def _handling(signals: Sequence[signal.Signals], handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in signals}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
