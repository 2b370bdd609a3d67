"""The cache as a user meets it: from lockfiles through a real service over HTTP, run after run."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from scangate import __version__
from scangate.service import scheduler
from scangate.service.cache import FILE, SET_ASIDE, Cache
from scangate.service.scheduler import Scheduler
from tests.changes.ci_fixtures.packages import ALSO, CLEAN, MALICIOUS, lock
from tests.changes.ci_fixtures.repos import Repository
from tests.cli.conftest import RECORDED, Replay, Scangate, example
from tests.conftest import ROOT
from tests.service.simulation import World

Serve = Callable[..., Replay]
AXIOS = "pkg:npm/axios-replica@1.14.1"


@pytest.fixture
def cache(tmp_path: Path, own_world: Path) -> Path:
    """Where the cache's file is by default."""
    return own_world / ".cache" / "scangate" / FILE


def submitted(scangate: Scangate, replay: Replay) -> int:
    listed = scangate("tasks", "--format", "json", **replay.environ)
    return len(listed.json["tasks"])  # type: ignore[arg-type]


def outcomes(document: dict[str, object]) -> dict[str, str]:
    """By package, the code of what could not be had."""
    return {
        package["purl"]: outcome["code"]
        for package in document["packages"]  # type: ignore[attr-defined]
        for outcome in package["outcomes"]
    }


def timeless(document: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in document.items() if name != "elapsed_seconds"}


def test_the_second_run_asks_for_nothing_and_says_the_same(
    scangate: Scangate, project: Path, replay: Replay, cache: Path
) -> None:
    example("axios-replica", project)
    first = scangate("check", "--format", "json", **replay.environ)
    # No key: whatever was asked for now would be `no-credentials`.
    second = scangate("check", "--format", "json", SCANGATE_API_URL=replay.service.url)
    assert (first.code, second.code) == (1, 1)
    assert timeless(second.json) == timeless(first.json)
    assert "3 of 3 reports from the cache" in second.err
    assert "cache" not in scangate("check", "--quiet", SCANGATE_API_URL=replay.service.url).err
    assert oct(cache.stat().st_mode & 0o777) == "0o600"
    assert oct(cache.parent.stat().st_mode & 0o777) == "0o700"


def test_another_policy_is_applied_without_a_request(scangate: Scangate, project: Path, replay: Replay) -> None:
    example("axios-replica", project)
    assert scangate("check", **replay.environ).code == 1
    (project / "scangate.yml").write_text("version: 1\nextends: default\nrules: [{id: net-on-install, action: note}]\n")
    assert scangate("check", SCANGATE_API_URL=replay.service.url).code == 0


def test_a_changed_digest_is_analysed_again(scangate: Scangate, project: Path, replay: Replay) -> None:
    example("axios-replica", project)
    scangate("check", **replay.environ)
    lock = project / "package-lock.json"
    document = json.loads(lock.read_text())
    entry = document["packages"]["node_modules/axios-replica"]
    entry["integrity"] = "sha512-" + "A" * 86 + "=="
    lock.write_text(json.dumps(document))
    result = scangate("check", "--format", "json", SCANGATE_API_URL=replay.service.url)
    assert outcomes(result.json) == {AXIOS: "no-credentials"}


def test_other_digests_than_an_earlier_run_saw_are_a_finding_in_every_run_from_then_on(
    scangate: Scangate, project: Path, replay: Replay
) -> None:
    example("axios-replica", project)
    scangate("check", **replay.environ)
    lock = project / "package-lock.json"
    document = json.loads(lock.read_text())
    entry = document["packages"]["node_modules/axios-replica"]
    entry["integrity"] = "sha512-" + "A" * 86 + "=="
    lock.write_text(json.dumps(document, indent=2))
    for _ in range(2):
        found = scangate("check", "--format", "json", **replay.environ).json
        (axios,) = [package for package in found["packages"] if package["purl"] == AXIOS]  # type: ignore[attr-defined]
        (finding,) = [each for each in axios["findings"] if each["rule"] == "lock-integrity-cached-conflict"]
        assert finding["action"] == "warn"
        assert "sha512:0000" in json.dumps(finding["evidence"])
    without = scangate("check", "--format", "json", "--no-cache", **replay.environ)
    assert "lock-integrity-cached-conflict" not in without.out


