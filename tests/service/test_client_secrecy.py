"""The key, and the signature of a signed URL, turn up nowhere: whatever is asked, and however it fails.

Looked at: stdout, stderr, log lines of every level, the errors with all that hangs on them, and their tracebacks;
where no server repeats the key, also the local variables of every frame.
"""

# ruff: noqa: SIM117  (server, client and what is expected each stand on a line of their own)

import gzip
import http.client
import logging
import socket
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scangate.models.analysis import AnalysisRequest, Archive
from scangate.service.base import ServiceError, Task
from scangate.service.client import HttpService
from scangate.service.settings import ServiceSettings
from scangate.web.addresses import read_url
from scangate.web.errors import Unreachable
from scangate.web.settings import Timeouts
from scangate.web.transport import HttpAnswer, HttpRequest
from tests.service.fakes.certificates import make_certificates
from tests.service.fakes.proxy import ConnectProxy
from tests.service.fakes.raw import Answer, RawServer, Received, envelope, json_response, response

KEY = "Pk/Live+0123456789=="
SIGNATURE = "S1gnature0fAnUrl"

REQUEST = AnalysisRequest(purl="pkg:npm/a@1.0.0", archive=Archive(filename="a.tgz", content=b"bytes"))

OPERATIONS: dict[str, Callable[[HttpService, str], object]] = {
    "submit": lambda service, url: service.submit(AnalysisRequest(purl="pkg:npm/a@1.0.0")),
    "upload": lambda service, url: service.upload(REQUEST),
    "submit_archive": lambda service, url: service.submit_archive(REQUEST, "uploads/x"),
    "task": lambda service, url: service.task(7),
    "tasks": lambda service, url: service.tasks(1),
    "report": lambda service, url: service.report(f"{url}/report?sig={SIGNATURE}"),
}

SAYS_KEY = {"error": f"bad key {KEY}", "message": "x" * 280 + f" Authorization: Bearer {KEY}", "success": False}
AT_EDGE = {"error": "y" * 290 + KEY}
"""Where the message is cut, within the key."""

FAILURES: dict[str, Callable[[Received], Answer]] = {
    **{
        f"{status}-{name}": lambda _, status=status, document=document: json_response(
            status, document, {"Retry-After": KEY, "Location": f"https://{KEY[8:-2]}.example/?{KEY}&{SIGNATURE}"}
        )
        for status in (200, 302, 400, 401, 403, 404, 429, 500, 503, 999)
        for name, document in (("says-key", SAYS_KEY), ("at-edge", AT_EDGE))
    },
    "reason": lambda _: f"HTTP/1.1 400 {KEY}\r\nContent-Length: 0\r\n\r\n".encode(),
    "not-json": lambda _: response(200, f"{{ {KEY}".encode()),
    "odd-types": lambda _: envelope(200, {"task_id": KEY, "status": KEY, "items": KEY, "url": 7}),
    "odd-engine": lambda _: envelope(200, {"task_id": 7, "status": KEY, "engine_type": KEY}),
    "other-task": lambda _: envelope(200, {"task_id": 8, "status": KEY}),
    "upload-url": lambda _: envelope(200, {"url": f"http://10.0.0.1/?sig={SIGNATURE}&{KEY}", "gcs_path": KEY}),
    "put-fails": lambda received: (
        json_response(503, SAYS_KEY)
        if received.method == "PUT"
        else envelope(200, {"url": f"http://{received.headers['host']}/?sig={SIGNATURE}", "gcs_path": "p"})
    ),
    "nothing": lambda _: b"",
    "cut-off": lambda _: response(200, KEY.encode(), {"Content-Length": "1000"}),
    "garbage": lambda received: received.raw,
    "bad-header": lambda _: f"HTTP/1.1 200 OK\r\n{KEY}\r\nContent-Length: 2\r\n\r\n{{}}".encode(),
    "bad-length": lambda _: response(200, b"", {"Content-Length": KEY}),
    "bad-encoding": lambda _: response(200, b"{}", {"Content-Encoding": KEY}),
    "bad-gzip": lambda _: response(200, gzip.compress(KEY.encode())[:-1], {"Content-Encoding": "gzip"}),
    "bad-chunk": lambda _: f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{KEY}\r\n".encode(),
    "huge": lambda _: response(200, KEY.encode() * 300_000),
    "tls-instead": lambda _: b"\x16\x03\x01" + KEY.encode(),
}


