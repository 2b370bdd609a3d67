"""The Markdown, rendered by real implementations: what people see, and that hostile text stays text."""

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scangate.models.changes import Change, ChangeKind
from scangate.models.verdict import Action, NoticeCode, PolicyNotice, Status, SubjectVerdict, Verdict
from scangate.output import escape, markdown
from scangate.output.base import Links, Tree
from tests.output.cases import (
    ALLOWED_ITEM,
    BLOCKED_ITEM,
    CASES,
    EVIDENCE,
    PENDING_ITEM,
    dependency,
    finding,
    subject,
    verdict,
)
from tests.output.hostile import HARMLESS, HUGE, TEXTS, hostile_verdict, huge_verdict
from tests.output.pages import IMPLEMENTATIONS, Page
from tests.output.renderers import SETTING
from tests.output.runner_commands import commands

WHOLE = 1024 * 1024
"""Bytes: room for everything in these verdicts."""
LINKS = Links("https://github.example/acme/shop/blob/" + "1f" * 20 + "/")


def _page(verdict_: Verdict, implementation: str = "cmark-gfm", limit: int = markdown.MAX_COMMENT) -> Page:
    text = markdown.render(verdict_, tree=SETTING.tree, links=LINKS, limit=limit)
    return Page(IMPLEMENTATIONS[implementation](text))


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_hostile_text_stays_text(text: str) -> None:
    for implementation in IMPLEMENTATIONS:
        _check_text(text, implementation)


def _check_text(text: str, implementation: str) -> None:
    page = _page(hostile_verdict(text), implementation, limit=WHOLE)
    assert page.problems == []
    assert page.references() == []
    assert all(link.startswith(LINKS.base) for link in page.links)
    if text.strip():
        expected = _harmless_page(implementation)
        assert _comparable(page) == _comparable(expected)
        assert page.attributes <= expected.attributes
        shown = escape.terminal(text)[:30].replace("`", "\\x60").replace("##[", "##\\[").replace("##v", "##\\v").strip()
        assert any(shown in code for code in page.codes)


@cache
def _harmless_page(implementation: str) -> Page:
    return _page(hostile_verdict(HARMLESS), implementation, limit=WHOLE)


def _comparable(page: Page) -> list[str]:
    # A path that no file in the repository can have gets no link, and where text was cut a paragraph says so.
    cut = any(text.startswith("Shortened to fit") for text in page.free)
    return [each for each in page.elements[: -1 if cut else None] if each != "a"]


_NASTY = st.text(
    st.sampled_from(["`", "|", "\\", "\n", "<", ">", "[", "]", "(", ")", "!", "*", "_", "~", "@", "#", "&", ":", "/"])
    | st.sampled_from(
        ["w", "a", "1", "0", "-", "+", ".", ";", "$", " ", "'", '"', "=", "\r", "\t", "\u202e", "\ufe0f"]
    ),
    max_size=30,
) | st.text(max_size=20)


@given(_NASTY)
def test_no_text_breaks_out_of_a_sentence_or_a_cell(text: str) -> None:
    for cell in (False, True):
        shown = [escape.prose(text, cell=cell), escape.code(text, cell=cell)]
        source = f"| a | b |\n|---|---|\n| {shown[0]} | {shown[1]} |\n" if cell else f"- {shown[0]}\n- {shown[1]}\n"
        for implementation in IMPLEMENTATIONS.values():
            page = Page(implementation(source))
            expected = "table thead tr th th tbody tr td td" if cell else "ul li li"
            assert page.elements == expected.split(), source
            assert page.problems == []
            assert page.references() == [], source


@given(_NASTY)
def test_a_code_span_shows_the_text_and_nothing_else(text: str) -> None:
    shown = escape.terminal(text).replace("`", "\\x60")
    for source in (escape.code(text), f"| a |\n|---|\n| {escape.code(text, cell=True)} |"):
        [*codes] = Page(IMPLEMENTATIONS["cmark-gfm"](source)).codes
        # One space on either side is the span's own where it holds more than spaces (CommonMark, 6.1).
        assert "".join(codes).strip(" ") == shown.strip(" ") or not shown.strip()


