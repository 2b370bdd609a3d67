"""An ordinary user to run things as, also where the tests' user is root."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT

SYSTEM_PYTHON = "/usr/bin/python3"
ENVIRON = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "PYTHONPATH": str(ROOT),
    "PYTHONDONTWRITEBYTECODE": "1",
}


def python() -> tuple[list[str], str]:
    """(the command that makes one an ordinary user, a Python for it). Skips the test where there is none."""
    if os.geteuid() != 0:
        return [], sys.executable
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    probe = [*command, SYSTEM_PYTHON, "-c", "import sys; assert sys.version_info >= (3, 11); import scangate.errors"]
    if shutil.which(SYSTEM_PYTHON) is None or subprocess.run(probe, env=ENVIRON, check=False).returncode != 0:
        pytest.skip("another user has no Python 3.11 here, or cannot read this checkout")
    return command, SYSTEM_PYTHON
