"""Real server processes: killed, stopped, started again on the same data directory, on a full disk."""

import signal
import time
from pathlib import Path

import pytest
import requests

from tests.local.conftest import WAIT_SECONDS, Client, dynamic_report, write_json
from tests.local.serving import Server, serving

PURLS = [f"pkg:npm/package-{number}@1.0.0" for number in range(6)]


@pytest.fixture
def many(tmp_path: Path) -> Path:
    for number in range(len(PURLS)):
        write_json(tmp_path / "many" / f"{number}.json", dynamic_report(f"package-{number}", "1.0.0"))
    return tmp_path / "many"


def asked(server: Server) -> Client:
    return Client(service=server, key=server.key)  # type: ignore[arg-type]  # a process has the same url


def statuses(client: Client) -> list[str]:
    items = client.get("/api/v1/reports/").json()["data"]["items"]
    return [item["status"] for item in reversed(items)]


def test_a_killed_server_loses_no_task(tmp_path: Path, many: Path) -> None:
    """Of six tasks, one is done and one is running when the server is killed."""
    data = tmp_path / "data"
    entries = [{"purl": purl, "delay": 0 if purl == PURLS[0] else 120} for purl in PURLS]
    write_json(many / "replay.json", {"recordings": entries})
    with serving(data_dir=data, replay_dir=many, workers=1) as server:
        client = asked(server)
        tasks = [client.submit(purl).json()["data"]["task_id"] for purl in PURLS]
        client.ended(tasks[0])
        client.until(tasks[1], lambda task: task["status"] == "processing")
        server.process.kill()
        server.process.wait(WAIT_SECONDS)

    write_json(many / "replay.json", {})
    with serving(data_dir=data, replay_dir=many, workers=2) as server:
        again = asked(server)
        assert again.key == client.key
        assert [again.ended(task)["status"] for task in tasks] == ["completed"] * 6
        assert [again.task(task)["purl"] for task in tasks] == PURLS
        assert statuses(again) == ["completed"] * 6
        assert again.submit(PURLS[3]).json()["task_id"] == tasks[3]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_in_order(tmp_path: Path, many: Path, number: signal.Signals) -> None:
    write_json(many / "replay.json", {"delay": 120})
    with serving(data_dir=tmp_path / "data", replay_dir=many) as server:
        client = asked(server)
        task = client.submit(PURLS[0]).json()["data"]["task_id"]
        client.until(task, lambda task: task["status"] == "processing")
        server.process.send_signal(number)
        out, err = server.process.communicate(timeout=WAIT_SECONDS)
    assert (server.process.returncode, out, err) == (0, "", "")
    write_json(many / "replay.json", {})
    with serving(data_dir=tmp_path / "data", replay_dir=many) as server:
        assert asked(server).ended(task)["status"] == "completed"


def test_a_full_disk_is_an_error_and_no_hang(tmp_path: Path, many: Path) -> None:
    """Files may not grow beyond 512 KiB: uploads and, after a while, new tasks fail; what is there is still served."""
    with serving(data_dir=tmp_path / "data", replay_dir=many, rate_limit=None, file_bytes=512 * 1024) as server:
        client = asked(server)
        first = client.submit(PURLS[0]).json()["data"]["task_id"]
        client.ended(first)
        upload = requests.put(client.upload_url()["url"], data=b"x" * 1_000_000, timeout=WAIT_SECONDS)
        assert upload.status_code == 500
        assert upload.json()["success"] is False
        assert not list((tmp_path / "data" / "incoming").iterdir())

        latest = time.monotonic() + 3 * WAIT_SECONDS
        number = 0
        while (answer := client.submit(f"pkg:npm/{'x' * 3000}@{number}")).status_code == 201:
            assert time.monotonic() < latest
            number += 1
        assert answer.status_code == 500
        assert answer.json()["success"] is False
        assert client.task(first)["status"] == "completed"
        server.process.kill()
        assert "Traceback" not in (server.process.stderr.read() if server.process.stderr else "")
