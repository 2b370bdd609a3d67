import socket
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from scangate.errors import ReportError, StateError, UsageError
from scangate.local.config import ServiceConfig
from scangate.local.server import run
from tests.local.conftest import Client, StartService, connect, download, write_json

PURL = "pkg:npm/left-pad@1.0.0"


def test_it_listens_on_loopback_alone_on_two_origins(client: Client) -> None:
    for url in (client.service.url, client.service.storage_url):
        assert url.startswith("http://127.0.0.1:")
    assert client.service.url != client.service.storage_url


def test_the_key_is_random_kept_and_its_owners_alone(start: StartService, tmp_path: Path, replay_dir: Path) -> None:
    first = start()
    file = first.service.key_file
    assert file.read_text() == first.key + "\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    assert len(first.key) >= 32
    first.service.__exit__(None, None, None)
    assert start().key == first.key
    assert start(data_dir=tmp_path / "other").key != first.key


def test_a_given_key_is_let_in_and_kept(start: StartService, tmp_path: Path) -> None:
    start().service.__exit__(None, None, None)
    given = start(keys=("given-key",))
    assert given.key == "given-key"
    assert given.get("/api/v1/reports/").status_code == 200
    assert given.service.key_file.read_text() == "given-key\n"


@pytest.mark.parametrize("key", ["", " ", "two words", "schlüssel", "line\nbreak"])
def test_a_key_that_no_header_can_carry_is_an_error(start: StartService, key: str) -> None:
    with pytest.raises(UsageError, match="printable ASCII"):
        start(keys=(key,))


@pytest.mark.parametrize("content", [b"two words\n", b"\xff\n"])
def test_a_kept_key_that_was_spoilt_is_an_error(start: StartService, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "api-key").write_bytes(content)
    with pytest.raises(UsageError, match="api-key: an API key must be"):
        start()


def test_a_server_that_ends_by_itself_is_an_error(tmp_path: Path, replay_dir: Path) -> None:
    config = ServiceConfig(data_dir=tmp_path / "data", replay_dir=replay_dir)
    with pytest.raises(StateError, match="by itself"):
        run(config, lambda service: service.over.set())


def test_no_secret_is_written_elsewhere(client: Client, tmp_path: Path) -> None:
    client.ended(client.submit(PURL).json()["data"]["task_id"])
    client.service.__exit__(None, None, None)
    files = [file for file in (tmp_path / "data").rglob("*") if file.is_file()]
    assert [file.name for file in files if client.key.encode() in file.read_bytes()] == ["api-key"]


def test_signed_urls_and_keys_are_not_logged(
    client: Client, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    task = client.ended(client.submit(PURL).json()["data"]["task_id"])
    download(task["report_blob_url"])
    download(task["report_blob_url"] + "0")
    own = "".join(record.getMessage() for record in caplog.records if not record.name.startswith("urllib3"))
    said = own + "".join(capfd.readouterr())
    assert "signature" not in said
    assert client.key not in said


def test_one_data_directory_serves_one_service_at_a_time(start: StartService) -> None:
    start()
    with pytest.raises(StateError, match="in use by another service"):
        start()


def test_a_taken_port_is_an_error(start: StartService) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match=r"127\.0\.0\.1:"):
        start(port=taken.getsockname()[1])


def test_a_given_port_is_used_again_after_a_restart(start: StartService) -> None:
    first = start()
    port = int(first.service.url.rpartition(":")[2])
    first.get("/api/v1/reports/")
    first.service.__exit__(None, None, None)
    assert start(port=port).service.url == first.service.url


@pytest.mark.parametrize("name", ["starlette", "uvicorn"])
def test_a_missing_extra_is_an_error_that_says_how_to_get_it(
    start: StartService, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError) as caught:
        start()
    assert name in caught.value.message
    assert caught.value.hint == 'Run: python -m pip install "scangate[local]"'


def test_starting_needs_neither_framework_before_it_serves() -> None:
    code = "import sys, scangate.local.server; sys.exit(bool({'starlette', 'uvicorn'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


