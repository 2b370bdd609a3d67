"""For people: verdict, what is blocked and why, what to do, what was not analysed. Plain text, colour if asked."""

import textwrap
from collections.abc import Sequence

from scangate.models.verdict import Action, Finding, OutcomeAction, Status, Verdict
from scangate.output import escape, facts
from scangate.output.advice import meaning_of

MAX_EVIDENCE_LINES = 3
MAX_PLACES = 3
MAX_NAMED = 5
MAX_WARNED = 10
MAX_TEXT = 600

_COLOURS = {"bad": "\x1b[1;31m", "open": "\x1b[1;33m", "good": "\x1b[1;32m", "strong": "\x1b[1m", "dim": "\x1b[2m"}
_RESET = "\x1b[0m"
_TONE = {Status.BLOCKED: "bad", Status.INCOMPLETE: "open", Status.WARNED: "open", Status.PASSED: "good"}


def render(verdict: Verdict, *, colour: bool = False, width: int = 80) -> str:
    """The verdict as text that ends with a newline. `width` in columns; long words (purls, URLs) are never cut."""
    page = _Page(colour=colour, width=max(width, 40))
    page.headline(f"scangate: {facts.WORD[verdict.status]}:", facts.headline(verdict), _TONE[verdict.status])
    items = list(facts.items(verdict))
    for item in items:
        if item.status is Status.BLOCKED:
            _blocked(page, item)
    _not_analysed(page, verdict, OutcomeAction.FAIL, "Not analysed (fails the run):")
    _warned(page, [item for item in items if item.status is not Status.BLOCKED])
    _not_analysed(page, verdict, OutcomeAction.WARN, "Not analysed, or not wholly (warning):")
    _allowed(page, items)
    for notice in verdict.notices:
        decision = f"{notice.code}, {notice.action} by {notice.decided_by}; {notice.where}"
        page.paragraph(f"policy: {_safe(notice.message)} ({_safe(decision)})", indent=0)
    _compared(page, verdict)
    page.blank()
    page.paragraph(_safe(facts.summary(verdict)), indent=0)
    return escape.log("\n".join(page.lines) + "\n")


class _Page:
    """Lines that grow; wrapping and colour in one place."""

    def __init__(self, *, colour: bool, width: int) -> None:
        self.lines: list[str] = []
        self._colour = colour
        self._width = width

    def paint(self, text: str, tone: str) -> str:
        return f"{_COLOURS[tone]}{text}{_RESET}" if self._colour else text

    def blank(self) -> None:
        if self.lines and self.lines[-1]:
            self.lines.append("")

    def headline(self, word: str, text: str, tone: str) -> None:
        self.paragraph(f"{word} {text}", indent=0)
        # Painted after wrapping, which would count the colour codes as columns.
        self.lines[0] = self.lines[0].replace(word, self.paint(word, tone), 1)

    def heading(self, text: str, tone: str = "strong") -> None:
        self.blank()
        self.lines.append(self.paint(text, tone))

    def paragraph(self, text: str, *, indent: int, hang: int = 0) -> None:
        lines = textwrap.wrap(
            text,
            width=self._width,
            initial_indent=" " * indent,
            subsequent_indent=" " * (indent + hang),
            break_long_words=False,
            break_on_hyphens=False,
        )
        self.lines.extend(lines)


def _blocked(page: _Page, item: facts.ItemVerdict) -> None:
    page.heading(f"✗ {_safe(facts.title(item))}", "bad")
    _where(page, item)
    for finding in facts.by_weight(item.findings):
        if finding.allowed is None and finding.action is Action.DENY:
            _finding(page, finding)
    others = [f for f in item.findings if f.allowed is None and f.action is not Action.DENY]
    if others:
        shown = ", ".join(f"{_safe(f.rule)} ({_safe(facts.decision(f))})" for f in others)
        page.paragraph(f"also: {shown}", indent=4, hang=2)


def _where(page: _Page, item: facts.ItemVerdict) -> None:
    places = facts.places(facts.locations(item))
    if places:
        more = f" and {len(places) - MAX_PLACES} more" if len(places) > MAX_PLACES else ""
        page.paragraph(f"in {', '.join(_safe(place) for place in places[:MAX_PLACES])}{more}", indent=4, hang=2)
    for line in facts.history(item):
        page.paragraph(_safe(line), indent=4, hang=2)


