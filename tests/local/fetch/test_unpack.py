import io
import stat
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from scangate.local.fetch import interpreter, unpack, wheels
from scangate.local.fetch.base import FetchError
from tests.local.fetch.registry import tar, wheel, zipped


def _archive(tmp_path: Path, name: str, content: bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("name", "make"), [("a.tgz", tar), ("a.zip", zipped)])
@pytest.mark.parametrize("path", ["../out", "/out", "a/../../out", "a\\..\\out", "x" * 300, "a/" * 600 + "b"])
def test_a_path_that_leaves_is_refused(
    tmp_path: Path, name: str, make: Callable[[dict[str, str]], bytes], path: str
) -> None:
    archive = _archive(tmp_path, name, make({"fine": "1", path: "2"}))
    for act in (lambda: unpack.unpack(archive, tmp_path / "in" / "side"), lambda: unpack.check(archive)):
        with pytest.raises(FetchError, match="no path inside it"):
            act()
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "in" / "out").exists()


def test_links_are_left_out_and_nothing_is_written_through_them(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for kind, name, target in (
            (tarfile.SYMTYPE, "p/link", str(outside)),
            (tarfile.LNKTYPE, "p/hard", "/etc/passwd"),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
        info = tarfile.TarInfo("p/link/file")
        info.size = 1
        archive.addfile(info, io.BytesIO(b"x"))
    unpack.unpack(_archive(tmp_path, "a.tgz", buffer.getvalue()), tmp_path / "in")
    assert list(outside.iterdir()) == []
    assert [path.name for path in (tmp_path / "in" / "p").rglob("*") if path.is_file()] == ["file"]


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo("p/device")
        info.type = kind
        archive.addfile(info)
    with pytest.raises(FetchError, match="device"):
        unpack.unpack(_archive(tmp_path, "a.tgz", buffer.getvalue()), tmp_path / "in")


def test_a_device_and_a_link_in_a_zip(tmp_path: Path) -> None:
    def of(mode: int) -> Path:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            info = zipfile.ZipInfo("odd")
            info.external_attr = mode << 16
            archive.writestr(info, "/etc/passwd")
        return _archive(tmp_path, "a.zip", buffer.getvalue())

    with pytest.raises(FetchError, match="device"):
        unpack.unpack(of(stat.S_IFIFO | 0o644), tmp_path / "in")
    unpack.unpack(of(stat.S_IFLNK | 0o777), tmp_path / "in")
    assert not (tmp_path / "in").exists()


@pytest.mark.parametrize(("name", "make"), [("bomb.tgz", tar), ("bomb.zip", zipped)])
def test_a_bomb_does_not_go_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, make: Callable[[dict[str, bytes]], bytes]
) -> None:
    monkeypatch.setattr(unpack, "FREE_BYTES", 1024 * 1024)
    bomb = _archive(tmp_path, name, make({"zeros": bytes(unpack.FREE_BYTES + 1)}))
    with pytest.raises(FetchError, match="more than its size allows"):
        unpack.check(bomb)
    with pytest.raises(FetchError, match="more than its size allows"):
        unpack.unpack(bomb, tmp_path / "in")
    assert (tmp_path / "in" / "zeros").stat().st_size <= unpack.FREE_BYTES


def test_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "MAX_MEMBERS", 3)
    with pytest.raises(FetchError, match="more than 3 members"):
        unpack.check(_archive(tmp_path, "a.tgz", tar({str(number): "" for number in range(4)})))


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", b"PK\x03\x04broken", tar({"a": "b" * 5000})[:60]],
    ids=["empty", "text", "zip-head", "cut-off-tar"],  # gzip writes the time: bytes as names differ between workers
)
@pytest.mark.parametrize("name", ["a.tgz", "a.whl"])
def test_what_is_no_archive(tmp_path: Path, content: bytes, name: str) -> None:
    with pytest.raises(FetchError, match="cannot be unpacked"):
        unpack.unpack(_archive(tmp_path, name, content), tmp_path / "in")


def test_a_file_that_stands_where_a_directory_is_needed(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="cannot be unpacked"):
        unpack.unpack(_archive(tmp_path, "a.tgz", tar({"a": "1", "a/b": "2"})), tmp_path / "in")


