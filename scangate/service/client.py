"""The analysis service over HTTP (contract: openapi.yaml). One call is one request, without retries.

The key goes to the configured origin alone: the paths of its requests are built here, its redirects are refused, and
URLs that it gives are asked without the key. The time of an HTTP-date is the only wall clock in here.
"""

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

from scangate.errors import PurlError
from scangate.models.analysis import ENGINE_ECOSYSTEMS, MAX_ARCHIVE_BYTES, MAX_REPORT_BYTES, AnalysisRequest, Archive
from scangate.purls import parse
from scangate.service.answers import AnswerReader, retry_after
from scangate.service.base import RateLimited, ReportGone, Task, TaskPage, Unauthorised
from scangate.service.settings import ServiceSettings
from scangate.urls import host_of
from scangate.web.addresses import (
    AddressRule,
    any_address,
    foreign_url,
    is_loopback,
    is_public,
    is_public_or_loopback,
    read_url,
)
from scangate.web.answers import error_text, one_line
from scangate.web.errors import BadAnswer, Refused, Unreachable
from scangate.web.settings import Timeouts

if TYPE_CHECKING:
    from scangate.web.transport import HttpAnswer, Transport
    from scangate.web.wire import Resolver

MAX_ANSWER_BYTES = 4 * 1024 * 1024

_TRANSIENT = frozenset({408, 502, 503, 504})
_REPORT_GONE = frozenset({400, 401, 403, 404, 410})
"""Google's storage answers 400 (ExpiredToken) for a signed URL that has expired, others 403."""

_GZIP, _ZIP = "application/gzip", "application/zip"
_CONTENT_TYPES: Mapping[str, str] = {".tgz": _GZIP, ".tar.gz": _GZIP, ".whl": _ZIP, ".zip": _ZIP, ".vsix": _ZIP}
_OTHER_CONTENT_TYPE = "application/octet-stream"


class _OfThread(threading.local):
    def __init__(self) -> None:
        self.transports: dict[str, Transport] = {}