class Watch:
    """Collects what is shown, and looks for secrets in it."""

    def __init__(self, capture: pytest.CaptureFixture[str], logs: pytest.LogCaptureFixture) -> None:
        self._capture = capture
        self._logs = logs

    def failure(self, call: Callable[[], object], *, kind: type[BaseException] = ServiceError) -> None:
        with pytest.raises(kind) as caught:
            call()
        self.nothing_in(*_all_of(caught.value))
        if kind is ServiceError:
            framed = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
            assert KEY not in "".join(framed.format())

    def nothing_in(self, *texts: str) -> None:
        formatter = logging.Formatter()
        shown = self._capture.readouterr()
        logged = [formatter.format(record) + repr(vars(record)) for record in self._logs.records]
        for text in (*texts, shown.out, shown.err, *logged):
            for secret in (KEY, KEY.lower(), SIGNATURE):
                assert secret not in text
        self._logs.clear()


def _all_of(exc: BaseException) -> Iterator[str]:
    """Every text of an error and of what it refers to."""
    yield "".join(traceback.format_exception(exc))
    seen: list[BaseException] = []
    rest: list[BaseException | None] = [exc]
    while rest:
        current = rest.pop()
        if current is None or current in seen:
            continue
        seen.append(current)
        yield f"{current!r} {current} {current.args!r} {getattr(current, '__dict__', {})!r}"
        rest += [current.__cause__, current.__context__]
    if isinstance(exc, ServiceError):
        assert seen == [exc], "no error of requests hangs on ours: it would hold the request, with the key"


