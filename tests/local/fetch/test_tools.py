"""npm and pip as processes that fail, hang or are stopped: an error that says which, and none of them left."""

import sys
import threading
from pathlib import Path
from threading import Event

import pytest

from scangate.local.fetch import tools
from scangate.local.fetch.base import FetchError
from scangate.local.jobs import Interrupted
from tests.local.conftest import until

FORKS = "import os, time, pathlib; pid = os.fork(); pid and pathlib.Path('child').write_text(str(pid)); time.sleep(600)"


def _run(folder: Path, *argv: str, stop: Event | None = None) -> None:
    tools.run(argv, folder, {"PATH": "/usr/bin:/bin"}, stop or Event(), what="the tool for x")


def _is_gone(child: Path) -> bool:
    """Ended; what nobody has collected yet runs no more."""
    try:
        return Path(f"/proc/{child.read_text()}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_what_cannot_be_started(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="/nowhere/npm cannot be started"):
        _run(tmp_path, "/nowhere/npm")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("print('fine so far'); print('npm ERR! error: no luck'); raise SystemExit(1)", "npm ERR! error: no luck"),
        ("print('one'); print('two'); raise SystemExit(1)", "one two"),
        ("raise SystemExit(1)", "it failed and said nothing"),
    ],
)
def test_last_words(tmp_path: Path, source: str, said: str) -> None:
    with pytest.raises(FetchError, match=rf"^the tool for x: {said}"):
        _run(tmp_path, sys.executable, "-S", "-c", source)


def test_what_hangs_is_ended_with_all_that_it_has_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "TOOL_SECONDS", 2.0)
    with pytest.raises(FetchError, match="not done within 2 seconds"):
        _run(tmp_path, sys.executable, "-S", "-c", FORKS)
    until(lambda: _is_gone(tmp_path / "child"))


def test_what_is_stopped_is_ended_with_all_that_it_has_started(tmp_path: Path) -> None:
    stop, child = Event(), tmp_path / "child"

    def stop_later() -> None:
        until(lambda: child.exists() and child.read_text() != "")
        stop.set()

    thread = threading.Thread(target=stop_later)
    thread.start()
    try:
        with pytest.raises(Interrupted):
            _run(tmp_path, sys.executable, "-S", "-c", FORKS, stop=stop)
    finally:
        thread.join()
    until(lambda: _is_gone(child))
