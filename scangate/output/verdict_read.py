"""Reads again what `verdict_json` wrote: for `explain` and `allow`, and for the pull request's comment."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from scangate.models.analysis import Engine, OutcomeCode, Phase, Shortfall
from scangate.models.changes import Change, ChangeKind, Compared
from scangate.models.lockfile import Dependency, Ecosystem, Kind, LockFact, Relation, Scope
from scangate.models.observations import Network, Observation
from scangate.models.verdict import Action, Subject
from scangate.output.verdict_json import OBSERVATION_TYPES
from scangate.purls import npm, pypi

_Json = Mapping[str, Any]


class ReadFinding(NamedTuple):
    """One finding of a verdict, as far as it matters afterwards."""

    rule: str
    action: str
    engine: Engine | None
    evidence: tuple[Observation, ...]
    is_allowed: bool


class ReadPackage(NamedTuple):
    """One package of a verdict. `subject` has no observations: `analysed` names the engines that gave a report."""

    subject: Subject
    status: str
    findings: tuple[ReadFinding, ...]
    analysed: tuple[Engine, ...]
    shortfalls: tuple[Shortfall, ...]


class ReadVerdict(NamedTuple):
    """The document of `--format json`, as far as it matters afterwards."""

    packages: Mapping[str, ReadPackage]
    """By key."""
    policy: str
    analyser: str
    compared: Compared | None


def read(content: bytes) -> ReadVerdict:
    """Raises ValueError where it is no verdict."""
    try:
        document = json.loads(content)
        packages = [_package(each) for each in document["packages"]]
        return ReadVerdict(
            packages={each.subject.key: each for each in packages},
            policy=str(document["policy"]),
            analyser=str(document["analyser"]),
            compared=_compared(document["compared"]),
        )
    except (TypeError, LookupError, AttributeError, RecursionError) as exc:
        raise ValueError("no verdict") from exc


def has_finding(content: bytes) -> bool:
    """Whether anything denies or warns that no exception allows. Raises ValueError where it is no verdict."""
    try:
        document = json.loads(content)
        return any(
            finding["allowed"] is None and finding["action"] in (Action.DENY, Action.WARN)
            for item in [*document["packages"], *document["lockfiles"]]
            for finding in item["findings"]
        )
    except (TypeError, LookupError, RecursionError) as exc:
        raise ValueError("no verdict") from exc


def _compared(said: _Json | None) -> Compared | None:
    return None if said is None else Compared(commit=_text(said["commit"]), why=str(said["why"]))


def _package(said: _Json) -> ReadPackage:
    subject = Subject(
        key=str(said["key"]),
        ecosystem=Ecosystem(said["ecosystem"]),
        name=str(said["name"]),
        version=_text(said["version"]),
        purl=_text(said["purl"]),
        dependencies=tuple(_dependency(each) for each in said["dependencies"]),
    )
    return ReadPackage(
        subject=_with_changes(subject, said["changes"]),
        status=str(said["status"]),
        findings=tuple(_finding(each) for each in said["findings"]),
        analysed=tuple(Engine(each["engine"]) for each in said["analyses"] if each["result"] == "analysed"),
        shortfalls=tuple(_shortfall(each) for each in said["outcomes"]),
    )


def _dependency(said: _Json) -> Dependency:
    return Dependency(
        ecosystem=Ecosystem(said["ecosystem"]),
        name=str(said["name"]),
        version=_text(said["version"]),
        kind=Kind(said["kind"]),
        purl=_text(said["purl"]),
        registry=_text(said["registry"]),
        source=_text(said["source"]),
        integrity=tuple(map(str, said["integrity"])),
        scope=Scope(said["scope"]),
        relation=Relation(said["relation"]),
        path=tuple(map(str, said["path"])),
        lockfile=str(said["lockfile"]),
        line=int(said["line"]),
        facts=tuple(
            LockFact(check=str(fact["check"]), detail=str(fact["detail"]), line=int(fact["line"]))
            for fact in said["facts"]
        ),
    )


def _with_changes(subject: Subject, said: Sequence[_Json]) -> Subject:
    entries = {(entry.lockfile, entry.line): entry for entry in subject.dependencies}
    changes = []
    for each in said:
        entry = entries[str(each["lockfile"]), int(each["line"])]
        before, known = each["before"], None
        if before is not None:
            version = _text(before["version"])
            purl = _purl(entry, version) if version != entry.version else entry.purl
            known = entry._replace(version=version, purl=purl, integrity=(), facts=(), scope=Scope(before["scope"]))
        changes.append(Change(kind=ChangeKind(each["change"]), dependency=entry, before=known))
    return subject._replace(changes=tuple(changes))


def _purl(entry: Dependency, version: str | None) -> str | None:
    """The purl of another version of an entry, where both are of a public registry."""
    if entry.purl is None or version is None:
        return None
    match entry.ecosystem:
        case Ecosystem.NPM:
            return npm(entry.name, version)
        case Ecosystem.PYPI:
            return pypi(entry.name, version)
        case Ecosystem.VSCODE_EXTENSION:
            return None


def _finding(said: _Json) -> ReadFinding:
    return ReadFinding(
        rule=str(said["rule"]),
        action=str(said["action"]),
        engine=None if said["engine"] is None else Engine(said["engine"]),
        evidence=tuple(_observation(each) for each in said["evidence"]),
        is_allowed=said["allowed"] is not None,
    )


def _shortfall(said: _Json) -> Shortfall:
    return Shortfall(
        code=OutcomeCode(said["code"]),
        detail=str(said["detail"]),
        engine=None if said["engine"] is None else Engine(said["engine"]),
        phase=None if said["phase"] is None else Phase(said["phase"]),
        task_id=None if said["task_id"] is None else int(said["task_id"]),
    )


_WORDS: Mapping[str, type[Phase] | type[Network]] = {"phase": Phase, "network": Network}


def _observation(said: _Json) -> Observation:
    (made,) = (kind for kind, word in OBSERVATION_TYPES.items() if word == said["type"])
    values: dict[str, Any] = {}
    for name in made._fields:
        if name not in said:
            continue  # what is not told (a LockFact's `about`) has a default; the constructor refuses anything else
        value = said[name]
        if name in _WORDS:
            value = _WORDS[name](value)
        values[name] = tuple(map(str, value)) if isinstance(value, list) else value
    return made(**values)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
