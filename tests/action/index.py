"""A package index on loopback with one made-up wheel, and a copy of the action's scripts that installs from it."""

import hashlib
import io
import shutil
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.conftest import ROOT

NAME = "scangate"
FILE = f"{NAME}-1.0-py3-none-any.whl"


def wheel(main: str = "print('scangate 1.0')") -> bytes:
    """A package `scangate` that runs `main`."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(f"{NAME}/__init__.py", "")
        archive.writestr(f"{NAME}/__main__.py", main)
        info = f"{NAME}-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", f"{NAME}/__init__.py,,\n")
    return content.getvalue()


@contextmanager
def served(content: bytes) -> Iterator[str]:
    """The index's address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = f'<a href="/files/{FILE}">{FILE}</a>'.encode()
            body = content if self.path.startswith("/files/") else page
            self.send_response(200)
            self.send_header("Content-Type", "application/zip" if body is content else "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/simple"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def action_for(folder: Path, digest: str) -> Path:
    """The action's scripts with a lock of that one wheel, and, as the action itself, a package that pip can build."""
    shutil.copytree(ROOT / "action", folder / "action")
    (folder / "requirements").mkdir()
    (folder / "requirements" / "action.txt").write_text(f"{NAME}==1.0 --hash=sha256:{digest}\n")
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "the-action"\nversion = "1.0"\n'
    )
    (folder / "backend.py").write_text(_BACKEND)
    return folder


_BACKEND = """
import zipfile
def build_wheel(directory, config_settings=None, metadata_directory=None):
    name = "the_action-1.0-py3-none-any.whl"
    with zipfile.ZipFile(f"{directory}/{name}", "w") as archive:
        info = "the_action-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: the-action\\nVersion: 1.0\\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        archive.writestr(f"{info}/RECORD", "")
    return name
"""


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