def test_other_digests_than_those_of_a_run_without_a_report_are_a_finding(
    scangate: Scangate, project: Path, serve: Serve
) -> None:
    example("axios-replica", project)
    replay = serve({"recordings": [{"purl": AXIOS, "delay": 3600}]})
    first = scangate("check", "--timeout", "3", "--format", "json", **replay.environ)
    assert outcomes(first.json) == {AXIOS: "pending"}
    lock = project / "package-lock.json"
    document = json.loads(lock.read_text())
    document["packages"]["node_modules/axios-replica"]["integrity"] = "sha512-" + "A" * 86 + "=="
    lock.write_text(json.dumps(document))
    found = scangate("check", "--timeout", "3", "--format", "json", **replay.environ).json
    (axios,) = [package for package in found["packages"] if package["purl"] == AXIOS]  # type: ignore[attr-defined]
    assert [each["rule"] for each in axios["findings"]] == ["lock-integrity-cached-conflict"]


def test_the_dry_run_counts_what_would_be_sent(scangate: Scangate, project: Path, replay: Replay) -> None:
    example("axios-replica", project)
    assert len(scangate("check", "--dry-run", **replay.environ).out.splitlines()) == 3
    scangate("check", **replay.environ)
    assert scangate("check", "--dry-run", **replay.environ).out == ""
    assert len(scangate("check", "--dry-run", "--no-cache", **replay.environ).out.splitlines()) == 3


@pytest.mark.parametrize("command", ["check", "scan"])
def test_without_the_cache_nothing_is_taken_or_left(
    scangate: Scangate, project: Path, replay: Replay, cache: Path, command: str
) -> None:
    example("axios-replica", project)
    argv = ("check",) if command == "check" else ("scan", AXIOS)
    scangate(*argv, "--no-cache", **replay.environ)
    assert not cache.exists()
    scangate(*argv, **replay.environ)
    assert scangate(*argv, "--no-cache", SCANGATE_API_URL=replay.service.url).code == 3
    assert scangate(*argv, SCANGATE_API_URL=replay.service.url).code != 3


def test_a_report_too_old_for_the_policy_is_asked_for_again(
    scangate: Scangate, project: Path, serve: Serve, tmp_path: Path
) -> None:
    example("axios-replica", project)
    recorded = tmp_path / "recorded"
    shutil.copytree(RECORDED, recorded)
    for path in recorded.rglob("*.json"):
        document = json.loads(path.read_text())
        if "CreatedTimestamp" in document:
            document["CreatedTimestamp"] = int(time.time()) - 10 * 86400
            path.write_text(json.dumps(document))
    replay = serve(recorded=recorded)

    def age_at_most(days: int) -> None:
        (project / "scangate.yml").write_text(f"version: 1\nextends: default\nmax-report-age: {days}\n")

    age_at_most(20)
    scangate("check", **replay.environ)
    assert scangate("check", SCANGATE_API_URL=replay.service.url).code == 1
    age_at_most(5)
    result = scangate("check", "--format", "json", SCANGATE_API_URL=replay.service.url)
    assert list(outcomes(result.json).values()) == ["no-credentials"] * 3
    # What the service has is as old: it is shown as such, and the next run asks again.
    for _ in range(2):
        result = scangate("check", "--format", "json", **replay.environ)
        assert list(outcomes(result.json).values()) == ["stale"] * 3
        assert "cache" not in result.err
    age_at_most(20)
    assert scangate("check", SCANGATE_API_URL=replay.service.url).code == 1


