"""Archives of the project that change while the lockfile stays as it is, from the command line, on real repositories.

What may be taken from a place that differs from the base's is new: exit code 0 without a word would be a silent pass.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.changes.ci_fixtures.packages import CLEAN, lock
from tests.changes.ci_fixtures.repos import Repository
from tests.cli.conftest import Result, Scangate
from tests.lockfiles.npm_support import packages

Files = dict[str, str | bytes]

WHEEL = "wheels/example-1.0-py3-none-any.whl"
DIGEST = "--hash=sha256:" + "a" * 64
LINKS = "--find-links wheels\n"
PAGE = '<a href="https://{}.example/example-1.0.tar.gz">example</a>'

WAYS = [(), ("--staged",), ("--pushed",)]


def npm(path: str) -> str:
    return packages({"node_modules/example": {"version": "1.0.0", "resolved": path}})


REQUESTED = f"""\
{{"lockfileVersion": 1, "dependencies": {{"example": {{"version": "1.0.0", "from": "example@file:{WHEEL[:-4]}.tgz"}}}}}}
"""

POETRY = f"""\
[[package]]
name = "example"
version = "1.0"
optional = false
python-versions = "*"
files = []

[package.source]
type = "file"
url = "{WHEEL}"

[metadata]
lock-version = "2.1"
python-versions = "*"
content-hash = "{"0" * 64}"
"""


@pytest.fixture
def here(tmp_path: Path) -> Repository:
    return Repository.new(tmp_path / "here")


@pytest.fixture(params=WAYS, ids=lambda way: "".join(way) or "working tree")
def way(request: pytest.FixtureRequest) -> Sequence[str]:
    options: Sequence[str] = request.param
    return options


def check(scangate: Scangate, here: Repository, *options: str, cwd: str = ".") -> Result:
    result = scangate("check", "--base", "HEAD~1", "--format", "json", *options, cwd=here.folder / cwd)
    assert result.out, result.err
    return result


def new(result: Result) -> list[str]:
    return [package["name"] for package in result.json["packages"]]


def labels(result: Result) -> list[str]:
    return [change["change"] for package in result.json["packages"] for change in package["changes"]]


ARCHIVES: list[tuple[str, Files]] = [
    ("pip", {"requirements.txt": f"./{WHEEL}\n"}),
    ("pip, name @ file", {"requirements.txt": f"example @ file:{WHEEL}\n"}),
    ("pip, quoted name @ file", {"requirements.txt": f"example @ file:./{WHEEL.replace('l', '%6c')}\n"}),
    ("pip -r", {"requirements.txt": "-r more.in\n", "more.in": f"example @ file:{WHEEL}\n"}),
    ("pip -r in a folder", {"requirements.txt": "-r more/more.in\n", "more/more.in": f"./{WHEEL}\n"}),
    ("pip, a variable", {"requirements.txt": f"example @ file://${{ROOT}}/{WHEEL}\n"}),
    ("pip --find-links", {"requirements.txt": f"--no-index\n{LINKS}example==1.0\n"}),
    ("pip --find-links, an archive", {"requirements.txt": f"--no-index\n-f {WHEEL}\nexample==1.0\n"}),
    ("pip --find-links, a variable", {"requirements.txt": "--no-index\n-f ${HERE}/wheels\nexample==1.0\n"}),
    ("pip --find-links in an included file", {"requirements.txt": "-r more.in\nexample==1.0\n", "more.in": LINKS}),
    ("pip --find-links, abbreviated", {"requirements.txt": "--no-index\n--fi=wheels\nexample==1.0\n"}),
    ("pip --find-links, open version", {"requirements.txt": f"{LINKS}example\n"}),
    ("pip --find-links beside the index", {"requirements.txt": f"{LINKS}example==1.0\n"}),
    ("pip, an index of files", {"requirements.txt": "--index-url file:wheels\nexample==1.0\n"}),
    ("npm", {"package-lock.json": npm(f"file:{WHEEL[:-4]}.tgz")}),
    ("npm, without file:", {"package-lock.json": npm(f"./{WHEEL[:-4]}.TGZ").replace("wheels", "\\u0077heels")}),
    ("npm, requested", {"package-lock.json": REQUESTED}),
    ("poetry", {"poetry.lock": POETRY}),
]


@pytest.fixture(params=[files for _, files in ARCHIVES], ids=[name for name, _ in ARCHIVES])
def lockfiles(request: pytest.FixtureRequest) -> Files:
    files: Files = request.param
    return files


CONTENT = (WHEEL, WHEEL[:-4] + ".tgz", WHEEL[:-4] + ".TGZ")


def test_an_archive_with_other_content_is_new(
    scangate: Scangate, here: Repository, lockfiles: Files, way: Sequence[str]
) -> None:
    here.commit({**lockfiles, **dict.fromkeys(CONTENT, b"old"), "docs/notes.txt": b"old"})
    here.commit({"docs/notes.txt": b"new"})
    assert new(check(scangate, here, *way)) == []
    here.commit(dict.fromkeys(CONTENT, b"new"))
    result = check(scangate, here, *way)
    assert (len(new(result)), labels(result)) == (1, ["digests"])
    assert result.code != 0 or result.json["status"] == "warned"


def test_an_archive_that_the_base_does_not_have_is_new_and_so_is_one_that_is_gone(
    scangate: Scangate, here: Repository, lockfiles: Files, way: Sequence[str]
) -> None:
    here.commit({**lockfiles, "wheels/.keep": "", "elsewhere/other.whl": b"old"})
    here.commit()
    assert new(check(scangate, here, *way)) == []
    here.commit(dict.fromkeys(CONTENT, b"new"))
    assert len(new(check(scangate, here, *way))) == 1
    here.git("rm", "-q", *CONTENT)
    here.commit()
    assert len(new(check(scangate, here, *way))) == 1


PAGES: list[tuple[str, Files, str]] = [
    ("a page", {"requirements.txt": "--no-index\n--find-links links.html\nexample==1.0\n"}, "links.html"),
    ("a page by URL", {"requirements.txt": f"-f file:./{'lib/links.htm'}\nexample==1.0\n"}, "lib/links.htm"),
    ("a page in a folder", {"requirements.txt": f"{LINKS}example==1.0\n"}, "wheels/links.HTML"),
    ("a page of an index", {"requirements.txt": "-i file:pypi\nexample==1.0\n"}, "pypi/example/index.html"),
    ("a page below", {"app/requirements.txt": "-r ../all.txt\n", "all.txt": "-f links.html\nexample\n"}, "links.html"),
]


@pytest.mark.parametrize(("files", "page"), [row[1:] for row in PAGES], ids=[row[0] for row in PAGES])
def test_a_page_with_other_links_is_new(
    scangate: Scangate, here: Repository, files: Files, page: str, way: Sequence[str]
) -> None:
    here.commit({**files, page: PAGE.format("good")})
    here.commit({"README": "more"})
    assert new(check(scangate, here, *way)) == []
    here.commit({page: PAGE.format("evil")})
    assert labels(check(scangate, here, *way)) == ["digests"]
    (here.folder / page).unlink()
    here.commit()
    assert labels(check(scangate, here, *way)) == ["digests"]


def test_an_archive_that_a_page_of_the_project_may_lead_to_is_new(scangate: Scangate, here: Repository) -> None:
    here.commit({"requirements.txt": "-f links.html\nexample==1.0\n", "links.html": PAGE, "lib/a.zip": b"old"})
    here.commit({"lib/a.zip": b"new"})
    assert new(check(scangate, here)) == ["example"]
    here.commit({"lib/b.zip": b"new"})
    assert new(check(scangate, here)) == ["example"]


def test_what_nothing_is_taken_from_makes_nothing_new(scangate: Scangate, here: Repository, way: Sequence[str]) -> None:
    names = ("other/example-1.0.tgz", "app/wheels/other.whl", "wheels/deeper/other.whl", "page.html")
    same = ("wheels/same.whl", "wheels/example.tgz")
    locks: Files = {
        "requirements.txt": f"{LINKS}example==1.0\n",
        "hashed-requirements.txt": f"{LINKS}-f page.html\nexample==1.0 {DIGEST}\n",
        "package-lock.json": npm("file:wheels/example.tgz"),
    }
    here.commit({**locks, **dict.fromkeys((*names, *same), b"old")})
    here.commit({**dict.fromkeys(names, b"new"), "other/more.whl": b"new", "wheels/README": "new"})
    result = check(scangate, here, *way)
    assert (result.code, new(result)) == (0, [])


def test_each_project_of_a_repository_has_its_own_places(scangate: Scangate, here: Repository) -> None:
    locks = {f"{app}/requirements.txt": f"{LINKS}{app}==1.0\n./example.zip\n" for app in ("one", "two")}
    archives = ("one/example.zip", "one/wheels/x.whl", "two/example.zip", "two/wheels/x.whl")
    here.commit({**locks, **dict.fromkeys(archives, b"old")})
    here.commit({"two/wheels/x.whl": b"new"})
    assert new(check(scangate, here)) == ["two"]
    assert new(check(scangate, here, cwd="one")) == []
    here.commit({"wheels/x.whl": b"new"})  # pip may be run up here, too
    assert new(check(scangate, here)) == ["one", "two"]
    assert new(check(scangate, here, cwd="one")) == ["one"]


def test_the_same_words_elsewhere_name_another_archive(scangate: Scangate, here: Repository) -> None:
    here.commit({"a/package-lock.json": npm("file:x.tgz"), "a/x.tgz": b"good", "b/x.tgz": b"evil"})
    here.commit({"b/package-lock.json": npm("file:x.tgz")})
    result = check(scangate, here)
    assert (new(result), labels(result)) == (["example"], ["source"])


def test_a_changed_lockfile_that_takes_nothing_new_but_an_archive_does_not_hide_it(
    scangate: Scangate, here: Repository
) -> None:
    local = npm("file:x.tgz")
    here.commit({"package-lock.json": local, "site/package-lock.json": lock(CLEAN), "x.tgz": b"old"})
    here.commit({"site/package-lock.json": lock(), "x.tgz": b"new"})
    assert new(check(scangate, here)) == ["example"]


def test_what_ships_inside_of_an_archive_is_new_with_it(scangate: Scangate, here: Repository) -> None:
    outer = {"version": "1.0.0", "resolved": "file:x.tgz"}
    inner = {"version": "1.0.0", "inBundle": True}
    entries = {"node_modules/outer": outer, "node_modules/outer/node_modules/inner": inner}
    here.commit({"package-lock.json": packages(entries), "x.tgz": b"old"})
    here.commit({"x.tgz": b"new"})
    assert sorted(new(check(scangate, here))) == ["inner", "outer"]


def test_a_link_is_what_it_leads_to(scangate: Scangate, here: Repository, way: Sequence[str]) -> None:
    here.commit({"requirements.txt": "./example.zip\n./one/a.zip\n", "two/a.zip": b"2", "three/a.zip": b"3"})
    (here.folder / "example.zip").symlink_to("two/a.zip")
    (here.folder / "one").symlink_to("two")
    here.commit()
    here.commit()
    assert new(check(scangate, here, *way)) == []
    (here.folder / "example.zip").unlink()
    (here.folder / "example.zip").symlink_to("three/a.zip")
    here.commit()
    assert new(check(scangate, here, *way)) == ["example.zip"]
    here.commit({"two/a.zip": b"other"})
    assert new(check(scangate, here, *way)) == ["a.zip"]


@pytest.mark.parametrize("link", ["wheels", "up/wheels", "up"])
def test_a_folder_that_becomes_a_link_has_what_the_link_leads_to(
    scangate: Scangate, here: Repository, link: str, way: Sequence[str]
) -> None:
    here.commit({"requirements.txt": "-f wheels\n-f up/wheels\nexample==1.0\n", "up/more": "", "wheels/x.whl": b"good"})
    here.commit({"other/x.whl": b"good", "other/wheels/x.whl": b"evil", "other/y.whl": b"evil"})
    assert new(check(scangate, here, *way)) == []
    here.git("rm", "-qr", "--ignore-unmatch", link)
    (here.folder / link).parent.mkdir(exist_ok=True)
    (here.folder / link).symlink_to("../other" if "/" in link else "other")
    here.commit()
    assert new(check(scangate, here, *way)) == ["example"]
    here.commit()
    assert new(check(scangate, here, *way)) == []
    here.commit({"other/wheels/y.whl": b"evil", "other/x.whl": b"evil"})
    assert new(check(scangate, here, *way)) == ["example"]


def test_a_folder_with_an_archive_s_name_is_compared_file_by_file(
    scangate: Scangate, here: Repository, way: Sequence[str]
) -> None:
    egg = {"wheels/x.egg/setup.py": "1", "wheels/x.egg/a/b.py": "1"}
    here.commit({"requirements.txt": f"{LINKS}example\n./x.zip\n", "x.zip/setup.py": "1", **egg})
    here.commit({"README": "more"})
    assert new(check(scangate, here, *way)) == []
    here.commit({"wheels/x.egg/a/b.py": "2"})
    assert new(check(scangate, here, *way)) == ["example"]
    here.commit({"x.zip/setup.py": "2"})
    assert new(check(scangate, here, *way)) == ["x.zip"]


def test_on_disk_counts_what_git_ignores_and_what_is_no_file(scangate: Scangate, here: Repository) -> None:
    here.commit({"requirements.txt": f"{LINKS}example==1.0\n", ".gitignore": "wheels\n"})
    here.commit()
    assert new(check(scangate, here)) == []
    here.write({WHEEL: b"new"})
    assert new(check(scangate, here)) == ["example"]
    assert new(check(scangate, here, "--staged")) == []
    (here.folder / WHEEL).unlink()
    assert new(check(scangate, here)) == []
    here.write({"wheels/example-1.0.tar.gz/setup.py": "evil"})  # pip builds what is in it
    assert new(check(scangate, here)) == ["example"]


def test_a_folder_behind_a_link_with_an_archive_s_name_counts_as_changed(
    scangate: Scangate, here: Repository, way: Sequence[str]
) -> None:
    here.commit({"requirements.txt": f"{LINKS}example\n", "wheels/.keep": "", "folder/setup.py": "1"})
    (here.folder / "wheels" / "x.egg").symlink_to("../folder")
    here.commit()
    here.commit({"folder/setup.py": "2"})
    assert new(check(scangate, here, *way)) == ["example"]


def test_an_archive_in_git_lfs_is_what_its_pointer_says(scangate: Scangate, here: Repository) -> None:
    digest = hashlib.sha256(b"good").hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 4\n"
    here.commit({"requirements.txt": f"{LINKS}example==1.0\n", WHEEL: pointer})
    here.commit()
    assert new(check(scangate, here)) == []  # not fetched
    here.write({WHEEL: b"good"})
    assert new(check(scangate, here)) == []
    here.write({WHEEL: b"evil"})
    assert new(check(scangate, here)) == ["example"]
    here.commit({WHEEL: pointer.replace(digest, "a" * 64)})
    here.write({WHEEL: b"good"})
    for options in (("--staged",), ("--pushed",)):
        assert new(check(scangate, here, *options)) == ["example"]


def test_what_is_outside_of_the_repository_is_not_compared(scangate: Scangate, here: Repository) -> None:
    outside = here.folder.parent / "example.zip"
    text = f"../example.zip\nx @ file://{outside}\n-f {outside.parent}\ny==1\n"
    here.commit({"requirements.txt": text, "other.zip": b"old"})
    here.commit()
    outside.write_bytes(b"new")
    assert new(check(scangate, here)) == []


ELSEWHERE: list[tuple[str, Files, str]] = [
    (
        "copied to /app",
        {"requirements.txt": "x @ file:///app/wheels/x-1-py3-none-any.whl\n"},
        "wheels/x-1-py3-none-any.whl",
    ),
    (
        "a folder copied to /app",
        {"requirements.txt": "--no-index -f /app/wheels\nx==1\n"},
        "wheels/x-1-py3-none-any.whl",
    ),
    (
        "a folder copied by another name",
        {"requirements.txt": "-f lib\n-f /app/wheels\nx\n", "lib/.keep": ""},
        "d/x-1-py3-none-any.whl",
    ),
    ("npm, copied to /app", {"package-lock.json": npm("file:/app/pkgs/x.tgz")}, "pkgs/x.tgz"),
    (
        "pip is run beside",
        {"reqs/requirements.txt": "./wheels/x-1-py3-none-any.whl\n"},
        "build/wheels/x-1-py3-none-any.whl",
    ),
    ("pip looks beside", {"reqs/requirements.txt": "-f wheels\nx==1\n"}, "build/wheels/x-1-py3-none-any.whl"),
    (
        "out and in again, with another name",
        {"requirements.txt": "./../project/shared/x-1-py3-none-any.whl\n"},
        "shared/x-1-py3-none-any.whl",
    ),
]


@pytest.mark.parametrize(("files", "archive"), [row[1:] for row in ELSEWHERE], ids=[row[0] for row in ELSEWHERE])
def test_a_path_that_leads_to_nothing_here_may_lead_to_any_archive_where_it_is_installed(
    scangate: Scangate, here: Repository, files: Files, archive: str, way: Sequence[str]
) -> None:
    here.commit({**files, archive: b"good"})
    here.commit({"README": "more"})
    assert new(check(scangate, here, *way)) == []
    here.commit({archive: b"evil"})
    assert labels(check(scangate, here, *way)) == ["digests"]


def test_an_archive_that_a_sparse_checkout_leaves_out_is_the_index_s(scangate: Scangate, here: Repository) -> None:
    here.commit({"app/requirements.txt": "-f ../wheels\nexample==1.0\n./x.zip\n", "app/x.zip": b"", WHEEL: b"old"})
    here.commit()
    here.git("sparse-checkout", "set", "app")
    assert not (here.folder / WHEEL).exists()
    assert new(check(scangate, here)) == []
    here.git("sparse-checkout", "disable")
    here.commit({WHEEL: b"new"})
    here.git("sparse-checkout", "set", "app")
    assert new(check(scangate, here)) == ["example"]


# -------------------------------------------------------------------------------------------------- submodules


@pytest.mark.parametrize("line", ["./sub/example-1.0-py3-none-any.whl", "--find-links sub\nexample==1.0"])
def test_an_archive_in_a_submodule_that_moved_is_new_or_the_submodule_is_named(
    scangate: Scangate, here: Repository, line: str
) -> None:
    name = "example-1.0-py3-none-any.whl"
    library = Repository.new(here.folder.parent / "library")
    library.commit({name: b"good", "other.txt": "old"})
    here.git("submodule", "--quiet", "add", f"file://{library.folder}", "sub")
    here.commit({"requirements.txt": f"{line}\n"})
    inside = Repository(here.folder / "sub")

    def move(files: Files) -> None:
        library.commit(files)
        inside.git("pull", "-q")
        here.commit()

    move({"other.txt": "new"})  # nothing that is installed
    result = check(scangate, here)
    assert (new(result), result.json["notices"]) == ([], [])
    move({name: b"evil"})
    assert new(check(scangate, here)) == ["example"]
    here.commit()
    assert new(check(scangate, here)) == []
    inside.write({name: b"not committed"})
    assert new(check(scangate, here)) == ["example"]
    inside.git("checkout", "-q", "--", ".")
    for options in (("--staged", "--base", "HEAD~2"), ("--pushed", "--base", "HEAD~2")):
        result = check(scangate, here, *options)
        assert [notice["code"] for notice in result.json["notices"]] == ["submodule-changed"]
    clone = here.clone(here.folder.parent / "clone")  # without its submodules
    result = check(scangate, clone, "--base", "HEAD~2")
    assert [notice["code"] for notice in result.json["notices"]] == ["submodule-changed"]
