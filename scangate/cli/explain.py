"""`scangate explain`: what was observed of a package, what each rule made of it, and what decided."""

import argparse
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scangate.cli import project
from scangate.cli.context import Context
from scangate.errors import ExitCode, UsageError
from scangate.models.analysis import Analysed, AnalysisRequest, Engine, Shortfall
from scangate.models.lockfile import Ecosystem, Kind
from scangate.models.verdict import Action, DecidedShortfall, Finding, OutcomeAction, Status, Subject, SubjectVerdict

if TYPE_CHECKING:
    from scangate.cli.lastrun import LastRun
    from scangate.output.verdict_read import ReadPackage
    from scangate.pipeline import Run
    from scangate.policy.model import Policy
    from scangate.policy.trace import Trace
    from scangate.service.cache import Cache
    from scangate.service.cached import History

_NAMED = 3
"""Packages of one line that are named."""
MAX_EVIDENCE = 20
"""Observations that are listed of one finding; with --rule, all are."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        metavar="PURL|LOCKFILE:LINE",
        help="the package, by its purl (or its key, where it has no purl), or by its place in a lockfile",
    )
    parser.add_argument("--rule", metavar="RULE", help="say of this rule alone what it made of each observation")
    parser.add_argument(
        "--verdict",
        metavar="FILE",
        type=Path,
        help="a verdict that another machine kept (`--format json=FILE`), instead of the last run in this project",
    )
    project.add_policy_option(parser)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is at hand of a package. `remarks`: where it comes from, and what is missing, a line each.

    `is_whole`: all that its analyses showed; else only what findings were made of.
    """

    subject: Subject
    remarks: tuple[str, ...]
    is_whole: bool = True


def run(args: argparse.Namespace, context: Context) -> int:
    """3 where nothing is known of the package."""
    from scangate.cli import lastrun

    policy = project.load_policy(args.policy, context)
    if args.rule is not None:
        policy.rule(args.rule)
    last = lastrun.handed_in(args.verdict, context) if args.verdict else lastrun.load(context)
    listed = _listed(args.what, policy, context)
    key = listed.key if listed is not None else _canonical(args.what)
    known = _known(key, listed, last, policy, context)
    if known is None:
        context.show(*_unknown(key, listed, last))
        return ExitCode.INCOMPLETE
    context.show(*_explained(known, policy, args.rule, context))
    return ExitCode.PASS


# ------------------------------------------------------------------------------------------- which package it is


def _listed(what: str, policy: "Policy", context: Context) -> Subject | None:
    """The package at LOCKFILE:LINE; None where `what` is no place. Raises UsageError where nothing stands there."""
    from scangate import pipeline

    path, colon, line = what.rpartition(":")
    if not colon or not re.fullmatch("[0-9]{1,9}", line) or what.startswith("pkg:"):
        return None
    hint = "Name a line of the package's entry, or its purl."
    if (context.cwd / path).is_dir():
        raise UsageError(f"{what}: a folder has no lines.", hint)
    options = argparse.Namespace(paths=[path], lockfile_as=None)
    subjects = pipeline.group(project.read_lockfiles(options, policy, context))
    entries = [(entry.line, subject) for subject in subjects for entry in subject.dependencies]
    nearest = max((start for start, _ in entries if start <= int(line)), default=None)
    if nearest is None or int(line) > (context.cwd / path).read_bytes().count(b"\n") + 1:
        raise UsageError(f"{what}: no package stands there.", hint)
    there = {subject.key: subject for start, subject in entries if start == nearest}
    if len(there) > 1:  # JSON without line breaks
        listed = ", ".join(list(there)[:_NAMED])
        raise UsageError(f"{what}: {len(there)} packages stand in that line.", f"Name one by its purl: {listed} …")
    return next(iter(there.values()))


