"""Coverage of the supervisor: it runs in namespaces of its own, without this process's environment or user."""

import base64
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from scangate.local.sandbox import driver

_CONFIG = "COVERAGE_PROCESS_CONFIG"


@pytest.fixture(scope="session", autouse=True)
def measured_supervisors() -> Iterator[None]:
    """Where coverage is measured, supervisors write theirs to a folder that any user may write to; it is moved then."""
    if _CONFIG not in os.environ:
        yield
        return
    config = json.loads(base64.b64decode(os.environ[_CONFIG]))
    data_file = Path(config["data_file"])
    # Not below /tmp: the supervisor has another one.
    with tempfile.TemporaryDirectory(prefix=".coverage-sandbox-", dir=data_file.parent) as name:
        folder = Path(name)
        folder.chmod(0o777)
        config["data_file"] = str(folder / data_file.name)
        driver._ENVIRON[_CONFIG] = base64.b64encode(json.dumps(config).encode()).decode()
        yield
        del driver._ENVIRON[_CONFIG]
        for made in folder.iterdir():
            made.replace(data_file.parent / made.name)
