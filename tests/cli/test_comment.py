"""`scangate comment` as a workflow runs it, against a GitHub on loopback."""

import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scangate.forge.sticky import marker
from scangate.output.verdict_json import render
from scangate.policy.exit_codes import exit_code
from tests.cli.conftest import Result, Scangate
from tests.forge.fake import TOKEN, FakeGitHub
from tests.output.cases import CASES
from tests.service.fakes.raw import RawServer, json_response, response

MARKER = marker(".")


@pytest.fixture
def fake() -> Iterator[FakeGitHub]:
    with FakeGitHub() as server:
        yield server


@pytest.fixture
def comment(scangate: Scangate, project: Path, fake: FakeGitHub) -> Callable[..., Result]:
    """Run it on one of the golden cases, with the event of pull request 7; keywords are environment variables."""
    event = project.parent / "event.json"
    event.write_text(json.dumps({"action": "opened", "pull_request": {"number": 7}}))

    def call(case: str, *argv: str, cwd: Path = project, **environ: str) -> Result:
        verdict = CASES[case]
        (project / "report.json").write_text(render(verdict, exit_code=exit_code(verdict), version="0"))
        (project / "report.md").write_text(f"# scangate: {case}\n")
        files = "--report", str(project / "report.json"), "--markdown", str(project / "report.md")
        return scangate(
            "comment", *files, *argv, cwd=cwd, **{"GITHUB_EVENT_PATH": str(event), **fake.environ, **environ}
        )

    return call


def test_from_red_to_green(comment: Callable[..., Result], fake: FakeGitHub) -> None:
    blocked = comment("blocked")
    assert (blocked.code, blocked.out) == (0, "")
    assert blocked.err == "scangate: comment on pull request 7 posted.\n"
    assert comment("passed").err == "scangate: comment on pull request 7 updated.\n"
    assert fake.bodies() == [f"{MARKER}\n# scangate: passed\n"]


@pytest.mark.parametrize("case", ["passed", "incomplete", "allowed"])
def test_where_nothing_was_ever_found_nothing_is_posted(
    comment: Callable[..., Result], fake: FakeGitHub, case: str
) -> None:
    result = comment(case)
    assert (result.code, fake.bodies()) == (0, [])
    assert "not posted" in result.err


@pytest.mark.parametrize("case", ["blocked", "warned", "observe", "blocked-and-incomplete"])
def test_findings_are_posted(comment: Callable[..., Result], fake: FakeGitHub, case: str) -> None:
    assert comment(case).code == 0
    assert len(fake.bodies()) == 1


def test_an_outage_after_a_finding_is_told_in_the_same_comment(
    comment: Callable[..., Result], fake: FakeGitHub
) -> None:
    comment("blocked")
    comment("incomplete")
    assert fake.bodies() == [f"{MARKER}\n# scangate: incomplete\n"]


REFUSALS = [
    (json_response(403, {"message": "Resource not accessible by integration"}), "pull-requests: write"),
    (json_response(401, {"message": f"Bad credentials {TOKEN}"}), "401"),
    (json_response(404, {"message": "Not Found"}), "404"),
    (json_response(410, {"message": "Issues are disabled"}), "410: Issues are disabled"),
    (json_response(429, {"message": "slow down"}), "429"),
    (json_response(500, {"message": "\x1b[2J\n::error::forged"}), "500"),
    (response(502, b"<html>" * 100_000), "502"),
    (b"", "broke off"),
]
NO_COMMENTS = [
    (response(200, b"[" * 100_000), "no list"),
    (response(200, b"{}"), "no list"),
    (response(200, b'[{"id": "7"}]'), "no comment"),
    (response(200, b'[{"id": true}]'), "no comment"),
    (response(200, b"[1]"), "no comment"),
    (response(200, b"", {"Content-Length": "100"}), "broke off"),
]


@pytest.mark.parametrize(
    ("method", "answer", "said"),
    [*(("GET", *each) for each in (*REFUSALS, *NO_COMMENTS)), *(("POST", *each) for each in REFUSALS)],
)
def test_what_github_refuses_is_a_warning(
    comment: Callable[..., Result], fake: FakeGitHub, method: str, answer: bytes, said: str
) -> None:
    fake.answers[method] = answer
    result = comment("blocked")
    assert result.code == 0
    assert result.err.startswith("scangate: warning: no comment: ")
    assert said in result.err
    assert len(result.err.splitlines()) == 1
    assert "\x1b" not in result.err
    assert TOKEN not in result.err
    assert fake.bodies() == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_gets_no_token(comment: Callable[..., Result], fake: FakeGitHub, status: int) -> None:
    with RawServer(lambda _: json_response(200, [])) as elsewhere:
        fake.answers["GET"] = response(status, b"", {"Location": f"{elsewhere.url}/repos"})
        result = comment("blocked")
        assert elsewhere.connections == 0
    assert result.code == 0
    assert "a redirect; none is followed" in result.err


