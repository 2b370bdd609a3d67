"""What a package does that the version before it did not: for rules with `new-behaviour`."""

import re
from collections.abc import Callable, Iterable
from typing import assert_never

from scangate.models.analysis import Engine
from scangate.models.changes import ChangeKind
from scangate.models.lockfile import LockFact
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
from scangate.models.verdict import Subject

Behaviour = tuple[object, ...]
SeenBefore = Callable[[Observation], bool]

_ADDRESS_RECORDS = frozenset({"A", "AAAA"})


def kinds_of_change(subject: Subject) -> frozenset[ChangeKind]:
    """What happened to the package. Without a base nothing is known of what was there: everything was added."""
    return frozenset(change.kind for change in subject.changes) or frozenset({ChangeKind.ADDED})


def replaced_versions(subject: Subject) -> frozenset[str | None]:
    """The versions that this one takes the place of, in any lockfile."""
    return frozenset(
        change.before.version
        for change in subject.changes
        if change.before is not None and change.before.version != change.dependency.version
    )


def nothing_seen_before(_: Observation) -> bool:
    return False


def seen_before(subject: Subject, engine: Engine | None) -> SeenBefore:
    """Whether every replaced version showed an observation, too, to the same engine.

    Where the observations of any of them are not at hand, nothing counts as seen: what is unknown may be new.
    """
    versions = replaced_versions(subject)
    reports = [report for report in subject.earlier if report.engine is engine]
    if not versions or len(reports) < len(versions):
        return nothing_seen_before
    old = _Neutral(versions)
    common = frozenset.intersection(
        *(frozenset(each for seen in report.observations for each in old.behaviour(seen)) for report in reports)
    )
    new = _Neutral([subject.version])
    return lambda observation: new.behaviour(observation) <= common


class _Neutral:
    """Observations as behaviour, which is the same in two versions that do the same: without the version's own text,
    without what differs from run to run (the addresses behind a name, the line of a hit)."""

    def __init__(self, versions: Iterable[str | None]) -> None:
        # The longest first: 1.0.0-rc.1 is not 1.0.0 with something behind it.
        known = sorted({version for version in versions if version}, key=lambda text: (-len(text), text))
        words = "|".join(re.escape(version) for version in known)
        self._version = re.compile(rf"(?<![0-9A-Za-z.])(v?)(?:{words})(?![0-9A-Za-z])") if known else None

    def behaviour(self, observation: Observation) -> frozenset[Behaviour]:
        match observation:
            case HostContacted(phase=phase, host=host, record_types=types):
                special = ((phase, host, word) for word in types if word.upper() not in _ADDRESS_RECORDS)
                found: Iterable[Behaviour] = ((phase, host), *special)
            case SocketOpened(phase=phase, address=address, port=port, hostnames=names):
                found = ((phase, port, tuple(sorted(names)) or address),)
            case CommandRun(phase=phase, argv=argv):
                found = ((phase, *(self._text(argument) for argument in argv)),)
            case FileTouched(phase=phase, path=path):
                found = self._file(observation, self._text(path))
            case BaitSeen(phase=phase, bait=bait, where=where, encoding=encoding):
                found = ((phase, bait, where, encoding),)
            case LastPyMileHit(list=list_, file=file, test_id=test_id, test_name=test_name, added=added):
                found = ((list_, self._text(file), test_id, test_name, added),)
            case LockFact() | PackagePresent():  # what no rule on behaviour looks at
                found = ((observation,),)
            case _:
                assert_never(observation)
        return frozenset((type(observation), *each) for each in found)

    def _file(self, touched: FileTouched, path: str) -> Iterable[Behaviour]:
        flags = {"read": touched.read, "write": touched.write, "delete": touched.delete}
        return [(touched.phase, path), *((touched.phase, path, flag) for flag, done in flags.items() if done)]

    def _text(self, text: str) -> str:
        return text if self._version is None else self._version.sub(r"\1{version}", text)
