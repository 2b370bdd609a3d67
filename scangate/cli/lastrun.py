"""The last verdict of each project, kept beside the cache: what `explain` explains and `allow` pins.

It is the document of `--format json`, so that one which a CI kept can be read in its place.
"""

import contextlib
import hashlib
import json
import os
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from scangate import __version__
from scangate.cli import analysis, project
from scangate.cli.context import Context
from scangate.errors import ExitCode, StateError, UsageError
from scangate.files import Unreadable, read_bounded
from scangate.models.verdict import Verdict
from scangate.output import verdict_json, verdict_read
from scangate.output.verdict_read import ReadVerdict

FOLDER = "last-run"


class LastRun(NamedTuple):
    """`when` and `kept_under` (the analyser, as the cache has it) are empty where a document was handed in."""

    verdict: ReadVerdict
    when: str = ""
    kept_under: str = ""
    passed: frozenset[str] = frozenset()
    """The keys of those that passed without a word, of which nothing else is kept."""


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
        verdict = verdict_read.read(text)
        return LastRun(verdict=verdict, when=when, kept_under=str(about["kept_under"]), passed=passed)
    except (ValueError, TypeError, KeyError, RecursionError) as exc:
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
        return LastRun(verdict=verdict_read.read(read_bounded(context.cwd / path, verdict_json.MAX_BYTES).data))
    except Unreadable as exc:
        raise UsageError(f"{path} {exc.reason}.", hint) from exc
    except ValueError as exc:
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
