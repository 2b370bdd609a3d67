"""Digests that exclude each other or are missing, in lockfiles that real tools made and somebody changed."""

import json
import re
from collections.abc import Mapping

import pytest

from scangate import lockfiles
from scangate.lockfiles import conflicts
from scangate.lockfiles.examine import examine
from scangate.models.lockfile import Lockfile
from scangate.registries import NO_REGISTRIES
from tests.lockfiles.npm_support import ASSETS, DIGEST, Memory, entry, packages

REQUIREMENTS = ASSETS.parent / "requirements" / "hashed" / "requirements.txt"
OTHER = "sha512-" + "B" * 86 + "=="
SHA1 = "sha1-" + "A" * 27 + "="


def examined(files: Mapping[str, str]) -> tuple[Lockfile, ...]:
    tree = Memory(files)
    found = [lockfiles.read(path, lockfiles.recognise(path) or "", tree, NO_REGISTRIES) for path in files]
    return examine(found, NO_REGISTRIES)


def flagged(found: tuple[Lockfile, ...], check: str) -> list[tuple[str, str]]:
    return [
        (one.lockfile, one.name)
        for lockfile in found
        for one in lockfile.dependencies
        if any(fact.check == check for fact in one.facts)
    ]


def npm(*integrity: str | None) -> str:
    """left@1.0.0 at as many places of one tree."""
    names = ["node_modules/left", *(f"node_modules/p{n}/node_modules/left" for n in range(1, len(integrity)))]
    return packages(
        {name: entry("left", "1.0.0", integrity=digest) for name, digest in zip(names, integrity, strict=True)}
    )


# ------------------------------------------------------------------------------------------------- conflicts


@pytest.mark.parametrize(
    "files",
    [
        {"package-lock.json": npm(DIGEST, OTHER)},
        {"a/package-lock.json": npm(DIGEST), "b/package-lock.json": npm(OTHER)},
        {"a/package-lock.json": npm(f"{DIGEST} {SHA1}"), "b/npm-shrinkwrap.json": npm(OTHER)},
    ],
)
def test_two_entries_that_exclude_each_other_are_both_marked(files: dict[str, str]) -> None:
    found = examined(files)
    assert len(flagged(found, "integrity-conflict")) == 2
    one, other = (each for lockfile in found for each in lockfile.dependencies)
    assert "sha512:0000" in one.facts[0].detail
    assert "sha512:0410" in one.facts[0].detail
    assert other.lockfile in one.facts[0].detail
    assert one.facts[0].line == one.line


@pytest.mark.parametrize("other", [DIGEST, SHA1, f"{DIGEST} {SHA1}", None])
def test_the_same_more_or_incomparable_digests_are_no_conflict(other: str | None) -> None:
    found = examined({"a/package-lock.json": npm(DIGEST), "b/package-lock.json": npm(other, DIGEST)})
    assert flagged(found, "integrity-conflict") == []


def test_one_digest_changed_in_a_copy_of_a_real_lockfile() -> None:
    text = (ASSETS / "v3-real" / "package-lock.json").read_text()
    document = json.loads(text)
    place = next(place for place, one in document["packages"].items() if "integrity" in one)
    document["packages"][place]["integrity"] = OTHER
    found = examined({"a/package-lock.json": text, "b/package-lock.json": json.dumps(document)})
    name = place.removeprefix("node_modules/")
    assert flagged(found, "integrity-conflict") == [("a/package-lock.json", name), ("b/package-lock.json", name)]


def test_pypi_files_that_have_some_digests_in_common_agree() -> None:
    text = REQUIREMENTS.read_text()
    fewer = re.sub(r" \\\n    --hash=sha256:[0-9a-f]{64}(?=\n)", "", text)
    assert fewer != text
    assert flagged(examined({"a/requirements.txt": text, "b/requirements.txt": fewer}), "integrity-conflict") == []


def test_more_different_sets_than_can_be_are_all_in_conflict() -> None:
    count = conflicts.MAX_SETS + 5
    digests = [f"sha512-{chr(65 + n)}" + "A" * 85 + "==" for n in range(count)]
    assert len(flagged(examined({"package-lock.json": npm(*digests)}), "integrity-conflict")) == count


