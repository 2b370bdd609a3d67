"""For a job's summary and a pull request's comment: GitHub's Markdown, readable elsewhere, never longer than allowed.

Own words are Markdown; what comes from outside stands in code spans, or is a plain word (`escape.prose`). Too long a
text loses its details first, then rows, and says so.
"""

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from scangate.models.changes import Change, ChangeKind
from scangate.models.lockfile import Relation
from scangate.models.verdict import Action, Finding, OutcomeAction, Status, SubjectVerdict, Verdict
from scangate.output import escape, facts
from scangate.output.advice import MEANING
from scangate.output.base import Links, Tree
from scangate.output.evidence import describe

MAX_COMMENT = 65_536 - 128
"""Characters of a comment on GitHub (a longer one is refused), less what `scangate comment` puts before the text."""

_MAX_URL = 2000
_MAX_COMMAND = 600
_ROW_EVIDENCE = 2

_T = TypeVar("_T")
_Entry = tuple[facts.ItemVerdict, Finding]


@dataclass(frozen=True, slots=True)
class _Size:
    """How much is shown: characters of a text, evidence of a finding, findings in detail, rows of a table, names."""

    text: int
    evidence: int
    details: int
    rows: int
    names: int


_SIZES = (
    _Size(600, 50, 500, 1000, 50),
    _Size(600, 20, 200, 500, 20),
    _Size(300, 10, 100, 300, 20),
    _Size(300, 5, 30, 300, 10),
    _Size(200, 3, 10, 200, 10),
    _Size(200, 0, 0, 200, 5),
    _Size(150, 0, 0, 80, 5),
    _Size(100, 0, 0, 30, 3),
    _Size(60, 0, 0, 8, 1),
    _Size(40, 0, 0, 1, 1),
)

_SIGN: Mapping[Status, str] = {
    Status.BLOCKED: "🛑",
    Status.INCOMPLETE: "⏳",
    Status.WARNED: "✅",
    Status.PASSED: "✅",
}


def render(verdict: Verdict, *, tree: Tree | None = None, links: Links | None = None, limit: int = MAX_COMMENT) -> str:
    """The verdict in Markdown, ending with a newline. `limit`: UTF-8 bytes, so never more characters either.

    `tree` says where the lockfiles' paths start, `links` where their lines can be looked at (no links without it).
    """
    head = _head(verdict)
    for size in _SIZES:
        page = _Page(size=size, tree=tree or Tree(), links=links)
        text = escape.log("\n".join([*head, *_body(page, verdict), *page.what_was_cut()]) + "\n")
        if len(text.encode()) <= limit:
            return text
    return _cut("\n".join([*head, "", _NOTHING_FITS]), limit)


def _head(verdict: Verdict) -> list[str]:
    headline = facts.headline(verdict)
    return [
        f"## {_SIGN[verdict.status]} scangate: {facts.WORD[verdict.status]}",
        "",
        f"**{headline[:1].upper()}{headline[1:]}**",
    ]


def _body(page: "_Page", verdict: Verdict) -> list[str]:
    entries = facts.findings(verdict)
    denied = [each for each in entries if each[1].allowed is None and each[1].action is Action.DENY]
    others = [each for each in entries if each[1].allowed is None and each[1].action is not Action.DENY]
    allowed = [each for each in entries if each[1].allowed is not None]
    return [
        *_findings(page, denied),
        *_next_steps(page, verdict, denied),
        *_gaps(page, verdict),
        *_notices(page, verdict),
        *page.collapsed("Warnings and notes", len(others), _findings(page, others)),
        *page.collapsed("Allowed by the policy", len(allowed), _allowed(page, allowed)),
        *page.collapsed("Details of the findings", len(denied + others), _details(page, denied + others)),
        *_scope_changes(page, verdict),
        *_footer(page, verdict),
    ]


