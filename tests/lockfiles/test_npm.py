"""Real lockfiles against what npm itself reports of them, and the rules of the two forms."""

import gc
import json
from collections import Counter
from pathlib import Path

import pytest

from scangate.errors import LockfileError
from scangate.lockfiles import npm
from scangate.models.lockfile import Dependency, Kind, Lockfile, Relation, Scope
from scangate.registries import NO_REGISTRIES
from tests.lockfiles.npm_support import (
    ASSETS,
    DIGEST,
    DIGEST_HEX,
    PUBLIC,
    Folder,
    checks,
    entry,
    nested,
    one,
    packages,
    read,
    url,
)

FIXTURES = sorted(path.name for path in ASSETS.iterdir() if path.is_dir())
Truth = list[dict[str, object]]


def lock_of(fixture: str) -> str:
    return "npm-shrinkwrap.json" if fixture == "shrinkwrap" else "package-lock.json"


def load(fixture: str) -> Lockfile:
    return npm.read(lock_of(fixture), Folder(ASSETS / fixture), NO_REGISTRIES)


def truth_of(fixture: str) -> Truth:
    """npm's own list, without the project's directories (what links lead to)."""
    listed: Truth = json.loads((ASSETS / fixture / "truth.json").read_text())
    return [node for node in listed if "node_modules/" in str(node["location"])]


def purl_of(node: dict[str, object]) -> str:
    """Written out here once more: pkg:npm/ with the scope's at sign encoded. Versions of the fixtures are plain."""
    return f"pkg:npm/{str(node['name']).replace('@', '%40')}@{node['version']}"


def by_name(lockfile: Lockfile, name: str) -> Dependency:
    (found,) = (dependency for dependency in lockfile.dependencies if dependency.name == name)
    return found


@pytest.mark.parametrize("fixture", FIXTURES)
def test_purls_are_what_npm_reports(fixture: str) -> None:
    elsewhere = ("git+", "file:")
    expected = [purl_of(node) for node in truth_of(fixture) if not str(node["resolved"] or "").startswith(elsewhere)]
    found = [dependency.purl for dependency in load(fixture).dependencies if dependency.purl]
    assert Counter(found) == Counter(expected)
    assert len(found) > 2


@pytest.mark.parametrize("fixture", FIXTURES)
def test_every_entry_is_listed_at_the_line_of_its_key(fixture: str) -> None:
    text = (ASSETS / fixture / lock_of(fixture)).read_text().splitlines()
    found = load(fixture)
    assert len({dependency.line for dependency in found.dependencies}) == len(found.dependencies)
    for dependency in found.dependencies:
        key = json.loads(text[dependency.line - 1].strip().removesuffix("{").rstrip().removesuffix(":"))
        assert key.startswith("node_modules/") or "/node_modules/" in key or fixture.startswith("v1")
        folder = key.rpartition("node_modules/")[2]
        assert folder == dependency.name or folder in ("older-ms", "my-scope")


@pytest.mark.parametrize("fixture", FIXTURES)
def test_paths_are_chains_of_listed_packages(fixture: str) -> None:
    found = load(fixture).dependencies
    labels = {f"{one.name}@{one.version}" if one.version else one.name for one in found}
    direct = {f"{one.name}@{one.version}" if one.version else one.name for one in found if one.relation == "direct"}
    for dependency in found:
        assert dependency.relation is not Relation.UNKNOWN
        assert set(dependency.path) <= labels
        assert dependency.path[0] in direct
        assert (len(dependency.path) == 1) == (dependency.relation is Relation.DIRECT)


@pytest.mark.parametrize("fixture", FIXTURES)
def test_scopes_agree_with_npms_flags(fixture: str) -> None:
    dev: dict[tuple[object, object], bool] = {}
    for node in truth_of(fixture):
        key = (node["name"], node["version"])
        dev[key] = dev.get(key, True) and bool(node["dev"])
    for dependency in load(fixture).dependencies:
        if (dependency.name, dependency.version) in dev:
            assert (dependency.scope is Scope.DEV) == dev[dependency.name, dependency.version]


