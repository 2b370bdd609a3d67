"""What the cache is good for: answers without asking again, what older versions did, which digests were seen before."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from scangate.digests import is_conflict
from scangate.models.analysis import Analyser, AnalysisRequest, Answer, Report
from scangate.service.base import Interrupted
from scangate.service.cache import Cache, Entry

IsWhole = Callable[[AnalysisRequest, Report], bool]
"""Whether the report is one about what was asked for, recent enough, and shows what it should: worth being kept."""


class CachedAnalyser(NamedTuple):
    """A models.Analyser. A report is taken from the cache only where it would be put there now.

    So one that has become too old for the policy, or that the reader of today does not accept, is asked for again.
    `tell` is told how many of how many answers come from the cache, where any does.
    """

    inner: Analyser
    cache: Cache
    analyser: str
    is_whole: IsWhole
    tell: Callable[[int, int], None]

    def analyse(self, requests: Sequence[AnalysisRequest]) -> Mapping[AnalysisRequest, Answer]:
        """Raises what `inner` raises; Interrupted with the answers from the cache as well."""
        try:
            known = self.known(requests)
            if known:
                self.tell(len(known), len(set(requests)))
            others = [request for request in requests if request not in known]
            return known | dict(self.inner.analyse(others)) if others else known
        except Interrupted as exc:
            raise Interrupted(known | dict(exc.answers)) from None
        finally:
            self.cache.close()

    def known(self, requests: Sequence[AnalysisRequest]) -> dict[AnalysisRequest, Answer]:
        """What the cache answers; nothing is asked."""
        return {request: report for request in requests if (report := self._report(request)) is not None}

    def _report(self, request: AnalysisRequest) -> Report | None:
        report = self.cache.report(Entry(analyser=self.analyser, request=request))
        return report if report is not None and self.is_whole(request, report) else None


class History(NamedTuple):
    """What earlier runs have seen of a package, whatever lockfile it stood in. Nothing is asked of anybody."""

    cache: Cache
    analyser: str

    def report(self, request: AnalysisRequest) -> Report | None:
        """The latest report by this run's analyser on the package; by digests that do not exclude the request's."""
        for entry in self.cache.entries(request.purl):
            asked = entry.request
            is_same = entry.analyser == self.analyser and asked.engine is request.engine
            if is_same and not any(is_conflict(digests, asked.integrity) for digests in request.integrity):
                report = self.cache.report(entry)
                if report is not None:
                    return report
        return None

    def digests(self, purl: str) -> tuple[tuple[str, ...], ...]:
        """The sets of digests that lockfiles had for the package when it was asked for, each once."""
        found = (digests for entry in self.cache.asked(purl) for digests in entry.request.integrity)
        return tuple(dict.fromkeys(found))


class CacheMemory(NamedTuple):
    """A Memory. `resumes`: the analyser still knows a task when the next run comes."""

    cache: Cache
    analyser: str
    is_whole: IsWhole
    resumes: bool

    def recall(self, request: AnalysisRequest) -> int | None:
        return self.cache.task(self._entry(request)) if self._resumes(request) else None

    def remember(self, request: AnalysisRequest, task_id: int) -> None:
        if request.archive is None:
            self.cache.remember(self._entry(request), task_id if self.resumes else None)

    def keep(self, request: AnalysisRequest, report: Report) -> None:
        if self.is_whole(request, report):
            self.cache.keep(self._entry(request), report)
        else:
            self.forget(request)

    def forget(self, request: AnalysisRequest) -> None:
        if self._resumes(request):
            self.cache.forget(self._entry(request))

    def _resumes(self, request: AnalysisRequest) -> bool:
        # A task does not tell which bytes it is about: a second analysis is better than a verdict on other ones.
        return self.resumes and request.archive is None

    def _entry(self, request: AnalysisRequest) -> Entry:
        return Entry(analyser=self.analyser, request=request)
