"""The one comment on a pull request: found again, edited in place, never anybody else's."""

import hashlib
from enum import Enum

from scangate.forge.github import Author, Comment, GitHub

MAX_CHARACTERS = 65_536
"""Of a comment; GitHub refuses a longer one."""
MAX_DUPLICATES = 10

ACTIONS_LOGIN = "github-actions[bot]"
"""The author of what a workflow posts with its own token."""

_CUT = "\n\nThe rest is too long for a comment: it stands in the job's summary.\n"


class Posted(Enum):
    """What became of the comment."""

    CREATED = "posted"
    EDITED = "updated"
    UNCHANGED = "left as it is"
    NONE = "not posted: there is nothing to say, and there never was"


def post(github: GitHub, number: int, text: str, *, name: str, finding: bool) -> Posted:
    """See to it that the pull request's one comment says `text` (Markdown).

    Without a finding, an earlier comment is edited and none is created. `name` tells the comments of several
    projects in one repository apart. Raises as GitHub does.
    """
    body = _body(text, marker(name))
    own = _own(github, number, marker(name))
    if not own:
        if not finding:
            return Posted.NONE
        github.create(number, body)
        return Posted.CREATED
    first, *duplicates = own
    changed = _plain(first.body) != _plain(body)
    if changed:
        github.edit(first, body)
    # Two runs at the same time may each have posted one.
    for comment in duplicates[:MAX_DUPLICATES]:
        github.delete(comment)
    return Posted.EDITED if changed else Posted.UNCHANGED


def marker(name: str) -> str:
    """The first line of the comment, which nobody sees. A digest, so that no name can end it."""
    return f"<!-- scangate comment {hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:16]} -->"


def _own(github: GitHub, number: int, line: str) -> list[Comment]:
    """The comments that begin with the marker and are by whom the token stands for.

    Anybody can copy a marker that they see in another comment's source, and a bot may quote them: so the marker alone
    proves nothing, and only counts as the very first line.
    """
    marked = [comment for comment in github.comments(number) if _plain(comment.body).partition("\n")[0] == line]
    if not marked:
        return []
    viewer = github.viewer()
    return [comment for comment in marked if comment.author is not None and _is_by(comment.author, viewer)]


def _is_by(author: Author, viewer: Author | None) -> bool:
    if viewer is None:
        return author.is_bot and author.login == ACTIONS_LOGIN
    if viewer.id is not None and author.id is not None:
        return viewer.id == author.id
    return viewer.login == author.login


def _body(text: str, line: str) -> str:
    body = f"{line}\n{text}"
    if len(body) <= MAX_CHARACTERS:
        return body
    # Never cut inside of it: a detail that is not closed would swallow the page. What comes first is the verdict.
    verdict = "\n\n".join(text.split("\n\n", 2)[:2])
    return f"{line}\n{verdict[: MAX_CHARACTERS // 2]}{_CUT}"


def _plain(body: str) -> str:
    return body.replace("\r\n", "\n").strip()
