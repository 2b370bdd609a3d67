"""The operations of the contract, against a server that answers whatever a service might."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from subprocess import run
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scangate import __version__
from scangate.errors import ServiceError
from scangate.models.analysis import AnalysisRequest, Archive, Engine
from scangate.service.answers import AnswerReader
from scangate.service.base import RateLimited, ReportGone, Service, Task, TaskPage, Unauthorised
from scangate.service.client import MAX_ANSWER_BYTES, HttpService
from scangate.service.settings import ServiceSettings
from scangate.web.errors import BadAnswer, Refused, Unreachable
from tests.service.fakes.raw import Answer, RawServer, Received, envelope, json_response, response

KEY = "pk_live-0123456789"
NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
NPM = AnalysisRequest(purl="pkg:npm/%40scope/JSONStream@1.0.0")
ARCHIVE = AnalysisRequest(purl="pkg:npm/a@1.0.0", archive=Archive(filename="a-1.0.0.tgz", content=b"\x1f\x8b bytes"))

Talk = Callable[[Callable[[Received], Answer]], tuple[HttpService, RawServer]]


@pytest.fixture
def talk() -> Iterator[Talk]:
    """A client and a server that answers as told; the server's path prefix is /prefix."""
    with ExitStack() as stack:

        def start(answer: Callable[[Received], Answer]) -> tuple[HttpService, RawServer]:
            server = stack.enter_context(RawServer(answer))
            settings = ServiceSettings.from_environ(
                {"SCANGATE_API_URL": f"{server.url}/prefix/", "SCANGATE_API_KEY": KEY}
            )
            return stack.enter_context(HttpService(settings, now=lambda: NOW)), server

        yield start


def always(answer: bytes) -> Callable[[Received], bytes]:
    return lambda received: answer


def operations(server: RawServer) -> dict[str, Callable[[Service], object]]:
    """Each operation of the protocol that takes the key to the service."""
    return {
        "submit": lambda service: service.submit(NPM),
        "upload": lambda service: service.upload(ARCHIVE),
        "submit_archive": lambda service: service.submit_archive(ARCHIVE, "uploads/x"),
        "task": lambda service: service.task(7),
        "tasks": lambda service: service.tasks(1),
    }


WITH_KEY = ["submit", "upload", "submit_archive", "task", "tasks"]


# ------------------------------------------------------------------------------------------- what is sent


def test_submit_by_purl(talk: Talk) -> None:
    service, server = talk(always(envelope(201, {"task_id": 456, "status": "queued", "status_url": "/elsewhere"})))
    assert service.submit(NPM) == Task(task_id=456, status="queued")
    (request,) = server.received
    assert (request.method, request.target) == ("POST", "/prefix/api/v1/analyze/purl/")
    assert json.loads(request.body) == {"purl": "pkg:npm/%40scope/JSONStream@1.0.0"}
    assert request.headers["engine"] == "dynamic-analysis"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["user-agent"] == f"scangate/{__version__}"
    assert "cookie" not in request.headers


@pytest.mark.parametrize(
    ("engine", "purl", "taken"),
    [
        (Engine.DYNAMIC_ANALYSIS, "pkg:npm/a@1", True),
        (Engine.DYNAMIC_ANALYSIS, "pkg:pypi/a@1", True),
        (Engine.DYNAMIC_ANALYSIS, "pkg:vscode-extension/p/a@1", True),
        (Engine.LASTPYMILE, "pkg:npm/a@1", True),
        (Engine.LASTPYMILE, "pkg:pypi/a@1", True),
        (Engine.LASTPYMILE, "pkg:vscode-extension/p/a@1", False),
        (Engine.DYNAMIC_ANALYSIS, "pkg:cargo/a@1", False),
        (Engine.DYNAMIC_ANALYSIS, "not a purl", False),
    ],
)
def test_what_an_engine_does_not_take_is_refused_before_anything_is_sent(
    talk: Talk, engine: Engine, purl: str, taken: bool
) -> None:
    service, server = talk(always(envelope(201, {"task_id": 1})))
    by_purl = AnalysisRequest(purl=purl, engine=engine)
    by_archive = AnalysisRequest(purl=purl, engine=engine, archive=ARCHIVE.archive)
    if taken:
        service.submit(by_purl)
        assert server.received[0].headers["engine"] == engine.value
        return
    for attempt in (
        lambda: service.submit(by_purl),
        lambda: service.upload(by_archive),
        lambda: service.submit_archive(by_archive, "uploads/x"),
    ):
        with pytest.raises(Refused):
            attempt()
    assert server.connections == 0


