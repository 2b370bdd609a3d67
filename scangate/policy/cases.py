"""Tests of a policy, as data: what was observed of a package, and what the policy must find in it.

They stand under `tests` in the policy, or in a file of their own beside it. `case_shapes` says what they look like,
`trial` runs them.
"""

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from importlib import resources

from scangate.errors import PurlError
from scangate.models.analysis import Analysed, Engine, Phase
from scangate.models.changes import Change, ChangeKind
from scangate.models.lockfile import Dependency, Ecosystem, Kind, LockFact, Relation, Scope
from scangate.models.observations import (
    BaitSeen,
    CommandRun,
    FileTouched,
    HostContacted,
    LastPyMileHit,
    Network,
    Observation,
    SocketOpened,
)
from scangate.models.verdict import Status, Subject
from scangate.policy import document
from scangate.policy.case_shapes import LOCKFILE, OBSERVED, PACKAGE, REPLACED, TEST_FILE
from scangate.policy.document import START, Problems
from scangate.policy.model import Observe
from scangate.policy.reading import Entry, Reader, Row
from scangate.purls import parse

Classify = Callable[[str], tuple[str, Network]]
"""An address in its plain form, and the network that it belongs to, as the reader of reports has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedFinding:
    """None: it does not matter."""

    rule: str
    action: str | None = None
    allowed: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OneRule:
    """Whether the rule finds something is all that counts."""

    rule: str
    matches: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Everything:
    """All findings, and the verdict (None: it does not matter)."""

    findings: tuple[ExpectedFinding, ...]
    verdict: Status | None = None
    today: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One test. `where` is its place ("scangate.test.yml:12"); `report` a path as it was written.

    `subject` has what was observed of it; of a report, nothing yet, and with no `package` (None), no identity either.
    """

    where: str
    name: str
    subject: Subject
    expected: OneRule | Everything
    report: str | None = None
    package: str | None = None


def read(source: str | bytes, where: str, *, classify: Classify, in_policy: bool = False) -> tuple[Case, ...]:
    """The tests of a file of tests; with `in_policy`, of a policy, which may have none and is otherwise not looked at.

    Raises PolicyError with the places of what is wrong.
    """
    problems = Problems(where)
    root = document.parse(source, problems)
    if in_policy:
        entries = root.entries if isinstance(root, document.Mapping) else ()
        tests = tuple((key, value) for key, value in entries if key.text == "tests")
        if not tests:
            return ()
        root = document.Mapping(START, tests)
    entry = Reader(problems).read(root, TEST_FILE)
    problems.check()
    assert isinstance(entry, Entry)
    found = tuple(case for test in entry.entries("tests") for case in _Cases(where, problems, classify).of(test))
    problems.check()
    return found


def built_in(*, classify: Classify, rule: str | None = None) -> tuple[Case, ...]:
    """The built-in policy's own tests; with `rule`, those of that rule alone."""
    folder = resources.files("scangate.policy").joinpath("default-tests")
    files = sorted((each for each in folder.iterdir() if each.name.endswith(".yml")), key=lambda each: each.name)
    return tuple(
        case
        for file in files
        if rule is None or file.name == f"{rule}.yml"
        for case in read(file.read_bytes(), f"default-tests/{file.name}", classify=classify)
    )


