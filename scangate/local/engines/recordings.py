"""A replay directory: recorded reports, and a script that says what else is to happen.

    reports/
      left-pad.json         a report: answers for the package that it names itself
      sub/axios-1.14.1.json
      broken.txt            anything: answers only where the script says so
      replay.json           the script (optional)

Every `*.json` file below the directory, but the script and the files that the script names, must be a report that
names its package and version, as `scangate evaluate` reads it: a DynamicAnalysisReport or a LastPyMileReport (whose
ecosystem is that of its releases' file names), with or without the service's wrapper. It answers for exactly that
version. A version that was not recorded ("0", or none) stands for no other: the script says which
purls such a report is served for.

replay.json:

    {
      "delay": 0.5,                          seconds that an analysis takes where its entry says nothing; default 0
      "recordings": [
        {
          "purl": "pkg:npm/axios@1.14.1",    required; without a version: any version that no other entry names
          "engine": "lastpymile",            default: dynamic-analysis
          "report": "sub/axios-1.14.1.json", a file below the directory, served byte by byte; default: the report
                                             found by its own package; null: completed, without a report
          "delay": 12.5,
          "status": "timeout",               the task's last status, any word; default: completed
          "error-message": "…",
          "submit-failures": [503, 429],     HTTP statuses that the first submissions are answered with
          "report-failures": [403]           HTTP statuses that the first downloads of the report are answered with
        }
      ]
    }

A purl that nothing answers for makes a task that fails, and says so.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from scangate import purls
from scangate.errors import PurlError, ReportError, UsageError
from scangate.files import Unreadable, read_bounded
from scangate.local.jobs import COMPLETED
from scangate.models.analysis import MAX_REPORT_BYTES, Engine
from scangate.reports import reader

SCRIPT_NAME = "replay.json"
MAX_DELAY_SECONDS = 24 * 3600.0

Key = tuple[Engine, str]
"""An engine and a canonical purl."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What happens for one purl and engine. `report` is None where there is none to serve."""

    report: Path | None = None
    delay: float = 0.0
    status: str = COMPLETED
    error_message: str | None = None
    submit_failures: tuple[int, ...] = ()
    report_failures: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recordings:
    """All that a replay directory answers for."""

    where: Path
    by_purl: Mapping[Key, Recording] = field(default_factory=dict)

    def find(self, engine: Engine, purl: str) -> Recording | None:
        """The recording of this very purl, else the one of any version."""
        exact = self.by_purl.get((engine, purl))
        if exact is not None:
            return exact
        return self.by_purl.get((engine, str(purls.parse(purl)._replace(version=None))))


def load(where: Path) -> Recordings:
    """Read a replay directory. Raises UsageError for the directory or its script, ReportError for a report."""
    if not where.is_dir():
        raise UsageError(f"{where} is not a directory.", "Name a directory of recorded reports.")
    root = where.resolve()
    script = _Script(root)
    found: dict[Key, Path] = {}
    for file in sorted(root.rglob("*.json")):
        if file == root / SCRIPT_NAME or file in script.files:
            continue
        key = _identify(file)
        if key in found:
            raise ReportError(f"{file}: a second report of {key[1]}, beside {found[key]}.", "Remove one of the two.")
        found[key] = file
    recordings = {key: Recording(report=file, delay=script.delay) for key, file in found.items()}
    recordings.update(script.recordings(found))
    if not recordings:
        raise UsageError(f"{where} holds no recorded report.", "Put report files (*.json) or a replay.json there.")
    return Recordings(where=root, by_purl=recordings)


def read_report(file: Path) -> bytes:
    """A recorded report's bytes. Raises ReportError where it cannot be read or is larger than 64 MiB."""
    try:
        return read_bounded(file, MAX_REPORT_BYTES).data
    except Unreadable as exc:
        raise ReportError(f"{file} {exc.reason}.", "Mend the file, or remove it.") from exc


# ---------------------------------------------------------------------------------------------- reports


def _identify(file: Path) -> Key:
    """The engine and the purl that a report itself names, as any reader of it finds them."""
    content = read_report(file)
    try:
        found = reader.identify(content)
    except ReportError as exc:
        hint = "Remove the file, or say in replay.json which purl it is served for."
        raise ReportError(f"{file}: {exc.message}", hint) from exc
    return found.engine, found.purl


# --------------------------------------------------------------------------------------------- the script


