"""The engine with what it is given: archives of its own making, a registry on loopback, and the real sandbox."""

import base64
import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from scangate import purls
from scangate.local.engines import phases_npm
from scangate.local.engines.dynamic import DynamicEngine, new_baits
from scangate.local.fetch.base import Fetched, FetchError, Hint
from scangate.local.fetch.fetcher import PackageFetcher
from scangate.local.fetch.upstream import Upstream
from scangate.local.jobs import Interrupted, Job, Outcome
from scangate.local.sandbox import base as sandboxes
from scangate.local.sandbox.base import PhaseTrace, SandboxFailed
from scangate.local.sandbox.bubblewrap import BubblewrapSandbox
from scangate.local.sandbox.launch import TOOLS
from scangate.models.analysis import Analysed, Engine, OutcomeCode
from scangate.reports import reader
from tests.local.fetch.registry import Registry, running, sdist, wheel

NOW = 1_800_000_000
BAITS = {"AWS_ACCESS_KEY_ID": "AKIAABCDEFGHIJKLMNOP", "AWS_SECRET_ACCESS_KEY": "0123456789" * 4}
SANDBOX = pytest.mark.tool(*TOOLS, "npm")


@pytest.fixture
def registry() -> Iterator[Registry]:
    with running() as server:
        yield server


@pytest.fixture
def fetcher(registry: Registry) -> Iterator[PackageFetcher]:
    fetcher = PackageFetcher(
        npm=f"{registry.url}/npm", pypi=f"{registry.url}/simple", upstream=Upstream(pause_seconds=0.01)
    )
    yield fetcher
    fetcher.close()


class Recorded:
    """Notes the jobs, and ends them as it is told."""

    def __init__(self, problem: Exception | None = None) -> None:
        self.plans: list[sandboxes.Plan] = []
        self._problem = problem

    def run(self, plan: sandboxes.Plan, stop: Event) -> tuple[PhaseTrace, ...]:
        self.plans.append(plan)
        assert plan.tree.is_dir()
        if self._problem is not None:
            raise self._problem
        return tuple(PhaseTrace(phase=phase.phase, status="completed") for phase in plan.phases)


def _analyse(
    sandbox: sandboxes.Sandbox, fetcher: PackageFetcher, purl: str, hint: Hint | None = None, **job: Any
) -> Outcome:
    engine = DynamicEngine(sandbox, fetcher, {purl: hint} if hint else {}, clock=lambda: NOW, baits=lambda: BAITS)
    stop = job.pop("stop", Event())
    return engine.analyse(Job(task_id=1, purl=purl, **{"engine": Engine.DYNAMIC_ANALYSIS, **job}), stop)


def _phases(outcome: Outcome) -> Any:
    assert outcome.report is not None, outcome.error_message
    return json.loads(outcome.report)["Analysis"]


def _commands(phase: Any) -> list[list[str]]:
    return [each["Command"] for each in phase["Commands"]]


def _decoded(phase: Any, which: str) -> str:
    return base64.b64decode(phase[which]).decode()


def _read(outcome: Outcome, purl: str) -> Any:
    assert outcome.report is not None, outcome.error_message
    now = datetime.fromtimestamp(NOW, UTC)
    return reader.read(outcome.report, purl=purl, engine=Engine.DYNAMIC_ANALYSIS, now=now, max_age_days=30)


# ------------------------------------------------------------------------------------------- without a sandbox


@pytest.mark.parametrize(
    ("purl", "engine"),
    [("pkg:npm/app@1.0.0", Engine.LASTPYMILE), ("pkg:vscode-extension/me/it@1.0.0", Engine.DYNAMIC_ANALYSIS)],
)
def test_what_this_engine_does_not_do_is_said(fetcher: PackageFetcher, purl: str, engine: Engine) -> None:
    outcome = _analyse(Recorded(), fetcher, purl, engine=engine)
    assert outcome.status == "failed"
    assert "not supported by the local engine" in str(outcome.error_message)


@pytest.mark.parametrize("purl", ["pkg:npm/gone@1.0.0", "pkg:pypi/gone@1.0", "pkg:npm/app"])
def test_what_cannot_be_had_fails_and_runs_nothing(fetcher: PackageFetcher, purl: str) -> None:
    sandbox = Recorded()
    outcome = _analyse(sandbox, fetcher, purl)
    assert (outcome.status, outcome.report, sandbox.plans) == ("failed", None, [])
    assert outcome.error_message


