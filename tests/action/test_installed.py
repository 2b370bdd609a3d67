"""The whole action, installed from the public package index as it is in a job."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.action.conftest import Workshop
from tests.action.events import Project
from tests.action.planted import plant
from tests.conftest import INDEX


@pytest.mark.index
def test_installed_by_hash_next_to_planted_files_it_blocks_what_is_harmful(
    project: Project, workshop: Workshop, tmp_path: Path
) -> None:
    marker = tmp_path / "ran"
    project.remote.git("checkout", "-q", "feature")
    plant(project.remote.folder, marker)
    project.commit({})
    started = project.pull_request(project.harmful)
    path = f"{workshop.job.environ['PATH']}:{sys.base_prefix}/bin"
    environ = {**workshop.job.environ, **INDEX, "PATH": path}
    job = replace(workshop.job, known={}, environ=environ, temporary=tmp_path / "für runner")
    job.temporary.mkdir()
    result = replace(workshop, job=job).at(started.checkout, started.github).run()
    assert not marker.exists(), marker.read_text()
    assert (result.conclusion, result.outputs["verdict"]) == ("failure", "blocked"), result.log
    python = Path(result.step("Install scangate").outputs["python"])
    assert python.is_relative_to(job.temporary)
    assert result.environment == ""
    (restored,) = workshop.cache.restored
    assert restored["path"] == result.step("Install scangate").outputs["cache"]
