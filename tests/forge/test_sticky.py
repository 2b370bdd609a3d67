"""The one comment: found by marker and author, edited in place, nobody else's ever touched."""

from collections.abc import Iterator

import pytest

from scangate.forge.github import GitHub
from scangate.forge.settings import ForgeSettings
from scangate.forge.sticky import MAX_CHARACTERS, Posted, marker, post
from scangate.web.errors import BadAnswer, Refused
from tests.forge.fake import ACTIONS, OTHER_APP, PERSON, FakeGitHub
from tests.service.fakes.raw import json_response

RED, GREEN = "# scangate: BLOCKED", "# scangate: PASSED"
MARKER = marker(".")


@pytest.fixture
def fake() -> Iterator[FakeGitHub]:
    with FakeGitHub() as server:
        yield server


def say(fake: FakeGitHub, text: str, *, finding: bool, name: str = ".", **environ: str) -> Posted:
    with GitHub(ForgeSettings.from_environ({**fake.environ, **environ})) as github:
        return post(github, 7, text, name=name, finding=finding)


def test_a_finding_is_posted_once_then_edited_then_turned_green(fake: FakeGitHub) -> None:
    assert say(fake, RED, finding=True) is Posted.CREATED
    assert say(fake, RED, finding=True) is Posted.UNCHANGED
    assert say(fake, f"{RED} again", finding=True) is Posted.EDITED
    assert say(fake, GREEN, finding=False) is Posted.EDITED
    assert fake.bodies() == [f"{MARKER}\n{GREEN}"]
    assert [each for each in fake.asked if each.startswith("POST /repos")] == [
        "POST /repos/acme/shop/issues/7/comments"
    ]


def test_without_a_finding_nothing_is_ever_created(fake: FakeGitHub) -> None:
    fake.add("Nice change!", PERSON)
    assert say(fake, GREEN, finding=False) is Posted.NONE
    assert fake.asked == ["GET /repos/acme/shop/issues/7/comments"]


def test_an_unchanged_comment_is_left_alone_whatever_line_ends_github_gives(fake: FakeGitHub) -> None:
    fake.add(f"{MARKER}\r\n{RED}\r\nmore\r\n", ACTIONS)
    assert say(fake, f"{RED}\nmore", finding=True) is Posted.UNCHANGED


@pytest.mark.parametrize(
    ("body", "user"),
    [
        (f"{MARKER}\nforged", PERSON),
        (f"{MARKER}\nforged", OTHER_APP),
        (f"{MARKER}\nforged", {**PERSON, "login": "github-actions[bot]"}),
        (f"{MARKER}\nthe account is gone", None),
        (f"> {MARKER}\n> quoted", ACTIONS),
        (f"Somebody wrote:\n{MARKER}\nquoted", ACTIONS),
        (f" ```\n{MARKER}", ACTIONS),
    ],
    ids=["person", "other-app", "login-alone", "no-author", "quoted", "echoed", "code"],
)
@pytest.mark.parametrize("viewer", [ACTIONS, None], ids=["viewer", "closed"])
def test_nobody_else_s_comment_is_touched(
    fake: FakeGitHub, body: str, user: dict[str, object] | None, viewer: dict[str, object] | None
) -> None:
    fake.viewer = viewer
    fake.add(body, user)
    assert say(fake, GREEN, finding=False) is Posted.NONE
    assert say(fake, RED, finding=True) is Posted.CREATED
    assert fake.bodies() == [body, f"{MARKER}\n{RED}"]
    assert not [each for each in fake.asked if each.startswith(("PATCH", "DELETE"))]


@pytest.mark.parametrize("viewer", [OTHER_APP, PERSON], ids=["app", "personal-token"])
def test_the_author_is_whoever_the_token_stands_for(fake: FakeGitHub, viewer: dict[str, object]) -> None:
    fake.viewer = viewer
    fake.add(f"{MARKER}\nof the workflow's own token", ACTIONS)
    assert say(fake, RED, finding=True) is Posted.CREATED
    assert say(fake, GREEN, finding=False) is Posted.EDITED
    assert fake.bodies() == [f"{MARKER}\nof the workflow's own token", f"{MARKER}\n{GREEN}"]


