"""`--local`: the embedded service inside this process, asked through the same client as any other.

The only way from the client's side to the service's code, together with `serve` and `doctor`.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from scangate.cli.context import Context
from scangate.digests import strongest
from scangate.errors import StateError, UsageError
from scangate.models.analysis import AnalysisRequest, Engine, OutcomeCode, Shortfall
from scangate.models.lockfile import Ecosystem, Lockfile
from scangate.models.verdict import Subject
from scangate.pipeline import Uploads

if TYPE_CHECKING:
    from scangate.local.fetch.base import Closure, Hints
    from scangate.local.sandbox.base import Problem
    from scangate.local.server import EmbeddedService

NAME = "this machine (--local)"
TAKES = frozenset({Ecosystem.NPM, Ecosystem.PYPI})


def workers() -> int:
    """One for each core, 2 to 4: an analysis may take 2 GiB."""
    return max(2, min(4, os.cpu_count() or 2))


def problems(*, npm: bool = True) -> "tuple[Problem, ...]":
    """What `--local` needs and this machine does not have, each with the command that mends it.

    `npm`: npm packages are to be analysed, too.
    """
    from scangate.local import needs

    return needs.problems(npm=npm)


def require(context: Context, what: str = "--local", *, npm: bool = True) -> None:
    """Raises UsageError where this machine lacks something; says each piece, and the command that mends it."""
    missing = problems(npm=npm)
    for problem in missing:
        tell(problem, context)
    if missing:
        raise UsageError(
            f"{what} cannot be used on this machine before that is mended.",
            "`scangate doctor` says when all is there. There is no mode with less isolation.",
        )


def tell(problem: "Problem", context: Context) -> None:
    context.say(f"scangate: needed: {problem.what}")
    context.say(f"  mend it: {problem.mend}")


@contextmanager
def service(hints: "Hints") -> "Iterator[EmbeddedService]":
    """An embedded service of this run's own: on loopback, with a random key, its data gone afterwards.

    Not in the user's state: a task completed for another lockfile would answer for this one without its digests being
    compared. Raises what EmbeddedService raises.
    """
    import tempfile

    from scangate.local.config import ServiceConfig
    from scangate.local.server import EmbeddedService

    try:
        folder = tempfile.TemporaryDirectory(prefix="scangate-", ignore_cleanup_errors=True)
    except OSError as exc:
        raise StateError(f"No temporary directory can be made: {exc.strerror}.", "Set TMPDIR to one.") from exc
    with folder as data:
        config = ServiceConfig(data_dir=Path(data), rate_limit=None, workers=workers(), hints=hints)
        with EmbeddedService(config) as running:
            yield running


def unsupported(request: AnalysisRequest) -> Shortfall | None:
    """What the local engine cannot take, known before it is asked."""
    ecosystem = request.purl.removeprefix("pkg:").partition("/")[0]
    if request.engine is not Engine.DYNAMIC_ANALYSIS:
        detail = f"{request.engine} is not supported by the local engine; --engine dynamic-analysis leaves it out."
    elif ecosystem not in TAKES:
        detail = f"{ecosystem} packages are not supported by the local engine."
    else:
        return None
    # Not `unsupported-ecosystem`: who excuses that has not excused an analysis that the policy, or `scan`, asks for.
    return Shortfall(code=OutcomeCode.SUBMIT_ERROR, detail=detail, engine=request.engine)


class Known(NamedTuple):
    """What the lockfiles say of the packages to be analysed, for the engine; it goes there in process, never by HTTP.

    `hints` by purl; `conflicts`: purls whose lockfiles do not agree on the one archive that they all install.
    """

    hints: "Hints"
    conflicts: Mapping[str, Shortfall]


def known(subjects: Iterable[Subject], lockfiles: Sequence[Lockfile], uploads: Uploads) -> Known:
    """From every lockfile that names the package: its digests there, and the versions of what is installed with it."""
    from scangate.local.fetch.base import Hint

    closures = _Closures(lockfiles)
    hints: dict[str, Hint] = {}
    conflicts: dict[str, Shortfall] = {}
    for subject in subjects:
        upload = uploads.get(subject.key)
        purl = upload.purl if isinstance(upload, AnalysisRequest) else subject.purl
        if purl is None:
            continue
        locked = [entry for entry in subject.dependencies if entry.integrity]
        # uploads has compared an archive of the project with its digests already
        digests = _digests(subject.ecosystem, [] if subject.purl is None else [entry.integrity for entry in locked])
        if digests is None:
            places = ", ".join(f"{entry.lockfile}:{entry.line}" for entry in locked)
            detail = f"The lockfiles give different digests for it: {places}."
            conflicts[purl] = Shortfall(code=OutcomeCode.INTEGRITY_MISMATCH, detail=detail)
        closure = closures.of(subject.ecosystem, frozenset(entry.lockfile for entry in subject.dependencies))
        hints[purl] = Hint(integrity=digests or (), closure=closure)
    return Known(hints=hints, conflicts=conflicts)


def _digests(ecosystem: Ecosystem, each: Sequence[tuple[str, ...]]) -> tuple[str, ...] | None:
    """What the archive must match one of; None where no archive can satisfy all lockfiles.

    An npm version is one archive, so that all lockfiles must allow it (the strongest algorithm among them decides).
    A PyPI version is many, of which each lockfile may name its own.
    """
    algorithm = strongest(digest for digests in each for digest in digests)
    if ecosystem is not Ecosystem.NPM or algorithm is None:
        return tuple(sorted({digest for digests in each for digest in digests}))
    allowed = [{digest for digest in digests if digest.startswith(f"{algorithm}:")} for digests in each]
    return tuple(sorted(set.intersection(*filter(None, allowed)))) or None


class _Closures:
    """The packages of some lockfiles; made once for each set of lockfiles, not for each package."""

    def __init__(self, lockfiles: Sequence[Lockfile]) -> None:
        self._lockfiles = lockfiles
        self._made: dict[tuple[Ecosystem, frozenset[str]], Closure] = {}

    def of(self, ecosystem: Ecosystem, paths: frozenset[str]) -> "Closure":
        if (ecosystem, paths) not in self._made:
            self._made[ecosystem, paths] = self._closure(ecosystem, paths)
        return self._made[ecosystem, paths]

    def _closure(self, ecosystem: Ecosystem, paths: frozenset[str]) -> "Closure":
        from scangate.local.fetch.base import Closure, Pin

        return Closure(
            tuple(
                Pin(purl=entry.purl, integrity=entry.integrity)
                for lockfile in self._lockfiles
                if lockfile.path in paths
                for entry in lockfile.dependencies
                if entry.ecosystem is ecosystem and entry.purl is not None
            )
        )