def test_a_service_of_another_address_is_another_analyser(scangate: Scangate, project: Path, serve: Serve) -> None:
    example("axios-replica", project)
    one, other = serve(), serve()
    scangate("check", **one.environ)
    assert scangate("check", SCANGATE_API_URL=other.service.url).code == 3


def test_what_failed_is_asked_for_again(scangate: Scangate, serve: Serve) -> None:
    replay = serve({"recordings": [{"purl": AXIOS, "status": "failed", "error-message": "no"}]})
    for tasks in (1, 2):
        assert scangate("scan", AXIOS, **replay.environ).code == 3
        assert submitted(scangate, replay) == tasks


def test_what_was_pending_is_not_submitted_again(scangate: Scangate, project: Path, serve: Serve, cache: Path) -> None:
    example("axios-replica", project)
    replay = serve({"recordings": [{"purl": AXIOS, "delay": 6}]})
    first = scangate("check", "--timeout", "3", "--format", "json", **replay.environ)
    assert outcomes(first.json) == {AXIOS: "pending"}
    assert "1 under way" in scangate("cache", "info").out
    dry = scangate("check", "--dry-run", **replay.environ)
    assert dry.out == ""
    assert "would send 0 requests for 0 packages" in dry.err
    assert "ask after 1 that an earlier run submitted" in dry.err
    assert "would send 3 requests" in scangate("check", "--dry-run", "--no-cache", **replay.environ).err
    second = scangate("check", "--format", "json", **replay.environ)
    assert outcomes(second.json) == {}
    assert submitted(scangate, replay) == 3
    assert "0 under way" in scangate("cache", "info").out


@pytest.mark.parametrize(
    ("argv", "environ", "waited"),
    [
        (("--staged",), {}, 60),
        (("--pushed",), {}, 1200),
        (("--staged",), {"CI": "true"}, 1200),
        ((), {}, 1200),
        (("--staged", "--timeout", "300"), {}, 300),
    ],
)
def test_a_commit_waits_a_minute_and_a_push_does_not(
    scangate: Scangate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    argv: tuple[str, ...],
    environ: dict[str, str],
    waited: float,
) -> None:
    """In the virtual time of a service that never gets done."""
    world = World()
    world.service.duration = lambda request: 1e9

    def in_virtual_time(_: object, **options: Any) -> Scheduler:
        return Scheduler(world.service, runtime=world.runtime, **options)

    monkeypatch.setattr(scheduler, "Scheduler", in_virtual_time)
    remote = Repository.new(tmp_path / "remote")
    remote.commit({"package-lock.json": lock(CLEAN)})
    clone = remote.clone(tmp_path / "clone")
    clone.git("checkout", "-q", "-b", "feature")
    clone.commit({"package-lock.json": lock(CLEAN, ALSO)})
    clone.write({"package-lock.json": lock(CLEAN, ALSO, MALICIOUS)})
    clone.git("add", "-A")
    result = scangate(
        "check",
        *argv,
        "--format",
        "json",
        cwd=clone.folder,
        SCANGATE_API_URL="https://api.example.com",
        SCANGATE_API_KEY="abcdefgh12345678",
        **environ,
    )
    assert set(outcomes(result.json).values()) == {"pending"}
    assert world.clock.now == waited


def test_a_service_that_has_forgotten_the_task_is_asked_anew(scangate: Scangate, serve: Serve, cache: Path) -> None:
    replay = serve({"recordings": [{"purl": AXIOS, "delay": 3600}]})
    assert scangate("scan", AXIOS, "--timeout", "2", **replay.environ).code == 3
    with closing(sqlite3.connect(cache)) as database, database:
        database.execute("UPDATE tasks SET task = 4711")
    scangate("scan", AXIOS, "--timeout", "2", **replay.environ)
    with closing(sqlite3.connect(cache)) as database:
        ((task,),) = database.execute("SELECT task FROM tasks")
    assert task != 4711


