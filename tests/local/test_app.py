"""The API's operations, over HTTP."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import requests

from tests.local.conftest import (
    Client,
    Clock,
    StartService,
    connect,
    download,
    dynamic_report,
    write_json,
)

PURL = "pkg:npm/left-pad@1.0.0"
SUBMIT = "/api/v1/analyze/purl/"
UPLOAD = "/api/v1/archives/upload-url/"
ARCHIVE = "/api/v1/analyze/archive/"
LIST = "/api/v1/reports/"


def refused(answer: requests.Response, status: int, field: str | None = None) -> dict[str, Any]:
    """The error's body, with the envelope that every error but 401 and 429 has."""
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    assert body["success"] is False
    assert UUID(body["request_id"])
    assert body["error"]
    if field is not None:
        assert list(body["fields"]) == [field]
    return body


# ------------------------------------------------------------------------------------------- submission


def test_a_new_package_is_queued_then_analysed_and_its_report_is_the_recorded_one(
    client: Client, replay_dir: Path
) -> None:
    answer = client.submit(PURL)
    assert answer.status_code == 201
    body = answer.json()
    assert body["success"] is True
    assert UUID(body["request_id"])
    assert body["data"]["status"] == "queued"
    task_id = body["data"]["task_id"]
    assert body["data"]["status_url"] == f"{client.service.url}/api/v1/task/{task_id}/"

    task = client.ended(task_id)
    assert task["status"] == "completed"
    assert task["purl"] == PURL
    assert task["engine_type"] == "dynamic-analysis"
    assert task["created_at"].endswith("+00:00")
    assert "error_message" not in task
    report = download(task["report_blob_url"])
    assert report.content == (replay_dir / "left-pad.json").read_bytes()
    assert report.headers["content-type"] == "application/json"


def test_a_package_being_analysed_is_answered_with_its_task(start: StartService, replay_dir: Path) -> None:
    write_json(replay_dir / "replay.json", {"delay": 60})
    client = start()
    first = client.submit(PURL)
    client.until(first.json()["data"]["task_id"], lambda task: task["status"] == "processing")

    second = client.submit("pkg:npm/left-pad@1.0.0?")

    assert second.status_code == 200
    assert second.json()["success"] is True
    assert second.json()["data"] == {
        "task_id": first.json()["data"]["task_id"],
        "status": "processing",
        "message": "Analysis already processing",
    }


def test_a_package_analysed_before_is_answered_without_an_envelope(client: Client, replay_dir: Path) -> None:
    task_id = client.submit(PURL).json()["data"]["task_id"]
    client.ended(task_id)

    answer = client.submit(PURL)

    assert answer.status_code == 200
    body = answer.json()
    assert {"success", "request_id", "data"}.isdisjoint(body)
    assert (body["task_id"], body["status"]) == (task_id, "completed")
    recorded = (replay_dir / "left-pad.json").read_bytes()
    assert body["report_metadata"]["size_bytes"] == len(recorded)
    assert download(body["report_metadata"]["download_url"]).content == recorded


def test_each_engine_has_its_own_task(client: Client) -> None:
    dynamic = client.submit("pkg:pypi/requests@2.0", "dynamic-analysis").json()["data"]["task_id"]
    lastpymile = client.submit("pkg:pypi/requests@2.0", "lastpymile").json()["data"]["task_id"]
    assert client.ended(dynamic)["status"] == "failed"
    task = client.ended(lastpymile)
    assert (task["status"], task["engine_type"]) == ("completed", "lastpymile")


def test_an_empty_engine_means_the_default(client: Client) -> None:
    answer = client.post(SUBMIT, {"purl": PURL}, headers={"Engine": ""})
    assert answer.status_code == 201
    assert client.task(answer.json()["data"]["task_id"])["engine_type"] == "dynamic-analysis"


def test_a_package_without_recording_fails_and_says_so(client: Client) -> None:
    task = client.ended(client.submit("pkg:npm/unheard-of@9.9.9").json()["data"]["task_id"])
    assert task["status"] == "failed"
    assert "No recording of pkg:npm/unheard-of@9.9.9" in task["error_message"]
    assert "report_blob_url" not in task


