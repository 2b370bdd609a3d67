"""Generated trees: what holds for every package-lock, and that nothing but LockfileError comes out of a bad one."""

import json
from collections import deque
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from scangate import purls
from scangate.errors import LockfileError
from scangate.models.lockfile import Dependency, Kind, Relation
from tests.lockfiles.npm_support import ASSETS, entry, nested, packages, read

NAMES = st.sampled_from(["a", "b", "c", "d", "@s/e"])
NEEDS = st.dictionaries(NAMES, st.just("*"), max_size=3)
SLOW = settings(deadline=None, max_examples=40)


@st.composite
def trees(draw: st.DrawFn) -> dict[str, dict[str, object]]:
    """Locations of up to three levels, with entries that need each other at random."""
    locations = {"": ""}
    for chain in draw(st.lists(st.lists(NAMES, min_size=1, max_size=3), max_size=12)):
        place = ""
        for name in chain:
            place += f"{'/' if place else ''}node_modules/{name}"
            locations[place] = name
    return {
        place: entry(name, f"{i}.0.0", dependencies=draw(NEEDS)) if name else {"dependencies": draw(NEEDS)}
        for i, (place, name) in enumerate(locations.items())
    }


def resolved(tree: dict[str, dict[str, object]], place: str, name: str) -> str | None:
    """node's rule, written plainly: the nearest node_modules upward."""
    while True:
        candidate = f"{place}/node_modules/{name}".lstrip("/")
        if candidate in tree:
            return candidate
        if not place:
            return None
        place = place.rpartition("node_modules/")[0].rstrip("/")


def distances(tree: dict[str, dict[str, object]]) -> dict[str, int]:
    found: dict[str, int] = {"": 0}
    queue = deque([""])
    while queue:
        place = queue.popleft()
        needs = tree[place]["dependencies"]
        assert isinstance(needs, dict)
        for name in needs:
            other = resolved(tree, place, name)
            if other is not None and other not in found:
                found[other] = found[place] + 1
                queue.append(other)
    return found


@SLOW
@given(trees())
def test_paths_are_shortest_and_lines_are_the_keys(tree: dict[str, dict[str, object]]) -> None:
    root = tree.pop("")
    text = packages(tree, dependencies=root["dependencies"])
    lines = text.splitlines()
    expected = distances({"": root, **tree})
    labels = {f"{place.rpartition('node_modules/')[2]}@{members['version']}": place for place, members in tree.items()}
    found = read(text).dependencies
    assert len(found) == len(tree)
    for dependency in found:
        location = json.loads(lines[dependency.line - 1].strip().removesuffix(": {"))
        assert location == labels[f"{dependency.name}@{dependency.version}"]
        assert len(dependency.path) == expected.get(location, 0)
        assert (dependency.relation is Relation.UNKNOWN) == (location not in expected)
        places = ["", *(labels[label] for label in dependency.path)]
        for place, following in pairwise(places):
            needs = {"": root, **tree}[place]["dependencies"]
            assert isinstance(needs, dict)
            assert following in {resolved(tree, place, name) for name in needs}
        assert not dependency.path or places[-1] == location


@SLOW
@given(trees())
def test_the_nested_form_says_the_same(tree: dict[str, dict[str, object]]) -> None:
    root = tree.pop("")
    old: dict[str, dict[str, object]] = {}
    for place, members in tree.items():
        inner = old
        *parents, name = place.removeprefix("node_modules/").split("/node_modules/")
        for parent in parents:
            below = inner[parent].setdefault("dependencies", {})
            assert isinstance(below, dict)
            inner = below
        inner[name] = {key: value for key, value in members.items() if key != "dependencies"}
        inner[name]["requires"] = members["dependencies"]
    new = read(packages(tree, dependencies=root["dependencies"])).dependencies
    (first, second) = (
        sorted((d.name, d.version, d.purl, d.relation, len(d.path)) for d in found)
        for found in (new, read(nested(old), manifest={"dependencies": root["dependencies"]}).dependencies)
    )
    assert first == second


def listed(lock: str, npmrc: str | None = None) -> tuple[Dependency, ...]:
    """The list; empty where the file is refused. Any other exception is the test's failure."""
    try:
        return read(lock, npmrc=npmrc, manifest={}).dependencies
    except LockfileError:
        return ()


TEXT = st.text(max_size=12) | st.sampled_from(
    ["", "git+ssh://x", "file:", "npm:", "https://", "http://[", "@", "1.0.0"]
)
JUNK = (
    st.none()
    | st.booleans()
    | st.integers()
    | TEXT
    | st.lists(TEXT, max_size=2)
    | st.dictionaries(TEXT, TEXT, max_size=2)
)
MEMBERS = st.dictionaries(
    st.sampled_from(
        [
            "version",
            "resolved",
            "integrity",
            "name",
            "link",
            "inBundle",
            "bundled",
            "dev",
            "requires",
            "from",
            "dependencies",
        ]
    ),
    JUNK,
    max_size=4,
)
PLACES = (
    st.sampled_from(["", "a", "../b", "node_modules/a", "a/node_modules/b", "node_modules/a/node_modules/b"]) | TEXT
)


@settings(deadline=None, max_examples=100)
@given(
    st.dictionaries(PLACES, MEMBERS | JUNK, max_size=4),
    st.dictionaries(NAMES | TEXT, MEMBERS | JUNK, max_size=4),
    st.sampled_from([1, 2, 3]),
    st.booleans(),
    TEXT,
)
def test_junk_is_a_list_or_one_error(
    new: dict[str, object], old: dict[str, object], version: int, with_packages: bool, npmrc: str
) -> None:
    document = {"lockfileVersion": version, "dependencies": old, **({"packages": new} if with_packages else {})}
    for dependency in listed(json.dumps(document), npmrc=f"registry={npmrc}\n{npmrc}"):
        assert (dependency.purl is not None) == (dependency.kind is Kind.REGISTRY)
        if dependency.purl is not None:
            assert purls.parse(dependency.purl).package_name == dependency.name


REAL = (ASSETS / "v2" / "package-lock.json").read_text()


@SLOW
@given(
    st.integers(0, len(REAL)),
    st.integers(0, 40),
    st.sampled_from(['"', "{", "}", "[", ",", "null", "1", "\\", ":", " ", ""]),
)
def test_a_mutated_file_is_a_list_or_one_error(start: int, length: int, inserted: str) -> None:
    listed(REAL[:start] + inserted + REAL[start + length :])
