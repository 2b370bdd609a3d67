"""A server in a process of its own: `python -m tests.local.serving SETTINGS`, and how a test starts one.

It prints its URL and its key as a line of JSON once it takes requests. SETTINGS is a JSON object of ServiceConfig's;
"file_bytes" limits the size of every file that the process writes: a full disk, as far as it can tell.
"""

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scangate.local.config import ServiceConfig
from scangate.local.server import EmbeddedService, run

ROOT = Path(__file__).parent.parent.parent


def main() -> None:
    settings = json.loads(sys.argv[1])
    limit = settings.pop("file_bytes", None)
    paths = {name: Path(settings.pop(name)) for name in ("data_dir", "replay_dir")}

    def ready(service: EmbeddedService) -> None:
        print(json.dumps({"url": service.url, "key": service.key}), flush=True)
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    run(ServiceConfig(**paths, **settings), ready)


class Server:
    """A started server process."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        self.process = process
        line = process.stdout.readline()
        assert line, f"no server: {process.communicate()[1]}"
        said = json.loads(line)
        self.url: str = said["url"]
        self.key: str = said["key"]


@contextmanager
def serving(**settings: object) -> Iterator[Server]:
    """A server process, killed at the end if it still runs."""
    command = [sys.executable, "-m", "tests.local.serving", json.dumps(settings, default=str)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield Server(process)
        finally:
            process.kill()


if __name__ == "__main__":
    main()