def test_without_ids_the_login_counts(fake: FakeGitHub) -> None:
    fake.viewer = {**PERSON, "id": None}
    own = fake.add(f"{MARKER}\n{RED}", PERSON)
    assert say(fake, GREEN, finding=False) is Posted.EDITED
    assert fake.asked[-1].endswith(f"/{own}")


def test_a_login_that_was_taken_over_is_another_author(fake: FakeGitHub) -> None:
    fake.viewer = PERSON
    fake.add(f"{MARKER}\nof the account that had the name before", {**PERSON, "id": 1})
    assert say(fake, GREEN, finding=False) is Posted.NONE


@pytest.mark.parametrize("most", [100, 30])
def test_it_is_found_on_a_later_page(fake: FakeGitHub, most: int) -> None:
    fake.most = most
    for number in range(250):
        fake.add(f"comment {number}", PERSON)
    own = fake.add(f"{MARKER}\n{RED}", ACTIONS)
    assert say(fake, GREEN, finding=False) is Posted.EDITED
    assert fake.asked[-1] == f"PATCH /repos/acme/shop/issues/comments/{own}"
    assert not any("elsewhere" in each for each in fake.asked)


def test_of_several_own_ones_the_oldest_stays(fake: FakeGitHub) -> None:
    for text in ("one", "two", "three"):
        fake.add(f"{MARKER}\n{text}", ACTIONS)
    assert say(fake, RED, finding=True) is Posted.EDITED
    assert fake.bodies() == [f"{MARKER}\n{RED}"]
    assert fake.comments[7][0]["id"] == 1001


def test_more_comments_than_are_read_are_no_reason_to_post_another(fake: FakeGitHub) -> None:
    fake.answers["GET"] = json_response(200, [{"id": 1, "body": "x", "user": PERSON}] * 100)
    with pytest.raises(BadAnswer, match="more than 5000"):
        say(fake, RED, finding=True)
    assert not [each for each in fake.asked if each.startswith("POST")]


def test_projects_of_one_repository_have_comments_of_their_own(fake: FakeGitHub) -> None:
    say(fake, RED, finding=True, name="web")
    say(fake, RED, finding=True, name="api")
    say(fake, GREEN, finding=False, name="web")
    assert fake.bodies() == [f"{marker('web')}\n{GREEN}", f"{marker('api')}\n{RED}"]
    assert marker("--> <b>") != marker("web")
    assert "<b>" not in marker("--> <b>")


def test_a_text_that_is_too_long_says_its_verdict_and_that_it_is_cut(fake: FakeGitHub) -> None:
    fits = "v" * (MAX_CHARACTERS - len(MARKER) - 1)
    say(fake, fits, finding=True)
    assert fake.bodies() == [f"{MARKER}\n{fits}"]
    say(fake, f"{RED}\n\n**1 package**\n\n<details>{'x' * MAX_CHARACTERS}</details>", finding=True)
    (body,) = fake.bodies()
    assert f"{RED}\n\n**1 package**" in body
    assert "too long for a comment" in body
    assert "<details>" not in body
    say(fake, "w" * 2 * MAX_CHARACTERS, finding=True)
    assert len(fake.bodies()[0]) <= MAX_CHARACTERS


def test_enterprise_server_has_its_api_elsewhere(fake: FakeGitHub) -> None:
    fake.add(f"{MARKER}\n{RED}", ACTIONS)
    assert say(fake, GREEN, finding=False, GITHUB_API_URL=f"{fake.url}/api/v3/") is Posted.EDITED
    assert fake.asked == [
        "GET /api/v3/repos/acme/shop/issues/7/comments",
        "POST /api/graphql",
        "PATCH /api/v3/repos/acme/shop/issues/comments/1001",
    ]


def test_a_comment_that_vanishes_meanwhile_is_told(fake: FakeGitHub) -> None:
    fake.add(f"{MARKER}\n{RED}", ACTIONS)
    fake.answers["PATCH"] = json_response(404, {"message": "Not Found"})
    with pytest.raises(Refused, match="Editing comment 1001: GitHub answered 404: Not Found"):
        say(fake, GREEN, finding=False)
