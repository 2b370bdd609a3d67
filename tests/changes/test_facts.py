"""What a lockfile shows is news where it speaks of something that it did not speak of in the base."""

import json
from collections.abc import Callable

import pytest

from scangate.models.changes import Selection
from scangate.registries import PrivateRegistry, Registries
from tests.changes.sides import Files, against, new_facts
from tests.lockfiles.npm_support import DIGEST, entry, packages, url


def scoped(*names: str, **members: object) -> Files:
    places = {f"node_modules/{name}": {"version": "1.0.0", **members} for name in names}
    return {"package-lock.json": packages(places), ".npmrc": "@c:registry=https://index.example/\n"}


def bare(*names: str) -> Files:
    places = {f"node_modules/{name}": {"version": "1.0.0", "resolved": url(name, "1.0.0")} for name in names}
    return {"package-lock.json": packages(places)}


@pytest.mark.parametrize(
    ("files", "names", "fact"),
    [(scoped, ("@c/x", "@c/y", "@c/z"), "undeclared-registry"), (bare, ("left", "right", "up"), "no-integrity")],
)
def test_what_is_said_of_several_packages_is_news_of_another_one_alone(
    files: Callable[..., Files], names: tuple[str, str, str], fact: str
) -> None:
    one, two, three = names
    more = {"integrity": DIGEST} if fact == "undeclared-registry" else {}
    assert new_facts(against(files(one, two, three, **more), files(one, two, **more))) == []
    assert new_facts(against(files(one, two, **more), files(one, two, three, **more))) == [fact]
    assert new_facts(against(files(one, two, **more), files(one, three, **more))) == [fact]


def halves(version: str, resolved: str) -> Files:
    """A version 2 file whose halves differ at `left`: npm 6 installs this one."""
    place = {"version": "1.0.0", "resolved": url("left", "1.0.0"), "integrity": DIGEST}
    document = json.loads(packages({"node_modules/left": place}, 2))
    document["dependencies"] = {"left": {"version": version, "resolved": resolved}}
    return {"package-lock.json": json.dumps(document, indent=2)}


def test_another_divergence_at_the_same_place_is_said_again() -> None:
    harmless = halves("1.0.0", url("left", "1.0.0"))  # without the digest
    evil = "https://evil.example/left.tgz"
    assert new_facts(against(harmless, harmless)) == []
    assert new_facts(against(harmless, {"package-lock.json": "\n" + harmless["package-lock.json"]})) == []
    assert new_facts(against(harmless, halves("9.9.9", evil))) == ["v1-v2-divergence"]
    assert new_facts(against(halves("9.9.9", evil), halves("9.9.9", f"{evil}?id=666"))) == ["v1-v2-divergence"]


PINNED = f"foo==1 --hash=sha256:{'0123456789abcdef' * 4}\n"


def test_digests_that_are_gone_are_told_though_another_lockfile_never_had_them() -> None:
    dev = {"requirements-dev.txt": "foo==1\n"}
    before, after = {"requirements.txt": PINNED, **dev}, {"requirements.txt": "foo==1\n", **dev}
    selection = against(before, after)
    assert [(change.kind, change.dependency.lockfile) for change in selection.changes] == [
        ("digests", "requirements.txt")
    ]
    ((one,), ()) = (lockfile.dependencies for lockfile in selection.lockfiles)
    assert [(fact.check, fact.line) for fact in one.facts] == [("no-integrity", 1)]
    assert "had one in the base" in one.facts[0].detail
    elsewhere = {"requirements.txt": PINNED, **dev}
    assert against(elsewhere, {**elsewhere, "docs/requirements.txt": "foo==1\n"}).changes == ()


def test_a_gap_is_told_once() -> None:
    names = "left", "right"
    held = {f"node_modules/{name}": entry(name, "1.0.0") for name in names}
    open_ = {f"node_modules/{name}": entry(name, "1.0.0", integrity=None) for name in names}
    base = {"package-lock.json": packages(held), "web/package-lock.json": packages(open_)}
    all_open = against(base, {**base, "package-lock.json": packages(open_)})
    assert (new_facts(all_open), entry_facts(all_open)) == (["no-integrity"], [])
    assert [change.kind for change in all_open.changes] == ["digests", "digests"]
    one_open = against(base, {**base, "package-lock.json": packages({**held, **dict([open_.popitem()])})})
    assert (new_facts(one_open), entry_facts(one_open)) == ([], [("right", "no-integrity")])


def entry_facts(selection: Selection) -> list[tuple[str, str]]:
    return [
        (one.name, fact.check)
        for lockfile in selection.lockfiles
        for one in lockfile.dependencies
        for fact in one.facts
    ]


def test_a_digest_of_a_private_package_that_becomes_junk_is_missed() -> None:
    registries = Registries(private=(PrivateRegistry(host="index.example"),))
    was, is_ = (scoped("@c/x", integrity=text) for text in (DIGEST, "sha999-AAAA"))
    selection = against(was, is_, registries)
    assert [change.kind for change in selection.changes] == ["digests"]
    assert entry_facts(selection) == [("@c/x", "no-integrity")]
