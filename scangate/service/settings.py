"""Where the analysis service is, and the key for it: from the environment, never from arguments or scangate.yml."""

from collections.abc import Mapping
from typing import NamedTuple, Self

from scangate.errors import UsageError
from scangate.files import Unreadable, read_bounded
from scangate.web.addresses import Endpoint
from scangate.web.settings import MAX_SECRET_CHARACTERS, Secret, read_api, read_secret

DEFAULT_API_URL = "https://packguard.dev"
"""The service's public address (the contract's `servers`)."""

URL_VARIABLE = "SCANGATE_API_URL"
KEY_VARIABLE = "SCANGATE_API_KEY"
KEY_FILE_VARIABLE = "SCANGATE_API_KEY_FILE"


class ServiceSettings(NamedTuple):
    """`api`: origin and path prefix (without a trailing slash). `key` None: nothing can be submitted.

    `warnings`: sentences for the user about settings that work and should be mended.
    """

    api: Endpoint
    key: Secret | None = None
    warnings: tuple[str, ...] = ()

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read SCANGATE_API_URL, SCANGATE_API_KEY and SCANGATE_API_KEY_FILE. Raises UsageError."""
        # Empty counts as unset: CI systems hand a secret that a fork may not see as an empty variable.
        api = read_api(environ.get(URL_VARIABLE) or DEFAULT_API_URL, URL_VARIABLE)
        key, path = environ.get(KEY_VARIABLE) or None, environ.get(KEY_FILE_VARIABLE) or None
        if key is not None and path is not None:
            raise UsageError(
                f"{KEY_VARIABLE} and {KEY_FILE_VARIABLE} are both set.", "Unset one: which key counts must be plain."
            )
        if key is not None:
            return cls(api=api, key=read_secret(key, KEY_VARIABLE))
        if path is not None:
            text, warnings = _read_key_file(path)
            return cls(api=api, key=read_secret(text, f"{KEY_FILE_VARIABLE} ({path})"), warnings=warnings)
        return cls(api=api)


def _read_key_file(path: str) -> tuple[str, tuple[str, ...]]:
    """The file's text, and warnings. Others being able to read it is no error: containers mount secrets that way."""
    try:
        content = read_bounded(path, 4 * MAX_SECRET_CHARACTERS, may_be_pipe=True)
    except Unreadable as exc:
        raise UsageError(
            f"{KEY_FILE_VARIABLE} ({path}) {exc.reason}.", "Name a file that holds the key alone."
        ) from exc
    warnings: tuple[str, ...] = ()
    if content.is_open_to_all:
        warnings = (f"{KEY_FILE_VARIABLE} ({path}) is open to every user of this machine; chmod 600 closes it.",)
    return content.data.decode("latin-1"), warnings
