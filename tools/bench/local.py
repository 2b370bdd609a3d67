"""`--local` on real packages: time in the sandbox by kind, and 20 packages from fetching to report with two workers.

Needs the public registries and what `scangate doctor` asks for. Seconds, because issue and users count in seconds.
"""

import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

from scangate import purls
from scangate.local.engines.dynamic import DynamicEngine
from scangate.local.fetch.fetcher import PackageFetcher
from scangate.local.jobs import COMPLETED, Job
from scangate.local.sandbox import doctor
from scangate.local.sandbox.base import PhaseTrace, Plan
from scangate.local.sandbox.bubblewrap import BubblewrapSandbox
from scangate.local.turns import InTurns
from scangate.models.analysis import Engine

NPM = (
    "ms@2.1.3",
    "lodash@4.17.21",
    "chalk@5.4.1",
    "commander@13.1.0",
    "semver@7.7.2",
    "uuid@11.1.0",
    "husky@9.1.7",
    "kleur@4.1.5",
    "nanoid@5.1.5",
    "picocolors@1.1.1",
    "left-pad@1.3.0",
    "core-js@3.42.0",
)
PYPI = (
    "certifi@2025.4.26",
    "idna@3.10",
    "urllib3@2.4.0",
    "click@8.1.8",
    "attrs@25.3.0",
    "requests@2.32.3",
    "packaging@25.0",
    "six@1.17.0",
)
WORKERS = 2
LIMITS = {"npm": 1.0, "pypi": 5.0}
MOST_TOGETHER = 60.0


class Timed:
    """A sandbox that notes how long each job took, without waiting for its turn."""

    def __init__(self) -> None:
        self._sandbox = BubblewrapSandbox()
        self.seconds: list[float] = []

    def run(self, plan: Plan, stop: Event) -> tuple[PhaseTrace, ...]:
        began = time.perf_counter()
        try:
            return self._sandbox.run(plan, stop)
        finally:
            self.seconds.append(time.perf_counter() - began)


def main() -> bool:
    if problems := doctor.problems():
        print("local: not measured here: " + "; ".join(problem.what for problem in problems))
        return False
    over = False
    everything: dict[str, Timed] = {}
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for kind, make, names in (("npm", purls.npm, NPM), ("pypi", purls.pypi, PYPI)):
            packages = [make(*name.split("@")) for name in names]
            timed = everything[kind] = Timed()
            fetcher = PackageFetcher()
            engine = DynamicEngine(InTurns(timed, WORKERS), fetcher, {}, workspace=Path(folder))
            with ThreadPoolExecutor(WORKERS + 2) as pool:
                outcomes = list(pool.map(lambda each, engine=engine: _analyse(engine, each), packages))
            fetcher.close()
            failed = [purl for purl, status in zip(packages, outcomes, strict=True) if status != COMPLETED]
            if failed:
                raise SystemExit(f"not analysed: {', '.join(failed)}")
    together = time.perf_counter() - began
    for kind, timed in everything.items():
        median = statistics.median(timed.seconds)
        over |= median > LIMITS[kind]
        print(f"local: {kind}: median {median:.2f} s in the sandbox, two at once (limit {LIMITS[kind]:.0f} s)")
    count = len(NPM) + len(PYPI)
    what = f"{count} packages with {WORKERS} workers, fetched and analysed"
    print(f"local: {what}: {together:.0f} s (limit {MOST_TOGETHER:.0f} s)")
    return over or together > MOST_TOGETHER


def _analyse(engine: DynamicEngine, purl: str) -> str:
    return engine.analyse(Job(task_id=1, purl=purl, engine=Engine.DYNAMIC_ANALYSIS), Event()).status


if __name__ == "__main__":
    sys.exit(main())
