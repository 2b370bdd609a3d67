"""The way to the service: time, size, encodings, TLS, proxies, redirects, addresses, threads."""

# ruff: noqa: SIM117  (server, client and what is expected each stand on a line of their own)

import gzip
import itertools
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from scangate.models.analysis import AnalysisRequest, Archive
from scangate.service.base import ReportGone, ServiceError
from scangate.service.client import MAX_ANSWER_BYTES, MAX_REPORT_BYTES, HttpService
from scangate.service.settings import ServiceSettings
from scangate.web.errors import BadAnswer, Refused, Unreachable
from scangate.web.settings import Timeouts
from tests.service.fakes.certificates import Certificates, make_certificates
from tests.service.fakes.proxy import ConnectProxy
from tests.service.fakes.raw import RawServer, Received, envelope, response

KEY = "pk_live-0123456789"
NPM = AnalysisRequest(purl="pkg:npm/a@1.0.0")
TASK = envelope(200, {"task_id": 7, "status": "completed", "engine_type": "dynamic-analysis"})


def service_at(url: str, **options: Any) -> HttpService:
    return HttpService(ServiceSettings.from_environ({"SCANGATE_API_URL": url, "SCANGATE_API_KEY": KEY}), **options)


def resolver(*addresses: str) -> Callable[..., list[tuple[Any, ...]]]:
    """Every name leads to these addresses; addresses lead to themselves."""

    def resolve(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        found = [host] if host[0].isdigit() else addresses
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, port)) for address in found]

    return resolve


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def trusted(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> Certificates:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.ca))
    return certificates


# -------------------------------------------------------------------------------------------------- time


class Dripping:
    """A server's answer that never ends. Its own clock tells a second for each drop."""

    def __init__(self, head: bytes, drop: bytes) -> None:
        self._head, self._drop, self._drops = head, drop, 0

    def __call__(self, received: Received) -> Iterator[bytes]:
        yield self._head
        while True:
            self._drops += 1
            yield self._drop

    def clock(self) -> float:
        return float(self._drops)


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["status", "header", "body", "chunks", "chunk-line", "continue"],
)
@pytest.mark.parametrize("operation", ["task", "report"])
def test_a_server_that_drips_comes_to_an_end(head: bytes, drop: bytes, operation: str) -> None:
    """Long before a limit of size is reached: 60 drops for a call, 300 for a report."""
    answer = Dripping(head, drop)
    with RawServer(answer) as server, service_at(server.url, clock=answer.clock) as service:
        with pytest.raises(Unreachable, match=r"did not finish within (60|300) seconds") as caught:
            service.task(7) if operation == "task" else service.report(f"{server.url}/r")
        assert caught.value.sent


def silent(server: Callable[[], RawServer]) -> Callable[[Received], Iterator[bytes]]:
    def answer(received: Received) -> Iterator[bytes]:
        server().stopped.wait()
        yield b""

    return answer


def test_a_server_that_says_nothing_is_unreachable() -> None:
    server = RawServer(silent(lambda: server))
    with server, service_at(server.url, timeouts=Timeouts(read=0.05)) as service:
        with pytest.raises(Unreachable, match="did not answer in time") as caught:
            service.submit(NPM)
        assert caught.value.sent


