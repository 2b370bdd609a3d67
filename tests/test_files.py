"""The one bounded read: what is whole, what is refused, and that nothing makes it wait."""

import os
import threading
from pathlib import Path

import pytest

from scangate.files import Unreadable, read_bounded


def test_a_file_is_read_whole_up_to_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\0" * 4096)
    assert read_bounded(path, 4096).data == b"\0" * 4096
    assert read_bounded(str(path), 5000).data == b"\0" * 4096
    path.write_bytes(b"")
    assert read_bounded(path, 0).data == b""


@pytest.mark.parametrize(("limit", "said"), [(10, "10 bytes"), (2048, "2 KiB"), (3 * 2**20, "3 MiB")])
def test_a_larger_one_is_refused_and_the_limit_is_said(tmp_path: Path, limit: int, said: str) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(limit + 1)
    with pytest.raises(Unreadable) as caught:
        read_bounded(path, limit)
    assert caught.value.reason == f"is larger than {said}"


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    for name in ("gone", "a\x00b", "\ud800"):
        with pytest.raises(Unreadable) as caught:
            read_bounded(tmp_path / name, 10)
        assert caught.value.reason.startswith("cannot be read: "), name
    with pytest.raises(Unreadable) as caught:
        read_bounded(tmp_path, 10)
    assert "irectory" in caught.value.reason or "ordinary" in caught.value.reason


def test_neither_a_pipe_nor_a_device_is_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", Path(os.devnull)):
        with pytest.raises(Unreadable, match="is not an ordinary file"):
            read_bounded(path, 10)
    with pytest.raises(Unreadable, match="is not an ordinary file"):
        read_bounded(os.devnull, 10, may_be_pipe=True)


@pytest.mark.parametrize("size", [5, 100_000])
def test_a_pipe_is_read_to_its_end_where_it_may_be_one(tmp_path: Path, size: int) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(b"x" * size,))
    writer.start()
    content = read_bounded(path, size, may_be_pipe=True)
    writer.join()
    assert content.data == b"x" * size
    assert not content.is_open_to_all


def test_a_link_is_followed_unless_it_must_not_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("file")
    assert read_bounded(tmp_path / "link", 10).data == b"x"
    with pytest.raises(Unreadable, match="cannot be read"):
        read_bounded(tmp_path / "link", 10, follow_link=False)


@pytest.mark.parametrize(("mode", "is_open"), [(0o600, False), (0o640, False), (0o604, True), (0o602, True)])
def test_whose_file_it_is_is_known(tmp_path: Path, mode: int, is_open: bool) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "file").chmod(mode)
    content = read_bounded(tmp_path / "file", 10)
    assert content.is_open_to_all is is_open
    assert content.status.st_uid == os.geteuid()