@dataclass(slots=True)
class _Page:
    """How to write one size of the text, and what it had to leave out."""

    size: _Size
    tree: Tree
    links: Links | None
    left_out: Counter[str] = field(default_factory=Counter)

    def code(self, text: str, *, cell: bool = False) -> str:
        return escape.code(self._short(text), cell=cell)

    def prose(self, text: str, *, cell: bool = False) -> str:
        return escape.prose(self._short(text), cell=cell)

    def first(self, things: Sequence[_T], limit: int, what: str) -> Sequence[_T]:
        """At most `limit` of them; the rest is noted as left out."""
        self.left_out[what] += max(0, len(things) - limit)
        return things[:limit]

    def names(self, texts: Sequence[str], *, cell: bool = False) -> str:
        shown = ", ".join(self.code(text, cell=cell) for text in self.first(texts, self.size.names, "names"))
        return f"{shown} and {len(texts) - self.size.names} more" if len(texts) > self.size.names else shown

    def place(self, location: facts.Location, *, cell: bool = False) -> str:
        """ "path:line", linked where that is possible."""
        path, line = location
        inside = self.tree.inside(path)
        shown = self.code(f"{inside or path}:{line}", cell=cell)
        url = self.links.line(inside, line) if self.links is not None and inside is not None else None
        return f"[{shown}]({url})" if url is not None and len(url) <= _MAX_URL else shown

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
        if not rows:
            return []
        shown = self.first(rows, self.size.rows, "rows of tables")
        return ["", _row(head), _row(["---"] * len(head)), *map(_row, shown)]

    def collapsed(self, title: str, number: int, lines: Sequence[str]) -> list[str]:
        """`title` is our own text: nothing in a summary is read as Markdown."""
        if not lines:
            return []
        return ["", f"<details><summary>{title} ({number})</summary>", *lines, "", "</details>"]

    def what_was_cut(self) -> list[str]:
        cut = ", ".join(f"{number} {what}" for what, number in sorted(self.left_out.items()) if number)
        return ["", f"Shortened to fit; left out: {cut}. `--format json` has everything."] if cut else []

    def _short(self, text: str) -> str:
        if len(text) > self.size.text:
            self.left_out["ends of long texts"] += 1
        return escape.shorten(text, self.size.text)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _findings(page: _Page, entries: Sequence[_Entry]) -> list[str]:
    head = ("Package", "From → to", "Brought in by", "Rule", "Evidence", "Line")
    shown = page.first(entries, page.size.rows, "rows of tables")
    return page.table(head, [_finding_row(page, item, finding) for item, finding in shown])


def _finding_row(page: _Page, item: facts.ItemVerdict, finding: Finding) -> list[str]:
    seen = [page.code(describe(each), cell=True) for each in finding.evidence[:_ROW_EVIDENCE]]
    more = len(finding.evidence) - len(seen)
    locations = facts.locations_of(item, finding)
    place = page.place(locations[0], cell=True) if locations else ""
    return [
        page.code(facts.title(item), cell=True),
        _from_to(page, item),
        _way_in(page, item),
        f"{page.prose(finding.title, cell=True)}: {_decision(page, finding, cell=True)}",
        ", ".join(seen) + (f" and {more} more" if more > 0 else ""),
        f"{place} and {len(locations) - 1} more" if len(locations) > 1 else place,
    ]


def _decision(page: _Page, finding: Finding, *, cell: bool = False) -> str:
    return f"{page.code(finding.rule, cell=cell)} ({page.prose(facts.decision(finding), cell=cell)})"


def _from_to(page: _Page, item: facts.ItemVerdict) -> str:
    if not isinstance(item, SubjectVerdict):
        return ""
    shown = dict.fromkeys(_change(page, change) for change in item.subject.changes)
    return ", ".join(page.first(list(shown), page.size.names, "changes")) or page.code(
        item.subject.version or "?", cell=True
    )


def _change(page: _Page, change: Change) -> str:
    after = page.code(change.dependency.version or "?", cell=True)
    match change.kind:
        case ChangeKind.ADDED:
            return f"new: {after}"
        case ChangeKind.UPGRADED | ChangeKind.DOWNGRADED | ChangeKind.CHANGED if change.before is not None:
            return f"{page.code(change.before.version or '?', cell=True)} → {after}"
        case _:
            return page.prose(facts.change([change]), cell=True)


def _way_in(page: _Page, item: facts.ItemVerdict) -> str:
    if not isinstance(item, SubjectVerdict):
        return ""
    way = facts.shortest_way(item.subject.dependencies)
    if len(way) > 1:
        steps = page.first(way[:-1], page.size.names, "steps of a way in")
        return " → ".join(page.code(step, cell=True) for step in steps)
    direct = bool(way) or any(each.relation is Relation.DIRECT for each in item.subject.dependencies)
    return "direct" if direct else "unknown"


def _next_steps(page: _Page, verdict: Verdict, denied: Sequence[_Entry]) -> list[str]:
    """For whoever proposed the change, and for whoever owns the policy. Nothing to do: no lines."""
    failing = facts.gaps(verdict, OutcomeAction.FAIL)
    own = any(notice.action is Action.DENY for notice in verdict.notices)
    if not denied and not failing and not own:
        return []
    advice = dict.fromkeys((finding.rule, finding.advice) for _, finding in denied if finding.advice)
    author = [
        f"{page.code(rule)}: {page.prose(text)}" for rule, text in page.first(list(advice), page.size.rows, "advice")
    ]
    author += [f"{gap.code}: {MEANING[gap.code][1]}" for gap in failing]
    return [
        "",
        "### What to do now",
        "",
        "If this change is yours:",
        "",
        *(f"- {line}" for line in author or ["Do not merge before the security owner has looked at it."]),
        "",
        "If you own the policy:",
        "",
        *(f"- {line}" for line in _for_the_owner(denied, failing=bool(failing), own=own)),
    ]


