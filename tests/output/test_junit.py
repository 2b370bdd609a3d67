"""JUnit XML: valid for all its readers, true to the verdict, and nothing in it but text."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import xmlschema
from hypothesis import given
from hypothesis import strategies as st

from scangate.models.verdict import Action, NoticeCode, PolicyNotice, Status, Verdict
from scangate.output import escape, junit
from scangate.output.base import Tree
from tests.output.cases import BLOCKED_ITEM, CASES, CLEAN_ITEM, PRIVATE_ITEM, dependency, subject, verdict
from tests.output.hostile import HARMLESS, HUGE, TEXTS, hostile_verdict, huge_verdict
from tests.output.renderers import SETTING

SCHEMA = xmlschema.XMLSchema(Path(__file__).with_name("junit.xsd"))


def _parse(verdict_: Verdict, tree: Tree = SETTING.tree) -> ET.Element:
    text = junit.render(verdict_, tree=tree)
    SCHEMA.validate(text)
    return ET.fromstring(text)  # a reader of its own, with expat's ideas of what is well-formed


def _shape(root: ET.Element) -> list[tuple[str, tuple[str, ...]]]:
    return [(each.tag, tuple(each.keys())) for each in root.iter()]


@pytest.mark.parametrize("case", CASES)
def test_it_is_valid_and_counts_are_those_of_the_verdict(case: str) -> None:
    root = _parse(CASES[case])
    statuses = [item.status for item in (*CASES[case].subjects, *CASES[case].lockfiles)]
    assert len(root.findall("*/testcase/failure")) == statuses.count(Status.BLOCKED) == int(root.attrib["failures"])
    assert len(root.findall("*/testcase/error")) == statuses.count(Status.INCOMPLETE) == int(root.attrib["errors"])
    assert len(root.findall("*/testcase")) == int(root.attrib["tests"])
    for suite in root:
        assert len(suite.findall("testcase")) == int(suite.attrib["tests"])
        for name, count in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            assert len(suite.findall(f"testcase/{name}")) == int(suite.attrib[count])


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_hostile_text_stays_text(text: str) -> None:
    root = _parse(hostile_verdict(text))
    if text:
        assert _shape(root) == _shape(_parse(hostile_verdict(HARMLESS)))
        shown = escape.terminal(escape.shorten(text, junit.MAX_TEXT))
        assert shown in {value for each in root.iter("testcase") for value in each.attrib.values()}
    assert not any("[[ATTACHMENT" in (each.text or "") for each in root.iter())


@pytest.mark.parametrize("text", HUGE.values(), ids=HUGE)
def test_a_megabyte_is_no_trouble(text: str) -> None:
    assert _shape(_parse(huge_verdict(text))) == _shape(_parse(huge_verdict(HARMLESS)))


@given(st.text() | st.text(st.sampled_from("&<>\"'[]!:#-; a\x00\x0b\ufffe\ud800\U0001f600")))
def test_every_text_comes_back_as_a_terminal_would_show_it(text: str) -> None:
    expected = escape.terminal(text).replace("[[ATTACHMENT", "[\\[ATTACHMENT")
    element = ET.fromstring(f'<a b="{escape.xml(text)}">{escape.xml(text)}</a>')
    assert element.attrib["b"] == expected
    assert (element.text or "") == expected


def test_no_text_attaches_a_file() -> None:
    assert escape.xml("[[ATTACHMENT|/etc/passwd]]") == "[\\[ATTACHMENT|/etc/passwd]]"


def test_a_failure_says_all_that_decides() -> None:
    failure = _parse(CASES["changes"]).find("*/testcase/failure")
    assert failure is not None
    assert failure.attrib["message"].startswith("blocked: Contacts an unknown host")
    for part in ("acme-no-upgrade (high, deny by override scangate.yml:41)", "upgraded from 1.14.0", "c2.example"):
        assert part in (failure.text or "")
    properties = {each.attrib["name"]: each.attrib["value"] for each in _parse(CASES["changes"]).iter("property")}
    assert properties["base"] == "where 0123456789ab left origin/main"
    assert properties["not new, for another use"] == "left-pad@1.3.0 now prod, was dev (app/web/package-lock.json:70)"


def test_what_the_policy_excuses_from_analysis_is_skipped_and_does_not_pass_unseen() -> None:
    root = _parse(verdict(Status.WARNED, PRIVATE_ITEM, CLEAN_ITEM))
    cases = {each.attrib["name"]: [child.tag for child in each] for each in root.iter("testcase")}
    assert cases["private-registry:npm/@acme/ui@3.0.0"] == ["skipped"]
    assert cases["pkg:npm/axios@1.14.1"] == ["system-out"]


def test_a_package_in_two_lockfiles_is_in_both_suites() -> None:
    entries = [dependency("a", "1", line=3)._replace(lockfile=path) for path in ("one/package-lock.json", "two.lock")]
    item = BLOCKED_ITEM._replace(subject=subject(entries[0])._replace(dependencies=tuple(entries)))
    root = _parse(verdict(Status.BLOCKED, item, lockfiles=()), Tree())
    assert [suite.attrib["name"] for suite in root] == ["one/package-lock.json", "two.lock"]
    assert root.attrib["failures"] == "2"


def test_packages_without_a_lockfile_have_a_suite() -> None:
    item = BLOCKED_ITEM._replace(subject=BLOCKED_ITEM.subject._replace(dependencies=()))
    assert [suite.attrib["name"] for suite in _parse(verdict(Status.BLOCKED, item, lockfiles=()))] == ["packages"]


def test_a_policy_that_denies_itself_fails() -> None:
    notice = PolicyNotice(code=NoticeCode.ALLOW_EXPIRED, message="Gone.", where="scangate.yml:3", action=Action.DENY)
    root = _parse(CASES["passed"]._replace(status=Status.BLOCKED, notices=(notice,)))
    assert root.attrib["failures"] == "1"
    [failure] = root.findall("testsuite[@name='policy']/testcase/failure")
    assert failure.text == "Gone. (deny by default)"
