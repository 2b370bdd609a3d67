"""Discovery: which lockfiles there are, in a repository and without one, and what a hostile tree cannot do."""

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scangate import lockfiles
from scangate.changes import sparse
from scangate.changes.discovery import Candidate, discover
from scangate.errors import LockfileError, UsageError
from scangate.globs import path_matches
from tests.changes.unprivileged import NOBODY, open_folder, ordinary_user

Finder = Callable[..., list[str]]


def find(cwd: Path, *paths: str, **options: object) -> list[Candidate]:
    settings = {"environ": os.environ, "recognise": lockfiles.recognise, "formats": lockfiles.FORMATS, **options}
    return list(discover(paths, cwd=cwd, **settings).lockfiles)  # type: ignore[arg-type]  # tests pass what they are about


def found(cwd: Path, *paths: str, **options: object) -> list[str]:
    return [candidate.path for candidate in find(cwd, *paths, **options)]


def touch(folder: Path, names: Sequence[str]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Example", "-c", "user.email=dev@example.com")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(params=["repository", "folder"])
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder, once as a git repository (with everything untracked at first), once without git."""
    if request.param == "repository":
        git(tmp_path, "init", "-q", "-b", "main")
    return tmp_path


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    return tmp_path


class TestNames:
    @pytest.mark.parametrize(
        ("path", "format_"),
        [
            ("package-lock.json", "npm-package-lock"),
            ("npm-shrinkwrap.json", "npm-package-lock"),
            ("a/poetry.lock", "poetry-lock"),
            ("requirements.txt", "pip-requirements"),
            ("a/requirements-dev.txt", "pip-requirements"),
            ("dev-requirements.txt", "pip-requirements"),
            ("a/Requirements/Prod.TXT", "pip-requirements"),
            ("requirements/base.txt", "pip-requirements"),
            # So npm finds them on macOS and Windows.
            ("a/Package-Lock.json", "npm-package-lock"),
            ("NPM-SHRINKWRAP.JSON", "npm-package-lock"),
            ("pac\u212aage-lock.j\u017fon", "npm-package-lock"),
            ("Poetry.lock", "poetry-lock"),
        ],
    )
    def test_what_can_be_read(self, path: str, format_: str) -> None:
        assert lockfiles.recognise(path) == format_
        assert format_ in lockfiles.FORMATS

    @pytest.mark.parametrize(
        "path",
        [
            "yarn.lock",
            "pnpm-lock.yaml",
            "pnpm-lock.main.yaml",
            "bun.lock",
            "bun.lockb",
            "uv.lock",
            "Pipfile.lock",
            "pdm.lock",
            "pylock.toml",
            "pylock.dev.toml",
            "deno.lock",
            "pixi.lock",
            "conda-lock.yml",
            "vlt-lock.json",
            "Yarn.lock",
            "PNPM-lock.dev.YAML",
        ],
    )
    def test_what_is_recognised_and_cannot_be_read_yet(self, tmp_path: Path, path: str) -> None:
        touch(tmp_path, [path])
        (one,) = find(tmp_path)
        assert not one.supported
        lockfile = lockfiles.read(one.path, one.format, one.files, lockfiles.Registries())
        assert (lockfile.path, lockfile.supported, lockfile.dependencies) == (path, False, ())

    @pytest.mark.parametrize(
        "path",
        ["package.json", "requirements.in", "requirements", "requirements/a/b.txt", "my.poetry.lock", "README.txt"],
    )
    def test_what_is_no_lockfile(self, path: str) -> None:
        assert lockfiles.recognise(path) is None

    def test_a_format_that_nothing_has(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="'x' is not a lockfile format") as caught:
            lockfiles.read("a", "x", find_nothing, lockfiles.Registries())
        assert "npm-package-lock" in caught.value.hint


class _Nothing:
    def read(self, path: str) -> bytes | None:
        raise AssertionError(path)


find_nothing = _Nothing()


class TestSearch:
    def test_finds_lockfiles_at_every_depth_sorted_each_once(self, tree: Path) -> None:
        names = ["b/package-lock.json", "a/b/c/poetry.lock", "requirements.txt", "a/uv.lock"]
        touch(tree, [*names, "a/README.md"])
        assert found(tree) == sorted(names)
        assert found(tree, ".", "a", "requirements.txt") == sorted(names)
        assert found(tree, "a") == ["a/b/c/poetry.lock", "a/uv.lock"]

    def test_the_candidate_reads_its_file(self, tree: Path) -> None:
        touch(tree, ["a/poetry.lock"])
        (tree / "a" / "poetry.lock").write_text("content")
        (tree / "pyproject.toml").write_text("above")
        for candidate in (find(tree)[0], find(tree, "a/poetry.lock")[0], find(tree / "a")[0]):
            assert candidate.files.read(candidate.path) == b"content"

    @pytest.mark.parametrize(
        "folder",
        [
            "node_modules",
            "bower_components",
            "vendor",
            "third_party",
            "site-packages",
            ".git",
            ".tox",
            "x/node_modules/y",
        ],
    )
    def test_installed_and_vendored_trees_are_left_out_but_searched_when_named(self, tree: Path, folder: str) -> None:
        touch(tree, ["poetry.lock", f"{folder}/package-lock.json"])
        assert found(tree) == ["poetry.lock"]
        if folder != ".git":
            assert found(tree, folder) == [f"{folder}/package-lock.json"]

    def test_virtual_environments_are_left_out(self, tree: Path) -> None:
        touch(tree, ["poetry.lock", "env/pyvenv.cfg", "env/requirements.txt", "env/share/deep/poetry.lock"])
        assert found(tree) == ["poetry.lock"]

    def test_exclusions_count_from_the_repositorys_root(self, tree: Path) -> None:
        touch(tree, ["poetry.lock", "docs/poetry.lock", "a/docs/poetry.lock", "fixtures/b/poetry.lock"])
        assert found(tree, exclude=["docs", "fixtures/**"]) == ["a/docs/poetry.lock", "poetry.lock"]
        assert found(tree, exclude=["**/docs/*.lock"]) == ["fixtures/b/poetry.lock", "poetry.lock"]
        assert found(tree, "a", exclude=["a/other"]) == ["a/docs/poetry.lock"]
        assert found(tree, "docs/poetry.lock", exclude=["docs"]) == ["docs/poetry.lock"]

    def test_nothing_found_is_an_error_and_no_pass(self, tree: Path) -> None:
        touch(tree, ["a/README.md", "b/poetry.lock"])
        with pytest.raises(UsageError, match="a: no lockfile in this folder") as caught:
            find(tree, "b", "a")
        assert caught.value.hint
        with pytest.raises(UsageError, match=r"^\.: no lockfile"):
            find(tree, exclude=["**"])

    def test_three_hundred_lockfiles_and_names_of_all_sorts(self, tree: Path) -> None:
        folders = ["new\nline", "\x1b[31mred", os.fsdecode(b"\xff"), "ünïcode", "-dash", *map(str, range(300))]
        touch(tree, [f"{folder}/package-lock.json" for folder in folders])
        candidates = find(tree)
        assert sorted(one.path for one in candidates) == sorted(f"{folder}/package-lock.json" for folder in folders)
        assert {one.files.read(one.path) for one in candidates} == {b""}

    def test_links_to_folders_are_not_followed_and_links_to_files_are_read_only_inside(self, tree: Path) -> None:
        touch(tree, ["real/poetry.lock"])
        (tree / "real" / "loop").symlink_to("..")
        (tree / "root").symlink_to("/")
        (tree / "package-lock.json").symlink_to("/etc/passwd")
        (tree / "yarn.lock").symlink_to("real/poetry.lock")
        (tree / "uv.lock").symlink_to("dangling")
        candidates = {one.path: one for one in find(tree)}
        assert sorted(candidates) == ["package-lock.json", "real/poetry.lock", "uv.lock", "yarn.lock"]
        assert candidates["yarn.lock"].files.read("yarn.lock") == b""
        with pytest.raises(LockfileError, match="leads out"):
            candidates["package-lock.json"].files.read("package-lock.json")

    def test_a_folder_with_a_lockfiles_name_is_a_folder(self, tree: Path) -> None:
        touch(tree, ["package-lock.json/poetry.lock"])
        assert found(tree) == ["package-lock.json/poetry.lock"]

    def test_a_fifo_with_a_lockfiles_name_is_found_and_refused_when_read(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "poetry.lock")
        (one,) = find(tmp_path)
        with pytest.raises(LockfileError, match="not an ordinary file"):
            one.files.read(one.path)


class TestRepository:
    def test_tracked_files_and_new_ones_but_not_ignored_or_deleted_ones(self, repository: Path) -> None:
        touch(repository, ["tracked/poetry.lock", "deleted/poetry.lock", "new/poetry.lock", "build/poetry.lock"])
        touch(repository, ["ignored-but-tracked/poetry.lock"])
        git(repository, "add", "tracked", "deleted", "ignored-but-tracked")
        (repository / ".gitignore").write_text("build\nignored-but-tracked\n")
        (repository / "deleted" / "poetry.lock").unlink()
        assert found(repository) == ["ignored-but-tracked/poetry.lock", "new/poetry.lock", "tracked/poetry.lock"]

    def test_what_a_sparse_checkout_leaves_out_is_read_from_the_index(
        self, repository: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        touch(repository, ["a/requirements.txt"])
        for name, content in (("b/requirements.txt", "-r more.in\n"), ("b/more.in", "flask==1.0\n")):
            (repository / name).parent.mkdir(exist_ok=True)
            (repository / name).write_text(content)
        git(repository, "add", ".")
        git(repository, "commit", "-q", "-m", "One")
        git(repository, "sparse-checkout", "set", "a")
        assert not (repository / "b").exists()
        for cwd, names in ((repository, ["a/requirements.txt", "b/requirements.txt"]), (repository / "a", None)):
            assert found(cwd) == (names or ["requirements.txt"])
        _, other = find(repository)
        contents = [other.files.read(f"b/{name}") for name in ("requirements.txt", "more.in", "missing.in")]
        assert contents == [b"-r more.in\n", b"flask==1.0\n", None]
        monkeypatch.setattr(sparse, "MAX_LOCKFILE_BYTES", 10)
        with pytest.raises(LockfileError, match="is larger than"):
            other.files.read("b/requirements.txt")
        git(repository, "update-index", "--replace", "--cacheinfo", f"100644,{'12' * 20},b/requirements.txt")
        git(repository, "update-index", "--skip-worktree", "b/requirements.txt")
        _, other = find(repository)
        with pytest.raises(LockfileError, match="leaves it out"):
            other.files.read("b/requirements.txt")

    def test_a_planted_pyvenv_cfg_hides_no_tracked_lockfile(self, repository: Path) -> None:
        touch(repository, ["app/pyvenv.cfg", "app/package-lock.json"])
        git(repository, "add", ".")
        assert found(repository) == ["app/package-lock.json"]

    def test_a_submodules_lockfiles_count(self, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
        inner = tmp_path_factory.mktemp("inner")
        git(inner, "init", "-q")
        touch(inner, ["poetry.lock"])
        git(inner, "add", ".")
        git(inner, "commit", "-q", "-m", "One")
        git(repository, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "module")
        assert found(repository) == ["module/poetry.lock"]

    def test_repositories_inside_are_named_but_where_nobody_looks(self, repository: Path) -> None:
        touch(repository, ["poetry.lock", "env/pyvenv.cfg", "a/b/poetry.lock"])
        (repository / ".gitignore").write_text("ignored\n")
        for name in ("tools", "a/b/c", "vendor/x", "node_modules/y", "env/src/z", "ignored", "docs/w"):
            (repository / name).mkdir(parents=True)
            git(repository / name, "init", "-q")
            touch(repository / name, ["poetry.lock"])
        settings = {"environ": os.environ, "recognise": lockfiles.recognise, "formats": lockfiles.FORMATS}
        answer = discover((), cwd=repository, exclude=["docs"], **settings)  # type: ignore[arg-type]  # for brevity
        assert answer.repositories == ("a/b/c", "tools")
        assert [one.path for one in answer.lockfiles] == ["a/b/poetry.lock", "poetry.lock"]
        answer = discover((".", "tools"), cwd=repository, exclude=["docs"], **settings)  # type: ignore[arg-type]  # for brevity
        assert answer.repositories == ("a/b/c",)
        assert "tools/poetry.lock" in [one.path for one in answer.lockfiles]
        answer = discover(("../a",), cwd=repository / "a", **settings)  # type: ignore[arg-type]  # for brevity
        assert answer.repositories == ("b/c",)

    def test_what_git_tracks_in_vendored_folders_is_named(self, repository: Path) -> None:
        names = ["poetry.lock", "vendor/poetry.lock", "a/third_party/x/uv.lock", "vendor/node_modules/uv.lock"]
        touch(repository, [*names, "gone/vendored/uv.lock"])
        git(repository, "add", ".")
        touch(repository, ["third-party/uv.lock"])
        (repository / "gone/vendored/uv.lock").unlink()
        settings = {"environ": os.environ, "recognise": lockfiles.recognise, "formats": lockfiles.FORMATS}
        answer = discover((), cwd=repository, **settings)  # type: ignore[arg-type]  # for brevity
        assert [one.path for one in answer.vendored] == ["a/third_party/x/uv.lock", "vendor/poetry.lock"]
        answer = discover((".", "vendor"), cwd=repository, exclude=["a"], **settings)  # type: ignore[arg-type]  # for brevity
        assert answer.vendored == ()

    def test_a_file_may_lie_elsewhere_in_the_same_repository(self, repository: Path) -> None:
        touch(repository, ["a/requirements.txt", "base.txt"])
        (one,) = find(repository / "a")
        assert one.files.read("../base.txt") == b""
        (one,) = find(repository / "a", "../a/requirements.txt")
        assert one.path == "requirements.txt"

    def test_where_git_fails_the_folder_is_walked(self, repository: Path, tmp_path: Path) -> None:
        touch(repository, ["a/poetry.lock"])
        assert found(repository, environ={"PATH": str(tmp_path / "missing")}) == ["a/poetry.lock"]
        (repository / ".git" / "index").write_text("broken")
        assert found(repository) == ["a/poetry.lock"]

    def test_a_committed_bare_repository_is_walked_like_any_folder(self, repository: Path) -> None:
        bare = repository / "example"
        bare.mkdir()
        git(bare, "init", "-q", "--bare")
        git(bare, "config", "core.fsmonitor", f"touch {repository}/ran")
        touch(bare, ["poetry.lock"])
        assert found(repository, "example") == ["example/poetry.lock"]
        assert found(bare) == ["poetry.lock"]
        assert not (repository / "ran").exists()

    def test_a_tracked_lockfile_in_a_closed_folder_is_found_and_refused_when_read(self) -> None:
        with open_folder() as folder:
            touch(folder, ["closed/poetry.lock", "uv.lock"])
            git(folder, "init", "-q", "-b", "main")
            git(folder, "add", ".")
            if os.geteuid() == 0:
                for path in (folder, *folder.rglob("*")):
                    os.chown(path, NOBODY, NOBODY)
            (folder / "closed").chmod(0)
            with ordinary_user():
                one, _ = find(folder)
                assert one.path == "closed/poetry.lock"
                with pytest.raises(LockfileError, match="Permission denied"):
                    one.files.read(one.path)


class TestWalk:
    def test_too_many_entries_are_an_error_never_a_silent_stop(self, tmp_path: Path) -> None:
        touch(tmp_path, [f"a/{n}" for n in range(20)])
        touch(tmp_path, ["z/poetry.lock"])
        assert found(tmp_path, max_entries=23) == ["z/poetry.lock"]
        with pytest.raises(UsageError, match="more than 22 files"):
            find(tmp_path, max_entries=22)

    def test_too_deep_folders_are_an_error_never_a_silent_stop(self, tmp_path: Path) -> None:
        touch(tmp_path, ["1/2/3/4/poetry.lock"])
        assert found(tmp_path, max_depth=4) == ["1/2/3/4/poetry.lock"]
        with pytest.raises(UsageError, match="deeper than 3 levels"):
            find(tmp_path, max_depth=3)

    def test_a_folder_that_cannot_be_listed_is_an_error_unless_it_is_excluded(self) -> None:
        with open_folder() as folder:
            touch(folder, ["poetry.lock", "closed/package-lock.json"])
            (folder / "closed").chmod(0)
            with ordinary_user():
                with pytest.raises(UsageError, match="closed: cannot be listed: Permission denied"):
                    find(folder)
                assert found(folder, exclude=["closed"]) == ["poetry.lock"]


class TestNamedPaths:
    def test_a_file_by_its_name_or_by_the_format_that_is_said(self, tmp_path: Path) -> None:
        touch(tmp_path, ["lock/poetry.lock", "deps.txt"])
        assert find(tmp_path, "lock/poetry.lock")[0].format == "poetry-lock"
        assert find(tmp_path, "deps.txt", lockfile_as="pip-requirements")[0].format == "pip-requirements"
        assert find(tmp_path, "lock/poetry.lock", lockfile_as="npm-package-lock")[0].format == "npm-package-lock"

    @pytest.mark.parametrize(
        ("paths", "lockfile_as", "problem"),
        [
            (["deps.txt"], None, "deps.txt: the name is not that of a lockfile"),
            (["missing.lock"], None, "missing.lock: No such file"),
            (["a\x00b"], None, "not a path"),
            (["poetry.lock/x"], None, "Not a directory"),
            (["poetry.lock"], "yarn-lock", "--lockfile-as 'yarn-lock' is not a lockfile format"),
            (["."], "poetry-lock", "no PATH is a file"),
            ([], "poetry-lock", "no PATH is a file"),
        ],
    )
    def test_errors_say_what_to_do(
        self, tmp_path: Path, paths: list[str], lockfile_as: str | None, problem: str
    ) -> None:
        touch(tmp_path, ["poetry.lock", "deps.txt"])
        with pytest.raises(UsageError, match=problem) as caught:
            find(tmp_path, *paths, lockfile_as=lockfile_as)
        assert caught.value.hint
        if "name" in problem or "format" in problem:
            assert "npm-package-lock, pip-requirements, poetry-lock" in caught.value.hint

    def test_a_named_file_may_refer_to_the_whole_working_directory(self, tree: Path) -> None:
        touch(tree, ["a/requirements.txt", "base.txt"])
        for candidate in (find(tree, "a/requirements.txt")[0], find(tree, "a")[0], find(tree)[0]):
            assert candidate.files.read("base.txt") == b""

    def test_outside_of_the_working_directory_paths_are_absolute_and_bounded_by_their_folder(
        self, tmp_path: Path
    ) -> None:
        touch(tmp_path, ["here/poetry.lock", "there/requirements.txt", "there/sub/poetry.lock", "secret.txt"])
        here, there = tmp_path / "here", tmp_path / "there"
        (one,) = find(here, "../there/requirements.txt")
        assert one.path == f"{there}/requirements.txt"
        assert one.files.read(one.path) == one.files.read(f"{there}/sub/poetry.lock") == b""
        with pytest.raises(LockfileError, match="leads out"):
            one.files.read(f"{there}/../secret.txt")
        assert found(here, str(there)) == [f"{there}/requirements.txt", f"{there}/sub/poetry.lock"]
        assert found(here, str(here / "poetry.lock")) == ["poetry.lock"]


class TestExcludes:
    @pytest.mark.parametrize(
        ("pattern", "path", "expected"),
        [
            ("docs", "docs/a/b", True),
            ("docs/", "docs/a", True),
            ("./docs", "docs/a", True),
            ("/docs/**", "docs/a", True),
            ("docs", "a/docs/b", False),
            ("docs/*", "docs/a/b", True),
            ("docs/*.lock", "docs/a/b.lock", False),
            ("docs/**/*.lock", "docs/b.lock", True),
            ("docs/**/*.lock", "docs/a/c/b.lock", True),
            ("**/x", "x", True),
            ("**/x", "a/b/x/c", True),
            ("**/x", "a/xx", False),
            ("**", "a", True),
            ("a/**/b/**/c", "a/1/b/2/3/c", True),
            ("a/**/b/**/c", "a/1/2/3/c", False),
            ("a?[0-9]", "ab7", True),
            ("*", "a/b", True),
            ("", "a", False),
            (".", "a", False),
            ("/", "a", False),
            ("a*", "A", False),
        ],
    )
    def test_patterns(self, pattern: str, path: str, expected: bool) -> None:
        assert path_matches([pattern], path) is expected

    def test_no_pattern_takes_exponential_time(self) -> None:
        assert not path_matches(["/".join(["**", "a"] * 60) + "/b"], "/".join(["a"] * 200))
        assert not path_matches(["*a" * 60 + "b"], "a" * 250)

    @given(st.lists(st.sampled_from(["a", "b", "**", "*", "?"]), min_size=1, max_size=6), st.data())
    def test_a_path_built_from_the_pattern_matches_it(self, pattern: list[str], data: st.DataObject) -> None:
        names = st.sampled_from(["a", "b", "c"])
        parts: list[str] = []
        for part in pattern:
            if part == "**":
                parts += data.draw(st.lists(names, max_size=3))
            else:
                parts.append(data.draw(names) if part in "*?" else part)
        more = data.draw(st.lists(names, max_size=2))
        path = "/".join([*parts, *more])
        if path:
            assert path_matches(["/".join(pattern)], path)
