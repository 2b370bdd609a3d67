"""What is not a whole package-lock is one error, at its line; never a part of a list."""

import json
from typing import Any

import pytest

from scangate.errors import LockfileError
from scangate.lockfiles import npm
from scangate.lockfiles.npm_graph import MAX_PATH
from scangate.registries import NO_REGISTRIES
from tests.lockfiles.npm_support import ASSETS, Memory, entry, nested, packages, read


def problem(lock: str, **beside: Any) -> str:
    with pytest.raises(LockfileError) as caught:
        read(lock, **beside)
    assert caught.value.hint
    assert "\n" not in caught.value.message
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("null", "package-lock.json:1: holds no JSON object"),
        ("{}", "package-lock.json:1: not a package-lock: it has no lockfileVersion"),
        ('{"packages": {}}', "package-lock.json:1: not a package-lock: it has no lockfileVersion"),
        ('{\n"lockfileVersion": 4}', "package-lock.json:2: lockfileVersion 4 is unknown"),
        ('{"lockfileVersion": 0}', "package-lock.json:1: lockfileVersion 0 is unknown"),
        ('{"lockfileVersion": true}', "package-lock.json:1: lockfileVersion True is unknown"),
        ('{"lockfileVersion": "3"}', "package-lock.json:1: lockfileVersion '3' is unknown"),
        ('{"lockfileVersion": [3]}', "package-lock.json:1: lockfileVersion [3] is unknown"),
        ('{"lockfileVersion": 3,\n"packages": []}', "package-lock.json:2: packages are not an object"),
        ('{"lockfileVersion": 1,\n"dependencies": []}', "package-lock.json:2: dependencies are not an object"),
        ('{"lockfileVersion": 3, "packages": {}, "dependencies": 1}', "package-lock.json:1: dependencies are not"),
    ],
)
def test_a_document_of_another_form(text: str, expected: str) -> None:
    assert problem(text).startswith(expected)


WRONG = [
    ("version", 1, "has a 'version' that is not text"),
    ("resolved", [], "has a 'resolved' that is not text"),
    ("integrity", False, "has a 'integrity' that is not text"),
    ("dev", "yes", "has a 'dev' that is neither true nor false"),
    ("optional", 1, "has a 'optional' that is neither true nor false"),
]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        *WRONG,
        ("name", {}, "has a 'name' that is not text"),
        ("name", "a b", "names 'a b', which cannot be a package's name"),
        ("devOptional", None, "has a 'devOptional' that is neither true nor false"),
        ("inBundle", 1, "has a 'inBundle' that is neither true nor false"),
        ("link", 1, "has a 'link' that is neither true nor false"),
        ("dependencies", ["b"], "has 'dependencies' that is not an object"),
        ("optionalDependencies", "b", "has 'optionalDependencies' that is not an object"),
        ("peerDependencies", 1, "has 'peerDependencies' that is not an object"),
        ("peerDependenciesMeta", 1, "is not an object"),
    ],
)
def test_a_wrong_type_in_packages(key: str, value: object, expected: str) -> None:
    lock = packages(
        {"node_modules/ok": entry("ok", "1.0.0"), "node_modules/bad": {**entry("bad", "1.0.0"), key: value}}
    )
    line = lock.splitlines().index('    "node_modules/bad": {') + 1
    assert problem(lock) == f"package-lock.json:{line}: entry 'node_modules/bad' {expected}."


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        *WRONG,
        ("from", 1, "has a 'from' that is not text"),
        ("bundled", 1, "has a 'bundled' that is neither true nor false"),
        ("requires", [], "has 'requires' that is not an object"),
        ("version", "npm:@1.0.0", "names '', which cannot be a package's name"),
    ],
)
def test_a_wrong_type_in_dependencies(key: str, value: object, expected: str) -> None:
    inner = {"version": "1.0.0", key: value}
    lock = nested({"ok": {**entry("ok", "1.0.0"), "dependencies": {"bad": inner}}})
    line = lock.splitlines().index('        "bad": {') + 1
    assert problem(lock) == f"package-lock.json:{line}: entry 'bad' {expected}."


@pytest.mark.parametrize("value", [None, [], "1.0.0", 1])
def test_an_entry_that_is_no_object(value: object) -> None:
    assert problem(packages({"node_modules/a": value})).endswith("entry 'node_modules/a' is not an object.")
    assert problem(nested({"a": value})).endswith("entry 'a' is not an object.")


