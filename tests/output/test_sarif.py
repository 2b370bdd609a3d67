"""What stands in a SARIF log: identities that survive, levels, places, exceptions, and what gives way to the limits."""

import gzip
import json
import random
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scangate.errors import ExitCode
from scangate.models.analysis import Engine, OutcomeCode, Phase
from scangate.models.lockfile import Dependency, LockFact, Lockfile
from scangate.models.observations import CommandRun
from scangate.models.verdict import (
    Action,
    Allowed,
    DecidedBy,
    Decider,
    Finding,
    LockfileVerdict,
    Mode,
    NoticeCode,
    OutcomeAction,
    PolicyNotice,
    Status,
    SubjectVerdict,
    Verdict,
)
from scangate.output import sarif
from scangate.output.base import Setting, Tree
from tests.output.cases import (
    ALLOWED_ITEM,
    BLOCKED_ITEM,
    CASES,
    EVIDENCE,
    LOCK,
    PENDING_ITEM,
    PRIVATE_ITEM,
    UNSUPPORTED_ITEM,
    dependency,
    finding,
    pending,
    subject,
    verdict,
)

Json = dict[str, Any]
ROOT = Tree(root="/repo", cwd="/repo")
WEB = Tree(root="/repo", cwd="/repo/web app")


def log(what: Verdict, *, code: ExitCode = ExitCode.BLOCKED, tree: Tree = ROOT) -> Json:
    (run,) = json.loads(sarif.render(what, Setting(version="1.2.3", exit_code=code, tree=tree)))["runs"]
    found: Json = run
    return found


def item(*entries: Dependency, findings: tuple[Finding, ...]) -> SubjectVerdict:
    whole = subject(entries[0])._replace(dependencies=entries)
    return SubjectVerdict(subject=whole, status=Status.BLOCKED, findings=findings)


def fingerprint(result: Json) -> str:
    (value,) = result["partialFingerprints"].values()
    return str(value)


def place(result: Json) -> tuple[str, int]:
    physical = result["locations"][0]["physicalLocation"]
    return physical["artifactLocation"]["uri"], physical["region"]["startLine"]


# ---------------------------------------------------------------------------------------------- identity


def test_a_finding_on_a_moved_line_keeps_its_identity() -> None:
    entries = [dependency("axios", "1.14.1", line=line) for line in (12, 80)]
    moved = [entry._replace(line=entry.line + 300) for entry in entries]
    before, after = (
        log(verdict(Status.BLOCKED, item(*each, findings=(finding("net-x", EVIDENCE[0]),))))["results"]
        for each in (entries, moved)
    )
    assert [place(result)[1] for result in before] == [12, 80]
    assert [place(result)[1] for result in after] == [312, 380]
    assert [fingerprint(result) for result in before] == [fingerprint(result) for result in after]


def test_what_a_rule_says_and_what_was_seen_are_no_part_of_it() -> None:
    (before,) = log(CASES["allowed"])["results"]
    (found,) = ALLOWED_ITEM.findings
    changed = found._replace(title="Other words", advice="", action=Action.WARN, evidence=EVIDENCE[:3], allowed=None)
    (after,) = log(verdict(Status.WARNED, ALLOWED_ITEM._replace(findings=(changed,))))["results"]
    assert fingerprint(before) == fingerprint(after)


@given(st.data())
def test_two_findings_never_share_one(data: st.DataObject) -> None:
    names = st.sampled_from(["a", "b", "a@1", 'a", "b'])
    findings = data.draw(
        st.lists(
            st.builds(
                lambda rule, engine: finding(rule, EVIDENCE[0])._replace(engine=engine),
                st.sampled_from(["net-a", "net-b"]),
                st.sampled_from([None, *Engine]),
            ),
            min_size=1,
            max_size=4,
            unique_by=lambda each: (each.rule, each.engine),
        )
    )
    packages = data.draw(st.lists(st.tuples(names, names), min_size=1, max_size=4, unique=True))
    places = data.draw(st.lists(st.tuples(names, st.integers(1, 9)), min_size=1, max_size=4, unique=True))
    items = [
        item(
            *(dependency(name, version, line=line)._replace(lockfile=path) for path, line in places),
            findings=tuple(findings),
        )
        for name, version in packages
    ]
    results = log(verdict(Status.BLOCKED, *items))["results"]
    assert len(results) == len(findings) * len(packages) * len(places)
    assert len({fingerprint(result) for result in results}) == len(results)


