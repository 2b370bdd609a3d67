"""What can go wrong with an exchange over HTTP."""

from scangate.errors import ServiceError


class Unreachable(ServiceError):
    """Out of reach, or transient trouble that retries did not mend. `sent`: the request may have been carried out."""

    def __init__(self, message: str, hint: str = "", *, sent: bool = False) -> None:
        super().__init__(message, hint)
        self.sent = sent


class Refused(ServiceError):
    """The server will not do this (400, 404, 405, 413, 422 …): asking again cannot help."""


class BadAnswer(ServiceError):
    """The answer is not in the contract's form (not JSON, wrong types, too large)."""
