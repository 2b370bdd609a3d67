"""Which GitHub, which repository, with which token: from the environment that GitHub Actions sets."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from scangate.errors import UsageError
from scangate.web.addresses import Endpoint
from scangate.web.settings import Secret, Timeouts, read_api, read_secret

DEFAULT_API_URL = "https://api.github.com"

API_VARIABLE = "GITHUB_API_URL"
TOKEN_VARIABLE = "GITHUB_TOKEN"  # noqa: S105 - a variable's name
REPOSITORY_VARIABLE = "GITHUB_REPOSITORY"
EVENT_VARIABLE = "GITHUB_EVENT_PATH"

TIMEOUTS = Timeouts(connect=5, read=10, call=30)
"""`call` is for everything together: a comment is worth half a minute, no more."""

_REPOSITORY = re.compile(r"(?!\.{1,2}/)[A-Za-z0-9_.-]{1,100}/(?!\.{1,2}\Z)[A-Za-z0-9_.-]{1,100}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgeSettings:
    """`api`: without a trailing slash, with the prefix that GitHub Enterprise Server has ("/api/v3")."""

    api: Endpoint
    token: Secret
    repository: str

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Raises UsageError, whose text shows nothing of the token."""
        token = environ.get(TOKEN_VARIABLE)
        if not token:
            raise UsageError(
                f"{TOKEN_VARIABLE} is not set.", "In a workflow: env: {GITHUB_TOKEN: ${{ github.token }}}."
            )
        repository = environ.get(REPOSITORY_VARIABLE) or ""
        if not _REPOSITORY.fullmatch(repository):
            raise UsageError(f"{REPOSITORY_VARIABLE} is not OWNER/NAME.", "GitHub Actions sets it.")
        return cls(
            api=read_api(environ.get(API_VARIABLE) or DEFAULT_API_URL, API_VARIABLE),
            token=read_secret(token, TOKEN_VARIABLE),
            repository=repository,
        )
