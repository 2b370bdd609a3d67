"""What holds for every test: no real home, no real credentials, no environment of the machine, tools declared."""

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

settings.register_profile(
    "scangate", deadline=None, max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("scangate")

_REAL_HOME = Path("~").expanduser().resolve()
_ALLOWED = tuple(f"{Path(place).resolve()}{os.sep}" for place in (ROOT, sys.prefix, sys.base_prefix, sys.exec_prefix))
_touched: list[str] = []


def _watch(event: str, args: tuple[object, ...]) -> None:
    """Note each file below the real home that is opened (the interpreter and this repository may live there)."""
    if event != "open" or not isinstance(args[0], (str, bytes)):
        return
    path = os.fsdecode(args[0])
    if path.startswith(f"{_REAL_HOME}{os.sep}") and not path.startswith(_ALLOWED):
        _touched.append(path)


if str(_REAL_HOME) != os.sep:
    sys.addaudithook(_watch)


@pytest.fixture(autouse=True)
def own_world(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of the test's own, and none of the machine's settings. Fails a test that touched the real home."""
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith(("SCANGATE_", "GIT_", "GITHUB_", "XDG_", "PIP_", "NPM_", "npm_")) or name.upper().endswith(
            "_PROXY"
        ):
            monkeypatch.delenv(name)
    for name in ("CI", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    del _touched[:]
    yield home
    assert not _touched, f"the test opened files of the real home: {_touched}"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """`@pytest.mark.tool("node")`: skipped where the program is missing; in CI that is a failure."""
    for mark in item.iter_markers("tool"):
        missing = [name for name in mark.args if shutil.which(name) is None]
        if missing and IN_CI:
            pytest.fail(f"CI must have {', '.join(missing)}", pytrace=False)
        if missing:
            pytest.skip(f"needs {', '.join(missing)}")
    if item.get_closest_marker("index") and not index_is_there():
        if IN_CI:
            pytest.fail("CI must reach the package index", pytrace=False)
        pytest.skip("needs the package index")


INDEX = {
    name: os.environ[name] for name in ("PIP_CERT", "PIP_INDEX_URL", "HTTPS_PROXY", "NO_PROXY") if name in os.environ
}
"""How this machine reaches the package index; the tests' own environment has none of it."""


@functools.cache
def index_is_there() -> bool:
    """Whether pip gets an answer from it."""
    command = [sys.executable, "-I", "-m", "pip", "index", "versions", "--retries=0", "--timeout=10", "h11"]
    return subprocess.run(command, env={**os.environ, **INDEX}, capture_output=True, check=False).returncode == 0


IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--golden-update", action="store_true", help="rewrite the golden files")