def test_the_facts_of_a_lockfile_are_told_one_by_one() -> None:
    facts = (
        LockFact(check="extra-index", detail="https://a.example", line=9),
        LockFact(check="extra-index", detail="https://b.example", line=2),
        LockFact(check="extra-index", detail="https://a.example", line=3),
    )
    lock = LockfileVerdict(
        lockfile=Lockfile(path="requirements.txt", format="requirements", facts=facts),
        status=Status.BLOCKED,
        findings=(finding("lock-extra-index", *facts),),
    )
    results = log(verdict(Status.BLOCKED, lockfiles=(lock,)))["results"]
    assert [place(result) for result in results] == [("requirements.txt", line) for line in (2, 3, 9)]
    assert len({fingerprint(result) for result in results}) == 3
    assert "https://b.example" in results[0]["message"]["text"]
    assert "https://a.example" not in results[0]["message"]["text"]


def test_a_fact_of_an_entry_is_told_at_the_entries_that_show_it() -> None:
    fact = LockFact(check="confusion", detail="From elsewhere.", line=5)
    good, bad = dependency("acme-ui", "1.0.0", line=3), dependency("acme-ui", "1.0.0", line=5)._replace(facts=(fact,))
    results = log(verdict(Status.BLOCKED, item(good, bad, findings=(finding("lock-confusion", fact),))))["results"]
    assert [place(result) for result in results] == [(LOCK, 5)]


# ----------------------------------------------------------------------------------------------- content


def test_levels_say_what_the_policy_does() -> None:
    actions = [finding(f"net-{action}", EVIDENCE[0])._replace(action=action) for action in Action]
    run = log(verdict(Status.BLOCKED, item(dependency("a", "1", line=1), findings=tuple(actions))))
    assert {result["ruleId"]: result["level"] for result in run["results"]} == {
        "net-deny": "error",
        "net-warn": "warning",
        "net-note": "note",
    }
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["net-deny", "net-note", "net-warn"]
    assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in run["results"])


def test_a_rule_brings_its_help_its_references_and_its_severity() -> None:
    (rule,) = log(CASES["changes"])["tool"]["driver"]["rules"]
    assert rule["helpUri"] == "https://docs.example/no-upgrade"
    assert 7.0 <= float(rule["properties"]["security-severity"]) < 9.0
    assert "security" in rule["properties"]["tags"]
    assert "Do not merge." in rule["help"]["text"]
    assert "Do not merge." in rule["help"]["markdown"]


@pytest.mark.parametrize(
    "reference", ["javascript:alert(1)", "https://a.example/x y", "https://a.example/>", "//a.example", "x" * 9000]
)
def test_a_reference_that_is_no_address_is_none(reference: str) -> None:
    bad = finding("net-x", EVIDENCE[0])._replace(references=(reference,))
    (rule,) = log(verdict(Status.BLOCKED, BLOCKED_ITEM._replace(findings=(bad,))))["tool"]["driver"]["rules"]
    assert "helpUri" not in rule


def test_where_the_policy_decided_is_a_related_location() -> None:
    decided = finding("acme-x", EVIDENCE[0])._replace(
        where=".github/scangate.yml:30",
        decided_by=DecidedBy(Decider.OVERRIDE, ".github/scangate.yml:41"),
        allowed=Allowed(
            reason="its own binary",
            expires=date(2027, 6, 30),
            where=".github/scangate.yml:12",
            owner="sec@acme.example",
        ),
    )
    (result,) = log(verdict(Status.PASSED, BLOCKED_ITEM._replace(findings=(decided,))), tree=WEB)["results"]
    related = [
        (each["physicalLocation"]["artifactLocation"]["uri"], each["physicalLocation"]["region"]["startLine"])
        for each in result["relatedLocations"]
    ]
    assert related == [(".github/scangate.yml", line) for line in (12, 41, 30)]
    (suppression,) = result["suppressions"]
    assert (suppression["kind"], suppression["status"]) == ("external", "accepted")
    assert suppression["properties"] == {
        "reason": "its own binary",
        "owner": "sec@acme.example",
        "expires": "2027-06-30",
        "where": ".github/scangate.yml:12",
    }
    for word in ("its own binary", "2027-06-30", "sec@acme.example"):
        assert word in suppression["justification"]
    assert suppression["location"]["physicalLocation"]["region"]["startLine"] == 12


