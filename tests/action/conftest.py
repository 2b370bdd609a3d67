"""The action in a job: real repositories, the real check in its own process, the embedded service behind it."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.action.events import Project
from tests.action.runner import ActionResult, Job, Outputs
from tests.cli.conftest import Replay, replay, serve
from tests.conftest import ROOT

__all__ = ["replay", "serve"]


@dataclass
class Cache:
    """What stands for actions/cache."""

    restored: list[Mapping[str, str]] = field(default_factory=list)
    saved: list[Mapping[str, str]] = field(default_factory=list)

    def restore(self, arguments: Mapping[str, str]) -> Outputs:
        self.restored.append(arguments)
        return {}

    def save(self, arguments: Mapping[str, str]) -> Outputs:
        assert Path(arguments["path"]).is_dir()
        self.saved.append(arguments)
        return {}


@dataclass(frozen=True)
class Workshop:
    """Runs the action; its installation is this interpreter's."""

    job: Job
    cache: Cache
    inputs: Mapping[str, str]

    def run(self, **inputs: str) -> ActionResult:
        """Inputs by name with `_` for `-`, over those of the service."""
        own = {name.replace("_", "-"): value for name, value in inputs.items()}
        return self.job.run(ROOT, {**self.inputs, **own})

    def at(self, checkout: Path, github: Mapping[str, Any]) -> "Workshop":
        return replace(self, job=replace(self.job, workspace=checkout, github={**self.job.github, **github}))


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("made"))


@pytest.fixture
def project(tmp_path: Path, made: Project) -> Project:
    return made.copy(tmp_path / "project")


@pytest.fixture
def offline(tmp_path: Path, own_world: Path) -> Workshop:
    """Without a service, in an empty workspace."""
    temporary, workspace = tmp_path / "temp", tmp_path / "workspace"
    temporary.mkdir()
    workspace.mkdir()
    cache = Cache()
    kept = temporary / "scangate-cache"
    kept.mkdir(mode=0o700)
    github = {
        "token": "ghs_example",
        "repository": "example/shop",
        "server_url": "https://github.example",
        "api_url": "https://github.example/api/v3",
        "run_id": "7",
        "run_attempt": "1",
        "actor": "somebody",
    }
    job = Job(
        workspace=workspace,
        temporary=temporary,
        github=github,
        environ={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(own_world)},
        stubs={"actions/cache/restore": cache.restore, "actions/cache/save": cache.save},
        known={"install": {"python": sys.executable, "cache": str(kept), "fresh": "true", "id": "a1"}},
    )
    return Workshop(job, cache, {})


@pytest.fixture
def workshop(offline: Workshop, replay: Replay) -> Workshop:
    """With the service of `make demo`."""
    return replace(offline, inputs={"api-url": replay.service.url, "api-key": replay.service.key})
