from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Protocol

import pytest

from scangate.local.fetch.base import Fetched, Hint
from scangate.local.fetch.fetcher import PackageFetcher
from scangate.local.fetch.upstream import Upstream
from scangate.local.jobs import Job
from scangate.models.analysis import Engine
from tests.local.fetch.registry import Registry, running


@pytest.fixture
def registry() -> Iterator[Registry]:
    with running() as server:
        yield server


@pytest.fixture
def fetcher(registry: Registry) -> Iterator[PackageFetcher]:
    upstream = Upstream(pause_seconds=0.01)
    fetcher = PackageFetcher(npm=f"{registry.url}/npm", pypi=f"{registry.url}/simple", upstream=upstream)
    yield fetcher
    fetcher.close()


class Fetch(Protocol):
    def __call__(
        self, purl: str, hint: Hint = ..., *, archive: Path | None = ..., filename: str | None = ...
    ) -> Fetched: ...


@pytest.fixture
def fetch(fetcher: PackageFetcher, tmp_path: Path) -> Fetch:
    def run(purl: str, hint: Hint = Hint(), *, archive: Path | None = None, filename: str | None = None) -> Fetched:  # noqa: B008  # frozen
        job = Job(task_id=1, purl=purl, engine=Engine.DYNAMIC_ANALYSIS, archive=archive, filename=filename)
        directory = tmp_path / "fetched"
        directory.mkdir()
        return fetcher.fetch(job, hint, directory, Event())

    return run
