"""Findings as SARIF results: one for each finding and each place in a lockfile, the weightiest first."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from scangate.models.lockfile import Dependency, LockFact
from scangate.models.observations import Observation
from scangate.models.verdict import Allowed, Decider, Finding, LockfileVerdict, SubjectVerdict, Verdict
from scangate.output import facts
from scangate.output.base import Tree
from scangate.output.evidence import describe
from scangate.output.sarif_rules import LEVELS
from scangate.output.sarif_text import Json, code, message, nowhere, physical, policy_location, prose, value
from scangate.output.verdict_json import OBSERVATION_TYPES

FINGERPRINT = "scangate/v1"
"""The key of our fingerprint. `primaryLocationLineHash`, GitHub's own, is upload-sarif's to fill in: it warns of each
result that brings another value than the one that it computes of the line's content."""

_MAX_SHOWN = 3
_MAX_EVIDENCE = 10
_MAX_STEPS = 20
_MAX_REASON = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spot:
    """One place of one finding, and what of its evidence belongs there. `lockfile` is empty where there is none."""

    lockfile: str
    line: int
    evidence: tuple[Observation, ...]
    entry: Dependency | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """One result to be: a finding at one of its places."""

    item: facts.ItemVerdict
    finding: Finding
    spot: _Spot
    fingerprint: str


def matches(verdict: Verdict) -> list[Match]:
    """Every finding at every place: what is denied first, what an exception silences last."""
    seen: Counter[tuple[str, ...]] = Counter()
    made = []
    for item, finding in facts.findings(verdict):
        for spot in _spots(item, finding):
            identity = _identity(item, finding, spot)
            made.append(Match(item, finding, spot, _fingerprint(identity, seen[identity])))
            seen[identity] += 1
    return made


def _spots(item: facts.ItemVerdict, finding: Finding) -> Iterable[_Spot]:
    if isinstance(item, LockfileVerdict):
        shown = sorted((each for each in finding.evidence if isinstance(each, LockFact)), key=lambda fact: fact.line)
        path = item.lockfile.path
        alone = _Spot(lockfile=path, line=1, evidence=finding.evidence)
        return [_Spot(lockfile=path, line=fact.line, evidence=(fact,)) for fact in shown] or [alone]
    entries = {(entry.lockfile, entry.line): entry for entry in facts.entries_of(item.subject, finding)}
    spots = (
        _Spot(lockfile=path, line=line, evidence=finding.evidence, entry=entries[path, line])
        for path, line in sorted(entries)
    )
    return tuple(spots) or (_Spot(lockfile="", line=1, evidence=finding.evidence),)


def _identity(item: facts.ItemVerdict, finding: Finding, spot: _Spot) -> tuple[str, ...]:
    """What makes a result the one that it is, in this run and the next: anything but its line."""
    engine = "" if finding.engine is None else str(finding.engine)
    if isinstance(item, SubjectVerdict):
        return "package", finding.rule, engine, item.subject.key, spot.lockfile
    told = (f"{each.check}: {each.detail}" for each in spot.evidence if isinstance(each, LockFact))
    return "lockfile", finding.rule, engine, spot.lockfile, *told


def _fingerprint(identity: tuple[str, ...], ordinal: int) -> str:
    """`ordinal` tells entries apart that differ by their line alone: it counts them from the top."""
    return hashlib.sha256(json.dumps([*identity, ordinal]).encode()).hexdigest()


def result_of(match: Match, tree: Tree) -> Json:
    """The result as SARIF has it, but for the index of its rule."""
    item, finding, spot = match.item, match.finding, match.spot
    result: Json = {
        "ruleId": finding.rule,
        "level": LEVELS[finding.action],
        "message": message(_text(item, finding, spot)),
        "locations": [_location(item, spot, tree)],
        "partialFingerprints": {FINGERPRINT: match.fingerprint},
        "properties": _properties(item, finding, spot),
    }
    if related := _related(finding, tree):
        result["relatedLocations"] = related
    if finding.allowed is not None:
        result["suppressions"] = [_suppression(finding.allowed, tree)]
    return result


