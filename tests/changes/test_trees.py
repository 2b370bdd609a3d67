"""Commits and the index as files: what is read, what is refused, how many processes it takes, what is unchanged."""

import json
import os
import posixpath
import shutil
import sys
from pathlib import Path

import pytest

from scangate import lockfiles
from scangate.changes import trees
from scangate.changes import unchanged as unchanged_module
from scangate.changes.discovery import Candidate, Discovery, discover
from scangate.changes.git import Git, GitError
from scangate.changes.objects import Objects
from scangate.changes.trees import GitTree, Place, at_commit, index_file, lockfiles_in, of_index, renames
from scangate.changes.unchanged import blob_id, included_by, same_lockfiles, unchanged
from scangate.changes.worktree import WorkTree
from scangate.errors import BaseError, LockfileError, UsageError
from tests.changes.ci_fixtures.repos import Repository

LOCK = json.dumps({"name": "x", "lockfileVersion": 3, "packages": {}})


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository.new(tmp_path / "repository")


class Reader:
    """A run in one folder of a repository: git, objects, place; ended with the test."""

    def __init__(self, folder: Path, environ: dict[str, str] | None = None) -> None:
        self.git = Git(folder, environ or dict(os.environ))
        self.place = Place.of(self.git)
        self.objects = Objects(self.git)

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self.objects.close()

    def commit(self, revision: str = "HEAD") -> GitTree:
        commit = self.git.run("rev-parse", revision).decode().strip()
        return at_commit(self.git, commit, self.objects, self.place)

    def index(self, index: Path | None = None) -> GitTree:
        return of_index(self.git, self.objects, self.place, index)


def searched(tree: GitTree, *paths: str, exclude: tuple[str, ...] = (), lockfile_as: str | None = None) -> Discovery:
    return lockfiles_in(
        tree,
        paths,
        recognise=lockfiles.recognise,
        formats=lockfiles.FORMATS,
        exclude=exclude,
        lockfile_as=lockfile_as,
    )


def found(tree: GitTree, *paths: str) -> list[Candidate]:
    return list(searched(tree, *paths).lockfiles)


def test_a_commit_and_the_index_are_read_and_never_the_worktree(repository: Repository) -> None:
    repository.commit({"a.txt": "committed", "sub/b.txt": b"\xff\x00\n"})
    repository.write({"a.txt": "staged", "new.txt": ""})
    repository.git("add", "-A")
    repository.write({"a.txt": "worktree"})
    with Reader(repository.folder) as reader:
        tree, index = reader.commit(), reader.index()
        assert (tree.read("a.txt"), index.read("a.txt")) == (b"committed", b"staged")
        assert (tree.read("sub/b.txt"), tree.read("./sub/../sub/b.txt")) == (b"\xff\x00\n", b"\xff\x00\n")
        assert (tree.read("new.txt"), index.read("new.txt")) == (None, b"")
        assert tree.read("sub") is None
        assert list(tree) == ["a.txt", "sub/b.txt"]


def test_paths_are_those_of_the_working_directory(repository: Repository) -> None:
    repository.commit({"top.txt": "1", "web/app/in.txt": "2", "web/poetry.lock": "", "web/app/poetry.lock": ""})
    with Reader(repository.folder / "web" / "app") as reader:
        tree = reader.commit()
        assert tree.read("in.txt") == b"2"
        assert tree.read("../../top.txt") == b"1"
        assert tree.read(str(repository.folder / "top.txt")) == b"1"
        assert [one.path for one in found(tree)] == ["poetry.lock"]
        both = [one.path for one in found(tree, "..")]
        assert both == [f"{repository.folder}/web/poetry.lock", "poetry.lock"]
        assert [one.files.read(one.path) for one in found(tree, "..")] == [b"", b""]
        walked = discover(
            [".."],
            cwd=repository.folder / "web" / "app",
            environ=os.environ,
            recognise=lockfiles.recognise,
            formats=lockfiles.FORMATS,
        ).lockfiles
        assert [one.path for one in walked] == both
        assert found(tree, "../../..") == []


