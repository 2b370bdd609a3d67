"""Reads of the working tree: only ordinary files, only inside, only so large."""

import os
from pathlib import Path

import pytest

from scangate.changes.worktree import WorkTree
from scangate.errors import LockfileError
from scangate.files import MAX_LOCKFILE_BYTES
from tests.changes.unprivileged import open_folder, ordinary_user


def refused(tree: WorkTree, path: str, problem: str) -> None:
    with pytest.raises(LockfileError, match=problem) as caught:
        tree.read(path)
    assert caught.value.path == path
    assert caught.value.hint
    assert "\n" not in caught.value.message


def test_reads_files_by_relative_and_absolute_path(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "f").write_bytes(b"\x00content")
    tree = WorkTree(tmp_path)
    assert tree.read("a/f") == tree.read("a/../a/f") == tree.read(str(tmp_path / "a" / "f")) == b"\x00content"


@pytest.mark.parametrize("path", ["missing", "missing/f", "f/below-a-file"])
def test_what_is_not_there_is_none(tmp_path: Path, path: str) -> None:
    (tmp_path / "f").touch()
    assert WorkTree(tmp_path).read(path) is None


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "a/../../outside", "link", "folder/outside", "dangling"])
def test_what_lies_outside_is_refused(tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (tmp_path / "outside").write_text("secret")
    (root / "link").symlink_to("/etc/passwd")
    (root / "folder").symlink_to("..")
    (root / "dangling").symlink_to("/does/not/exist")
    refused(WorkTree(root), path, "leads out")


def test_a_folder_beside_with_the_same_beginning_is_outside(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root-2").mkdir()
    (tmp_path / "root-2" / "f").touch()
    refused(WorkTree(tmp_path / "root"), "../root-2/f", "leads out")


def test_links_inside_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("x")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "link").symlink_to("../real")
    assert WorkTree(tmp_path).read("sub/link") == b"x"


def test_a_wider_root_allows_what_lies_above_the_folder(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "base.txt").write_text("x")
    assert WorkTree(tmp_path / "sub", root=tmp_path).read("../base.txt") == b"x"
    refused(WorkTree(tmp_path / "sub"), "../base.txt", "leads out")


@pytest.mark.parametrize("path", [".git/config", "sub/.git/config", "link"])
def test_gits_own_folder_is_not_read(tmp_path: Path, path: str) -> None:
    for folder in (".git", "sub/.git"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "config").write_text("[http] extraheader = AUTHORIZATION: basic secret")
    (tmp_path / "link").symlink_to(".git/config")
    refused(WorkTree(tmp_path), path, "leads out")


@pytest.mark.parametrize("path", [".", "sub", ""])
def test_a_folder_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "sub").mkdir()
    refused(WorkTree(tmp_path), path, "it is a folder")


def test_a_fifo_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "package-lock.json")
    refused(WorkTree(tmp_path), "package-lock.json", "not an ordinary file")


def test_a_device_is_refused() -> None:
    refused(WorkTree(Path("/dev")), "zero", "not an ordinary file")


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    refused(WorkTree(tmp_path), "loop", "cannot be read")


@pytest.mark.parametrize("path", ["a\x00b", "a\ud800b", "\x00"])
def test_a_name_that_no_file_has_is_refused(tmp_path: Path, path: str) -> None:
    refused(WorkTree(tmp_path), path, "character that no file name has")


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    refused(WorkTree(tmp_path), "a" * 5000, "File name too long")


def test_a_name_that_is_not_utf8_is_read(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff.lock")
    (tmp_path / name).write_text("x")
    assert WorkTree(tmp_path).read(name) == b"x"


def test_a_file_without_read_permission_is_refused() -> None:
    with open_folder() as folder:
        (folder / "f").touch(mode=0)
        (folder / "sub").mkdir(mode=0)
        with ordinary_user():
            refused(WorkTree(folder), "f", "cannot be read: Permission denied")
            refused(WorkTree(folder), "sub/f", "cannot be read: Permission denied")


def test_a_file_that_fails_while_it_is_read_is_refused() -> None:
    refused(WorkTree(Path("/proc/self")), "mem", "cannot be read: Input/output error")


def test_a_huge_file_is_refused_unread_and_the_largest_is_not(tmp_path: Path) -> None:
    with open(tmp_path / "huge", "wb") as file:
        file.truncate(200 * 2**20)
    refused(WorkTree(tmp_path), "huge", "larger than 64 MiB")
    with open(tmp_path / "largest", "wb") as file:
        file.truncate(MAX_LOCKFILE_BYTES)
    content = WorkTree(tmp_path).read("largest")
    assert content is not None
    assert len(content) == MAX_LOCKFILE_BYTES
