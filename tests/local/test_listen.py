"""Where the service listens, and one origin for both kinds of URL behind a proxy."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from scangate.errors import UsageError
from scangate.local.config import ServiceConfig
from tests.local.conftest import WAIT_SECONDS, Client, StartService, download

PURL = "pkg:npm/left-pad@1.0.0"
KEY = "a-key-that-nobody-guesses"


@pytest.mark.parametrize(
    "settings",
    [
        {"listen": "0.0.0.0"},
        {"listen": "192.0.2.1", "keys": (KEY,)},
        {"listen": "::", "public_url": "https://scan.example.com"},
        {"listen": "localhost"},
        {"listen": ""},
        {"public_url": "http://scan.example.com"},
        {"public_url": "http://192.0.2.1"},
        {"public_url": "ftp://localhost"},
        {"public_url": "https://"},
        {"public_url": "https://scan.example.com:0"},
        {"public_url": "https://scan.example.com/a?b"},
        {"public_url": "https://[::1"},
    ],
)
def test_what_would_open_the_service_is_refused(tmp_path: Path, settings: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        ServiceConfig(data_dir=tmp_path, replay_dir=tmp_path, **settings)  # type: ignore[arg-type]  # on purpose


@pytest.mark.parametrize("address", ["127.0.0.2", "::1"])
def test_it_listens_on_the_address_that_it_is_given(start: StartService, address: str) -> None:
    client = start(listen=address)
    shown = f"[{address}]" if ":" in address else address
    assert client.service.url.startswith(f"http://{shown}:")
    task = client.ended(client.submit(PURL).json()["data"]["task_id"])
    assert download(task["report_blob_url"]).json()["Package"]["Name"] == "left-pad"


@contextmanager
def proxy(prefix: str) -> Iterator[tuple[str, list[str]]]:
    """A reverse proxy that hands paths on without `prefix`; its URL, and a place for what it leads to."""
    behind: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            answer = requests.request(
                self.command,
                behind[0] + self.path.removeprefix(prefix),
                headers={name: value for name, value in self.headers.items() if name.lower() != "host"},
                data=self.rfile.read(length),
                timeout=WAIT_SECONDS,
            )
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_POST = do_PUT = do_GET

        def log_message(self, *args: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}{prefix}", behind
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("prefix", ["", "/scan"])
def test_behind_a_proxy_every_url_is_the_public_one(start: StartService, prefix: str) -> None:
    with proxy(prefix) as (public, behind):
        inner = start(public_url=f"{public}/")
        behind.append(inner.service.bound_url)
        assert inner.service.url == inner.service.storage_url == public
        client = Client(service=inner.service, key=inner.key)
        submitted = client.submit(PURL).json()["data"]
        assert submitted["status_url"].startswith(f"{public}/api/v1/task/")
        task = client.ended(submitted["task_id"])
        assert task["report_blob_url"].startswith(f"{public}/reports/")
        assert download(task["report_blob_url"]).json()["Package"]["Name"] == "left-pad"
        target = client.upload_url()
        assert target["url"].startswith(f"{public}/uploads/")
        assert requests.put(target["url"], data=b"x", timeout=WAIT_SECONDS).status_code == 200
        answer = client.post("/api/v1/analyze/archive/", {"purl": PURL, "gcs_path": target["gcs_path"]})
        assert answer.status_code == 201
        with_key = client.get(task["report_blob_url"])
        assert (with_key.status_code, "takes no key" in with_key.text) == (400, True)
        assert requests.get(f"{public}/api/v1/reports/", timeout=WAIT_SECONDS).status_code == 401
        elsewhere = f"{public}/elsewhere"
        assert requests.get(elsewhere, timeout=WAIT_SECONDS).status_code == 404


def test_one_port_is_enough_behind_a_proxy(start: StartService) -> None:
    client = start(public_url="https://scan.example.com")
    assert urlsplit(client.service.bound_url).hostname == "127.0.0.1"
    url = client.get(f"{client.service.bound_url}/api/v1/reports/").json()
    assert url["data"]["items"] == []