def _finding(page: _Page, finding: Finding) -> None:
    from scangate.output.evidence import describe  # where there is any: most runs find nothing

    head = f"{_safe(finding.rule)} ({_safe(facts.decision(finding))})"
    page.paragraph(f"{head}: {_safe(finding.title)}", indent=4, hang=2)
    _list(page, [describe(observation) for observation in finding.evidence], indent=6)
    if finding.advice:
        page.paragraph(f"now: {_safe(finding.advice)}", indent=6, hang=5)


def _list(page: _Page, lines: Sequence[str], *, indent: int) -> None:
    for line in lines[:MAX_EVIDENCE_LINES]:
        page.paragraph(f"- {_safe(line)}", indent=indent, hang=2)
    if len(lines) > MAX_EVIDENCE_LINES:
        page.paragraph(f"- and {len(lines) - MAX_EVIDENCE_LINES} more", indent=indent)


def _warned(page: _Page, items: list[facts.ItemVerdict]) -> None:
    rows = [
        (item, finding)
        for action in (Action.WARN, Action.NOTE)
        for item in items
        for finding in item.findings
        if finding.allowed is None and finding.action is action
    ]
    if not rows:
        return
    from scangate.output.evidence import describe

    page.heading("Warnings and notes:")
    for item, finding in rows[:MAX_WARNED]:
        place = next(iter(facts.places(facts.locations_of(item, finding))), "")
        shown = _safe(describe(finding.evidence[0])) if finding.evidence else _safe(finding.title)
        decision = f"{_safe(finding.rule)} ({_safe(facts.decision(finding))})"
        text = f"{_safe(facts.title(item))} {_safe(place)} {decision}: {shown}"
        page.paragraph(" ".join(text.split(" ")), indent=2, hang=4)
    if len(rows) > MAX_WARNED:
        page.paragraph(f"and {len(rows) - MAX_WARNED} more (--format json has all)", indent=2)


def _not_analysed(page: _Page, verdict: Verdict, action: OutcomeAction, title: str) -> None:
    gaps = facts.gaps(verdict, action)
    if gaps:
        page.heading(title, "open" if action is OutcomeAction.FAIL else "strong")
    for gap in gaps:
        meaning, advice = meaning_of(gap.code, gap.deciders)
        more = f" and {len(gap.subjects) - MAX_NAMED} more" if len(gap.subjects) > MAX_NAMED else ""
        deciders = _safe(", ".join(map(str, gap.deciders)))
        page.paragraph(f"{gap.code} ({len(gap.subjects)}, {gap.action} by {deciders}): {meaning}", indent=2, hang=2)
        page.paragraph(f"{', '.join(_safe(name) for name in gap.subjects[:MAX_NAMED])}{more}", indent=4, hang=2)
        _list(page, gap.details, indent=4)
        page.paragraph(f"now: {advice}", indent=4, hang=5)


def _allowed(page: _Page, items: list[facts.ItemVerdict]) -> None:
    rows = [(item, f, f.allowed) for item in items for f in item.findings if f.allowed is not None]
    if not rows:
        return
    page.heading("Allowed by the policy:")
    for item, finding, allowed in rows:
        head = f"{_safe(facts.title(item))} {_safe(finding.rule)} ({_safe(facts.decision(finding))})"
        page.paragraph(f"{head}: {_safe(facts.allowance(allowed))}", indent=2, hang=4)


def _compared(page: _Page, verdict: Verdict) -> None:
    changes = facts.scope_changes(verdict)
    if changes:
        page.heading("Not new, for another use:")
    for change in changes[:MAX_NAMED]:
        page.paragraph(_safe(change), indent=2, hang=4)
    if len(changes) > MAX_NAMED:
        page.paragraph(f"and {len(changes) - MAX_NAMED} more", indent=2)
    if verdict.compared is not None:
        page.blank()
        page.paragraph(f"Base: {_safe(verdict.compared.why)}", indent=0)


def _safe(text: str) -> str:
    return escape.terminal(escape.shorten(text, MAX_TEXT))
