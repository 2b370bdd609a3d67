"""What GitHub says of the event that started a run: a file whose texts are partly those of whoever caused it."""

import os
import stat
from collections.abc import Mapping
from typing import NamedTuple

from scangate.changes.history import is_id
from scangate.errors import BaseError

MAX_EVENT_BYTES = 32 * 1024 * 1024
"""GitHub itself caps a payload at 25 MB."""

MAX_REF_CHARACTERS = 1024

_HINT = "Name the base with --base REF, or check everything with --all."


class Event(NamedTuple):
    """A payload, and how to take values out of it. Every value is checked for being what it should be."""

    payload: Mapping[str, object]

    def commit(self, *keys: str) -> str:
        """The commit id at the path. Raises BaseError where there is none."""
        value = self._value(keys)
        if not isinstance(value, str) or not is_id(value):
            raise BaseError(f"The event says no commit id at {'.'.join(keys)}.", _HINT)
        return value

    def ref(self, *keys: str) -> str | None:
        """The name of a ref at the path; None where there is none."""
        value = self._value(keys)
        return value if isinstance(value, str) and 0 < len(value) <= MAX_REF_CHARACTERS else None

    def number(self, *keys: str) -> int | None:
        """The number of an issue or a pull request at the path; None where there is none."""
        value = self._value(keys)
        return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31 else None

    def flag(self, *keys: str) -> bool:
        return self._value(keys) is True

    def _value(self, keys: tuple[str, ...]) -> object:
        value: object = self.payload
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value


def read(path: str) -> Event:
    """Read the payload at the path that GITHUB_EVENT_PATH names. Raises BaseError where it cannot be used."""
    try:
        # A FIFO of that name must not make the run wait.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _unusable("it is not an ordinary file")
            content = file.read(MAX_EVENT_BYTES + 1)
    except (OSError, ValueError) as exc:
        raise _unusable(f"it cannot be read: {getattr(exc, 'strerror', None) or exc}") from exc
    return parse(content)


def parse(content: bytes) -> Event:
    """Raises BaseError where it is no JSON object, or too large."""
    import json  # most runs have no event

    if len(content) > MAX_EVENT_BYTES:
        raise _unusable(f"it is larger than {MAX_EVENT_BYTES // 2**20} MiB")
    try:
        payload = json.loads(content)
    except (ValueError, RecursionError) as exc:
        raise _unusable("it is not JSON") from exc
    if not isinstance(payload, dict):
        raise _unusable("it is not a JSON object")
    return Event(payload)


def _unusable(problem: str) -> BaseError:
    return BaseError(f"The event's payload (GITHUB_EVENT_PATH) cannot be used: {problem}.", _HINT)