def test_upload_and_submit_an_archive(talk: Talk) -> None:
    def answer(received: Received) -> bytes:
        if received.target.endswith("/upload-url/"):
            url = f"http://{received.headers['host']}/storage/x?Signature=a%2Fb"
            return envelope(200, {"url": url, "gcs_path": "uploads/u/a-1.0.0.tgz", "message": "done"})
        return response(200) if received.method == "PUT" else envelope(201, {"task_id": 9, "status_url": "x"})

    service, server = talk(answer)
    request = AnalysisRequest(
        purl="pkg:npm/a@1.0.0",
        engine=Engine.LASTPYMILE,
        archive=Archive(filename="a-1.0.0.tgz", content=b"\x1f\x8b bytes", github_url="https://git.example/a"),
    )
    gcs_path = service.upload(request)
    assert gcs_path == "uploads/u/a-1.0.0.tgz"
    assert service.submit_archive(request, gcs_path) == Task(task_id=9, status="queued")
    asked, put, submitted = server.received
    assert (asked.method, asked.target) == ("POST", "/prefix/api/v1/archives/upload-url/")
    assert json.loads(asked.body) == {"filename": "a-1.0.0.tgz"}
    assert (put.method, put.target, put.body) == ("PUT", "/storage/x?Signature=a%2Fb", b"\x1f\x8b bytes")
    assert put.headers["content-type"] == "application/gzip"
    assert put.headers["content-length"] == "8"
    assert "authorization" not in put.headers
    assert KEY.encode() not in put.raw
    assert (submitted.method, submitted.target) == ("POST", "/prefix/api/v1/analyze/archive/")
    assert submitted.headers["engine"] == "lastpymile"
    assert json.loads(submitted.body) == {
        "purl": "pkg:npm/a@1.0.0",
        "gcs_path": "uploads/u/a-1.0.0.tgz",
        "github_url": "https://git.example/a",
    }


@pytest.mark.parametrize(
    ("filename", "content_type"),
    [
        ("a.tgz", "application/gzip"),
        ("a-1.tar.gz", "application/gzip"),
        ("a.WHL", "application/zip"),
        ("a.zip", "application/zip"),
        ("a.vsix", "application/zip"),
        ("a.tar.bz2", "application/octet-stream"),
    ],
)
def test_content_type_by_file_type(talk: Talk, filename: str, content_type: str) -> None:
    def answer(received: Received) -> bytes:
        if received.method == "PUT":
            return response(201)
        return envelope(200, {"url": f"http://{received.headers['host']}/put", "gcs_path": "p"})

    service, server = talk(answer)
    service.upload(AnalysisRequest(purl="pkg:npm/a@1", archive=Archive(filename=filename, content=b"x" * 300_000)))
    assert server.received[1].headers["content-type"] == content_type
    assert server.received[1].body == b"x" * 300_000


