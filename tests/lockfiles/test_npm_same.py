"""The short answer "nothing is new" is given only where reading both states wholly gives it, too."""

import json
from collections.abc import Callable
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scangate import lockfiles
from scangate.changes.select import select_new
from scangate.lockfiles.examine import examine
from scangate.lockfiles.npm_base import read_both
from scangate.lockfiles.npm_same import adds_nothing
from scangate.models.changes import Selection
from scangate.models.lockfile import Lockfile
from scangate.registries import NO_REGISTRIES
from tests.lockfiles.npm_support import ASSETS, DIGEST, PUBLIC, Memory, entry

Document = dict[str, object]
Entries = dict[str, dict[str, object]]

OTHER = "sha512-" + "B" * 86 + "=="
JUNK = "sha999-AAAA"


def document(entries: Entries, **members: object) -> Document:
    return {"name": "p", "lockfileVersion": 3, "packages": {"": {"name": "p"}, **entries}, **members}


def text(content: Document) -> bytes:
    return json.dumps(content, indent=2).encode()


def read(content: bytes) -> Lockfile:
    files = Memory({"package-lock.json": content})
    return lockfiles.read("package-lock.json", "npm-package-lock", files, NO_REGISTRIES)


def beside(now: bytes, before: bytes) -> Lockfile | None:
    """The base's state, as it is read together with the current one, which must be what it is alone."""
    current, base = read_both("package-lock.json", *(Memory({"package-lock.json": each}) for each in (now, before)))
    assert current == read(now)
    return base


def whole(content: bytes) -> tuple[Lockfile, ...]:
    return examine([read(content)], NO_REGISTRIES)


def says_nothing(selection: Selection) -> bool:
    return not selection.changes and not any(one.dependencies or one.facts for one in selection.lockfiles)


def real(name: str) -> Document:
    found: Document = json.loads((ASSETS / name / "package-lock.json").read_bytes())
    return found


PLAIN: Entries = {
    "node_modules/a": entry("a", "1.0.0", dependencies={"b": "^1.0.0"}),
    "node_modules/b": entry("b", "1.0.0", dev=True),
    "node_modules/a/node_modules/b": entry("b", "2.0.0"),
}


def removed(*places: str) -> Callable[[Entries], None]:
    return lambda entries: [entries.pop(place) for place in places] and None


@pytest.mark.parametrize("count", [0, 1, 40])
def test_packages_taken_out_of_a_real_lockfile_add_nothing(count: int) -> None:
    base, current = real("v3-real"), real("v3-real")
    entries: Entries = current["packages"]  # type: ignore[assignment]
    for place in [place for place in entries if place][-count:] if count else ():
        del entries[place]
    entries[""]["dependencies"] = {}
    assert adds_nothing(text(current), text(base))
    assert adds_nothing(json.dumps(current).encode(), text(base))
    assert says_nothing(select_new(whole(text(current)), whole(text(base))))


def test_another_order_is_nothing_new() -> None:
    current = document(dict(reversed(PLAIN.items())))
    assert adds_nothing(text(current), text(document(PLAIN)))


@pytest.mark.parametrize(
    ("place", "member", "value"),
    [
        ("node_modules/a", "version", "1.0.1"),
        ("node_modules/a", "integrity", OTHER),
        ("node_modules/a", "resolved", f"{PUBLIC}evil/-/evil-1.0.0.tgz"),
        ("node_modules/b", "dev", False),
        ("node_modules/b", "dev", 1),
        ("node_modules/b", "name", "evil"),
        ("node_modules/b", "inBundle", True),
        ("node_modules/c", "version", "1.0.0"),
        ("", "workspaces", ["b"]),
    ],
)
def test_whatever_changes_in_an_entry_has_to_be_read(place: str, member: str, value: object) -> None:
    current = deepcopy(document(PLAIN))
    entries: Entries = current["packages"]  # type: ignore[assignment]
    entries.setdefault(place, {})[member] = value
    assert not adds_nothing(text(current), text(document(PLAIN)))


def test_a_key_that_stands_twice_has_to_be_read() -> None:
    content = text(document(PLAIN))
    again = content.replace(b'"version": "1.0.0",', b'"version": "6.6.6", "version": "1.0.0",', 1)
    assert json.loads(again) == json.loads(content)
    assert not adds_nothing(again, content)
    assert not adds_nothing(content, again)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"null", b"\xff", b"[" * 100_000, b'{"packages": []}', b'{"packages": {}}']
)
def test_what_is_no_such_lockfile_has_to_be_read(content: bytes) -> None:
    assert not adds_nothing(content, content)


@pytest.mark.parametrize("name", ["v1-real", "v2"])
def test_lockfiles_with_the_old_half_have_to_be_read(name: str) -> None:
    assert not adds_nothing(text(real(name)), text(real(name)))


@pytest.mark.parametrize("member", ["lockfileVersion", "requires", "dependencies"])
def test_another_member_of_the_document_has_to_be_read(member: str) -> None:
    assert not adds_nothing(text(document(PLAIN, **{member: {}})), text(document(PLAIN)))


