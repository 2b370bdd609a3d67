"""The analysis service as the commands use it: options, credentials, scheduler, progress."""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from scangate import __version__
from scangate.cli import local, options, project
from scangate.cli.context import Context
from scangate.cli.options import LOCAL_TIMEOUT, RATE, TIMEOUT
from scangate.errors import UsageError
from scangate.models.analysis import Analyser, AnalysisRequest, Answer, Engine, OutcomeCode, Report
from scangate.models.changes import Selection
from scangate.models.lockfile import Ecosystem, Lockfile
from scangate.models.verdict import PolicyNotice
from scangate.pipeline import NO_UPLOADS, NoAnalyser, Run, Uploads, group, nothing_earlier
from scangate.policy.model import Policy
from scangate.service.base import Interrupted, Service
from scangate.service.memory import Memory, NoMemory

if TYPE_CHECKING:
    from scangate.service.budget import Budget
    from scangate.service.cache import Cache
    from scangate.service.cached import CachedAnalyser, CacheMemory, History
    from scangate.service.settings import ServiceSettings

CACHE_VARIABLE = "SCANGATE_CACHE_DIR"
"""The directory of the cache of reports; empty counts as unset."""

IsBlocked = Callable[[AnalysisRequest, Report], bool]

NO_KEY = (
    "There is no API key: set SCANGATE_API_KEY, or SCANGATE_API_KEY_FILE to a file that holds it. Nothing was sent."
)


class Plan(NamedTuple):
    """What the options say, checked."""

    local: bool
    engines: tuple[Engine, ...]
    jobs: int
    rate: str
    timeout: float
    max_packages: int | None
    cached: bool
    quiet: bool


def plan(args: argparse.Namespace, policy: Policy, *, default_timeout: float | None = None) -> Plan:
    """`default_timeout`: in seconds, where somebody waits. Raises UsageError."""
    options.refuse_nonsense(args)
    usual = default_timeout or (LOCAL_TIMEOUT if args.local else TIMEOUT)
    return Plan(
        local=args.local,
        engines=tuple(engine for engine in Engine if engine in args.engines) or policy.engines,
        jobs=args.jobs,
        rate=RATE if args.rate is None else args.rate,
        timeout=usual if args.timeout is None else args.timeout,
        max_packages=args.max_packages,
        cached=not args.no_cache,
        quiet=args.quiet,
    )


def run_of(
    context: Context,
    policy: Policy,
    chosen: Plan,
    elapsed: Callable[[], float],
    notices: tuple[PolicyNotice, ...] = (),
    *,
    whole: bool = False,
    kept: "Cache | None" = None,
) -> Run:
    """The pipeline's view of this run; `kept` has what it knows of earlier versions.

    Raises UsageError where the service's address is none.
    """
    name = _service_name(context, chosen)
    return Run(
        policy=policy,
        engines=chosen.engines,
        now=context.now(),
        elapsed=elapsed,
        analyser_name=name,
        notices=notices,
        earlier=nothing_earlier if kept is None else _history(kept, chosen, name).report,
        whole=whole,
    )


def _service_name(context: Context, chosen: Plan) -> str:
    from scangate.service.settings import ServiceSettings

    if chosen.local:
        return local.NAME
    return ServiceSettings.from_environ(context.environ).api.url


@contextmanager
def service(context: Context) -> Iterator[Service]:
    """The service for a command that cannot do without it. Raises UsageError where there is no key."""
    from scangate.service.client import HttpService

    settings = _settings(context)
    if settings.key is None:
        raise UsageError(
            "There is no API key.", "Set SCANGATE_API_KEY, or SCANGATE_API_KEY_FILE to a file that holds it."
        )
    with HttpService(settings) as client:
        yield client


class LazyAnalyser(NamedTuple):
    """The scheduler and all that it needs, made when the first request comes: a run with none opens nothing."""

    context: Context
    plan: Plan
    is_blocked: IsBlocked
    memory: Memory

    def analyse(self, requests: Sequence[AnalysisRequest]) -> Mapping[AnalysisRequest, Answer]:
        from scangate.service.budget import Rate, SharedBudget, account

        settings = _settings(self.context)
        if not requests:
            return {}
        if settings.key is None:
            return NoAnalyser(code=OutcomeCode.NO_CREDENTIALS, detail=NO_KEY).analyse(requests)
        budget = SharedBudget(
            Rate.parse(self.plan.rate),
            state_dir(),
            account=account(settings.api.url, settings.key.reveal()),
            warn=self.context.warn,
        )
        return _ask(settings, budget, requests, self)


class LocalAnalyser(NamedTuple):
    """The same scheduler, and the embedded service that it asks, for as long as it asks."""

    context: Context
    plan: Plan
    is_blocked: IsBlocked
    memory: Memory
    known: local.Known

    def analyse(self, requests: Sequence[AnalysisRequest]) -> Mapping[AnalysisRequest, Answer]:
        from scangate.service.budget import NoBudget
        from scangate.service.settings import ServiceSettings
        from scangate.web.addresses import read_url
        from scangate.web.settings import Secret

        answers: dict[AnalysisRequest, Answer] = {
            request: shortfall
            for request in requests
            if (shortfall := local.unsupported(request) or self.known.conflicts.get(request.purl))
        }
        wanted = [request for request in requests if request not in answers]
        if not wanted:
            return answers
        with local.service(self.known.hints) as running:
            settings = ServiceSettings(api=read_url(running.url), key=Secret(running.key))
            try:
                return answers | dict(_ask(settings, NoBudget(), wanted, self))
            except Interrupted as exc:
                raise Interrupted(answers | dict(exc.answers)) from None