def test_an_archive_that_is_empty_or_too_large_is_not_sent(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scangate.service.client.MAX_ARCHIVE_BYTES", 10)
    service, server = talk(always(b""))
    for content in (b"", b"x" * 11):
        with pytest.raises(Refused, match=r"empty or larger"):
            service.upload(AnalysisRequest(purl="pkg:npm/a@1", archive=Archive(filename="a.tgz", content=content)))
    assert server.connections == 0


def test_an_archive_is_never_taken_for_a_purl_nor_the_reverse(talk: Talk) -> None:
    service, server = talk(always(b""))
    with pytest.raises(ValueError, match="archive"):
        service.submit(ARCHIVE)
    with pytest.raises(ValueError, match="archive"):
        service.upload(NPM)
    with pytest.raises(ValueError, match="archive"):
        service.submit_archive(NPM, "p")
    assert server.connections == 0


def test_which_of_the_two_requests_of_an_upload_failed(talk: Talk) -> None:
    service, _ = talk(always(json_response(400, {"success": False, "message": "bad filename"})))
    with pytest.raises(Refused, match=r"^Asking for an upload URL for a-1\.0\.0\.tgz: answered 400: bad filename"):
        service.upload(ARCHIVE)

    def answer(received: Received) -> bytes:
        if received.method == "PUT":
            return response(403, b"<Error/>")
        return envelope(200, {"url": f"http://{received.headers['host']}/put", "gcs_path": "p"})

    service, _ = talk(answer)
    with pytest.raises(Refused, match=r"^Uploading a-1\.0\.0\.tgz: answered 403"):
        service.upload(ARCHIVE)


def test_a_task(talk: Talk) -> None:
    data = {
        "task_id": 7,
        "purl": "pkg:pypi/requests@2.25.1",
        "engine_type": "lastpymile",
        "status": "Completed",
        "created_at": "2026-04-09T10:20:30.123456+00:00",
        "error_message": "",
        "report_blob_url": "https://storage.example/r?sig=1",
    }
    service, server = talk(always(envelope(200, data)))
    assert service.task(7) == Task(
        task_id=7,
        status="completed",
        purl="pkg:pypi/requests@2.25.1",
        engine=Engine.LASTPYMILE,
        created_at="2026-04-09T10:20:30.123456+00:00",
        error_message="",
        report_url="https://storage.example/r?sig=1",
    )
    (request,) = server.received
    assert (request.method, request.target, request.body) == ("GET", "/prefix/api/v1/task/7/", b"")
    assert request.headers["authorization"] == f"Bearer {KEY}"


def test_the_list(talk: Talk) -> None:
    items = [
        {"task_id": 2, "purl": "pkg:npm/b@1", "status": "running", "created_at": "x", "engine_type": "future-engine"},
        {"task_id": 1, "purl": "pkg:npm/a@1", "status": "failed", "created_at": "y", "error_message": "no\nway"},
    ]
    service, server = talk(always(envelope(200, {"items": items, "page": 3, "page_size": 50, "total": 102})))
    assert service.tasks(3, 50, "failed") == TaskPage(
        items=(
            Task(task_id=2, status="running", purl="pkg:npm/b@1", created_at="x"),
            Task(task_id=1, status="failed", purl="pkg:npm/a@1", created_at="y", error_message="no way"),
        ),
        page=3,
        page_size=50,
        total=102,
    )
    assert server.received[0].target == "/prefix/api/v1/reports/?page=3&page_size=50&status=failed"


def test_a_report(talk: Talk) -> None:
    service, server = talk(always(response(200, b'{"Analysis": {}}', {"Set-Cookie": "a=b"})))
    for _ in range(2):
        assert service.report(f"{server.url}/r?sig=x%2By") == b'{"Analysis": {}}'
    for request in server.received:
        assert request.target == "/r?sig=x%2By"
        assert "authorization" not in request.headers
        assert "cookie" not in request.headers
        assert KEY.encode() not in request.raw


# ---------------------------------------------------------------------------------------- shapes of 200


@pytest.mark.parametrize("status", [200, 201, 202])
@pytest.mark.parametrize(
    ("document", "task"),
    [
        (
            {"success": True, "request_id": "r", "data": {"task_id": 456, "status": "processing", "message": "m"}},
            Task(task_id=456, status="processing"),
        ),
        (
            {
                "task_id": 5,
                "status": "completed",
                "result_url": "http://evil.example/",
                "report_metadata": {"download_url": "http://evil.example/", "size_bytes": 3, "created_at": None},
            },
            Task(task_id=5, status="completed"),
        ),
        ({"success": True, "data": {"task_id": 8, "status": "On-Fire"}}, Task(task_id=8, status="on-fire")),
        ({"success": True, "data": {"task_id": 8, "status": None, "extra": [1]}}, Task(task_id=8, status="queued")),
    ],
)
def test_both_shapes_of_a_submission(talk: Talk, status: int, document: dict[str, Any], task: Task) -> None:
    service, server = talk(always(json_response(status, document)))
    assert service.submit(NPM) == task
    assert len(server.received) == 1


NOT_A_TASK: list[Any] = [
    None, 1, "task", [], {}, {"data": {"task_id": 7, "status": "completed"}}, {"success": True},
    {"success": True, "data": []},
    {"success": "true", "data": {"task_id": 7, "status": "completed"}},
    {"success": None, "task_id": 7, "status": "completed"},
    *({"success": True, "data": {"task_id": 7, "status": "completed", **wrong}} for wrong in (
        {"task_id": 0}, {"task_id": -7}, {"task_id": "7"}, {"task_id": 7.0}, {"task_id": True}, {"task_id": None},
        {"task_id": 2**63}, {"status": 1}, {"status": ""}, {"status": ["completed"]}, {"purl": 1},
        {"engine_type": 5}, {"created_at": {}}, {"error_message": []}, {"report_blob_url": 1},
        {"report_blob_url": "https://a.example/" + "x" * 9000},
    )),
]  # fmt: skip


@pytest.mark.parametrize("document", NOT_A_TASK)
@pytest.mark.parametrize("operation", ["submit", "task"])
def test_what_is_no_task_is_a_bad_answer(talk: Talk, operation: str, document: Any) -> None:
    service, server = talk(always(json_response(200, document)))
    with pytest.raises(BadAnswer):
        operations(server)[operation](service)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>", b"{", b'{"task_id": 1', b"\xff\xfe\x00", b"[" * 200_000, b'{"task_id": ' + b"9" * 5000 + b"}",
        b'{"a":' * 100_000,
    ],
)  # fmt: skip
def test_what_is_not_json_is_a_bad_answer(talk: Talk, body: bytes) -> None:
    service, server = talk(always(response(200, body)))
    for call in operations(server).values():
        with pytest.raises(BadAnswer, match="no JSON object"):
            call(service)


