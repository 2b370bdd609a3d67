"""What the Markdown tells the owner of the policy to type is typed: it works as it stands."""

import re
import shlex
from pathlib import Path

from tests.cli.conftest import Replay, Result, Scangate, example


def _command(result: Result) -> list[str]:
    (found,) = re.findall(r"`(scangate allow [^`]*)`", result.out)
    name, *arguments = shlex.split(found)
    assert name == "scangate"
    return arguments


def test_the_command_to_allow_a_finding(scangate: Scangate, project: Path, replay: Replay) -> None:
    example("axios-replica", project)
    cached = {**replay.environ, "SCANGATE_CACHE_DIR": str(project.parent / "cache")}
    blocked = scangate("check", "--format", "markdown", "--format", "json=report.json", **cached)
    assert blocked.code == 1
    allowed = scangate(*_command(blocked), **cached)
    assert allowed.code == 0, allowed.err
    again = scangate("check", "--format", "markdown", **cached)
    assert "Allowed by the policy" in again.out


def test_on_another_machine_it_takes_the_run_s_report(scangate: Scangate, project: Path, replay: Replay) -> None:
    example("axios-replica", project)
    blocked = scangate("check", "--no-cache", "--format", "markdown", "--format", "json=report.json", **replay.environ)
    assert "`--verdict report.json`" in blocked.out
    allowed = scangate(*_command(blocked), "--verdict", "report.json", SCANGATE_CACHE_DIR=str(project.parent / "none"))
    assert allowed.code == 0, allowed.err
    again = scangate("check", "--no-cache", "--format", "markdown", **replay.environ)
    assert "Allowed by the policy" in again.out
