import importlib.util
import json
import sys
from pathlib import Path

import pytest

from scangate.local.fetch.base import Closure, FetchError, Hint, IntegrityMismatch, Pin
from scangate.local.fetch.upstream import NotThere
from tests.local.fetch.conftest import Fetch
from tests.local.fetch.registry import Registry, sdist, tar, wheel


def _publish(registry: Registry, name: str, version: str, *requires: str) -> str:
    archive = wheel(name, version, {f"{name}.py": f"version = {version!r}"}, requires=requires)
    return registry.pypi(name, f"{name}-{version}-py3-none-any.whl", archive)


def _installed(tree: Path) -> set[str]:
    return {path.name.removesuffix(".dist-info") for path in (tree / "venv").rglob("*.dist-info")}


def test_a_wheel_with_what_it_needs(registry: Registry, fetch: Fetch) -> None:
    _publish(registry, "app", "1.0", "dep>=1")
    _publish(registry, "dep", "1.5")
    fetched = fetch("pkg:pypi/app@1.0.0")
    assert _installed(fetched.tree) == {"app-1.0", "dep-1.5"}
    assert fetched.own_source is None


def test_at_the_lockfiles_versions(registry: Registry, fetch: Fetch) -> None:
    _publish(registry, "app", "1.0", "dep>=1")
    locked = _publish(registry, "dep", "1.1")
    _publish(registry, "dep", "1.2")
    fetched = fetch("pkg:pypi/app@1.0", Hint(closure=Closure((Pin(purl="pkg:pypi/dep@1.1", integrity=(locked,)),))))
    assert _installed(fetched.tree) == {"app-1.0", "dep-1.1"}


def test_the_file_that_the_lockfile_names(registry: Registry, fetch: Fetch) -> None:
    _publish(registry, "app", "1.0")
    locked = registry.pypi("app", "app-1.0.tar.gz", sdist("app", "1.0", {"setup.py": ""}))
    for tool in ("setuptools", "wheel"):
        _publish(registry, tool, "1.0")
    fetched = fetch("pkg:pypi/app@1.0", Hint(integrity=(locked,)))
    assert fetched.own_source is not None