def _ask(
    settings: "ServiceSettings",
    budget: "Budget",
    requests: Sequence[AnalysisRequest],
    run: LazyAnalyser | LocalAnalyser,
) -> Mapping[AnalysisRequest, Answer]:
    from scangate.cli.progress import ProgressReporter
    from scangate.service.client import HttpService
    from scangate.service.scheduler import Scheduler, Settings
    from scangate.service.watch import HOSTED, NEARBY

    plan = run.plan
    with HttpService(settings) as client, ProgressReporter.of(run.context, plan.quiet) as reporter:
        scheduler = Scheduler(
            client,
            budget=budget,
            settings=Settings(
                jobs=plan.jobs,
                timeout=plan.timeout,
                max_packages=plan.max_packages,
                looks=NEARBY if plan.local else HOSTED,
            ),
            on_progress=reporter.show,
            is_blocked=run.is_blocked,
            memory=run.memory,
        )
        return scheduler.analyse(requests)


def analyser(
    context: Context,
    chosen: Plan,
    run: Run,
    *,
    lockfiles: Sequence[Lockfile] = (),
    uploads: Uploads = NO_UPLOADS,
    kept: "Cache | None" = None,
) -> Analyser:
    """`kept`: the cache, where it is in use already.

    Raises UsageError where `--local` is asked for and this machine lacks something that it needs.
    """
    if not chosen.cached:
        return _asking(context, chosen, run, NoMemory(), lockfiles, uploads)
    kept = kept or cache(context)
    memory = _memory(chosen, run, kept)
    return _cached(context, chosen, run, kept, _asking(context, chosen, run, memory, lockfiles, uploads))


def in_the_light_of(kept: "Cache", chosen: Plan, run: Run, selection: Selection) -> Selection:
    """What is new, flagged where the cache knows other digests of a package."""
    from scangate.lockfiles.conflicts import flag_seen

    history = _history(kept, chosen, run.analyser_name)
    return selection._replace(lockfiles=flag_seen(selection.lockfiles, history.digests))


def _history(kept: "Cache", chosen: Plan, analyser_name: str) -> "History":
    from scangate.service.cached import History

    return History(cache=kept, analyser=kept_under(chosen, analyser_name))


def unanswered(
    context: Context, chosen: Plan, run: Run, requests: Sequence[AnalysisRequest]
) -> Mapping[AnalysisRequest, int | None]:
    """What `analyser` would ask for, as the cache is now, with the task that an earlier run submitted for it."""
    if not chosen.cached:
        return dict.fromkeys(requests)
    kept = cache(context)
    try:
        nobody = NoAnalyser(code=OutcomeCode.PENDING, detail="")
        known = _cached(context, chosen, run, kept, nobody).known(requests)
        memory = _memory(chosen, run, kept)
        return {request: memory.recall(request) for request in requests if request not in known}
    finally:
        kept.close()


def _memory(chosen: Plan, run: Run, kept: "Cache") -> "CacheMemory":
    from scangate.service.cached import CacheMemory

    analyser_name = kept_under(chosen, run.analyser_name)
    return CacheMemory(cache=kept, analyser=analyser_name, is_whole=run.keeps, resumes=not chosen.local)


def _cached(context: Context, chosen: Plan, run: Run, kept: "Cache", inner: Analyser) -> "CachedAnalyser":
    from scangate.service.cached import CachedAnalyser

    def tell(found: int, wanted: int) -> None:
        if not chosen.quiet:
            context.say(f"scangate: {found} of {wanted} reports from the cache.")

    return CachedAnalyser(
        inner=inner, cache=kept, analyser=kept_under(chosen, run.analyser_name), is_whole=run.keeps, tell=tell
    )


def kept_under(chosen: Plan, analyser_name: str) -> str:
    """The analyser, as the cache names it."""
    return f"{local.NAME}, scangate {__version__}" if chosen.local else analyser_name


def _asking(
    context: Context, chosen: Plan, run: Run, memory: Memory, lockfiles: Sequence[Lockfile], uploads: Uploads
) -> Analyser:
    if not chosen.local:
        return LazyAnalyser(context=context, plan=chosen, is_blocked=run.denies, memory=memory)
    from scangate.service.settings import URL_VARIABLE

    ecosystems = {each.ecosystem for lockfile in lockfiles for each in lockfile.dependencies}
    local.require(context, npm=Ecosystem.NPM in ecosystems or not lockfiles)
    if context.environ.get(URL_VARIABLE):
        context.say(f"scangate: --local: {URL_VARIABLE} is set, and no service is asked.")
    known = local.known(group(lockfiles), lockfiles, uploads)
    return LocalAnalyser(context=context, plan=chosen, is_blocked=run.denies, memory=memory, known=known)


def cache(context: Context) -> "Cache":
    """The user's cache, not yet opened."""
    from scangate.service.cache import Cache

    return Cache(
        cache_dir(context),
        workspace=project.root(context),
        clock=lambda: context.now().timestamp(),
        warn=context.warn,
    )


def cache_dir(context: Context) -> Path:
    """Where reports and the last run's verdict are kept."""
    named = context.environ.get(CACHE_VARIABLE)
    if named:
        return (context.cwd / named).resolve()
    import platformdirs

    return Path(platformdirs.user_cache_dir("scangate", appauthor=False))


def state_dir() -> Path:
    """Where scangate keeps state for this user (the request budget, the embedded service's data)."""
    import platformdirs

    return Path(platformdirs.user_state_dir("scangate", appauthor=False))


def _settings(context: Context) -> "ServiceSettings":
    from scangate.service.settings import ServiceSettings

    settings = ServiceSettings.from_environ(context.environ)
    for warning in settings.warnings:
        context.warn(warning)
    return settings