def test_a_wheel_cannot_write_through_the_link_to_the_interpreter(tmp_path: Path) -> None:
    real = tmp_path / "real-python"
    real.write_text("untouched")
    venv = tmp_path / "venv"
    site_packages = interpreter.make_venv(venv)
    (venv / "bin" / "python").unlink()
    (venv / "bin" / "python").symlink_to(real)
    evil = wheel("evil", "1.0", {"evil-1.0.data/scripts/python": "evil", "evil-1.0.data/data/bin/python3": "evil"})
    wheels.install(_archive(tmp_path, "evil-1.0-py3-none-any.whl", evil), venv, site_packages)
    assert real.read_text() == "untouched"
    assert not (venv / "bin" / "python").is_symlink()


def test_a_wheel_is_spread_as_an_installer_does_it(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    site_packages = interpreter.make_venv(venv)
    files = {
        "a.py": "",
        "n-1.data/purelib/b.py": "",
        "n-1.data/scripts/run": "#!/bin/sh\n",
        "n-1.data/headers/h.h": "",
        "n-1.data/data/share/x": "",
    }
    wheels.install(_archive(tmp_path, "n-1-py3-none-any.whl", wheel("n", "1", files)), venv, site_packages)
    assert (site_packages / "a.py").is_file()
    assert (site_packages / "b.py").is_file()
    assert (venv / "bin" / "run").stat().st_mode & 0o111
    assert (venv / "include" / "n" / "h.h").is_file()
    assert (venv / "share" / "x").is_file()
    assert not (site_packages / "n-1.data").exists()


def test_a_data_directory_of_another_name_is_spread_as_pip_does_it(tmp_path: Path) -> None:
    """Where it stayed in its directory, start-up code would run for whoever installs the wheel, and not here."""
    files = {"other-9.data/purelib/start.pth": "import start"}
    path = _archive(tmp_path, "n-1-py3-none-any.whl", wheel("n", "1", files))
    venv = tmp_path / "venv"
    site_packages = interpreter.make_venv(venv)
    wheels.install(path, venv, site_packages)
    subprocess.run(
        [sys.executable, "-m", "pip", "--isolated", "install", "--quiet", "--no-deps", "--no-index", "--target",
         str(tmp_path / "by-pip"), str(path)],
        check=True, capture_output=True,
    )  # fmt: skip
    for folder in (site_packages, tmp_path / "by-pip"):
        assert (folder / "start.pth").is_file()
        assert not (folder / "other-9.data").exists()


def test_a_data_directory_that_cannot_be_spread_is_no_package(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    files = {"a": "a file", "n-1.data/purelib/a/b": "needs a directory"}
    with pytest.raises(FetchError, match="cannot be unpacked"):
        wheels.install(
            _archive(tmp_path, "n-1-py3-none-any.whl", wheel("n", "1", files)), venv, interpreter.make_venv(venv)
        )


def test_one_member_is_read_and_no_more_than_it_may_have(tmp_path: Path) -> None:
    archive = _archive(tmp_path, "a.tgz", tar({"p/PKG-INFO": "12345", "p/q/PKG-INFO": "6"}))
    wanted = unpack.WantedMember("PKG-INFO", 1)
    assert unpack.read_member(archive, wanted, most=5) == b"12345"
    assert unpack.read_member(archive, unpack.WantedMember("PKG-INFO", 3)) is None
    with pytest.raises(FetchError, match="larger than 4 bytes"):
        unpack.read_member(archive, wanted, most=4)


def test_one_directory_alone(tmp_path: Path) -> None:
    archive = _archive(tmp_path, "a.tgz", tar({"wanted/a": "1", "left/b": "2"}))
    unpack.unpack(archive, tmp_path / "in", only="wanted")
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["wanted"]


def test_a_wheel_without_metadata_is_no_package(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="without METADATA"):
        wheels.wheel_metadata(_archive(tmp_path, "n-1-py3-none-any.whl", zipped({"n.py": ""})))


def test_files_that_are_no_distributions_are_never_preferred() -> None:
    names = ("n-1.tar.gz", "n-1-py3-none-any.whl", "n-1.exe", "n.whl", "n-1-cp27-cp27m-win32.whl", "n-1.zip")
    assert list(wheels.preferred(names)) == ["n-1-py3-none-any.whl", "n-1.tar.gz", "n-1.zip"]


def test_requirements_that_no_index_can_answer_are_told() -> None:
    usable, others = wheels.parsed_requirements(["a>=1", "!", "b @ https://elsewhere.example/b.whl"])
    assert ([str(each) for each in usable], others) == (["a>=1"], ["!", "b"])
