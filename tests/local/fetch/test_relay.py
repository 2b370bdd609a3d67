"""The registry on loopback as npm and pip see it: what is refused, and where the reason is kept."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from scangate.local.fetch.base import FetchError
from scangate.local.fetch.relay import Page, Relay
from scangate.local.fetch.upstream import NotThere
from scangate.local.jobs import Interrupted


@pytest.fixture
def relay() -> Iterator[Relay]:
    relay = Relay()
    yield relay
    relay.close()


def _get(url: str) -> requests.Response:
    return requests.get(url, timeout=20)


def _raising(error: Exception) -> Callable[[str], Page]:
    def handler(path: str) -> Page:
        raise error

    return handler


def test_a_page_and_a_file(relay: Relay, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"from disk")

    def handler(path: str) -> Page:
        return Page(content=tmp_path / "file" if path == "file" else path.encode(), media_type="text/x-odd")

    with relay.serving(handler) as visit:
        assert _get(f"{visit.url}file").content == b"from disk"
        answer = _get(f"{visit.url}%40me%2Fapp?write=true")
    assert (answer.content, answer.headers["Content-Type"]) == (b"@me/app", "text/x-odd")


def test_nobody_else_is_served_and_nobody_later(relay: Relay) -> None:
    with relay.serving(lambda path: Page(content=b"secret")) as visit:
        address, _, token = visit.url.rstrip("/").rpartition("/")
        for path in ("", "/", f"/x{token}/", "/other/app"):
            assert _get(address + path).status_code == 404
        assert _get(visit.url).status_code == 200
    assert _get(visit.url).status_code == 404


@pytest.mark.parametrize(
    ("error", "status", "kept"),
    [
        (NotThere("app: not there.", ""), 404, False),
        (Interrupted(), 403, False),
        (FetchError("app: broken.", "Mend it."), 403, True),
    ],
)
def test_what_went_wrong_is_kept(relay: Relay, error: Exception, status: int, kept: bool) -> None:
    with relay.serving(_raising(error)) as visit:
        assert _get(f"{visit.url}app").status_code == status
        assert visit.problems == ([error] if kept else [])


def test_a_file_that_is_gone_is_no_page_and_the_log_says_why(
    relay: Relay, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        relay.serving(lambda path: Page(content=tmp_path / "gone")) as visit,
        pytest.raises(requests.ConnectionError),
    ):
        _get(f"{visit.url}app")
    assert "FileNotFoundError" in caplog.text
