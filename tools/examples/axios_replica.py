"""Make examples/axios-replica: npm itself writes the lockfile, against a registry on loopback with made-up packages.

The packages are harmless: the "install script" of plain-crypto-replica is never run here, and holds nothing but a
comment. What it would have done is in the recorded report (examples/recorded), which is made and says so.
"""

import base64
import gzip
import hashlib
import http.server
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "axios-replica"

PACKAGES = {
    "axios-replica": {
        "1.14.0": {"dependencies": {"follow-replica": "^1.15.0"}},
        "1.14.1": {"dependencies": {"follow-replica": "^1.15.0", "plain-crypto-replica": "^4.2.1"}},
    },
    "follow-replica": {"1.15.11": {}},
    "plain-crypto-replica": {"4.2.1": {"scripts": {"postinstall": "node setup.js"}}},
}


def tarball(name: str, version: str, manifest: dict[str, object]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        files = {"package.json": json.dumps({"name": name, "version": version, **manifest}), "setup.js": "// nothing\n"}
        for path, text in files.items():
            info = tarfile.TarInfo(f"package/{path}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return gzip.compress(raw.getvalue(), mtime=0)


class Registry(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        name = self.path.strip("/").partition("/")[0]
        versions = PACKAGES.get(name)
        body = b"{}" if versions is None else json.dumps(self._packument(name, versions)).encode()
        self.send_response(404 if versions is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _packument(self, name: str, versions: dict[str, dict[str, object]]) -> dict[str, object]:
        origin = f"http://127.0.0.1:{self.server.server_address[1]}"
        documents = {}
        for version, manifest in versions.items():
            digest = base64.b64encode(hashlib.sha512(tarball(name, version, manifest)).digest()).decode()
            dist = {"tarball": f"{origin}/{name}/-/{name}-{version}.tgz", "integrity": f"sha512-{digest}"}
            documents[version] = {"name": name, "version": version, "dist": dist, **manifest}
            if "scripts" in manifest:
                documents[version]["hasInstallScript"] = True
        return {"name": name, "dist-tags": {"latest": max(versions)}, "versions": documents}

    def log_message(self, *_: object) -> None:
        pass


def lock(registry: str, axios: str, target: Path) -> None:
    """Have npm write the lockfile for one version of axios-replica."""
    target.mkdir(parents=True, exist_ok=True)
    manifest = {
        "name": "example-axios-replica",
        "version": "1.0.0",
        "private": True,
        "dependencies": {"axios-replica": axios},
    }
    (target / "package.json").write_text(json.dumps(manifest, indent=2) + "\n")
    (target / "package-lock.json").unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        # Without `resolved`: the address of the loopback registry means nothing to anybody else.
        (Path(scratch) / "npmrc").write_text(f"registry={registry}\nomit-lockfile-registry-resolved=true\n")
        subprocess.run(
            ["npm", "install", "--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=target,
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "NPM_CONFIG_USERCONFIG": f"{scratch}/npmrc", "NPM_CONFIG_CACHE": f"{scratch}/cache"},
        )


def main() -> int:
    if shutil.which("npm") is None:
        print("needs npm", file=sys.stderr)
        return 2
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        lock(f"http://127.0.0.1:{server.server_address[1]}/", "1.14.1", EXAMPLE)
    finally:
        server.shutdown()
        server.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
