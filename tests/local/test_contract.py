"""The contract as a machine reads it: schemathesis against the real server."""

import os
import subprocess
import sys
from pathlib import Path

from tests.local.conftest import StartService

CONTRACT = Path(__file__).parent.parent / "assets" / "service-api" / "openapi.yaml"


def test_schemathesis_finds_no_breach_of_the_contract(start: StartService, tmp_path: Path) -> None:
    """Its own program in a process of its own: its pytest plug-in stays out of this run.

    The check that every schema-valid request is accepted is left out: an unknown gcs_path is rightly refused.
    """
    client = start(rate_limit=None)
    client.ended(client.submit("pkg:npm/left-pad@1.0.0").json()["data"]["task_id"])
    program = Path(sys.executable).with_name("st")
    options = ["--exclude-checks=positive_data_acceptance", "--continue-on-failure", "--max-examples=5", "--seed=1"]
    command = [program, "run", CONTRACT, f"--url={client.service.url}", "-H", f"Authorization: Bearer {client.key}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}

    run = subprocess.run(
        [*command, *options, "--no-color"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert "5 selected / 5 total" in run.stdout