def test_plain_words_are_left_as_they_are() -> None:
    text = "Install scripts have no reason to talk (or listen) to a well-known host: it's new, isn't it?"
    assert escape.prose(text) == text
    assert escape.prose("see scangate.yml:12, by @ann (1.14.1).") == "see `scangate.yml:12`, by `@ann` (`1.14.1`)."
    assert escape.prose("it was defaced, deadbeef too") == "it was `defaced`, `deadbeef` too"


@pytest.mark.parametrize("case", CASES)
def test_the_page_begins_with_the_verdict_and_its_kind(case: str) -> None:
    free = "".join(_page(CASES[case]).free)
    kind = {"blocked": "this is a finding, not an outage", "incomplete": "not a finding of malware"}
    assert kind.get(CASES[case].status, "checked") in free[:250]


def test_the_table_has_all_that_the_author_needs() -> None:
    upgraded = CASES["changes"]
    page = _page(upgraded)
    row = markdown.render(upgraded, tree=SETTING.tree, links=LINKS).splitlines()[6]
    for part in (
        "pkg:npm/axios@1.14.1",
        "`1.14.0` → `1.14.1`",
        "acme-no-upgrade",
        "override `scangate.yml:41`",
        "c2.ex",
    ):
        assert part in row
    assert page.links[0] == f"{LINKS.base}app/web/package-lock.json#L12"


def test_the_way_in_is_told() -> None:
    row = markdown.render(CASES["blocked"]).splitlines()[6]
    assert "| `axios@1.14.1` |" in row
    longer = BLOCKED_ITEM._replace(subject=subject(dependency("c", "1", line=1, path=("a@1", "b@1", "c@1"))))
    assert "| `a@1` → `b@1` |" in markdown.render(verdict(Status.BLOCKED, longer))
    assert "(http" not in row  # no links without an address


@pytest.mark.parametrize(
    ("kind", "before", "expected"),
    [
        (ChangeKind.ADDED, None, "new: `2.0.0`"),
        (ChangeKind.DOWNGRADED, "3.0.0", "`3.0.0` → `2.0.0`"),
        (ChangeKind.INTEGRITY, "2.0.0", "other content under the same version"),
        (ChangeKind.SOURCE, "2.0.0", "from another place than `registry.example`"),
    ],
)
def test_what_changed_is_told(kind: ChangeKind, before: str | None, expected: str) -> None:
    entry = dependency("a", "2.0.0", line=1)
    change = Change(kind=kind, dependency=entry, before=before and dependency("a", before, line=1))  # type: ignore[arg-type]
    item = BLOCKED_ITEM._replace(subject=subject(entry)._replace(changes=(change,)))
    assert f"| {expected} |" in markdown.render(verdict(Status.BLOCKED, item))


def test_next_steps_are_for_the_author_and_for_the_owner_of_the_policy() -> None:
    text = markdown.render(CASES["blocked-and-incomplete"])
    assert "- `net-on-install`: Do not merge. Stay on the version" in text
    assert "- pending: Run again later" in text
    assert "`scangate allow pkg:npm/plain-crypto-js@4.2.1 net-on-install --reason WHY" in text
    assert "What to do now" not in markdown.render(CASES["passed"])


def test_the_command_to_allow_is_quoted_for_the_shell() -> None:
    evil = BLOCKED_ITEM._replace(subject=BLOCKED_ITEM.subject._replace(key="pkg:npm/$(id)@1"))
    assert "scangate allow 'pkg:npm/$(id)@1' net-on-install" in markdown.render(verdict(Status.BLOCKED, evil))


def test_a_policy_that_denies_itself_says_what_to_mend() -> None:
    notice = PolicyNotice(code=NoticeCode.ALLOW_EXPIRED, message="Gone.", where="scangate.yml:3", action=Action.DENY)
    text = markdown.render(CASES["passed"]._replace(status=Status.BLOCKED, notices=(notice,)))
    assert "Mend what stands below" in text
    assert "(`allow-expired`, deny by default; `scangate.yml:3`)" in text


def test_who_allowed_what_until_when() -> None:
    allowed = ALLOWED_ITEM.findings[0]
    assert allowed.allowed is not None
    item = ALLOWED_ITEM._replace(findings=(allowed._replace(allowed=allowed.allowed._replace(owner="ann")),))
    text = markdown.render(verdict(Status.PASSED, item))
    assert "fetches its own binary (`scangate.yml:12`, by ann, until `2027-06-30`)" in text


