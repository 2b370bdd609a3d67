"""The built-in policy keeps its promises on every report at hand."""

import gzip
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from scangate.models.verdict import Status
from scangate.policy import loader
from tests import synthetic
from tools import local_table, rules_report
from tools.rules_report import Group, Measured


@cache
def _measured() -> tuple[Measured, ...]:
    return rules_report.measure()


def _of(group: Group) -> Sequence[Measured]:
    return [each for each in _measured() if each.group is group]


def test_every_promise_is_kept() -> None:
    assert list(rules_report.problems(_measured())) == []


def test_there_is_enough_to_measure() -> None:
    local = [each.name.rpartition("/")[2] for each in _of(Group.BENIGN) if each.name.startswith("local/benign/")]
    assert len(local) == len(f"{local_table.NPM} {local_table.PYPI}".split()) >= 40
    ran = [each.name for each in _of(Group.MALICIOUS) if each.name.startswith("local/malicious/")]
    assert len(ran) == len(synthetic.names())
    assert {each.name for each in _of(Group.MALICIOUS)} == rules_report.BEHAVIOUR.keys()
    assert {each.name for each in _of(Group.SILENT)} == rules_report.SILENT


def test_no_benign_report_is_denied_and_at_most_one_in_ten_warned() -> None:
    statuses = [each.verdict.status for each in _of(Group.BENIGN)]
    assert set(statuses) <= {Status.PASSED, Status.WARNED}
    assert statuses.count(Status.WARNED) * 10 <= len(statuses)


@pytest.mark.parametrize("name", sorted(rules_report.BEHAVIOUR))
def test_every_malicious_report_is_denied_for_what_it_does(name: str) -> None:
    (one,) = [each for each in _measured() if each.name == name]
    rules = {rule.id for rule in loader.default().rules}
    assert rules_report.BEHAVIOUR[name] <= rules
    assert one.verdict.status is Status.BLOCKED
    denied = {finding.rule for finding in one.verdict.findings if finding.action == "deny"}
    assert rules_report.BEHAVIOUR[name] <= denied


@pytest.mark.parametrize("name", sorted(rules_report.SILENT))
def test_a_report_that_proves_nothing_has_an_outcome_that_says_so(name: str) -> None:
    (one,) = [each for each in _measured() if each.name == name]
    assert one.verdict.status in (Status.WARNED, Status.INCOMPLETE)
    assert {each.action for each in one.verdict.shortfalls} & {"warn", "fail"}


def _emptied(document: Any) -> Any:
    """The report, with nothing observed in any phase."""
    body = document.get("analysis_results", document)
    for phase in body["Analysis"].values():
        for kind in ("Files", "Sockets", "Commands", "DNS", "Syscalls"):
            if kind in phase:
                phase[kind] = []
    return document


@pytest.mark.parametrize("name", [each.name for each in _measured() if "lastpymile" not in each.name])
def test_without_its_observations_no_report_passes(name: str) -> None:
    path = rules_report.REPORTS / f"{name}.json"
    payload = path.read_bytes() if path.exists() else gzip.decompress(path.with_name(f"{path.name}.gz").read_bytes())
    verdict = rules_report.judged(name, json.dumps(_emptied(json.loads(payload))).encode())
    assert verdict.status is Status.INCOMPLETE
    assert "blind" in {each.shortfall.code for each in verdict.shortfalls}


def test_a_broken_promise_is_told() -> None:
    benign, malicious, silent = (_of(group)[0] for group in Group)
    broken = [
        replace(benign, verdict=malicious.verdict),
        replace(malicious, verdict=benign.verdict),
        replace(malicious, name="made/unknown"),
        replace(silent, verdict=benign.verdict),
    ]
    said = list(rules_report.problems(broken))
    assert len(said) == 5
    assert "is benign and denied by" in said[0]
    assert "not denied by" in said[1]
    assert "say in BEHAVIOUR what it shows" in said[2]
    assert "proves nothing" in said[3]
    assert said[4] == "1 of 1 benign reports do not pass"


def test_the_text_has_every_rule_and_every_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert rules_report.main() == 0
    text = capsys.readouterr().out
    assert all(f"\n{rule.id} " in text for rule in loader.default().rules)
    assert all(each.name in text for each in _measured())