def test_dependencies_within_an_entry_of_a_wrong_type() -> None:
    lock = nested({"a": {"version": "1.0.0", "dependencies": ["b"]}})
    line = lock.splitlines().index('      "dependencies": [') + 1
    assert problem(lock) == f"package-lock.json:{line}: dependencies are not an object."


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        ".",
        "..",
        "a b",
        "a\nb",
        "a/b/c",
        "@a",
        "@/a",
        "@a/",
        "a/b",
        ".hidden",
        "ä",
        "\ud800",
        "a%2fb",
        "x" * 200 + " ",
    ],
)
def test_a_name_that_is_none(name: str) -> None:
    assert "cannot be a package's name" in problem(packages({f"node_modules/{name}": {"version": "1.0.0"}}))
    assert "cannot be a package's name" in problem(nested({name: {"version": "1.0.0"}}))


@pytest.mark.parametrize("name", ["JSONStream", "a.b", "@A.b/c_d", "-", "x'!~()*", "0"])
def test_odd_names_that_the_registry_took(name: str) -> None:
    (found,) = read(nested({name: {"version": "1.0.0"}})).dependencies
    assert found.name == name


def test_other_wrong_members() -> None:
    assert problem(packages({"node_modules/a": {"link": True}})).endswith("is a link without a target.")
    assert problem(packages({}, workspaces="packages/*")).endswith("has workspaces that are not a list of paths.")
    assert problem(packages({}, workspaces=[1])).endswith("has workspaces that are not a list of paths.")
    assert problem(packages({"vendor/a b": {"resolved": "x"}})).endswith("which cannot be a package's name.")


def test_files_beside_the_lockfile() -> None:
    with pytest.raises(LockfileError, match=r"^sub/package-lock\.json: no such file\.$"):
        npm.read("sub/package-lock.json", Memory(), NO_REGISTRIES)
    files = {"sub/package-lock.json": nested({}), "sub/package.json": "{"}
    with pytest.raises(LockfileError, match=r"^sub/package\.json:1:2: broken JSON"):
        npm.read("sub/package-lock.json", Memory(files), NO_REGISTRIES)
    files["sub/package.json"] = '{"dependencies": []}'
    with pytest.raises(LockfileError, match=r"^sub/package\.json: entry '' has 'dependencies'"):
        npm.read("sub/package-lock.json", Memory(files), NO_REGISTRIES)
    # Version 2 and 3 say themselves what is direct.
    assert read(packages({}), manifest="{").dependencies == ()


@pytest.mark.parametrize("fixture", ["v1", "v2", "workspaces"])
def test_a_truncated_file_is_never_a_part_of_a_list(fixture: str) -> None:
    whole = (ASSETS / fixture / "package-lock.json").read_text().rstrip()
    for end in range(0, len(whole), 397):
        assert "package-lock.json" in problem(whole[:end])


def test_the_readme_example_of_npm_is_not_an_error() -> None:
    assert read(json.dumps({"name": "p", "version": "1.0.0", "lockfileVersion": 2, "requires": True, "packages": {}}))


@pytest.mark.parametrize("location", ["a/" * 3000, "node_modules/a/" * 1000 + "node_modules/a"])
def test_a_location_longer_than_a_path_is_refused(location: str) -> None:
    assert "is longer than a path can be" in problem(packages({location: {"version": "1.0.0"}}))


def test_a_long_location_costs_nothing_special() -> None:
    location = "a/" * 2000 + "b"
    (found,) = read(packages({location: {}, "node_modules/x": entry("x", "1.0.0")}, workspaces=["**"])).dependencies
    assert found.name == "x"


def chain(length: int) -> str:
    entries = {f"node_modules/p{i}": entry(f"p{i}", "1.0.0", dependencies={f"p{i + 1}": "*"}) for i in range(length)}
    return packages(entries, dependencies={"p0": "*"})


def test_a_chain_written_to_fill_the_memory_is_refused() -> None:
    assert len(read(chain(MAX_PATH)).dependencies[-1].path) == MAX_PATH
    text = chain(20_000)
    line = text.splitlines().index(f'    "node_modules/p{MAX_PATH}": {{') + 1
    assert problem(text) == f"package-lock.json:{line}: more than {MAX_PATH} packages need one another in a row."


def test_a_location_that_means_another_place_on_windows_is_refused() -> None:
    """Without this, the first would be a directory of the project here, and a package of the registry there."""
    for location in ("node_modules\\left", "packages\\a"):
        lock = packages({location: {"version": "1.0.0"}})
        assert "holds a backslash" in problem(lock)