@pytest.mark.parametrize(
    "settings",
    [
        {"port": -1},
        {"port": 65536},
        {"rate_limit": 0},
        {"workers": 0},
    ],
)
def test_a_setting_that_makes_no_sense_is_an_error(tmp_path: Path, settings: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        ServiceConfig(data_dir=tmp_path, replay_dir=tmp_path, **settings)  # type: ignore[arg-type]  # on purpose


def test_a_data_directory_that_cannot_be_used_is_an_error(start: StartService, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError):
        start(data_dir=tmp_path / "file" / "data")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "blobs").write_text("")
    with pytest.raises(StateError):
        start()


def test_a_store_without_its_tables_is_an_error(start: StartService, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with closing(sqlite3.connect(tmp_path / "data" / "tasks.db")) as connection:
        connection.execute("PRAGMA user_version = 1")
    with pytest.raises(StateError, match="no such table"):
        start()


def test_a_start_that_fails_leaves_nothing_behind(start: StartService, replay_dir: Path) -> None:
    write_json(replay_dir / "broken.json", {})
    with pytest.raises(ReportError):
        start()
    (replay_dir / "broken.json").unlink()
    assert start().get("/api/v1/reports/").status_code == 200


def test_submissions_fail_as_the_script_says(start: StartService, replay_dir: Path) -> None:
    write_json(replay_dir / "replay.json", {"recordings": [{"purl": PURL, "submit-failures": [503, 429]}]})
    client = start()
    answers = [client.submit(PURL) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 429, 201]
    assert answers[0].json()["success"] is False
    assert "success" not in answers[1].json()


def test_a_running_analysis_is_taken_up_after_an_orderly_stop(start: StartService, replay_dir: Path) -> None:
    write_json(replay_dir / "replay.json", {"delay": 120})
    first = start()
    task = first.submit(PURL).json()["data"]["task_id"]
    first.until(task, lambda task: task["status"] == "processing")
    first.service.__exit__(None, None, None)
    write_json(replay_dir / "replay.json", {"delay": 0})
    assert start().ended(task)["status"] == "completed"


def test_a_lost_report_is_a_server_error(client: Client, tmp_path: Path) -> None:
    task = client.ended(client.submit(PURL).json()["data"]["task_id"])
    for blob in (tmp_path / "data" / "blobs").iterdir():
        blob.unlink()
    answer = download(task["report_blob_url"])
    assert answer.status_code == 500
    assert str(tmp_path) not in answer.text


# ------------------------------------------------------------------------------------- slow clients


def received(connection: socket.socket) -> bytes:
    """Everything until the server closes; the socket's own time-out fails the test if it never does."""
    answer = b""
    try:
        while chunk := connection.recv(65536):
            answer += chunk
    except ConnectionResetError:
        pass
    return answer


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HTTP/1.1\r\nHost:", b"GET /x HTTP/1.1\r\nHost: x\r\n\r\nGET /y HTTP/1.1\r\n"]
)
def test_a_connection_that_brings_no_request_is_dropped(start: StartService, sent: bytes) -> None:
    client = start(request_seconds=0.5)
    with connect(client.service.url) as connection:
        connection.sendall(sent)
        answer = received(connection)
    assert answer.count(b"HTTP/1.1 ") == sent.count(b"\r\n\r\n")


def test_a_body_that_does_not_come_is_answered_408(start: StartService) -> None:
    client = start(request_seconds=0.5)
    head = (
        f"POST /api/v1/analyze/purl/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.key}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    with connect(client.service.url) as connection:
        connection.sendall(head.encode())
        answer = received(connection)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b'"success":false' in answer


def test_a_report_that_is_not_read_is_given_up(start: StartService, replay_dir: Path) -> None:
    size = 32 * 1024 * 1024
    (replay_dir / "large.txt").write_bytes(b"x" * size)
    write_json(replay_dir / "replay.json", {"recordings": [{"purl": PURL, "report": "large.txt"}]})
    client = start(request_seconds=0.5, transfer_seconds=0.2)
    task = client.ended(client.submit(PURL).json()["data"]["task_id"])
    target = task["report_blob_url"].removeprefix(client.service.storage_url)
    with connect(client.service.storage_url) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert connection.recv(1) == b"H"
        client.service.__exit__(None, None, None)  # waits for the connection to be given up
        assert len(received(connection)) < size


def test_a_client_that_goes_away_disturbs_nobody(client: Client) -> None:
    for _ in range(20):
        with connect(client.service.url) as connection:
            connection.sendall(b"POST /api/v1/analyze/purl/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    assert client.get("/api/v1/reports/").status_code == 200
