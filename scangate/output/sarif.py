"""The verdict as SARIF 2.1.0, for code scanning and other viewers: one run, within what GitHub's service takes.

What the policy found is a result. What was not analysed, and what the policy has to say of itself, is a notification
of the invocation: an outage must not look like malware.
"""

import gzip
import json
import re
from collections.abc import Iterable, Sequence

from scangate.errors import ExitCode
from scangate.models.analysis import OutcomeCode
from scangate.models.verdict import DecidedShortfall, OutcomeAction, PolicyNotice, Status, Verdict
from scangate.output import facts
from scangate.output.advice import MEANING, meaning_of
from scangate.output.base import Setting, Tree
from scangate.output.sarif_results import Match, matches, result_of
from scangate.output.sarif_rules import LEVELS, of_notice, of_outcome, of_rule
from scangate.output.sarif_text import (
    SOURCE_ROOT,
    Json,
    code,
    message,
    physical,
    policy_location,
    prose,
    value,
)
from scangate.output.verdict_json import MAX_INDENTED, dumps

MAX_RESULTS = 25_000
"""GitHub refuses a run with more."""
MAX_COMPRESSED_BYTES = 10_000_000
"""GitHub refuses a file that is larger when it is gzipped."""
MAX_NOTIFICATIONS = 1_000
MAX_PLAIN_BYTES = 64 * 1024 * 1024
"""Of all results as JSON without white space, so that hostile text cannot fill the memory."""

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_HOME = "https://github.com/scangate/scangate"
_LEVELS = {OutcomeAction.FAIL: "error", OutcomeAction.WARN: "warning", OutcomeAction.NOTE: "note"}
_ACTIONS = tuple(OutcomeAction)
_SEMANTIC = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.-]+)?")
_ENDED = {
    ExitCode.PASS: "Pass.",
    ExitCode.BLOCKED: "Blocked by the policy.",
    ExitCode.INCOMPLETE: "Incomplete: a verdict could not be had for something.",
}


def render(verdict: Verdict, setting: Setting) -> str:
    """One SARIF log, ASCII only.

    Whatever goes over the limits is left out from the least weighty result on, and a notification says so.
    """
    found = matches(verdict)
    kept = _within_reason(found[:MAX_RESULTS], setting.tree)
    while True:
        text = dumps(_log(verdict, kept, len(found), setting), compact=len(kept) > MAX_INDENTED)
        size = len(gzip.compress(text.encode(), compresslevel=6, mtime=0))
        if size <= MAX_COMPRESSED_BYTES or not kept:
            return text
        kept = kept[: int(len(kept) * 0.9 * MAX_COMPRESSED_BYTES / size)]


def _within_reason(found: Iterable[Match], tree: Tree) -> list[Json]:
    """The results, as many as the memory that they may take holds."""
    kept: list[Json] = []
    size = 0
    for match in found:
        kept.append(result_of(match, tree))
        size += len(json.dumps(kept[-1]))
        if size > MAX_PLAIN_BYTES:
            return kept[:-1]
    return kept


def _log(verdict: Verdict, kept: Sequence[Json], total: int, setting: Setting) -> Json:
    ruled = {finding.rule: finding for item in facts.items(verdict) for finding in item.findings}
    index = {rule: number for number, rule in enumerate(sorted(ruled))}
    told = _notifications(verdict, len(kept), total, setting.tree)
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "scangate",
                        **_version(setting.version),
                        "informationUri": _HOME,
                        "rules": [of_rule(ruled[rule]) for rule in index],
                        "notifications": _descriptors(told),
                    }
                },
                "originalUriBaseIds": {SOURCE_ROOT: {"description": message("The root of the repository.")}},
                "invocations": [_invocation(verdict, told, setting.exit_code)],
                "results": [{"ruleIndex": index[result["ruleId"]], **result} for result in kept],
                "properties": _properties(verdict, setting.tree),
            }
        ],
    }


def _version(version: str) -> Json:
    """As SARIF tells versions: a semantic one where it is one."""
    return {"version": version, **({"semanticVersion": version} if _SEMANTIC.fullmatch(version) else {})}