def _canonical(what: str) -> str:
    """A purl in its canonical form; another key as it is. Raises PurlError; UsageError where it is neither."""
    from scangate import purls

    if what.startswith("pkg:"):
        return str(purls.submittable(what))
    if not re.match(rf"(?:{'|'.join(Kind)}):(?:{'|'.join(Ecosystem)})/", what):
        hint = "Write pkg:TYPE/NAME@VERSION, or LOCKFILE:LINE."
        raise UsageError(f"{what}: neither a purl, nor a line of a lockfile, nor a package's key.", hint)
    return what


# ------------------------------------------------------------------------------------------------ what is known


def _known(
    key: str, listed: Subject | None, last: "LastRun | None", policy: "Policy", context: Context
) -> Known | None:
    from scangate.cli import analysis

    kept = analysis.cache(context)
    try:
        if last is not None and key in last.verdict.packages:
            return _from_run(last.verdict.packages[key], last, kept, policy, context)
        where = _whereabouts(key, last)
        return _from_cache(key, listed, where, kept, policy, context)
    finally:
        kept.close()


def _whereabouts(key: str, last: "LastRun | None") -> str:
    if last is None:
        return "no run is kept"
    return f"{_named(last)}: passed" if key in last.passed else f"not in {_named(last)}"


def _from_run(package: "ReadPackage", last: "LastRun", kept: "Cache", policy: "Policy", context: Context) -> Known:
    """The package as the run saw it, with the reports that the cache still has."""
    from scangate import pipeline
    from scangate.service.cached import History

    history = History(cache=kept, analyser=last.kept_under)
    run = _run(policy, package.analysed, context, history)
    remarks = [
        f"{_named(last)}: {package.status}, by the policy {last.verdict.policy} and analyses of {last.verdict.analyser}"
    ]
    results: list[Analysed | Shortfall] = [
        each for each in package.shortfalls if each.engine not in package.analysed or each.engine is None
    ]
    gone = []
    for engine in package.analysed:
        request = _request(package.subject, engine)
        report = history.report(request) if request is not None else None
        if request is None or report is None:
            gone.append(engine)
            results.append(_evidence_alone(package, engine))
        else:
            results.append(pipeline.observe(run, request, report))
    if gone:
        remarks.append(
            f"the cache has no report of {' and '.join(gone)} on it: the findings' evidence is all that is known"
        )
    subject = package.subject._replace(results=tuple(results))
    return Known(
        subject=subject._replace(earlier=pipeline.earlier(run, subject)), remarks=tuple(remarks), is_whole=not gone
    )


def _request(subject: Subject, engine: Engine) -> AnalysisRequest | None:
    """What was asked for; None for what has no purl: nobody can tell under which the archive was analysed."""
    if subject.purl is None:
        return None
    pinned = tuple(sorted({entry.integrity for entry in subject.dependencies}))
    return AnalysisRequest(purl=subject.purl, engine=engine, integrity=pinned)


def _evidence_alone(package: "ReadPackage", engine: Engine) -> Analysed:
    seen = (each for finding in package.findings if finding.engine is engine for each in finding.evidence)
    return Analysed(
        engine=engine,
        observations=tuple(dict.fromkeys(seen)),
        shortfalls=tuple(each for each in package.shortfalls if each.engine is engine),
    )


def _from_cache(
    key: str, listed: Subject | None, where: str, kept: "Cache", policy: "Policy", context: Context
) -> Known | None:
    """The package with the latest report of each engine, whoever asked for it."""
    from scangate import pipeline, purls

    results: dict[Engine, Analysed | Shortfall] = {}
    remarks = []
    for entry in kept.entries(key) if key.startswith("pkg:") else ():
        engine = entry.request.engine
        report = None if engine in results else kept.report(entry)
        if report is not None:
            results[engine] = pipeline.observe(_run(policy, (engine,), context), entry.request, report)
            remarks.append(f"{where}; the cache has a report of {engine}, by {entry.analyser}")
    if not results:
        return None
    subject = listed or pipeline.subject_of(str(purls.submittable(key)), ())
    return Known(subject=subject._replace(results=tuple(results.values())), remarks=tuple(remarks))


