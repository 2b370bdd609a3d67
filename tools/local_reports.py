"""Make tests/assets/reports/local: what the sandbox of this machine reports of real packages and of synthetic malware.

python -m tools.local_reports    all of them; takes some minutes, needs the sandbox and the public registries

`make rules-report` judges them offline. The packages are those of `tools.local_table`; each report is stored as the
service gives it, compressed, without the run's own times in the archive, so that the same report is the same bytes.
"""

import argparse
import gzip
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from scangate import pipeline
from scangate.cli import analysis, archives, local, options
from scangate.cli.context import Context
from scangate.models.analysis import AnalysisRequest, Report
from scangate.policy import loader
from tests import synthetic
from tools import local_table

FOLDER = Path(__file__).resolve().parent.parent / "tests" / "assets" / "reports" / "local"
BENIGN, MALICIOUS = FOLDER / "benign", FOLDER / "malicious"


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        wanted = dict.fromkeys(local_table.requests(), BENIGN)
        wanted |= dict.fromkeys(_synthetic(Path(scratch)), MALICIOUS)
        missing = _store(wanted)
    for purl in missing:
        print(f"no report: {purl}", file=sys.stderr)
    return 1 if missing else 0


def _synthetic(scratch: Path) -> Iterator[AnalysisRequest]:
    for name in synthetic.names():
        path = synthetic.build(name, scratch)
        archive = archives.load(path, path.name, None)
        yield AnalysisRequest(purl=archives.purl_of(archive), archive=archive)


def _store(wanted: Mapping[AnalysisRequest, Path]) -> Sequence[str]:
    """The purls of which there is no report."""
    context, policy = Context(), loader.default()
    parser = argparse.ArgumentParser()
    options.add_options(parser)
    plan = analysis.plan(parser.parse_args(["--local", "--no-cache"]), policy)
    run = pipeline.Run(
        policy=policy, engines=policy.engines, now=context.now(), elapsed=context.stopwatch(), analyser_name=local.NAME
    )
    answers = analysis.analyser(context, plan, run).analyse(list(wanted))
    missing = []
    for request, folder in wanted.items():
        answer = answers.get(request)
        if not isinstance(answer, Report):
            missing.append(request.purl)
            continue
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{_file_name(request.purl)}.json.gz").write_bytes(gzip.compress(answer.payload, mtime=0))
    return missing


def _file_name(purl: str) -> str:
    return purl.removeprefix("pkg:").replace("%40", "@").replace("/", "-").replace("@", "-")


if __name__ == "__main__":
    sys.exit(main())