def test_another_task_than_the_one_asked_for_is_a_bad_answer(talk: Talk) -> None:
    service, _ = talk(always(envelope(200, {"task_id": 8, "status": "completed"})))
    with pytest.raises(BadAnswer, match="about task 8"):
        service.task(7)


def test_a_task_of_an_unknown_engine_is_a_bad_answer(talk: Talk) -> None:
    service, _ = talk(always(envelope(200, {"task_id": 7, "status": "completed", "engine_type": "guess"})))
    with pytest.raises(BadAnswer, match="`engine_type` is unknown: guess"):
        service.task(7)


@pytest.mark.parametrize(
    "data",
    [
        {}, {"items": {}, "page": 1, "page_size": 1, "total": 0}, {"items": [1], "page": 1, "page_size": 1, "total": 0},
        {"items": [], "page": "1", "page_size": 1, "total": 0}, {"items": [], "page": 1, "page_size": 1},
        {"items": [{}], "page": 1, "page_size": 1, "total": 1}, {"items": [], "page": 1, "page_size": 1, "total": -1},
        {"items": [{"task_id": 1, "status": "queued"}] * 1001, "page": 1, "page_size": 1, "total": 1},
    ],
)  # fmt: skip
def test_what_is_no_page_is_a_bad_answer(talk: Talk, data: dict[str, Any]) -> None:
    service, _ = talk(always(envelope(200, data)))
    with pytest.raises(BadAnswer):
        service.tasks(1)


