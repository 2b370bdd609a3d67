"""`scangate scan` and `scangate tasks`, against the embedded service."""

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from scangate.cli import archives
from scangate.errors import UsageError
from scangate.models.analysis import Archive
from tests.cli.conftest import Replay, Scangate


def tgz(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def manifest(name: str, version: str) -> bytes:
    return json.dumps({"name": name, "version": version}).encode()


def test_a_purl_is_judged_like_a_dependency(scangate: Scangate, replay: Replay) -> None:
    blocked = scangate("scan", "pkg:npm/plain-crypto-replica@4.2.1", **replay.environ)
    assert blocked.code == 1
    assert "net-on-install" in blocked.out
    assert scangate("scan", "pkg:npm/follow-replica@1.15.11", **replay.environ).code == 0


def test_an_archive_is_uploaded_and_judged(scangate: Scangate, project: Path, replay: Replay) -> None:
    tgz(project / "evil.tgz", {"package/package.json": manifest("plain-crypto-replica", "4.2.1")})
    result = scangate("scan", "evil.tgz", **replay.environ)
    assert result.code == 1, result.err
    assert "net-on-install" in result.out


def test_an_archive_can_be_named(scangate: Scangate, project: Path, replay: Replay) -> None:
    tgz(project / "some.tgz", {"x/readme": b""})
    assert scangate("scan", "some.tgz", **replay.environ).code == 2
    named = scangate("scan", "some.tgz", "--purl", "pkg:npm/follow-replica@1.15.11", **replay.environ)
    assert named.code == 0, named.err


def test_a_package_that_no_engine_takes_is_refused_before_anything_is_sent(scangate: Scangate, replay: Replay) -> None:
    what = ("scan", "pkg:vscode-extension/pub/ext@1.0.0", "--engine", "lastpymile")
    result = scangate(*what, **replay.environ)
    assert (result.code, result.out) == (2, "")
    assert "lastpymile does not take vscode-extension packages" in result.err
    both = scangate(*what, "--engine", "dynamic-analysis", "--format", "json", **replay.environ).json
    (package,) = both["packages"]  # type: ignore[misc]
    assert "unsupported-ecosystem" in [outcome["code"] for outcome in package["outcomes"]]
    (task,) = scangate("tasks", "--format", "json", **replay.environ).json["tasks"]  # type: ignore[misc]
    assert task["engine"] == "dynamic-analysis"


@pytest.mark.parametrize(
    "argv",
    [
        ("pkg:npm/axios",),
        ("pkg:gem/rails@1",),
        ("nowhere.tgz",),
        ("notes.txt",),
        ("pkg:npm/a@1", "--purl", "pkg:npm/b@1"),
        ("some.tgz", "--purl", "x"),
        ("some.tgz", "--purl", "pkg:npm/a@1", "--github-url", "http://github.example/x"),
    ],
)
def test_wrong_usage(scangate: Scangate, project: Path, argv: tuple[str, ...]) -> None:
    tgz(project / "some.tgz", {"x/readme": b""})
    (project / "notes.txt").write_text("")
    result = scangate("scan", *argv, SCANGATE_API_KEY="k", SCANGATE_API_URL="http://127.0.0.1:9")
    assert (result.code, result.out) == (2, "")


def test_without_a_key(scangate: Scangate) -> None:
    assert scangate("scan", "pkg:npm/axios@1.0.0").code == 3
    assert scangate("tasks").code == 2


def test_tasks_newest_first_and_filtered(scangate: Scangate, serve: Callable[..., Replay]) -> None:
    replay = serve({"recordings": [{"purl": "pkg:npm/nothing@1.0.0", "status": "failed", "error-message": "no such"}]})
    scangate("scan", "pkg:npm/follow-replica@1.15.11", **replay.environ)
    scangate("scan", "pkg:npm/nothing@1.0.0", **replay.environ)
    table = scangate("tasks", **replay.environ).out.splitlines()
    assert table[0].split() == ["TASK", "STATUS", "CREATED", "ENGINE", "PACKAGE"]
    assert [line.split()[1] for line in table[1:]] == ["failed", "completed"]
    assert "no such" in table[1]
    failed = scangate("tasks", "--status", "failed", "--format", "json", **replay.environ).json["tasks"]
    assert [task["purl"] for task in failed] == ["pkg:npm/nothing@1.0.0"]  # type: ignore[attr-defined]
    assert len(scangate("tasks", "--limit", "1", **replay.environ).out.splitlines()) == 2
    assert scangate("tasks", "--limit", "0", **replay.environ).code == 2


def test_no_tasks(scangate: Scangate, replay: Replay) -> None:
    assert scangate("tasks", **replay.environ).out == "no tasks\n"


class TestPurlOfArchive:
    def test_npm_tarball(self, tmp_path: Path) -> None:
        file = tgz(tmp_path / "x.tgz", {"package/package.json": manifest("@acme/ui", "1.0.0+b")})
        assert archives.purl_of(archives.load(file, "x.tgz", None)) == "pkg:npm/%40acme/ui@1.0.0%2Bb"

    def test_wheel(self, tmp_path: Path) -> None:
        (tmp_path / "Typing_Ext.x-4.1-py3-none-any.whl").write_bytes(b"")
        archive = archives.load(tmp_path / "Typing_Ext.x-4.1-py3-none-any.whl", "w", None)
        assert archives.purl_of(archive) == "pkg:pypi/typing-ext-x@4.1"

    def test_sdist(self, tmp_path: Path) -> None:
        info = b"Metadata-Version: 2.1\nName: Left_Pad\nVersion: 1.0\n\nVersion: 9\n"
        file = tgz(tmp_path / "left_pad-1.0.tar.gz", {"left_pad-1.0/PKG-INFO": info})
        assert archives.purl_of(archives.load(file, "s", None)) == "pkg:pypi/left-pad@1.0"

    def test_vscode_extension(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "e.vsix", "w") as zipped:
            zipped.writestr(
                "extension/package.json", json.dumps({"publisher": "Acme", "name": "Ext", "version": "1.2.3"})
            )
        archive = archives.load(tmp_path / "e.vsix", "e", None)
        assert archives.purl_of(archive) == "pkg:vscode-extension/acme/ext@1.2.3"

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("x.tgz", b"no gzip"),
            ("x.tgz", b"\x1f\x8b\x08\x00"),
            ("x.whl", b""),
            ("x.vsix", b"PK"),
            ("x.zip", b""),
            ("a-1-py3-none-any.whl.tar.gz", b""),
        ],
    )
    def test_what_does_not_say_is_asked_for(self, name: str, content: bytes) -> None:
        with pytest.raises(UsageError, match="does not say which package"):
            archives.purl_of(Archive(filename=name, content=content))

    @pytest.mark.parametrize(
        "content", [b"[]", b"{}", b"{", b"\xff", b'{"name": "a"}', b'{"name": "", "version": "1"}']
    )
    def test_broken_manifests(self, tmp_path: Path, content: bytes) -> None:
        file = tgz(tmp_path / "x.tgz", {"package/package.json": content})
        with pytest.raises(UsageError, match="does not say which package"):
            archives.purl_of(archives.load(file, "x.tgz", None))

    def test_a_bomb_is_not_unpacked(self, tmp_path: Path) -> None:
        path = tmp_path / "bomb.tgz"
        with tarfile.open(path, "w:gz", compresslevel=1) as tar:
            info = tarfile.TarInfo("package/zeros")
            info.size = archives.MAX_UNPACKED_BYTES + 1
            tar.fileobj.write(info.tobuf())  # type: ignore[union-attr]  # a header that promises too much
        with pytest.raises(UsageError, match="does not say which package"):
            archives.purl_of(archives.load(path, "bomb.tgz", None))

    def test_too_large_a_file_is_refused(self, tmp_path: Path) -> None:
        with (tmp_path / "x.tgz").open("wb") as file:
            file.truncate(archives.MAX_ARCHIVE_BYTES + 1)
        with pytest.raises(UsageError, match="larger than"):
            archives.load(tmp_path / "x.tgz", "x.tgz", None)
