from pathlib import Path
from threading import Event

import pytest

from scangate.local.engines.recordings import Recording, Recordings
from scangate.local.engines.replay import ReplayEngine, ScriptedFaults
from scangate.local.jobs import Interrupted, Job, Outcome
from scangate.models.analysis import Engine

PURL = "pkg:npm/left-pad@1.0.0"
JOB = Job(task_id=1, purl=PURL, engine=Engine.DYNAMIC_ANALYSIS)


def recorded(recording: Recording) -> Recordings:
    return Recordings(where=Path("replay"), by_purl={(Engine.DYNAMIC_ANALYSIS, PURL): recording})


class Waited(Event):
    """An event that notes how long it was waited for, and comes back at once."""

    seconds: float | None = None

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds = timeout
        return self.is_set()


def test_it_takes_as_long_as_the_recording_says() -> None:
    stop = Waited()
    ReplayEngine(recorded(Recording(delay=2.5))).analyse(JOB, stop)
    assert stop.seconds == 2.5


def test_a_stop_gives_the_analysis_up() -> None:
    stop = Event()
    stop.set()
    with pytest.raises(Interrupted):
        ReplayEngine(recorded(Recording(delay=60))).analyse(JOB, stop)


def test_the_scripted_end(tmp_path: Path) -> None:
    report = tmp_path / "report"
    report.write_bytes(b"as it is")

    def analysed(recording: Recording) -> Outcome:
        return ReplayEngine(recorded(recording)).analyse(JOB, Event())

    assert analysed(Recording(report=report)) == Outcome(status="completed", report=b"as it is")
    assert analysed(Recording()) == Outcome(status="completed")
    exploded = Recording(report=report, status="exploded", error_message="Boom.")
    assert analysed(exploded) == Outcome(status="exploded", error_message="Boom.")


def test_a_report_that_has_gone_fails_the_task(tmp_path: Path) -> None:
    outcome = ReplayEngine(recorded(Recording(report=tmp_path / "gone.json"))).analyse(JOB, Event())
    assert outcome.status == "failed"
    assert "gone.json" in str(outcome.error_message)


def test_each_fault_happens_once_in_order_for_its_purl_and_engine() -> None:
    faults = ScriptedFaults(recorded(Recording(submit_failures=(503, 429), report_failures=(403,))))
    dynamic = Engine.DYNAMIC_ANALYSIS
    assert [faults.submission(dynamic, PURL) for _ in range(4)] == [503, 429, None, None]
    assert [faults.download(dynamic, PURL) for _ in range(2)] == [403, None]
    assert faults.submission(Engine.LASTPYMILE, PURL) is None
    assert faults.download(dynamic, "pkg:npm/other@1") is None