def test_a_working_directory_behind_a_link(repository: Repository, tmp_path: Path) -> None:
    repository.commit({"web/poetry.lock": "", "poetry.lock": "top"})
    (tmp_path / "link").symlink_to(repository.folder)
    with Reader(tmp_path / "link" / "web") as reader:
        tree = reader.commit()
        assert tree.read("poetry.lock") == b""
        assert tree.read(f"{tmp_path}/link/poetry.lock") == b"top"
        assert tree.read(f"{repository.folder}/poetry.lock") == b"top"


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "sub/../../outside"])
def test_paths_out_of_the_tree_are_refused(repository: Repository, path: str) -> None:
    repository.commit({"sub/a": ""})
    with Reader(repository.folder) as reader, pytest.raises(LockfileError, match="leads out"):
        reader.commit().read(path)


def test_links_are_followed_inside_the_tree_alone(repository: Repository) -> None:
    repository.write({"real/lock": "content"})
    for name, target in {
        "file": "real/lock",
        "folder": "real",
        "real/up": "../file",
        "out": "../../etc/passwd",
        "absolute": "/etc/passwd",
        "loop": "loop",
        "dangling": "nowhere",
    }.items():
        (repository.folder / name).symlink_to(target)
    repository.commit()
    with Reader(repository.folder) as reader:
        for tree in (reader.commit(), reader.index()):
            for path in ("file", "folder/lock", "real/up", "folder/up"):
                assert tree.read(path) == b"content"
            assert tree.read("dangling") is None
            for path in ("out", "absolute"):
                with pytest.raises(LockfileError, match="leads out"):
                    tree.read(path)
            with pytest.raises(LockfileError, match="too many symbolic links"):
                tree.read("loop")


def test_names_that_no_line_can_hold(repository: Repository) -> None:
    names = [
        "new\nline/poetry.lock",
        "tab\t/poetry.lock",
        os.fsdecode(b"\xff/poetry.lock"),
        "-r/poetry.lock",
        "ü/poetry.lock",
    ]
    repository.commit(dict.fromkeys(names, "x"))
    with Reader(repository.folder) as reader:
        for tree in (reader.commit(), reader.index()):
            assert {one.path for one in found(tree)} == set(names)
            assert all(tree.read(name) == b"x" for name in names)


def test_submodules_are_named_and_not_read(repository: Repository, tmp_path: Path) -> None:
    inner = Repository.new(tmp_path / "inner")
    commit = inner.commit({"poetry.lock": ""})
    repository.git("submodule", "add", "-q", str(inner.folder), "poetry.lock")
    repository.commit()
    with Reader(repository.folder) as reader:
        for tree in (reader.commit(), reader.index()):
            assert tree.submodules == {"poetry.lock": commit}
            assert found(tree) == []
            with pytest.raises(LockfileError, match="it is a submodule"):
                tree.read("poetry.lock")


def test_an_index_in_conflict_is_refused(repository: Repository) -> None:
    repository.commit({"poetry.lock": "one"})
    repository.git("checkout", "-q", "-b", "other")
    repository.commit({"poetry.lock": "two"})
    repository.git("checkout", "-q", "main")
    repository.commit({"poetry.lock": "three"})
    with pytest.raises(Exception, match="non-zero"):
        repository.git("merge", "-q", "other")
    with Reader(repository.folder) as reader, pytest.raises(LockfileError, match="merge conflict"):
        reader.index().read("poetry.lock")


def test_too_large_a_file_is_refused_and_the_next_one_is_read(repository: Repository) -> None:
    repository.commit({"large": "x" * 5000, "small": "y"})
    with Reader(repository.folder) as reader:
        reader.objects = Objects(reader.git, max_bytes=4999)
        tree = reader.commit()
        with pytest.raises(LockfileError, match="larger than"):
            tree.read("large")
        assert tree.read("small") == b"y"


