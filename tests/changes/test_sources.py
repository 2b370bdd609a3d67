"""Other content behind the same text: what a query, an index's path or a starred URL leads to is compared exactly."""

import pytest

from scangate.models.changes import ChangeKind
from scangate.registries import PrivateRegistry, Registries
from scangate.urls import exact, source_id, without_credentials
from tests.changes.sides import Files, against, filled, kinds, new_facts, npm, pip
from tests.lockfiles.npm_support import DIGEST, url

H = "0123456789abcdef" * 4
GIT_LINE = "-e git+https://git.example/r?repo={}@" + "a" * 40 + "#egg=foo\n"
DECLARED = Registries(
    mirrors=frozenset({"mirror.example"}),
    private=(PrivateRegistry(host="one.example"), PrivateRegistry(host="two.example")),
)


def poetry(source: str, files: str = "[]", project: str = "") -> Files:
    lock = f"""[[package]]
name = "foo"
version = "1.0"
files = {files}

[package.source]
{source}

[metadata]
lock-version = "2.0"
"""
    return {"poetry.lock": lock, "pyproject.toml": f'[tool.poetry.dependencies]\nfoo = "1.0"\n{project}'}


POETRY_INDEX = '[[tool.poetry.source]]\nname = "ours"\nurl = "https://one.example/{}/simple"\n'
LEGACY = 'type = "legacy"\nurl = "https://one.example/simple"\nreference = "ours"'
HIDDEN = [
    pytest.param(pip("foo @ https://host.example/archive.tar.gz?sha={}\n"), id="query"),
    pytest.param(npm("https://host.example/get.tgz;v={}"), id="parameters"),
    pytest.param(pip("foo @ https://u:a/b@{}.example/foo-1.0.tar.gz\n"), id="starred host"),
    pytest.param(pip(GIT_LINE), id="git query"),
    pytest.param(pip("foo @ git+ssh://{}@git.example/~/r@" + "a" * 40 + "\n"), id="home of an SSH user"),
    pytest.param(pip("--index-url https://index.example/{}/simple\nfoo==1\n"), id="index"),
    pytest.param(pip("--index-url https://index.example/{}/simple\nfoo>=1\n"), id="index, unpinned"),
    pytest.param(pip("--extra-index-url https://index.example/{}/simple\nfoo==1\n"), id="extra index"),
    pytest.param(pip("--find-links https://links.example/{}\nfoo==1\n"), id="page of links"),
    pytest.param(pip("--find-links {}\nfoo==1\n"), id="folder of links"),
    pytest.param(pip("--index-url https://mirror.example/{}/simple\nfoo==1\n"), id="path on a mirror"),
    pytest.param(pip("--index-url https://{}.example/simple\nfoo==1\n"), id="one private host or another"),
    pytest.param(npm("https://host.example/get.tgz?id={}"), id="npm query"),
    pytest.param(npm("git+https://git.example/r?repo={}#" + "a" * 40), id="npm git query"),
    pytest.param(npm("git+https://git.example/r?repo={}#" + "a" * 40, integrity=DIGEST), id="npm git with a digest"),
    pytest.param(npm(None, "@c/x", "@c:registry=https://index.example/{}/\n"), id="npm scope"),
    pytest.param(npm(None, "@c/x", "@c:registry=https://{}.example/\n"), id="npm scope, declared hosts"),
    pytest.param(npm(None, npmrc="registry=https://mirror.example/{}/\n"), id="npm mirror"),
    pytest.param(
        npm(url("left", "1.0.0"), npmrc="registry=https://mirror.example/{}/\n"),
        id="npm mirror in the public one's place",
    ),
    pytest.param(poetry('type = "url"\nurl = "https://host.example/foo-1.0.tar.gz?id={}"'), id="poetry query"),
    pytest.param(
        poetry(
            'type = "git"\nurl = "https://git.example/r.git"\nreference = "main"\n'
            f'resolved_reference = "{"a" * 40}"\nsubdirectory = "{{}}"'
        ),
        id="poetry subdirectory",
    ),
    pytest.param(poetry(LEGACY, project=POETRY_INDEX), id="poetry index of pyproject.toml"),
]


@pytest.mark.parametrize("files", HIDDEN)
def test_another_place_that_no_digest_vouches_for_is_a_change_of_source(files: Files) -> None:
    one, two = filled(files, "one"), filled(files, "two")
    selection = against(one, two, DECLARED)
    assert kinds(selection) == [ChangeKind.SOURCE]
    assert against(one, one, DECLARED).changes == ()
    (entry,) = selection.lockfiles[0].dependencies
    assert selection.changes[0].before is not None
    assert selection.changes[0].before.name == entry.name


