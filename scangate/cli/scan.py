"""`scangate scan`: one package or one archive, analysed and judged like any dependency."""

import argparse
from collections.abc import Mapping, Sequence

from scangate.cli import analysis, formats, options, project
from scangate.cli.context import Context
from scangate.errors import UsageError
from scangate.models.analysis import AnalysisRequest, Answer, Engine
from scangate.models.verdict import Verdict


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        metavar="PURL|ARCHIVE",
        help="a package of a public registry (pkg:npm/axios@1.14.0), or an archive on disk, which is uploaded",
    )
    parser.add_argument("--purl", help="which package the archive is (default: what the archive itself says)")
    parser.add_argument("--github-url", metavar="URL", help="the source repository of the archive (for lastpymile)")
    options.add_options(parser)
    project.add_policy_option(parser)
    formats.add_option(parser)


def run(args: argparse.Namespace, context: Context) -> int:
    from scangate import pipeline
    from scangate.service.base import Interrupted

    targets = formats.parse(args.formats, context.cwd)
    elapsed = context.stopwatch()
    policy = project.load_policy(args.policy, context)
    chosen = analysis.plan(args, policy)
    request = _request(args, context)
    _check_taken(request.purl, chosen.engines)
    requests = [AnalysisRequest(purl=request.purl, engine=engine, archive=request.archive) for engine in chosen.engines]
    setup = analysis.run_of(context, policy, chosen, elapsed)

    def judged(answers: Mapping[AnalysisRequest, Answer]) -> Verdict:
        results = tuple(pipeline.observe(setup, each, answers.get(each)) for each in requests)
        return pipeline.judge(setup, [pipeline.subject_of(request.purl, results)], (), {})

    try:
        verdict = judged(analysis.analyser(context, chosen, setup).analyse(requests))
    except Interrupted as exc:
        formats.emit(pipeline.stopped(judged(exc.answers)), targets, context)
        raise
    return formats.emit(verdict, targets, context)


def _request(args: argparse.Namespace, context: Context) -> AnalysisRequest:
    from scangate import purls
    from scangate.cli import archives

    if args.what.startswith("pkg:"):
        if args.purl or args.github_url:
            raise UsageError(
                "--purl and --github-url say more about an archive.", "Leave them out, or name an archive."
            )
        return AnalysisRequest(purl=str(purls.submittable(args.what)))
    if args.github_url and not args.github_url.startswith("https://"):
        raise UsageError(f"--github-url {args.github_url}: not an https:// URL.", "Use https://github.com/OWNER/NAME.")
    archive = archives.load(context.cwd / args.what, args.what, args.github_url)
    purl = str(purls.submittable(args.purl)) if args.purl else archives.purl_of(archive)
    return AnalysisRequest(purl=purl, engine=Engine.DYNAMIC_ANALYSIS, archive=archive)


def _check_taken(purl: str, engines: Sequence[Engine]) -> None:
    """The one thing that is asked for must not pass because nobody was asked. Raises UsageError."""
    from scangate import purls

    ecosystem = purls.parse(purl).ecosystem
    if not any(engine.takes(ecosystem) for engine in engines):
        named = " and ".join(engines)
        raise UsageError(f"{purl}: {named} does not take {ecosystem} packages.", "Name an engine that does: --engine.")
