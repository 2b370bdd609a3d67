"""Which reports may answer another run, too."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from scangate.models import AnalysisRequest, Engine, Report
from scangate.pipeline import Run
from scangate.policy import loader
from tests.conftest import ROOT

REPORTS = ROOT / "tests" / "assets" / "reports" / "dynamic-analysis"


def run(at: datetime) -> Run:
    return Run(
        policy=loader.default(),
        engines=(Engine.DYNAMIC_ANALYSIS,),
        now=at,
        elapsed=lambda: 0.0,
        analyser_name="https://api.example.com",
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


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b'{"Analysis": 1}', b"\xff"])
def test_what_is_no_report_is_not(payload: bytes) -> None:
    request = AnalysisRequest(purl="pkg:pypi/jeilyfish@0.7.1")
    assert not run(datetime(2026, 1, 1, tzinfo=UTC)).keeps(request, Report(payload=payload))
