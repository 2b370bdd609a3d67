"""The storage origin: blobs by signed URL. It knows no keys, and refuses requests that bring one along."""

from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from scangate.local.answers import EXCEPTION_HANDLERS, Refusal
from scangate.local.app import Faults
from scangate.local.blobs import Blobs
from scangate.local.signing import SignatureRefused, Signer
from scangate.local.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Takes archives (PUT) and gives reports (GET). `max_upload_bytes` caps one archive."""

    store: Store
    blobs: Blobs
    signer: Signer
    faults: Faults
    max_upload_bytes: int

    def app(self) -> Starlette:
        routes = [
            Route("/uploads/{rest:path}", self.put_archive, methods=["PUT"]),
            Route("/reports/{task_id}.json", self.get_report, methods=["GET"]),
        ]
        return Starlette(routes=routes, exception_handlers=EXCEPTION_HANDLERS)

    async def put_archive(self, request: Request) -> Response:
        path = f"uploads/{request.path_params['rest']}"
        self._check(request, "PUT", path)
        if int(request.headers.get("content-length", "0")) > self.max_upload_bytes:
            raise self._too_large()
        with await run_in_threadpool(self.blobs.incoming) as blob:
            async for chunk in request.stream():
                if blob.size + len(chunk) > self.max_upload_bytes:
                    raise self._too_large()
                await run_in_threadpool(blob.write, chunk)
            digest = await run_in_threadpool(blob.keep)
        if not await run_in_threadpool(self.store.uploaded, path, digest):
            raise Refusal(404, "This upload is no longer expected. Ask for a new URL.")
        return Response()

    async def get_report(self, request: Request) -> Response:
        task_id = request.path_params["task_id"]
        self._check(request, "GET", f"reports/{task_id}.json")
        task = await run_in_threadpool(self.store.task, int(task_id))
        if task is None or task.report is None:
            raise Refusal(404, "There is no such report.")
        failure = self.faults.download(task.engine, task.purl)
        if failure is not None:
            raise Refusal(failure, "A scripted failure.")
        path = self.blobs.path(task.report)
        found = await run_in_threadpool(path.stat)  # a lost blob is the disk's fault, and answered as that
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        return FileResponse(path, media_type="application/json", headers=headers, stat_result=found)

    def _check(self, request: Request, method: str, path: str) -> None:
        if "authorization" in request.headers or "x-api-key" in request.headers:
            raise Refusal(400, "This origin takes no key: send it to the API alone.")
        query = request.query_params
        try:
            self.signer.check(method, path, query.get("expires", ""), query.get("signature", ""))
        except SignatureRefused as exc:
            raise Refusal(403, str(exc)) from exc

    def _too_large(self) -> Refusal:
        return Refusal(413, f"The archive is larger than {self.max_upload_bytes} bytes.")
