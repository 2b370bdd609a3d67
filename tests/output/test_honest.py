"""What every format owes its reader: no verdict looks better than it is, the gravest comes first, cuts are told."""

import json
import xml.etree.ElementTree as ET

import pytest

from scangate.models.analysis import OutcomeCode
from scangate.models.verdict import (
    DecidedBy,
    Decider,
    NoticeCode,
    OutcomeAction,
    PolicyNotice,
    Severity,
    Status,
    SubjectVerdict,
    Verdict,
)
from scangate.output import markdown, sarif, verdict_json
from tests.output.cases import (
    CASES,
    EVIDENCE,
    LOCKFILE_ITEM,
    SCOPE_CHANGE,
    dependency,
    finding,
    pending,
    subject,
    verdict,
)
from tests.output.renderers import RENDERERS
from tests.output.runner_commands import annotations

NOTHING = verdict(
    Status.INCOMPLETE,
    lockfiles=(),
    notices=(PolicyNotice(code=NoticeCode.NOTHING_DECIDED, message="There was no package.", where="default"),),
)


@pytest.mark.parametrize(
    "open_", [NOTHING, *(each for each in CASES.values() if each.status in (Status.BLOCKED, Status.INCOMPLETE))]
)
def test_no_format_makes_a_run_without_a_pass_look_like_one(open_: Verdict) -> None:
    root = ET.fromstring(RENDERERS["junit.xml"](open_))
    assert int(root.attrib["failures"]) + int(root.attrib["errors"]) > 0
    assert root.findall("*/testcase/failure") or root.findall("*/testcase/error")
    assert annotations(RENDERERS["github.txt"](open_))[0].name == "error"
    severities = {each["severity"] for each in json.loads(RENDERERS["gitlab.json"](open_))}
    assert severities & {"blocker", "critical", "major"}
    for name in ("md", "terminal.txt"):
        assert RENDERERS[name](open_).startswith(("scangate: BLOCKED", "scangate: INCOMPLETE", "## 🛑", "## ⏳"))


@pytest.mark.parametrize("name", ["terminal.txt", "junit.xml", "github.txt", "gitlab.json", "sarif"])
def test_what_only_a_hook_lets_pass_is_told_of_ci(name: str) -> None:
    waits = pending(OutcomeCode.PENDING, OutcomeAction.WARN)

    def shown(decider: Decider) -> str:
        gap = waits._replace(decided_by=DecidedBy(decider, "scangate.yml:7"))
        item = SubjectVerdict(
            subject=subject(dependency("a", "1", line=1)), status=Status.WARNED, findings=(), shortfalls=(gap,)
        )
        return " ".join(RENDERERS[name](verdict(Status.WARNED, item)).split())

    assert "CI will block on it." in shown(Decider.PROFILE)
    assert "CI will block" not in shown(Decider.POLICY)


def test_nothing_to_decide_on_is_an_error_and_no_failure() -> None:
    [error] = ET.fromstring(RENDERERS["junit.xml"](NOTHING)).findall("testsuite[@name='policy']/testcase/error")
    assert error.attrib["message"] == "There was no package."


def _item(name: str, *severities: Severity) -> SubjectVerdict:
    findings = tuple(
        finding(f"rule-{number}-{severity}", EVIDENCE[0])._replace(severity=severity, title=f"Is {severity}")
        for number, severity in enumerate(severities)
    )
    return SubjectVerdict(subject=subject(dependency(name, "1", line=1)), status=Status.BLOCKED, findings=findings)


MANY = verdict(Status.BLOCKED, *(_item(f"a{n}", Severity.LOW) for n in range(300)), _item("z", Severity.CRITICAL))


def test_the_gravest_findings_are_those_for_which_there_is_room() -> None:
    assert "pkg:npm/z@1" in annotations(RENDERERS["github.txt"](MANY))[0].properties["title"]
    short = markdown.render(MANY, limit=3_000)
    assert "pkg:npm/z@1" in short
    assert "left out" in short