@pytest.mark.parametrize("fixture", FIXTURES)
def test_real_lockfiles_show_nothing_notable_but_bundles(fixture: str) -> None:
    found = load(fixture)
    assert found.facts == ()
    assert {check for dependency in found.dependencies for check in checks(dependency)} <= {"bundled"}


def test_version_one_is_what_npm_6_installs() -> None:
    installed = json.loads((ASSETS / "v1" / "installed.json").read_text())
    alias = {"older-ms": "ms", "my-scope": "@sindresorhus/is"}
    expected = {(alias.get(node["name"], node["name"]), node["version"]) for node in installed}
    assert {(found.name, found.version) for found in load("v1").dependencies} == expected


def test_the_three_forms_of_one_project_say_the_same() -> None:
    listed = [
        {(d.purl, d.kind, d.registry, d.integrity, d.scope, d.relation) for d in load(fixture).dependencies}
        for fixture in ("v2", "v3", "unresolved")
    ]
    assert listed[0] == listed[1] == listed[2]


@pytest.mark.parametrize("fixture", ["elsewhere", "v1-elsewhere"])
def test_what_comes_from_elsewhere(fixture: str) -> None:
    found = load(fixture)
    kinds = {d.name: d.kind for d in found.dependencies}
    assert kinds == {
        "lib": Kind.LOCAL,
        "packed": Kind.FILE,
        "tool": Kind.GIT,
        "ms": Kind.REGISTRY,  # a URL dependency on the registry's own archive
        "once": Kind.REGISTRY,
        "wrappy": Kind.REGISTRY,
    }
    assert by_name(found, "tool").registry == "git.example.com"
    assert by_name(found, "ms").version == "2.1.3"
    assert by_name(found, "lib").path == (f"lib@{by_name(found, 'lib').version}",) or fixture == "v1-elsewhere"
    assert by_name(found, "once").path[-1] == "once@1.4.0"
    assert all(d.purl is None for d in found.dependencies if d.kind is not Kind.REGISTRY)


@pytest.mark.parametrize("fixture", ["workspaces", "v2-workspaces"])
def test_workspaces_are_own_code_and_their_needs_direct(fixture: str) -> None:
    found = load(fixture)
    names = [d.name for d in found.dependencies]
    assert "@fixture/a" not in names
    assert "@fixture/b" not in names
    assert sorted((d.version, d.relation) for d in found.dependencies if d.name == "ms") == [
        ("2.0.0", Relation.DIRECT),
        ("2.1.2", Relation.TRANSITIVE),
        ("2.1.3", Relation.DIRECT),
    ]
    plain = by_name(found, "plain")
    assert (plain.kind, plain.version, plain.purl) == (Kind.LOCAL, "1.0.0", None)
    assert by_name(found, "once").path == ("plain@1.0.0", "once@1.4.0")


def test_bundled_entries_name_their_bundler() -> None:
    found = load("bundled")
    inside = [d for d in found.dependencies if "bundled" in checks(d)]
    assert {d.name for d in inside} == {str(n["name"]) for n in truth_of("bundled") if n["inBundle"]}
    assert {d.source for d in inside} == {
        "bundled in @aws-cdk/cloud-assembly-schema@41.2.0",
        "bundled in @tailwindcss/oxide-wasm32-wasi@4.1.4",
    }
    assert all(d.integrity == () for d in inside)


# -------------------------------------------------------------------------------------------- rules, one by one


def test_an_ordinary_entry() -> None:
    found = one(entry("left", "1.2.3"))
    assert found == Dependency(
        ecosystem=found.ecosystem,
        name="left",
        version="1.2.3",
        kind=Kind.REGISTRY,
        purl="pkg:npm/left@1.2.3",
        registry=PUBLIC.split("/")[2],
        source=url("left", "1.2.3"),
        integrity=(DIGEST_HEX,),
        lockfile="package-lock.json",
        line=8,
    )


def test_an_alias_is_the_package_that_it_stands_for() -> None:
    found = one({**entry("real", "1.0.0"), "name": "real"}, at="node_modules/nick")
    assert (found.name, found.purl, found.facts) == ("real", "pkg:npm/real@1.0.0", ())
    (old,) = read(
        nested({"nick": entry("@s/real", "npm:@s/real@1.0.0", resolved=url("@s/real", "1.0.0"))})
    ).dependencies
    assert (old.name, old.version, old.purl) == ("@s/real", "1.0.0", "pkg:npm/%40s/real@1.0.0")


