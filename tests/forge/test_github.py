"""The client of GitHub's API: bounded in time whatever the server does."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from scangate.forge.github import GitHub
from scangate.forge.settings import DEFAULT_API_URL, ForgeSettings
from scangate.web.errors import Refused, Unreachable
from scangate.web.settings import Timeouts
from tests.forge.fake import ACTIONS, REPOSITORY, TOKEN, FakeGitHub
from tests.service.fakes.raw import json_response


@pytest.fixture
def fake() -> Iterator[FakeGitHub]:
    with FakeGitHub() as server:
        yield server


def test_all_calls_together_have_one_time_limit(fake: FakeGitHub) -> None:
    for number in range(500):
        fake.add(f"comment {number}", ACTIONS)
    seconds = count()
    client = GitHub(ForgeSettings.from_environ(fake.environ), clock=lambda: float(next(seconds)))
    with client as github, pytest.raises(Unreachable, match=r"did not finish|used up"):
        list(github.comments(7))
    assert 0 < len(fake.asked) < 5


def test_a_server_that_trickles_is_given_up(fake: FakeGitHub) -> None:
    def trickle(_: object) -> Any:
        yield b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n["
        while not fake.stopped.wait(0.01):
            yield b" "

    fake.answers["GET"] = trickle
    timeouts = Timeouts(connect=5, read=5, call=0.3)
    client = GitHub(ForgeSettings.from_environ(fake.environ), timeouts=timeouts)
    with client as github, pytest.raises(Unreachable, match="did not finish within"):
        list(github.comments(7))


@pytest.mark.parametrize(
    "answer",
    [[], {"data": None}, {"data": {"viewer": None}}, {"data": {"viewer": {"login": 1}}}, {"errors": []}, "x"],
)
def test_a_viewer_that_is_not_told(fake: FakeGitHub, answer: object) -> None:
    fake.answers["POST /graphql"] = json_response(200, answer)
    with GitHub(ForgeSettings.from_environ(fake.environ)) as github:
        assert github.viewer() is None


def test_a_name_that_leads_elsewhere_than_to_loopback_gets_no_token(fake: FakeGitHub) -> None:
    settings = ForgeSettings.from_environ({**fake.environ, "GITHUB_API_URL": "http://localhost"})

    def resolve(*_: object, **__: object) -> list[tuple[Any, ...]]:
        return [(2, 1, 6, "", ("203.0.113.7", 80))]

    with GitHub(settings, resolve=resolve) as github, pytest.raises(Refused, match="not allowed"):
        list(github.comments(7))


def test_the_token_is_never_shown() -> None:
    settings = ForgeSettings.from_environ({"GITHUB_TOKEN": f"{TOKEN}\n", "GITHUB_REPOSITORY": REPOSITORY})
    assert TOKEN not in repr(settings)
    assert settings.api.url == DEFAULT_API_URL
