"""Which reports may answer another run, too."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import pytest

from scangate.models.analysis import Analysed, AnalysisRequest, Engine, OutcomeCode, Report
from scangate.models.changes import Change, ChangeKind, Selection
from scangate.models.lockfile import Dependency, Ecosystem, Kind, Lockfile
from scangate.pipeline import Run, conclude, nothing_earlier, observe
from scangate.policy import loader
from tests.conftest import ROOT

REPORTS = ROOT / "tests" / "assets" / "reports" / "dynamic-analysis"


def run(
    at: datetime,
    *,
    engines: tuple[Engine, ...] = (Engine.DYNAMIC_ANALYSIS,),
    earlier: Callable[[AnalysisRequest], Report | None] = nothing_earlier,
) -> Run:
    return Run(
        policy=loader.default(),
        engines=engines,
        now=at,
        elapsed=lambda: 0.0,
        analyser_name="https://api.example.com",
        earlier=earlier,
    )


def made(report: dict[str, object]) -> datetime:
    stamp = report["CreatedTimestamp"]
    assert isinstance(stamp, int)
    return datetime.fromtimestamp(stamp, UTC)


@pytest.fixture
def report() -> dict[str, object]:
    loaded: dict[str, object] = json.loads((REPORTS / "malware-pypi-jeilyfish-0.7.1.json").read_text())
    return loaded


def kept(report: dict[str, object], *, purl: str = "pkg:pypi/jeilyfish@0.7.1", later: float = 1) -> bool:
    request = AnalysisRequest(purl=purl)
    payload = Report(payload=json.dumps(report).encode())
    return run(made(report) + timedelta(days=later)).keeps(request, payload)


def test_a_report_on_malware_is_kept(report: dict[str, object]) -> None:
    assert kept(report)


def test_a_report_on_another_package_is_not(report: dict[str, object]) -> None:
    assert not kept(report, purl="pkg:pypi/jellyfish@0.7.1")
    assert not kept(report, purl="pkg:pypi/jeilyfish@0.7.2")


def test_an_old_report_and_one_of_the_future_are_not(report: dict[str, object]) -> None:
    limit = loader.default().max_report_age
    assert kept(report, later=limit)
    assert not kept(report, later=limit + 1)
    assert not kept(report, later=-2)


def test_a_report_in_which_nothing_was_observed_is_not(report: dict[str, object]) -> None:
    analysis = report["Analysis"]
    assert isinstance(analysis, dict)
    for phase in analysis.values():
        for name in ("Files", "Sockets", "Commands", "DNS"):
            phase[name] = None
    assert not kept(report)


def test_a_report_on_an_analysis_that_another_one_may_put_right_is_not(report: dict[str, object]) -> None:
    """A registry that served wrong bytes once, or an analyser that stumbled, is not held against the next run."""
    analysis = report["Analysis"]
    assert isinstance(analysis, dict)
    assert not kept(report | {"Integrity": {"expected": ["sha512:aa"], "actual": ["sha512:bb"]}})
    assert not kept(report | {"Missing": ["left-pad"]})
    assert not kept(report | {"Analysis": analysis | {"install": analysis["install"] | {"Status": "error_timeout"}}})


def test_a_report_on_what_the_package_does_every_time_is_kept(report: dict[str, object]) -> None:
    """No module could be imported, or it flooded the analysis: to ask again gives the same, and costs a request."""
    inert: dict[str, object] = json.loads((REPORTS / "inert-pypi-pytagora-1.2.json").read_text())
    assert kept(inert, purl="pkg:pypi/pytagora@1.2")
    analysis = report["Analysis"]
    assert isinstance(analysis, dict)
    flooding = report | {"Analysis": analysis | {"install": analysis["install"] | {"Truncated": True}}}
    assert kept(flooding)
    for document, purl, code in (
        (inert, "pkg:pypi/pytagora@1.2", OutcomeCode.IMPORT_FAILED),
        (flooding, "pkg:pypi/jeilyfish@0.7.1", OutcomeCode.TRUNCATED),
    ):
        shown = observe(run(made(document)), AnalysisRequest(purl=purl), Report(payload=json.dumps(document).encode()))
        assert isinstance(shown, Analysed)
        assert [each.code for each in shown.shortfalls] == [code]


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b'{"Analysis": 1}', b"\xff"])
def test_what_is_no_report_is_not(payload: bytes) -> None:
    request = AnalysisRequest(purl="pkg:pypi/jeilyfish@0.7.1")
    assert not run(datetime(2026, 1, 1, tzinfo=UTC)).keeps(request, Report(payload=payload))


# ----------------------------------------------------------------------------------------------- older versions


def axios(version: str) -> Dependency:
    return Dependency(
        ecosystem=Ecosystem.NPM,
        name="axios",
        version=version,
        kind=Kind.REGISTRY,
        purl=f"pkg:npm/axios@{version}",
        integrity=(f"sha512:{version}",),
        lockfile="package-lock.json",
    )


def earlier(change: Change, at_hand: Mapping[AnalysisRequest, Report]) -> tuple[Analysed, ...]:
    """What the pipeline finds of the versions that the changed entry replaces."""
    lockfile = Lockfile(path="package-lock.json", format="npm-package-lock", dependencies=(change.dependency,))
    at = datetime.fromtimestamp(1_800_000_000, UTC)
    with_earlier = run(at, earlier=at_hand.get, engines=tuple(Engine))
    verdict = conclude(with_earlier, Selection(lockfiles=(lockfile,), changes=(change,)), {})
    (only,) = verdict.subjects
    return only.subject.earlier


def on(version: str, *hosts: str) -> Report:
    queries = [{"Hostname": host, "Types": ["A"]} for host in hosts]
    install = {"Status": "completed", "DNS": [{"Class": "IN", "Queries": queries}]}
    about = {"Ecosystem": "npm", "Name": "axios", "Version": version}
    document = {"Package": about, "CreatedTimestamp": 1_790_000_000, "Analysis": {"install": install}}
    return Report(payload=json.dumps(document).encode())


OLD = AnalysisRequest(purl="pkg:npm/axios@1.0.0", integrity=(("sha512:1.0.0",),))


@pytest.mark.parametrize("kind", [ChangeKind.UPGRADED, ChangeKind.DOWNGRADED, ChangeKind.CHANGED])
def test_what_the_replaced_version_showed_is_at_hand_whatever_its_age(kind: ChangeKind) -> None:
    change = Change(kind=kind, dependency=axios("1.1.0"), before=axios("1.0.0"))
    (found,) = earlier(change, {OLD: on("1.0.0", "old.example")})
    assert found.engine is Engine.DYNAMIC_ANALYSIS
    assert [getattr(each, "host", None) for each in found.observations] == ["old.example"]


def test_each_engine_has_its_own() -> None:
    change = Change(kind=ChangeKind.UPGRADED, dependency=axios("1.1.0"), before=axios("1.0.0"))
    asked = OLD._replace(engine=Engine.LASTPYMILE)
    assert earlier(change, {asked: on("1.0.0")}) == ()  # no report of that engine


@pytest.mark.parametrize(
    "change",
    [
        Change(kind=ChangeKind.ADDED, dependency=axios("1.1.0")),
        Change(kind=ChangeKind.INTEGRITY, dependency=axios("1.0.0"), before=axios("1.0.0")),
        Change(kind=ChangeKind.SOURCE, dependency=axios("1.1.0"), before=axios("1.0.0")._replace(purl=None)),
    ],
)
def test_what_replaces_no_package_of_a_registry_has_nothing_earlier(change: Change) -> None:
    assert earlier(change, {OLD: on("1.0.0", "old.example")}) == ()


def test_a_report_on_another_package_says_nothing_of_the_replaced_one() -> None:
    change = Change(kind=ChangeKind.UPGRADED, dependency=axios("1.1.0"), before=axios("1.0.0"))
    assert earlier(change, {OLD: on("1.0.1", "old.example")}) == ()
