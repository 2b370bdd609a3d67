"""`scangate check`: the gate. Lockfiles in, verdict and exit code out."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from scangate.cli import base, formats, options, project
from scangate.cli.context import Context
from scangate.cli.sides import Read
from scangate.errors import ExitCode
from scangate.models.analysis import AnalysisRequest
from scangate.models.changes import Selection
from scangate.models.verdict import LockfileVerdict, Mode, PolicyNotice, Status, Verdict
from scangate.registries import NO_REGISTRIES

if TYPE_CHECKING:
    from scangate.cli.analysis import Plan
    from scangate.policy.model import Policy


def configure(parser: argparse.ArgumentParser) -> None:
    project.add_options(parser)
    base.add_options(parser)
    options.add_options(parser)
    options.add_options_for_many(parser)
    formats.add_option(parser)


class _Run(NamedTuple):
    """What stays the same from the command line to the exit code. `elapsed`: seconds since the start."""

    args: argparse.Namespace
    context: Context
    targets: Sequence[formats.Target]
    elapsed: Callable[[], float]


def run(args: argparse.Namespace, context: Context) -> int:
    this = _Run(args, context, formats.parse(args.formats, context.cwd), context.stopwatch())
    options.refuse_nonsense(args)
    with base.opened(args, context) as sides:
        if args.explain_base:
            return base.explain(sides, context)
        found = sides.find()
        decides = sides.policies.shown or "default"
        if found.is_same and sides.policies.are_same:
            return _nothing_new(this, sides.unread(found), found.notices, policy=decides)
        # The built-in policy names no registries and excludes nothing: its rules can wait for what they are for.
        policy = None if sides.policies.shown is None else sides.policies.load()
        if policy is not None and policy.exclude and not found.is_empty:
            found = sides.find(policy.exclude)
        read = sides.read(found, NO_REGISTRIES if policy is None else policy.registries)
        notices = (*sides.policies.notices(), *read.notices, *found.notices)
        if found.is_empty or (policy is None and not notices and _is_empty(read.selection)):
            return _nothing_new(this, read.selection, notices, policy=decides)
        policy = policy or sides.policies.load()
        not_here = sides.archives_not_here(read.selection)
    return _judge(this, policy, read, notices, not_here)


def _judge(
    this: _Run, policy: "Policy", read: Read, notices: tuple[PolicyNotice, ...], not_here: frozenset[str]
) -> int:
    """Have what is new analysed, and decide. `not_here`: as `uploads.find` has it."""
    from scangate import pipeline
    from scangate.cli import analysis
    from scangate.service.base import Interrupted

    args, context, targets, elapsed = this
    hook = base.in_hook(args, context)
    policy = policy.in_hook() if hook else policy
    chosen = analysis.plan(args, policy, default_timeout=options.HOOK_TIMEOUT if hook and args.staged else None)
    subjects = pipeline.subjects_in(read.selection)
    kept = analysis.cache(context) if chosen.cached and subjects else None
    setup = analysis.run_of(context, policy, chosen, elapsed, notices, whole=not args.paths, kept=kept)
    archives = pipeline.NO_UPLOADS
    # To another machine only where the policy says so: an archive of the project may be anything.
    if chosen.local or policy.upload_files:
        from scangate.cli import uploads

        archives = uploads.find(subjects, context.cwd, not_here=not_here)
    if args.dry_run:
        requests = pipeline.requests_for(subjects, chosen.engines, archives)
        unanswered = analysis.unanswered(context, chosen, setup, requests)
        return _dry_run(unanswered, chosen, setup.analyser_name, context)
    selection = read.selection if kept is None else analysis.in_the_light_of(kept, chosen, setup, read.selection)
    analyser = analysis.analyser(context, chosen, setup, lockfiles=read.current, uploads=archives, kept=kept)
    try:
        verdict = pipeline.check(setup, selection, analyser, archives)
    except Interrupted as exc:
        verdict = pipeline.stopped(pipeline.conclude(setup, selection, exc.answers, archives))
        formats.emit(verdict, targets, context)
        raise
    finally:
        if kept is not None:
            kept.close()
    code = formats.emit(verdict, targets, context)
    if chosen.cached:
        from scangate.cli import lastrun

        lastrun.save(verdict, ExitCode(code), analysis.kept_under(chosen, setup.analyser_name), context)
    return code


def _nothing_new(this: _Run, selection: Selection, notices: tuple[PolicyNotice, ...], *, policy: str) -> int:
    """The verdict where the base has all of it: no policy can say anything about that, and nobody is asked.

    `policy` is the one that would decide, as it is shown.
    """
    if this.args.dry_run:
        this.context.say("scangate: would send nothing: nothing is new.")
        return ExitCode.PASS
    verdict = Verdict(
        status=Status.WARNED if notices else Status.PASSED,
        mode=Mode.ENFORCE,
        subjects=(),
        lockfiles=tuple(
            LockfileVerdict(lockfile=one, status=Status.PASSED) for one in (*selection.lockfiles, *selection.deleted)
        ),
        notices=notices,
        policy=policy,
        elapsed_seconds=this.elapsed(),
        compared=selection.compared,
        scope_changes=selection.changes,
    )
    return formats.emit(verdict, this.targets, this.context)


def _is_empty(selection: Selection) -> bool:
    """Whether there is nothing that any rule or outcome could be about."""
    return all(
        not one.dependencies and not one.facts and (one.supported or one.unchanged)
        for one in (*selection.lockfiles, *selection.deleted)
    )


def _dry_run(requests: Mapping[AnalysisRequest, int | None], chosen: "Plan", service: str, context: Context) -> int:
    """`requests`: as `analysis.unanswered` has them."""
    from scangate.service.scheduler import not_sent

    kept = not_sent(tuple(requests), chosen.max_packages)
    going = [request for request, task in requests.items() if request not in kept and task is None]
    packages = len({request.purl for request in going})
    over = len({request.purl for request in kept})
    resumed = len(requests) - len(kept) - len(going)
    context.show(
        *(
            f"{each.purl} {each.engine}{'' if each.archive is None else f' (uploads {each.archive.filename})'}"
            for each in going
        )
    )
    left = f" ({over} more are over --max-packages)" if over else ""
    again = f", and ask after {resumed} that an earlier run submitted" if resumed else ""
    context.say(
        f"scangate: would send {len(going)} requests for {packages} packages{left} to {service}{again}; "
        "nothing was sent."
    )
    return ExitCode.PASS
