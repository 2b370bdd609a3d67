"""Certificates made by openssl at test time: a CA, and a server certificate for reserved names."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

NAMES = ("api.example", "storage.example", "localhost")


@dataclass(frozen=True)
class Certificates:
    ca: Path
    server: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server, self.key)
        return context


def make_certificates(folder: Path) -> Certificates:
    made = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    names = ",".join(f"DNS:{name}" for name in NAMES) + ",IP:127.0.0.1"
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    ca_key = folder / "ca.key"
    _openssl(
        "req", "-x509", *new_key, "-subj", "/CN=Test CA", "-keyout", ca_key, "-out", made.ca,
        "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign",
    )  # fmt: skip
    _openssl(
        "req", "-x509", *new_key, "-subj", "/CN=Test server", "-keyout", made.key, "-out", made.server,
        "-CA", made.ca, "-CAkey", ca_key, "-addext", f"subjectAltName={names}",
        "-addext", "basicConstraints=critical,CA:FALSE",
    )  # fmt: skip
    return made


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