class HttpService:
    """`base.Service` over requests. Thread-safe: each thread has its own connections. Close it when done."""

    def __init__(
        self,
        settings: ServiceSettings,
        *,
        timeouts: Timeouts | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        resolve: "Resolver" = socket.getaddrinfo,
    ) -> None:
        self._api = settings.api
        self._key = settings.key
        self._timeouts = timeouts or Timeouts()
        self._clock = clock
        self._now = now
        self._resolve = resolve
        self._of_thread = _OfThread()
        self._transports: list[Transport] = []
        self._lock = threading.Lock()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections. Requests that are under way in any thread, and later ones, end as Unreachable.

        For Ctrl-C: whoever waits for the worker threads need not wait for their timeouts.
        """
        with self._lock:
            self._closed = True
            for transport in self._transports:
                transport.close()

    def submit(self, request: AnalysisRequest) -> Task:
        if request.archive is not None:
            raise ValueError("an archive is submitted by upload and submit_archive")
        what = f"Submitting {_shown(request.purl)}"
        _check_engine(what, request)
        return self._submit(what, "/api/v1/analyze/purl/", request, {"purl": request.purl})

    def upload(self, request: AnalysisRequest) -> str:
        archive = _archive_of(request)
        what = f"Asking for an upload URL for {_shown(archive.filename)}"
        _check_engine(what, request)
        if not 0 < len(archive.content) <= MAX_ARCHIVE_BYTES:
            raise Refused(
                f"{what}: the archive is empty or larger than {MAX_ARCHIVE_BYTES // 1024**2} MiB.", "Nothing was sent."
            )
        answer = self._call(what, "POST", "/api/v1/archives/upload-url/", {"filename": archive.filename})
        reader = self._reader(what)
        url, gcs_path = reader.upload_target(reader.data(self._document(what, answer)))
        self._put(archive, url)
        return gcs_path

    def submit_archive(self, request: AnalysisRequest, gcs_path: str) -> Task:
        archive = _archive_of(request)
        what = f"Submitting {_shown(archive.filename)} as {_shown(request.purl)}"
        _check_engine(what, request)
        body = {"purl": request.purl, "gcs_path": gcs_path}
        if archive.github_url is not None:
            body["github_url"] = archive.github_url
        return self._submit(what, "/api/v1/analyze/archive/", request, body)

    def task(self, task_id: int) -> Task:
        what = f"Asking for task {task_id}"
        reader = self._reader(what)
        answer = self._call(what, "GET", f"/api/v1/task/{task_id}/")
        task = reader.task(reader.data(self._document(what, answer)))
        if task.task_id != task_id:
            raise BadAnswer(f"{what}: the answer is about task {task.task_id}.", "Tell the service's operator.")
        return task

    def tasks(self, page: int, page_size: int = 100, status: str | None = None) -> TaskPage:
        what = f"Listing the tasks, page {page}"
        query = {"page": str(page), "page_size": str(page_size)} | ({"status": status} if status else {})
        reader = self._reader(what)
        answer = self._call(what, "GET", f"/api/v1/reports/?{urlencode(query)}")
        return reader.page(reader.data(self._document(what, answer)))

    def report(self, url: str) -> bytes:
        what = "Downloading a report"
        answer = self._fetch(what, "GET", url, limit=MAX_REPORT_BYTES)
        if answer.status in _REPORT_GONE:
            raise ReportGone(
                f"{what}: the storage answered {answer.status}.", "Its URL may have expired: ask for the task again."
            )
        self._check(what, answer)
        return answer.body

    # -------------------------------------------------------------------------------------- with the key

    def _submit(self, what: str, path: str, request: AnalysisRequest, body: Mapping[str, str]) -> Task:
        answer = self._call(what, "POST", path, body, {"Engine": request.engine.value})
        return self._reader(what).submission(self._document(what, answer))

    def _call(
        self,
        what: str,
        method: str,
        path: str,
        body: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> "HttpAnswer":
        """One request to the configured origin, with the key."""
        from scangate.web.transport import HttpRequest

        if self._key is None:
            raise Unauthorised(f"{what}: there is no key.", "Set SCANGATE_API_KEY or SCANGATE_API_KEY_FILE.")
        request = HttpRequest(
            what=what,
            method=method,
            target=read_url(self._api.url + path),
            headers={
                "Accept": "application/json",
                **({} if body is None else {"Content-Type": "application/json"}),
                **(headers or {}),
            },
            body=None if body is None else json.dumps(body).encode(),
            key=self._key,
            limit=MAX_ANSWER_BYTES,
            total=self._timeouts.call,
        )
        answer = self._transport("api").exchange(request)
        if answer.status in {401, 403}:
            raise Unauthorised(
                f"{what}: the service refuses the key ({self._said(answer)}).",
                "Check SCANGATE_API_KEY, and that it belongs to the service at SCANGATE_API_URL.",
            )
        self._check(what, answer)
        return answer

    def _document(self, what: str, answer: "HttpAnswer") -> dict[str, Any]:
        """The answer's JSON object. A failure that is told with status 200 is a failure."""
        document = self._reader(what).document(answer.body)
        if document.get("success") is False:
            raise Refused(f"{what}: the service refused ({self._said(answer)}).", "See the service's message.")
        return document

    # ----------------------------------------------------------------------------------- without the key

    def _put(self, archive: Archive, url: str) -> None:
        what = f"Uploading {_shown(archive.filename)}"
        name = archive.filename.lower()
        content_type = next(
            (kind for suffix, kind in _CONTENT_TYPES.items() if name.endswith(suffix)), _OTHER_CONTENT_TYPE
        )
        answer = self._fetch(
            what, "PUT", url, limit=MAX_ANSWER_BYTES, headers={"Content-Type": content_type}, body=archive.content
        )
        self._check(what, answer)

    def _fetch(
        self,
        what: str,
        method: str,
        url: str,
        *,
        limit: int,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> "HttpAnswer":
        """One request to a URL that the service gave: public addresses only, and no key."""
        from scangate.web.transport import HttpRequest

        try:
            target = foreign_url(url, loopback=self._api.is_loopback)
        except ValueError as exc:
            problem = str(exc)
        else:
            request = HttpRequest(
                what=what,
                method=method,
                target=target,
                headers=headers or {},
                body=body,
                limit=limit,
                total=self._timeouts.transfer,
            )
            return self._transport("storage").exchange(request)
        raise Refused(f"{what}: the URL that the service gave {problem}.", "Nothing was sent there.")

    # -------------------------------------------------------------------------------------------- shared

    def _check(self, what: str, answer: "HttpAnswer") -> None:
        """Raise the error that the status stands for. 500 is none of the transient ones: it may come every time."""
        status = answer.status
        if status in {200, 201, 202}:
            return
        said = self._said(answer)
        if status in _TRANSIENT:
            raise Unreachable(f"{what}: {said}.", "Try again later.", sent=True)
        if status == 429:
            pause = retry_after(answer.headers.get("Retry-After"), self._now())
            raise RateLimited(f"{what}: too many requests ({said}).", "Wait, or lower --rate.", retry_after=pause)
        if 300 <= status < 400:
            where = one_line(host_of(self._mask(answer.headers.get("Location", ""))) or "an unnamed place", self._mask)
            raise Refused(
                f"{what}: {said}, a redirect to {where}; none is followed.",
                "If the service has moved, set SCANGATE_API_URL to its final address.",
            )
        if status >= 400:
            raise Refused(f"{what}: {said}.", "Asking again cannot help: see the message.")
        raise BadAnswer(f"{what}: {said}, which the contract does not know.", "Check SCANGATE_API_URL.")

    def _said(self, answer: "HttpAnswer") -> str:
        """ "answered 400: message", bounded, without the key."""
        text = error_text(answer.body, self._mask)
        return f"answered {answer.status}: {text}" if text else f"answered {answer.status}"

    def _mask(self, text: str) -> str:
        return text if self._key is None else self._key.mask(text)

    def _reader(self, what: str) -> AnswerReader:
        return AnswerReader(what, self._mask)

    def _transport(self, zone: str) -> "Transport":
        """This thread's connections to the API, or to storage: they are never shared between the two."""
        transports = self._of_thread.transports
        if zone not in transports:
            from scangate.web.transport import Transport

            transports[zone] = Transport(
                self._rule(zone), timeouts=self._timeouts, clock=self._clock, resolve=self._resolve
            )
            with self._lock:
                self._transports.append(transports[zone])
                if self._closed:
                    transports[zone].close()
        return transports[zone]

    def _rule(self, zone: str) -> AddressRule:
        """Which addresses may be connected to. http to the API is for loopback alone, wherever its name leads."""
        if zone == "api":
            return any_address if self._api.scheme == "https" else is_loopback
        return is_public_or_loopback if self._api.is_loopback else is_public


def _check_engine(what: str, request: AnalysisRequest) -> None:
    """Refuse, before anything is sent, what the engine does not take. Raises Refused."""
    try:
        ecosystem = parse(request.purl).ecosystem
    except PurlError as exc:
        raise Refused(f"{what}: {exc.message}", exc.hint) from None
    if not request.engine.takes(ecosystem):
        taken = ", ".join(sorted(ENGINE_ECOSYSTEMS[request.engine]))
        raise Refused(f"{what}: the engine {request.engine} takes {taken} alone.", "Nothing was sent.")


def _shown(text: str) -> str:
    """A purl or a file name as it stands in a message."""
    return one_line(text, str, 200)


def _archive_of(request: AnalysisRequest) -> Archive:
    if request.archive is None:
        raise ValueError("a request without an archive is submitted by submit")
    return request.archive