def test_what_git_lacks_is_an_error_and_no_missing_file(repository: Repository) -> None:
    repository.commit({"a": "content", "b": "else"})
    name = repository.parse("HEAD:a")
    (repository.folder / ".git" / "objects" / name[:2] / name[2:]).unlink()
    with Reader(repository.folder) as reader:
        tree = reader.commit()
        with pytest.raises(GitError, match="has no object"):
            tree.read("a")
        assert tree.read("b") == b"else"
        with pytest.raises(GitError, match="is no file"):
            reader.objects.blob(repository.head)
        for hostile in ("", "HEAD", f"{name}\nHEAD", "--batch"):
            with pytest.raises(GitError, match="not the id"):
                reader.objects.blob(hostile)
        with pytest.raises(GitError, match="failed"):
            at_commit(reader.git, "--help", reader.objects, reader.place)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("pass", "ended before"),
        ("sys.stdin.readline(); print('x' * 5000, end='', flush=True); time.sleep(600)", "ended before"),
        ("sys.stdin.readline(); print('a' * 40, 'blob 100', flush=True)", "ended before"),
        ("sys.stdin.readline(); time.sleep(600)", "took longer"),
        ("sys.stdin.readline(); print('b' * 40, 'blob 1')", "has no object"),
        ("sys.stdin.readline(); print('a' * 40, 'blob -1')", "has no object"),
    ],
)
def test_a_git_that_misbehaves_is_an_error(tmp_path: Path, script: str, message: str) -> None:
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nimport sys, time\n{script}\n")
    program.chmod(0o755)
    reading = Objects(Git(tmp_path, {"PATH": str(program.parent)}), read_seconds=2)
    with reading, pytest.raises(GitError, match=message):
        reading.blob("a" * 40)
    with Objects(Git(tmp_path, {"PATH": str(tmp_path)})) as missing, pytest.raises(GitError, match="cannot be run"):
        missing.blob("a" * 40)


def counting_git(folder: Path) -> dict[str, str]:
    """An environment whose git notes each of its calls, and is git otherwise."""
    program = folder / "bin" / "git"
    program.parent.mkdir()
    real = shutil.which("git")
    program.write_text(f'#!/bin/sh\necho "$@" >> {folder}/calls\nexec {real} "$@"\n')
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}


def test_300_lockfiles_of_two_trees_take_one_process(repository: Repository, tmp_path: Path) -> None:
    names = [f"packages/p{number}/package-lock.json" for number in range(300)]
    repository.commit({name: LOCK + " " * place for place, name in enumerate(names)})
    repository.write({name: LOCK + "\n" * place for place, name in enumerate(names)})
    repository.git("add", "-A")
    with Reader(repository.folder, counting_git(tmp_path)) as reader:
        tree, index = reader.commit(), reader.index()
        read = [one.files.read(one.path) for one in (*found(tree), *found(index))]
    assert len(read) == 600
    assert len(set(read)) == 599  # the first one is the same in both
    calls = (tmp_path / "calls").read_text().splitlines()
    assert sum("cat-file" in call for call in calls) == 1
    assert len(calls) == 5  # the place, the commit's name, two listings, the contents


