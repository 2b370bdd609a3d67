"""`scangate check`: the gate. Lockfiles in, verdict and exit code out."""

import argparse
from collections.abc import Sequence

from scangate.cli import analysis, formats, project, uploads
from scangate.cli.context import Context
from scangate.errors import ExitCode
from scangate.models import AnalysisRequest


def configure(parser: argparse.ArgumentParser) -> None:
    project.add_options(parser)
    parser.add_argument("--all", action="store_true", help="check every dependency (this version always does)")
    analysis.add_options(parser)
    analysis.add_options_for_many(parser)
    formats.add_option(parser)


def run(args: argparse.Namespace, context: Context) -> int:
    from scangate import pipeline
    from scangate.service.base import Interrupted

    targets = formats.parse(args.formats, context.cwd)
    elapsed = context.stopwatch()
    policy = project.load_policy(args.policy, context)
    chosen = analysis.plan(args, policy)
    lockfiles = project.read_lockfiles(args, policy, context)
    setup = analysis.run_of(context, policy, chosen, elapsed)
    subjects = pipeline.group(lockfiles)
    # To another machine only where the policy says so: an archive of the project may be anything.
    archives = uploads.find(subjects, context.cwd) if chosen.local or policy.upload_files else pipeline.NO_UPLOADS
    if args.dry_run:
        requests = pipeline.requests_for(subjects, chosen.engines, archives)
        unanswered = analysis.unanswered(context, chosen, setup, requests)
        return _dry_run(unanswered, chosen, setup.analyser_name, context)
    analyser = analysis.analyser(context, chosen, setup, lockfiles=lockfiles, uploads=archives)
    try:
        verdict = pipeline.check(setup, lockfiles, analyser, archives)
    except Interrupted as exc:
        formats.emit(pipeline.judge(setup, subjects, lockfiles, exc.answers, archives), targets, context)
        raise
    return formats.emit(verdict, targets, context)


def _dry_run(requests: Sequence[AnalysisRequest], chosen: analysis.Plan, service: str, context: Context) -> int:
    from scangate.output import escape

    # As the scheduler has it: the first packages, in the order of the requests.
    packages = list(dict.fromkeys(request.purl for request in requests))
    sent = frozenset(packages[: chosen.max_packages])
    going = [request for request in requests if request.purl in sent]
    for request in going:
        archive = "" if request.archive is None else f" (uploads {escape.terminal(request.archive.filename)})"
        context.stdout.write(f"{request.purl} {request.engine}{archive}\n")
    context.stdout.flush()
    left = f" ({len(packages) - len(sent)} more are over --max-packages)" if len(sent) < len(packages) else ""
    context.say(
        f"scangate: would send {len(going)} requests for {len(sent)} packages{left} "
        f"to {escape.terminal(service)}; nothing was sent."
    )
    return ExitCode.PASS