def _many(number: int, evidence: int) -> Verdict:
    items = [
        SubjectVerdict(
            subject=subject(dependency(f"package-{n}", "1.0.0", line=n + 1)),
            status=Status.BLOCKED,
            findings=(finding("net-on-install", *(EVIDENCE[0],) * evidence),),
        )
        for n in range(number)
    ]
    return verdict(Status.BLOCKED, *items, PENDING_ITEM)


@pytest.mark.parametrize("limit", [200, 1_000, 5_000, 20_000, markdown.MAX_COMMENT, WHOLE])
@pytest.mark.parametrize(("number", "evidence"), [(1, 3000), (60, 60), (2000, 1)])
def test_it_fits_and_says_what_it_cut(number: int, evidence: int, limit: int) -> None:
    text = markdown.render(_many(number, evidence), limit=limit)
    assert len(text.encode()) <= limit
    assert "scangate: BLOCKED" in text
    assert "Do not merge: this is a finding" in text
    assert limit < 1000 or "Shortened to fit; left out: " in text or "There is no room for more" in text
    assert Page(IMPLEMENTATIONS["cmark-gfm"](text)).problems == []


def test_details_go_before_rows() -> None:
    many = _many(60, 60)
    whole = markdown.render(many, limit=WHOLE)
    shorter = markdown.render(many, limit=30_000)
    assert whole.count("Seen: ") > shorter.count("Seen: ")
    assert all(f"| `pkg:npm/package-{n}@1.0.0` |" in shorter for n in range(60))
    assert "rows of tables" not in shorter
    assert "pieces of evidence" in shorter or "findings in detail" in shorter


def test_what_fits_is_whole() -> None:
    text = markdown.render(_many(20, 20))
    assert "Shortened" not in text
    assert text.count("Seen: ") == 400


@pytest.mark.parametrize("text", [*TEXTS.values(), *HUGE.values()], ids=[*TEXTS, *HUGE])
def test_no_text_makes_it_too_long(text: str) -> None:
    hostile = hostile_verdict(text) if len(text) < 100_000 else huge_verdict(text)
    for limit in (0, 100, 3_000, markdown.MAX_COMMENT):
        shown = markdown.render(hostile, limit=limit)
        assert len(shown.encode()) <= max(limit, 1)
        assert not list(commands(shown))


@pytest.mark.parametrize(
    ("server", "repository", "commit"),
    [
        ("http://github.com", "a/b", "1" * 40),
        ("https://user@github.com", "a/b", "1" * 40),
        ("https://github.com/", "a/b", "1" * 40),
        ("https://github.com/x", "a/b", "1" * 40),
        ("javascript:alert(1)", "a/b", "1" * 40),
        ("https://github.com", "a", "1" * 40),
        ("https://github.com", "a/b/c", "1" * 40),
        ("https://github.com", "a/..", "1" * 40),
        ("https://github.com", "a/b)](https://evil.example", "1" * 40),
        ("https://github.com", "a/b", "1" * 39),
        ("https://github.com", "a/b", "main"),
        ("https://github.com", "a/b", "1" * 40 + "\n"),
        ("", "", ""),
    ],
)
def test_an_address_is_only_made_of_what_is_sound(server: str, repository: str, commit: str) -> None:
    assert Links.github(server, repository, commit) is None


def test_addresses_of_lines() -> None:
    links = Links.github("https://ghes.example:8443", "acme/.github", "a" * 64)
    assert links is not None
    assert (
        links.line("a b/(c)#d?.lock", 3)
        == f"https://ghes.example:8443/acme/.github/blob/{'a' * 64}/a%20b/%28c%29%23d%3F.lock#L3"
    )
    assert links.line("a\udcff", 1) == f"{links.base}a%FF#L1"
    assert links.line("a\ud800", 1) is None


def test_lockfiles_outside_of_the_repository_have_no_link() -> None:
    item = BLOCKED_ITEM._replace(
        subject=subject(dependency("a", "1", line=7)._replace(lockfile="/tmp/package-lock.json"))
    )
    text = markdown.render(verdict(Status.BLOCKED, item), tree=Tree(root="/repo", cwd="/repo"), links=LINKS)
    assert "| `/tmp/package-lock.json:7` |" in text