HELD = [
    pytest.param(pip(f"foo @ https://host.example/archive.tar.gz?token={{}} --hash=sha256:{H}\n"), id="query"),
    pytest.param(pip(f"foo @ https://host.example/archive.tar.gz?token={{}}#sha256={H}\n"), id="fragment"),
    pytest.param(pip(f"--index-url https://index.example/{{}}/simple\nfoo==1 --hash=sha256:{H}\n"), id="index"),
    pytest.param(npm("https://host.example/get.tgz?token={}", integrity=DIGEST), id="npm query"),
    pytest.param(
        poetry(
            'type = "url"\nurl = "https://host.example/foo-1.0.tar.gz?id={}"',
            f'[{{file = "foo-1.0.tar.gz", hash = "sha256:{H}"}}]',
        ),
        id="poetry query",
    ),
]


@pytest.mark.parametrize("files", HELD)
def test_what_a_digest_holds_may_come_from_elsewhere(files: Files) -> None:
    selection = against(filled(files, "one"), filled(files, "two"))
    assert (selection.changes, new_facts(selection)) == ((), [])


@pytest.mark.parametrize(
    "files",
    [
        pip("foo @ https://user:{}@host.example/foo-1.0.tar.gz\n"),
        pip("foo @ https://{}@host.example/foo-1.0.tar.gz?v=1\n"),
        pip("--index-url https://user:{}@index.example/simple\nfoo==1\n"),
        pip("--extra-index-url https://{}:x@index.example/simple\nfoo==1\n"),
        npm("https://u:{}@host.example/get.tgz?id=1"),
        npm(None, "@c/x", "@c:registry=https://{}@index.example/\n"),
    ],
)
def test_a_user_or_password_is_no_part_of_a_place(files: Files) -> None:
    selection = against(filled(files, "one"), filled(files, "two"))
    assert (selection.changes, new_facts(selection)) == ((), [])


@pytest.mark.parametrize(
    "text",
    ["--index-url https://index.example/simple{}\nfoo==1\n", "--extra-index-url https://a.example/i{}\nfoo==1\n"],
)
def test_a_slash_at_the_end_of_an_index_makes_no_other_place(text: str) -> None:
    selection = against(filled(pip(text), ""), filled(pip(text), "/"))
    assert (selection.changes, new_facts(selection)) == ((), [])


def test_an_md5_holds_nothing_to_another_place() -> None:
    files = pip("foo @ https://host.example/foo.tar.gz?id={}#md5=" + "a" * 32 + "\n")
    assert kinds(against(filled(files, "good"), filled(files, "evil"))) == [ChangeKind.SOURCE]
    both = pip("foo @ https://host.example/foo.tar.gz#{}\n")
    weaker = against(filled(both, f"sha256={H}"), filled(both, "md5=" + "a" * 32))
    assert kinds(weaker) != []


@pytest.mark.parametrize(
    ("files", "facts"),
    [
        (pip("--extra-index-url https://index.example/{}/simple\nfoo==1\n"), ["extra-index", "undeclared-registry"]),
        (pip("--find-links https://links.example/{}\nfoo==1\n"), ["extra-index", "undeclared-registry"]),
        (pip("--index-url https://index.example/{}/simple\nfoo==1\n"), ["undeclared-registry"]),
        (npm(None, "@c/x", "@c:registry=https://index.example/{}/\n"), ["undeclared-registry"]),
    ],
)
def test_another_index_of_the_same_host_is_said_again(files: Files, facts: list[str]) -> None:
    assert new_facts(against(filled(files, "one"), filled(files, "two"))) == facts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://user:pass@host.example/a?b#c", "https://host.example/a?b#c"),
        ("git+https://token@host.example/a", "git+https://host.example/a"),
        ("https://host.example/a@b", "https://host.example/a@b"),
        ("https://host.example?x@y", "https://host.example?x@y"),
        ("https://u:a/b@host.example/x", "https://u:a/b@host.example/x"),
        ("https://one@two@three.example/", "https://two@three.example/"),
        ("https://one.example\\@two.example/", "https://one.example\\@two.example/"),
        ("git+ssh://git@host.example/a", "git+ssh://git@host.example/a"),
        ("git@host.example:a/b", "git@host.example:a/b"),
        ("./a", "./a"),
    ],
)
def test_what_is_exact_in_a_url(text: str, expected: str) -> None:
    assert exact(text) == expected


def test_what_says_it_all_needs_no_id_and_what_has_one_does_not_show_it() -> None:
    assert source_id() is None
    plain = "https://host.example/a.tar.gz#b"
    assert source_id(plain, shown=without_credentials(plain)) is None
    secret = "https://host.example/a.tar.gz?token=s3cr3t"
    found = source_id(secret, shown=without_credentials(secret))
    assert found is not None
    assert "s3cr3t" not in found
    assert source_id("a", "b") not in {source_id("b", "a"), source_id("a,b"), source_id("ab")}
    assert source_id("\ud800") is not None  # JSON has lone surrogates