def test_the_gravest_finding_of_a_package_is_its_headline() -> None:
    both = verdict(Status.BLOCKED, _item("a", Severity.LOW, Severity.CRITICAL))
    [failure] = ET.fromstring(RENDERERS["junit.xml"](both)).findall("*/testcase/failure")
    assert failure.attrib["message"].startswith("blocked: Is critical")
    terminal = RENDERERS["terminal.txt"](both)
    assert terminal.index("Is critical") < terminal.index("Is low")


def test_lists_that_are_cut_say_so() -> None:
    gaps = verdict(
        Status.INCOMPLETE,
        *(
            SubjectVerdict(
                subject=subject(dependency(f"p{n}", "1", line=n + 1)),
                status=Status.INCOMPLETE,
                shortfalls=(pending(OutcomeCode.FAILED, OutcomeAction.FAIL, f"Reason {n}."),),
            )
            for n in range(8)
        ),
    )
    assert "Reason 7." in RENDERERS["terminal.txt"](gaps) or "- and 5 more" in RENDERERS["terminal.txt"](gaps)


def test_places_of_a_package_that_are_cut_are_counted() -> None:
    entries = tuple(dependency("a", "1", line=n + 1) for n in range(50))
    item = _item("a", Severity.HIGH)
    item = item._replace(subject=item.subject._replace(dependencies=entries))
    assert "and 30 more" in RENDERERS["junit.xml"](verdict(Status.BLOCKED, item, lockfiles=(LOCKFILE_ITEM,)))


def test_changes_of_use_that_are_cut_are_counted() -> None:
    changes = tuple(
        SCOPE_CHANGE._replace(dependency=SCOPE_CHANGE.dependency._replace(line=n + 1)) for n in range(1_050)
    )
    whole = CASES["changes"]._replace(scope_changes=changes)
    assert "and 1030 more" in RENDERERS["junit.xml"](whole)
    (run,) = json.loads(RENDERERS["sarif"](whole))["runs"]
    assert len(run["properties"]["scopeChanges"]) == 1_000
    assert run["properties"]["scopeChangesLeftOut"] == 50


@pytest.mark.parametrize("name", ["json", "sarif"])
def test_a_document_for_programs_alone_has_no_white_space_and_says_the_same(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    indented = RENDERERS[name](MANY)
    for module in (sarif, verdict_json):
        monkeypatch.setattr(module, "MAX_INDENTED", 300)
    compact = RENDERERS[name](MANY)
    assert (indented.count("\n") > 1_000, compact.count("\n")) == (True, 1)
    assert json.loads(compact) == json.loads(indented)


def test_a_way_in_that_is_cut_is_counted() -> None:
    steps = tuple(f"s{n}@1" for n in range(25))
    item = _item("s24", Severity.HIGH)
    entry = item.subject.dependencies[0]._replace(path=steps)
    whole = verdict(Status.BLOCKED, item._replace(subject=item.subject._replace(dependencies=(entry,))))
    (result,) = json.loads(RENDERERS["sarif"](whole))["runs"][0]["results"]
    assert len(result["properties"]["path"]) == 20
    assert result["properties"]["pathLeftOut"] == 5


@pytest.mark.parametrize("limit", [2_000, markdown.MAX_COMMENT])
def test_the_command_to_allow_is_never_cut(limit: int) -> None:
    name = f"pkg:npm/{'a' * 200}@1"
    item = _item("a", Severity.HIGH)
    whole = verdict(Status.BLOCKED, item._replace(subject=item.subject._replace(key=name)))
    assert f"`scangate allow {name} rule-0-high --reason WHY --owner WHO --expires 90d`" in markdown.render(
        whole, limit=limit
    )


@pytest.mark.parametrize("name", ["a`b", "a\u202eb", "a" * 1_000])
def test_where_no_command_would_work_none_is_told(name: str) -> None:
    item = _item("a", Severity.HIGH)
    for whole in (
        verdict(Status.BLOCKED, item._replace(subject=item.subject._replace(key=name))),
        verdict(
            Status.BLOCKED,
            lockfiles=(LOCKFILE_ITEM._replace(status=Status.BLOCKED, findings=(finding("lock-x", EVIDENCE[9]),)),),
        ),
    ):
        text = markdown.render(whole)
        assert "scangate allow" not in text
        assert "an entry under `allow` in the policy" in text