@pytest.mark.parametrize(
    ("entries", "gone"),
    [
        pytest.param(
            {
                "node_modules/a": entry("a", "1.0.0"),
                "node_modules/a/node_modules/b": {"version": "1.0.0", "inBundle": True},
            },
            "node_modules/a",
            id="what is bundled loses its bundler",
        ),
        pytest.param(
            {
                "node_modules/a": entry("a", "1.0.0"),
                "node_modules/b/node_modules/a": entry("a", "1.0.0", dev=True),
                "node_modules/c": entry("c", "1.0.0"),
            },
            "node_modules/a",
            id="the one use that makes it prod",
        ),
        pytest.param(
            {
                "node_modules/a": entry("a", "1.0.0"),
                "node_modules/b": entry("b", "1.0.0", integrity=None),
                "node_modules/c": entry("c", "1.0.0", integrity=None),
            },
            "node_modules/a",
            id="the last digest",
        ),
        pytest.param(
            {
                "node_modules/a": entry("a", "1.0.0"),
                "node_modules/b": entry("b", "1.0.0", integrity=JUNK),
                "node_modules/c": entry("c", "1.0.0", integrity=JUNK),
            },
            "node_modules/a",
            id="the last digest that is one",
        ),
    ],
)
def test_what_is_gone_may_change_what_stays(entries: Entries, gone: str) -> None:
    base = text(document(entries))
    current = text(document({place: members for place, members in entries.items() if place != gone}))
    assert not says_nothing(select_new(whole(current), whole(base)))
    assert not adds_nothing(current, base)


_VERSIONS = st.sampled_from(["1.0.0", "2.0.0"])
_EXTRA = st.fixed_dictionaries(
    {},
    optional={
        "dev": st.booleans(),
        "optional": st.just(True),
        "inBundle": st.just(True),
        "integrity": st.sampled_from([DIGEST, OTHER, JUNK, None]),
        "resolved": st.sampled_from(
            [None, f"{PUBLIC}a/-/a-1.0.0.tgz", "https://npm.acme.example/a/-/a-1.0.0.tgz", "https://x.example/a.tgz"]
        ),
        "name": st.sampled_from(["a", "b"]),
        "dependencies": st.just({"a": "*"}),
    },
)
_PLACES = st.sampled_from(["node_modules/a", "node_modules/b", "node_modules/@acme/c", "node_modules/b/node_modules/a"])


@st.composite
def _entries(draw: st.DrawFn) -> Entries:
    found: Entries = {}
    for place in draw(st.lists(_PLACES, unique=True, min_size=1)):
        name = place.rpartition("node_modules/")[2]
        plain = draw(st.booleans())
        members = entry(name, draw(_VERSIONS)) | ({} if plain else draw(_EXTRA))
        found[place] = {key: value for key, value in members.items() if value is not None}
    if draw(st.booleans()):
        found["node_modules/w"] = {"resolved": "w", "link": True}
        found["w"] = {"name": "w", "version": "1.0.0"}
    return found


@given(_entries(), st.data())
def test_the_short_answer_is_the_long_one(base: Entries, data: st.DataObject) -> None:
    kept = data.draw(st.lists(st.sampled_from(sorted(base)), unique=True))
    current = {place: base[place] for place in kept}
    if data.draw(st.booleans()):
        current |= data.draw(_entries())
    now, before = text(document(current)), text(document(base))
    if adds_nothing(now, before):
        assert says_nothing(select_new(whole(now), whole(before)))


# ------------------------------------------------------------------------------------ the base beside the current one


def told(selection: Selection) -> list[tuple[object, ...]]:
    """What a selection says, without the base's lines and paths."""
    return [
        (
            change.kind,
            change.dependency,
            change.before and (change.before.purl, change.before.version, change.before.integrity, change.before.scope),
        )
        for change in selection.changes
    ]


def agree(now: bytes, before: bytes) -> bool:
    """Whether the base could be read beside the current state; what is new must then be the same as by a whole read."""
    base = beside(now, before)
    if base is None:
        return False
    short = select_new(whole(now), examine([base], NO_REGISTRIES))
    long = select_new(whole(now), whole(before))
    assert told(short) == told(long)
    assert short.lockfiles == long.lockfiles
    return True


@pytest.mark.parametrize("name", ["v3", "v3-real", "workspaces", "elsewhere", "unresolved"])
def test_a_real_lockfile_with_other_versions_in_its_base(name: str) -> None:
    current, base = real(name), real(name)
    entries: Entries = base["packages"]  # type: ignore[assignment]
    places = [place for place, members in entries.items() if "integrity" in members]
    for place in places[::3]:
        entries[place]["version"] = "0.0.1"
    for place in places[1::3]:
        del entries[place]
    assert agree(text(current), text(base))
    assert agree(text(base), text(current))


def test_a_link_is_named_by_its_directory_though_that_says_where_it_is_fetched_from() -> None:
    directory = entry("lib", "1.0.0")
    places: Entries = {"lib": directory, "node_modules/other": {"resolved": "lib", "link": True}}
    assert agree(text(document(places | {"node_modules/a": entry("a", "1.0.0")})), text(document(places)))


@given(_entries(), st.data())
def test_the_base_read_beside_the_current_state_is_the_base_read_wholly(base: Entries, data: st.DataObject) -> None:
    kept = data.draw(st.lists(st.sampled_from(sorted(base)), unique=True))
    current = {place: base[place] for place in kept}
    if data.draw(st.booleans()):
        current |= data.draw(_entries())
    agree(text(document(current)), text(document(base)))


@pytest.mark.parametrize(
    "base",
    [
        b"",
        b"[]",
        b"{}",
        b'{"packages": []}',
        "{}".encode("utf-16"),
        text(document(PLAIN)).replace(b'"version": "1.0.0",', b'"version": "6.6.6", "version": "1.0.0",', 1),
        text(document(PLAIN, dependencies={})),
        text(document(PLAIN | {"node_modules/x": entry("x", "1.0.0", inBundle=True)})),
        text(document(PLAIN | {"node_modules/..": entry("x", "1.0.0")})),
        text(document(PLAIN) | {"lockfileVersion": 2}),
    ],
)
def test_a_base_that_has_to_be_read_wholly(base: bytes) -> None:
    now = text(document(PLAIN))
    assert beside(now, base) is None