# -------------------------------------------------------------------------------------------------- missing


def test_a_digest_taken_out_of_a_real_lockfile_is_missed() -> None:
    document = json.loads((ASSETS / "v3-real" / "package-lock.json").read_bytes())
    place = next(place for place, one in document["packages"].items() if "integrity" in one)
    del document["packages"][place]["integrity"]
    found = examined({"package-lock.json": json.dumps(document)})
    assert flagged(found, "no-integrity") == [("package-lock.json", place.removeprefix("node_modules/"))]
    assert found[0].facts == ()


def test_a_requirement_without_a_hash_among_others_is_missed() -> None:
    text = REQUIREMENTS.read_text() + "evil==1.0\nwheel @ https://files.example/wheel-1.0-py3-none-any.whl\n"
    found = examined({"requirements.txt": text})
    assert flagged(found, "no-integrity") == [("requirements.txt", "evil"), ("requirements.txt", "wheel")]


@pytest.mark.parametrize(
    "line",
    [
        "-e ./here",
        "git+https://git.example/a@" + "a" * 40,
        "wheel @ https://files.example/wheel-1.0-py3-none-any.whl#sha256=" + "a" * 64,
        "./packed-1.0.tar.gz --hash=sha256:" + "a" * 64,
    ],
)
def test_what_pip_cannot_hash_and_what_has_its_digest_elsewhere_is_not_missed(line: str) -> None:
    found = examined({"requirements.txt": f"{REQUIREMENTS.read_text()}{line}\n"})
    assert flagged(found, "no-integrity") == []


def test_a_requirements_file_without_any_hash_is_an_ordinary_one() -> None:
    (found,) = examined({"requirements.txt": "a==1\nb==2\n"})
    assert [fact for one in (found, *found.dependencies) for fact in one.facts] == []


def test_a_lockfile_without_any_digest_is_one_fact() -> None:
    document = json.loads((ASSETS / "v3-real" / "package-lock.json").read_bytes())
    for members in document["packages"].values():
        members.pop("integrity", None)
    (found,) = examined({"package-lock.json": json.dumps(document)})
    assert [fact.check for fact in found.facts] == ["no-integrity"]
    assert flagged((found,), "no-integrity") == []
    assert f"{len(found.dependencies)} packages" in found.facts[0].detail


def test_a_single_package_without_a_digest_stays_its_own_fact() -> None:
    (found,) = examined({"package-lock.json": npm(None)})
    assert (flagged((found,), "no-integrity"), found.facts) == ([("package-lock.json", "left")], ())


# -------------------------------------------------------------------------------------------- an earlier run


@pytest.mark.parametrize(
    ("seen", "is_conflict"),
    [
        ([("sha512:" + "ab" * 64,)], True),
        ([(), ("sha512:" + "ab" * 64,)], True),
        ([("sha512:" + "00" * 64,), ("sha512:" + "ab" * 64,)], True),
        ([("sha512:" + "00" * 64, "sha512:" + "ab" * 64)], False),
        ([("sha1:" + "ab" * 20,)], False),
        ([()], False),
        ([], False),
    ],
)
def test_digests_that_exclude_those_of_an_earlier_run(seen: list[tuple[str, ...]], is_conflict: bool) -> None:
    asked: list[str] = []

    def look(purl: str) -> list[tuple[str, ...]]:
        asked.append(purl)
        return seen

    found = conflicts.flag_seen(examined({"package-lock.json": npm(DIGEST)}), look)
    assert asked == ["pkg:npm/left@1.0.0"]
    assert bool(flagged(found, "integrity-cached-conflict")) is is_conflict
    if is_conflict:
        assert "sha512:abab" in found[0].dependencies[0].facts[0].detail


@pytest.mark.parametrize(
    "text",
    [npm(None), packages({"node_modules/left": entry("left", "1.0.0", resolved="https://evil.example/left.tgz")})],
)
def test_nothing_is_looked_up_for_entries_that_are_no_public_package_with_digests(text: str) -> None:
    def look(purl: str) -> list[tuple[str, ...]]:
        raise AssertionError(purl)

    found = examined({"package-lock.json": text})
    assert conflicts.flag_seen(found, look) == found