def _for_the_owner(denied: Sequence[_Entry], *, failing: bool, own: bool) -> Iterator[str]:
    if denied:
        yield "Read the evidence in the details. Malware: report it to the registry, and find out who has it already."
        yield f"Harmless, and you can say why: {_exception(denied)}, reviewed like any change."
    if failing:
        yield "What a missing analysis means is yours to say, under `outcomes` in the policy; it never passes unsaid."
    if own:
        yield "Mend what stands below about the policy itself."


def _exception(denied: Sequence[_Entry]) -> str:
    """How to except the first finding: by a command that works as it stands, where there is one for it."""
    package, rule = next(((item, found.rule) for item, found in denied if isinstance(item, SubjectVerdict)), (None, ""))
    if package is not None:
        options = ["--reason", "WHY", "--owner", "WHO", "--expires", "90d"]
        command = shlex.join(["scangate", "allow", facts.title(package), rule, *options])
        if len(command) <= _MAX_COMMAND and escape.code(command) == f"`{command}`":
            return f"{escape.code(command)} (with `--verdict report.json` it takes the JSON of a run elsewhere)"
    return "an entry under `allow` in the policy"


def _gaps(page: _Page, verdict: Verdict) -> list[str]:
    rows = []
    for action in OutcomeAction:
        for gap in facts.gaps(verdict, action):
            details = page.first(gap.details, page.size.evidence, "details of outcomes")
            said = "".join(f"; {page.prose(detail, cell=True)}" for detail in details)
            place = "".join(f", first at {page.place(each, cell=True)}" for each in gap.locations[:1])
            rows.append(
                [
                    f"{gap.code} ({gap.action} by {page.prose(', '.join(map(str, gap.deciders)), cell=True)})",
                    f"{len(gap.subjects)}: {page.names(gap.subjects, cell=True)}{place}",
                    f"{MEANING[gap.code][0]}{said}",
                ]
            )
    return ["", "### Not analysed, or not wholly", *page.table(("Outcome", "What", "Why"), rows)] if rows else []


def _notices(page: _Page, verdict: Verdict) -> list[str]:
    lines = [
        f"- {page.prose(each.message)} ({page.code(each.code)}, {each.action} by {page.prose(str(each.decided_by))};"
        f" {page.code(each.where)})"
        for each in page.first(verdict.notices, page.size.rows, "notices of the policy")
    ]
    return ["", "### About the policy itself", "", *lines] if lines else []


def _allowed(page: _Page, entries: Sequence[_Entry]) -> list[str]:
    rows = [
        [
            page.code(facts.title(item), cell=True),
            _decision(page, finding, cell=True),
            page.prose(facts.allowance(finding.allowed), cell=True),
        ]
        for item, finding in page.first(entries, page.size.rows, "rows of tables")
        if finding.allowed is not None
    ]
    return page.table(("Package", "Rule", "Why, by whom, until when"), rows)


def _details(page: _Page, entries: Sequence[_Entry]) -> list[str]:
    lines = [""]
    for item, finding in page.first(entries, page.size.details, "findings in detail"):
        lines.append(f"- {page.code(facts.title(item))} {_decision(page, finding)}")
        lines += [f"  - {page.prose(text)}" for text in (finding.title, finding.description) if text]
        seen = page.first(finding.evidence, page.size.evidence, "pieces of evidence")
        lines += [f"  - Seen: {page.code(describe(each))}" for each in seen]
        places = page.first(facts.locations_of(item, finding), page.size.names, "places")
        lines += [f"  - In {', '.join(page.place(each) for each in places)}"] if places else []
        lines += [f"  - See {page.names(finding.references)}"] if finding.references else []
    return lines if len(lines) > 1 else []


def _scope_changes(page: _Page, verdict: Verdict) -> list[str]:
    changes = facts.scope_changes(verdict, page.tree)
    lines = [f"- {page.prose(each)}" for each in page.first(changes, page.size.rows, "changes of use")]
    return page.collapsed("Not new, for another use", len(changes), ["", *lines] if lines else [])


def _footer(page: _Page, verdict: Verdict) -> list[str]:
    base = [f"Base: {page.prose(verdict.compared.why.rstrip('.'))}."] if verdict.compared else []
    return ["", " ".join([*base, f"Checked: {page.prose(facts.summary(verdict))}"])]


_NOTHING_FITS = "There is no room for more. `--format json` has everything."


def _cut(text: str, limit: int) -> str:
    """Our own words alone: nothing can break where they end."""
    return text.encode()[: max(0, limit - 1)].decode(errors="ignore") + "\n"