def test_a_connection_that_is_not_accepted_was_not_sent() -> None:
    """A listener whose queue is full: the kernel drops what comes more."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        with service_at(f"http://127.0.0.1:{port}", timeouts=Timeouts(connect=0.05)) as service:
            with pytest.raises(Unreachable, match="did not answer in time") as caught:
                service.submit(NPM)
        assert not caught.value.sent
        for filler in fillers:
            filler.close()


def test_an_upload_that_nobody_takes_comes_to_an_end() -> None:
    """The server reads no byte of the body, so that the buffers fill up."""
    clock = map(float, itertools.count())
    with socket.create_server(("127.0.0.1", 0)) as storage:
        url = f"http://127.0.0.1:{storage.getsockname()[1]}/put"
        archive = Archive(filename="a.tgz", content=bytes(64 * 1024 * 1024))
        with RawServer(lambda _: envelope(200, {"url": url, "gcs_path": "p"})) as server:
            with service_at(server.url, clock=lambda: next(clock)) as service:
                with pytest.raises(Unreachable, match=r"^Uploading a\.tgz: "):
                    service.upload(AnalysisRequest(purl="pkg:npm/a@1", archive=archive))


def test_close_ends_what_is_under_way_in_every_thread() -> None:
    """As for Ctrl-C: without it, this would take the read timeout of an hour."""
    server = RawServer(silent(lambda: server))
    with server, service_at(server.url, timeouts=Timeouts(read=3600, call=3600)) as service:
        failures: list[ServiceError] = []

        def work() -> None:
            try:
                service.task(7)
            except ServiceError as exc:
                failures.append(exc)

        workers = [threading.Thread(target=work, daemon=True) for _ in range(3)]
        for worker in workers:
            server.asked.clear()
            worker.start()
            server.asked.wait()
        service.close()
        for worker in workers:
            worker.join(20)
        assert len(failures) == 3
        for failure in failures:
            assert isinstance(failure, Unreachable)
            assert "given up" in failure.message


def test_after_close_nothing_is_sent() -> None:
    with RawServer(lambda _: TASK) as server, service_at(server.url) as used, service_at(server.url) as unused:
        used.task(7)
        for service in (used, unused):
            service.close()
            with pytest.raises(Unreachable, match="given up") as caught:
                service.submit(NPM)
            assert not caught.value.sent
        assert len(server.received) == 1


def test_close_while_connecting() -> None:
    """From within the resolver, which stands for another thread: the connection is not made any more."""
    with RawServer(lambda _: TASK) as server:

        def resolve(host: str, port: int, **options: Any) -> list[tuple[Any, ...]]:
            service.close()
            return resolver("127.0.0.1")(host, port, **options)

        service = service_at(f"http://localhost:{server.port}", resolve=resolve)
        with pytest.raises(Unreachable, match="given up"):
            service.task(7)
        assert server.connections == 0


# -------------------------------------------------------------------------------------------------- size


def test_a_huge_answer_is_a_bad_answer() -> None:
    with RawServer(lambda _: response(200, b" " * (MAX_ANSWER_BYTES + 1))) as server, service_at(server.url) as service:
        with pytest.raises(BadAnswer, match="larger than 4096 KiB"):
            service.task(7)


def endless(head: bytes, piece: bytes) -> Callable[[Received], Iterator[bytes]]:
    def answer(received: Received) -> Iterator[bytes]:
        yield head
        while True:
            yield piece

    return answer


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", b" " * 65536),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n", b" " * 65536),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n"),
    ],
    ids=["until-close", "length", "chunked"],
)
def test_a_report_without_end_is_a_bad_answer(monkeypatch: pytest.MonkeyPatch, head: bytes, piece: bytes) -> None:
    monkeypatch.setattr("scangate.service.client.MAX_REPORT_BYTES", 1024 * 1024)
    with RawServer(endless(head, piece)) as server, service_at(server.url) as service:
        with pytest.raises(BadAnswer, match="larger than 1024 KiB"):
            service.report(f"{server.url}/r")


def test_the_report_cap_is_64_mib_to_the_byte() -> None:
    assert MAX_REPORT_BYTES == 64 * 1024 * 1024
    whole = gzip.compress(bytes(MAX_REPORT_BYTES), 1)
    bomb = gzip.compress(bytes(MAX_REPORT_BYTES + 1), 1)
    answers = iter([whole, bomb])
    with RawServer(lambda _: response(200, next(answers), {"Content-Encoding": "gzip"})) as server:
        with service_at(server.url) as service:
            assert len(service.report(f"{server.url}/r")) == MAX_REPORT_BYTES
            with pytest.raises(BadAnswer, match="larger than 65536 KiB"):
                service.report(f"{server.url}/r")


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", " GZIP "])
def test_gzip_is_unpacked(encoding: str) -> None:
    """In one member or several, whose ends fall anywhere."""
    text = bytes(range(256)) * 2000
    packed = gzip.compress(text[:100_000]) + gzip.compress(b"") + gzip.compress(text[100_000:])
    for body in (gzip.compress(text), packed):
        with RawServer(lambda _, body=body: response(200, body, {"Content-Encoding": encoding})) as server:
            with service_at(server.url) as service:
                assert service.report(f"{server.url}/r") == text
                assert server.received[0].headers["accept-encoding"] == "gzip"


def test_an_output_that_ends_at_a_step_is_whole() -> None:
    for size in (65535, 65536, 65537, 131072):
        body = gzip.compress(bytes(size))
        with RawServer(lambda _, body=body: response(200, body, {"Content-Encoding": "gzip"})) as server:
            with service_at(server.url) as service:
                assert service.report(f"{server.url}/r") == bytes(size)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("deflate", zlib.compress(b"{}")),
        ("br", b"\x0b\x01\x80{}\x03"),
        ("zstd", b"x"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0)),
        ("gzip", b"{}"),
        ("gzip", gzip.compress(b"{}", mtime=0) + b"garbage"),
        ("gzip", gzip.compress(b"{}", mtime=0)[:-6] + b"\0\0\0\0\0\0"),
        ("", b"{}"),
    ],
)
def test_other_encodings_and_broken_gzip_are_bad_answers(encoding: str, body: bytes) -> None:
    with RawServer(lambda _: response(200, body, {"Content-Encoding": encoding})) as server:
        with service_at(server.url) as service, pytest.raises(BadAnswer):
            service.report(f"{server.url}/r")


def test_a_bomb_of_small_members_is_counted_before_unpacking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scangate.service.client.MAX_REPORT_BYTES", 100_000)
    body = gzip.compress(b"") * 10_000
    with RawServer(lambda _: response(200, body, {"Content-Encoding": "gzip"})) as server:
        with service_at(server.url) as service, pytest.raises(BadAnswer, match="larger"):
            service.report(f"{server.url}/r")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(bytes(1000), mtime=0)[:-9],
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n",
        b"\x16\x03\x01 not http at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000 + b"\r\n",
    ],
)
def test_a_cut_off_or_garbled_answer_is_transient_and_was_sent(answer: bytes) -> None:
    with RawServer(lambda _: answer) as server, service_at(server.url) as service:
        for call in (lambda: service.submit(NPM), lambda: service.report(f"{server.url}/r?sig=TOPSECRET")):
            with pytest.raises(Unreachable) as caught:
                call()
            assert caught.value.sent
            assert "TOPSECRET" not in str(caught.value)


# -------------------------------------------------------------------------------------- reaching and names


def test_connection_refused_was_not_sent() -> None:
    with service_at(f"http://127.0.0.1:{free_port()}") as service:
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1 cannot be reached \(Connection refused\)\.") as caught:
            service.submit(NPM)
        assert not caught.value.sent


def test_a_name_that_does_not_resolve_was_not_sent() -> None:
    def resolve(*_: Any, **__: Any) -> list[tuple[Any, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with service_at("https://api.example", resolve=resolve) as service:
        with pytest.raises(Unreachable, match=r"the name api\.example cannot be resolved") as caught:
            service.submit(NPM)
        assert not caught.value.sent
    with service_at("https://api.example", resolve=resolver()) as service:
        with pytest.raises(Unreachable, match=r"cannot be reached"):
            service.submit(NPM)


def test_the_next_address_is_tried() -> None:
    """Nothing listens on the first one."""
    with RawServer(lambda _: TASK) as server:
        with service_at(f"http://localhost:{server.port}", resolve=resolver("127.0.0.99", "127.0.0.1")) as service:
            assert service.task(7).task_id == 7


def test_ipv6_loopback() -> None:
    try:
        server = RawServer(lambda _: TASK, host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    with server, service_at(server.url) as service:
        assert service.task(7).task_id == 7
        assert server.received[0].headers["host"] == f"[::1]:{server.port}"


def test_plain_http_goes_to_loopback_wherever_the_name_leads() -> None:
    with RawServer(lambda _: TASK) as server:
        for addresses in (("192.0.2.1",), ("127.0.0.1", "192.0.2.1")):
            with service_at(f"http://localhost:{server.port}", resolve=resolver(*addresses)) as service:
                with pytest.raises(Refused, match=r"localhost resolves to an address that is not allowed"):
                    service.submit(NPM)
        assert server.connections == 0


@pytest.mark.tool("openssl")
@pytest.mark.parametrize("addresses", [("127.0.0.1", "10.0.0.1"), ("10.0.0.1",), ("169.254.169.254", "127.0.0.1")])
def test_every_address_of_a_signed_url_is_checked(trusted: Certificates, addresses: tuple[str, ...]) -> None:
    """The service is on loopback, so loopback is allowed; the other address is not."""
    with RawServer(lambda _: response(200, b"{}"), tls=trusted.server_context()) as storage:
        with service_at("http://127.0.0.1:1", resolve=resolver(*addresses)) as service:
            with pytest.raises(Refused, match="resolves to an address that is not allowed"):
                service.report(f"https://storage.example:{storage.port}/r")
        assert storage.connections == 0


@pytest.mark.tool("openssl")
def test_a_name_is_resolved_once_and_what_was_checked_is_connected_to(trusted: Certificates) -> None:
    """DNS rebinding: a second look-up would give another address; there is none."""
    answers = iter([resolver("127.0.0.1"), resolver("10.0.0.1")])
    with RawServer(lambda _: response(200, b"{}"), tls=trusted.server_context()) as storage:
        with service_at("http://127.0.0.1:1", resolve=lambda *a, **k: next(answers)(*a, **k)) as service:
            assert service.report(f"https://storage.example:{storage.port}/r") == b"{}"
            with pytest.raises(Refused):
                service.report(f"https://storage.example:{storage.port}/r")


@pytest.mark.tool("openssl")
def test_a_service_elsewhere_cannot_send_us_to_loopback(trusted: Certificates) -> None:
    with RawServer(lambda _: TASK, tls=trusted.server_context()) as server:
        with service_at(f"https://api.example:{server.port}", resolve=resolver("127.0.0.1")) as service:
            assert service.task(7).task_id == 7
            seen = server.connections
            for url in (
                f"https://storage.example:{server.port}/r",
                f"https://api.example:{server.port}/r",
                f"https://127.0.0.1:{server.port}/r",
                f"https://localhost:{server.port}/r",
                f"http://127.0.0.1:{server.port}/r",
                f"https://2130706433:{server.port}/r",
                f"https://[::ffff:127.0.0.1]:{server.port}/r",
            ):
                with pytest.raises(Refused):
                    service.report(url)
            assert server.connections == seen


def test_upload_urls_are_checked_like_report_urls() -> None:
    request = AnalysisRequest(purl="pkg:npm/a@1", archive=Archive(filename="a.tgz", content=b"x"))
    for url in ("http://storage.example/put", "https://10.0.0.1/put", "file:///etc/passwd", "https://u:p@a.example/"):
        with RawServer(lambda _, url=url: envelope(200, {"url": url, "gcs_path": "p"})) as server:
            with service_at(server.url) as service:
                with pytest.raises(Refused, match=r"^Uploading a\.tgz: the URL that the service gave"):
                    service.upload(request)


# ------------------------------------------------------------------------------------------------- TLS


@pytest.mark.tool("openssl")
def test_a_certificate_that_is_not_trusted_is_no_transient_trouble(certificates: Certificates) -> None:
    with RawServer(lambda _: TASK, tls=certificates.server_context()) as server:
        with service_at(f"https://127.0.0.1:{server.port}") as service:
            with pytest.raises(Refused, match=r"certificate of 127\.0\.0\.1 is not trusted") as caught:
                service.submit(NPM)
            assert "REQUESTS_CA_BUNDLE" in caught.value.hint
        assert not server.received


@pytest.mark.tool("openssl")
def test_a_certificate_of_another_name_is_not_trusted(trusted: Certificates) -> None:
    with RawServer(lambda _: TASK, tls=trusted.server_context()) as server:
        with service_at(f"https://other.example:{server.port}", resolve=resolver("127.0.0.1")) as service:
            with pytest.raises(Refused, match="not trusted"):
                service.submit(NPM)
        assert not server.received


@pytest.mark.tool("openssl")
@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_ca_bundles_as_requests_has_them(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, str(certificates.ca))
    with RawServer(lambda _: TASK, tls=certificates.server_context()) as server:
        with service_at(f"https://localhost:{server.port}") as service:
            assert service.task(7).task_id == 7


def test_a_ca_bundle_that_is_missing_or_none_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "none.pem").write_text("not a certificate")
    with RawServer(lambda _: TASK) as server:
        for name in ("missing.pem", "none.pem"):
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / name))
            with service_at(f"https://127.0.0.1:{server.port}") as service:
                with pytest.raises(Refused, match="CA bundle") as caught:
                    service.submit(NPM)
                assert "REQUESTS_CA_BUNDLE" in caught.value.hint


def test_https_to_a_server_that_speaks_no_tls_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def talk() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                connection.recv(65536)

        thread = threading.Thread(target=talk)
        thread.start()
        with service_at(f"https://127.0.0.1:{listener.getsockname()[1]}") as service:
            with pytest.raises(Unreachable, match="TLS failed") as caught:
                service.submit(NPM)
            assert not caught.value.sent
        thread.join()


# --------------------------------------------------------------------------------------- proxies and netrc


@pytest.mark.tool("openssl")
def test_a_proxy_is_used_and_sees_no_key(trusted: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(lambda _: TASK, tls=trusted.server_context()) as server, ConnectProxy(server.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("http://", "http://me:pw@"))
        with service_at("https://api.example") as service:
            assert service.task(7).task_id == 7
            assert service.report("https://storage.example/r?sig=1")
            assert service.task(7).task_id == 7
        assert proxy.asked == ["api.example:443", "storage.example:443", "api.example:443"]
        assert KEY.encode() not in proxy.seen
        assert b"sig=1" not in proxy.seen
        assert b"Proxy-Authorization: Basic" in proxy.seen
        api, storage, _ = server.received
        assert api.headers["authorization"] == f"Bearer {KEY}"
        assert "authorization" not in storage.headers
        assert not any("proxy-authorization" in request.headers for request in server.received)


@pytest.mark.tool("openssl")
def test_a_proxy_may_be_spoken_to_by_tls(trusted: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS within TLS; and what drips through it comes to an end too."""
    drip = Dripping(b"HTTP/1.1 200 OK\r\nX: ", b"x")
    with (
        RawServer(drip, tls=trusted.server_context()) as slow,
        RawServer(lambda _: TASK, tls=trusted.server_context()) as server,
    ):
        for target in (server, slow):
            with ConnectProxy(target.port, tls=trusted.server_context()) as proxy:
                monkeypatch.setenv("HTTPS_PROXY", proxy.url)
                with service_at("https://api.example", clock=drip.clock) as service:
                    if target is server:
                        assert service.task(7).task_id == 7
                    else:
                        with pytest.raises(Unreachable, match="did not finish within 60 seconds"):
                            service.task(7)
                assert proxy.asked == ["api.example:443"]


