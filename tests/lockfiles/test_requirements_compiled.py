"""Requirements files made by real compilers, against what pip itself takes for them (truth.json beside each)."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from packageurl import PackageURL
from packaging.utils import canonicalize_name

from scangate.lockfiles import requirements, requirements_walk
from scangate.models.lockfile import Dependency, Kind, Relation, Scope
from scangate.registries import NO_REGISTRIES

ASSETS = Path(__file__).parents[1] / "assets" / "requirements"


class Tree:
    """The files below a real folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, path: str) -> bytes | None:
        file = self.root / path
        return file.read_bytes() if file.exists() else None


def cases() -> Iterator[tuple[str, str, list[dict[str, object]]]]:
    for file in sorted(ASSETS.glob("*/truth.json")):
        for name, entries in json.loads(file.read_text()).items():
            yield file.parent.name, name, entries


CASES = [pytest.param(*case, id=f"{case[0]}/{case[1]}") for case in cases()]
COMPILED = [case for case in CASES if not str(case.id).startswith("written/")]


def read(folder: str, name: str) -> tuple[Dependency, ...]:
    return requirements.read(name, Tree(ASSETS / folder), NO_REGISTRIES).dependencies


def test_there_are_cases() -> None:
    assert len(CASES) == 11


@pytest.mark.parametrize(("folder", "name", "truth"), CASES)
def test_the_purls_are_exactly_what_pip_takes(folder: str, name: str, truth: list[dict[str, object]]) -> None:
    expected = {
        PackageURL("pypi", name=canonicalize_name(str(entry["name"])), version=str(entry["version"])).to_string()
        for entry in truth
    }
    found = read(folder, name)
    assert {dependency.purl for dependency in found} == expected
    assert {dependency.kind for dependency in found} == {Kind.REGISTRY}


@pytest.mark.parametrize(("folder", "name", "truth"), CASES)
def test_digests_hold_what_pip_downloads(folder: str, name: str, truth: list[dict[str, object]]) -> None:
    digests = {dependency.name: dependency.integrity for dependency in read(folder, name)}
    text = (ASSETS / folder / name).read_text(encoding="utf-8")
    for entry in truth:
        mine = digests[canonicalize_name(str(entry["name"]))]
        if "--hash" in text and "sha256" in entry:
            assert f"sha256:{entry['sha256']}" in mine
        assert all(f"--hash={digest}" in text for digest in mine)


@pytest.mark.parametrize(("folder", "name", "truth"), COMPILED)
def test_direct_are_those_that_the_input_names(folder: str, name: str, truth: list[dict[str, object]]) -> None:
    directs = {
        "several": {"requests", "flask"},
        "layered": {"requests"} if name == "requirements.txt" else {"pytest", "responses"},
        "project": {"rich", "attrs", "httpx"},
        "hashed": {"requests", "ruamel-yaml", "jinja2", "toml"},
    }.get(folder, {"requests", "ruamel-yaml", "jinja2"})
    found = read(folder, name)
    assert {entry.name for entry in found if entry.relation is Relation.DIRECT} == directs
    assert {entry.relation for entry in found} == {Relation.DIRECT, Relation.TRANSITIVE}


@pytest.mark.parametrize(("folder", "name", "truth"), COMPILED)
def test_paths_follow_what_the_packages_require(folder: str, name: str, truth: list[dict[str, object]]) -> None:
    requires = {
        f"{canonicalize_name(str(entry['name']))}@{entry['version']}": {
            canonicalize_name(str(required))
            for required in entry["requires"]  # type: ignore[attr-defined] # JSON: a list
        }
        for entry in truth
    }
    found = read(folder, name)
    direct = {f"{entry.name}@{entry.version}" for entry in found if entry.relation is Relation.DIRECT}
    for entry in found:
        assert entry.path[0] in direct
        assert entry.path[-1] == f"{entry.name}@{entry.version}"
        for above, below in zip(entry.path, entry.path[1:], strict=False):
            assert below.partition("@")[0] in requires[above]


@pytest.mark.parametrize(("folder", "name", "truth"), CASES)
def test_each_line_is_the_one_that_names_the_package(folder: str, name: str, truth: list[dict[str, object]]) -> None:
    for entry in read(folder, name):
        line = (ASSETS / folder / entry.lockfile).read_text(encoding="utf-8").splitlines()[entry.line - 1]
        assert entry.name in canonicalize_name(line)


def test_scope_is_by_the_name_of_the_file() -> None:
    assert {entry.scope for entry in read("layered", "requirements.txt")} == {Scope.PROD}
    assert {entry.scope for entry in read("layered", "requirements-dev.txt")} == {Scope.DEV}


@pytest.mark.parametrize(("folder", "name", "truth"), CASES)
def test_they_are_recognised_by_content(folder: str, name: str, truth: list[dict[str, object]]) -> None:
    assert requirements.looks_like((ASSETS / folder / name).read_text(encoding="utf-8-sig"))


def test_what_is_included_is_said() -> None:
    included = requirements_walk.walk("requirements.txt", Tree(ASSETS / "written")).included
    assert included == {"requirements/base.txt", "requirements/web.txt"}
    assert {entry.lockfile for entry in read("written", "requirements.txt")} == {
        "requirements.txt",
        "requirements/base.txt",
        "requirements/web.txt",
    }
