"""The one pipeline behind every face of scangate: dependencies → analyses → observations → verdict.

It joins the stages and holds no logic of their own: no argv, no HTTP, no files, no printing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from scangate import purls
from scangate.models.analysis import (
    Analysed,
    Analyser,
    AnalysisRequest,
    Answer,
    Engine,
    OutcomeCode,
    Report,
    Shortfall,
)
from scangate.models.changes import Change, ChangeKind, Selection
from scangate.models.lockfile import Dependency, Kind, LockFact, Lockfile
from scangate.models.verdict import PolicyNotice, Status, Subject, Verdict
from scangate.policy import decision
from scangate.policy.model import Policy
from scangate.reports import reader

Uploads = Mapping[str, AnalysisRequest | Shortfall]
"""By the key of a subject that comes from a file of the project: its archive, or why there is none to analyse."""

NO_UPLOADS: Uploads = {}


def nothing_earlier(_: AnalysisRequest) -> None:
    """Nothing is at hand from before this run."""


class Run:
    """What stays the same during one run. `now` is timezone-aware; `elapsed` gives seconds since the start."""

    def __init__(
        self,
        *,
        policy: Policy,
        engines: tuple[Engine, ...],
        now: datetime,
        elapsed: Callable[[], float],
        analyser_name: str,
        notices: tuple[PolicyNotice, ...] = (),
        earlier: Callable[[AnalysisRequest], Report | None] = nothing_earlier,
        whole: bool = False,
    ) -> None:
        """`notices` were found before anything was analysed, and every output says them. `earlier` gives what is at
        hand of a package from before this run; it asks nobody. `whole`: every lockfile of the project is read; where
        there is no base, an exception for no package in them is unused.
        """
        self.policy = policy
        self.engines = engines
        self.now = now
        self.elapsed = elapsed
        self.analyser_name = analyser_name
        self.notices = notices
        self.earlier = earlier
        self.whole = whole
        self.read: dict[tuple[AnalysisRequest, Report], Analysed | Shortfall] = {}
        """What reports show that were read already: whether one is kept, and what it means, are asked one by one."""

    def keeps(self, request: AnalysisRequest, report: Report) -> bool:
        """Whether the report may answer another run, too: it is read as one about the package, and shows all of it.

        One that another analysis may put right is asked for again. What lies in the package itself (no module that
        can be imported, more than the analysis keeps) stays as it is, and asking again would only cost a request.
        """
        result = observe(self, request, report)
        return isinstance(result, Analysed) and _NOT_KEPT.isdisjoint(each.code for each in result.shortfalls)

    def denies(self, request: AnalysisRequest, report: Report) -> bool:
        """Whether the policy denies the package for this report alone: for progress, while others still run."""
        subject = subject_of(request.purl, (observe(self, request, report),))
        return judge(self, [subject], (), {}).status is Status.BLOCKED


_NOT_KEPT = frozenset(
    {
        OutcomeCode.BLIND,
        OutcomeCode.STALE,
        # A registry serves other bytes, and fewer packages, for an hour; an analysis stumbles over its machine's load.
        OutcomeCode.INTEGRITY_MISMATCH,
        OutcomeCode.DEPENDENCY_MISSING,
        OutcomeCode.PHASE_ERROR,
    }
)


def check(run: Run, selection: Selection, analyser: Analyser, uploads: Uploads = NO_UPLOADS) -> Verdict:
    """Have every new dependency analysed, and decide."""
    requests = requests_for(subjects_in(selection), run.engines, uploads)
    return conclude(run, selection, analyser.analyse(requests), uploads)


def conclude(
    run: Run, selection: Selection, answers: Mapping[AnalysisRequest, Answer], uploads: Uploads = NO_UPLOADS
) -> Verdict:
    """The verdict on what is new, by the answers that there are."""
    subjects = [each._replace(earlier=earlier(run, each)) for each in subjects_in(selection)]
    whole = run.whole and selection.compared is not None and selection.compared.commit is None
    verdict = judge(run, subjects, (*selection.lockfiles, *selection.deleted), answers, uploads, whole=whole)
    new = {subject.key for subject in subjects}
    scopes = (each for each in selection.changes if each.kind is ChangeKind.SCOPE)
    return verdict._replace(
        compared=selection.compared,
        scope_changes=tuple(each for each in scopes if _key(each.dependency) not in new),
    )


def stopped(verdict: Verdict) -> Verdict:
    """The verdict of a run that was ended before its time: what is denied stays so, and nothing counts as passed,
    whatever the policy makes of `pending`.
    """
    return verdict if verdict.status is Status.BLOCKED else verdict._replace(status=Status.INCOMPLETE)


def earlier(run: Run, subject: Subject) -> tuple[Analysed, ...]:
    """What the versions that it replaces showed: one result an engine and version, where a report is at hand."""
    versions = {
        before.purl: before
        for change in subject.changes
        if (before := change.before) is not None and before.version != change.dependency.version
    }
    requests = (
        AnalysisRequest(purl=purl, engine=engine, integrity=(before.integrity,))
        for purl, before in versions.items()
        if purl is not None
        for engine in run.engines
    )
    found = (observe(run, request, report) for request in requests if (report := run.earlier(request)) is not None)
    return tuple(result for result in found if isinstance(result, Analysed))


def judge(
    run: Run,
    subjects: Sequence[Subject],
    lockfiles: Sequence[Lockfile],
    answers: Mapping[AnalysisRequest, Answer],
    uploads: Uploads = NO_UPLOADS,
    *,
    whole: bool = False,
) -> Verdict:
    """Read the answers that there are, apply the policy. Subjects that have results already keep them.

    `whole`: these are all packages of the project.
    """
    observed = [subject._replace(results=_results(run, subject, answers, uploads)) for subject in subjects]
    return decision.decide(
        observed,
        lockfiles,
        run.policy,
        today=run.now.date(),
        analyser=run.analyser_name,
        elapsed_seconds=run.elapsed(),
        found=run.notices,
        whole=whole,
    )


def subjects_in(selection: Selection) -> tuple[Subject, ...]:
    """One subject a package that is new, with what happened to its entries."""
    changes: dict[str, list[Change]] = {}
    for change in selection.changes:
        changes.setdefault(_key(change.dependency), []).append(change)
    return tuple(
        subject._replace(changes=tuple(changes.get(subject.key, ()))) for subject in group(selection.lockfiles)
    )


def group(lockfiles: Iterable[Lockfile]) -> tuple[Subject, ...]:
    """One subject a package: the entries of all lockfiles that have the same purl, or the same other identity."""
    groups: dict[str, list[Dependency]] = {}
    for lockfile in lockfiles:
        for dependency in lockfile.dependencies:
            groups.setdefault(_key(dependency), []).append(dependency)
    return tuple(
        Subject(
            key=key,
            ecosystem=entries[0].ecosystem,
            name=entries[0].name,
            version=entries[0].version,
            purl=entries[0].purl,
            dependencies=tuple(entries),
        )
        for key, entries in sorted(groups.items())
    )


def subject_of(purl: str, results: tuple[Analysed | Shortfall, ...]) -> Subject:
    """A package that no lockfile names (`scan`, `evaluate`). Raises PurlError."""
    parsed = purls.submittable(purl)
    assert parsed.ecosystem is not None  # that is what submittable means
    return Subject(
        key=str(parsed),
        ecosystem=parsed.ecosystem,
        name=parsed.package_name,
        version=parsed.version,
        purl=str(parsed),
        dependencies=(),
        results=results,
    )


def requests_for(
    subjects: Iterable[Subject], engines: Sequence[Engine], uploads: Uploads = NO_UPLOADS
) -> tuple[AnalysisRequest, ...]:
    """What is to be sent, to each engine that takes its ecosystem: packages of public registries, and `uploads`."""
    return tuple(
        request._replace(engine=engine)
        for subject in subjects
        if isinstance(request := _request(subject, uploads), AnalysisRequest)
        for engine in engines
        if engine.takes(subject.ecosystem)
    )


def _request(subject: Subject, uploads: Uploads) -> AnalysisRequest | Shortfall:
    if subject.purl is not None:
        pinned = {entry.integrity for entry in subject.dependencies}
        return AnalysisRequest(purl=subject.purl, integrity=tuple(sorted(pinned)))
    return uploads.get(subject.key) or _not_submittable(subject.dependencies[0])


class NoAnalyser(NamedTuple):
    """Answers every request with the same shortfall: no key, no service."""

    code: OutcomeCode
    detail: str

    def analyse(self, requests: Sequence[AnalysisRequest]) -> Mapping[AnalysisRequest, Answer]:
        return {request: Shortfall(code=self.code, detail=self.detail, engine=request.engine) for request in requests}


def observe(
    run: Run, request: AnalysisRequest, answer: Answer | None, *, as_named: bool = False
) -> Analysed | Shortfall:
    """What one answer shows. No answer at all counts as pending: it was not analysed.

    `as_named`: nobody asked for a package, the request's purl is only what the report calls itself.
    """
    match answer:
        case Report():
            if as_named:
                return _read(run, request, answer, purl=None)
            if (request, answer) not in run.read:
                run.read[request, answer] = _read(run, request, answer, purl=request.purl)
            return run.read[request, answer]
        case Shortfall():
            return _told(answer if answer.engine else answer._replace(engine=request.engine), request.engine)
        case None:
            detail = "The run ended before there was an answer."
            return Shortfall(code=OutcomeCode.PENDING, detail=detail, engine=request.engine)


def _read(run: Run, request: AnalysisRequest, report: Report, *, purl: str | None) -> Analysed | Shortfall:
    read = reader.read(
        report.payload,
        purl=purl,
        engine=request.engine,
        now=run.now,
        max_age_days=run.policy.max_report_age,
        task_id=report.task_id,
    )
    return read if isinstance(read, Analysed) else _told(read, request.engine)


def _told(shortfall: Shortfall, engine: Engine) -> Analysed | Shortfall:
    """The shortfall; one that is a finding besides as an observation, too: a rule decides on it."""
    if shortfall.code is not OutcomeCode.INTEGRITY_MISMATCH:
        return shortfall
    fact = LockFact(check=shortfall.code, detail=shortfall.detail)
    return Analysed(engine=engine, observations=(fact,), shortfalls=(shortfall,), task_id=shortfall.task_id)


def _results(
    run: Run, subject: Subject, answers: Mapping[AnalysisRequest, Answer], uploads: Uploads
) -> tuple[Analysed | Shortfall, ...]:
    if subject.results:
        return subject.results
    wanted = _request(subject, uploads)
    if isinstance(wanted, Shortfall):
        return (_told(wanted, run.engines[0]),)
    requests = (wanted._replace(engine=engine) for engine in run.engines)
    return tuple(
        observe(run, request, answers.get(request))
        if request.engine.takes(subject.ecosystem)
        else Shortfall.not_taken(request.engine, subject.ecosystem)
        for request in requests
    )


_KIND_OUTCOMES: Mapping[Kind, OutcomeCode] = {
    Kind.PRIVATE_REGISTRY: OutcomeCode.PRIVATE_REGISTRY,
    Kind.GIT: OutcomeCode.GIT,
    Kind.URL: OutcomeCode.URL,
    Kind.FILE: OutcomeCode.FILE,
    Kind.LOCAL: OutcomeCode.LOCAL,
    Kind.UNPINNED: OutcomeCode.UNPINNED,
    # A registry entry without a purl has no exact version (bundled entries, broken ones).
    Kind.REGISTRY: OutcomeCode.UNPINNED,
}


def kind_outcome(dependency: Dependency) -> OutcomeCode:
    """What it is called that a package of this kind, which has no purl, is not analysed."""
    return _KIND_OUTCOMES[dependency.kind]


def _not_submittable(dependency: Dependency) -> Shortfall:
    return Shortfall(code=kind_outcome(dependency), detail=dependency.source or "")


def _key(dependency: Dependency) -> str:
    if dependency.purl is not None:
        return dependency.purl
    version = dependency.version or dependency.source or "?"
    return f"{dependency.kind}:{dependency.ecosystem}/{dependency.name}@{version}"
