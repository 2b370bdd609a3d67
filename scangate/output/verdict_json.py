"""The verdict as JSON: complete, versioned, described by docs/schema/verdict-v1.json."""

import json
from typing import Any

from scangate.errors import ExitCode
from scangate.models.analysis import Analysed, Shortfall
from scangate.models.changes import Change
from scangate.models.lockfile import Dependency, LockFact
from scangate.models.observations import (
    BaitSeen,
    CommandRun,
    FileTouched,
    HostContacted,
    LastPyMileHit,
    Observation,
    PackagePresent,
    SocketOpened,
)
from scangate.models.verdict import (
    DecidedBy,
    DecidedShortfall,
    Finding,
    LockfileVerdict,
    PolicyNotice,
    SubjectVerdict,
    Verdict,
)
from scangate.output import escape, facts
from scangate.output.evidence import describe

SCHEMA_VERSION = 1

MAX_BYTES = 256 * 1024 * 1024
"""Of a document that is read again, or kept to be."""

MAX_INDENTED = 2_000
"""Packages, or results, in a document that somebody may still read; a longer one is for programs alone."""

OBSERVATION_TYPES: dict[type[Observation], str] = {
    HostContacted: "host",
    SocketOpened: "socket",
    CommandRun: "command",
    FileTouched: "file",
    BaitSeen: "bait",
    LastPyMileHit: "lastpymile",
    LockFact: "lockfile",
    PackagePresent: "package",
}


def render(verdict: Verdict, *, exit_code: ExitCode, version: str) -> str:
    """One JSON document, ASCII only (every other character as \\u escape), keys in the schema's order."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "scangate": version,
        "status": verdict.status,
        "mode": verdict.mode,
        "exit_code": int(exit_code),
        "policy": verdict.policy,
        "analyser": verdict.analyser,
        "elapsed_seconds": round(verdict.elapsed_seconds, 3),
        "counts": facts.counts(verdict)._asdict(),
        "packages": [_package(item) for item in verdict.subjects],
        "lockfiles": [_lockfile(item) for item in verdict.lockfiles],
        "notices": [_notice(notice) for notice in verdict.notices],
        "compared": verdict.compared and {"commit": verdict.compared.commit, "why": verdict.compared.why},
        "scope_changes": [_change(change) for change in verdict.scope_changes],
    }
    return dumps(document, compact=len(verdict.subjects) > MAX_INDENTED)


def dumps(document: object, *, compact: bool = False) -> str:
    """ASCII JSON. `##[` would be a command to a CI runner even inside a string: one `#` is written as an escape.

    `compact`: without white space, which takes half of the time and of the memory.
    """
    if compact:
        return escape.json(json.dumps(document, separators=(",", ":"))) + "\n"
    return escape.json(json.dumps(document, indent=2)) + "\n"


def dependency(entry: Dependency) -> dict[str, Any]:
    """One dependency as JSON has it, in `list` and in `check` alike."""
    return {
        "purl": entry.purl,
        "ecosystem": entry.ecosystem,
        "name": entry.name,
        "version": entry.version,
        "kind": entry.kind,
        "registry": entry.registry,
        "source": entry.source,
        "integrity": list(entry.integrity),
        "scope": entry.scope,
        "relation": entry.relation,
        "path": list(entry.path),
        "lockfile": entry.lockfile,
        "line": entry.line,
        "facts": [{"check": fact.check, "detail": fact.detail, "line": fact.line} for fact in entry.facts],
    }


def _package(item: SubjectVerdict) -> dict[str, Any]:
    subject = item.subject
    return {
        "key": subject.key,
        "purl": subject.purl,
        "ecosystem": subject.ecosystem,
        "name": subject.name,
        "version": subject.version,
        "status": item.status,
        "dependencies": [dependency(entry) for entry in subject.dependencies],
        "analyses": [_analysis(result) for result in subject.results],
        "findings": [_finding(finding) for finding in item.findings],
        "outcomes": [_outcome(decided) for decided in item.shortfalls],
        "changes": [_change(change) for change in subject.changes],
    }


def _lockfile(item: LockfileVerdict) -> dict[str, Any]:
    return {
        "path": item.lockfile.path,
        "format": item.lockfile.format,
        "supported": item.lockfile.supported,
        "dependencies": len(item.lockfile.dependencies),
        "status": item.status,
        "findings": [_finding(finding) for finding in item.findings],
        "outcomes": [_outcome(decided) for decided in item.shortfalls],
    }


def _analysis(result: Analysed | Shortfall) -> dict[str, Any]:
    if isinstance(result, Shortfall):
        return {"engine": result.engine, "task_id": result.task_id, "result": result.code, "report_created": None}
    created = result.created.isoformat() if result.created else None
    return {"engine": result.engine, "task_id": result.task_id, "result": "analysed", "report_created": created}


def _finding(finding: Finding) -> dict[str, Any]:
    allowed = finding.allowed
    return {
        "rule": finding.rule,
        "title": finding.title,
        "severity": finding.severity,
        "action": finding.action,
        "decided_by": _decided_by(finding.decided_by),
        "engine": finding.engine,
        "description": finding.description,
        "advice": finding.advice,
        "allowed": allowed
        and {
            "reason": allowed.reason,
            "expires": allowed.expires.isoformat(),
            "where": allowed.where,
            "owner": allowed.owner,
        },
        "evidence": [_observation(observation) for observation in finding.evidence],
        "where": finding.where,
        "references": list(finding.references),
    }


def _decided_by(decided_by: DecidedBy) -> dict[str, Any]:
    return {"decider": decided_by.decider, "where": decided_by.where}


def _change(change: Change) -> dict[str, Any]:
    entry, before = change.dependency, change.before
    return {
        "change": change.kind,
        "name": entry.name,
        "before": before and {"version": before.version, "source": before.source, "scope": before.scope},
        "version": entry.version,
        "scope": entry.scope,
        "lockfile": entry.lockfile,
        "line": entry.line,
    }


def _outcome(decided: DecidedShortfall) -> dict[str, Any]:
    shortfall = decided.shortfall
    return {
        "code": shortfall.code,
        "action": decided.action,
        "decided_by": _decided_by(decided.decided_by),
        "detail": shortfall.detail,
        "engine": shortfall.engine,
        "phase": shortfall.phase,
        "task_id": shortfall.task_id,
    }


def _notice(notice: PolicyNotice) -> dict[str, Any]:
    return {
        "code": notice.code,
        "message": notice.message,
        "where": notice.where,
        "action": notice.action,
        "decided_by": _decided_by(notice.decided_by),
    }


def _observation(observation: Observation) -> dict[str, Any]:
    shown: dict[str, Any] = {"type": OBSERVATION_TYPES[type(observation)], "text": describe(observation)}
    for name, value in observation._asdict().items():
        shown[name] = list(value) if isinstance(value, tuple) else value
    shown.pop("about", None)  # of a LockFact: it serves to compare, and may tell what must not be shown
    return shown
