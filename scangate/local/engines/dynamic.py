"""The dynamic analysis on this machine: fetch a package, run it in the sandbox, report what it did."""

import secrets
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Event
from typing import assert_never

from scangate import purls
from scangate.errors import PurlError, ScangateError
from scangate.local.engines import compose, phases_npm, phases_pypi, places
from scangate.local.fetch.base import Fetched, Fetcher, FetchError, Hint, Hints, IntegrityMismatch
from scangate.local.jobs import COMPLETED, FAILED, Job, Outcome
from scangate.local.sandbox import base as sandboxes
from scangate.local.sandbox.base import PhasePlan, PhaseTrace, Sandbox
from scangate.models.analysis import Engine
from scangate.models.lockfile import Ecosystem

_NO_HINT = Hint()
_MISSING = "Missing to build: "
_LONGEST, _MOST_MISSING = 200, 50


def new_baits() -> dict[str, str]:
    """Planted values in the form of real ones, for one job."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    token = f"ghp_{secrets.token_hex(18)}"
    return {
        "AWS_ACCESS_KEY_ID": "AKIA" + "".join(secrets.choice(alphabet) for _ in range(16)),
        "AWS_SECRET_ACCESS_KEY": secrets.token_hex(20),
        "GITHUB_TOKEN": token,
        "NPM_TOKEN": f"npm_{secrets.token_hex(18)}",
    }


class DynamicEngine:
    """An `AnalysisEngine`. Thread-safe as its sandbox and its fetcher are.

    `hints` are what lockfiles say about the packages to come; `baits` makes the planted values of one job.
    `workspace`: where a package lies for the time of its analysis (None: the machine's temporary directory). Whoever
    gives one empties it at the start: a killed process leaves its packages there.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        fetcher: Fetcher,
        hints: Hints,
        *,
        workspace: Path | None = None,
        clock: Callable[[], float] = time.time,
        baits: Callable[[], dict[str, str]] = new_baits,
    ) -> None:
        self._sandbox = sandbox
        self._fetcher = fetcher
        self._hints = hints
        self._workspace = workspace
        self._clock = clock
        self._baits = baits

    def analyse(self, job: Job, stop: Event) -> Outcome:
        problem = _unsupported(job)
        if problem is not None:
            return Outcome(status=FAILED, error_message=problem)
        try:
            with tempfile.TemporaryDirectory(
                prefix="scangate-", dir=self._workspace, ignore_cleanup_errors=True
            ) as directory:
                report = self._report(job, Path(directory).resolve(), stop)
        except IntegrityMismatch as exc:
            report = compose.refusal(purls.parse(job.purl), exc.expected, exc.actual, int(self._clock()))
            # A registry that is mended, or a download that was damaged twice: the next one is to look again.
            return Outcome(status=COMPLETED, report=report, answers_others=False)
        except ScangateError as exc:
            return Outcome(status=FAILED, error_message=exc.message)
        except OSError as exc:
            return Outcome(status=FAILED, error_message=f"{job.purl}: {exc.strerror or type(exc).__name__}.")
        return Outcome(status=COMPLETED, report=report)

    def _report(self, job: Job, directory: Path, stop: Event) -> bytes:
        fetched = self._fetcher.fetch(job, self._hints.get(job.purl, _NO_HINT), directory, stop)
        baits = self._baits()
        traces = self._sandbox.run(
            sandboxes.Plan(
                tree=fetched.tree,
                phases=_plan(fetched),
                read_only={places.HELPERS: places.HELPERS_SOURCE},
                baits=baits,
            ),
            stop,
        )
        missing = (*fetched.missing, *_missing_to_build(traces))
        return compose.report(fetched.purl, traces, baits, int(self._clock()), missing)


def _unsupported(job: Job) -> str | None:
    """Why this job is none for this engine; None where it is one."""
    if job.engine is not Engine.DYNAMIC_ANALYSIS:
        return f"The engine {job.engine} is not supported by the local engine."
    try:
        ecosystem = purls.submittable(job.purl).ecosystem
    except PurlError as exc:
        return exc.message
    if ecosystem not in (Ecosystem.NPM, Ecosystem.PYPI):
        return f"{ecosystem} packages are not supported by the local engine."
    return None


def _missing_to_build(traces: Iterable[PhaseTrace]) -> tuple[str, ...]:
    """In the words of helpers/build.py. The build may add to them, and so say that it lacks what it does not."""
    lines = {line for trace in traces for line in trace.stdout.decode("utf-8", "replace").splitlines()}
    found = sorted(line.removeprefix(_MISSING)[:_LONGEST] for line in lines if line.startswith(_MISSING))
    return tuple(f"{each} (to build it)" for each in found[:_MOST_MISSING])


def _plan(fetched: Fetched) -> tuple[PhasePlan, ...]:
    match fetched.purl.ecosystem:
        case Ecosystem.NPM:
            return phases_npm.plan(fetched)
        case Ecosystem.PYPI:
            return phases_pypi.plan(fetched)
        case Ecosystem.VSCODE_EXTENSION | None:
            raise FetchError(f"{fetched.purl}: not supported by the local engine.", "Use the hosted service.")
        case _:
            assert_never(fetched.purl.ecosystem)
