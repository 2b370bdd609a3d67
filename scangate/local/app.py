"""The API's origin: the contract's operations. It serves no blobs; signed URLs point to the storage origin."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, assert_never
from urllib.parse import urlsplit
from uuid import uuid4

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from scangate import purls
from scangate.errors import PurlError
from scangate.local.answers import EXCEPTION_HANDLERS, Refusal, envelope, read_json
from scangate.local.auth import Keys
from scangate.local.jobs import COMPLETED, FAILED
from scangate.local.limit import RateLimit
from scangate.local.signing import Signer
from scangate.local.store import PROCESSING, QUEUED, Found, Store, StoredTask, Submission
from scangate.models.analysis import ENGINE_ECOSYSTEMS, Engine

STATUSES = (QUEUED, PROCESSING, COMPLETED, FAILED, "timeout")
ARCHIVE_SUFFIXES = (".tgz", ".whl", ".tar.gz", ".zip", ".vsix")
MAX_FILENAME_BYTES = 255
MAX_URL_CHARACTERS = 2048
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
"""JSON can write them, UTF-8 and so SQLite cannot."""
MAX_ID = 2**63 - 1
"""SQLite's largest integer: a larger number is no task's, and no row's offset."""


class Faults(Protocol):
    """Scripted failures: the HTTP status that a request is to fail with."""

    def submission(self, engine: Engine, purl: str) -> int | None: ...

    def download(self, engine: Engine, purl: str) -> int | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """The handlers and what they need. `wake` tells the workers of a new task; `origin` is the API's own."""

    store: Store
    keys: Keys
    limit: RateLimit
    signer: Signer
    faults: Faults
    wake: Callable[[], None]
    origin: str

    def app(self) -> Starlette:
        routes = [
            self._route("/api/v1/analyze/purl/", self.analyze_purl, "POST"),
            self._route("/api/v1/archives/upload-url/", self.create_upload_url, "POST"),
            self._route("/api/v1/analyze/archive/", self.analyze_archive, "POST"),
            self._route("/api/v1/task/{task_id}/", self.get_task, "GET", counted=False),
            self._route("/api/v1/reports/", self.list_tasks, "GET"),
        ]
        return Starlette(routes=routes, exception_handlers=EXCEPTION_HANDLERS)

    def _route(
        self, path: str, operation: Callable[[Request, str], Awaitable[Response]], method: str, *, counted: bool = True
    ) -> Route:
        async def guarded(request: Request) -> Response:
            owner = self.keys.owner(request.headers.get("authorization"), request.headers.get("x-api-key"))
            if owner is None:
                raise Refusal(401, "Send the key as Authorization: Bearer KEY or X-API-Key: KEY.")
            if counted and not self.limit.admit(owner):
                raise Refusal(429, "This key has used up its requests. Try again later.")
            return await operation(request, owner)

        return Route(path, guarded, methods=[method])

    # ---------------------------------------------------------------------------------------- operations

    async def analyze_purl(self, request: Request, owner: str) -> Response:
        body = await read_json(request)
        engine = _engine(request)
        submission = Submission(owner=owner, engine=engine, purl=_purl(body, engine))
        return await self._submit(submission)

    async def analyze_archive(self, request: Request, owner: str) -> Response:
        body = await read_json(request)
        engine = _engine(request)
        purl, path, github_url = _purl(body, engine), _text(body, "gcs_path"), _github_url(body)
        archive = await run_in_threadpool(self.store.upload, path, owner)
        if archive is None:
            problem = "Nothing was uploaded there with this key."
            raise Refusal(400, f"gcs_path: {problem}", fields={"gcs_path": problem})
        submission = Submission(
            owner=owner,
            engine=engine,
            purl=purl,
            archive=archive,
            filename=path.rpartition("/")[2],
            github_url=github_url,
        )
        return await self._submit(submission)

    async def create_upload_url(self, request: Request, owner: str) -> Response:
        path = f"uploads/{uuid4()}/{_filename(await read_json(request))}"
        await run_in_threadpool(self.store.expect_upload, path, owner)
        url = self.signer.url("PUT", path)
        return envelope({"url": url, "gcs_path": path, "message": "Upload URL generated successfully"})

    async def get_task(self, request: Request, _owner: str) -> Response:
        """Any key's task: a submission may have been answered with another key's (observed)."""
        number = _natural(request.path_params["task_id"])
        task = None if number is None else await run_in_threadpool(self.store.task, number)
        if task is None:
            raise Refusal(404, "There is no such task.")
        data = _described(task)
        if task.report is not None:
            data["report_blob_url"] = self._report_url(task)
        return envelope(data)

    async def list_tasks(self, request: Request, owner: str) -> Response:
        page = _number(request, "page", default=1, most=MAX_ID)
        page_size = _number(request, "page_size", default=20, most=100)
        status = _single(request, "status")
        if status is not None and status not in STATUSES:
            raise Refusal(400, "status is not one.", fields={"status": f"Use one of {', '.join(STATUSES)}."})
        offset = min((page - 1) * page_size, MAX_ID)
        tasks, total = await run_in_threadpool(self.store.tasks, owner, status, offset, page_size)
        items = [_described(task) | {"status_url": self._status_url(task)} for task in tasks]
        return envelope({"items": items, "page": page, "page_size": page_size, "total": total})

    # ------------------------------------------------------------------------------------------- answers

    async def _submit(self, submission: Submission) -> Response:
        failure = self.faults.submission(submission.engine, submission.purl)
        if failure is not None:
            raise Refusal(failure, "A scripted failure.")
        task, found = await run_in_threadpool(self.store.submit, submission)
        data: dict[str, object] = {"task_id": task.id, "status": task.status}
        match found:
            case Found.NOTHING:
                self.wake()
                data |= {"status_url": self._status_url(task), "message": "Analysis queued"}
                return envelope(data, status=201)
            case Found.ACTIVE:
                return envelope(data | {"message": f"Analysis already {task.status}"})
            case Found.COMPLETED:
                return self._legacy_completed(task)
            case _:
                assert_never(found)

    def _legacy_completed(self, task: StoredTask) -> Response:
        """The contract's LegacyCompleted: without an envelope (observed)."""
        content: dict[str, object] = {
            "task_id": task.id,
            "status": task.status,
            "result_url": self._status_url(task),
            "message": "Analysis already completed",
        }
        if task.report is not None:
            content["report_metadata"] = {
                "filename": f"{task.id}.json",
                "size_bytes": task.report_bytes,
                "created_at": None if task.ended_at is None else _moment(task.ended_at),
                "download_url": self._report_url(task),
            }
        return JSONResponse(content, headers={"Cache-Control": "no-store"})

    def _status_url(self, task: StoredTask) -> str:
        return f"{self.origin}/api/v1/task/{task.id}/"

    def _report_url(self, task: StoredTask) -> str:
        return self.signer.url("GET", f"reports/{task.id}.json")


