"""Code Quality for GitLab's merge requests: one issue a finding and lockfile.

The form is https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from scangate.models.verdict import Action, DecidedShortfall, Finding, OutcomeAction, PolicyNotice, Severity, Verdict
from scangate.output import escape, facts
from scangate.output.advice import meaning_of
from scangate.output.base import Tree
from scangate.output.evidence import describe
from scangate.output.verdict_json import dumps

MAX_EVIDENCE = 3
MAX_TEXT = 600
MAX_DESCRIPTION = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Issue:
    """`identity` is what makes it the same issue in the next run, wherever its line has moved to."""

    check: str
    severity: str
    sentences: tuple[str, ...]
    place: facts.Location
    identity: tuple[str, ...]


def render(verdict: Verdict, *, tree: Tree) -> str:
    """A JSON array, ASCII only, ending with a newline. Paths are relative to the repository's root."""
    seen: Counter[str] = Counter()
    document = []
    for issue in _issues(verdict, tree):
        identity = json.dumps([issue.check, *issue.identity])
        seen[identity] += 1
        document.append(_as_json(issue, f"{identity}{seen[identity]}", tree))
    return dumps(document)


def _as_json(issue: _Issue, identity: str, tree: Tree) -> dict[str, object]:
    path, line = issue.place
    text = " ".join(escape.terminal(escape.shorten(sentence, MAX_TEXT)) for sentence in issue.sentences if sentence)
    return {
        "description": escape.shorten(text, MAX_DESCRIPTION),
        "check_name": escape.terminal(escape.shorten(issue.check, MAX_TEXT)),
        "fingerprint": hashlib.sha256(identity.encode()).hexdigest(),
        "severity": issue.severity,
        "location": {"path": _shown(path, tree), "lines": {"begin": line}},
    }


def _shown(path: str, tree: Tree) -> str:
    """GitLab wants a path for everything; where there is none in the repository, it is the repository."""
    return escape.terminal((path and tree.inside(path)) or ".")


def _issues(verdict: Verdict, tree: Tree) -> Iterator[_Issue]:
    for item in facts.items(verdict):
        for finding in facts.by_weight(item.findings):
            yield from _finding(item, finding)
        for decided in item.shortfalls:
            yield _shortfall(item, decided)
    for notice in verdict.notices:
        yield _notice(notice, tree)
    for change, text in zip(verdict.scope_changes, facts.scope_changes(verdict, tree), strict=True):
        entry = change.dependency
        yield _Issue(
            check="scope-change",
            severity="info",
            sentences=(f"Not new, for another use: {text}.",),
            place=(entry.lockfile, entry.line),
            identity=(entry.lockfile, entry.name, entry.version or "", str(entry.scope)),
        )


def _finding(item: facts.ItemVerdict, finding: Finding) -> Iterator[_Issue]:
    sentences = [f"{escape.shorten(facts.title(item), MAX_TEXT // 2)}: {finding.title} ({facts.decision(finding)})."]
    sentences += [f"Seen: {describe(each)}." for each in finding.evidence[:MAX_EVIDENCE]]
    left = len(finding.evidence) - MAX_EVIDENCE
    sentences += [f"And {left} more."] if left > 0 else []
    history = ", ".join(facts.history(item))
    sentences += [f"Came in: {history}."] if history else []
    if finding.allowed is not None:
        sentences.append(f"Allowed: {facts.allowance(finding.allowed)}.")
    elif finding.advice:
        sentences.append(f"Now: {finding.advice}")
    first: dict[str, int] = {}
    for path, line in facts.locations_of(item, finding) or [("", 1)]:
        first.setdefault(path, line)
    for path, line in first.items():
        yield _Issue(
            check=finding.rule,
            severity=_severity(finding),
            sentences=tuple(sentences),
            place=(path, line),
            identity=(facts.title(item), str(finding.engine), path),
        )


def _shortfall(item: facts.ItemVerdict, decided: DecidedShortfall) -> _Issue:
    code, detail = decided.shortfall.code, decided.shortfall.detail
    meaning, advice = meaning_of(code, [decided.decided_by])
    name = escape.shorten(facts.title(item), MAX_TEXT // 2)
    places = facts.locations(item)
    return _Issue(
        check=code,
        severity=_OUTCOMES[decided.action],
        sentences=(f"{name}: {meaning} ({decided.action} by {decided.decided_by}).", detail, f"Now: {advice}"),
        place=places[0] if places else ("", 1),
        identity=(facts.title(item), str(decided.shortfall.engine), str(decided.shortfall.phase)),
    )


def _notice(notice: PolicyNotice, tree: Tree) -> _Issue:
    place = facts.place_in_policy(notice.where, tree)
    return _Issue(
        check=notice.code,
        severity=_OUTCOMES[OutcomeAction.FAIL] if facts.leaves_open(notice) else _NOTICES[notice.action],
        sentences=(f"{notice.message} ({notice.action} by {notice.decided_by}, {notice.where})",),
        place=place or ("", 1),
        identity=(notice.message, _shown(place[0], tree) if place else ""),
    )


def _severity(finding: Finding) -> str:
    if finding.allowed is not None:
        return "info"
    return _DENIED[finding.severity] if finding.action is Action.DENY else _NOTICES[finding.action]


_DENIED: Mapping[Severity, str] = {
    Severity.CRITICAL: "blocker",
    Severity.HIGH: "critical",
    Severity.MEDIUM: "major",
    Severity.LOW: "major",
}
_NOTICES: Mapping[Action, str] = {Action.DENY: "critical", Action.WARN: "minor", Action.NOTE: "info"}
_OUTCOMES: Mapping[OutcomeAction, str] = {
    OutcomeAction.FAIL: "major",
    OutcomeAction.WARN: "minor",
    OutcomeAction.NOTE: "info",
}
