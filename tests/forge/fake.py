"""A small GitHub over real HTTP on loopback: comments of pull requests, pages of them, and whose a token is."""

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.service.fakes.raw import RawServer, Received, json_response, response

TOKEN = "ghs_0123456789abcdefghijklmnopqrstuvwxyz"
REPOSITORY = "acme/shop"

ACTIONS = {"login": "github-actions[bot]", "id": 41898282, "type": "Bot"}
OTHER_APP = {"login": "acme-bot[bot]", "id": 555, "type": "Bot"}
PERSON = {"login": "mallory", "id": 666, "type": "User"}

_COMMENTS = re.compile(rf"(?P<prefix>/api/v3)?/repos/{REPOSITORY}/issues/(?P<number>\d+)/comments")
_COMMENT = re.compile(rf"(?P<prefix>/api/v3)?/repos/{REPOSITORY}/issues/comments/(?P<id>\d+)")

Answer = bytes | Callable[[Received], Any]


@dataclass
class FakeGitHub:
    """`comments`: of each pull request by number. `answers`: what "METHOD" or "METHOD path" gets instead.

    `viewer` None: GraphQL is closed to the token. `most`: the largest page that the server gives.
    """

    viewer: dict[str, Any] | None = field(default_factory=lambda: ACTIONS)
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    most: int = 100

    def __post_init__(self) -> None:
        self._server = RawServer(self._answer)
        self._last = 1000

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.__exit__(*exc)

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def stopped(self) -> threading.Event:
        return self._server.stopped

    @property
    def environ(self) -> dict[str, str]:
        return {"GITHUB_API_URL": self.url, "GITHUB_TOKEN": TOKEN, "GITHUB_REPOSITORY": REPOSITORY}

    @property
    def asked(self) -> list[str]:
        """ "METHOD path" of every request, without queries."""
        return [f"{each.method} {urlsplit(each.target).path}" for each in self._server.received]

    def bodies(self, number: int = 7) -> list[str]:
        return [comment["body"] for comment in self.comments.get(number, [])]

    def add(self, body: str, user: dict[str, Any] | None, number: int = 7) -> int:
        self._last += 1
        self.comments.setdefault(number, []).append({"id": self._last, "body": body, "user": user})
        return self._last

    def _answer(self, received: Received) -> Any:
        path = urlsplit(received.target).path
        for key in (f"{received.method} {path}", received.method):
            if (special := self.answers.get(key)) is not None:
                return special if isinstance(special, bytes) else special(received)
        if received.headers.get("authorization") != f"Bearer {TOKEN}":
            return json_response(401, {"message": "Bad credentials"})
        if path in ("/graphql", "/api/graphql"):
            return self._graphql()
        if found := _COMMENTS.fullmatch(path):
            return self._of_pull_request(received, int(found["number"]))
        if found := _COMMENT.fullmatch(path):
            return self._of_comment(received, int(found["id"]))
        return json_response(404, {"message": "Not Found"})

    def _graphql(self) -> bytes:
        if self.viewer is None:
            return json_response(403, {"message": "Resource not accessible by integration"})
        viewer = {"login": self.viewer["login"], "databaseId": self.viewer["id"]}
        return json_response(200, {"data": {"viewer": viewer}})

    def _of_pull_request(self, received: Received, number: int) -> bytes:
        if received.method == "POST":
            body = json.loads(received.body)["body"]
            if len(body) > 65_536:
                return json_response(422, {"message": "Validation Failed"})
            return json_response(201, {"id": self.add(body, self.viewer or ACTIONS, number)})
        query = {name: int(values[0]) for name, values in parse_qs(urlsplit(received.target).query).items()}
        size = min(query["per_page"], self.most)
        first, all_ = (query["page"] - 1) * size, self.comments.get(number, [])
        more = {"Link": f'<{self.url}/elsewhere?page=9>; rel="next"'} if first + size < len(all_) else {}
        return json_response(200, all_[first : first + size], more)

    def _of_comment(self, received: Received, id_: int) -> bytes:
        for comments in self.comments.values():
            for comment in comments:
                if comment["id"] == id_:
                    if received.method == "DELETE":
                        comments.remove(comment)
                        return response(204)
                    comment["body"] = json.loads(received.body)["body"]
                    return json_response(200, comment)
        return json_response(404, {"message": "Not Found"})