@pytest.mark.parametrize("data", [{}, {"url": "https://a.example/"}, {"gcs_path": "p"}, {"url": 1, "gcs_path": "p"}])
def test_what_is_no_upload_url_is_a_bad_answer(talk: Talk, data: dict[str, Any]) -> None:
    service, server = talk(always(envelope(200, data)))
    with pytest.raises(BadAnswer, match=r"^Asking for an upload URL"):
        service.upload(ARCHIVE)
    assert len(server.received) == 1


def test_a_failure_told_with_200_is_a_failure(talk: Talk) -> None:
    service, server = talk(always(json_response(200, {"success": False, "error": "nope", "data": {"task_id": 7}})))
    for call in operations(server).values():
        with pytest.raises(Refused, match="nope"):
            call(service)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["task_id", "status", "purl", "data", "success", "engine_type"]), inner)
    ),
    max_leaves=8,
)


@given(json_values)
def test_any_json_is_a_task_or_a_bad_answer(value: object) -> None:
    """And a task never says completed unless the server's own status does."""
    reader = AnswerReader("Asking", str)
    body = json.dumps(value).encode()
    for read in (reader.submission, lambda document: reader.task(reader.data(document))):
        try:
            task = read(reader.document(body))
        except BadAnswer:
            continue
        assert task.task_id >= 1
        assert task.status == task.status.lower() != ""
        assert task.status != "completed" or b"completed" in body.lower()


# ------------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (204, BadAnswer), (206, BadAnswer), (299, BadAnswer),
        (301, Refused), (302, Refused), (304, Refused), (307, Refused), (308, Refused),
        (400, Refused), (401, Unauthorised), (403, Unauthorised), (404, Refused), (405, Refused), (408, Unreachable),
        (409, Refused), (413, Refused), (422, Refused), (429, RateLimited), (500, Refused), (501, Refused),
        (502, Unreachable), (503, Unreachable), (504, Unreachable), (599, Refused),
    ],
)  # fmt: skip
@pytest.mark.parametrize("operation", WITH_KEY)
def test_statuses(talk: Talk, operation: str, status: int, error: type[ServiceError]) -> None:
    service, server = talk(always(response(status, b"", {"Location": "/prefix/elsewhere/"})))
    with pytest.raises(ServiceError) as caught:
        operations(server)[operation](service)
    assert type(caught.value) is error
    assert caught.value.message.endswith(".")
    assert caught.value.hint.endswith(".")
    assert len(server.received) == 1, "one call is one request: no retry, no redirect"
    if isinstance(caught.value, Unreachable):
        assert caught.value.sent


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (204, BadAnswer), (302, Refused), (400, ReportGone), (401, ReportGone), (403, ReportGone), (404, ReportGone),
        (408, Unreachable), (410, ReportGone), (416, Refused), (429, RateLimited), (500, Refused), (503, Unreachable),
    ],
)  # fmt: skip
def test_statuses_of_a_report_url(talk: Talk, status: int, error: type[ServiceError]) -> None:
    service, server = talk(always(response(status, b"<Error/>", {"Location": "/r"})))
    with pytest.raises(ServiceError) as caught:
        service.report(f"{server.url}/r?sig=TOPSECRET")
    assert type(caught.value) is error
    assert "TOPSECRET" not in f"{caught.value!r} {caught.value.hint}"
    assert len(server.received) == 1


@pytest.mark.parametrize(
    ("status", "document"),
    [
        (401, {"error": "Invalid API key"}),
        (429, {"error": "Rate limit exceeded", "message": "You have exceeded 100 requests"}),
        (400, {"success": False, "error": "validation", "message": "purl is wrong", "code": "x", "fields": {}}),
        (500, {"success": False, "error": "Internal server error", "request_id": "r"}),
    ],
)
def test_what_the_server_says_is_shown(talk: Talk, status: int, document: dict[str, Any]) -> None:
    service, _ = talk(always(json_response(status, document)))
    with pytest.raises(ServiceError) as caught:
        service.submit(NPM)
    assert str(document["error"]) in caught.value.message
    assert str(document.get("message", "")) in caught.value.message


