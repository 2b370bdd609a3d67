"""Archives that lockfiles name by a path: analysed with --local, uploaded where the policy says so, else left alone."""

import base64
import hashlib
import json
from pathlib import Path

import pytest

from tests.changes.ci_fixtures.repos import Repository
from tests.cli.conftest import Replay, Scangate
from tests.cli.test_scan import manifest, tgz

UPLOADS = "version: 1\nupload-files: true\n"
EVIL = ("plain-crypto-replica", "4.2.1")
FINE = ("follow-replica", "1.15.11")


def archive(path: Path, package: tuple[str, str] = EVIL, more: bytes = b"") -> str:
    """An npm tarball; its digest as package-lock.json writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tgz(path, {"package/package.json": manifest(*package), "package/more": more})
    return "sha512-" + base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()


def lock(
    folder: Path, resolved: str, integrity: str | None, package: tuple[str, str] = EVIL, version: str | None = None
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    name = package[0]
    entry = {"version": version or package[1], "resolved": resolved}
    packages = {
        "": {"name": "project", "version": "1.0.0", "dependencies": {name: resolved}},
        f"node_modules/{name}": entry | ({"integrity": integrity} if integrity else {}),
    }
    document = {"name": "project", "version": "1.0.0", "lockfileVersion": 3, "packages": packages}
    (folder / "package-lock.json").write_text(json.dumps(document))


def outcomes(document: dict[str, object]) -> list[str]:
    (package,) = document["packages"]  # type: ignore[misc]
    return [outcome["code"] for outcome in package["outcomes"]]


def check(scangate: Scangate, replay: Replay) -> tuple[int, dict[str, object]]:
    result = scangate("check", "--quiet", "--format", "json", **replay.environ)
    return result.code, result.json


def tasks(scangate: Scangate, replay: Replay) -> list[str]:
    listed = scangate("tasks", "--format", "json", **replay.environ).json["tasks"]
    return [task["purl"] for task in listed]  # type: ignore[attr-defined]


def test_nothing_of_the_project_is_uploaded_by_default(scangate: Scangate, project: Path, replay: Replay) -> None:
    lock(project, "file:vendor/x.tgz", archive(project / "vendor" / "x.tgz"))
    code, document = check(scangate, replay)
    assert (code, outcomes(document)) == (0, ["file"])
    assert tasks(scangate, replay) == []
    assert scangate("check", "--dry-run", **replay.environ).out == ""


def test_where_the_policy_says_so_it_is_uploaded_and_judged(scangate: Scangate, project: Path, replay: Replay) -> None:
    (project / "scangate.yml").write_text(UPLOADS)
    lock(project / "app", "file:../vendor/x.tgz", archive(project / "vendor" / "x.tgz"))
    assert scangate("check", "--dry-run", **replay.environ).out == (
        "pkg:npm/plain-crypto-replica@4.2.1 dynamic-analysis (uploads x.tgz)\n"
    )
    result = scangate("check", "--quiet", **replay.environ)
    assert result.code == 1, result.out + result.err
    assert "net-on-install" in result.out
    assert "app/package-lock.json:" in result.out
    assert tasks(scangate, replay) == ["pkg:npm/plain-crypto-replica@4.2.1"]


def test_a_clean_archive_passes(scangate: Scangate, project: Path, replay: Replay) -> None:
    (project / "scangate.yml").write_text(UPLOADS)
    lock(project, "file:x.tgz", archive(project / "x.tgz", FINE), FINE)
    code, document = check(scangate, replay)
    assert (code, outcomes(document)) == (0, [])


@pytest.mark.parametrize("options", [("--staged",), ("--pushed", "--base", "HEAD~1")])
def test_an_archive_that_is_another_one_on_disk_is_not_taken_for_the_checked_one(
    scangate: Scangate, project: Path, replay: Replay, options: tuple[str, ...]
) -> None:
    here = Repository.new(project / "here")
    here.commit({"scangate.yml": UPLOADS})
    lock(here.folder, "file:lib/x.tgz", None, FINE)
    archive(here.folder / "lib" / "x.tgz", FINE, b"what is committed")
    here.git("add", "-A")
    if "--pushed" in options:
        here.git("commit", "-q", "-m", "Change")
    archive(here.folder / "lib" / "x.tgz", FINE, b"what is analysed")
    command = ("check", "--quiet", "--format", "json", *options)
    document = scangate(*command, cwd=here.folder, **replay.environ).json
    assert outcomes(document) == ["file"]
    assert "on disk" in json.dumps(document)
    assert tasks(scangate, replay) == []
    here.git("checkout", "--", "lib/x.tgz")
    assert outcomes(scangate(*command, cwd=here.folder, **replay.environ).json) == []
    assert len(tasks(scangate, replay)) == 1


def test_another_archive_than_the_locked_one_is_a_finding_and_not_run(
    scangate: Scangate, project: Path, replay: Replay
) -> None:
    (project / "scangate.yml").write_text(UPLOADS)
    digest = archive(project / "x.tgz", FINE)
    lock(project, "file:x.tgz", digest, FINE)
    archive(project / "x.tgz", FINE, more=b"and more")
    result = scangate("check", "--quiet", **replay.environ)
    assert result.code == 1, result.out
    assert "lock-integrity-mismatch" in result.out
    assert tasks(scangate, replay) == []


def test_an_archive_of_another_name_or_version_is_not_taken_for_the_locked_one(
    scangate: Scangate, project: Path, replay: Replay
) -> None:
    (project / "scangate.yml").write_text(UPLOADS)
    digest = archive(project / "x.tgz", FINE)
    for package, version in ((EVIL, None), (FINE, "9.9.9")):
        lock(project, "file:x.tgz", digest, package, version)
        code, document = check(scangate, replay)
        assert (code, outcomes(document)) == (3, ["wrong-package"])


@pytest.mark.parametrize("resolved", ["file:gone.tgz", "file:../outside.tgz", "file:link.tgz", "file:notes.tgz"])
def test_what_cannot_be_read_in_the_project_is_not_uploaded(
    scangate: Scangate, project: Path, replay: Replay, resolved: str
) -> None:
    (project / "scangate.yml").write_text(UPLOADS)
    archive(project.parent / "outside.tgz")
    (project / "link.tgz").symlink_to(project.parent / "outside.tgz")
    (project / "notes.tgz").write_bytes(b"no archive")
    lock(project, resolved, None)
    code, document = check(scangate, replay)
    assert (code, outcomes(document)) == (0, ["file"])
    assert tasks(scangate, replay) == []


def test_two_files_of_one_name_are_ambiguous(scangate: Scangate, project: Path, replay: Replay) -> None:
    (project / "scangate.yml").write_text(UPLOADS)
    for folder, more in (("a", b""), ("b", b"other")):
        lock(project / folder, "file:x.tgz", archive(project / folder / "x.tgz", more=more))
    code, document = check(scangate, replay)
    assert (code, outcomes(document)) == (0, ["file"])
    assert tasks(scangate, replay) == []


@pytest.mark.parametrize("line", ["./dist/{file}", "fine @ file:dist/{file}", "file:dist/{file}#sha256={digest}"])
def test_wheels_of_requirements(scangate: Scangate, project: Path, replay: Replay, line: str) -> None:
    """The report is about another package: what counts is that the right archive was asked about."""
    (project / "scangate.yml").write_text(UPLOADS)
    wheel = project / "dist" / "fine-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.write_bytes(b"PK\x05\x06" + b"\x00" * 18)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (project / "requirements.txt").write_text(line.format(file=wheel.name, digest=digest) + "\n")
    code, document = check(scangate, replay)
    assert (code, outcomes(document)) == (3, ["failed"])
    assert tasks(scangate, replay) == ["pkg:pypi/fine@1.0"]
