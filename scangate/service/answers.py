"""The service's JSON, read into the contract's shapes. Everything in it is data from outside: types are checked."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from scangate.models.analysis import Engine
from scangate.service.base import Task, TaskPage
from scangate.web.answers import Mask, json_of, one_line
from scangate.web.errors import BadAnswer

MAX_RETRY_AFTER = 24 * 3600.0

_MAX_TASK_ID = 2**63 - 1
_MAX_URL_CHARACTERS = 8192
_MAX_ITEMS = 1000
_ENGINES = frozenset(Engine)
_SECONDS = re.compile(r"[0-9]{1,9}")


class AnswerReader:
    """Reads the answers to one request; `what` starts every message. Every method raises BadAnswer."""

    def __init__(self, what: str, mask: Mask) -> None:
        self._what = what
        self._mask = mask

    def document(self, body: bytes) -> dict[str, Any]:
        """The body as a JSON object."""
        document = json_of(body)
        if not isinstance(document, dict):
            raise self._bad("the answer is no JSON object")
        return document

    def data(self, document: dict[str, Any]) -> dict[str, Any]:
        """What stands in the envelope."""
        data = document.get("data")
        if document.get("success") is not True or not isinstance(data, dict):
            raise self._bad("the answer is no envelope of success and data")
        return data

    def submission(self, document: dict[str, Any]) -> Task:
        """The answer to a submission: the envelope, or the bare LegacyCompleted body.

        `status_url`, `result_url` and `download_url` are left alone: the task is asked for by its id, at the
        configured origin. Without a status (the page's own example has none) the task counts as queued.
        """
        data = document if "task_id" in document and "success" not in document else self.data(document)
        return self.task(data if data.get("status") is not None else {**data, "status": "queued"}, strict=False)

    def task(self, data: dict[str, Any], *, strict: bool = True) -> Task:
        """One task. `strict`: an engine that is unknown is an error, else it is left open (a task of others)."""
        return Task(
            task_id=self._count(data, "task_id", least=1),
            status=one_line(self._string(data, "status"), self._mask, 64).lower(),
            purl=self._purl(data),
            engine=self._engine(data, strict=strict),
            created_at=self._shown(data, "created_at"),
            error_message=self._shown(data, "error_message"),
            report_url=self._optional(data, "report_blob_url", _MAX_URL_CHARACTERS),
        )

    def page(self, data: dict[str, Any]) -> TaskPage:
        items = data.get("items")
        if not isinstance(items, list) or len(items) > _MAX_ITEMS or not all(isinstance(item, dict) for item in items):
            raise self._bad("`items` is not a list of tasks")
        return TaskPage(
            items=tuple(self.task(item, strict=False) for item in items),
            page=self._count(data, "page", least=0),
            page_size=self._count(data, "page_size", least=0),
            total=self._count(data, "total", least=0),
        )

    def upload_target(self, data: dict[str, Any]) -> tuple[str, str]:
        """The signed URL and the gcs_path."""
        return self._string(data, "url", _MAX_URL_CHARACTERS), self._string(data, "gcs_path")

    def _engine(self, data: dict[str, Any], *, strict: bool) -> Engine | None:
        word = self._optional(data, "engine_type")
        if word in _ENGINES:
            return Engine(word)
        if word and strict:
            raise self._bad(f"`engine_type` is unknown: {one_line(word, self._mask, 64)}")
        return None

    def _purl(self, data: dict[str, Any]) -> str | None:
        """As it is: it is compared, and a purl with the key in it is not the one that was asked for."""
        text = self._optional(data, "purl")
        return None if text is None else self._mask(text)

    def _shown(self, data: dict[str, Any], name: str) -> str | None:
        text = self._optional(data, name, 64 * 1024)
        return None if text is None else one_line(text, self._mask)

    def _string(self, data: dict[str, Any], name: str, limit: int = 4096) -> str:
        text = self._optional(data, name, limit)
        if not text:
            raise self._bad(f"`{name}` is missing")
        return text

    def _optional(self, data: dict[str, Any], name: str, limit: int = 4096) -> str | None:
        text = data.get(name)
        if text is not None and not (isinstance(text, str) and len(text) <= limit):
            raise self._bad(f"`{name}` is not a text of at most {limit} characters")
        return text

    def _count(self, data: dict[str, Any], name: str, *, least: int) -> int:
        number = data.get(name)
        if not isinstance(number, int) or isinstance(number, bool) or not least <= number <= _MAX_TASK_ID:
            raise self._bad(f"`{name}` is not a whole number from {least} on")
        return number

    def _bad(self, problem: str) -> BadAnswer:
        return BadAnswer(f"{self._what}: {problem}.", "Check that SCANGATE_API_URL is the analysis service's address.")


def retry_after(value: str | None, now: datetime) -> float | None:
    """The Retry-After header in seconds from now, 0 to MAX_RETRY_AFTER; None where it is missing or not readable."""
    if value is None:
        return None
    if _SECONDS.fullmatch(value.strip()):
        return min(float(value), MAX_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(value)
        seconds = ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now).total_seconds()
    except (ValueError, OverflowError):
        return None
    return max(0.0, min(seconds, MAX_RETRY_AFTER))