def test_resolution_goes_upward_to_the_nearest() -> None:
    lock = packages(
        {
            "node_modules/a": entry("a", "1.0.0", dependencies={"b": "1"}),
            "node_modules/a/node_modules/b": entry("b", "1.0.0", dependencies={"c": "1"}),
            "node_modules/b": entry("b", "2.0.0"),
            "node_modules/c": entry("c", "1.0.0", dependencies={"b": "2", "missing": "1"}),
        },
        dependencies={"a": "1"},
    )
    paths = {(d.name, d.version): d.path for d in read(lock).dependencies}
    assert paths == {
        ("a", "1.0.0"): ("a@1.0.0",),
        ("b", "1.0.0"): ("a@1.0.0", "b@1.0.0"),
        ("c", "1.0.0"): ("a@1.0.0", "b@1.0.0", "c@1.0.0"),
        ("b", "2.0.0"): ("a@1.0.0", "b@1.0.0", "c@1.0.0", "b@2.0.0"),
    }


def test_optional_peers_bring_nothing_in() -> None:
    lock = packages(
        {
            "node_modules/a": entry(
                "a",
                "1.0.0",
                peerDependencies={"needed": "1", "maybe": "1"},
                peerDependenciesMeta={"maybe": {"optional": True}, "needed": {}},
                dependencies={"c": "1"},
            ),
            "node_modules/c": entry("c", "1.0.0", dependencies={"maybe": "1"}),
            "node_modules/maybe": entry("maybe", "1.0.0"),
            "node_modules/needed": entry("needed", "1.0.0"),
        },
        dependencies={"a": "1"},
    )
    found = read(lock)
    assert by_name(found, "maybe").path == ("a@1.0.0", "c@1.0.0", "maybe@1.0.0")
    assert by_name(found, "needed").path == ("a@1.0.0", "needed@1.0.0")


def test_what_nothing_needs_has_no_relation() -> None:
    found = one(entry("left", "1.0.0", extraneous=True))
    assert (found.relation, found.path, found.purl) == (Relation.UNKNOWN, (), "pkg:npm/left@1.0.0")


def test_one_production_place_makes_all_places_production() -> None:
    lock = packages(
        {
            "node_modules/a": entry("a", "1.0.0", dev=True),
            "node_modules/b/node_modules/a": entry("a", "1.0.0"),
            "node_modules/a2": entry("a2", "1.0.0", dev=True, optional=True),
            "node_modules/b": entry("b", "1.0.0", devOptional=True),
            "node_modules/c": entry("c", "1.0.0", optional=True),
            "node_modules/c/node_modules/b": entry("b", "1.0.0", dev=True),
        }
    )
    assert [(d.name, d.scope) for d in read(lock).dependencies] == [
        ("a", Scope.PROD),
        ("a", Scope.PROD),
        ("a2", Scope.DEV),
        ("b", Scope.DEV),
        ("c", Scope.OPTIONAL),
        ("b", Scope.DEV),
    ]


def test_version_one_takes_direct_dependencies_from_package_json() -> None:
    lock = nested({"a": {**entry("a", "1.0.0"), "requires": {"b": "1"}}, "b": entry("b", "1.0.0", dev=True)})
    assert {d.relation for d in read(lock).dependencies} == {Relation.UNKNOWN}
    assert {d.path for d in read(lock).dependencies} == {()}
    found = read(lock, manifest={"devDependencies": {"a": "1"}})
    assert [d.path for d in found.dependencies] == [("a@1.0.0",), ("a@1.0.0", "b@1.0.0")]


def test_packages_without_a_root_entry_take_it_from_package_json() -> None:
    lock = json.dumps({"lockfileVersion": 3, "packages": {"node_modules/a": entry("a", "1.0.0")}})
    assert read(lock).dependencies[0].relation is Relation.UNKNOWN
    assert read(lock, manifest={"dependencies": {"a": "1"}}).dependencies[0].relation is Relation.DIRECT


