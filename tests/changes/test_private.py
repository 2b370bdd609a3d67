"""A base that has to be fetched from a private repository, with a token that nothing but the fetch gets."""

import os
from pathlib import Path

import pytest

from scangate.changes.base import find_base
from scangate.changes.git import Git
from scangate.changes.history import credentials
from scangate.errors import BaseError
from tests.changes.ci_fixtures.private import serve
from tests.changes.ci_fixtures.repos import Repository, event

TOKEN = "ghs_token"


@pytest.fixture
def clone(tmp_path: Path) -> Repository:
    """A checkout of depth 1 of a push; `before` is missing. What the remote is, the test says."""
    remote = Repository.new(tmp_path / "served" / "repository")
    remote.git("config", "uploadpack.allowAnySHA1InWant", "true")
    remote.commit({"a": "1"})
    remote.commit({"a": "2"})
    return remote.clone(tmp_path / "clone", "--depth=1")


def environ(tmp_path: Path, before: str, server: str, token: str) -> dict[str, str]:
    own = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "push", "GITHUB_SERVER_URL": server}
    payload = {"before": before, "ref": "refs/heads/main", "repository": {"default_branch": "main"}}
    return {**os.environ, **own, "SCANGATE_GIT_TOKEN": token, "GITHUB_EVENT_PATH": event(tmp_path, payload)}


def before(tmp_path: Path) -> str:
    return Repository(tmp_path / "served" / "repository").parse("HEAD^")


def test_the_token_fetches_the_base_although_the_checkout_left_another(clone: Repository, tmp_path: Path) -> None:
    with serve(tmp_path / "served", TOKEN) as server:
        clone.git("remote", "set-url", "origin", f"{server.url}/repository/.git")
        # As actions/checkout leaves it with persist-credentials.
        clone.git("config", f"http.{server.url}/.extraheader", "AUTHORIZATION: basic c3RhbGU=")
        world = environ(tmp_path, before(tmp_path), server.url, TOKEN)
        found = find_base(world, Git(clone.folder, world))
    assert found.commit == before(tmp_path)
    assert server.seen
    assert all(len(given) == 1 for given in server.seen)
    assert TOKEN not in (clone.folder / ".git" / "config").read_text()


@pytest.mark.parametrize("token", ["", "wrong"])
def test_without_the_right_token_the_base_is_missing_and_that_is_said(
    clone: Repository, tmp_path: Path, token: str
) -> None:
    with serve(tmp_path / "served", TOKEN) as server:
        clone.git("remote", "set-url", "origin", f"{server.url}/repository/.git")
        world = environ(tmp_path, before(tmp_path), server.url, token)
        with pytest.raises(BaseError, match="cannot be fetched") as caught:
            find_base(world, Git(clone.folder, world))
    assert "wrong" not in caught.value.message


def test_another_server_than_github_s_does_not_get_it(clone: Repository, tmp_path: Path) -> None:
    with serve(tmp_path / "served", TOKEN) as server:
        clone.git("remote", "set-url", "origin", f"{server.url}/repository/.git")
        world = environ(tmp_path, before(tmp_path), "https://github.example", TOKEN)
        with pytest.raises(BaseError):
            find_base(world, Git(clone.folder, world))
    assert server.seen
    assert not any(server.seen)


@pytest.mark.parametrize(
    "server", ["", "http://github.example", "https://github.example/x", "https://a b", "ext::sh", "https://a\n"]
)
def test_no_header_is_made_for_what_is_no_server(server: str) -> None:
    assert credentials({"SCANGATE_GIT_TOKEN": TOKEN, "GITHUB_SERVER_URL": server}) == ()


def test_git_gets_neither_the_token_nor_the_key_in_its_environment(clone: Repository, tmp_path: Path) -> None:
    world = {**os.environ, "SCANGATE_GIT_TOKEN": TOKEN, "SCANGATE_API_KEY": "k"}
    said = Git(clone.folder, world).run("-c", "alias.show-env=!env", "show-env").decode()
    assert "PATH=" in said
    assert "SCANGATE_" not in said
