"""A registry on loopback, and packages made on the spot."""

import base64
import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Files = Mapping[str, str | bytes]


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


def tar(files: Files) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(_bytes(content)), 0o755
            archive.addfile(info, io.BytesIO(_bytes(content)))
    return buffer.getvalue()


def zipped(files: Files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def wheel(name: str, version: str, files: Files, *, requires: tuple[str, ...] = (), scripts: str = "") -> bytes:
    info = f"{name}-{version}.dist-info"
    lines = [f"Requires-Dist: {each}" for each in requires]
    everything: dict[str, str | bytes] = {
        **files,
        f"{info}/METADATA": "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *lines, ""]),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if scripts:
        everything[f"{info}/entry_points.txt"] = f"[console_scripts]\n{scripts}\n"
    record = "".join(f"{path},,\n" for path in [*everything, f"{info}/RECORD"])
    return zipped({**everything, f"{info}/RECORD": record})


def sdist(name: str, version: str, files: Files, *, requires: tuple[str, ...] = ()) -> bytes:
    lines = [f"Requires-Dist: {each}" for each in requires]
    metadata = "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *lines, ""])
    return tar({f"{name}-{version}/{path}": content for path, content in {**files, "PKG-INFO": metadata}.items()})


@dataclass
class Registry:
    """`asked` are the paths of all requests, with their Authorization header."""

    url: str = ""
    pages: dict[str, tuple[int, bytes, dict[str, str]]] = field(default_factory=dict)
    later: dict[str, tuple[int, bytes, dict[str, str]]] = field(default_factory=dict)
    streams: dict[str, tuple[Callable[[], Iterator[bytes]], int | None]] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def put(self, path: str, content: bytes, status: int = 200, then: bytes | None = None, **headers: str) -> str:
        """`then`: what is answered from the second time on."""
        self.pages[path] = (status, content, headers)
        if then is not None:
            self.later[path] = (status, then, headers)
        return self.url + path

    def stream(self, path: str, pieces: Callable[[], Iterator[bytes]], *, length: int | None = None) -> None:
        """Answer with pieces as they come, of `length` bytes in all as the header has it (none: until the end)."""
        self.streams[path] = (pieces, length)

    def npm(self, name: str, version: str, files: Files | None = None, **manifest: Any) -> str:
        """Publish; returns the tarball's sha512 as "sha512:hex"."""
        manifest = {"name": name, "version": version, **manifest}
        archive = tar(
            {"package/package.json": json.dumps(manifest), **{f"package/{k}": v for k, v in (files or {}).items()}}
        )
        path = f"/npm/{name}/-/{version}.tgz"
        digest = hashlib.sha512(archive).digest()
        dist = {"tarball": self.put(path, archive), "integrity": f"sha512-{base64.b64encode(digest).decode()}"}
        page = f"/npm/{name.replace('/', '%2F')}"
        known = json.loads(self.pages[page][1]) if page in self.pages else {"name": name, "versions": {}}
        known["versions"][version] = {**manifest, "dist": dist}
        known["dist-tags"] = {"latest": version}
        self.put(page, json.dumps(known).encode())
        return f"sha512:{digest.hex()}"

    def pypi(self, name: str, filename: str, archive: bytes, *, digest: str | None = None) -> str:
        """Publish one file; returns its sha256 as "sha256:hex"."""
        digest = digest or hashlib.sha256(archive).hexdigest()
        page = f"/simple/{name}/"
        known = json.loads(self.pages[page][1]) if page in self.pages else {"files": []}
        known["files"].append(
            {"filename": filename, "url": self.put(f"/f/{filename}", archive), "hashes": {"sha256": digest}}
        )
        self.put(page, json.dumps(known).encode())
        return f"sha256:{digest}"


@contextmanager
def running() -> Iterator[Registry]:
    registry = Registry()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            registry.asked.append((self.path, self.headers["Authorization"]))
            if self.path in registry.streams:
                self._stream(*registry.streams[self.path])
                return
            status, content, headers = registry.pages.get(self.path, (404, b"", {}))
            if self.path in registry.later:
                registry.pages[self.path] = registry.later.pop(self.path)
            if isinstance(status, int) and status == 503:
                registry.pages[self.path] = (200, content, headers)  # the next try succeeds
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _stream(self, pieces: Callable[[], Iterator[bytes]], length: int | None) -> None:
            self.send_response(200)
            if length is not None:
                self.send_header("Content-Length", str(length))
            self.end_headers()
            with suppress(ConnectionError):  # the client may have had enough
                for piece in pieces():
                    self.wfile.write(piece)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    registry.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
