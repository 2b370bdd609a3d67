"""The command line in process, and the embedded service behind it."""

import io
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scangate.cli.context import Context
from scangate.cli.main import run
from scangate.local.config import ServiceConfig
from scangate.local.server import EmbeddedService
from tests.conftest import ROOT

RECORDED = ROOT / "examples" / "recorded"


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        return document


Scangate = Callable[..., Result]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def scangate(project: Path, own_world: Path) -> Scangate:
    """Run one command in the project's folder; keyword arguments are environment variables."""

    def call(*argv: str, cwd: Path = project, **environ: str) -> Result:
        out, err = io.StringIO(), io.StringIO()
        home = {"HOME": str(own_world), "PATH": "/usr/local/bin:/usr/bin:/bin"}
        code = run(list(argv), Context(environ={**home, **environ}, cwd=cwd, stdout=out, stderr=err))
        return Result(code, out.getvalue(), err.getvalue())

    return call


@dataclass(frozen=True)
class Replay:
    """An embedded service, and what a client must be told of it."""

    service: EmbeddedService
    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        return {"SCANGATE_API_URL": self.service.url, "SCANGATE_API_KEY": self.service.key}


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Replay]]:
    """Start an embedded service on recorded reports; the script is replay.json's content."""
    running: list[EmbeddedService] = []

    def start(script: dict[str, object] | None = None, recorded: Path = RECORDED, **config: object) -> Replay:
        folder = tmp_path / f"replay-{len(running)}"
        shutil.copytree(recorded, folder)
        if script is not None:
            (folder / "replay.json").write_text(json.dumps(script))
        settings = ServiceConfig(data_dir=tmp_path / f"data-{len(running)}", replay_dir=folder, **config)  # type: ignore[arg-type]  # what a test wants to set
        service = EmbeddedService(settings)
        service.__enter__()
        running.append(service)
        return Replay(service, folder)

    yield start
    for service in running:
        service.__exit__(None, None, None)


@pytest.fixture
def replay(serve: Callable[..., Replay]) -> Replay:
    """The service of `make demo`."""
    return serve()


def example(name: str, project: Path) -> Path:
    """A copy of an example project."""
    shutil.copytree(ROOT / "examples" / name, project, dirs_exist_ok=True)
    return project
