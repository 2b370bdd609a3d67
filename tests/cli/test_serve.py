"""`scangate serve --replay` as a real process, and a check against it."""

import os
import signal
import subprocess
import sys
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


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("--replay", "nowhere"),
        ("--replay", ".", "--port", "70000"),
        ("--replay", ".", "--rate-limit", "many"),
        ("--replay", ".", "--rate-limit", "0"),
    ],
)
def test_wrong_usage(scangate: Scangate, argv: tuple[str, ...]) -> None:
    result = scangate("serve", *argv)
    assert (result.code, result.out) == (2, "")