def test_what_the_server_says_twice_is_shown_once(talk: Talk) -> None:
    service, _ = talk(always(json_response(404, {"error": "No such task.", "message": "No such task."})))
    with pytest.raises(Refused, match=r"^Asking for task 7: answered 404: No such task\.$"):
        service.task(7)


@pytest.mark.parametrize("body", [b"", b"<h1>no</h1>", b"[]", b'{"error": 5}', b"[" * 100_000, b'{"message": "  "}'])
def test_an_error_without_a_readable_message_is_told_by_its_status(talk: Talk, body: bytes) -> None:
    service, _ = talk(always(response(400, body)))
    with pytest.raises(Refused, match=r": answered 400\.$"):
        service.submit(NPM)


def test_an_error_whose_body_is_cut_off_or_huge_is_told_by_its_status(talk: Talk) -> None:
    service, _ = talk(always(response(400, b"{", {"Content-Length": "100"})))
    with pytest.raises(Refused, match=r": answered 400\.$"):
        service.submit(NPM)
    service, _ = talk(always(response(429, b'"' + b"x" * (MAX_ANSWER_BYTES + 1))))
    with pytest.raises(RateLimited):
        service.submit(NPM)


def test_texts_of_the_server_are_short_and_on_one_line(talk: Talk) -> None:
    text = "a\r\n\x1b[31m\u202eb\x00::error::" + "x" * 5000
    service, _ = talk(always(json_response(400, {"message": text})))
    with pytest.raises(Refused) as caught:
        service.submit(NPM)
    assert len(caught.value.message) < 500
    assert caught.value.message.isprintable()
    service, _ = talk(
        always(envelope(200, {"task_id": 7, "status": text[:999], "error_message": text, "created_at": text}))
    )
    task = service.task(7)
    for shown in (task.status, task.error_message, task.created_at):
        assert shown is not None
        assert len(shown) <= 300
        assert shown.isprintable()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None), ("0", 0), ("30", 30), (" 30 ", 30), ("999999999", 86400), ("-5", None), ("1.5", None),
        ("soon", None), ("", None), ("\xb2", None), ("9" * 400, None), ("Fri, 01 May 2026 12:00:30 GMT", 30),
        ("Fri, 01 May 2026 12:00:30 -0000", 30), ("Fri, 01 May 2026 11:00:00 GMT", 0),
        ("Fri, 01 May 2099 12:00:00 GMT", 86400), ("Fri, 99 May 2026 12:00:00 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 86400), ("Fri, 01 May 2026 12:00:30 +9999", None),
        ("Fri, 01 May 2026 12:00:30 +" + "9" * 30, None),
    ],
)  # fmt: skip
def test_retry_after(talk: Talk, header: str | None, seconds: float | None) -> None:
    headers = {} if header is None else {"Retry-After": header}
    service, _ = talk(always(response(429, b'{"error": "Rate limit exceeded"}', headers)))
    with pytest.raises(RateLimited) as caught:
        service.submit(NPM)
    assert caught.value.retry_after == seconds


def test_without_a_key_nothing_is_sent() -> None:
    with RawServer(always(b"")) as server:
        with HttpService(ServiceSettings.from_environ({"SCANGATE_API_URL": server.url})) as service:
            for call in operations(server).values():
                with pytest.raises(Unauthorised, match="there is no key"):
                    call(service)
        assert server.connections == 0


def test_requests_is_loaded_by_the_first_request_only() -> None:
    code = (
        "import sys; from scangate.service.client import HttpService; "
        "from scangate.service.settings import ServiceSettings; "
        "HttpService(ServiceSettings.from_environ({'SCANGATE_API_KEY': 'k'})).close(); "
        "print(sorted({'requests', 'urllib3'} & set(sys.modules)))"
    )
    done = run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_the_client_is_a_service() -> None:
    service: Service = HttpService(ServiceSettings.from_environ({}))
    assert isinstance(service, HttpService)
