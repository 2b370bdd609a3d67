"""Archives that lockfiles name by a path, beside those of the base."""

from pathlib import Path

import pytest

from scangate.changes import worktree
from scangate.changes.archives import changed_archives, may_name_archives
from scangate.changes.discovery import Candidate
from scangate.changes.git import Git
from scangate.changes.objects import Objects
from scangate.changes.trees import Place, at_commit
from scangate.changes.worktree import WorkTree
from scangate.lockfiles import FORMATS
from tests.changes.ci_fixtures.repos import Repository


def changed(here: Repository) -> frozenset[str]:
    """On disk, compared with HEAD."""
    git = Git(here.folder, {"PATH": "/usr/local/bin:/usr/bin:/bin"})
    with Objects(git) as objects:
        return changed_archives(at_commit(git, here.head, objects, Place.of(git)), WorkTree(here.folder))


def test_what_changed_went_or_came_beside(tmp_path: Path) -> None:
    here = Repository.new(tmp_path / "here")
    here.commit(dict.fromkeys(("a/same.whl", "a/other.tgz", "b/gone.zip", "c/d/gone.tar.gz", "text"), b"old"))
    assert changed(here) == set()
    here.write({"a/other.tgz": b"new", "a/came.WHL": b"new", "text": b"new", "elsewhere/came.whl": b"new"})
    (here.folder / "b" / "gone.zip").unlink()
    (here.folder / "c" / "d" / "gone.tar.gz").unlink()
    (here.folder / "c" / "d").rmdir()
    assert changed(here) == {"other.tgz", "came.WHL", "gone.zip", "gone.tar.gz"}


def test_a_link_is_what_it_leads_to(tmp_path: Path) -> None:
    here = Repository.new(tmp_path / "here")
    here.write({"one": b"1", "two": b"2"})
    (here.folder / "x.whl").symlink_to("one")
    here.commit()
    assert changed(here) == set()
    here.write({"one": b"other"})
    assert changed(here) == {"x.whl"}
    (here.folder / "x.whl").unlink()
    (here.folder / "x.whl").symlink_to("/etc/passwd")
    assert changed(here) == {"x.whl"}


def test_what_is_too_large_to_be_compared_counts_as_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = Repository.new(tmp_path / "here")
    here.commit({"x.whl": b"12345"})
    monkeypatch.setattr(worktree, "MAX_LOCKFILE_BYTES", 4)
    assert changed(here) == {"x.whl"}


@pytest.mark.parametrize(
    ("format_", "content", "expected"),
    [
        ("npm-package-lock", '{"resolved": "file:lib/x.tgz"}', True),
        ("npm-package-lock", '{"resolved": "fil\\u0065:lib/x.tgz"}', True),
        ("npm-package-lock", '{"resolved": "https://registry.example/x.tgz"}', False),
        ("poetry-lock", '[package.source]\ntype = "file"\n', True),
        ("poetry-lock", "[package.source]\ntype = 'file'\n", True),
        ("poetry-lock", 'type = "fil\\u0065"\n', True),
        ("poetry-lock", 'files = [{file = "x-1.0.whl"}]\n', False),
        ("pip-requirements", "./wheels/x.whl\n", True),
        ("pip-requirements", "x @ file:///srv/x.tar.gz\n", True),
        ("pip-requirements", "--find-links wheels\nx==1.0\n", True),
        ("pip-requirements", "-f wheels\nx==1.0\n", True),
        ("pip-requirements", "-r other.txt\n", True),
        ("pip-requirements", "--constraint=other.txt\n", True),
        ("pip-requirements", "${WHERE}/x\n", True),
        ("pip-requirements", "x==1.0 --hash=sha256:00\n", False),
        ("yarn-lock", "file:x.tgz", False),  # nobody reads it
    ],
)
def test_which_lockfiles_may_name_one(tmp_path: Path, format_: str, content: str, expected: bool) -> None:
    (tmp_path / "lock").write_text(content)
    one = Candidate(path="lock", format=format_, supported=format_ in FORMATS, files=WorkTree(tmp_path))
    assert may_name_archives([one]) == expected


def test_what_cannot_be_read_may_name_any_and_what_is_not_there_none(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path, expected in (("folder", True), ("missing", False)):
        one = Candidate(path=path, format="npm-package-lock", supported=True, files=WorkTree(tmp_path))
        assert may_name_archives([one]) == expected