def _run(policy: "Policy", engines: Sequence[Engine], context: Context, history: "History | None" = None) -> "Run":
    from scangate.pipeline import Run, nothing_earlier

    return Run(
        policy=policy,
        engines=tuple(engines),
        now=context.now(),
        elapsed=context.stopwatch(),
        analyser_name="what is at hand",
        earlier=nothing_earlier if history is None else history.report,
    )


def _unknown(key: str, listed: Subject | None, last: "LastRun | None") -> Iterator[str]:
    """Why nothing is known, and what to do."""
    from scangate.output.advice import MEANING
    from scangate.pipeline import kind_outcome

    if last is not None and key in last.passed:
        yield f"{key}: passed in the last run, {last.when}, and the cache has no report of it any more"
        yield "  `scangate check` asks for it again"
        return
    yield f"{key}: never analysed, as far as is known here"
    if listed is not None:
        yield from _places(listed)
        if listed.purl is None:
            code = kind_outcome(listed.dependencies[0])
            meaning, advice = MEANING[code]
            yield f"  its outcome is {code}: {meaning}. {advice}"
            return
    if last is None:
        yield "  there was no `scangate check` in this project whose verdict is kept (--no-cache keeps none)"
    else:
        based = f", whose base was: {last.verdict.compared.why}" if last.verdict.compared is not None else ""
        yield f"  it was no part of {_named(last)}{based}"
    alone = f", `scangate scan {key}` at this one" if key.startswith("pkg:") else ""
    yield f"  `scangate check --all` looks at every package{alone}"


def _named(last: "LastRun") -> str:
    return f"the last run, {last.when}" if last.when else "the verdict that was handed in"


# ----------------------------------------------------------------------------------------------------- the text


def _explained(known: Known, policy: "Policy", rule: str | None, context: Context) -> Iterator[str]:
    from scangate import pipeline
    from scangate.policy.trace import trace

    run = _run(policy, (), context)
    (verdict,) = pipeline.judge(run, [known.subject], (), {}).subjects
    traces = {each.rule.id: each for each in trace(policy.rules, known.subject)}
    yield f"{known.subject.key}: {_decided(verdict, policy) if known.is_whole else 'not all of it is known here'}"
    yield from _places(known.subject)
    yield from (f"  {remark}" for remark in known.remarks)
    yield from _observed(known.subject)
    if rule is not None:
        yield from _one_rule(traces[rule], verdict)
        return
    for finding in verdict.findings:
        yield from _finding(finding, policy, known.subject, context)
    if known.is_whole:
        yield from (line for each in verdict.shortfalls for line in _shortfall(each))
        yield from _others([each for each in traces.values() if not each.matches])


def _decided(verdict: SubjectVerdict, policy: "Policy") -> str:
    """What the policy says now, and because of what."""
    denying = [each.rule for each in verdict.findings if each.allowed is None and each.action is Action.DENY]
    warning = [each.rule for each in verdict.findings if each.allowed is None and each.action is Action.WARN]
    failing = [each.shortfall.code for each in verdict.shortfalls if each.action is OutcomeAction.FAIL]
    lacking = [each.shortfall.code for each in verdict.shortfalls if each.action is OutcomeAction.WARN]
    match verdict.status:
        case Status.BLOCKED:
            why = denying
        case Status.INCOMPLETE:
            why = [*map(str, failing)]
        case Status.WARNED:
            why = [*warning, *map(str, lacking)]
        case Status.PASSED:
            why = []
    because = f" because of {', '.join(dict.fromkeys(why))}" if why else ""
    return f"{verdict.status} by {policy.where}{because}"


def _places(subject: Subject) -> Iterator[str]:
    for entry in subject.dependencies:
        path = f", {' → '.join(entry.path)}" if entry.path else ""
        yield f"  {entry.lockfile}:{entry.line}, {entry.scope}, {entry.relation}{path}"
    for change in subject.changes:
        before = f" (before: {change.before.version})" if change.before is not None and change.before.version else ""
        yield f"  {change.kind} since the base{before}"


