"""Archives that lockfiles may take packages from, beside those of the base."""

import json
from pathlib import Path

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from scangate.changes import worktree
from scangate.changes.archives import Archives, is_taken, may_take
from scangate.changes.discovery import Candidate
from scangate.changes.git import Git
from scangate.changes.objects import Objects
from scangate.changes.trees import Place, at_commit
from scangate.changes.worktree import WorkTree
from scangate.errors import LockfileError
from scangate.lockfiles import FORMATS, npm
from scangate.models.lockfile import ANYWHERE
from scangate.registries import NO_REGISTRIES
from tests.changes.ci_fixtures.repos import Repository
from tests.lockfiles.npm_support import Memory


def moved(here: Repository, *places: str) -> frozenset[str]:
    """On disk, compared with HEAD: each of the places is an entry's."""
    git = Git(here.folder, {"PATH": "/usr/local/bin:/usr/bin:/bin"})
    with Objects(git) as objects:
        place = Place.of(git)
        tree = at_commit(git, here.head, objects, place)
        archives = Archives(tree, WorkTree(here.folder, root=place.root), lambda: git.tracked() | git.untracked())
        return archives.moved((one,) for one in places)


PLACES = ("a/same.whl", "a/other.tgz", "b/gone.zip", "b/came", "a", "b", "c", "c/d", "e", "text", "missing", ANYWHERE)


def test_what_changed_went_or_came(tmp_path: Path) -> None:
    here = Repository.new(tmp_path / "here")
    here.commit(dict.fromkeys(("a/same.whl", "a/other.tgz", "b/gone.zip", "c/d/gone.tar.lz", "e/more/x.whl"), b"old"))
    assert moved(here, *PLACES) == set()
    here.write({"text": b"new", "e/text": b"new", "e/more/x.whl": b"new"})
    nowhere = {"b/came", "missing"}  # any archive, where it is installed
    assert moved(here, *PLACES) == {"text", ANYWHERE, *nowhere}
    here.write({"a/other.tgz": b"new", "b/came": b"new"})
    assert moved(here, *PLACES) == {"a/other.tgz", "a", "text", ANYWHERE, *nowhere}
    (here.folder / "b" / "gone.zip").unlink()
    (here.folder / "c" / "d" / "gone.tar.lz").unlink()
    (here.folder / "c" / "d").rmdir()
    assert moved(here, *PLACES) == {*PLACES} - {"a/same.whl", "c", "e"}


def test_a_file_that_becomes_a_folder_and_a_folder_that_becomes_a_file(tmp_path: Path) -> None:
    here = Repository.new(tmp_path / "here")
    here.commit({"one": b"old", "two/text": b"old"})
    (here.folder / "one").unlink()
    (here.folder / "two" / "text").unlink()
    (here.folder / "two").rmdir()
    here.write({"one/text": b"new", "two": b"new"})
    assert moved(here, "one", "one/text", "two") == {"one", "one/text", "two"}


def test_a_link_is_what_it_leads_to(tmp_path: Path) -> None:
    here = Repository.new(tmp_path / "here")
    here.write({"one": b"1", "two": b"2", "folder/x.whl": b"3"})
    (here.folder / "x.whl").symlink_to("one")
    (here.folder / "link").symlink_to("folder")
    (here.folder / "out.whl").symlink_to("/etc/passwd")
    here.commit()
    places = ("x.whl", "link", "link/x.whl", "folder", "out.whl")
    assert moved(here, *places) == {"out.whl"}
    here.write({"one": b"other", "folder/y.whl": b"new"})
    assert moved(here, *places) == {"x.whl", "link", "folder", "out.whl"}
    (here.folder / "x.whl").unlink()
    (here.folder / "x.whl").symlink_to("/etc/passwd")
    assert moved(here, "x.whl") == {"x.whl"}


def test_what_is_too_large_to_be_compared_counts_as_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = Repository.new(tmp_path / "here")
    here.commit({"x.whl": b"12345"})
    monkeypatch.setattr(worktree, "MAX_LOCKFILE_BYTES", 4)
    assert moved(here, "x.whl", ".") == {"x.whl", "."}


def test_below_the_root_the_folders_above_count_and_what_is_outside_may_be_any(tmp_path: Path) -> None:
    here = Repository.new(tmp_path / "here")
    here.commit({"x.whl": b"old", "app/text": b"old"})
    (tmp_path / "outside.whl").write_bytes(b"new")
    below = Repository(here.folder / "app")
    places = ("x.whl", f"{here.folder}/x.whl", "../../outside.whl", f"{tmp_path}/outside.whl", "no\0file.whl")
    assert moved(below, *places) == {"no\0file.whl"}
    here.write({"x.whl": b"new"})
    assert moved(below, *places) == {*places}


def test_only_where_no_reading_of_a_path_leads_anywhere_it_is_any_archive(tmp_path: Path) -> None:
    here = Repository.new(tmp_path / "here")
    here.commit({"app/x.whl": b"old", "wheels/other.whl": b"old", "deep/more.whl": b"old"})
    here.write({"deep/more.whl": b"new"})
    git = Git(here.folder, {"PATH": "/usr/local/bin:/usr/bin:/bin"})
    with Objects(git) as objects:
        place = Place.of(git)
        archives = Archives(at_commit(git, here.head, objects, place), WorkTree(here.folder), git.tracked)
        assert archives.moved([("app/x.whl", "x.whl", "x.whl#y", "%78.whl"), (".", "..", "app")]) == set()
        assert archives.moved([("app/wheels", "wheels", "/app/lib", "lib")]) == {"/app/lib"}