def test_a_rule_that_sets_its_own_action_is_related_once() -> None:
    own = finding("acme-x", EVIDENCE[0])._replace(
        where="scangate.yml:3", decided_by=DecidedBy(Decider.POLICY, "scangate.yml:3")
    )
    (result,) = log(verdict(Status.BLOCKED, BLOCKED_ITEM._replace(findings=(own,))))["results"]
    assert len(result["relatedLocations"]) == 1
    (built_in, *_) = log(CASES["blocked"])["results"]
    assert "relatedLocations" not in built_in


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("package-lock.json", "web%20app/package-lock.json"),
        ("../package-lock.json", "package-lock.json"),
        ("a b/ü#?%.json", "web%20app/a%20b/%C3%BC%23%3F%25.json"),
        ("../c:/x", "c%3A/x"),
        ("\udcff\n", "web%20app/%FF%0A"),
        ("\ud800", "web%20app/%3F"),
    ],
)
def test_uris_are_relative_to_the_repository_and_encoded(path: str, uri: str) -> None:
    entry = dependency("a", "1", line=3)._replace(lockfile=path)
    (result,) = log(verdict(Status.BLOCKED, item(entry, findings=(finding("x-y", EVIDENCE[0]),))), tree=WEB)["results"]
    physical = result["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"] == {"uri": uri, "uriBaseId": "SRCROOT"}


@pytest.mark.parametrize("path", ["../../other/package-lock.json", "/etc/package-lock.json", ""])
def test_what_lies_outside_of_the_repository_has_a_name_and_no_file(path: str) -> None:
    entry = dependency("a", "1", line=3)._replace(lockfile=path)
    (result,) = log(verdict(Status.BLOCKED, item(entry, findings=(finding("x-y", EVIDENCE[0]),))), tree=WEB)["results"]
    (location,) = result["locations"]
    assert location["physicalLocation"]["artifactLocation"]["uri"].startswith("not-in-the-repository/")
    assert location["logicalLocations"][0]["fullyQualifiedName"] == "pkg:npm/a@1"


def test_a_message_holds_no_link_whatever_the_package_ran() -> None:
    ran = CommandRun(phase=Phase.INSTALL, argv=("echo", "[click](https://evil.example) `x` @team"))
    (result,) = log(verdict(Status.BLOCKED, BLOCKED_ITEM._replace(findings=(finding("x-y", ran),))))["results"]
    text = result["message"]["text"]
    assert "click" in text
    assert "](" not in text


# ------------------------------------------------------------------------------------------- what is open


def test_an_outage_is_no_result() -> None:
    run = log(CASES["incomplete"], code=ExitCode.INCOMPLETE)
    (invocation,) = run["invocations"]
    assert run["results"] == []
    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (False, 3)
    (told,) = invocation["toolExecutionNotifications"]
    assert (told["descriptor"]["id"], told["level"]) == ("pending", "error")
    assert "pkg:npm/sharp@0.35.0" in told["message"]["text"]
    assert told["locations"][0]["physicalLocation"]["region"]["startLine"] == 80
    assert [each["id"] for each in run["tool"]["driver"]["notifications"]] == ["pending"]


def test_what_is_open_is_told_by_weight_and_in_mode_observe_too() -> None:
    noted = SubjectVerdict(
        subject=subject(dependency("mine", "1", line=2)),
        status=Status.PASSED,
        shortfalls=(pending(OutcomeCode.LOCAL, OutcomeAction.NOTE),),
    )
    whole = verdict(
        Status.BLOCKED,
        noted,
        PRIVATE_ITEM,
        BLOCKED_ITEM,
        PENDING_ITEM,
        lockfiles=(UNSUPPORTED_ITEM,),
        mode=Mode.OBSERVE,
    )
    (invocation,) = log(whole, code=ExitCode.PASS)["invocations"]
    told = [(each["descriptor"]["id"], each["level"]) for each in invocation["toolExecutionNotifications"]]
    assert told == [
        ("pending", "error"),
        ("unsupported-lockfile", "error"),
        ("private-registry", "warning"),
        ("local", "note"),
    ]
    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (False, 0)