def test_a_failed_analysis_is_run_again_when_it_is_asked_for_again(client: Client) -> None:
    first = client.submit("pkg:npm/unheard-of@9.9.9").json()["data"]["task_id"]
    client.ended(first)
    again = client.submit("pkg:npm/unheard-of@9.9.9")
    assert again.status_code == 201
    assert again.json()["data"]["task_id"] != first


def test_a_completed_task_may_lack_its_report(start: StartService, replay_dir: Path) -> None:
    write_json(replay_dir / "replay.json", {"recordings": [{"purl": PURL, "report": None}]})
    client = start()
    task = client.ended(client.submit(PURL).json()["data"]["task_id"])
    assert task["status"] == "completed"
    assert "report_blob_url" not in task
    assert "report_metadata" not in client.submit(PURL).json()


def test_a_status_is_whatever_the_script_says(start: StartService, replay_dir: Path) -> None:
    script = [
        {"purl": "pkg:npm/slow@1", "report": None, "status": "timeout", "error-message": "Too slow."},
        {"purl": "pkg:npm/odd@1", "report": None, "status": "exploded"},
        {"purl": "pkg:npm/stuck@1", "report": None, "status": "running"},
    ]
    write_json(replay_dir / "replay.json", {"recordings": script})
    client = start()
    slow, odd, stuck = (client.submit(str(entry["purl"])).json()["data"]["task_id"] for entry in script)
    task = client.ended(slow)
    assert (task["status"], task["error_message"]) == ("timeout", "Too slow.")
    assert client.ended(odd)["status"] == "exploded"
    assert client.ended(stuck)["status"] == "running"
    assert client.submit("pkg:npm/stuck@1").json()["data"]["task_id"] == stuck


def test_many_at_once_make_one_task(start: StartService, replay_dir: Path) -> None:
    write_json(replay_dir / "replay.json", {"delay": 60})
    client = start(rate_limit=None)
    barrier = threading.Barrier(16)

    def submit(_: int) -> tuple[int, int]:
        barrier.wait()
        headers = {"X-API-Key": client.key}
        answer = requests.post(client.service.url + SUBMIT, json={"purl": PURL}, headers=headers, timeout=20)
        return answer.status_code, answer.json()["data"]["task_id"]

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(submit, range(16)))

    assert {task_id for _, task_id in answers} == {answers[0][1]}
    assert sorted(status for status, _ in answers) == [200] * 15 + [201]
    assert client.get(LIST).json()["data"]["total"] == 1


@pytest.mark.parametrize(
    ("purl", "engine"),
    [
        ("pkg:vscode-extension/publisher/name@1.0.0", "lastpymile"),
        ("pkg:cargo/serde@1.0.0", "dynamic-analysis"),
        ("pkg:npm/left-pad", "dynamic-analysis"),
        ("npm/left-pad@1.0.0", "dynamic-analysis"),
        ("pkg:npm/%ff@1.0.0", "dynamic-analysis"),
        ("pkg:npm/\ud800@1.0.0", "dynamic-analysis"),
        ("", "dynamic-analysis"),
        (None, "dynamic-analysis"),
        (7, "dynamic-analysis"),
        (["pkg:npm/left-pad@1.0.0"], "dynamic-analysis"),
    ],
)
def test_a_purl_that_cannot_be_analysed_is_refused(shared: Client, purl: object, engine: str) -> None:
    body = json.dumps({"purl": purl})
    headers = {"Engine": engine, "Content-Type": "application/json"}
    refused(shared.request("POST", SUBMIT, data=body, headers=headers), 400, "purl")


def test_a_vs_code_extension_is_taken_by_the_dynamic_analysis(shared: Client) -> None:
    answer = shared.submit("pkg:vscode-extension/Publisher/Name@1.0.0")
    assert answer.status_code == 201
    assert shared.task(answer.json()["data"]["task_id"])["purl"] == "pkg:vscode-extension/publisher/name@1.0.0"