def test_a_huge_answer_is_not_read_to_its_end(comment: Callable[..., Result], fake: FakeGitHub) -> None:
    def endless(_: object) -> Any:
        yield b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n["
        while not fake.stopped.is_set():
            yield b" " * 2**20

    fake.answers["GET"] = endless
    result = comment("blocked")
    assert result.code == 0
    assert "is larger than" in result.err


def test_no_github_at_all_is_a_warning(comment: Callable[..., Result]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    result = comment("blocked", GITHUB_API_URL=f"http://127.0.0.1:{port}")
    assert result.code == 0
    assert "warning: no comment" in result.err
    assert "cannot be reached" in result.err


@pytest.mark.parametrize(
    "event", ["{}", '{"pull_request": {}}', '{"issue": {"number": 7}}', '{"ref": "refs/heads/main"}']
)
def test_an_event_without_a_pull_request_needs_no_comment(
    comment: Callable[..., Result], fake: FakeGitHub, tmp_path: Path, event: str
) -> None:
    (tmp_path / "push.json").write_text(event)
    result = comment("blocked", GITHUB_EVENT_PATH=str(tmp_path / "push.json"))
    assert (result.code, fake.asked) == (0, [])
    assert "not one of a pull request" in result.err


def test_the_pull_request_can_be_named(comment: Callable[..., Result], fake: FakeGitHub) -> None:
    assert comment("blocked", "--pull-request", "12", GITHUB_EVENT_PATH="").code == 0
    assert list(fake.comments) == [12]


def test_each_folder_has_its_own_comment_and_a_name_counts_instead(
    comment: Callable[..., Result], fake: FakeGitHub, project: Path
) -> None:
    (project / ".git").mkdir()
    (project / "web").mkdir()
    comment("blocked", cwd=project / "web")
    comment("blocked")
    comment("passed", cwd=project / "web")
    comment("blocked", "--name", "web")
    assert [body.split("\n")[0] for body in fake.bodies()] == [marker("web"), MARKER]
    assert "passed" not in fake.bodies()[0]


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"GITHUB_TOKEN": ""}, "GITHUB_TOKEN is not set"),
        ({"GITHUB_TOKEN": "two words"}, "GITHUB_TOKEN holds a space"),
        ({"GITHUB_REPOSITORY": ""}, "GITHUB_REPOSITORY is not OWNER/NAME"),
        ({"GITHUB_REPOSITORY": "acme/shop/../../user"}, "GITHUB_REPOSITORY"),
        ({"GITHUB_REPOSITORY": "../shop"}, "GITHUB_REPOSITORY"),
        ({"GITHUB_REPOSITORY": "acme/.."}, "GITHUB_REPOSITORY"),
        ({"GITHUB_REPOSITORY": "acme/shop?x"}, "GITHUB_REPOSITORY"),
        ({"GITHUB_API_URL": "http://github.example"}, "GITHUB_API_URL is http://"),
        ({"GITHUB_API_URL": "https://user@github.example"}, "GITHUB_API_URL"),
        ({"GITHUB_EVENT_PATH": ""}, "GITHUB_EVENT_PATH is not set"),
        ({"GITHUB_EVENT_PATH": "/nowhere/event.json"}, "GITHUB_EVENT_PATH"),
    ],
)
def test_what_is_set_wrongly_is_exit_2_and_nothing_is_sent(
    comment: Callable[..., Result], fake: FakeGitHub, environ: dict[str, str], said: str
) -> None:
    result = comment("blocked", **environ)
    assert (result.code, fake.asked) == (2, [])
    assert said in result.err
    assert TOKEN not in result.err


@pytest.mark.parametrize("number", ["0", "-1", "x", "1e3", "٣", "4294967296", "9" * 10_000])
def test_a_number_that_is_none(comment: Callable[..., Result], number: str) -> None:
    result = comment("blocked", f"--pull-request={number}")
    assert result.code == 2
    assert "is not the number of a pull request" in result.err


@pytest.mark.parametrize(
    "content",
    ["", "[]", "null", "{}", '{"packages": 1, "lockfiles": []}', '{"packages": [1], "lockfiles": []}', "[" * 100_000,
     '{"packages": [{"findings": [{"action": "deny"}]}], "lockfiles": []}'],
)  # fmt: skip
def test_what_is_no_report_is_exit_2(scangate: Scangate, project: Path, fake: FakeGitHub, content: str) -> None:
    (project / "r.json").write_text(content)
    (project / "r.md").write_text("text")
    result = scangate("comment", "--report", "r.json", "--markdown", "r.md", "--pull-request", "7", **fake.environ)
    assert (result.code, fake.asked) == (2, [])
    assert "--report: it is not a report" in result.err


def test_files_that_cannot_be_used_are_exit_2(scangate: Scangate, project: Path, fake: FakeGitHub) -> None:
    os.mkfifo(project / "fifo")
    (project / "nul.md").write_bytes(b"x" * (4 * 2**20 + 1))
    (project / "r.json").write_text('{"packages": [], "lockfiles": []}')
    for report, markdown, said in (
        ("gone.json", "r.md", "--report gone.json: it cannot be read: No such file or directory."),
        ("a\x00b", "r.md", "--report a\\x00b: it cannot be read: "),
        ("fifo", "r.md", "--report fifo: it is not an ordinary file."),
        (".", "r.md", "--report .: it cannot be read: Is a directory."),
        ("r.json", "gone.md", "--markdown gone.md: it cannot be read: "),
        ("r.json", "nul.md", "--markdown nul.md: it is larger than 4 MiB."),
    ):
        result = scangate("comment", "--report", report, "--markdown", markdown, "--pull-request", "7", **fake.environ)
        assert (result.code, fake.asked) == (2, []), report
        assert said in result.err
