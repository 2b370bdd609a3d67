"""Where a server is, the secret for it that no output shows, and how long to wait."""

from typing import NamedTuple, Self

from scangate.errors import UsageError
from scangate.web.addresses import Endpoint, read_url

MAX_SECRET_CHARACTERS = 4096

_KEY_HINT = "Set it to the key alone, as the service shows it."


class Secret:
    """A text that no output shows: `repr`, `str`, formatting and `dataclasses.asdict` give `***`.

    Neither a dataclass nor a tuple on purpose: `asdict` and `json` look into those.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def mask(self, text: str) -> str:
        """`text` without the secret: for what a server says, which may repeat what it was sent."""
        return text.replace(self._text, "***")

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a secret is not written to disk")


class Timeouts(NamedTuple):
    """Seconds. `connect` and `read` are for one step (reaching an address, waiting for the next bytes);
    `call` bounds a whole request to the service, `transfer` the whole download of a report or upload of an archive.
    Only the resolver's own time limit stands outside.
    """

    connect: float = 10
    read: float = 30
    call: float = 60
    transfer: float = 300


def read_api(text: str, variable: str) -> Endpoint:
    """The address of an API, without a trailing slash, as `variable` has it: https, or http to loopback.

    Raises UsageError.
    """
    hint = "Write https://HOST[:PORT][/PREFIX], or http:// with localhost, 127.0.0.1 or [::1]."
    try:
        endpoint = read_url(text.strip())
    except ValueError as exc:
        raise UsageError(f"{variable} {exc}.", hint) from None
    if "?" in endpoint.rest:
        raise UsageError(f"{variable} has a query.", hint)
    if endpoint.scheme != "https" and not endpoint.is_loopback:
        raise UsageError(
            f"{variable} is http:// to another machine: the key would travel in the clear.",
            "Use https://; http:// is for localhost, 127.0.0.1 and [::1] only.",
        )
    return endpoint._replace(rest=endpoint.rest.rstrip("/"))


def read_secret(text: str, where: str) -> Secret:
    """A key or token, as `where` (a variable) has it. Raises UsageError, whose text does not show it."""
    key = text.strip()
    if not key:
        raise UsageError(f"{where} is empty.", "Set it to the key, or unset it to run without one.")
    if len(key) > MAX_SECRET_CHARACTERS:
        raise UsageError(f"{where} is longer than {MAX_SECRET_CHARACTERS} characters.", _KEY_HINT)
    if not all("!" <= character <= "~" for character in key):
        raise UsageError(f"{where} holds a space, a line break or a character outside ASCII.", _KEY_HINT)
    return Secret(key)