def test_an_unknown_engine_is_refused(shared: Client) -> None:
    refused(shared.submit(PURL, "Dynamic-Analysis"), 400, "Engine")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"pkg:npm/left-pad@1.0.0"',
        b"null",
        b'{"purl": "\xff"}',
        b"[" * 50_000,
        b'{"purl": ' + b"9" * 5_000 + b"}",
    ],
    ids=["empty", "truncated", "list", "text", "null", "not UTF-8", "deep", "long number"],
)
def test_a_body_that_is_no_json_object_is_refused(shared: Client, body: bytes) -> None:
    refused(shared.request("POST", SUBMIT, data=body, headers={"Content-Type": "application/json"}), 400)


def test_a_body_of_another_type_is_refused(shared: Client) -> None:
    refused(shared.request("POST", SUBMIT, data={"purl": PURL}), 400)


def test_a_body_without_end_is_cut_off(shared: Client) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 4096

    answer = shared.request("POST", SUBMIT, data=endless(), headers={"Content-Type": "application/json"})
    refused(answer, 413)


# --------------------------------------------------------------------------------------------- archives


def test_an_archive_is_uploaded_analysed_and_reported(client: Client, replay_dir: Path) -> None:
    upload = client.upload_url("left-pad-1.0.0.tgz")
    assert upload["gcs_path"].endswith("/left-pad-1.0.0.tgz")
    assert upload["url"].startswith(client.service.storage_url)
    assert requests.put(upload["url"], data=b"archive", timeout=20).status_code == 200

    body = {"purl": PURL, "gcs_path": upload["gcs_path"], "github_url": "https://github.example.com/left/pad"}
    answer = client.post(ARCHIVE, body)

    assert answer.status_code == 201
    task = client.ended(answer.json()["data"]["task_id"])
    assert task["status"] == "completed"
    assert download(task["report_blob_url"]).content == (replay_dir / "left-pad.json").read_bytes()


def put(client: Client, content: bytes) -> str:
    upload = client.upload_url()
    assert requests.put(upload["url"], data=content, timeout=20).status_code == 200
    return upload["gcs_path"]


def test_archives_are_told_apart_by_their_content(start: StartService, replay_dir: Path) -> None:
    """The same bytes under analysis are one task; other bytes, or the registry's package, are another."""
    write_json(replay_dir / "replay.json", {"delay": 60})
    client = start()
    of_registry = client.submit(PURL).json()["data"]["task_id"]
    answers = [
        client.post(ARCHIVE, {"purl": PURL, "gcs_path": put(client, content)}) for content in (b"one", b"one", b"two")
    ]
    assert [answer.status_code for answer in answers] == [201, 200, 201]
    one, again, two = (answer.json()["data"]["task_id"] for answer in answers)
    assert one == again
    assert len({of_registry, one, two}) == 3


def test_a_completed_archive_is_analysed_again(client: Client) -> None:
    path = put(client, b"archive")
    first = client.post(ARCHIVE, {"purl": PURL, "gcs_path": path}).json()["data"]["task_id"]
    client.ended(first)
    assert client.post(ARCHIVE, {"purl": PURL, "gcs_path": path}).status_code == 201


@pytest.mark.parametrize(
    "path",
    ["uploads/none/left-pad-1.0.0.tgz", "../tasks.db", "/etc/passwd", "api-key", "", None, 7],
)
def test_an_unknown_gcs_path_is_refused(shared: Client, path: object) -> None:
    refused(shared.post(ARCHIVE, {"purl": PURL, "gcs_path": path}), 400, "gcs_path")


def test_a_gcs_path_that_nothing_was_uploaded_to_is_refused(shared: Client) -> None:
    refused(shared.post(ARCHIVE, {"purl": PURL, "gcs_path": shared.upload_url()["gcs_path"]}), 400, "gcs_path")


def test_another_keys_upload_is_unknown(start: StartService) -> None:
    client = start(keys=("first-key", "second-key"))
    path = put(client, b"archive")
    client.key = "second-key"
    refused(client.post(ARCHIVE, {"purl": PURL, "gcs_path": path}), 400, "gcs_path")