def test_what_was_blocked_was_done_successfully() -> None:
    (invocation,) = log(CASES["blocked"])["invocations"]
    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (True, 1)


def test_nothing_to_decide_on_is_no_success() -> None:
    nothing = PolicyNotice(code=NoticeCode.NOTHING_DECIDED, message="There was nothing.", where="default")
    (invocation,) = log(verdict(Status.INCOMPLETE, lockfiles=(), notices=(nothing,)), code=ExitCode.INCOMPLETE)[
        "invocations"
    ]
    assert invocation["executionSuccessful"] is False
    assert [each["level"] for each in invocation["toolExecutionNotifications"]] == ["error"]


def test_notices_of_the_policy_are_told_with_their_place() -> None:
    run = log(CASES["allowed"], code=ExitCode.PASS)
    (told,) = run["invocations"][0]["toolExecutionNotifications"]
    assert told["descriptor"]["id"] == "allow-expired"
    assert told["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "scangate.yml"


# ------------------------------------------------------------------------------------------------ limits


def many(number: int, text: str = "", action: Action = Action.WARN) -> tuple[SubjectVerdict, ...]:
    ran = CommandRun(phase=Phase.INSTALL, argv=("echo", text))
    return tuple(
        item(dependency(f"p{each:06}", "1", line=each + 1), findings=(finding("x-many", ran, action=action),))
        for each in range(number)
    )


def left_out(run: Json) -> list[str]:
    told = run["invocations"][0]["toolExecutionNotifications"]
    return [each["message"]["text"] for each in told if each["descriptor"]["id"].endswith("-left-out")]


def test_more_results_than_code_scanning_takes_lose_the_least_weighty(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sarif.MAX_RESULTS == 25_000
    monkeypatch.setattr(sarif, "MAX_RESULTS", 250)
    run = log(verdict(Status.BLOCKED, ALLOWED_ITEM, *many(300), BLOCKED_ITEM))
    kept = [result["level"] for result in run["results"]]
    assert kept == ["error"] + ["warning"] * 249
    assert left_out(run) == ["53 of 303 results are left out here, the least weighty ones; `--format json` has all."]
    assert not any("suppressions" in result for result in run["results"])
    assert "results-left-out" in [each["id"] for each in run["tool"]["driver"]["notifications"]]


def test_more_than_code_scanning_takes_in_bytes_loses_the_least_weighty(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sarif.MAX_COMPRESSED_BYTES == 10_000_000
    monkeypatch.setattr(sarif, "MAX_COMPRESSED_BYTES", 100_000)
    noise = random.Random(5)
    items = [
        item(
            dependency(f"p{number}", "1", line=number + 1),
            findings=(finding("x-y", CommandRun(phase=Phase.INSTALL, argv=(noise.randbytes(200).hex(),))),),
        )
        for number in range(1000)
    ]
    text = sarif.render(verdict(Status.BLOCKED, *items), Setting(version="1.2.3", exit_code=ExitCode.BLOCKED))
    (run,) = json.loads(text)["runs"]
    assert len(gzip.compress(text.encode(), compresslevel=6)) <= 100_000
    assert 100 < len(run["results"]) < 1000
    assert left_out(run)[0].startswith(f"{1000 - len(run['results'])} of 1000 results")


def test_hostile_text_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "MAX_PLAIN_BYTES", 100_000)
    run = log(verdict(Status.BLOCKED, *many(500, "\u202e" * 100_000)))
    assert 0 < len(json.dumps(run["results"])) < 200_000
    assert left_out(run)


def test_notifications_have_a_limit_too() -> None:
    items = tuple(
        SubjectVerdict(
            subject=subject(dependency(f"p{number}", "1", line=number + 1)),
            status=Status.INCOMPLETE,
            shortfalls=(pending(OutcomeCode.PENDING, OutcomeAction.FAIL),),
        )
        for number in range(sarif.MAX_NOTIFICATIONS + 5)
    )
    run = log(verdict(Status.INCOMPLETE, *items), code=ExitCode.INCOMPLETE)
    assert left_out(run) == ["5 notifications are left out here; `--format json` has all."]


def test_the_same_verdict_gives_the_same_bytes() -> None:
    setting = Setting(version="1.2.3", exit_code=ExitCode.BLOCKED)
    assert sarif.render(CASES["blocked"], setting) == sarif.render(CASES["blocked"], setting)
