"""What is read again is what was written, whatever the texts in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scangate.errors import ExitCode
from scangate.models.analysis import Analysed
from scangate.models.lockfile import LockFact
from scangate.models.observations import Observation
from scangate.models.verdict import Action, SubjectVerdict, Verdict
from scangate.output import verdict_json, verdict_read
from tests.output.hostile import hostile_verdict


def _again(verdict: Verdict) -> verdict_read.ReadVerdict:
    return verdict_read.read(verdict_json.render(verdict, exit_code=ExitCode.BLOCKED, version="1").encode())


def _told(observation: Observation) -> Observation:
    """A fact's `about` is not told."""
    return observation._replace(about=()) if isinstance(observation, LockFact) else observation


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_verdict_is_read_as_it_was_written(text: str) -> None:
    whole = hostile_verdict(text)
    for wrote in whole.subjects:
        _is_read_as_written(whole._replace(subjects=(wrote,)), wrote)


def _is_read_as_written(verdict: Verdict, wrote: SubjectVerdict) -> None:
    read = _again(verdict)
    assert (read.policy, read.analyser, read.compared) == (verdict.policy, verdict.analyser, verdict.compared)
    subject, got = wrote.subject, read.packages[wrote.subject.key]
    assert got.status == wrote.status
    assert (got.subject.ecosystem, got.subject.name, got.subject.version, got.subject.purl) == (
        subject.ecosystem,
        subject.name,
        subject.version,
        subject.purl,
    )
    assert [each._replace(facts=()) for each in got.subject.dependencies] == [
        each._replace(facts=()) for each in subject.dependencies
    ]
    assert [(each.kind, each.dependency.line) for each in got.subject.changes] == [
        (each.kind, each.dependency.line) for each in subject.changes
    ]
    assert got.analysed == tuple(each.engine for each in subject.results if isinstance(each, Analysed))
    assert got.shortfalls == tuple(each.shortfall for each in wrote.shortfalls)
    assert [(each.rule, each.action, each.engine, each.evidence, each.is_allowed) for each in got.findings] == [
        (each.rule, each.action, each.engine, tuple(map(_told, each.evidence)), each.allowed is not None)
        for each in wrote.findings
    ]


def test_what_a_lockfile_shows_is_evidence_too() -> None:
    (wrote, *_) = hostile_verdict("x").subjects
    fact = LockFact(check="confusion", detail="…", line=3, about=("hidden",))
    finding = wrote.findings[0]._replace(evidence=(fact,))
    verdict = hostile_verdict("x")._replace(subjects=(wrote._replace(findings=(finding,)),))
    (got,) = _again(verdict).packages[wrote.subject.key].findings
    assert got.evidence == (LockFact(check="confusion", detail="…", line=3),)


@pytest.mark.parametrize("action", Action)
def test_a_finding_is_one_that_denies_or_warns_and_is_not_allowed(action: Action) -> None:
    whole = hostile_verdict("x")
    silent = tuple(each._replace(findings=()) for each in whole.lockfiles)
    one, other = whole.subjects
    for finding in (one.findings[0], other.findings[0]):
        subjects = (one._replace(findings=(finding._replace(action=action),)),)
        written = whole._replace(subjects=subjects, lockfiles=silent)
        text = verdict_json.render(written, exit_code=ExitCode.PASS, version="1").encode()
        expected = action is not Action.NOTE and finding.allowed is None
        assert verdict_read.has_finding(text) is expected


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"\xff", b"null", b"[" * 100_000, b'{"packages": [{}], "lockfiles": [{}]}', b'{"packages": 1}'],
)
def test_what_is_no_verdict_is_one_kind_of_error(content: bytes) -> None:
    for reader in (verdict_read.read, verdict_read.has_finding):
        with pytest.raises(ValueError):
            reader(content)