@pytest.mark.tool("openssl")
def test_no_proxy_is_honoured(trusted: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(lambda _: TASK, tls=trusted.server_context()) as server, ConnectProxy(server.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "api.example")
        with service_at(f"https://api.example:{server.port}", resolve=resolver("127.0.0.1")) as service:
            assert service.task(7).task_id == 7
        assert proxy.seen == b""


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY", "http_proxy"])
def test_loopback_never_goes_through_a_proxy(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """The key would be in the clear there, and the proxy's loopback is another machine's."""
    with RawServer(lambda _: TASK) as server, ConnectProxy(server.port) as proxy:
        monkeypatch.setenv(variable, proxy.url)
        for url in (server.url, f"http://localhost:{server.port}"):
            with service_at(url) as service:
                assert service.task(7).task_id == 7
                assert service.report(f"{url}/r")
        assert proxy.seen == b""


def test_behind_a_proxy_names_of_inner_networks_stay_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy resolves, so what is written is all that can be checked."""
    with ConnectProxy(1) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with service_at("https://api.example") as service:
            for url in ("https://metadata.google.internal/x", "https://169.254.169.254/x", "https://intranet/x"):
                with pytest.raises(Refused):
                    service.report(url)
        assert proxy.seen == b""


@pytest.mark.parametrize("status", [403, 407, 503])
def test_a_proxy_that_refuses_is_unreachable(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    with ConnectProxy(1, refuse=f"HTTP/1.1 {status} No\r\n\r\n".encode()) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with service_at("https://api.example") as service:
            with pytest.raises(Unreachable, match=f"Tunnel connection failed: {status}") as caught:
                service.submit(NPM)
            assert "HTTPS_PROXY" in caught.value.hint
        assert KEY.encode() not in proxy.seen


def test_a_proxy_that_is_not_there_was_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")
    with service_at("https://api.example") as service:
        with pytest.raises(Unreachable) as caught:
            service.submit(NPM)
        assert not caught.value.sent


@pytest.mark.parametrize(
    "proxy", ["http://", "gopher://127.0.0.1:1", *([] if find_spec("socks") else ["socks5://127.0.0.1:1"])]
)
def test_a_proxy_that_cannot_be_used_is_told(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with service_at("https://api.example") as service, pytest.raises(Refused, match="proxy"):
        service.submit(NPM)


def test_netrc_is_left_alone(own_world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """requests would take it in place of the key, and send it to signed URLs."""
    netrc = own_world / ".netrc"
    for name in ("127.0.0.1", "localhost"):
        with netrc.open("a") as file:
            file.write(f"machine {name} login joe password netrc-pw\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with RawServer(lambda _: TASK) as server, service_at(server.url) as service:
        service.task(7)
        service.report(f"{server.url}/r")
        api, storage = server.received
        assert api.headers["authorization"] == f"Bearer {KEY}"
        assert "authorization" not in storage.headers


# ------------------------------------------------------------------------------- redirects, cookies, threads


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(status: int) -> None:
    with RawServer(lambda _: TASK) as elsewhere:
        answers = iter(
            [
                response(status, b"x" * 100, {"Location": f"{elsewhere.url}/api/v1/task/7/?sig=TOPSECRET"}),
                response(status, b"", {"Location": "/api/v1/task/7/"}),
                response(status, b"", {"Location": "http://[bad"}),
                response(status),
            ]
        )
        with RawServer(lambda _: next(answers)) as server, service_at(server.url) as service:
            with pytest.raises(Refused, match=rf"a redirect to 127\.0\.0\.1:{elsewhere.port}") as caught:
                service.task(7)
            assert "TOPSECRET" not in str(caught.value)
            for call in (
                lambda: service.submit(NPM),
                lambda: service.report(f"{server.url}/r"),
                lambda: service.task(7),
            ):
                with pytest.raises(Refused, match="a redirect to an unnamed place; none is followed"):
                    call()
            assert len(server.received) == 4
        assert elsewhere.connections == 0


def test_a_redirect_with_an_endless_body_is_not_read() -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Encoding: gzip\r\n\r\n"
    with RawServer(endless(head, b"x" * 65536)) as server, service_at(server.url) as service:
        with pytest.raises(Refused, match="redirect"):
            service.task(7)


def test_no_cookie_comes_back() -> None:
    keep = {"Connection": "keep-alive", "Set-Cookie": "session=1; Path=/"}
    body = TASK.partition(b"\r\n\r\n")[2]
    with RawServer(lambda _: response(200, body, keep), keep=True) as server, service_at(server.url) as service:
        for _ in range(3):
            service.task(7)
        assert not any("cookie" in request.headers for request in server.received)
        assert server.connections == 1, "the connection is kept"


def test_a_body_that_is_left_unread_does_not_leak_into_the_next_answer() -> None:
    too_large = response(200, b"x" * (MAX_ANSWER_BYTES + 1_000_000), {"Connection": "keep-alive"})
    answers = iter([too_large, TASK])
    with RawServer(lambda _: next(answers), keep=True) as server, service_at(server.url) as service:
        with pytest.raises(BadAnswer):
            service.task(7)
        assert service.task(7).task_id == 7
        assert server.connections == 2


def test_many_threads_at_once() -> None:
    """Each thread gets the answer to what it asked, over its own connection."""

    def answer(received: Received) -> bytes:
        number = int(received.target.split("/")[-2])
        body = envelope(200, {"task_id": number, "status": "queued"}).partition(b"\r\n\r\n")[2]
        return response(200, body, {"Connection": "keep-alive"})

    seen: list[tuple[int, int]] = []
    with RawServer(answer, keep=True) as server, service_at(server.url) as service:

        def work(start: int) -> None:
            for number in range(start, start + 20):
                seen.append((number, service.task(number).task_id))

        threads = [threading.Thread(target=work, args=(1 + 100 * index,)) for index in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.connections == 8
    assert len(seen) == 160
    assert all(asked == got for asked, got in seen)


def test_an_error_inside_anothers_handler_is_told_by_its_own_cause() -> None:
    """A retry runs while an earlier failure is handled; that one must not be taken for this one's cause."""
    with RawServer(lambda _: b"") as server, service_at(server.url) as service:
        try:
            raise ConnectionRefusedError(111, "an older failure")
        except OSError:
            with pytest.raises(Unreachable) as caught:
                service.task(7)
    assert "older" not in str(caught.value)


def test_a_report_that_is_gone_is_not_a_refused_key() -> None:
    with RawServer(lambda _: response(403, b"<Error><Code>ExpiredToken</Code></Error>")) as server:
        with service_at(server.url) as service, pytest.raises(ReportGone):
            service.report(f"{server.url}/r")
