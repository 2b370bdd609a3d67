"""Run real packages several times in the sandbox of this machine, and compare what was observed.

python -m tools.local_repeat [--runs N] [PURL ...]     ends with 1 where two runs of a package differ; shows how

Needs the public registries and what `scangate doctor` asks for. Byte for byte the reports may differ in what a program
prints (a duration, say); what counts is what is observed, which is what rules are about.
"""

import argparse
import difflib
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from threading import Event

from scangate import purls
from scangate.local.engines.dynamic import DynamicEngine, new_baits
from scangate.local.fetch.fetcher import PackageFetcher
from scangate.local.jobs import COMPLETED, Job
from scangate.local.sandbox.bubblewrap import BubblewrapSandbox
from scangate.models.analysis import Analysed, Engine
from scangate.reports import reader

RUNS = 3
NPM = "core-js@3.42.0 esbuild@0.25.4 husky@9.1.7 sharp@0.34.1 express@5.1.0 bcrypt@6.0.0 ssh2@1.16.0 protobufjs@7.5.2"
PYPI = "docopt@0.6.2 black@25.1.0 numpy@2.2.6 requests@2.32.3 pytest@8.3.5 setuptools@80.8.0 cffi@1.17.1"


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("purls", nargs="*", default=[*_purls(purls.npm, NPM), *_purls(purls.pypi, PYPI)])
    args = parser.parse_args(argv)
    baits, differing = new_baits(), []
    fetcher = PackageFetcher()
    try:
        engine = DynamicEngine(BubblewrapSandbox(), fetcher, {}, baits=lambda: baits)
        for purl in args.purls:
            runs = [observed(engine, purl) for _ in range(args.runs)]
            different = [run for run in runs if run != runs[0]]
            print(f"{purl}: {len(runs[0])} observations, {'equal' if not different else 'DIFFERENT'}", flush=True)
            for run in different[:1]:
                print("\n".join(list(difflib.unified_diff(runs[0], run, lineterm="", n=0))[:40]))
            differing += [purl] if different else []
    finally:
        fetcher.close()
    print(f"{len(args.purls)} packages, {args.runs} runs each: {len(differing)} with differences")
    return 1 if differing else 0


def _purls(make: Callable[[str, str], str], listed: str) -> list[str]:
    return [make(*each.split("@")) for each in listed.split()]


def observed(engine: DynamicEngine, purl: str) -> list[str]:
    """What one run showed and fell short of, one a line, sorted."""
    outcome = engine.analyse(Job(task_id=1, purl=purl, engine=Engine.DYNAMIC_ANALYSIS), Event())
    if outcome.status != COMPLETED or outcome.report is None:
        raise SystemExit(f"{purl}: not analysed: {outcome.error_message}")
    result = reader.read(
        outcome.report, purl=purl, engine=Engine.DYNAMIC_ANALYSIS, now=datetime.now(UTC), max_age_days=1
    )
    assert isinstance(result, Analysed), result
    return sorted(map(repr, (*result.observations, *result.shortfalls)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