def program(project: Path, own_world: Path, replay: Replay, *argv: str) -> "subprocess.Popen[str]":
    environ = {"HOME": str(own_world), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "scangate", *argv],
        cwd=project,
        env={**environ, **replay.environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_run_that_was_ended_is_taken_up(
    scangate: Scangate, project: Path, own_world: Path, serve: Serve, cache: Path, how: signal.Signals
) -> None:
    example("axios-replica", project)
    replay = serve({"recordings": [{"purl": AXIOS, "delay": 4}]})
    with program(project, own_world, replay, "check") as process:
        while not _reports(cache):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(how)
        process.communicate(timeout=60)
    assert process.returncode != 0
    result = scangate("check", "--format", "json", **replay.environ)
    assert result.code == 1
    assert outcomes(result.json) == {}
    assert submitted(scangate, replay) == 3
    assert "from the cache" in result.err


@pytest.mark.parametrize("argv", [("check",), ("scan", AXIOS)])
def test_a_run_that_was_stopped_passes_nothing_whatever_the_policy_makes_of_pending(
    project: Path, own_world: Path, serve: Serve, cache: Path, argv: tuple[str, ...]
) -> None:
    example("axios-replica", project)
    (project / "scangate.yml").write_text(
        "version: 1\nextends: default\noutcomes: {pending: note}\nrules: [{id: net-on-install, action: note}]\n"
    )
    replay = serve({"recordings": [{"purl": AXIOS, "delay": 3600}]})
    with program(project, own_world, replay, *argv, "--timeout", "600") as process:
        while not _under_way(cache):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out.startswith("scangate: INCOMPLETE")
    assert "PASSED" not in out


KILLED_WHILE_WRITING = """
import os, signal, sys
from scangate.service import cache
writes = []
def shrink(database):
    writes.append(1)
    if len(writes) == 2:  # the row is written, and its transaction not ended
        os.kill(os.getpid(), signal.SIGKILL)
cache._shrink = shrink
from scangate.__main__ import main
sys.exit(main(["check"]))
"""


def test_a_run_killed_in_the_middle_of_a_write_leaves_what_the_next_one_needs(
    scangate: Scangate, project: Path, own_world: Path, replay: Replay, cache: Path
) -> None:
    example("axios-replica", project)
    expected = scangate("check", "--format", "json", "--no-cache", **replay.environ)
    environ = {"HOME": str(own_world), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **replay.environ}
    argv = [sys.executable, "-c", KILLED_WHILE_WRITING]
    killed = subprocess.run(argv, cwd=project, env=environ, capture_output=True, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert any(path.name.endswith(("-journal", "-wal")) for path in cache.parent.iterdir())
    result = scangate("check", "--format", "json", **replay.environ)
    assert result.code == expected.code == 1
    assert timeless(result.json) == timeless(expected.json)
    assert "1 of 3 reports from the cache" in result.err
    assert "warning" not in result.err
    assert "3 of 3 reports from the cache" in scangate("check", **replay.environ).err


ON_A_FULL_DISK = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # every write into a file fails, as it does there
from scangate.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("is_cached", [True, False])
def test_a_full_disk_changes_no_verdict_and_is_said(
    scangate: Scangate, project: Path, own_world: Path, replay: Replay, cache: Path, is_cached: bool
) -> None:
    """The cache, the budget and the last run have each their file: what cannot be kept is named, once."""
    example("axios-replica", project)
    expected = scangate("check", "--all", "--format", "json", *(() if is_cached else ("--no-cache",)), **replay.environ)
    environ = {"HOME": str(own_world), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **replay.environ}
    environ["PYTHONDONTWRITEBYTECODE"] = "1"
    argv = [sys.executable, "-c", ON_A_FULL_DISK, "check", "--all", "--format", "json"]
    done = subprocess.run(argv, cwd=project, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == expected.code == 1, done.stderr
    assert timeless(json.loads(done.stdout)) == timeless(expected.json)
    warnings = [line for line in done.stderr.splitlines() if "warning" in line]
    lost = ["this run is not kept"] if is_cached else ["budget.sqlite3", FILE, "this run is not kept"]
    assert [each in line for each, line in zip(lost, warnings, strict=True)] == [True] * len(lost)
    if is_cached:
        assert scangate("check", "--all", SCANGATE_API_URL=replay.service.url).code == 1
    else:
        assert scangate("check", "--all", **replay.environ).code == 1
        assert "3 of 3 reports from the cache" in scangate("check", "--all", **replay.environ).err


@pytest.mark.parametrize(("version", "asked_for"), [("0.0.1", 3), (__version__, 0)])
def test_a_report_of_the_local_engine_is_of_the_version_that_made_it(
    scangate: Scangate, project: Path, replay: Replay, cache: Path, version: str, asked_for: int
) -> None:
    """The service's reports stand in for the engine's; what would be run now is what --dry-run tells."""
    example("axios-replica", project)
    sent = scangate("check", "--dry-run", **replay.environ).out.split()
    scangate("check", **replay.environ)
    kept = Cache(cache.parent, workspace=None, clock=time.time, warn=pytest.fail)
    with closing(kept):
        entries = [entry for purl in sent if purl.startswith("pkg:") for entry in kept.entries(purl)]
        assert len(entries) == 3
        for entry in entries:
            report = kept.report(entry)
            assert report is not None
            kept.keep(entry._replace(analyser=f"this machine (--local), scangate {version}"), report)
    dry = scangate("check", "--local", "--dry-run")
    assert len(dry.out.splitlines()) == asked_for, dry.err


def _reports(cache: Path) -> int:
    """How many reports and tasks the other process has kept, once it has kept both of some."""
    if not cache.exists():
        return 0
    try:
        with closing(sqlite3.connect(cache)) as database:
            ((reports,),) = database.execute("SELECT count(*) FROM reports")
            ((tasks,),) = database.execute("SELECT count(*) FROM tasks")
    except sqlite3.OperationalError:
        return 0
    return int(reports) if reports + tasks == 3 else 0


def _under_way(cache: Path) -> int:
    """How many tasks the other process has remembered."""
    if not cache.exists():
        return 0
    try:
        with closing(sqlite3.connect(cache)) as database:
            ((tasks,),) = database.execute("SELECT count(*) FROM tasks")
    except sqlite3.OperationalError:
        return 0
    return int(tasks)


def test_nothing_secret_and_no_signed_url_is_kept(scangate: Scangate, project: Path, serve: Serve, cache: Path) -> None:
    example("axios-replica", project)
    replay = serve({"recordings": [{"purl": AXIOS, "delay": 3600}]})
    scangate("check", "--timeout", "3", **replay.environ)
    content = cache.read_bytes()
    assert AXIOS.encode() in content
    assert replay.service.key.encode() not in content
    assert content.count(b"http://") == content.count(replay.service.url.encode())
    for word in (b"ignature", b"xpires=", b"/reports/"):
        assert word not in content


def test_a_run_with_all_cached_imports_nothing_heavy(
    scangate: Scangate, project: Path, own_world: Path, replay: Replay
) -> None:
    example("axios-replica", project)
    scangate("check", **replay.environ)
    code = (
        "import sys; from scangate.cli.main import run; code = run(['check', '--format', 'json=out.json']);"
        "print(code, sorted({'requests', 'urllib3', 'asyncio', 'rich', 'ssl', 'starlette'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        env={"HOME": str(own_world), "PYTHONPATH": str(ROOT), **replay.environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "1 []\n", done.stderr


def test_a_broken_cache_is_said_once_and_changes_no_verdict(
    scangate: Scangate, project: Path, replay: Replay, cache: Path
) -> None:
    example("axios-replica", project)
    cache.parent.mkdir(parents=True)
    cache.write_bytes(b"this is no database" * 1000)
    first = scangate("check", **replay.environ)
    assert first.code == 1
    assert first.err.count("warning") == 1
    assert "set aside" in first.err
    assert cache.with_name(FILE + SET_ASIDE).exists()
    assert "warning" not in scangate("check", **replay.environ).err
    assert scangate("check", SCANGATE_API_URL=replay.service.url).code == 1


@pytest.mark.parametrize("place", ["cache", "sub/../cache", "."])
def test_a_cache_inside_the_project_is_refused_and_the_run_goes_on(
    scangate: Scangate, project: Path, replay: Replay, place: str
) -> None:
    example("axios-replica", project)
    (project / ".git").mkdir()
    (project / "sub").mkdir()
    result = scangate("check", SCANGATE_CACHE_DIR=place, **replay.environ)
    assert result.code == 1
    assert "inside the project" in result.err
    assert not list(project.rglob(FILE))
    assert not (project / "cache").exists()


def test_the_directory_can_be_named(scangate: Scangate, project: Path, tmp_path: Path, replay: Replay) -> None:
    example("axios-replica", project)
    scangate("check", SCANGATE_CACHE_DIR=str(tmp_path / "mine"), **replay.environ)
    assert (tmp_path / "mine" / FILE).exists()
    assert str(tmp_path / "mine" / FILE) in scangate("cache", "info", SCANGATE_CACHE_DIR="../mine").out


def test_a_file_with_another_packages_report_passes_nothing(
    scangate: Scangate, project: Path, replay: Replay, cache: Path
) -> None:
    """As if the cache, or the service that filled it, had mixed two packages up: the report says whose it is."""
    example("axios-replica", project)
    scangate("check", **replay.environ)
    from scangate.service.cache import _digest

    with closing(sqlite3.connect(cache)) as database, database:
        (packed,) = database.execute("SELECT payload FROM reports WHERE purl LIKE '%follow%'").fetchone()
        (key,) = database.execute("SELECT key FROM reports WHERE purl LIKE '%plain-crypto%'").fetchone()
        row = (packed, _digest(key, packed, 1), key)
        database.execute("UPDATE reports SET payload = ?, task = 1, digest = ? WHERE key = ?", row)
    result = scangate("check", "--format", "json", SCANGATE_API_URL=replay.service.url)
    assert outcomes(result.json) == {"pkg:npm/plain-crypto-replica@4.2.1": "no-credentials"}
    assert scangate("check", **replay.environ).code == 1


def test_info_and_clear(scangate: Scangate, project: Path, replay: Replay, cache: Path) -> None:
    example("axios-replica", project)
    empty = scangate("cache", "info")
    assert (empty.code, "0 KiB" in empty.out, cache.parent.exists()) == (0, True, False)
    scangate("check", **replay.environ)
    filled = scangate("cache", "info")
    assert str(cache) in filled.out
    assert f"3 of {replay.service.url}, dynamic-analysis" in filled.out
    cleared = scangate("cache", "clear")
    assert (cleared.code, cleared.out) == (0, "")
    assert "dynamic-analysis" not in scangate("cache", "info").out
    assert scangate("check", SCANGATE_API_URL=replay.service.url).code == 3


def test_info_of_a_broken_file_is_an_error_and_clear_mends_it(scangate: Scangate, cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_bytes(b"this is no database" * 1000)
    broken = scangate("cache", "info")
    assert (broken.code, broken.out) == (3, "")
    assert "scangate cache clear" in broken.err
    assert scangate("cache", "clear").code == 0
    assert scangate("cache", "info").code == 0


def test_wrong_usage(scangate: Scangate) -> None:
    assert scangate("cache").code == 2
    assert scangate("cache", "burn").code == 2