def _text(item: facts.ItemVerdict, finding: Finding, spot: _Spot) -> str:
    """One paragraph; its first sentence has to do where a viewer shows no more."""
    silenced = ", and an exception of the policy allows it" if finding.allowed else ""
    sentences = [f"{code(facts.title(item))}: {prose(finding.title).rstrip('.')} ({finding.action}{silenced})."]
    shown = [code(describe(each)) for each in spot.evidence[:_MAX_SHOWN]]
    more = f", and {len(spot.evidence) - len(shown)} more" if len(spot.evidence) > len(shown) else ""
    if shown:
        sentences.append(f"Seen: {', '.join(shown)}{more}.")
    if spot.entry is not None and (way := facts.way_in([spot.entry])):
        sentences.append(f"Brought in by {code(way)}.")
    if isinstance(item, SubjectVerdict) and (change := facts.change(item.subject.changes)):
        sentences.append(f"Since the base: {code(change)}.")
    if finding.advice and finding.allowed is None:
        sentences.append(f"What to do: {prose(finding.advice)}")
    return " ".join(sentences)


def _location(item: facts.ItemVerdict, spot: _Spot, tree: Tree) -> Json:
    place = physical(spot.lockfile, spot.line, tree) or nowhere(spot.lockfile or facts.title(item))
    found: Json = {"physicalLocation": place}
    if isinstance(item, SubjectVerdict):
        name = value(item.subject.key)
        found["logicalLocations"] = [{"name": value(item.subject.name), "fullyQualifiedName": name, "kind": "package"}]
    return found


def _related(finding: Finding, tree: Tree) -> list[Json]:
    """Where in the policy it was decided: the exception, the override, the rule; each line once."""
    allowed = finding.allowed
    decided = (
        "The policy sets the action here."
        if finding.decided_by.decider is Decider.POLICY
        else (f"The policy's {finding.decided_by.decider} sets the action here.")
    )
    told: dict[str, str] = {}
    for where, text in (
        (allowed.where if allowed else "", "This exception allows it."),
        (finding.decided_by.where, decided),
        (finding.where, "The rule stands here."),
    ):
        told.setdefault(where, text)
    found = [(policy_location(where, tree), text) for where, text in told.items()]
    return [
        {"id": number, "message": message(text), **place}
        for number, (place, text) in enumerate(((place, text) for place, text in found if place), start=1)
    ]


def _suppression(allowed: Allowed, tree: Tree) -> Json:
    owner = f", {prose(allowed.owner)}" if allowed.owner else ""
    suppression: Json = {
        "kind": "external",
        "status": "accepted",
        "justification": f"{prose(allowed.reason, _MAX_REASON)} (until {allowed.expires}{owner})",
        "properties": {
            "reason": value(allowed.reason, _MAX_REASON),
            "owner": value(allowed.owner),
            "expires": allowed.expires.isoformat(),
            "where": value(allowed.where),
        },
    }
    if (place := policy_location(allowed.where, tree)) is not None:
        suppression["location"] = place
    return suppression


def _properties(item: facts.ItemVerdict, finding: Finding, spot: _Spot) -> Json:
    left = len(spot.evidence) - _MAX_EVIDENCE
    properties: Json = {
        "action": finding.action,
        "severity": finding.severity,
        "engine": finding.engine,
        "decidedBy": {"decider": finding.decided_by.decider, "where": value(finding.decided_by.where)},
        "evidence": [_evidence(each) for each in spot.evidence[:_MAX_EVIDENCE]],
    }
    if left > 0:
        properties["evidenceLeftOut"] = left
    if isinstance(item, SubjectVerdict):
        subject = item.subject
        properties["package"] = {
            "key": value(subject.key),
            "purl": None if subject.purl is None else value(subject.purl),
            "name": value(subject.name),
            "version": None if subject.version is None else value(subject.version),
            "ecosystem": subject.ecosystem,
        }
    if spot.entry is not None:
        properties["scope"], properties["relation"] = spot.entry.scope, spot.entry.relation
        properties["path"] = [value(step) for step in spot.entry.path[:_MAX_STEPS]]
        if len(spot.entry.path) > _MAX_STEPS:
            properties["pathLeftOut"] = len(spot.entry.path) - _MAX_STEPS
    return properties


def _evidence(observation: Observation) -> Json:
    return {
        "type": OBSERVATION_TYPES[type(observation)],
        "phase": getattr(observation, "phase", None),
        "text": value(describe(observation)),
    }