def test_a_source_distribution_is_not_built_outside(registry: Registry, fetch: Fetch, tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    setup = f"open({str(trace)!r}, 'w')"
    pyproject = '[build-system]\nrequires = ["buildtool", "x @ https://elsewhere.example/x.whl"]\n'
    files = {"setup.py": setup, "pyproject.toml": pyproject}
    registry.pypi("app", "app-1.0.tar.gz", sdist("app", "1.0", files, requires=("dep",)))
    registry.pypi("dep", "dep-1.0.zip", b"")
    registry.pages.pop("/simple/dep/")
    registry.pypi("dep", "dep-1.0.tar.gz", sdist("dep", "1.0", {"setup.py": setup}))
    for tool in ("setuptools", "wheel", "buildtool"):
        _publish(registry, tool, "1.0")
    fetched = fetch("pkg:pypi/app@1.0")
    assert fetched.own_source is not None
    assert len(fetched.other_sources) == 1
    for source in (fetched.own_source, *fetched.other_sources):
        assert (fetched.tree / source / "setup.py").read_text() == setup
    built_with = {path.name for path in (fetched.tree / "build-venv").rglob("*.dist-info")}
    assert built_with == {"setuptools-1.0.dist-info", "wheel-1.0.dist-info", "buildtool-1.0.dist-info"}
    assert not trace.exists()


def test_not_the_archive_that_was_promised(registry: Registry, fetch: Fetch) -> None:
    actual = _publish(registry, "app", "1.0")
    expected = "sha256:" + "0" * 64
    with pytest.raises(IntegrityMismatch) as caught:
        fetch("pkg:pypi/app@1.0", Hint(integrity=(expected,)))
    assert (caught.value.expected, caught.value.actual) == ((expected,), (actual,))


def test_the_index_breaks_its_own_promise(registry: Registry, fetch: Fetch) -> None:
    registry.pypi("app", "app-1.0-py3-none-any.whl", wheel("app", "1.0", {}), digest="0" * 64)
    with pytest.raises(IntegrityMismatch):
        fetch("pkg:pypi/app@1.0")


def test_a_requirement_by_url_is_refused(registry: Registry, fetch: Fetch, tmp_path: Path) -> None:
    _publish(registry, "app", "1.0", f"evil @ file://{tmp_path}")
    with pytest.raises(FetchError, match="requires evil from a URL"):
        fetch("pkg:pypi/app@1.0")


def test_archives(registry: Registry, fetch: Fetch, tmp_path: Path) -> None:
    _publish(registry, "dep", "1.0")
    archive = tmp_path / "blob"
    archive.write_bytes(wheel("mine", "2.0", {"mine.py": ""}, requires=("dep",)))
    fetched = fetch("pkg:pypi/mine@2.0", archive=archive, filename="mine-2.0-py3-none-any.whl")
    assert _installed(fetched.tree) == {"mine-2.0", "dep-1.0"}


@pytest.mark.parametrize(
    "filename", ["other-2.0-py3-none-any.whl", "mine-2.1.tar.gz", "mine.txt", "mine-2.0-cp27-cp27m-win32.whl"]
)
def test_an_archive_of_something_else(fetch: Fetch, tmp_path: Path, filename: str) -> None:
    archive = tmp_path / "blob"
    archive.write_bytes(wheel("mine", "2.0", {}))
    with pytest.raises(FetchError):
        fetch("pkg:pypi/mine@2.0", archive=archive, filename=filename)


def test_no_configuration_of_the_users(registry: Registry, fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/")
    monkeypatch.setenv("PIP_NO_BINARY", ":all:")
    monkeypatch.setenv("PYTHONPATH", "/nonexistent")
    _publish(registry, "app", "1.0")
    assert _installed(fetch("pkg:pypi/app@1.0").tree) == {"app-1.0"}


@pytest.mark.parametrize("purl", ["pkg:pypi/nothing@1.0", "pkg:pypi/app@9.9"])
def test_what_is_not_there(registry: Registry, fetch: Fetch, purl: str) -> None:
    _publish(registry, "app", "1.0")
    with pytest.raises(NotThere):
        fetch(purl)


def test_a_dependency_that_is_not_there(registry: Registry, fetch: Fetch) -> None:
    _publish(registry, "app", "1.0", "gone")
    with pytest.raises(FetchError, match=r"pip download for pkg:pypi/app@1\.0"):
        fetch("pkg:pypi/app@1.0")


def test_no_file_for_this_platform(registry: Registry, fetch: Fetch) -> None:
    registry.pypi("app", "app-1.0-cp27-cp27m-win32.whl", wheel("app", "1.0", {}))
    with pytest.raises(FetchError, match="none of its 1 files"):
        fetch("pkg:pypi/app@1.0")


def test_extensions_are_told_to_go_elsewhere(fetch: Fetch) -> None:
    with pytest.raises(FetchError, match="not supported by the local engine"):
        fetch("pkg:vscode-extension/me/it@1.0.0")


def test_what_a_build_needs_and_is_no_wheel(registry: Registry, fetch: Fetch) -> None:
    files = {"setup.py": "", "pyproject.toml": '[build-system]\nrequires = ["buildtool"]\n'}
    registry.pypi("app", "app-1.0.tar.gz", sdist("app", "1.0", files))
    registry.pypi("buildtool", "buildtool-1.0.tar.gz", sdist("buildtool", "1.0", {"setup.py": ""}))
    for tool in ("setuptools", "wheel"):
        _publish(registry, tool, "1.0")
    with pytest.raises(FetchError, match=r"buildtool-1-.* is needed to build it and is no wheel"):
        fetch("pkg:pypi/app@1.0")


def test_a_source_distribution_with_nothing_in_it(registry: Registry, fetch: Fetch) -> None:
    registry.pypi("app", "app-1.0.tar.gz", tar({}))
    for tool in ("setuptools", "wheel"):
        _publish(registry, tool, "1.0")
    with pytest.raises(FetchError, match="it holds no file"):
        fetch("pkg:pypi/app@1.0")


def test_versions_that_cannot_be_used_here_are_passed_over(registry: Registry, fetch: Fetch) -> None:
    _publish(registry, "app", "1.0", "dep")
    _publish(registry, "dep", "1.0")
    registry.pypi("dep", "dep-2.0-cp27-cp27m-win32.whl", wheel("dep", "2.0", {}))
    registry.pypi("dep", "dep-3.0.exe", b"")
    assert _installed(fetch("pkg:pypi/app@1.0").tree) == {"app-1.0", "dep-1.0"}


def test_an_index_that_names_another_host(registry: Registry, fetch: Fetch) -> None:
    page = {"files": [{"filename": "app-1.0-py3-none-any.whl", "url": "https://elsewhere.example/app.whl"}]}
    registry.put("/simple/app/", json.dumps(page).encode())
    with pytest.raises(FetchError, match="the index sends us to another host"):
        fetch("pkg:pypi/app@1.0")


@pytest.mark.parametrize("page", [b"<html>", b"[]", b'{"files": 1}', b'{"files": [{}]}', b"[" * 100_000])
def test_what_is_no_index_page(registry: Registry, fetch: Fetch, page: bytes) -> None:
    registry.put("/simple/app/", page)
    with pytest.raises(FetchError, match="not an index page"):
        fetch("pkg:pypi/app@1.0")


def test_without_pip(registry: Registry, fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither beside scangate nor beside the Python that its environment was made from."""
    _publish(registry, "app", "1.0")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "base_prefix", sys.prefix)
    monkeypatch.setattr(sys, "_base_executable", sys.executable, raising=False)
    with pytest.raises(FetchError, match="pip is not installed"):
        fetch("pkg:pypi/app@1.0")
