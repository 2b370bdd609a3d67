import hashlib
import json
from pathlib import Path

import pytest

from scangate import purls
from scangate.local.fetch import base, npm
from scangate.local.fetch.base import Closure, FetchError, Hint, IntegrityMismatch, Pin
from scangate.local.fetch.upstream import NotThere
from scangate.models.lockfile import Ecosystem
from tests.local.fetch.conftest import Fetch
from tests.local.fetch.registry import Registry, tar

pytestmark = pytest.mark.tool("npm")


def _installed(tree: Path) -> dict[str, str]:
    lock = json.loads((tree / "node_modules" / ".package-lock.json").read_text())
    return {path: entry["version"] for path, entry in lock["packages"].items()}


def test_a_package_with_what_it_needs_and_no_script_run(registry: Registry, fetch: Fetch, tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    scripts = dict.fromkeys(("preinstall", "install", "postinstall", "prepare"), f"touch {trace}")
    registry.npm("@me/app", "1.0.0", {"index.js": ""}, dependencies={"dep": "^1.0.0"}, scripts=scripts)
    registry.npm("dep", "1.2.0", scripts=scripts, hasInstallScript=True)
    fetched = fetch("pkg:npm/%40me/app@1.0.0")
    assert _installed(fetched.tree) == {"node_modules/@me/app": "1.0.0", "node_modules/dep": "1.2.0"}
    assert (fetched.tree / fetched.folder / "index.js").is_file()
    assert not trace.exists()


def test_at_the_lockfiles_versions(registry: Registry, fetch: Fetch) -> None:
    registry.npm("app", "1.0.0", dependencies={"dep": "^1.0.0"})
    locked = registry.npm("dep", "1.1.0")
    registry.npm("dep", "1.2.0")
    fetched = fetch("pkg:npm/app@1.0.0", Hint(closure=Closure((Pin(purl="pkg:npm/dep@1.1.0", integrity=(locked,)),))))
    assert _installed(fetched.tree)["node_modules/dep"] == "1.1.0"


def test_a_dependency_that_the_lockfile_pins_by_an_old_algorithm(registry: Registry, fetch: Fetch) -> None:
    registry.npm("app", "1.0.0", dependencies={"dep": "^1.0.0"})
    registry.npm("dep", "1.1.0")
    digest = hashlib.sha224(registry.pages["/npm/dep/-/1.1.0.tgz"][1]).hexdigest()
    pin = Pin(purl="pkg:npm/dep@1.1.0", integrity=(f"sha224:{digest}",))
    fetched = fetch("pkg:npm/app@1.0.0", Hint(closure=Closure((pin,))))
    assert _installed(fetched.tree)["node_modules/dep"] == "1.1.0"


def test_a_registrys_junk_in_place_of_a_digest_promises_nothing(registry: Registry, fetch: Fetch) -> None:
    registry.npm("app", "1.0.0", dependencies={"dep": "^1.0.0"})
    registry.npm("dep", "1.1.0")
    page = json.loads(registry.pages["/npm/dep"][1])
    page["versions"]["1.1.0"]["dist"] |= {"integrity": None, "shasum": "none"}
    registry.put("/npm/dep", json.dumps(page).encode())
    with pytest.raises(IntegrityMismatch, match=r"dep 1\.1\.0"):
        fetch("pkg:npm/app@1.0.0")


def test_a_dependency_that_is_not_the_locked_one(registry: Registry, fetch: Fetch) -> None:
    registry.npm("app", "1.0.0", dependencies={"dep": "^1.0.0"})
    registry.npm("dep", "1.1.0")
    pin = Pin(purl="pkg:npm/dep@1.1.0", integrity=("sha512:" + "0" * 128,))
    with pytest.raises(IntegrityMismatch, match=r"dep 1\.1\.0"):
        fetch("pkg:npm/app@1.0.0", Hint(closure=Closure((pin,))))


def test_not_the_archive_that_the_lockfile_promises(registry: Registry, fetch: Fetch) -> None:
    actual = registry.npm("app", "1.0.0")
    expected = "sha512:" + "0" * 128
    with pytest.raises(IntegrityMismatch) as caught:
        fetch("pkg:npm/app@1.0.0", Hint(integrity=(expected,)))
    assert (caught.value.expected, caught.value.actual) == ((expected,), (actual,))


def test_not_the_archive_that_the_registry_promises(registry: Registry, fetch: Fetch) -> None:
    registry.npm("app", "1.0.0")
    registry.put("/npm/app/-/1.0.0.tgz", tar({"package/package.json": '{"name": "app", "version": "1.0.0"}', "x": "y"}))
    with pytest.raises(IntegrityMismatch):
        fetch("pkg:npm/app@1.0.0")


def test_dependencies_from_elsewhere_are_left_out_and_named(registry: Registry, fetch: Fetch, tmp_path: Path) -> None:
    elsewhere = {
        "git": "git+ssh://git@git.example/x.git",
        "short": "someone/repo",
        "url": registry.put("/evil.tgz", tar({"package/package.json": '{"name": "url", "version": "1.0.0"}'})),
        "file": f"file:{tmp_path}",
    }
    registry.npm("app", "1.0.0", dependencies={**elsewhere, "alias": "npm:dep@1.0.0"})
    registry.npm("dep", "1.0.0")
    fetched = fetch("pkg:npm/app@1.0.0")
    assert set(_installed(fetched.tree)) == {"node_modules/app", "node_modules/alias"}
    assert [each.partition(":")[0] for each in fetched.missing] == sorted(elsewhere)
    assert "/evil.tgz" not in [path for path, _ in registry.asked]


def test_what_another_version_asks_for_is_not_missing(registry: Registry, fetch: Fetch) -> None:
    registry.npm("dep", "0.9.0", dependencies={"odd": "someone/repo"})
    registry.npm("dep", "1.0.0")
    registry.npm("app", "1.0.0", dependencies={"dep": "^1.0.0"})
    assert fetch("pkg:npm/app@1.0.0").missing == ()


def test_what_a_dependency_asks_for_is_missing(registry: Registry, fetch: Fetch) -> None:
    registry.npm("dep", "1.0.0", dependencies={"odd": "someone/repo"})
    registry.npm("app", "1.0.0", dependencies={"dep": "^1.0.0"})
    assert fetch("pkg:npm/app@1.0.0").missing == ("odd: not from the registry",)


def test_an_archive(registry: Registry, fetch: Fetch, tmp_path: Path) -> None:
    registry.npm("dep", "1.0.0")
    manifest = {"name": "mine", "version": "2.0.0", "dependencies": {"dep": "1.0.0", "bad": "file:/etc"}}
    archive = tmp_path / "blob"
    archive.write_bytes(tar({"package/package.json": json.dumps(manifest), "package/x.js": "1"}))
    fetched = fetch("pkg:npm/mine@2.0.0", archive=archive)
    assert _installed(fetched.tree) == {"node_modules/mine": "2.0.0", "node_modules/dep": "1.0.0"}
    assert fetched.missing == ("bad: not from the registry",)


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"name": "other", "version": "2.0.0"}'])
def test_an_archive_of_something_else(fetch: Fetch, tmp_path: Path, content: bytes) -> None:
    archive = tmp_path / "blob"
    archive.write_bytes(tar({"package/package.json": content}))
    with pytest.raises(FetchError):
        fetch("pkg:npm/mine@2.0.0", archive=archive)