def test_version_one_entries_in_every_form() -> None:
    found = read(
        nested(
            {
                "archive": {"version": "https://example.com/archive.tgz", "integrity": DIGEST},
                "dir": {"version": "file:../dir", "dependencies": {"inner": entry("inner", "1.0.0")}},
                "git": {"version": "git+https://git.example.com/x.git#0a", "from": "git+https://git.example.com/x.git"},
                "hub": {"version": "github:acme/hub#0a", "from": "github:acme/hub"},
                "tar": {"version": "file:tar-1.0.0.tgz", "integrity": DIGEST},
                "from-url": {"version": "1.0.0", "from": "from-url@https://example.com/x.tgz"},
                "from-range": {"version": "1.0.0", "from": "from-range@^1.0.0"},
                "registry-url": {"version": url("registry-url", "1.0.0"), "integrity": DIGEST},
                "plain": {"version": "1.0.0"},
                "nothing": {},
            }
        )
    )
    assert [(d.name, d.kind, d.version) for d in found.dependencies] == [
        ("archive", Kind.URL, None),
        ("dir", Kind.LOCAL, None),
        ("inner", Kind.REGISTRY, "1.0.0"),
        ("git", Kind.GIT, None),
        ("hub", Kind.GIT, None),
        ("tar", Kind.FILE, None),
        ("from-url", Kind.URL, "1.0.0"),
        ("from-range", Kind.REGISTRY, "1.0.0"),
        ("registry-url", Kind.REGISTRY, "1.0.0"),
        ("plain", Kind.REGISTRY, "1.0.0"),
        ("nothing", Kind.UNPINNED, None),
    ]
    assert all((d.purl is not None) == (d.kind is Kind.REGISTRY) for d in found.dependencies)


def test_an_ancient_shrinkwrap_has_no_version() -> None:
    lock = json.dumps(
        {"name": "p", "dependencies": {"a": {"version": "1.0.0", "from": "a@1", "resolved": url("a", "1.0.0")}}}
    )
    (found,) = read(lock).dependencies
    assert (found.purl, checks(found)) == ("pkg:npm/a@1.0.0", ["no-integrity"])


def test_an_empty_project_is_no_error() -> None:
    assert read(packages({})).dependencies == ()
    assert read('{"lockfileVersion": 1}').dependencies == ()
    assert read(b"\xef\xbb\xbf" + packages({}).encode()).dependencies == ()


def test_links_are_listed_where_they_lead_out_of_the_workspaces() -> None:
    lock = packages(
        {
            "../lib": {
                "name": "lib",
                "version": "2.0.0",
                "dependencies": {"dep": "1"},
                "devDependencies": {"top": "1"},
            },
            "../lib/node_modules/dep": entry("dep", "1.0.0"),
            "apps/web": {"version": "1.0.0", "dependencies": {"top": "1"}},
            "node_modules/lib": {"resolved": "../lib", "link": True},
            "node_modules/gone": {"resolved": "gone", "link": True},
            "node_modules/top": entry("top", "1.0.0"),
            "node_modules/web": {"resolved": "apps/web", "link": True},
        },
        dependencies={"lib": "file:../lib"},
        workspaces={"packages": ["./apps/**/"]},
    )
    found = read(lock)
    assert [(d.name, d.kind, d.version) for d in found.dependencies] == [
        ("dep", Kind.REGISTRY, "1.0.0"),
        ("lib", Kind.LOCAL, "2.0.0"),
        ("gone", Kind.LOCAL, None),
        ("top", Kind.REGISTRY, "1.0.0"),
    ]
    assert by_name(found, "dep").path == ("lib@2.0.0", "dep@1.0.0")
    # A directory outside the project does not see the project's node_modules; the workspace does.
    assert by_name(found, "top").path == ("top@1.0.0",)
    assert by_name(found, "lib").source == "../lib"


