"""Entries from hosts that are no registry, and from git branches that move."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from scangate import lockfiles
from scangate.lockfiles.examine import examine
from scangate.models.lockfile import Dependency, Kind, Lockfile
from scangate.registries import FILES_HOST, NO_REGISTRIES, PrivateRegistry, Registries
from tests.lockfiles.npm_support import ASSETS, DIGEST, PUBLIC, Folder, Memory, entry, packages

NPM_HOST = PUBLIC.split("/")[2]
COMMIT = "2bbd90fe8802b26a75d1bf26029c087c21ca349b"


def checks(one: Dependency | Lockfile) -> list[str]:
    return [fact.check for fact in one.facts]


def examined(path: str, text: str, registries: Registries = NO_REGISTRIES) -> Lockfile:
    format_ = lockfiles.recognise(path)
    assert format_ is not None
    (found,) = examine([lockfiles.read(path, format_, Memory({path: text}), registries)], registries)
    return found


def npm(registries: Registries = NO_REGISTRIES, **members: object) -> Dependency:
    text = packages({"node_modules/left": entry("left", "1.0.0", **members)})
    return examined("package-lock.json", text, registries).dependencies[0]


def pip(line: str, registries: Registries = NO_REGISTRIES) -> Dependency:
    return examined("requirements.txt", f"{line}\n", registries).dependencies[0]


def poetry(source: str) -> Dependency:
    text = (
        '[[package]]\nname = "left"\nversion = "1.0.0"\nfiles = []\n[package.source]\n'
        f'{source}\n[metadata]\nlock-version = "2.1"\n'
    )
    return examined("poetry.lock", text).dependencies[0]


@pytest.mark.parametrize("line", ["tabs", "spaces"])
def test_one_changed_host_in_a_real_lockfile_is_found_and_nothing_else(line: str, tmp_path: Path) -> None:
    document = json.loads((ASSETS / "v3-real" / "package-lock.json").read_bytes())
    place, members = next((place, one) for place, one in document["packages"].items() if "resolved" in one)
    members["resolved"] = members["resolved"].replace(NPM_HOST, "registry.npmjs.example")
    (tmp_path / "package-lock.json").write_text(json.dumps(document, indent="\t" if line == "tabs" else 2))
    found = lockfiles.read("package-lock.json", "npm-package-lock", Folder(tmp_path), NO_REGISTRIES)
    (lockfile,) = examine([found], NO_REGISTRIES)
    (flagged,) = [one for one in lockfile.dependencies if one.facts]
    assert (checks(flagged), flagged.kind, flagged.purl) == (["unknown-host"], Kind.URL, None)
    assert place.endswith(flagged.name)
    assert "registry.npmjs.example" in flagged.facts[0].detail
    assert flagged.facts[0].line == flagged.line


@pytest.mark.parametrize(
    "read",
    [
        lambda: npm(resolved="https://evil.example/left-1.0.0.tgz"),
        lambda: npm(resolved="http:\\\\evil.example\\left-1.0.0.tgz"),
        lambda: npm(resolved=f"https://{FILES_HOST}/packages/left-1.0.0.tgz"),
        lambda: pip(f"left @ https://{NPM_HOST}/left/-/left-1.0.0.tgz"),
        lambda: pip("left @ https://evil.example/left-1.0.0.tar.gz"),
        lambda: pip("left @ https://${HOST}/left-1.0.0.tar.gz"),
        lambda: poetry('type = "url"\nurl = "https://evil.example/left-1.0.0.tar.gz"'),
        lambda: poetry('type = "legacy"\nurl = "https://evil.example/simple"'),
    ],
)
def test_a_host_that_nothing_names_is_a_fact_in_every_format(read: Callable[[], Dependency]) -> None:
    assert "unknown-host" in checks(read())


@pytest.mark.parametrize(
    "registries",
    [
        Registries(mirrors=frozenset({"npm.acme.example"})),
        Registries(private=(PrivateRegistry(host="npm.acme.example"),)),
    ],
)
def test_a_host_that_the_policy_names_is_known(registries: Registries) -> None:
    assert "unknown-host" not in checks(npm(registries, resolved="https://npm.acme.example/left/-/left-1.0.0.tgz"))
    assert "unknown-host" in checks(npm(registries, resolved="https://acme.example/left/-/left-1.0.0.tgz"))


def test_another_packages_archive_of_the_public_registry_is_a_mismatch_and_its_host_is_known() -> None:
    assert checks(npm(resolved=f"{PUBLIC}evil/-/evil-1.0.0.tgz")) == ["url-mismatch"]


@pytest.mark.parametrize(
    ("read", "is_pinned"),
    [
        (lambda: npm(resolved=f"git+ssh://git@git.example/a/left.git#{COMMIT}"), True),
        (lambda: npm(resolved=f"git+ssh://git@git.example/a/left.git#{COMMIT}::path:pkg"), True),
        (lambda: npm(resolved=f"github:acme/left#{COMMIT}"), True),
        (lambda: npm(resolved="git+ssh://git@git.example/a/left.git#main"), False),
        (lambda: npm(resolved="git+ssh://git@git.example/a/left.git"), False),
        (lambda: npm(resolved=f"git+ssh://git@git.example/a/left.git#{COMMIT[:10]}"), False),
        (lambda: npm(resolved=f"git+ssh://git@git.example/a/left.git@{COMMIT}"), False),
        (lambda: pip(f"git+https://git.example/a/left@{COMMIT}#egg=left"), True),
        (lambda: pip(f"left @ git+ssh://git@git.example/a/left@{COMMIT.upper()}"), True),
        (lambda: pip(f"git+https://git.example/a/left@{'ab' * 32}"), True),
        (lambda: pip("left @ git+https://git.example/a/left@v1.0.0"), False),
        (lambda: pip("-e git+https://git.example/a/left#egg=left"), False),
        (lambda: pip(f"git+https://git.example/a/left#{COMMIT}"), False),
        (lambda: poetry(f'type = "git"\nurl = "https://git.example/a"\nresolved_reference = "{COMMIT}"'), True),
        (lambda: poetry('type = "git"\nurl = "https://git.example/a"\nreference = "main"'), False),
        (lambda: poetry(f'type = "git"\nurl = "https://git.example/a"\nreference = "{COMMIT}"'), True),
    ],
)
def test_a_git_dependency_has_to_name_a_commit_where_its_tool_looks_for_it(
    read: Callable[[], Dependency], is_pinned: bool
) -> None:
    found = read()
    assert found.kind is Kind.GIT
    assert checks(found) == ([] if is_pinned else ["git-unpinned"])


@pytest.mark.parametrize(
    ("file", "is_other"),
    [
        ("left-1.0.0-py3-none-any.whl", False),
        ("left-1.0-py3-none-any.whl", False),  # PEP 440: the same version
        ("right-1.0.0-py3-none-any.whl", True),
        ("left-1.0.1-py3-none-any.whl", True),
        ("left%2D1.0.1-py3-none-any.whl", True),
        ("left.whl", True),
        ("v1.0.0.tar.gz", False),  # what git hosts name their archives
        ("repository-1.0.0.tar.gz", False),
    ],
)
def test_a_wheel_of_another_name_or_version_is_a_mismatch_in_poetry(file: str, is_other: bool) -> None:
    found = poetry(f'type = "url"\nurl = "https://files.example/{file}"')
    assert checks(found) == (["url-mismatch"] if is_other else []) + ["unknown-host"]


def test_an_archive_at_the_public_registry_is_named_as_its_package() -> None:
    for name, expected in (("left-1.0.0", []), ("right-1.0.0", ["url-mismatch"]), ("left", ["url-mismatch"])):
        url = f"https://{FILES_HOST}/packages/aa/bb/{name}.tar.gz"
        assert checks(poetry(f'type = "url"\nurl = "{url}"')) == expected


def test_digests_are_no_excuse() -> None:
    assert "unknown-host" in checks(npm(resolved="https://evil.example/left-1.0.0.tgz", integrity=DIGEST))
