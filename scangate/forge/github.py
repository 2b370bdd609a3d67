"""GitHub's REST API, as far as comments need it. One call is one request, without retries.

The token goes to the configured origin alone: every path is built here, and no redirect is followed. Numbers and
texts that come back are data from outside.
"""

import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from scangate.forge.settings import TIMEOUTS, ForgeSettings
from scangate.web.addresses import any_address, is_loopback, read_url
from scangate.web.answers import error_text, json_of
from scangate.web.errors import BadAnswer, Refused, Unreachable

if TYPE_CHECKING:
    from scangate.web.settings import Timeouts
    from scangate.web.transport import HttpAnswer
    from scangate.web.wire import Resolver

MAX_ANSWER_BYTES = 32 * 1024 * 1024
"""A hundred comments of 65,536 characters of four bytes."""
MAX_PAGES = 50

_PAGE = 100
_VERSION = "2022-11-28"
_MAX_ID = 2**63 - 1
_PERMISSION_HINT = "The job needs `permissions: pull-requests: write`; the token of a fork's run never has it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Whose a comment is. `id` is never given to another account; a login may be."""

    id: int | None
    login: str
    is_bot: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """`author` is None where the account is gone."""

    id: int
    body: str
    author: Author | None


class GitHub:
    """Comments of pull requests in one repository. All calls together end within `timeouts.call` seconds.

    Every method raises Unreachable, Refused or BadAnswer.
    """

    def __init__(
        self,
        settings: ForgeSettings,
        *,
        timeouts: "Timeouts" = TIMEOUTS,
        clock: Callable[[], float] = time.monotonic,
        resolve: "Resolver" = socket.getaddrinfo,
    ) -> None:
        from scangate.web.transport import Transport

        self._settings = settings
        self._clock = clock
        self._ends = clock() + timeouts.call
        rule = any_address if settings.api.scheme == "https" else is_loopback
        self._transport: Transport = Transport(rule, timeouts=timeouts, clock=clock, resolve=resolve)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    def comments(self, number: int) -> Iterator[Comment]:
        """All comments of a pull request, the oldest first, page by page. BadAnswer where there are too many."""
        what = f"Reading the comments of pull request {number}"
        for page in range(1, MAX_PAGES + 1):
            query = f"?per_page={_PAGE}&page={page}"
            answer = self._call(what, "GET", f"{self._repository}/issues/{number}/comments{query}")
            found = json_of(answer.body)
            if not isinstance(found, list):
                raise BadAnswer(f"{what}: the answer is no list.", "Is GITHUB_API_URL the API's address?")
            yield from (_comment(what, each) for each in found)
            # The address of the next page is a server's word: that there is one is all that is taken from it.
            if len(found) < _PAGE and 'rel="next"' not in answer.headers.get("Link", ""):
                return
        raise BadAnswer(f"{what}: there are more than {MAX_PAGES * _PAGE}.", "Nothing was posted.")

    def viewer(self) -> Author | None:
        """Whom the token stands for; None where GitHub does not say. GET /user is closed to the tokens of apps."""
        what = "Asking whose the token is"
        query = {"query": "query { viewer { login databaseId } }"}
        try:
            answer = self._call(what, "POST", self._graphql, query)
        except Refused:
            return None
        viewer: object = json_of(answer.body)
        for key in ("data", "viewer"):
            viewer = viewer.get(key) if isinstance(viewer, dict) else None
        if not isinstance(viewer, dict):
            return None
        login = viewer.get("login")
        return Author(id=_id(viewer.get("databaseId")), login=login) if isinstance(login, str) and login else None

    def create(self, number: int, body: str) -> None:
        what = f"Commenting on pull request {number}"
        self._call(what, "POST", f"{self._repository}/issues/{number}/comments", {"body": body})

    def edit(self, comment: Comment, body: str) -> None:
        self._call(f"Editing comment {comment.id}", "PATCH", self._comment_path(comment), {"body": body})

    def delete(self, comment: Comment) -> None:
        self._call(f"Deleting comment {comment.id}", "DELETE", self._comment_path(comment))

    @property
    def _repository(self) -> str:
        return f"{self._settings.api.rest}/repos/{self._settings.repository}"

    @property
    def _graphql(self) -> str:
        # GitHub Enterprise Server has its REST API at /api/v3 and this one at /api/graphql.
        prefix = self._settings.api.rest
        return f"{prefix.removesuffix('/v3')}/graphql"

    def _comment_path(self, comment: Comment) -> str:
        return f"{self._repository}/issues/comments/{comment.id}"

    def _call(self, what: str, method: str, path: str, body: Mapping[str, str] | None = None) -> "HttpAnswer":
        from scangate.web.transport import HttpRequest

        left = self._ends - self._clock()
        if left <= 0:
            raise Unreachable(f"{what}: the time for it is used up.", "Run it again when GitHub answers faster.")
        headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": _VERSION}
        request = HttpRequest(
            what=what,
            method=method,
            target=read_url(self._settings.api.origin + path),
            headers=headers if body is None else {**headers, "Content-Type": "application/json"},
            body=None if body is None else json.dumps(body).encode(),
            key=self._settings.token,
            limit=MAX_ANSWER_BYTES,
            total=left,
        )
        answer = self._transport.exchange(request)
        self._check(what, answer)
        return answer

    def _check(self, what: str, answer: "HttpAnswer") -> None:
        """Raise the error that the status stands for."""
        status = answer.status
        if status in {200, 201, 204}:
            return
        text = error_text(answer.body, self._settings.token.mask)
        said = f"GitHub answered {status}: {text}" if text else f"GitHub answered {status}"
        if 300 <= status < 400:
            raise Refused(f"{what}: {said}, a redirect; none is followed.", "Set GITHUB_API_URL to the final address.")
        if status == 429 or status >= 500:
            raise Unreachable(f"{what}: {said}.", "Run it again later.", sent=True)
        hint = _PERMISSION_HINT if status in {401, 403, 404} else "Asking again cannot help: see the message."
        raise Refused(f"{what}: {said}.", hint)


def _comment(what: str, data: object) -> Comment:
    number = _id(data.get("id")) if isinstance(data, dict) else None
    if not isinstance(data, dict) or number is None:
        raise BadAnswer(f"{what}: an entry is no comment.", "Is GITHUB_API_URL the API's address?")
    body = data.get("body")
    return Comment(id=number, body=body if isinstance(body, str) else "", author=_author(data.get("user")))


def _author(user: object) -> Author | None:
    if not isinstance(user, dict) or not isinstance(login := user.get("login"), str):
        return None
    return Author(id=_id(user.get("id")), login=login, is_bot=user.get("type") == "Bot")


def _id(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MAX_ID else None
