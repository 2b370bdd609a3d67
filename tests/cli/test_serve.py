"""`scangate serve --replay` as a real process, and a check against it."""

import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import RECORDED, Scangate, example


def test_serve_prints_what_a_client_needs_and_ends_on_sigterm(
    scangate: Scangate, project: Path, tmp_path: Path
) -> None:
    example("axios-replica", project)
    argv = [sys.executable, "-m", "scangate", "serve", "--replay", str(RECORDED), "--data", str(tmp_path / "data data")]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as server:
        try:
            assert server.stdout is not None
            lines = [server.stdout.readline() for _ in range(2)]
            script = "".join(lines) + f"{sys.executable} -m scangate check --quiet"
            done = subprocess.run(["sh", "-c", script], cwd=project, capture_output=True, text=True, check=False)
        finally:
            server.send_signal(signal.SIGTERM)
        _, err = server.communicate(timeout=30)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "net-on-install" in done.stdout
    assert server.returncode == 0, err
    key = (tmp_path / "data data").glob("*")
    assert all(path.stat().st_mode & 0o077 == 0 for path in key if path.is_file())


KEY = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    "argv",
    [
        ("--replay", "nowhere"),
        ("--replay", ".", "--port", "70000"),
        ("--replay", ".", "--rate-limit", "many"),
        ("--replay", ".", "--rate-limit", "0"),
        ("--replay", ".", "--workers", "0"),
        ("--replay", ".", "--workers", "65"),
        ("--replay", ".", "--listen", "example.com"),
        ("--replay", ".", "--listen", "0.0.0.0"),
        ("--replay", ".", "--listen", "0.0.0.0", "--public-url", "https://scan.example.com"),
        ("--replay", ".", "--listen", "0.0.0.0", "--key-file", "keys"),
        ("--replay", ".", "--public-url", "http://scan.example.com"),
        ("--replay", ".", "--public-url", "scan.example.com"),
        ("--replay", ".", "--public-url", "https://user:word@scan.example.com"),
        ("--replay", ".", "--public-url", "https://scan.example.com/?x=1"),
        ("--replay", ".", "--public-url", "https://scan.example.com:99999"),
        ("--replay", ".", "--key-file", "nowhere"),
        ("--replay", ".", "--key-file", "empty"),
        ("--replay", ".", "--key-file", "short"),
        ("--replay", ".", "--key-file", "spaced"),
        ("--replay", ".", "--key-file", "large"),
    ],
)
def test_wrong_usage(scangate: Scangate, project: Path, argv: tuple[str, ...]) -> None:
    contents = {"keys": KEY, "empty": "# none\n\n", "short": f"{KEY}\nguess-me\n", "spaced": f"{KEY} {KEY}\n"}
    for name, content in (contents | {"large": f"{KEY}\n" * 3000}).items():
        (project / name).write_text(content)
    result = scangate("serve", *argv)
    assert (result.code, result.out) == (2, "")


@contextmanager
def started(*argv: str) -> Iterator[tuple["subprocess.Popen[str]", dict[str, str]]]:
    """`scangate serve` in a process of its own, and what it prints to be exported."""
    command = [sys.executable, "-m", "scangate", "serve", *argv]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as server:
        try:
            assert server.stdout is not None
            lines = [server.stdout.readline() for _ in range(2)]
            assert all(lines), f"no server: {server.communicate()[1]}"
            pairs = [shlex.split(line.removeprefix("export ")) for line in lines]
            yield server, dict(pair[0].split("=", 1) for pair in pairs)
        finally:
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=30)


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port: int = listener.getsockname()[1]
    return port


def test_on_all_addresses_with_a_key_file_and_a_public_url(scangate: Scangate, project: Path, tmp_path: Path) -> None:
    """One port for the API and the signed URLs, which are made with the public URL; each key is let in."""
    example("axios-replica", project)
    keys = tmp_path / "keys"
    keys.write_text(f"# the team's\n{KEY}\n\nanother-{KEY}\n")
    keys.chmod(0o644)
    port = free_port()
    url = f"http://localhost:{port}"
    options = ("--listen", "0.0.0.0", "--port", str(port), "--key-file", str(keys), "--public-url", url)
    with started("--replay", str(RECORDED), "--data", str(tmp_path / "data"), *options) as (_, exported):
        assert exported["SCANGATE_API_URL"] == url
        for key in (KEY, f"another-{KEY}"):
            result = scangate("check", "--quiet", "--no-cache", SCANGATE_API_URL=url, SCANGATE_API_KEY=key)
            assert (result.code, result.err) == (1, "")
        refused = scangate("check", "--quiet", "--no-cache", SCANGATE_API_URL=url, SCANGATE_API_KEY=f"wrong-{KEY}")
        assert refused.code == 3
        assert "submit-error" in refused.out


def test_keys_that_others_can_read_are_warned_about(scangate: Scangate, project: Path) -> None:
    (project / "keys").write_text(KEY)
    (project / "keys").chmod(0o644)
    assert "chmod 600" in scangate("serve", "--replay", "nowhere", "--key-file", "keys").err
    (project / "keys").chmod(0o600)
    assert "chmod 600" not in scangate("serve", "--replay", "nowhere", "--key-file", "keys").err