def _observed(subject: Subject) -> Iterator[str]:
    """How many observations of each kind an engine gave, or why it gave none."""
    from scangate.policy.conditions import KINDS

    words = {kind.type: observe for observe, kind in KINDS.items()}
    for result in subject.results:
        match result:
            case Analysed():
                counted = Counter(words[type(each)] for each in result.observations)
                shown = ", ".join(f"{observe} {count}" for observe, count in sorted(counted.items())) or "nothing"
                made = f", report of {result.created:%Y-%m-%d}" if result.created else ""
                yield f"  observed by {result.engine}{made}: {shown}"
            case Shortfall():
                yield f"  not analysed{f' by {result.engine}' if result.engine else ''}: {result.code}"


def _finding(finding: Finding, policy: "Policy", subject: Subject, context: Context) -> Iterator[str]:
    from scangate.output.evidence import describe
    from scangate.policy.exceptions import why_not

    yield f"{finding.rule} ({finding.where}) matches: {finding.title}"
    shown = finding.evidence[:MAX_EVIDENCE]
    yield from (f"  {describe(each)}" for each in shown)
    if len(finding.evidence) > len(shown):
        yield f"  and {len(finding.evidence) - len(shown)} more (--rule {finding.rule})"
    yield f"  {finding.severity}: {finding.action}, decided by {finding.decided_by}"
    if finding.allowed is not None:
        allowed = finding.allowed
        yield f"  allowed by {allowed.where} until {allowed.expires} ({allowed.owner}): {allowed.reason}"
        return
    today = context.now().date()
    yield from (
        f"  not allowed by {entry.place}: {why}"
        for entry in policy.allow
        if (why := why_not(entry, subject, finding, today)) is not None
    )


def _shortfall(decided: DecidedShortfall) -> Iterator[str]:
    from scangate.output.advice import meaning_of

    meaning, advice = meaning_of(decided.shortfall.code, [decided.decided_by])
    yield f"{decided.shortfall.code}: {meaning}"
    if decided.shortfall.detail:
        yield f"  {decided.shortfall.detail}"
    yield f"  {decided.action}, decided by {decided.decided_by}"
    yield f"  {advice}"


def _others(traces: Sequence["Trace"]) -> Iterator[str]:
    """The rules that do not match: one by one where it was near, else by what failed. `--rule` says all of it."""
    near = [each for each in traces if any(look.is_near for look in each.looks)]
    if near:
        yield "nearly match:"
    yield from (f"  {each.rule.id}: {each.why}" for each in near)
    failed: dict[str, list[str]] = {}
    idle: dict[str, list[str]] = {}
    for each in traces:
        if each not in near:
            what = " or ".join(sorted({look.failed for look in each.looks}))
            reasons, reason = (failed, f"{what} does not hold") if each.looks else (idle, each.why)
            reasons.setdefault(reason, []).append(each.rule.id)
    for title, reasons in (("looked at it, and do not match:", failed), ("had nothing to look at:", idle)):
        if reasons:
            yield title
        yield from (f"  {reason}: {', '.join(names)}" for reason, names in reasons.items())


def _one_rule(trace: "Trace", verdict: SubjectVerdict) -> Iterator[str]:
    """Every observation that the rule looked at: what matches first."""
    from scangate.output.evidence import describe

    yield f"{trace.rule.id} ({trace.rule.place}) {'matches' if trace.matches else 'does not match'}: {trace.why}"
    for look in sorted(trace.looks, key=lambda look: not look.matches):
        yield f"  {describe(look.observation)}: {'matches' if look.matches else look.why}"
    for finding in verdict.findings:
        if finding.rule == trace.rule.id:
            yield f"  {finding.severity}: {finding.action}, decided by {finding.decided_by}"
