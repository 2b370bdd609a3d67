"""pre-commit as people have it: a clone of this repository's product, its environment made once, commits by git."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from scangate.local.config import ServiceConfig
from scangate.local.server import EmbeddedService
from tests.changes.ci_fixtures.packages import ALSO, CLEAN, lock
from tests.changes.ci_fixtures.repos import Repository
from tests.cli.conftest import RECORDED
from tests.conftest import ROOT

PRODUCT = ("scangate", ".pre-commit-hooks.yaml", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md")


@dataclass(frozen=True)
class Hooks:
    """The repository that the configuration names, and the environment of pre-commit and git."""

    repository: Repository
    revision: str
    environ: dict[str, str]

    @property
    def config(self) -> str:
        hooks = "".join(f"      - id: {name}\n" for name in ("scangate", "scangate-push"))
        return f"repos:\n  - repo: {self.repository.folder}\n    rev: {self.revision}\n    hooks:\n{hooks}"


@pytest.fixture(scope="session")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> Hooks:
    """Installed once for all tests, those of other test processes included: pip takes its time."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with open(shared / "hooks.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        return _made(shared / "hooks")


def _made(folder: Path) -> Hooks:
    environ = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder / "home"),
        "LANG": "C.UTF-8",
        "PRE_COMMIT_HOME": str(folder / "pre-commit"),
        "PIP_CACHE_DIR": str(folder / "pip"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "GIT_CONFIG_GLOBAL": str(folder / "gitconfig"),
        "GIT_CONFIG_SYSTEM": os.devnull,
    }
    repository = Repository(folder / "scangate")
    if repository.folder.exists():
        return Hooks(repository, repository.head, environ)
    Repository.new(repository.folder)
    (folder / "home").mkdir()
    (folder / "gitconfig").write_text(
        "[user]\nname = Example\nemail = dev@example.com\n[protocol.file]\nallow = always\n"
    )
    for name in PRODUCT:
        source, target = ROOT / name, repository.folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    made = Hooks(repository, repository.commit(), environ)
    user = Repository.new(folder / "first")
    user.commit({".pre-commit-config.yaml": made.config})
    command = [sys.executable, "-m", "pre_commit", "install-hooks"]
    done = subprocess.run(command, cwd=user.folder, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return made


@dataclass(frozen=True)
class Ran:
    code: int
    out: str


@dataclass(frozen=True)
class Developer:
    """A clone with the hooks installed, and somebody who uses git in it."""

    repository: Repository
    remote: Repository
    environ: dict[str, str]

    def run(self, *command: str, **environ: str) -> Ran:
        done = subprocess.run(
            command,
            cwd=self.repository.folder,
            env={**self.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Ran(done.returncode, done.stdout)

    def git(self, *arguments: str, **environ: str) -> Ran:
        return self.run("git", *arguments, **environ)

    def pre_commit(self, *arguments: str, **environ: str) -> Ran:
        return self.run(sys.executable, "-m", "pre_commit", *arguments, **environ)

    def write(self, **files: str) -> None:
        self.repository.write({name.replace("__", "/"): content for name, content in files.items()})

    def commit_past_the_hook(self, files: dict[str, str | bytes]) -> None:
        self.repository.write(files)
        self.git("add", "-A")
        assert self.git("commit", "-q", "--no-verify", "-m", "Past the hook").code == 0

    @property
    def head(self) -> str:
        return self.repository.head


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedService]:
    """The analysis service, with recorded reports."""
    config = ServiceConfig(data_dir=tmp_path_factory.mktemp("service"), replay_dir=RECORDED, rate_limit=None)
    with EmbeddedService(config) as running:
        yield running


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The variables that name such a service, where the analysis of ALSO takes longer than somebody waits."""
    shutil.copytree(RECORDED, tmp_path / "recorded")
    (tmp_path / "recorded" / "replay.json").write_text(json.dumps({"recordings": [{"purl": ALSO, "delay": 6}]}))
    config = ServiceConfig(data_dir=tmp_path / "service", replay_dir=tmp_path / "recorded", rate_limit=None)
    with EmbeddedService(config) as running:
        yield {"SCANGATE_API_URL": running.url, "SCANGATE_API_KEY": running.key}


@pytest.fixture
def developer(tmp_path: Path, hooks: Hooks, service: EmbeddedService) -> Developer:
    """On a branch of their own, in a folder whose name has spaces and more letters than ASCII."""
    remote = Repository.new(tmp_path / "remote")
    remote.commit({".pre-commit-config.yaml": hooks.config, "package-lock.json": lock(CLEAN)})
    clone = remote.clone(tmp_path / "Ein Projekt für später")
    clone.git("checkout", "-q", "-b", "feature")
    environ = {
        **hooks.environ,
        "SCANGATE_API_URL": service.url,
        "SCANGATE_API_KEY": service.key,
        "SCANGATE_CACHE_DIR": str(tmp_path / "cache"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }
    made = Developer(clone, remote, environ)
    stages = ("pre-commit", "pre-merge-commit", "pre-push")
    installed = made.pre_commit("install", *(f"--hook-type={stage}" for stage in stages))
    assert installed.code == 0, installed.out
    return made
