"""`scangate evaluate`: the policy applied to saved reports, without a network."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from scangate.cli import formats, project
from scangate.cli.context import Context
from scangate.errors import ReportError, UsageError
from scangate.files import Unreadable, read_bounded
from scangate.models.analysis import MAX_REPORT_BYTES, AnalysisRequest, Report


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reports", metavar="REPORT", nargs="+", type=Path, help="saved reports (JSON), of any engine")
    parser.add_argument(
        "--purl",
        help="the package that the reports must be about; without it each report is taken for the package it names",
    )
    project.add_policy_option(parser)
    formats.add_option(parser)


def run(args: argparse.Namespace, context: Context) -> int:
    from scangate import pipeline

    targets = formats.parse(args.formats, context.cwd)
    policy = project.load_policy(args.policy, context)
    answers = _read(args.reports, args.purl, context)
    setup = pipeline.Run(
        policy=policy,
        engines=(),
        now=context.now(),
        elapsed=context.stopwatch(),
        analyser_name="saved reports",
    )
    observed = {
        request: pipeline.observe(setup, request, report, as_named=args.purl is None)
        for request, report in answers.items()
    }
    subjects = [
        pipeline.subject_of(purl, tuple(seen for request, seen in observed.items() if request.purl == purl))
        for purl in sorted({request.purl for request in answers})
    ]
    return formats.emit(pipeline.judge(setup, subjects, (), {}), targets, context)


def _read(paths: Sequence[Path], purl: str | None, context: Context) -> dict[AnalysisRequest, Report]:
    from scangate import purls
    from scangate.reports import reader

    asked = str(purls.submittable(purl)) if purl is not None else None
    answers: dict[AnalysisRequest, Report] = {}
    for path in paths:
        payload = read_report(context.cwd / path, str(path))
        try:
            request = AnalysisRequest(
                purl=asked or reader.identify(payload).purl,
                engine=reader.engine_of(payload),
            )
        except ReportError as exc:
            raise ReportError(f"{path}: {exc.message}", exc.hint) from exc
        if request in answers:
            raise UsageError(f"{path}: a second report of {request.engine} on {request.purl}.", "Hand in one of them.")
        answers[request] = Report(payload=payload)
    return answers


def read_report(path: Path, shown: str) -> bytes:
    """A saved report, unread. Raises ReportError where there is none, or it is too large."""
    try:
        return read_bounded(path, MAX_REPORT_BYTES).data
    except Unreadable as exc:
        raise ReportError(f"{shown} {exc.reason}.", "Name a saved report.") from exc