@dataclass(frozen=True, slots=True)
class _Cases:
    where: str
    problems: Problems
    classify: Classify

    def of(self, test: Entry) -> Iterator[Case]:
        if "rule" in test:
            for key in ("matches", "spares"):
                for example in test.entries(key):
                    expected = OneRule(rule=test.text("rule"), matches=key == "matches")
                    seen = tuple(example.entries("all")) if "all" in example else (example,)
                    name = test.text("name") or f"{expected.rule} {key}"
                    yield self._case(example, name, seen, expected)
            return
        expected_ = Everything(
            findings=tuple(_expected(each) for each in test.entries("findings")),
            verdict=Status(test.text("verdict")) if "verdict" in test else None,
            today=test.day("today") if "today" in test else None,
        )
        yield self._case(test, test.text("name"), tuple(test.entries("observe")), expected_)

    def _case(self, entry: Entry, name: str, observed: tuple[Entry, ...], expected: OneRule | Everything) -> Case:
        seen = tuple(self._observation(each) for each in observed)
        return Case(
            where=f"{self.where}:{entry.place.line}",
            name=name,
            subject=self._subject(entry, seen),
            expected=expected,
            report=entry.text("report") or None,
            package=entry.text("package") or None,
        )

    def _subject(self, entry: Entry, seen: tuple[Observation, ...]) -> Subject:
        text = entry.text("package", PACKAGE)
        try:
            purl = parse(text)
        except PurlError as exc:
            self.problems.add(entry.leaf("package").place, exc.message.rstrip("."), exc.hint)
            purl = parse(PACKAGE)
        if purl.ecosystem is None:
            hint = f"Write pkg:TYPE/NAME@VERSION with TYPE {', '.join(Ecosystem)}."
            self.problems.add(entry.leaf("package").place, f"unknown type {purl.type!r}", hint)
            purl = parse(PACKAGE)
        assert purl.ecosystem is not None
        dependency = Dependency(
            ecosystem=purl.ecosystem,
            name=purl.package_name,
            version=purl.version,
            kind=Kind.REGISTRY,
            purl=str(purl),
            scope=Scope(entry.text("scope", Scope.PROD)),
            relation=Relation(entry.text("relation", Relation.UNKNOWN)),
            lockfile=entry.text("in", LOCKFILE),
            facts=tuple(each for each in seen if isinstance(each, LockFact)),
        )
        return Subject(
            key=str(purl),
            ecosystem=purl.ecosystem,
            name=purl.package_name,
            version=purl.version,
            purl=str(purl),
            dependencies=(dependency,),
            results=_results(seen),
            changes=_changes(entry, dependency),
            earlier=self._earlier(entry),
        )

    def _earlier(self, entry: Entry) -> tuple[Analysed, ...]:
        """What the version before showed, to every engine: what is not said was not seen."""
        if "earlier" not in entry:
            return ()
        known = {each.engine: each for each in _results(tuple(map(self._observation, entry.entries("earlier"))))}
        return tuple(known.get(engine) or Analysed(engine=engine, observations=()) for engine in Engine)

    def _observation(self, entry: Entry) -> Observation:
        phase = Phase(entry.text("phase", Phase.INSTALL))
        kind = next(observe for observe in OBSERVED if observe in entry)
        match kind:
            case Observe.HOST:
                return HostContacted(
                    phase=phase,
                    host=entry.text("host"),
                    via=entry.texts("via") or ("dns",),
                    record_types=entry.texts("record-type"),
                )
            case Observe.SOCKET:
                return self._socket(entry, phase)
            case Observe.COMMAND:
                return CommandRun(phase=phase, argv=_argv(entry))
            case Observe.FILE:
                return self._file(entry, phase)
            case Observe.BAIT:
                where = entry.text("where", "sent")
                return BaitSeen(phase=phase, bait=entry.text("bait"), where=where, encoding="raw")
            case Observe.LASTPYMILE:
                return _hit(entry)
            case _:
                return LockFact(check=entry.text("lockfile"), detail=entry.text("detail", "as the test says"))

    def _socket(self, entry: Entry, phase: Phase) -> SocketOpened:
        try:
            ipaddress.ip_address(entry.text("socket"))
        except ValueError as exc:
            self.problems.add(entry.leaf("socket").place, f"expected an IP address: {exc}", "Write an IP address.")
        address, network = self.classify(entry.text("socket"))
        names = entry.texts("hostname") or (("name.example",) if entry.flag("named", default=False) else ())
        return SocketOpened(
            phase=phase, address=address, port=entry.integer("port", 0), network=network, hostnames=names
        )

    def _file(self, entry: Entry, phase: Phase) -> FileTouched:
        read, write, delete = (entry.flag(flag, default=False) for flag in ("read", "write", "delete"))
        if not (read or write or delete):
            hint = "Add `read: true`, `write: true` or `delete: true`."
            self.problems.add(entry.place, "nothing was done to the file", hint)
        return FileTouched(phase=phase, path=entry.text("file"), read=read, write=write, delete=delete)


def _changes(entry: Entry, dependency: Dependency) -> tuple[Change, ...]:
    replaced = "replaces" in entry or "earlier" in entry
    kind = entry.text("change", ChangeKind.UPGRADED if replaced else "")
    if not kind:
        return ()
    of_version = kind in (ChangeKind.UPGRADED, ChangeKind.DOWNGRADED, ChangeKind.CHANGED)
    version = entry.text("replaces", REPLACED) if of_version else dependency.version
    before = None if kind == ChangeKind.ADDED else dependency._replace(version=version, purl=None)
    return (Change(kind=ChangeKind(kind), dependency=dependency, before=before),)


def _argv(entry: Entry) -> tuple[str, ...]:
    row, words = entry.values["command"], entry.texts("command")
    # A list starts at its bracket or dash, a single text where it stands itself.
    is_text = isinstance(row, Row) and row.items[0].place == row.place
    return ("sh", "-c", *words) if is_text else words


def _hit(entry: Entry) -> LastPyMileHit:
    return LastPyMileHit(
        release="thing-1.2.3.tar.gz",
        list=entry.text("list"),
        file=entry.text("lastpymile"),
        test_id=entry.text("test-id"),
        test_name=entry.text("test-name"),
        line=entry.integer("line", 1) if "line" in entry else None,
        added=entry.flag("added", default=False),
        text=entry.text("text"),
    )


def _results(seen: tuple[Observation, ...]) -> tuple[Analysed, ...]:
    """By engine, as reports would have them: what LastPyMile says, and all else that is not the lockfile's."""
    hits = tuple(each for each in seen if isinstance(each, LastPyMileHit))
    others = tuple(each for each in seen if not isinstance(each, LastPyMileHit | LockFact))
    engines = ((Engine.DYNAMIC_ANALYSIS, others), (Engine.LASTPYMILE, hits))
    return tuple(Analysed(engine=engine, observations=each) for engine, each in engines if each)


def _expected(entry: Entry) -> ExpectedFinding:
    return ExpectedFinding(
        rule=entry.text("rule"),
        action=entry.text("action") or None,
        allowed=entry.flag("allowed", default=False) if "allowed" in entry else None,
    )