def test_lockfiles_are_found_as_discovery_finds_them(repository: Repository) -> None:
    names = [
        "package-lock.json",
        "web/yarn.lock",
        "web/node_modules/x/package-lock.json",
        "vendor/poetry.lock",
        "vendor/node_modules/x/package-lock.json",
        "docs/requirements.txt",
        "venv/pyvenv.cfg",
        "venv/poetry.lock",
        "other.txt",
    ]
    repository.commit(dict.fromkeys(names, ""))

    def both(*paths: str, exclude: tuple[str, ...] = (), lockfile_as: str | None = None) -> list[tuple[str, str, bool]]:
        with Reader(repository.folder) as reader:
            in_tree = searched(reader.commit(), *paths, exclude=exclude, lockfile_as=lockfile_as)
        on_disk = discover(
            paths,
            cwd=repository.folder,
            environ=os.environ,
            recognise=lockfiles.recognise,
            formats=lockfiles.FORMATS,
            exclude=exclude,
            lockfile_as=lockfile_as,
        )
        shown = [(one.path, one.format, one.supported) for one in in_tree.lockfiles]
        assert shown == [(one.path, one.format, one.supported) for one in on_disk.lockfiles]
        assert [one.path for one in in_tree.vendored] == [one.path for one in on_disk.vendored]
        vendored.append([one.path for one in on_disk.vendored])
        return shown

    vendored: list[list[str]] = []

    assert [path for path, _, _ in both()] == [
        "docs/requirements.txt",
        "package-lock.json",
        "venv/poetry.lock",
        "web/yarn.lock",
    ]
    assert len(both(exclude=("docs",))) == 3
    assert both("vendor") == [("vendor/poetry.lock", "poetry-lock", True)]
    assert both("docs/requirements.txt", exclude=("docs",)) == [("docs/requirements.txt", "pip-requirements", True)]
    assert both("other.txt", lockfile_as="pip-requirements") == [("other.txt", "pip-requirements", True)]
    assert len(both(".", "vendor/poetry.lock")) == 5
    assert both(exclude=("vendor",))
    named = ["vendor/poetry.lock"]
    assert vendored == [named, named, [], [], [], [], []]
    with Reader(repository.folder) as reader:
        assert found(reader.commit(), "doc") == []  # no part of a name


# ---------------------------------------------------------------------------------------- GIT_INDEX_FILE


def test_the_index_that_a_hook_names(repository: Repository, tmp_path: Path) -> None:
    repository.commit({"a": "1"})
    repository.write({"a": "2"})
    other = repository.folder / ".git" / "next-index-1.lock"
    repository.git("read-tree", "HEAD", index=other)
    repository.git("add", "a", index=other)
    (tmp_path / "text").write_text("no index")
    os.mkfifo(tmp_path / "fifo")
    with Reader(repository.folder) as reader:
        place = reader.place
        assert index_file({}, place) is None
        for named in (str(other), ".git/next-index-1.lock"):
            index = index_file({"GIT_INDEX_FILE": named}, place)
            assert reader.index(index).read("a") == b"2"
        assert reader.index().read("a") == b"1"
        for wrong in (str(tmp_path / "text"), str(tmp_path / "fifo"), str(tmp_path), "gone", "a\0b"):
            with pytest.raises(UsageError, match="GIT_INDEX_FILE"):
                index_file({"GIT_INDEX_FILE": wrong}, place)


def test_a_new_repository_has_no_index_yet(repository: Repository) -> None:
    with Reader(repository.folder) as reader:
        index = index_file({"GIT_INDEX_FILE": ".git/index"}, reader.place)
        assert list(reader.index(index)) == []


# ------------------------------------------------------------------------------------------------ renames


def test_renames_between_a_commit_and_each_kind_of_tree(repository: Repository) -> None:
    text = "\n".join(f"line {number}" for number in range(200))
    base = repository.commit({"old/poetry.lock": text, "gone/poetry.lock": "something else\n" * 50})
    repository.git("rm", "-q", "-r", "old", "gone")
    repository.write({"new/poetry.lock": f"{text}\none more", "other/poetry.lock": "unlike\n" * 70})
    repository.git("add", "-A")
    gone, added = ["old/poetry.lock", "gone/poetry.lock"], ["new/poetry.lock", "other/poetry.lock"]
    expected = {"new/poetry.lock": "old/poetry.lock"}
    git = Git(repository.folder, os.environ)
    place = Place.of(git)
    assert renames(git, place, base, gone=gone, added=added, cached=True) == expected
    assert renames(git, place, base, gone=gone, added=added) == expected
    head = repository.commit()
    assert renames(git, place, base, gone=gone, added=added, head=head) == expected
    assert renames(git, place, base, gone=gone, added=["other/poetry.lock"], head=head) == {}
    inner = Git(repository.folder / "new", os.environ)
    shown = renames(
        inner,
        Place.of(inner),
        base,
        gone=[f"{repository.folder}/old/poetry.lock"],
        added=["poetry.lock"],
        head=head,
    )
    assert shown == {"poetry.lock": f"{repository.folder}/old/poetry.lock"}


