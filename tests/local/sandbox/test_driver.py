"""What the driver makes of a supervisor that is slow, talkative, mistaken or mute: real processes in its place."""

import base64
from pathlib import Path
from threading import Event

import pytest

from scangate.local.jobs import Interrupted
from scangate.local.sandbox import driver, wire
from scangate.local.sandbox.base import PhaseTrace, Plan, Program, SandboxFailed
from scangate.local.sandbox.driver import Driver
from scangate.models.analysis import Phase
from tests.local.sandbox import jobs


def supervised(script: str, tmp_path: Path, stop: Event | None = None) -> tuple[PhaseTrace, ...]:
    plan = jobs.plan(Program(argv=("/usr/bin/true",), cwd="/app"), seconds=0)
    order = wire.Order(plan=Plan(tree=tmp_path, phases=(plan,)), workspace=str(tmp_path), tools={}, user=None)
    return Driver(["/bin/sh", "-c", script], order, stop or Event()).answer()


def saying(answer: bytes) -> str:
    return f"read order; echo {base64.b64encode(answer).decode()} | base64 -d"


def test_an_answer(tmp_path: Path) -> None:
    trace = PhaseTrace(phase=Phase.INSTALL, status="completed", stdout=b"\xff", truncated=True)
    assert supervised(saying(wire.encode_traces((trace,))), tmp_path) == (trace,)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (saying(wire.encode_failure("The tracer is gone.")), "The tracer is gone"),
        (saying(wire.encode_traces(())), "for other phases"),
        (saying(b'{"phases": [{"phase": "install"}]}'), "it was killed"),
        (saying(b'{"phases": '), "it was killed"),
        ("read order; echo first >&2; echo last words >&2; exit 1", "last words"),
        ("exec 0<&-; echo closed >&2; exit 1", "closed"),  # before it has read the order
        ("kill -9 $$", "it was killed"),
    ],
)
def test_what_is_no_answer_is_a_failure(tmp_path: Path, script: str, said: str) -> None:
    with pytest.raises(SandboxFailed, match=said):
        supervised(script, tmp_path)


def test_one_that_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "_EXTRA_SECONDS", 0.2)
    monkeypatch.setattr(driver, "_END_SECONDS", 0.0)
    with pytest.raises(SandboxFailed, match="did not answer in time"):
        supervised("exec sleep 600", tmp_path)


def test_one_that_never_stops_talking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "_MOST_ANSWER", 10_000)
    with pytest.raises(SandboxFailed, match="larger than 10000 bytes"):
        supervised("exec yes", tmp_path)


def test_one_that_is_no_longer_wanted(tmp_path: Path) -> None:
    stop = Event()
    stop.set()
    with pytest.raises(Interrupted):
        supervised("exec sleep 600", tmp_path, stop)