def _described(task: StoredTask) -> dict[str, object]:
    data: dict[str, object] = {
        "task_id": task.id,
        "purl": task.purl,
        "engine_type": task.engine,
        "status": task.status,
        "created_at": _moment(task.created_at),
    }
    if task.error_message is not None:
        data["error_message"] = task.error_message
    return data


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


# --------------------------------------------------------------------------------------------- requests


def _engine(request: Request) -> Engine:
    word = request.headers.get("engine") or Engine.DYNAMIC_ANALYSIS
    if word not in tuple(Engine):
        raise Refusal(400, "Engine is not one.", fields={"Engine": f"Use one of {', '.join(Engine)}."})
    return Engine(word)


def _purl(body: dict[str, object], engine: Engine) -> str:
    """The canonical purl of a package that this engine takes."""
    text = _text(body, "purl")
    try:
        purl = purls.submittable(text)
    except PurlError as exc:
        raise Refusal(400, exc.message, fields={"purl": exc.message}) from exc
    if purl.ecosystem not in ENGINE_ECOSYSTEMS[engine]:
        problem = f"{engine} takes {', '.join(sorted(ENGINE_ECOSYSTEMS[engine]))}, not {purl.type}."
        raise Refusal(400, problem, fields={"purl": problem})
    return str(purl)


def _filename(body: dict[str, object]) -> str:
    """An archive's plain file name: it becomes part of a URL, and never of a path on disk."""
    name = _text(body, "filename")
    if not name.isprintable() or "/" in name or "\\" in name or len(name.encode()) > MAX_FILENAME_BYTES:
        problem = f"Not a plain file name of at most {MAX_FILENAME_BYTES} bytes."
    elif not name.lower().endswith(ARCHIVE_SUFFIXES):
        problem = f"Not an archive's name ({', '.join(ARCHIVE_SUFFIXES)})."
    else:
        return name
    raise Refusal(400, f"filename: {problem}", fields={"filename": problem})


def _github_url(body: dict[str, object]) -> str | None:
    """github_url, or its alias; both may stand there, if they agree."""
    names = ("github_url", "archive_github_url")
    given = {name: _text(body, name) for name in names if body.get(name) is not None}
    for name, url in given.items():
        if len(url) > MAX_URL_CHARACTERS or not _is_http_url(url):
            raise Refusal(400, f"{name}: not an http(s) URL.", fields={name: "Not an http(s) URL."})
    if len(set(given.values())) > 1:
        raise Refusal(400, "github_url and its alias differ.", fields={names[1]: "Differs from github_url."})
    return next(iter(given.values()), None)


def _is_http_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return url.isprintable() and parts.scheme in ("http", "https") and bool(parts.hostname)


def _text(body: dict[str, object], name: str) -> str:
    value = body.get(name)
    if isinstance(value, str) and value and not _LONE_SURROGATE.search(value):
        return value
    problem = "Required." if value is None else "Not a text."
    raise Refusal(400, f"{name}: {problem}", fields={name: problem})


def _single(request: Request, name: str) -> str | None:
    values = request.query_params.getlist(name)
    if len(values) > 1:
        raise Refusal(400, f"{name} stands there {len(values)} times.", fields={name: "Once is enough."})
    return values[0] if values else None


def _number(request: Request, name: str, *, default: int, most: int) -> int:
    text = _single(request, name)
    number = default if text is None else _natural(text)
    if number is None or not 1 <= number <= most:
        raise Refusal(400, f"{name} is out of range.", fields={name: f"A whole number from 1 to {most}."})
    return number


def _natural(text: str) -> int | None:
    """A whole number that SQLite can hold; None for any other text (int() alone takes "１", "1_0" and " 1")."""
    if not (text.isascii() and text.isdigit()) or len(text) > 19:
        return None
    number = int(text)
    return number if number <= MAX_ID else None
