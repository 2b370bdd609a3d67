"""A replay directory of made reports, and the embedded service on it, asked over real HTTP."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from scangate.local.config import ServiceConfig
from scangate.local.server import EmbeddedService

WAIT_SECONDS = 30.0
"""How long a test waits for what must happen; nothing is asserted about how fast it does."""


def until(holds: Callable[[], bool]) -> None:
    """Wait for what comes about in another thread or process."""
    latest = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < latest
        time.sleep(0.02)


class Clock:
    """A clock that a test sets."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def dynamic_report(name: str, version: str, ecosystem: str = "npm") -> dict[str, Any]:
    phase = {"Status": "completed", "Commands": [{"Command": ["node", "install.js"], "Environment": []}]}
    return {
        "Package": {"Ecosystem": ecosystem, "Name": name, "Version": version},
        "CreatedTimestamp": 1_790_000_000,
        "Analysis": {"install": phase},
    }


def lastpymile_report(name: str, version: str) -> dict[str, Any]:
    return {
        "package": {"name": name, "version": version},
        "date": "01/02/2026 at 03:04:05.000006",
        "completed": True,
        "results": [{"release": f"{name}-{version}.tar.gz"}],
    }


def write_json(path: Path, document: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")


@dataclass(kw_only=True)
class Client:
    """Asks one service with one key, one request a call, following no redirects."""

    service: EmbeddedService
    key: str
    session: requests.Session = field(default_factory=requests.Session)

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.key}"} | options.pop("headers", {})
        url = path if path.startswith("http") else self.service.url + path
        return self.session.request(
            method, url, headers=headers, timeout=WAIT_SECONDS, allow_redirects=False, **options
        )

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, body: object, **options: Any) -> requests.Response:
        return self.request("POST", path, json=body, **options)

    def submit(self, purl: str, engine: str | None = None) -> requests.Response:
        return self.post("/api/v1/analyze/purl/", {"purl": purl}, headers={"Engine": engine} if engine else {})

    def upload_url(self, filename: str = "left-pad-1.0.0.tgz") -> dict[str, str]:
        answer = self.post("/api/v1/archives/upload-url/", {"filename": filename})
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["data"])

    def task(self, task_id: int) -> dict[str, Any]:
        answer = self.get(f"/api/v1/task/{task_id}/")
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["data"])

    def ended(self, task_id: int) -> dict[str, Any]:
        """The task once it is neither queued nor processing."""
        return self.until(task_id, lambda task: task["status"] not in ("queued", "processing"))

    def until(self, task_id: int, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        latest = time.monotonic() + WAIT_SECONDS
        while not holds(task := self.task(task_id)):
            assert time.monotonic() < latest, f"still {task}"
            time.sleep(0.01)
        return task


def download(url: str) -> requests.Response:
    """Without a key, as the contract says."""
    return requests.get(url, timeout=WAIT_SECONDS)


def connect(url: str) -> socket.socket:
    host, _, port = url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=WAIT_SECONDS)


def make_recordings(folder: Path) -> Path:
    write_json(folder / "left-pad.json", dynamic_report("left-pad", "1.0.0"))
    write_json(folder / "python" / "requests.json", lastpymile_report("requests", "2.0"))
    return folder


@pytest.fixture
def replay_dir(tmp_path: Path) -> Path:
    return make_recordings(tmp_path / "replay")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """One service for all the tests of a module that look at one answer and at no state (stopping takes 0.2 s)."""
    folder = tmp_path_factory.mktemp("shared")
    config = ServiceConfig(data_dir=folder / "data", replay_dir=make_recordings(folder / "replay"), rate_limit=None)
    with EmbeddedService(config) as service, requests.Session() as session:
        yield Client(service=service, key=service.key, session=session)


StartService = Callable[..., Client]


@pytest.fixture
def start(tmp_path: Path, replay_dir: Path) -> Iterator[StartService]:
    """Starts a service on `replay_dir`, with these settings; each one is stopped at the test's end."""
    with ExitStack() as stack:

        def start_service(**settings: Any) -> Client:
            settings = {"data_dir": tmp_path / "data", "replay_dir": replay_dir} | settings
            service = stack.enter_context(EmbeddedService(ServiceConfig(**settings)))
            return Client(service=service, key=service.key, session=stack.enter_context(requests.Session()))

        yield start_service


@pytest.fixture
def client(start: StartService) -> Client:
    return start()
