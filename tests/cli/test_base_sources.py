"""Changes that look like none, from the command line, on real repositories: exit code 0 would be a silent pass."""

import json
from pathlib import Path

import pytest

from tests.changes.ci_fixtures.repos import Repository
from tests.cli.conftest import Result, Scangate
from tests.lockfiles.npm_support import entry, nested, packages

Files = dict[str, str]

PLACES: list[tuple[str, Files]] = [
    ("query", {"requirements.txt": "foo @ https://host.example/archive.tar.gz?sha={}\n"}),
    ("starred host", {"requirements.txt": "foo @ https://u:a/b@{}.example/foo-1.0.tar.gz\n"}),
    ("index", {"requirements.txt": "--index-url https://index.example/projects/{}/simple\nfoo==1\n"}),
    ("extra index", {"requirements.txt": "--extra-index-url https://index.example/{}/simple\nfoo==1\n"}),
    (
        "npm scope",
        {
            ".npmrc": "@c:registry=https://index.example/{}/\n",
            "package-lock.json": packages({"node_modules/@c/x": {"version": "1.0.0"}}),
        },
    ),
]


@pytest.fixture
def here(tmp_path: Path) -> Repository:
    return Repository.new(tmp_path / "here")


def check(scangate: Scangate, here: Repository, before: Files, after: Files) -> Result:
    here.commit(dict(before))
    here.commit(dict(after))
    return scangate("check", "--base", "HEAD~1", "--format", "json", cwd=here.folder)


def changes(result: Result) -> list[str]:
    return [change["change"] for package in result.json["packages"] for change in package["changes"]]


@pytest.mark.parametrize("files", [files for _, files in PLACES], ids=[name for name, _ in PLACES])
def test_another_place_behind_the_same_text_is_new_and_not_shown(
    scangate: Scangate, here: Repository, files: Files
) -> None:
    good, evil = ({path: text.replace("{}", word) for path, text in files.items()} for word in ("good", "evil"))
    result = check(scangate, here, good, evil)
    assert result.code != 0
    assert changes(result) == ["source"]
    assert {"source_id", "about"}.isdisjoint(_keys(json.loads(result.out)))
    if "?" in files.get("requirements.txt", ""):
        shown = scangate("check", "--base", "HEAD~1", cwd=here.folder).out
        assert "from another place" in shown
        assert "evil" not in shown + result.out


def _keys(value: object) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(_keys, value.values()))
    return set().union(*map(_keys, value)) if isinstance(value, list) else set()


def test_another_line_ending_or_encoding_is_not_new(scangate: Scangate, here: Repository) -> None:
    """git keeps UTF-8 with LF, and .gitattributes has it checked out otherwise."""
    attributes = "*.txt text working-tree-encoding=UTF-16 eol=crlf\n*.json text eol=crlf\n"
    lock = packages({"node_modules/left": entry("left", "1.0.0")})
    here.commit({"requirements.txt": "# naïve\nfoo==1\n", "package-lock.json": lock})
    here.write({".gitattributes": attributes})
    here.git("add", ".gitattributes")
    here.git("commit", "-q", "-m", "Attributes")
    for file in ("requirements.txt", "package-lock.json"):
        (here.folder / file).unlink()
    here.git("checkout", "--", ".")
    assert (here.folder / "requirements.txt").read_bytes().decode("utf-16") == "# naïve\r\nfoo==1\r\n"
    assert b"\r\n" in (here.folder / "package-lock.json").read_bytes()
    result = scangate("check", "--base", "HEAD~1", "--format", "json", cwd=here.folder)
    assert (result.code, result.json["status"], result.json["packages"]) == (0, "passed", [])
    here.write({"requirements.txt": "# naïve\r\nfoo==2\r\n".encode("utf-16")})
    assert changes(scangate("check", "--base", "HEAD", "--format", "json", cwd=here.folder)) == ["upgraded"]


def test_the_same_package_by_npm_6_and_npm_7_is_not_new(scangate: Scangate, here: Repository) -> None:
    source = "git+ssh://git@git.example/left.git#" + "a" * 40
    npm_6 = nested({"left": {"version": source, "from": source}})
    npm_7 = packages({"node_modules/left": {"version": "1.0.0", "resolved": source}})
    result = check(scangate, here, {"package-lock.json": npm_6}, {"package-lock.json": npm_7})
    assert (result.code, result.json["packages"]) == (0, [])