@pytest.mark.tool("npm")
def test_another_archive_than_promised_is_reported_and_not_run(registry: Registry, fetcher: PackageFetcher) -> None:
    registry.npm("app", "1.0.0")
    sandbox = Recorded()
    outcome = _analyse(sandbox, fetcher, "pkg:npm/app@1.0.0", Hint(integrity=("sha512:" + "0" * 128,)))
    assert sandbox.plans == []
    assert _read(outcome, "pkg:npm/app@1.0.0").code is OutcomeCode.INTEGRITY_MISMATCH


@pytest.mark.tool("npm")
@pytest.mark.parametrize("problem", [None, SandboxFailed("It broke.", ""), OSError(28, "No space left on device")])
def test_however_it_ends_nothing_is_left_behind(
    registry: Registry, fetcher: PackageFetcher, problem: Exception | None
) -> None:
    registry.npm("app", "1.0.0")
    sandbox = Recorded(problem)
    outcome = _analyse(sandbox, fetcher, "pkg:npm/app@1.0.0")
    assert outcome.status == ("completed" if problem is None else "failed")
    assert not sandbox.plans[0].tree.parent.exists()


@pytest.mark.parametrize(
    ("manifest", "runs"),
    [
        ("[]", None),
        ("{", None),
        ('{"scripts": []}', []),
        ('{"scripts": {"install": 5, "postinstall": "x", "prepare": "y"}}', ["x"]),
        ('{"scripts": {}, "gyp": true}', ["node-gyp rebuild"]),
        ('{"scripts": {"preinstall": "x"}, "gyp": true}', ["x"]),
        ('{"gypfile": false, "gyp": true}', []),
        ('\ufeff{"scripts": {"postinstall": "b", "preinstall": "a"}}', ["a", "b"]),
    ],
)
def test_the_scripts_that_npm_would_run(tmp_path: Path, manifest: str, runs: list[str] | None) -> None:
    folder = tmp_path / "node_modules" / "app"
    folder.mkdir(parents=True)
    (folder / "package.json").write_text(manifest, encoding="utf-8")
    if '"gyp"' in manifest:
        (folder / "binding.gyp").touch()
    fetched = Fetched(purl=purls.parse("pkg:npm/app@1.0.0"), tree=tmp_path, folder="node_modules/app")
    if runs is None:
        with pytest.raises(FetchError, match=r"package\.json"):
            phases_npm.plan(fetched)
    else:
        install, _ = phases_npm.plan(fetched)
        assert [program.argv for program in install.programs] == [("sh", "-c", each) for each in runs]


@pytest.mark.tool("npm")
def test_what_could_not_be_fetched_is_in_the_report(registry: Registry, fetcher: PackageFetcher) -> None:
    registry.npm("app", "1.0.0", dependencies={"theirs": "git+https://git.example/x.git"})
    found = _read(_analyse(Recorded(), fetcher, "pkg:npm/app@1.0.0"), "pkg:npm/app@1.0.0")
    assert [each.detail for each in found.shortfalls if each.code is OutcomeCode.DEPENDENCY_MISSING] == [
        "These were not there while it ran: theirs: not from the registry."
    ]


@pytest.mark.tool("npm")
def test_it_stops(registry: Registry, fetcher: PackageFetcher) -> None:
    registry.npm("app", "1.0.0")
    stop = Event()
    stop.set()
    sandbox = Recorded()
    with pytest.raises(Interrupted):
        _analyse(sandbox, fetcher, "pkg:npm/app@1.0.0", stop=stop)
    assert sandbox.plans == []


@pytest.mark.tool("node")
def test_npms_user_agent_names_this_machine(tmp_path: Path) -> None:
    folder = tmp_path / "node_modules" / "app"
    folder.mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({"name": "app", "version": "1", "scripts": {"install": "x"}}))
    plan = phases_npm.plan(Fetched(purl=purls.parse("pkg:npm/app@1"), tree=tmp_path, folder="node_modules/app"))
    process = "process.stdout.write(`${process.platform} ${process.arch}`)"
    named = subprocess.run(["node", "-e", process], capture_output=True, text=True, check=True, timeout=60).stdout
    agent = plan[0].programs[0].environ["npm_config_user_agent"]
    assert f" {named} " in agent