class _Script:
    """replay.json, read with care: a word that is not understood is an error, not a test that tests nothing."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._path = root / SCRIPT_NAME
        document = self._read()
        self._refuse_others(document, {"delay", "recordings"}, "the script")
        self.delay = self._seconds(document.get("delay", 0), "delay")
        self._entries = tuple(self._read_entries(document.get("recordings", [])))
        self.files = frozenset(
            entry.report for _, entry, by_own_package in self._entries if entry.report and not by_own_package
        )

    def recordings(self, found: Mapping[Key, Path]) -> dict[Key, Recording]:
        """The script's recordings; one that names no report takes the one found by its own package."""
        scripted: dict[Key, Recording] = {}
        for key, recording, by_own_package in self._entries:
            if key in scripted:
                raise self._error(f"{key[1]} ({key[0]}) stands twice", "Keep one entry for each purl and engine.")
            scripted[key] = replace(recording, report=found.get(key)) if by_own_package else recording
            if by_own_package and recording.status == COMPLETED and key not in found:
                raise self._error(
                    f"{key[1]} ({key[0]}) is to be completed, and there is no report of it",
                    'Name a file as "report", or null for none.',
                )
        return scripted

    def _read(self) -> dict[str, object]:
        if not self._path.exists():
            return {}
        try:
            document = json.loads(read_report(self._path))
        except ReportError as exc:
            raise UsageError(exc.message, exc.hint) from exc
        except json.JSONDecodeError as exc:
            raise UsageError(f"{self._path}:{exc.lineno}:{exc.colno}: {exc.msg}.", "Mend the JSON.") from exc
        except (ValueError, RecursionError) as exc:
            raise self._error("not JSON in UTF-8", "Mend the JSON.") from exc
        return self._object(document, "the script")

    def _read_entries(self, entries: object) -> Iterator[tuple[Key, Recording, bool]]:
        if not isinstance(entries, list):
            raise self._error('"recordings" is not a list', "Write a list of objects.")
        for number, entry in enumerate(entries, 1):
            yield self._entry(self._object(entry, f"recording {number}"), f"recording {number}")

    def _entry(self, entry: dict[str, object], place: str) -> tuple[Key, Recording, bool]:
        known = {"purl", "engine", "report", "delay", "status", "error-message", "submit-failures", "report-failures"}
        self._refuse_others(entry, known, place)
        recording = Recording(
            report=self._file(entry["report"], place) if entry.get("report") is not None else None,
            delay=self._seconds(entry.get("delay", self.delay), place),
            status=self._text(entry.get("status", COMPLETED), f'{place}: "status"'),
            error_message=self._text(entry["error-message"], f'{place}: "error-message"')
            if "error-message" in entry
            else None,
            submit_failures=self._statuses(entry.get("submit-failures", []), place),
            report_failures=self._statuses(entry.get("report-failures", []), place),
        )
        return self._key(entry, place), recording, "report" not in entry

    def _key(self, entry: dict[str, object], place: str) -> Key:
        try:
            purl = purls.parse(self._text(entry.get("purl"), f'{place}: "purl"'))
        except PurlError as exc:
            raise self._error(f"{place}: {exc.message}", exc.hint) from exc
        engine = entry.get("engine", Engine.DYNAMIC_ANALYSIS)
        if engine not in tuple(Engine):
            raise self._error(f'{place}: "engine" is none', f"Use one of {', '.join(Engine)}.")
        return Engine(str(engine)), str(purl)

    def _file(self, name: object, place: str) -> Path:
        file = (self._root / self._text(name, f'{place}: "report"')).resolve()
        if not file.is_relative_to(self._root):
            raise self._error(f"{place}: {file} is outside the replay directory", "Copy the file into it.")
        if not file.is_file():
            raise self._error(f"{place}: {file} is not a file", "Name a file below the replay directory.")
        return file

    def _seconds(self, value: object, place: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_DELAY_SECONDS:
            raise self._error(f'{place}: "delay" is not a number of seconds', f"Use 0 to {MAX_DELAY_SECONDS:.0f}.")
        return float(value)

    def _statuses(self, value: object, place: str) -> tuple[int, ...]:
        if isinstance(value, list) and all(type(status) is int and 400 <= status <= 599 for status in value):
            return tuple(value)
        raise self._error(f"{place}: failures are not a list of HTTP statuses", "Use numbers from 400 to 599.")

    def _text(self, value: object, what: str) -> str:
        if isinstance(value, str) and value:
            return value
        raise self._error(f"{what} is not a text", "Write it as a JSON string.")

    def _object(self, value: object, what: str) -> dict[str, object]:
        if isinstance(value, dict):
            return value
        raise self._error(f"{what} is not an object", "Write a JSON object.")

    def _refuse_others(self, mapping: Mapping[str, object], known: set[str], place: str) -> None:
        others = sorted(mapping.keys() - known)
        if others:
            raise self._error(f"{place}: unknown key {others[0]!r}", f"Known keys: {', '.join(sorted(known))}.")

    def _error(self, problem: str, hint: str) -> UsageError:
        return UsageError(f"{self._path}: {problem}.", hint)
