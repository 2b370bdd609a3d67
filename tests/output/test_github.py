"""Annotations, as the runner's own parsers read them."""

import pytest

from scangate.models.analysis import OutcomeCode
from scangate.models.verdict import Action, NoticeCode, OutcomeAction, PolicyNotice, Status, SubjectVerdict
from scangate.output import github
from scangate.output.base import Tree
from tests.output.cases import CASES, EVIDENCE, PENDING_ITEM, dependency, finding, pending, subject, verdict
from tests.output.runner_commands import annotations, commands

ROOT = Tree(root="/repo", cwd="/repo")


def _items(number: int, action: Action) -> list[SubjectVerdict]:
    return [
        SubjectVerdict(
            subject=subject(dependency(f"p{action}{n}", "1.0.0", line=n + 1)),
            status=Status.BLOCKED,
            findings=(finding("net-x", EVIDENCE[0], action=action),),
        )
        for n in range(number)
    ]


def test_a_finding_stands_on_its_line_with_all_that_decides() -> None:
    first = annotations(github.render(CASES["changes"], tree=ROOT))[0]
    assert first.name == "error"
    assert first.properties["file"] == "web/package-lock.json"
    assert first.properties["line"] == "12"
    assert "pkg:npm/axios@1.14.1" in first.properties["title"]
    for part in ("acme-no-upgrade", "high", "deny", "override scangate.yml:41", "c2.example", "upgraded from 1.14.0"):
        assert part in first.data


@pytest.mark.parametrize(
    ("cwd", "path", "expected"),
    [
        ("/repo", "web/package-lock.json", "web/package-lock.json"),
        ("/repo/web", "package-lock.json", "web/package-lock.json"),
        ("/repo/web", "/repo/api/package-lock.json", "api/package-lock.json"),
        ("/repo/web", "../api/package-lock.json", "api/package-lock.json"),
        ("/repo", "/elsewhere/package-lock.json", None),
        ("/repo", "/repository/package-lock.json", None),
    ],
)
def test_paths_are_relative_to_the_root_of_the_repository(cwd: str, path: str, expected: str | None) -> None:
    item = PENDING_ITEM._replace(subject=subject(dependency("a", "1", line=7)._replace(lockfile=path)))
    rendered = github.render(verdict(Status.INCOMPLETE, item, lockfiles=()), tree=Tree(root="/repo", cwd=cwd))
    properties = annotations(rendered)[0].properties
    assert properties.get("file") == expected
    assert properties.get("line") == (expected and "7")


def test_a_notice_of_the_policy_stands_in_the_policy_which_is_at_the_root() -> None:
    [notice, *_] = annotations(github.render(CASES["allowed"], tree=Tree(root="/repo", cwd="/repo/app")))
    assert notice.name == "warning"
    assert (notice.properties["file"], notice.properties["line"]) == ("scangate.yml", "20")
    denied = CASES["passed"]._replace(
        notices=(PolicyNotice(code=NoticeCode.ALLOW_EXPIRED, message="No.", where="default", action=Action.DENY),)
    )
    [notice] = annotations(github.render(denied, tree=ROOT))
    assert notice.name == "error"
    assert "file" not in notice.properties


def test_what_fits_is_there_whole_and_errors_come_first() -> None:
    shown = list(
        commands(
            github.render(
                verdict(Status.BLOCKED, *_items(10, Action.NOTE), *_items(10, Action.WARN), *_items(10, Action.DENY)),
                tree=ROOT,
            )
        )
    )
    assert [each.name for each in shown] == ["error"] * 10 + ["warning"] * 10 + ["notice"] * 10
    assert not any("no room" in each.data for each in shown)


def test_the_rest_is_summed_up_in_one_so_that_the_runner_drops_nothing() -> None:
    many = verdict(
        Status.BLOCKED, *_items(3, Action.NOTE), *_items(12, Action.WARN), *_items(31, Action.DENY), PENDING_ITEM
    )
    rendered = github.render(many, tree=ROOT)
    shown = list(commands(rendered))
    assert annotations(rendered) == shown
    assert [each.name for each in shown] == ["error"] * 10 + ["warning"] * 10 + ["notice"] * 3
    summaries = [each for each in shown if "no room" in each.data]
    assert len(summaries) == 1
    assert summaries[0] is shown[9]
    # 31 findings and 1 outcome for 9 places, 12 warnings for 10.
    assert "25 more annotations (23 error, 2 warning, 0 notice)" in summaries[0].data
    assert "pkg:npm/pdeny30@1.0.0" in summaries[0].data


def test_only_what_is_too_much_makes_room_for_the_summary() -> None:
    shown = list(
        commands(github.render(verdict(Status.BLOCKED, *_items(11, Action.WARN), *_items(10, Action.DENY)), tree=ROOT))
    )
    assert [each.name for each in shown] == ["error"] * 10 + ["warning"] * 10
    assert "2 more annotations (0 error, 2 warning, 0 notice)" in shown[-1].data


def test_an_outage_is_one_annotation_for_all_that_it_hits() -> None:
    items = [
        SubjectVerdict(
            subject=subject(dependency(f"p{n}", "1.0.0", line=n + 1)),
            status=Status.INCOMPLETE,
            shortfalls=(pending(OutcomeCode.UNREACHABLE, OutcomeAction.FAIL, "Connection refused."),),
        )
        for n in range(200)
    ]
    [only] = commands(github.render(verdict(Status.INCOMPLETE, *items), tree=ROOT))
    assert only.name == "error"
    assert "and 190 more" in only.data
    assert "An outage, not malware" in only.data


def test_messages_keep_to_the_limit_as_the_runner_counts() -> None:
    evidence = tuple(EVIDENCE[0]._replace(host="\U00020000" * 600) for _ in range(50))
    item = SubjectVerdict(
        subject=subject(dependency("a", "1", line=1)), status=Status.BLOCKED, findings=(finding("net-x", *evidence),)
    )
    [only] = commands(github.render(verdict(Status.BLOCKED, item), tree=ROOT))
    assert len(only.data.encode("utf-16-le")) <= 2 * 4096
    assert only.data.endswith("…")


def test_the_log_ends_with_the_verdict_also_without_annotations() -> None:
    rendered = github.render(CASES["passed"], tree=ROOT)
    assert list(commands(rendered)) == []
    assert rendered.startswith("scangate: PASSED: ")
    assert "Base: where 0123456789ab left origin/main" in github.render(CASES["changes"], tree=ROOT)
