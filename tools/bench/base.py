"""A commit that changes little costs little: `scangate check` against a base, beside `python -c "import argparse"`.

A package-lock of 2,800 entries in a real repository: the same as in the base (at most ×4), changed with nothing new
(×8), with 20 packages that are new and whose reports are cached (×12). Each run is a process and takes turns with the
bare interpreter; the fastest of each side are compared: what a busy machine adds is not scangate's. Then 200 lockfiles
at once, all of them changed: at most 3 s and 200 MB.

Usage: base.py [ROUNDS]. Exit 1 where a limit is passed.
"""

import base64
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from scangate import lockfiles as formats
from scangate import purls
from scangate.changes.worktree import WorkTree
from scangate.models.analysis import AnalysisRequest, Report
from scangate.registries import NO_REGISTRIES
from scangate.service.cache import Cache, Entry
from tools.bench.lockfiles import package_lock

ENTRIES, NEW = 2_800, 20
LIMITS = {"unchanged": 4.0, "changed, nothing new": 8.0, f"{NEW} new, all cached": 12.0}
MANY, MANY_SECONDS, MANY_BYTES = 200, 3.0, 200 * 10**6
ENTRIES_OF_MANY = 300
SERVICE = "https://api.scangate.example"
LOCK = "package-lock.json"
VERSION = "77.0.0"


@dataclass(frozen=True, slots=True)
class Project:
    """A repository with one commit, and the environment in which scangate runs there."""

    folder: Path
    environ: Mapping[str, str]

    @classmethod
    def of(cls, folder: Path, files: Mapping[str, bytes]) -> "Project":
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder.parent),
            "SCANGATE_CACHE_DIR": str(folder.parent / "cache"),
            "SCANGATE_API_URL": SERVICE,
        }
        project = cls(folder, environ)
        project.write(files)
        for command in (
            ("init", "--quiet", "--initial-branch=main"),
            ("add", "."),
            ("-c", "user.name=b", "-c", "user.email=b@example.com", "commit", "--quiet", "--message=base"),
        ):
            subprocess.run(("git", *command), cwd=folder, env=environ, check=True)
        return project

    def write(self, files: Mapping[str, bytes]) -> None:
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def check(self, *options: str) -> tuple[float, int]:
        """Seconds and the most memory in bytes that `scangate check --base HEAD` takes; it has to pass."""
        argv = [sys.executable, "-m", "scangate", "check", "--base", "HEAD", "--quiet", *options]
        return measured(argv, self.folder, self.environ)


def measured(argv: list[str], cwd: Path, environ: Mapping[str, str]) -> tuple[float, int]:
    began = time.perf_counter()
    process = subprocess.Popen(argv, cwd=cwd, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    taken = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(argv)}: exit code {process.returncode}")
    return taken, used.ru_maxrss * 1024


def without_some(content: bytes) -> bytes:
    """Packages removed: the file is another one, and nothing in it is new."""
    document = json.loads(content)
    for place in [place for place in document["packages"] if place][-5:]:
        del document["packages"][place]
    return json.dumps(document, indent=2).encode()


def with_upgrades(content: bytes) -> bytes:
    """NEW packages at a version that was not there."""
    document = json.loads(content)
    places = [place for place in document["packages"] if place.count("node_modules/") == 1]
    for place in places[:: len(places) // NEW][:NEW]:
        entry = document["packages"][place]
        entry["resolved"] = entry["resolved"].replace(f"-{entry['version']}.tgz", f"-{VERSION}.tgz")
        entry["version"] = VERSION
        digest = base64.b64encode(hashlib.sha512(place.encode()).digest()).decode()
        entry["integrity"] = f"sha512-{digest}"
    return json.dumps(document, indent=2).encode()


def report(purl: str) -> Report:
    """About 13 kB, as most real ones: files and a command, nothing that a rule is for."""
    parsed = purls.parse(purl)
    files = [
        {"Path": f"/app/node_modules/{parsed.package_name}/lib/module-{number}.js", "Read": True, "Write": True}
        for number in range(60)
    ]
    phase = {"Status": "completed", "Commands": [{"Command": ["node", "index.js"], "Environment": []}], "Files": files}
    document = {
        "Package": {"Ecosystem": "npm", "Name": parsed.package_name, "Version": parsed.version},
        "CreatedTimestamp": int(time.time()) - 86400,
        "Analysis": {"install": phase, "import": phase},
    }
    return Report(payload=json.dumps(document).encode(), task_id=1)


def fill_cache(project: Project) -> None:
    """With a report on every package of the project that is new."""
    found = formats.read(LOCK, "npm-package-lock", WorkTree(project.folder), NO_REGISTRIES)
    place = Path(project.environ["SCANGATE_CACHE_DIR"])
    cache = Cache(place, workspace=None, clock=time.time, warn=sys.exit)
    for one in found.dependencies:
        if one.version == VERSION and one.purl is not None:
            request = AnalysisRequest(purl=one.purl, integrity=(one.integrity,))
            cache.keep(Entry(analyser=SERVICE, request=request), report(one.purl))
    cache.close()


def alternating(project: Project, rounds: int) -> tuple[float, float]:
    """The fastest of each, in seconds: the bare interpreter's, and ours."""
    bare = [sys.executable, "-c", "import argparse"]
    project.check()
    pairs = [(measured(bare, project.folder, project.environ)[0], project.check()[0]) for _ in range(rounds)]
    low, high = (min(column) for column in zip(*pairs, strict=True))
    return low, high


def one_lockfile(folder: Path, rounds: int) -> bool:
    content = package_lock(ENTRIES)
    project = Project.of(folder / "one", {LOCK: content})
    over = False
    for (name, limit), changed in zip(
        LIMITS.items(), (content, without_some(content), with_upgrades(content)), strict=True
    ):
        project.write({LOCK: changed})
        fill_cache(project)
        low, high = alternating(project, rounds)
        over |= high / low > limit
        times = f"check --base {high * 1000:.0f} ms, import argparse {low * 1000:.0f} ms"
        print(f"base: {ENTRIES} entries, {name}: {times}: ×{high / low:.1f} (limit ×{limit:g})")
    return over


def many_lockfiles(folder: Path, rounds: int) -> bool:
    files = {f"part-{number}/{LOCK}": package_lock(ENTRIES_OF_MANY, seed=number) for number in range(MANY)}
    project = Project.of(folder / "many", files)
    over = False
    for what, change in (("nothing new", without_some), (f"{NEW} new in each", with_upgrades)):
        project.write({name: change(content) for name, content in files.items()})
        runs = [project.check("--dry-run") for _ in range(rounds)]
        seconds, memory = statistics.median(run[0] for run in runs), max(run[1] for run in runs)
        over |= seconds > MANY_SECONDS or memory > MANY_BYTES
        print(
            f"base: {MANY} changed lockfiles of {ENTRIES_OF_MANY} entries, {what}: {seconds:.1f} s "
            f"(limit {MANY_SECONDS:g} s), {memory / 1e6:.0f} MB (limit {MANY_BYTES / 1e6:.0f} MB)"
        )
    return over


def main(rounds: int = 11) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        over = one_lockfile(Path(folder), rounds)
        return many_lockfiles(Path(folder), 3) or over


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
