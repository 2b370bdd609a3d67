"""Code Quality reports, as GitLab's documentation asks for them."""

import json

import jsonschema
import pytest

from scangate.models.verdict import Action, NoticeCode, PolicyNotice, Severity, Status, SubjectVerdict, Verdict
from scangate.output import escape, gitlab
from scangate.output.base import Tree
from tests.output.cases import ALLOWED_ITEM, BLOCKED_ITEM, CASES, EVIDENCE, dependency, finding, subject, verdict
from tests.output.hostile import HARMLESS, TEXTS, hostile_verdict
from tests.output.renderers import SETTING

SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "additionalProperties": False,
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string"},
            "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "pattern": r"^(?!\./|/|\.\./)."},
                    "lines": {
                        "type": "object",
                        "required": ["begin"],
                        "properties": {"begin": {"type": "integer", "minimum": 1}},
                    },
                },
            },
        },
    },
}
"""docs.gitlab.com/ci/testing/code_quality, "Code Quality report format": relative paths, without "./"."""


def _issues(verdict_: Verdict, tree: Tree = SETTING.tree) -> list[dict]:  # type: ignore[type-arg]  # JSON
    document = json.loads(gitlab.render(verdict_, tree=tree))
    jsonschema.validate(document, SCHEMA)
    prints = [each["fingerprint"] for each in document]
    assert len(set(prints)) == len(prints)
    return document  # type: ignore[no-any-return]  # JSON


@pytest.mark.parametrize("case", CASES)
def test_it_is_as_documented_and_fingerprints_are_unique(case: str) -> None:
    _issues(CASES[case])


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_hostile_text_stays_text(text: str) -> None:
    issues = _issues(hostile_verdict(text))
    assert all(len(each["description"]) <= gitlab.MAX_DESCRIPTION for each in issues)
    assert all(each["description"].isprintable() and each["location"]["path"].isprintable() for each in issues)
    if text:
        assert len(issues) == len(_issues(hostile_verdict(HARMLESS)))
        assert escape.terminal(text)[:100] in issues[0]["description"]


def _moved(item: SubjectVerdict, line: int) -> SubjectVerdict:
    entries = tuple(entry._replace(line=line) for entry in item.subject.dependencies)
    return item._replace(subject=item.subject._replace(dependencies=entries))


def test_a_fingerprint_survives_a_moved_line_and_other_evidence() -> None:
    before = _issues(verdict(Status.BLOCKED, BLOCKED_ITEM))
    fresh = BLOCKED_ITEM.findings[0]._replace(evidence=EVIDENCE[:1])
    after = _issues(verdict(Status.BLOCKED, _moved(BLOCKED_ITEM._replace(findings=(fresh,)), 999)))
    assert after[0]["location"]["lines"]["begin"] == 999
    assert after[0]["fingerprint"] == before[0]["fingerprint"]


def test_what_differs_has_another_fingerprint() -> None:
    entry = BLOCKED_ITEM.subject.dependencies[0]
    others = [
        BLOCKED_ITEM._replace(subject=subject(entry._replace(purl="pkg:npm/other@1"))),
        BLOCKED_ITEM._replace(subject=subject(entry._replace(lockfile="other/package-lock.json"))),
        BLOCKED_ITEM._replace(findings=(finding("other-rule", EVIDENCE[0]),)),
        BLOCKED_ITEM._replace(findings=(BLOCKED_ITEM.findings[0]._replace(engine=None),)),
    ]
    prints = [_issues(verdict(Status.BLOCKED, item))[0]["fingerprint"] for item in (BLOCKED_ITEM, *others)]
    assert len(set(prints)) == 5


def test_a_package_that_stands_twice_in_a_lockfile_is_one_issue_in_each_lockfile() -> None:
    entry = dependency("a", "1", line=3)
    entries = (entry, entry._replace(line=90), entry._replace(lockfile="api/package-lock.json", line=5))
    item = BLOCKED_ITEM._replace(
        subject=subject(entry)._replace(dependencies=entries), findings=BLOCKED_ITEM.findings[:1]
    )
    places = [
        (each["location"]["path"], each["location"]["lines"]["begin"])
        for each in _issues(verdict(Status.BLOCKED, item), Tree())
    ]
    assert places == [("web/package-lock.json", 3), ("api/package-lock.json", 5)]


@pytest.mark.parametrize(
    ("action", "severity", "expected"),
    [
        (Action.DENY, Severity.CRITICAL, "blocker"),
        (Action.DENY, Severity.HIGH, "critical"),
        (Action.DENY, Severity.MEDIUM, "major"),
        (Action.DENY, Severity.LOW, "major"),
        (Action.WARN, Severity.CRITICAL, "minor"),
        (Action.NOTE, Severity.CRITICAL, "info"),
    ],
)
def test_severities(action: Action, severity: Severity, expected: str) -> None:
    item = BLOCKED_ITEM._replace(findings=(finding("x", EVIDENCE[0], action=action)._replace(severity=severity),))
    [issue] = _issues(verdict(Status.BLOCKED, item))
    assert issue["severity"] == expected
    assert f"({severity}, {action} by default)" in issue["description"]


def test_what_is_allowed_is_there_for_information_with_its_reason() -> None:
    [issue] = _issues(verdict(Status.PASSED, ALLOWED_ITEM))
    assert issue["severity"] == "info"
    assert "Allowed: fetches its own binary (scangate.yml:12, until 2027-06-30)." in issue["description"]


def test_notices_stand_in_the_policy_and_what_has_no_place_in_the_repository_itself() -> None:
    notices = (
        PolicyNotice(code=NoticeCode.ALLOW_EXPIRED, message="No.", where="scangate.yml:3", action=Action.DENY),
        PolicyNotice(code=NoticeCode.ALLOW_UNUSED, message="Hm.", where="default"),
    )
    first, second = _issues(CASES["passed"]._replace(notices=notices))
    assert first["location"] == {"path": "scangate.yml", "lines": {"begin": 3}}
    assert (first["severity"], second["severity"]) == ("critical", "minor")
    assert second["location"] == {"path": ".", "lines": {"begin": 1}}


def test_an_issue_without_a_lockfile_has_a_location_too() -> None:
    item = BLOCKED_ITEM._replace(subject=BLOCKED_ITEM.subject._replace(dependencies=()))
    assert _issues(verdict(Status.BLOCKED, item, lockfiles=()))[0]["location"]["path"] == "."