def _invocation(verdict: Verdict, told: Sequence[Json], exit_code: ExitCode) -> Json:
    complete = verdict.status is not Status.INCOMPLETE and not any(
        decided.action is OutcomeAction.FAIL for _, decided in _shortfalls(verdict)
    )
    return {
        "executionSuccessful": complete,
        "exitCode": int(exit_code),
        "exitCodeDescription": _ENDED.get(exit_code, "Ended early."),
        "toolExecutionNotifications": list(told),
    }


def _notifications(verdict: Verdict, kept: int, total: int, tree: Tree) -> list[Json]:
    """What was not analysed, the most serious first; then what the policy says; then what this file leaves out."""
    shortfalls = sorted(_shortfalls(verdict), key=lambda pair: _ACTIONS.index(pair[1].action))
    told = [_outcome(item, decided, tree) for item, decided in shortfalls[:MAX_NOTIFICATIONS]]
    told += [_notice(notice, tree) for notice in verdict.notices[:MAX_NOTIFICATIONS]]
    if left := max(0, len(shortfalls) - MAX_NOTIFICATIONS) + max(0, len(verdict.notices) - MAX_NOTIFICATIONS):
        told.append(_left_out("notices-left-out", f"{left} notifications are left out here; `--format json` has all."))
    if kept < total:
        text = f"{total - kept} of {total} results are left out here, the least weighty ones; `--format json` has all."
        told.append(_left_out("results-left-out", text))
    return told


def _shortfalls(verdict: Verdict) -> Iterable[tuple[facts.ItemVerdict, DecidedShortfall]]:
    return ((item, decided) for item in facts.items(verdict) for decided in item.shortfalls)


def _outcome(item: facts.ItemVerdict, decided: DecidedShortfall, tree: Tree) -> Json:
    shortfall = decided.shortfall
    meaning, advice = meaning_of(shortfall.code, [decided.decided_by])
    detail = f" {code(shortfall.detail.removesuffix('.'))}." if shortfall.detail else ""
    notification: Json = {
        "descriptor": {"id": str(shortfall.code)},
        "level": _LEVELS[decided.action],
        "message": message(f"{code(facts.title(item))} is not analysed, or not wholly: {meaning}.{detail} {advice}"),
        "properties": {
            "action": decided.action,
            "decidedBy": value(str(decided.decided_by)),
            "engine": shortfall.engine,
            "phase": shortfall.phase,
            "taskId": shortfall.task_id,
        },
    }
    place = next(iter(facts.locations(item)), None)
    if place is not None and (found := physical(*place, tree)) is not None:
        notification["locations"] = [{"physicalLocation": found}]
    return notification


def _notice(notice: PolicyNotice, tree: Tree) -> Json:
    notification: Json = {
        "descriptor": {"id": notice.code},
        "level": "error" if facts.leaves_open(notice) else LEVELS[notice.action],
        "message": message(prose(notice.message, 1000)),
        "properties": {"action": notice.action, "decidedBy": value(str(notice.decided_by))},
    }
    if found := policy_location(notice.where, tree):
        notification["locations"] = [found]
    return notification


def _left_out(id_: str, text: str) -> Json:
    return {"descriptor": {"id": id_}, "level": "warning", "message": message(text)}


def _descriptors(told: Sequence[Json]) -> list[Json]:
    ids = sorted({notification["descriptor"]["id"] for notification in told})
    return [of_outcome(OutcomeCode(id_)) if id_ in MEANING else of_notice(id_) for id_ in ids]


def _properties(verdict: Verdict, tree: Tree) -> Json:
    compared, changes = verdict.compared, facts.scope_changes(verdict, tree)
    properties: Json = {
        "status": verdict.status,
        "mode": verdict.mode,
        "policy": value(verdict.policy),
        "analyser": value(verdict.analyser),
        "base": None if compared is None else {"commit": compared.commit, "why": value(compared.why)},
        "scopeChanges": [value(each) for each in changes[:MAX_NOTIFICATIONS]],
    }
    if len(changes) > MAX_NOTIFICATIONS:
        properties["scopeChangesLeftOut"] = len(changes) - MAX_NOTIFICATIONS
    return properties
