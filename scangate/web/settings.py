"""Secrets that no output shows, and how long to wait."""

from dataclasses import dataclass
from typing import Self


class Secret:
    """A text that no output shows: `repr`, `str`, formatting and `dataclasses.asdict` give `***`.

    Not a dataclass on purpose: `asdict` and `replace` look into those.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds. `connect` and `read` are for one step (reaching an address, waiting for the next bytes);
    `call` bounds a whole request to the service, `transfer` the whole download of a report or upload of an archive.
    Only the resolver's own time limit stands outside.
    """

    connect: float = 10
    read: float = 30
    call: float = 60
    transfer: float = 300