@pytest.fixture
def watch(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Watch:
    """The most talkative settings that there are."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("urllib3").setLevel(logging.DEBUG)
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 5)
    return Watch(capfd, caplog)


def service_at(url: str, **options: Any) -> HttpService:
    return HttpService(ServiceSettings.from_environ({"SCANGATE_API_URL": url, "SCANGATE_API_KEY": KEY}), **options)


@pytest.mark.parametrize("failure", FAILURES)
def test_failures(watch: Watch, failure: str) -> None:
    failed = 0
    with RawServer(FAILURES[failure]) as server, service_at(server.url) as service:
        for call in OPERATIONS.values():
            try:
                answer = call(service, server.url)
            except ServiceError as exc:
                failed += 1
                watch.nothing_in(*_all_of(exc))
            else:
                watch.nothing_in(repr(answer) if isinstance(answer, Task) else "")
        watch.nothing_in(repr(service))
        assert server.received
    assert failed


def test_the_watch_sees_what_there_is_to_see(watch: Watch, capfd: pytest.CaptureFixture[str]) -> None:
    """urllib3 does log here, and http.client prints what it sends and gets when it is let."""
    import requests

    with RawServer(lambda _: response(200, b"{}")) as server:
        requests.get(f"{server.url}/x?sig={SIGNATURE}", headers={"Authorization": f"Bearer {KEY}"}, timeout=10)
    assert KEY in capfd.readouterr().out
    with RawServer(lambda _: response(200, b"{}")) as server, service_at(server.url) as service:
        service.report(f"{server.url}/report?sig={SIGNATURE}")
        logged = [record.getMessage() for record in watch._logs.records]
        assert any("/report?…" in line for line in logged)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_connection(watch: Watch, operation: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    call = OPERATIONS[operation]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with service_at(url, timeouts=Timeouts(read=0.05)) as service:
            watch.failure(lambda: call(service, url))
    with service_at(url) as service:
        watch.failure(lambda: call(service, url))

    def unknown(*_: object, **__: object) -> list[tuple[Any, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    for answer in (unknown, lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("10.0.0.1", 1))]):
        with service_at("http://localhost:1", resolve=answer) as service:
            watch.failure(lambda: call(service, "https://storage.example"))
    with ConnectProxy(1, refuse=b"HTTP/1.1 407 No\r\n\r\n") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with service_at("https://api.example") as service:
            watch.failure(lambda: call(service, "https://storage.example"))
        assert KEY.encode() not in proxy.seen
        assert SIGNATURE.encode() not in proxy.seen
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing"))
    with service_at("https://127.0.0.1:1") as service:
        watch.failure(lambda: call(service, "https://127.0.0.1:1"))


@pytest.mark.tool("openssl")
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_certificate_that_is_not_trusted(watch: Watch, operation: str, tmp_path: Path) -> None:
    with RawServer(lambda _: b"", tls=make_certificates(tmp_path).server_context()) as server:
        with service_at(server.url) as service:
            watch.failure(lambda: OPERATIONS[operation](service, server.url))
        assert not server.received


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, MemoryError, RuntimeError])
def test_an_interruption(watch: Watch, interruption: type[BaseException]) -> None:
    """What is not ours to translate passes through as it is; its plain traceback has no local variables."""

    def interrupt(*_: object, **__: object) -> list[tuple[Any, ...]]:
        raise interruption

    with service_at("https://api.example", resolve=interrupt) as service:
        for call in OPERATIONS.values():
            watch.failure(lambda call=call: call(service, "https://storage.example"), kind=interruption)


def test_a_redirect_to_a_host_with_the_key_in_its_name() -> None:
    """A host's name is shown in lower case."""
    for key in ("lower-case-key", "Mixed-Case-Key"):
        settings = {"SCANGATE_API_KEY": key}
        with RawServer(lambda _, key=key: response(302, b"", {"Location": f"https://{key}.example/"})) as server:
            with HttpService(ServiceSettings.from_environ({"SCANGATE_API_URL": server.url, **settings})) as service:
                with pytest.raises(ServiceError) as caught:
                    service.task(7)
        assert key.lower() not in caught.value.message.lower()


def test_success(watch: Watch) -> None:
    task = {"task_id": 7, "status": "completed", "report_blob_url": f"https://a.example/?{SIGNATURE}", "purl": KEY}
    with RawServer(lambda _: envelope(200, {**task, "items": [task], "page": 1, "page_size": 1, "total": 1})) as server:
        with service_at(server.url) as service:
            for name in ("submit", "submit_archive", "task", "tasks"):
                watch.nothing_in(repr(OPERATIONS[name](service, server.url)))


def test_values_show_nothing(watch: Watch) -> None:
    settings = ServiceSettings.from_environ({"SCANGATE_API_KEY": KEY})
    assert settings.key is not None
    request = HttpRequest(
        what="Asking",
        method="GET",
        target=read_url(f"https://storage.example/?sig={SIGNATURE}"),
        body=KEY.encode(),
        key=settings.key,
        limit=1,
        total=1,
    )
    answer = HttpAnswer(status=200, headers={}, body=KEY.encode())
    watch.nothing_in(
        repr(settings), repr(request), repr(answer), repr(HttpService(settings)), repr(vars(HttpService(settings)))
    )


def test_an_older_failure_stays_the_only_context(watch: Watch) -> None:
    """A call inside a handler: Python hangs the handled error on ours, and nothing else."""
    with RawServer(lambda _: b"") as server, service_at(server.url) as service:
        older = ValueError("older")
        try:
            raise older
        except ValueError:
            with pytest.raises(Unreachable) as caught:
                service.task(7)
    assert caught.value.__context__ is older
    assert caught.value.__cause__ is None