@pytest.mark.parametrize(
    ("format_", "content", "expected"),
    [
        ("npm-package-lock", '{"resolved": "file:lib/x.tgz"}', True),
        ("npm-package-lock", '{"resolved":"./lib/x.TAR.gz"}', True),
        ("npm-package-lock", '{"version" : "FILE:x.tar"}', True),
        ("npm-package-lock", '{"resolved": "fil\\u0065:lib/x.tgz"}', True),
        ("npm-package-lock", '{"resol\\u0076ed": "file:lib/x.tgz"}', True),
        ("npm-package-lock", '{"resolved": "file:a\\"b.tgz"}', True),
        ("npm-package-lock", '{"resolved": "packages/app", "version": "file:packages/app"}', False),
        ("npm-package-lock", '{"resolved": "packages/app", "version": "npm:other@1.2.0"}', False),
        ("npm-package-lock", '{"resolved": "https://registry.example/x.tgz"}', False),
        ("poetry-lock", '[package.source]\ntype = "file"\n', True),
        ("poetry-lock", "[package.source]\ntype = 'file'\n", True),
        ("poetry-lock", 'type = """\nfile"""\n', True),
        ("poetry-lock", 'type = """\\\n  file"""\n', True),
        ("poetry-lock", 'type = "fil\\u0065"\n', True),
        ("poetry-lock", 'files = [{file = "x-1.0.whl"}]\ndescription = "Reads a profile"', False),
        ("pip-requirements", "./wheels/x.whl\n", True),
        ("pip-requirements", "x @ file:///srv/x.tar.gz\n", True),
        ("pip-requirements", "--find-links wheels\nx==1.0\n", True),
        ("pip-requirements", "--fi=wheels\nx==1.0\n", True),
        ("pip-requirements", "-f wheels\nx==1.0\n", True),
        ("pip-requirements", "--index-url simple\nx==1.0\n", True),
        ("pip-requirements", "-i file:simple\nx==1.0\n", True),
        ("pip-requirements", "--extra-index-url=./simple\nx==1.0\n", True),
        ("pip-requirements", "--index-url https://index.example/simple\n-i 'https://index.example/simple'\n", True),
        ("pip-requirements", "--index-url https://index.example/simple\nx==1.0\n", False),
        ("pip-requirements", "-r local.txt\n", True),
        ("pip-requirements", "-r again.txt\n", False),
        ("pip-requirements", "-r missing.txt\n", False),
        ("pip-requirements", "-r plain.txt\n", False),
        ("pip-requirements", "'-r' plain.txt\n", True),
        ("pip-requirements", "${WHERE}/x\n", True),
        ("pip-requirements", "x==1.0 --hash=sha256:00\n", False),
        ("yarn-lock", "file:x.tgz", False),  # nobody reads it
    ],
)
def test_which_lockfiles_may_take_one(tmp_path: Path, format_: str, content: str, expected: bool) -> None:
    (tmp_path / "plain.txt").write_text("x==1.0\n")
    (tmp_path / "again.txt").write_text("-r lock\n")
    (tmp_path / "local.txt").write_text("-r plain.txt\n./x.zip\n")
    (tmp_path / "lock").write_text(content)
    one = Candidate(path="lock", format=format_, supported=format_ in FORMATS, files=WorkTree(tmp_path))
    assert may_take([one]) == expected


SPECS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "file:", "FILE:", "./", "/srv/", "x@", "x@file:", "npm:x@", "npm:x@file:", "github:o/"]),
    st.sampled_from(["1.0.0", "a", "../a", "a\\b", 'a"b', "a b", "a:b"]),
    st.sampled_from(["", ".tgz", ".Tar.Gz", ".tar", ".tgz#1"]),
)


@given(
    members=st.dictionaries(st.sampled_from(["version", "resolved", "from", "integrity"]), SPECS),
    version=st.sampled_from([1, 2, 3]),
    escaped=st.sampled_from(["", "f", "r", "t", "."]),
)
def test_an_entry_of_npm_s_that_comes_from_the_project_may_take_one(
    members: dict[str, str], version: int, escaped: str
) -> None:
    section = {"dependencies": {"x": members}} if version == 1 else {"packages": {"": {}, "node_modules/x": members}}
    text = json.dumps({"lockfileVersion": version, **section})
    if escaped:
        text = text.replace(escaped, f"\\u{ord(escaped):04x}")
    files = Memory({"package-lock.json": text})
    try:
        lockfile = npm.read("package-lock.json", files, NO_REGISTRIES)
    except LockfileError:
        reject()
    one = Candidate(path=lockfile.path, format=lockfile.format, supported=True, files=files)
    assert may_take([one]) or not any(entry.places for entry in lockfile.dependencies)


def test_a_format_that_nobody_has_looked_at_may_take_any() -> None:
    one = Candidate(path="new.lock", format="new-lock", supported=True, files=Memory({"new.lock": "nothing"}))
    assert may_take([one])
    assert not may_take([one._replace(supported=False)])


def test_what_cannot_be_read_may_take_any_and_what_is_not_there_none(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path, expected in (("folder", True), ("missing", False)):
        one = Candidate(path=path, format="npm-package-lock", supported=True, files=WorkTree(tmp_path))
        assert may_take([one]) == expected


def test_what_is_taken_by_its_name() -> None:
    assert all(map(is_taken, ("a/x.WHL", "x.tar.lz", "links.html", "a/x.Egg/b/setup.py")))
    assert not any(map(is_taken, ("x.whl.py/setup.py", "x.py", "html")))