URL = "https://github.example.com/left/pad"


@pytest.mark.parametrize(
    ("urls", "status"),
    [
        ({}, 201),
        ({"github_url": None, "archive_github_url": None}, 201),
        ({"archive_github_url": URL}, 201),
        ({"github_url": URL, "archive_github_url": URL}, 201),
        ({"github_url": URL, "archive_github_url": URL + "s"}, 400),
        ({"github_url": "javascript:alert(1)"}, 400),
        ({"github_url": "https://"}, 400),
        ({"github_url": "https://[::1"}, 400),
        ({"github_url": "https://example.com/" + "a" * 2048}, 400),
        ({"archive_github_url": 7}, 400),
    ],
)
def test_the_source_url_has_two_names_and_must_be_a_url(shared: Client, urls: dict[str, object], status: int) -> None:
    answer = shared.post(ARCHIVE, {"purl": PURL, "gcs_path": put(shared, repr(urls).encode())} | urls)
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    "filename",
    [
        "../left-pad.tgz",
        "..\\left-pad.tgz",
        "/etc/cron.d/x.zip",
        "a/b.tgz",
        "left-pad.tgz\n",
        "left\x00pad.tgz",
        "left\u202epad.tgz",
        "left-pad.exe",
        "..",
        "a" * 252 + ".tgz",
        "",
        None,
        7,
    ],
)
def test_a_file_name_that_is_none_is_refused(shared: Client, filename: object) -> None:
    refused(shared.post(UPLOAD, {"filename": filename}), 400, "filename")


@pytest.mark.parametrize("filename", ["päckage 1%2F+x#?.tar.gz", "..tgz", "a" * 251 + ".whl", "X.VSIX", "x.zip"])
def test_any_plain_file_name_can_be_uploaded(shared: Client, filename: str) -> None:
    upload = shared.upload_url(filename)
    assert requests.put(upload["url"], data=filename.encode(), timeout=20).status_code == 200
    answer = shared.post(ARCHIVE, {"purl": PURL, "gcs_path": upload["gcs_path"]})
    assert answer.status_code == 201


# ------------------------------------------------------------------------------------------ task, list


@pytest.mark.parametrize("task_id", ["0", "999999", "-1", "x", "１", "1_0", "9223372036854775808", "9" * 5000])
def test_an_unknown_task_is_not_found(shared: Client, task_id: str) -> None:
    refused(shared.get(f"/api/v1/task/{task_id}/"), 404)


def test_another_keys_task_is_found_by_id_and_not_listed(start: StartService) -> None:
    client = start(keys=("first-key", "second-key"))
    task_id = client.submit(PURL).json()["data"]["task_id"]
    client.ended(task_id)
    client.key = "second-key"
    assert client.submit(PURL).json()["task_id"] == task_id
    assert client.task(task_id)["status"] == "completed"
    assert client.get(LIST).json()["data"] == {"items": [], "page": 1, "page_size": 20, "total": 0}


def test_the_list_is_paged_newest_first(start: StartService) -> None:
    client = start(clock=Clock())
    made = [client.submit(f"pkg:npm/nothing@{number}").json()["data"]["task_id"] for number in range(5)]
    pages = [client.get(f"{LIST}?page={page}&page_size=2").json()["data"] for page in (1, 2, 3, 4)]
    assert [[item["task_id"] for item in page["items"]] for page in pages] == [
        made[:2:-1],
        made[2:0:-1],
        made[:1],
        [],
    ]
    assert {page["total"] for page in pages} == {5}
    item = pages[0]["items"][0]
    assert item["status_url"] == f"{client.service.url}/api/v1/task/{made[-1]}/"
    assert item["created_at"] == "2027-01-15T08:00:00.000000+00:00"
    assert "report_blob_url" not in item


