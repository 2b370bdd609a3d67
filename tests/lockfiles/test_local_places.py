"""Where in the project a path that a lockfile names may lead."""

import pytest

from scangate.lockfiles import requirements
from scangate.lockfiles.local_places import above, spots
from scangate.models.lockfile import ANYWHERE
from scangate.registries import NO_REGISTRIES
from tests.lockfiles.npm_support import Memory


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("x.tgz", {"a/x.tgz"}),
        ("./b/../x.tgz", {"a/x.tgz"}),
        ("../x.tgz", {"x.tgz"}),
        ("../../x.tgz", {"../x.tgz"}),
        ("/srv/x.tgz", {"/srv/x.tgz"}),
        ("b\\x.tgz", {"a/b\\x.tgz", "a/b/x.tgz"}),
        ("FILE:x.tgz", {"a/x.tgz"}),
        ("file:../x.tgz", {"x.tgz"}),
        ("file:///srv/x.tgz", {"/srv/x.tgz", "a/srv/x.tgz"}),
        ("file://localhost/srv/x.tgz", {"/srv/x.tgz", "a/srv/x.tgz"}),
        ("file://b/x.tgz", {"a/b/x.tgz", "a/x.tgz"}),
        ("file:///../x.tgz", {"x.tgz"}),
        ("x%2etgz", {"a/x%2etgz", "a/x.tgz"}),
        ("x.tgz?y#z", {"a/x.tgz", "a/x.tgz?y", "a/x.tgz?y#z"}),
        ("file://${PWD}/x.tgz", {ANYWHERE}),
    ],
)
def test_no_reading_is_left_out(written: str, expected: set[str]) -> None:
    assert expected <= set(spots(written, "a"))


def test_it_is_counted_from_each_folder() -> None:
    assert spots("x.tgz", "a/b", "a", "", "/srv", "/") == ("/srv/x.tgz", "/x.tgz", "a/b/x.tgz", "a/x.tgz", "x.tgz")
    assert spots("../x.tgz", "", "a") == ("../x.tgz", "x.tgz")


def test_the_folders_above() -> None:
    assert above("a/b/requirements.txt") == ("a/b", "a", "")
    assert above("requirements.txt") == ("",)
    assert above("/srv/a/requirements.txt") == ("/srv/a", "/srv", "/")


def places(text: str) -> tuple[str, ...]:
    (one,) = requirements.read("requirements.txt", Memory({"requirements.txt": text}), NO_REGISTRIES).dependencies
    return one.places


def test_which_entries_of_pip_come_from_the_project() -> None:
    digest = "--hash=sha256:" + "a" * 64
    assert places("x==1\n") == ()
    assert places("--index-url https://index.example/simple\n-f https://links.example/\nx==1\n") == ()
    assert places("-f wheels\nx==1\n") == ("wheels",)
    assert places("-f wheels\n-f page.html\nx\n") == ("page.html", "wheels")
    assert places(f"-f wheels\nx==1 {digest}\n") == ()  # pip takes no other content
    assert places(f"./x.zip {digest}\n") == ("x.zip",)  # the file is named, and is to be what is locked
    assert places("-f wheels\nx @ https://host.example/x-1.zip\n") == ()
    assert places("-f wheels\n./directory\n") == ()
    assert places("--extra-index-url ./pypi\nx==1\n") == (ANYWHERE, "pypi")
    assert places("-f ${WHERE}\nx==1\n") == (ANYWHERE,)
    assert places("-i ${WHERE}\nx==1\n") == (ANYWHERE,)
    assert places("-i https://${TOKEN}@index.example/simple\nx==1\n") == ()