def test_baits_are_new_each_time() -> None:
    one, other = new_baits(), new_baits()
    assert one.keys() == other.keys() >= {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert set(one.values()).isdisjoint(other.values())


# ------------------------------------------------------------------------------------------------ real runs


@SANDBOX
def test_npm_scripts_run_with_npms_environment_then_the_import(registry: Registry, fetcher: PackageFetcher) -> None:
    show = "echo $npm_lifecycle_event $npm_package_name@$npm_package_version $PWD; dep"
    scripts = {"preinstall": show, "postinstall": show, "test": "touch /app/never"}
    files = {"index.js": "require('fs').writeFileSync('/tmp/imported', require('dep'))"}
    registry.npm("app", "1.0.0", files, scripts=scripts, dependencies={"dep": "1.0.0"})
    registry.npm(
        "dep", "1.0.0", {"index.js": "#!/bin/sh\n':' //; echo dep runs; exit\nmodule.exports = 'x'"}, bin="index.js"
    )
    outcome = _analyse(BubblewrapSandbox(), fetcher, "pkg:npm/app@1.0.0")
    phases = _phases(outcome)
    place = "app@1.0.0 /app/node_modules/app"
    assert _decoded(phases["install"], "Stdout").splitlines() == [
        f"preinstall {place}", "dep runs", f"postinstall {place}", "dep runs",
    ]  # fmt: skip
    assert _decoded(phases["import"], "Stdout") == "Importing app\n"
    assert [phases[each]["Status"] for each in phases] == ["completed", "completed"]
    written = [each["Path"] for each in phases["import"]["Files"] if each["Write"]]
    assert written == ["/tmp/imported"]
    assert _commands(phases["install"])[0] == ["scangate-local", "install", "pkg:npm/app@1.0.0"]
    assert "sh" in _commands(phases["install"])[-1][0]
    assert isinstance(_read(outcome, "pkg:npm/app@1.0.0"), Analysed)


@SANDBOX
@pytest.mark.parametrize(
    ("files", "manifest", "output"),
    [
        ({"m.mjs": "export default 1"}, {"exports": "./m.mjs"}, "Importing app\n"),
        ({"a.js": ""}, {"exports": {"./a": "./a.js", "./*": "./*.js", "./package.json": "./x"}}, "Importing app/a\n"),
        ({"index.js": "throw new Error('no')"}, {}, "Importing app\nFailed to import app\n"),
        ({"types.d.ts": ""}, {"main": ""}, "Nothing to import: app has no entry point\n"),
        ({"index.js": "setInterval(() => {}, 1000)"}, {}, "Importing app\n"),
        ({"index.js": "process.exit(3)"}, {}, "Importing app\n"),
    ],
)  # fmt: skip
def test_ways_to_be_imported(
    registry: Registry, fetcher: PackageFetcher, files: dict[str, str], manifest: dict[str, Any], output: str
) -> None:
    registry.npm("app", "1.0.0", files, **manifest)
    outcome = _analyse(BubblewrapSandbox(), fetcher, "pkg:npm/app@1.0.0")
    phase = _phases(outcome)["import"]
    assert (_decoded(phase, "Stdout"), phase["Status"]) == (output, "completed")
    codes = [each.code for each in _read(outcome, "pkg:npm/app@1.0.0").shortfalls]
    assert codes == ([OutcomeCode.IMPORT_FAILED] if "Failed" in output else [])


@SANDBOX
def test_what_a_build_asks_for_and_does_not_get_is_told(registry: Registry, fetcher: PackageFetcher) -> None:
    """setup_requires of an old setup.py, which its backend only says when it is asked."""
    pyproject = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    wanted = ["pbr >= 2", "setuptools", "old-tool; python_version"]
    asks = f"\ndef get_requires_for_build_wheel(settings):\n    return {wanted}\n"
    registry.pypi(
        "app", "app-1.0.tar.gz", sdist("app", "1.0", {"pyproject.toml": pyproject, "backend.py": BACKEND + asks})
    )
    for tool in ("setuptools", "wheel"):
        registry.pypi(tool, f"{tool}-1.0-py3-none-any.whl", wheel(tool, "1.0", {}))
    found = _read(_analyse(BubblewrapSandbox(), fetcher, "pkg:pypi/app@1.0"), "pkg:pypi/app@1.0")
    (shortfall,) = (each for each in found.shortfalls if each.code is OutcomeCode.DEPENDENCY_MISSING)
    assert shortfall.detail == (
        "These were not there while it ran: old-tool; python_version (to build it), pbr >= 2 (to build it)."
    )


@SANDBOX
def test_nothing_hides_behind_many_others(registry: Registry, fetcher: PackageFetcher) -> None:
    files = {f"m{number:02}.py": "" for number in range(60)} | {"m60.py": "open('/tmp/imported', 'w').close()"}
    main = "def last(): open('/tmp/executed', 'w').close()\ndef main(): pass"
    scripts = "\n".join(f"s{number:02} = m00:{'last' if number == 29 else 'main'}" for number in range(30))
    registry.pypi("app", "app-1.0-py3-none-any.whl", wheel("app", "1.0", files | {"m00.py": main}, scripts=scripts))
    phases = _phases(_analyse(BubblewrapSandbox(), fetcher, "pkg:pypi/app@1.0"))
    written = {each["Path"] for phase in phases.values() for each in phase["Files"] if each["Write"]}
    assert {"/tmp/imported", "/tmp/executed"} <= written
    entries = {f"./e{number:02}": f"./e{number:02}.js" for number in range(40)}
    sources = {f"e{number:02}.js": "" for number in range(39)}
    sources["e39.js"] = "require('fs').writeFileSync('/tmp/imported', '')"
    registry.npm("app", "1.0.0", sources, exports=entries)
    phase = _phases(_analyse(BubblewrapSandbox(), fetcher, "pkg:npm/app@1.0.0"))["import"]
    assert "/tmp/imported" in {each["Path"] for each in phase["Files"] if each["Write"]}


@SANDBOX
def test_a_wheel_starts_imports_and_executes(registry: Registry, fetcher: PackageFetcher) -> None:
    files = {
        "start.pth": "import sys; open('/tmp/pth', 'a').close()\n",
        "app/__init__.py": "open('/tmp/init', 'a').close()\ndef main():\n"
        "    import sys; print('args', sys.argv[1:]); sys.exit(2)",
        "app/__main__.py": "open('/tmp/main', 'a').close()",
        "space/inner/__init__.py": "raise ValueError('no')",
    }
    archive = wheel("app", "1.0", files, scripts="tool = app:main")
    registry.pypi("app", "app-1.0-py3-none-any.whl", archive)
    phases = _phases(_analyse(BubblewrapSandbox(), fetcher, "pkg:pypi/app@1.0"))

    def written(phase: str) -> set[str]:
        return {each["Path"] for each in phases[phase]["Files"] if each["Write"]} & {
            "/tmp/pth",
            "/tmp/init",
            "/tmp/main",
        }

    assert written("install") == {"/tmp/pth"}
    assert written("import") == {"/tmp/pth", "/tmp/init"}
    assert written("execute") == {"/tmp/pth", "/tmp/init", "/tmp/main"}
    imported = _decoded(phases["import"], "Stdout")
    assert imported == "Importing app\nImporting space.inner\nFailed to import space.inner\n"
    assert "args ['--help']" in _decoded(phases["execute"], "Stdout")
    assert [phases[each]["Status"] for each in phases] == ["completed"] * 3


BACKEND = """
import pathlib, zipfile
def build_wheel(directory, settings=None, metadata=None):
    open('/tmp/built', 'a').close()
    name = 'app-1.0-py3-none-any.whl'
    with zipfile.ZipFile(pathlib.Path(directory) / name, 'w') as out:
        out.writestr('app.py', '')
        out.writestr('app-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: app\\nVersion: 1.0\\n')
        out.writestr('app-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\n')
        out.writestr('app-1.0.dist-info/RECORD', 'app.py,,\\napp-1.0.dist-info/METADATA,,\\n')
    return name
"""


@SANDBOX
def test_a_source_distribution_is_built_inside_and_three_runs_are_equal(
    registry: Registry, fetcher: PackageFetcher
) -> None:
    pyproject = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    files = {"pyproject.toml": pyproject, "backend.py": BACKEND + "\nimport tempfile; tempfile.mkdtemp()\n"}
    registry.pypi("app", "app-1.0.tar.gz", sdist("app", "1.0", files))
    for tool in ("setuptools", "wheel"):
        registry.pypi(tool, f"{tool}-1.0-py3-none-any.whl", wheel(tool, "1.0", {}))
    outcomes = [_analyse(BubblewrapSandbox(), fetcher, "pkg:pypi/app@1.0") for _ in range(3)]
    first, *others = [str(outcome.report, "ascii").splitlines() for outcome in outcomes if outcome.report]
    for other in others:
        assert other == first
    phases = _phases(outcomes[0])
    assert "/tmp/built" in {each["Path"] for each in phases["install"]["Files"] if each["Write"]}
    assert _decoded(phases["import"], "Stdout") == "Importing app\n"
    assert not Path("/tmp/built").exists()