def test_the_list_can_be_of_one_status(client: Client) -> None:
    completed = client.submit(PURL).json()["data"]["task_id"]
    failed = client.submit("pkg:npm/nothing@1").json()["data"]["task_id"]
    client.ended(completed)
    client.ended(failed)
    listed = client.get(f"{LIST}?status=failed").json()["data"]
    assert [(item["task_id"], item["status"]) for item in listed["items"]] == [(failed, "failed")]
    assert listed["total"] == 1
    assert listed["items"][0]["error_message"]
    assert client.get(f"{LIST}?status=timeout").json()["data"]["total"] == 0


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page=0", "page"),
        ("page=", "page"),
        ("page=x", "page"),
        ("page=1&page=2", "page"),
        ("page=" + "9" * 5000, "page"),
        ("page_size=0", "page_size"),
        ("page_size=101", "page_size"),
        ("page_size=-1", "page_size"),
        ("page_size=1.0", "page_size"),
        ("status=", "status"),
        ("status=pending", "status"),
    ],
)
def test_a_query_out_of_range_is_refused(shared: Client, query: str, field: str) -> None:
    refused(shared.get(f"{LIST}?{query}"), 400, field)


def test_a_page_far_beyond_the_end_is_empty(client: Client) -> None:
    client.submit(PURL)
    listed = client.get(f"{LIST}?page=9223372036854775807&page_size=100").json()["data"]
    assert (listed["items"], listed["total"]) == ([], 1)


# ------------------------------------------------------------------------------------- methods, paths


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", SUBMIT, {"POST"}),
        ("PUT", UPLOAD, {"POST"}),
        ("DELETE", ARCHIVE, {"POST"}),
        ("OPTIONS", SUBMIT, {"POST"}),
        ("POST", LIST, {"GET", "HEAD"}),
        ("PATCH", "/api/v1/task/1/", {"GET", "HEAD"}),
    ],
)
def test_another_method_is_refused_and_the_right_ones_named(
    shared: Client, method: str, path: str, allowed: set[str]
) -> None:
    answer = shared.request(method, path)
    refused(answer, 405)
    assert set(answer.headers["allow"].split(", ")) == allowed


def test_head_is_get_without_the_body(shared: Client) -> None:
    answer = shared.request("HEAD", LIST)
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("path", ["/", "/api/v2/task/1/", "/api/v1/task/1/2/", "/reports/1.json", "/uploads/x"])
def test_an_unknown_path_is_not_found(shared: Client, path: str) -> None:
    refused(shared.get(path), 404)


def test_a_path_without_its_last_slash_is_redirected(shared: Client) -> None:
    answer = shared.get("/api/v1/task/1")
    assert answer.status_code == 307
    assert answer.headers["location"] == f"{shared.service.url}/api/v1/task/1/"


def test_the_api_serves_no_signed_path(client: Client) -> None:
    """Not even to who holds the key and the signature."""
    task = client.ended(client.submit(PURL).json()["data"]["task_id"])
    on_api = task["report_blob_url"].replace(client.service.storage_url, client.service.url)
    refused(client.get(on_api), 404)


def test_what_is_not_http_is_answered_and_dropped(shared: Client) -> None:
    with connect(shared.service.url) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        answer = b""
        while chunk := connection.recv(4096):
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 400")


def test_the_report_may_be_of_any_form(start: StartService, replay_dir: Path) -> None:
    """Served byte by byte: clients are tested with broken reports, too."""
    (replay_dir / "broken.txt").write_bytes(b"\xff{")
    write_json(replay_dir / "other.json", dynamic_report("other-package", "1.0.0"))
    script = [
        {"purl": PURL, "report": "broken.txt"},
        {"purl": "pkg:npm/right-pad@1.0.0", "report": "other.json"},
    ]
    write_json(replay_dir / "replay.json", {"recordings": script})
    client = start()
    task = client.ended(client.submit(PURL).json()["data"]["task_id"])
    assert download(task["report_blob_url"]).content == b"\xff{"
    task = client.ended(client.submit("pkg:npm/right-pad@1.0.0").json()["data"]["task_id"])
    assert download(task["report_blob_url"]).json()["Package"]["Name"] == "other-package"