def test_without_anything_gone_or_added_no_git_runs(tmp_path: Path) -> None:
    git = Git(tmp_path, {"PATH": str(tmp_path)})
    place = Place(cwd=tmp_path, prefix="")
    assert renames(git, place, "a" * 40, gone=[], added=["a"], head="b" * 40) == {}
    assert renames(git, place, "a" * 40, gone=["a"], added=[], head="b" * 40) == {}


# ---------------------------------------------------------------------------------------------- unchanged


def candidates(repository: Repository) -> list[Candidate]:
    return list(
        discover(
            (), cwd=repository.folder, environ=os.environ, recognise=lockfiles.recognise, formats=lockfiles.FORMATS
        ).lockfiles
    )


BASE = {
    "package-lock.json": LOCK,
    "package.json": "{}",
    "py/requirements.txt": "-r base.in\nflask==1.0 \\\n    --hash=sha256:abc\n    # via -r base.in\n",
    "py/base.in": "--constraint=more/limits.txt\n",
    "py/more/limits.txt": "flask==1.0\n",
    "poetry/poetry.lock": "",
    "poetry/pyproject.toml": "",
    "scangate.yml": "version: 1\n",
    "README": "",
}


def is_unchanged(repository: Repository, *, staged: bool = False) -> bool:
    with Reader(repository.folder) as reader:
        tree = reader.commit("HEAD")
        current = found(reader.index()) if staged else candidates(repository)
        return unchanged(current, found(tree), tree, also=["scangate.yml"])


@pytest.mark.parametrize("staged", [False, True])
def test_what_is_the_same_needs_no_parsing(repository: Repository, staged: bool) -> None:
    repository.commit(dict(BASE))
    assert is_unchanged(repository, staged=staged)
    repository.write({"README": "more", "src/new.py": ""})
    repository.git("add", "-A")
    assert is_unchanged(repository, staged=staged)


@pytest.mark.parametrize("staged", [False, True])
@pytest.mark.parametrize(
    "changed",
    [
        *(name for name in BASE if name != "README"),
        *(".npmrc", "poetry/.npmrc", "npm-shrinkwrap.json", "new/yarn.lock", "py/pyproject.toml"),
    ],
)
def test_each_file_that_decides_counts(repository: Repository, staged: bool, changed: str) -> None:
    repository.commit(dict(BASE))
    repository.write({changed: BASE.get(changed, "") + "\n"})
    if staged:
        repository.git("add", "-A")
    assert not is_unchanged(repository, staged=staged)


@pytest.mark.parametrize("deleted", ["package-lock.json", "package.json", "py/more/limits.txt", "scangate.yml"])
def test_a_file_that_is_gone_counts(repository: Repository, deleted: str) -> None:
    repository.commit(dict(BASE))
    (repository.folder / deleted).unlink()
    assert not is_unchanged(repository)


def test_of_several_lockfiles_those_that_are_the_same(repository: Repository) -> None:
    repository.commit(dict(BASE))
    repository.write({"py/base.in": "flask==2.0\n", "new/poetry.lock": ""})
    with Reader(repository.folder) as reader:
        tree = reader.commit()
        same = same_lockfiles(candidates(repository), found(tree), tree)
    assert same == {"package-lock.json", "poetry/poetry.lock"}


def test_an_include_that_is_not_plain_has_to_be_parsed(repository: Repository) -> None:
    files = {"requirements.txt": "-r a.txt\n-r b.txt\n", "a.txt": "-r b.txt\n", "b.txt": "flask==1.0\n"}
    repository.commit(files)
    assert is_unchanged(repository)
    repository.commit({"b.txt": "-rc.txt\n", "c.txt": ""})
    assert not is_unchanged(repository)


