"""Microsoft's SARIF validator: fetched through npm once, pinned by tools/sarif/package-lock.json, kept in the venv."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

_PINNED = ROOT / "tools" / "sarif"
_NOWHERE = "http://127.0.0.1:9"

RUNS_A_FILE = 20
"""GitHub takes no more, and its rules say so."""


class NotAvailableError(Exception):
    """The validator cannot be had here; the text says why."""


@dataclass(frozen=True)
class Multitool:
    program: Path
    schema: Path

    def judge(self, logs: Sequence[str], folder: Path) -> list[str]:
        """What it says, at the levels error and warning, about single-run logs: "GH1015: text" each.

        Many runs are put into one file: the program takes a second to start, and half a second for each file.
        """
        runs = [run for log in logs for run in json.loads(log)["runs"]]
        assert len(runs) == len(logs)
        files = []
        for number in range(0, len(runs), RUNS_A_FILE):
            whole = {**json.loads(logs[0]), "runs": runs[number : number + RUNS_A_FILE]}
            files.append(folder / f"{number}.sarif")
            files[-1].write_text(json.dumps(whole, indent=2))
        written = folder / "said.sarif"
        done = subprocess.run(
            [self.program, "validate", *files, "--rule-kind", "Sarif;Ghas", "--output", written],
            # It would fetch each URI that it sees, to find out whether it can be reached.
            env={"HOME": os.environ["HOME"], "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1", "HTTPS_PROXY": _NOWHERE},
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert f"{len(files)} files scanned" in done.stdout, done.stdout
        (said,) = json.loads(written.read_text())["runs"]
        assert said["invocations"][0]["executionSuccessful"]
        return [f"{each['ruleId']}: {_text(said, each)}" for each in said.get("results", [])]


def _text(said: dict[str, Any], result: dict[str, Any]) -> str:
    message = result["message"]
    return str(message.get("text") or (message.get("id"), message.get("arguments"), result["locations"]))


def fetch() -> Multitool:
    """Installed where it is not yet. Raises NotAvailableError."""
    lock = hashlib.sha256((_PINNED / "package-lock.json").read_bytes()).hexdigest()[:12]
    home = Path(sys.prefix) / "sarif-multitool" / lock
    home.parent.mkdir(exist_ok=True)
    with open(home.parent / ".lock", "w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not home.is_dir():
            _install(home)
    package = home / "node_modules" / "@microsoft" / f"sarif-multitool-{sys.platform}"
    program = package / "Sarif.Multitool"
    if not program.is_file():
        raise NotAvailableError(f"it has no program for {sys.platform}")
    return Multitool(program, package / "sarif-2.1.0.json")


def _install(home: Path) -> None:
    with tempfile.TemporaryDirectory(dir=home.parent) as name:
        for file in ("package.json", "package-lock.json"):
            shutil.copy(_PINNED / file, name)
        done = subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--cache", f"{name}/cache"],
            cwd=name,
            capture_output=True,
            text=True,
            timeout=600,
        )
        if done.returncode != 0:
            raise NotAvailableError(f"npm ci failed: {done.stderr[-500:]}")
        shutil.rmtree(f"{name}/cache", ignore_errors=True)
        for program in Path(name).glob("node_modules/@microsoft/*/Sarif.Multitool"):
            program.chmod(0o755)
        Path(name).rename(home)
        Path(name).mkdir()  # for the context manager to remove