def test_no_configuration_of_the_users(
    registry: Registry, fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".npmrc").write_text("registry=http://127.0.0.1:9/\nignore-scripts=false\n")
    (tmp_path / ".npmrc").write_text("registry=http://127.0.0.1:9/\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    monkeypatch.setenv("NODE_OPTIONS", "--require=/nonexistent.js")
    registry.npm("app", "1.0.0")
    assert _installed(fetch("pkg:npm/app@1.0.0").tree) == {"node_modules/app": "1.0.0"}


@pytest.mark.parametrize("purl", ["pkg:npm/nothing@1.0.0", "pkg:npm/app@9.9.9"])
def test_what_is_not_there(registry: Registry, fetch: Fetch, purl: str) -> None:
    registry.npm("app", "1.0.0")
    with pytest.raises(NotThere):
        fetch(purl)


def test_a_dependency_that_is_not_there(registry: Registry, fetch: Fetch) -> None:
    registry.npm("app", "1.0.0", dependencies={"gone": "1"})
    with pytest.raises(FetchError, match=r"npm install of pkg:npm/app@1\.0\.0: .*404"):
        fetch("pkg:npm/app@1.0.0")


def test_peers_that_cannot_be_had_together_are_no_reason_not_to_look(registry: Registry, fetch: Fetch) -> None:
    registry.npm("app", "1.0.0", dependencies={"plugin": "1.0.0", "host": "1.0.0"})
    registry.npm("plugin", "1.0.0", peerDependencies={"host": "2.0.0"})
    registry.npm("host", "1.0.0")
    registry.npm("host", "2.0.0")
    installed = _installed(fetch("pkg:npm/app@1.0.0").tree)
    assert {"node_modules/app", "node_modules/plugin", "node_modules/host"} <= set(installed)


def test_a_lockfile_is_sorted_out_once_for_all_its_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand packages with a closure of a thousand: a million if each looked through it."""
    parsed: list[str] = []
    real = purls.parse
    monkeypatch.setattr(base.purls, "parse", lambda text: parsed.append(text) or real(text))
    closure = Closure(tuple(Pin(purl=f"pkg:npm/p{number}@1.0.{number}") for number in range(1000)))
    for number in range(1000):
        hint = Hint(closure=closure)
        assert hint.closure.versions(Ecosystem.NPM, f"p{number}") == {f"1.0.{number}": ()}
    assert len(parsed) == 1000


def test_a_registry_that_sends_us_elsewhere(registry: Registry, fetch: Fetch) -> None:
    registry.npm("app", "1.0.0")
    page = registry.pages["/npm/app"][1].replace(registry.url.encode(), b"https://elsewhere.example")
    registry.put("/npm/app", page)
    with pytest.raises(FetchError, match="another host"):
        fetch("pkg:npm/app@1.0.0")


def test_without_npm(registry: Registry, fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.npm("app", "1.0.0")
    monkeypatch.setattr(npm, "_PATH", "/nonexistent")
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(FetchError, match="npm is not installed"):
        fetch("pkg:npm/app@1.0.0")


def test_a_package_for_another_platform_is_not_analysed_as_if_it_were_there(registry: Registry, fetch: Fetch) -> None:
    registry.npm("app", "1.0.0", os=["win32"])
    with pytest.raises(FetchError):
        fetch("pkg:npm/app@1.0.0")