def test_more_names_than_a_repository_has_are_refused(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    repository.commit({"a": "", "b": ""})
    monkeypatch.setattr(trees, "MAX_NAMES", 1)
    with Reader(repository.folder) as reader, pytest.raises(BaseError, match="more than 1 files"):
        reader.commit()


def test_without_lockfiles_or_with_unreadable_ones_nothing_is_unchanged(repository: Repository) -> None:
    repository.commit(dict(BASE))
    with Reader(repository.folder) as reader:
        assert not unchanged([], [], reader.commit())
    (repository.folder / "package-lock.json").unlink()
    (repository.folder / "package-lock.json").symlink_to("/etc/passwd")
    assert not is_unchanged(repository)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"flask==1.0\n--extra-index-url https://one.example\n--require-hashes\n", ()),
        (b"-r a.txt\r\n  -c ../b.txt # why\n--requirement=c.txt", ("in/a.txt", "b.txt", "in/c.txt")),
        (b"flask ; python_version < '3.8' # -r x\n# via -r y\n", ()),
        (b"-ra.txt\n", None),
        (b"--req a.txt\n", None),
        (b"-r 'a.txt'\n", None),
        (b"-r ${FOLDER}/a.txt\n", None),
        (b"-r \\\na.txt\n", None),
        (b"-i https://one.example -r a.txt\n", None),
        (b"-i https://one.example '-'r a.txt\n", None),
        (b"-i https://one.example -''r a.txt\n", None),
        (b"-e .\n", None),
        ("# x\u2028-r a.txt\n".encode(), None),
        ("# x\x85-r a.txt\n".encode(), None),
        (b"# x\r-r a.txt\n", None),
        (b"# x\x0c-r a.txt\n", None),
        (b"# coding: utf-7\n", None),
        ("-r a.txt".encode("utf-16"), None),
        (b"\xef\xbb\xbf-r a.txt\n", None),
        (b"# \x85-r a.txt\n", None),
    ],
)
def test_what_a_requirements_file_includes(content: bytes, expected: tuple[str, ...] | None) -> None:
    assert included_by("in/requirements.txt", content) == expected


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_ids_are_those_of_git(tmp_path: Path, algorithm: str) -> None:
    folder = tmp_path / "repository"
    folder.mkdir()
    Repository(folder).git("init", "-q", f"--object-format={algorithm}")
    (folder / "file").write_bytes(b"some\r\ncontent")
    name = Repository(folder).git("hash-object", "--no-filters", "file")
    assert blob_id(b"some\r\ncontent", like=name) == name


class Recorder:
    """Files that note what is read of them."""

    def __init__(self, files: WorkTree) -> None:
        self.files = files
        self.paths: set[str] = set()

    def read(self, path: str) -> bytes | None:
        self.paths.add(os.path.normpath(path))
        return self.files.read(path)


def test_the_parsers_read_nothing_that_unchanged_does_not_compare(repository: Repository) -> None:
    from scangate.registries import Registries

    old = json.dumps({"name": "x", "lockfileVersion": 1, "dependencies": {}})
    poetry = 'package = []\n[metadata]\nlock-version = "2.0"\npython-versions = "*"\ncontent-hash = "x"\n'
    repository.write({**BASE, "package-lock.json": old, "poetry/poetry.lock": poetry})
    for one in candidates(repository):
        recorder = Recorder(WorkTree(repository.folder))
        lockfiles.FORMATS[one.format]().read(one.path, recorder, Registries())
        folder = posixpath.dirname(one.path)
        compared = {one.path, *(posixpath.join(folder, name) for name in unchanged_module.DECIDING)}
        included = included_by(one.path, (repository.folder / one.path).read_bytes()) or ()
        compared.update(included)
        compared.update(
            two for name in included for two in included_by(name, (repository.folder / name).read_bytes()) or ()
        )
        assert recorder.paths <= compared


def test_a_folder_whose_lockfiles_are_gone_may_be_empty(repository: Repository) -> None:
    repository.commit({"poetry.lock": ""})
    (repository.folder / "poetry.lock").unlink()
    known = {"cwd": repository.folder, "environ": os.environ, "recognise": lockfiles.recognise}
    with pytest.raises(UsageError, match="no lockfile"):
        discover((), formats=lockfiles.FORMATS, **known)  # type: ignore[arg-type]  # for brevity
    answer = discover((), formats=lockfiles.FORMATS, may_be_empty=True, **known)  # type: ignore[arg-type]  # for brevity
    assert answer.lockfiles == ()