@pytest.mark.parametrize(
    ("globs", "own"),
    [
        (["packages/*"], True),
        (["./packages/a/"], True),
        (["packages/**"], True),
        (["**"], True),
        (["**/a"], True),
        (["packages/?"], True),
        (["packages/*", "!packages/a"], False),
        (["!packages/a", "packages/*"], True),
        (["packages"], False),
        (["packages/a/**"], False),
        (["*"], False),
        (["packages/*/x"], False),
        (["**/" * 500 + "*a" * 500 + "b"], False),
        ([], False),
    ],
)
def test_workspace_globs_say_whose_code_a_link_is(globs: list[str], own: bool) -> None:
    entries = {"packages/a": {"version": "1.0.0"}, "node_modules/a": {"resolved": "packages/a", "link": True}}
    found = read(packages(entries, workspaces=globs)).dependencies
    assert [d.kind for d in found] == ([] if own else [Kind.LOCAL])


def test_a_directory_that_is_fetched_is_a_dependency() -> None:
    found = one({"version": "1.0.0", "resolved": "https://evil.example/x.tgz", "integrity": DIGEST}, at="vendor/x")
    assert (found.name, found.kind, found.purl) == ("x", Kind.URL, None)


def test_the_project_itself_may_bundle() -> None:
    found = one(entry("left", "1.0.0", inBundle=True, resolved=None, integrity=None))
    assert (found.purl, checks(found)) == ("pkg:npm/left@1.0.0", ["no-integrity"])


def test_what_a_foreign_archive_bundles_is_as_foreign() -> None:
    lock = packages(
        {
            "node_modules/a": {"version": "1.0.0", "resolved": "https://evil.example/a.tgz", "integrity": DIGEST},
            "node_modules/a/node_modules/b": {"version": "1.0.0", "inBundle": True},
            "node_modules/a/node_modules/b/node_modules/c": {"inBundle": True},
            "node_modules/r": entry("r", "1.0.0"),
            "node_modules/r/node_modules/c": {"inBundle": True},
        }
    )
    assert [(d.name, d.kind, d.purl) for d in read(lock).dependencies] == [
        ("a", Kind.URL, None),
        ("b", Kind.URL, None),
        ("c", Kind.URL, None),
        ("r", Kind.REGISTRY, "pkg:npm/r@1.0.0"),
        ("c", Kind.UNPINNED, None),
    ]


# --------------------------------------------------------------------------------------- two halves that disagree

LEFT = entry("left", "1.0.0")


def diverging(old: dict[str, object], new: dict[str, object]) -> list[tuple[str, str]]:
    """The checks, and the text of the line that each one points at."""
    document = json.loads(packages(new, 2))
    text = json.dumps({**document, "dependencies": old}, indent=2)
    return [(fact.check, text.splitlines()[fact.line - 1].strip()) for fact in read(text).facts]


@pytest.mark.parametrize(
    "old",
    [
        {"left": entry("left", "1.0.1")},
        {"left": {**LEFT, "resolved": url("left", "1.0.1")}},
        {"left": {**LEFT, "integrity": "sha512-" + "B" * 86 + "=="}},
        {"left": {**LEFT, "version": "npm:evil@1.0.0"}},
    ],
)
def test_a_different_entry_diverges(old: dict[str, object]) -> None:
    assert diverging(old, {"node_modules/left": LEFT}) == [("v1-v2-divergence", '"left": {')]


def test_a_missing_entry_diverges() -> None:
    assert diverging({}, {"node_modules/left": LEFT}) == [("v1-v2-divergence", '"node_modules/left": {')]
    assert diverging({"left": LEFT}, {}) == [("v1-v2-divergence", '"left": {')]


def test_equal_halves_do_not_diverge() -> None:
    assert diverging({"left": LEFT}, {"node_modules/left": LEFT}) == []


def test_both_halves_count_whatever_the_version_says(tmp_path: Path) -> None:
    """npm 7 reads `packages` even where the version is 1: so does scangate, and tells."""
    document = json.loads(packages({"node_modules/evil": entry("evil", "1.0.0")}, 1))
    found = read(json.dumps({**document, "dependencies": {"left": LEFT}}))
    assert [d.name for d in found.dependencies] == ["evil"]
    assert len(found.facts) == 2


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_left_as_it_was(enabled: bool) -> None:
    was_enabled = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        read(packages({}))
        assert gc.isenabled() is enabled
        with pytest.raises(LockfileError):
            read("{")
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if was_enabled else gc.disable)()
