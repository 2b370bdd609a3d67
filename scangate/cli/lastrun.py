"""The last verdict of each project, kept beside the cache: what `explain` explains and `allow` pins.

It is the document of `--format json`, so that one which a CI kept can be read in its place.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from scangate import __version__
from scangate.cli import analysis, project
from scangate.cli.context import Context
from scangate.errors import ExitCode, StateError, UsageError
from scangate.files import Unreadable, read_bounded
from scangate.models.analysis import Engine, OutcomeCode, Phase, Shortfall
from scangate.models.changes import Change, ChangeKind, Compared
from scangate.models.lockfile import Dependency, Ecosystem, Kind, LockFact, Relation, Scope
from scangate.models.observations import Network, Observation
from scangate.models.verdict import Subject, Verdict
from scangate.output import verdict_json
from scangate.purls import npm, pypi

FOLDER = "last-run"


class Found(NamedTuple):
    """One finding of a run, as far as it matters afterwards."""

    rule: str
    action: str
    engine: Engine | None
    evidence: tuple[Observation, ...]
    is_allowed: bool


class Package(NamedTuple):
    """One package of a run. `subject` has no observations: `analysed` names the engines that gave a report."""

    subject: Subject
    status: str
    findings: tuple[Found, ...]
    analysed: tuple[Engine, ...]
    shortfalls: tuple[Shortfall, ...]


class LastRun(NamedTuple):
    """`when` and `kept_under` (the analyser, as the cache has it) are empty where a document was handed in."""

    packages: Mapping[str, Package]
    """By key."""
    policy: str
    analyser: str
    when: str = ""
    kept_under: str = ""
    passed: frozenset[str] = frozenset()
    """The keys of those that passed without a word, of which nothing else is kept."""
    compared: Compared | None = None


def save(verdict: Verdict, code: ExitCode, kept_under: str, context: Context) -> None:
    """Keep the verdict for this project. Where that cannot be done, it is said, and the run is what it was."""
    # Of what merely passed, its name: a run over a whole project may have ten thousand of those.
    told = tuple(each for each in verdict.subjects if each.findings or each.shortfalls or each.subject.changes)
    names = {each.subject.key for each in told}
    about = {
        "when": context.now().isoformat(),
        "kept_under": kept_under,
        "passed": [each.subject.key for each in verdict.subjects if each.subject.key not in names],
    }
    text = verdict_json.render(verdict._replace(subjects=told), exit_code=code, version=__version__)
    record = f"{json.dumps(about)}\n{text}".encode()
    try:
        _write(_path(context), record)
    except (OSError, StateError) as exc:
        reason = exc.message if isinstance(exc, StateError) else f"{exc.strerror or type(exc).__name__}."
        context.warn(f"this run is not kept for `scangate explain` and `allow`: {reason}")


def load(context: Context) -> LastRun | None:
    """The last run in this project; None where none was kept. Raises StateError where it cannot be used."""
    path = _path(context)
    if not os.path.lexists(path):
        return None
    hint = "Remove it, and run `scangate check`."
    try:
        record = read_bounded(path, verdict_json.MAX_BYTES, follow_link=False)
    except Unreadable as exc:
        raise StateError(f"{path} {exc.reason}.", hint) from exc
    if record.status.st_uid != os.geteuid():
        raise StateError(f"{path} belongs to another user.", hint)
    head, _, text = record.data.partition(b"\n")
    try:
        about = json.loads(head)
        passed = frozenset(map(str, about["passed"]))
        when = datetime.fromisoformat(about["when"]).strftime("%Y-%m-%d %H:%M UTC")
        return _read(json.loads(text))._replace(when=when, kept_under=str(about["kept_under"]), passed=passed)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
        raise StateError(f"{path}: it is no record of a run.", "Run `scangate check` again.") from exc


def clear(context: Context) -> None:
    """Forget the last runs of all projects. Raises StateError where that cannot be done."""
    folder = analysis.cache_dir(context) / FOLDER
    try:
        for path in folder.glob("*.json*"):
            path.unlink(missing_ok=True)
    except OSError as exc:
        raise StateError(f"{folder}: cannot be emptied: {exc.strerror}.", "Remove it by hand.") from exc


def handed_in(path: Path, context: Context) -> LastRun:
    """A verdict that another machine kept (`--format json=FILE`). Raises UsageError."""
    hint = "Name what `scangate check --format json=FILE` wrote."
    try:
        return _read(json.loads(read_bounded(context.cwd / path, verdict_json.MAX_BYTES).data))
    except Unreadable as exc:
        raise UsageError(f"{path} {exc.reason}.", hint) from exc
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
        raise UsageError(f"{path}: not a verdict.", hint) from exc


def _path(context: Context) -> Path:
    from scangate.service.cache import check_directory

    root = project.root(context).resolve()
    top = analysis.cache_dir(context)
    folder = top / FOLDER
    for directory in (top, folder):
        check_directory(directory, workspace=root)
    return folder / f"{hashlib.sha256(os.fsencode(root)).hexdigest()[:32]}.json"


def _write(path: Path, record: bytes) -> None:
    """Whole or not at all, for this user alone: it tells what is installed here. Raises StateError, OSError."""
    # Whatever hinders this one: an older one must not be taken for it.
    path.unlink(missing_ok=True)
    if len(record) > verdict_json.MAX_BYTES:
        raise StateError(f"its record is larger than {verdict_json.MAX_BYTES // 2**20} MiB.")
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(temporary, flags, 0o600), "wb") as file:
            file.write(record)
        temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


# --------------------------------------------------------------------------------------------------- documents

_Json = Mapping[str, Any]


def _read(document: _Json) -> LastRun:
    """Raises KeyError, TypeError, ValueError, AttributeError where it is no verdict."""
    packages = [_package(each) for each in document["packages"]]
    return LastRun(
        packages={each.subject.key: each for each in packages},
        policy=str(document["policy"]),
        analyser=str(document["analyser"]),
        compared=_compared(document["compared"]),
    )


def _compared(said: _Json | None) -> Compared | None:
    return None if said is None else Compared(commit=_text(said["commit"]), why=str(said["why"]))


def _package(said: _Json) -> Package:
    subject = Subject(
        key=str(said["key"]),
        ecosystem=Ecosystem(said["ecosystem"]),
        name=str(said["name"]),
        version=_text(said["version"]),
        purl=_text(said["purl"]),
        dependencies=tuple(_dependency(each) for each in said["dependencies"]),
    )
    return Package(
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


def _finding(said: _Json) -> Found:
    return Found(
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
    (made,) = (kind for kind, word in verdict_json.OBSERVATION_TYPES.items() if word == said["type"])
    values: dict[str, Any] = {}
    for name in made._fields:
        value = said[name]
        if name in _WORDS:
            value = _WORDS[name](value)
        values[name] = tuple(map(str, value)) if isinstance(value, list) else value
    return made(**values)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
