"""For GitHub's runner: annotations on the lockfiles' lines, errors first, within what a run may have."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from scangate.models.verdict import Action, Finding, OutcomeAction, PolicyNotice, Verdict
from scangate.output import escape, facts
from scangate.output.advice import meaning_of
from scangate.output.base import Tree
from scangate.output.evidence import describe

MAX_OF_A_TYPE = 10
"""The runner keeps ten annotations of each type for a whole action, and drops the rest without a word."""

MAX_MESSAGE = 4096
"""Characters of a message that the runner keeps."""

MAX_TITLE = 250
MAX_TEXT = 600
MAX_EVIDENCE_LINES = 5
MAX_NAMED = 10
MAX_REST = 100


class Level(StrEnum):
    """The types of annotations, the gravest first."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """`lines` of the message and `title` are plain text, unescaped. `place` is where it stands, None for nowhere."""

    level: Level
    title: str
    lines: tuple[str, ...]
    place: facts.Location | None = None


def render(verdict: Verdict, *, tree: Tree) -> str:
    """One workflow command a line, then the verdict for whoever reads the log. Ends with a newline."""
    commands = [_command(each, tree) for each in _within_limits(list(_annotations(verdict, tree)))]
    words = [f"scangate: {facts.WORD[verdict.status]}: {facts.headline(verdict)}"]
    words += [f"Base: {escape.shorten(verdict.compared.why, MAX_TEXT)}"] if verdict.compared else []
    words.append(facts.summary(verdict))
    return "".join(f"{line}\n" for line in (*commands, *(escape.log(escape.terminal(each)) for each in words)))


def _annotations(verdict: Verdict, tree: Tree) -> Iterator[Annotation]:
    for item, finding in facts.findings(verdict):
        yield _finding(item, finding, tree)
    for action in OutcomeAction:
        for gap in facts.gaps(verdict, action):
            yield _gap(gap)
    for notice in verdict.notices:
        yield _notice(notice, tree)
    yield from _scope_changes(verdict, tree)


def _finding(item: facts.ItemVerdict, finding: Finding, tree: Tree) -> Annotation:
    places = facts.locations_of(item, finding)
    lines = [f"{finding.title} ({finding.rule}: {facts.decision(finding)})"]
    lines += _first([f"- {describe(seen)}" for seen in finding.evidence], MAX_EVIDENCE_LINES, "- and {} more")
    lines += facts.history(item)
    others = [tree.place(*place) for place in places[1:]]
    lines += [f"also in {', '.join(_first(others, MAX_NAMED))}"] if others else []
    if finding.allowed is not None:
        level, verb = Level.NOTICE, "allows"
        lines.append(f"allowed: {facts.allowance(finding.allowed)}")
    else:
        level, verb = _LEVEL_OF[finding.action], _VERB[finding.action]
        lines += [f"now: {finding.advice}"] if finding.advice else []
    title = f"scangate {verb} {facts.title(item)}"
    return Annotation(level=level, title=title, lines=tuple(lines), place=places[0] if places else None)


def _gap(gap: facts.Gap) -> Annotation:
    meaning, advice = meaning_of(gap.code, gap.deciders)
    names = [escape.shorten(name, MAX_TITLE) for name in gap.subjects]
    lines = [f"{gap.code} ({gap.action} by {', '.join(map(str, gap.deciders))}): {meaning}"]
    lines += _first(names, MAX_NAMED)
    lines += _first([f"- {detail}" for detail in gap.details], MAX_EVIDENCE_LINES, "- and {} more")
    lines.append(f"now: {advice}")
    return Annotation(
        level=_LEVEL_OF[gap.action],
        title=f"scangate: not analysed, or not wholly: {gap.code}",
        lines=tuple(lines),
        place=gap.locations[0] if gap.locations else None,
    )


def _notice(notice: PolicyNotice, tree: Tree) -> Annotation:
    return Annotation(
        level=Level.ERROR if facts.leaves_open(notice) else _LEVEL_OF[notice.action],
        title=f"scangate policy: {notice.code}",
        lines=(f"{notice.message} ({notice.action} by {notice.decided_by})",),
        place=facts.place_in_policy(notice.where, tree),
    )


def _scope_changes(verdict: Verdict, tree: Tree) -> Iterator[Annotation]:
    if verdict.scope_changes:
        first = verdict.scope_changes[0].dependency
        lines = facts.scope_changes(verdict, tree)
        yield Annotation(
            level=Level.NOTICE,
            title="scangate: not new, for another use",
            lines=tuple(_first(lines, MAX_NAMED)),
            place=(first.lockfile, first.line),
        )


def _within_limits(annotations: list[Annotation]) -> list[Annotation]:
    """Sorted by level, and as many as the runner keeps; one of them sums up all for which there was no room."""
    found = {level: [each for each in annotations if each.level is level] for level in Level}
    over = [level for level in Level if len(found[level]) > MAX_OF_A_TYPE]
    shown = {level: found[level][: MAX_OF_A_TYPE - (level in over[:1])] for level in Level}
    if over:
        rest = [each for level in Level for each in found[level][len(shown[level]) :]]
        shown[over[0]].append(_summary(over[0], rest))
    return [each for level in Level for each in shown[level]]


def _summary(level: Level, rest: list[Annotation]) -> Annotation:
    counts = ", ".join(f"{sum(each.level is one for each in rest)} {one}" for one in Level)
    lines = [f"There is no room for {len(rest)} more annotations ({counts}). Other formats have them all."]
    lines += [f"- {escape.shorten(each.title, MAX_TITLE)}" for each in rest[:MAX_REST]]
    return Annotation(level=level, title=f"scangate: {len(rest)} more", lines=tuple(lines))


def _command(each: Annotation, tree: Tree) -> str:
    properties = []
    if each.place is not None and (path := tree.inside(each.place[0])) is not None:
        properties += [f"file={_property(path)}", f"line={each.place[1]}"]
    properties.append(f"title={_property(escape.shorten(each.title, MAX_TITLE))}")
    message = "\n".join(escape.terminal(escape.shorten(line, MAX_TEXT)) for line in each.lines)
    return f"::{each.level} {','.join(properties)}::{escape.command_data(_cut(message))}"


def _property(text: str) -> str:
    return escape.command_property(escape.terminal(text))


def _cut(message: str) -> str:
    """What the runner would keep of it, with a mark where it was cut: it counts in UTF-16."""
    encoded = message.encode("utf-16-le")
    if len(encoded) <= 2 * MAX_MESSAGE:
        return message
    return encoded[: 2 * (MAX_MESSAGE - 1)].decode("utf-16-le", "ignore") + "…"


def _first(lines: Sequence[str], limit: int, form: str = "and {} more") -> list[str]:
    """At most `limit` lines, and a line on how many more there are."""
    return [*lines[:limit], *([form.format(len(lines) - limit)] if len(lines) > limit else [])]


_LEVEL_OF: Mapping[Action | OutcomeAction, Level] = {
    Action.DENY: Level.ERROR,
    Action.WARN: Level.WARNING,
    Action.NOTE: Level.NOTICE,
    OutcomeAction.FAIL: Level.ERROR,
    OutcomeAction.WARN: Level.WARNING,
    OutcomeAction.NOTE: Level.NOTICE,
}

_VERB: Mapping[Action, str] = {Action.DENY: "denies", Action.WARN: "warns of", Action.NOTE: "notes"}
