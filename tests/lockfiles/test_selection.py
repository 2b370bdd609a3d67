"""Many lockfiles at once: what covers what, what only looks like one, and that nothing is lost on the way."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from scangate import lockfiles, purls
from scangate.changes.worktree import WorkTree
from scangate.errors import LockfileError
from scangate.files import Files
from scangate.models.lockfile import Lockfile
from scangate.registries import NO_REGISTRIES
from tests.lockfiles.npm_support import Memory


@dataclass(frozen=True)
class Found:
    path: str
    format: str
    files: Files


def read_all(folder: Path, files: dict[str, str]) -> tuple[Lockfile, ...]:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    tree = WorkTree(folder)
    found = [Found(name, format_, tree) for name in sorted(files) if (format_ := lockfiles.recognise(name))]
    return lockfiles.read_all(found, NO_REGISTRIES)


def paths(folder: Path, files: dict[str, str]) -> list[str]:
    return [lockfile.path for lockfile in read_all(folder, files)]


NPM = json.dumps({"lockfileVersion": 3, "packages": {"": {}}})


def test_a_shrinkwrap_covers_the_lock_beside_it_and_no_other(tmp_path: Path) -> None:
    files = dict.fromkeys(("a/package-lock.json", "a/npm-shrinkwrap.json", "package-lock.json"), NPM)
    assert paths(tmp_path, files) == ["a/npm-shrinkwrap.json", "package-lock.json"]


def test_an_included_requirements_file_is_read_once_with_its_own_lines(tmp_path: Path) -> None:
    found = read_all(
        tmp_path,
        {
            "requirements.txt": "-r requirements/base.txt\n-r requirements/../more-requirements.txt\n",
            "requirements/base.txt": "\nidna==3.7\n",
            "more-requirements.txt": "six==1.16.0\n",
            "requirements/other.txt": "-c base.txt\nzipp==3.19.0\n",
            "sub/requirements.txt": "idna==3.6\n",
        },
    )
    places = [(one.path, [(d.name, d.lockfile, d.line) for d in one.dependencies]) for one in found]
    assert places == [
        ("requirements.txt", [("idna", "requirements/base.txt", 2), ("six", "more-requirements.txt", 1)]),
        ("requirements/other.txt", [("zipp", "requirements/other.txt", 2)]),
        ("sub/requirements.txt", [("idna", "sub/requirements.txt", 1)]),
    ]


@pytest.mark.parametrize("option", ["--index-url https://pkgs.example.com/simple", "--no-index", "-f wheels"])
def test_a_file_that_includes_another_under_other_indexes_does_not_stand_for_it(tmp_path: Path, option: str) -> None:
    """Else one added file would take every package of the other one out of the analysis."""
    files = {"requirements.txt": "idna==3.7\n", "zz-requirements.txt": f"{option}\n-r requirements.txt\n"}
    found = read_all(tmp_path, files)
    assert [one.path for one in found] == ["requirements.txt", "zz-requirements.txt"]
    assert [one.purl for one in found[0].dependencies] == ["pkg:pypi/idna@3.7"]


def test_indexes_of_the_included_file_itself_are_no_others(tmp_path: Path) -> None:
    own = "--index-url https://pkgs.example.com/simple\nidna==3.7\n"
    assert paths(tmp_path, {"requirements.txt": "-r base-requirements.txt\n", "base-requirements.txt": own}) == [
        "requirements.txt"
    ]


def test_a_circle_of_includes_is_an_error_and_not_an_empty_list(tmp_path: Path) -> None:
    with pytest.raises(LockfileError, match="requirements"):
        read_all(
            tmp_path, {"a-requirements.txt": "-r b-requirements.txt\n", "b-requirements.txt": "-r a-requirements.txt\n"}
        )


PROSE = "These are the requirements that our customers have:\n\nIt must be fast, and it must be right.\n"


def test_a_text_that_only_has_the_name_is_left_out(tmp_path: Path) -> None:
    files = {"functional-requirements.txt": PROSE, "requirements/notes.txt": PROSE, "requirements.txt": "idna==3.7\n"}
    assert paths(tmp_path, files) == ["requirements.txt"]


@pytest.mark.parametrize(
    "text",
    [
        PROSE + "evil==1.0\n",
        PROSE + "--index-url https://evil.example\n",
        PROSE + "-r other.txt\n",
        PROSE + "https://evil.example/a-1.0.tar.gz\n",
        PROSE + "${GITHUB_ACTOR}\n",
        PROSE + "\x00\n",
    ],
)
def test_a_broken_file_that_could_install_something_stays_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(LockfileError, match=r"^dev-requirements\.txt"):
        read_all(tmp_path, {"dev-requirements.txt": text, "requirements.txt": "idna==3.7\n"})


@pytest.mark.parametrize("name", ["requirements.txt", "functional-requirements.txt"])
def test_a_prose_file_that_is_all_there_is_is_an_error_and_no_pass(tmp_path: Path, name: str) -> None:
    with pytest.raises(LockfileError, match=name):
        read_all(tmp_path, {name: PROSE})


@pytest.mark.parametrize(
    "name", ["package-lock.json", "poetry.lock", "requirements.txt", "dev-requirements.txt", "requirements/a.txt"]
)
def test_an_lfs_pointer_is_an_error(tmp_path: Path, name: str) -> None:
    """As git-lfs writes it (its spec.md); never prose, whatever its name."""
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'4d7a2146' * 8}\nsize 12345\n"
    with pytest.raises(LockfileError, match="Git LFS") as caught:
        read_all(tmp_path, {name: pointer, "a/package-lock.json": NPM})
    assert caught.value.message.startswith(f"{name}: ")
    assert "git lfs pull" in caught.value.hint


def test_an_lfs_pointer_on_one_side_alone() -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'4d7a2146' * 8}\nsize 12345\n"
    real, other = (
        Found("package-lock.json", "npm-package-lock", Memory({"package-lock.json": text})) for text in (NPM, pointer)
    )
    with pytest.raises(LockfileError, match="Git LFS"):
        lockfiles.read_both_sides([other], [real], NO_REGISTRIES)
    both = lockfiles.read_both_sides([real], [other], NO_REGISTRIES)
    assert "Git LFS" in both.unreadable["package-lock.json"].message


def test_plain_requirements_txt_is_never_prose(tmp_path: Path) -> None:
    with pytest.raises(LockfileError, match=r"^requirements\.txt"):
        read_all(tmp_path, {"requirements.txt": PROSE, "sub/requirements.txt": "idna==3.7\n"})


def test_one_broken_lockfile_among_many_is_an_error_and_no_partial_list(tmp_path: Path) -> None:
    with pytest.raises(LockfileError, match=r"^b/package-lock\.json"):
        read_all(tmp_path, {"a/package-lock.json": NPM, "b/package-lock.json": "{", "c/package-lock.json": NPM})


def test_what_cannot_be_read_yet_is_kept_and_said(tmp_path: Path) -> None:
    found = read_all(tmp_path, {"package-lock.json": NPM, "pnpm-lock.yaml": "x", "bun.lockb": "x"})
    assert [(one.path, one.supported) for one in found] == [
        ("bun.lockb", False),
        ("package-lock.json", True),
        ("pnpm-lock.yaml", False),
    ]


@pytest.mark.parametrize("name", ["a\\u0000b", "a\\ud800b", "a\\nb", "\\u202ea", "@a/b/c", "@/a", "a" * 5000])
def test_a_name_that_no_registry_has_is_never_sent_and_no_crash(tmp_path: Path, name: str) -> None:
    entry = '{"version": "1.0.0", "resolved": "https://r.example/a-1.0.0.tgz"}'
    text = '{"lockfileVersion": 3, "packages": {"": {}, "node_modules/%s": {"version": "1.0.0"}, "node_modules/x": %s}}'
    try:
        found = read_all(tmp_path, {"package-lock.json": text % (name, entry)})
    except LockfileError as exc:
        message = exc.message
    else:
        message = "package-lock.json"
        assert all(one.purl is None or one.purl.isprintable() for one in found[0].dependencies)
    assert message.startswith("package-lock.json")


def test_text_that_cannot_be_decoded_is_an_error_and_not_taken_for_prose(tmp_path: Path) -> None:
    (tmp_path / "dev-requirements.txt").write_bytes(PROSE.encode() + b"\xff")
    found = [Found("dev-requirements.txt", "pip-requirements", WorkTree(tmp_path))]
    with pytest.raises(LockfileError, match=r"^dev-requirements\.txt"):
        lockfiles.read_all(found, NO_REGISTRIES)


def test_what_no_format_refused_and_makes_no_purl_is_still_a_lockfile_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last line behind the formats: a format of its own that composes a purl without a look at the name."""

    class Careless:
        NAME = "npm-package-lock"

        def read(self, path: str, *_: object) -> Lockfile:
            purls.npm("a\x00b", "1.0.0")
            raise AssertionError(path)

    monkeypatch.setitem(lockfiles.FORMATS, "npm-package-lock", Careless)  # type: ignore[arg-type]  # a literal dict
    with pytest.raises(LockfileError, match=r"^package-lock\.json: .* is not a package URL"):
        read_all(tmp_path, {"package-lock.json": NPM})
