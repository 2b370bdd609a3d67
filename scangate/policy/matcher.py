"""Rules on observations → findings.

Every distinct condition of all rules gets a number. For each observation, indexes tell the numbers of the conditions
that hold; a rule matches where all of its numbers are among them. So the cost grows with what was observed and with
what matches, hardly with the number of rules.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from scangate.models.analysis import Analysed, Engine, Phase
from scangate.models.changes import ChangeKind
from scangate.models.lockfile import Ecosystem, Lockfile
from scangate.models.observations import Observation, PackagePresent
from scangate.models.verdict import Finding, Subject
from scangate.policy.conditions import KINDS
from scangate.policy.lens import Lens, Package
from scangate.policy.model import AllOf, Observe, Rule, Watch, normalised_name
from scangate.policy.novelty import SeenBefore, kinds_of_change, nothing_seen_before, replaced_versions, seen_before

Observations = Sequence[Observation]

_OBSERVED: Mapping[type[Observation], Observe] = {kind.type: observe for observe, kind in KINDS.items()}


class Matcher:
    """Rules, each compiled once; applied to any number of packages."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._watched: dict[Observe, list[tuple[Rule, Watch]]] = defaultdict(list)
        for rule in rules:
            if isinstance(rule.test, Watch):
                self._watched[rule.test.observe].append((rule, rule.test))
        self._lenses: dict[type[Observation], Lens] = {}
        self._correlations = tuple(rule for rule in rules if isinstance(rule.test, AllOf))
        self._scope = _Scope(rules)
        self._asks_what_is_new = any(_asks_what_is_new(rule) for rule in rules)

    def findings(self, subject: Subject) -> tuple[Finding, ...]:
        """One finding a rule and engine, with all that it matched as evidence; sorted. `allowed` is not decided here.

        Bans and lockfile facts carry no engine: they hold whatever was analysed, and where nothing was.
        """
        applies = self._scope.of(subject)
        of_package = Package(subject.ecosystem, subject.name, subject.version)
        facts: list[Observation] = [fact for entry in subject.dependencies for fact in entry.facts]
        facts.append(PackagePresent(name=subject.name, version=subject.version))
        found = self._watch(facts, None, applies, of_package)
        for result in subject.results:
            if isinstance(result, Analysed):
                known = seen_before(subject, result.engine) if self._asks_what_is_new else nothing_seen_before
                found += self._watch(result.observations, result.engine, applies, of_package, known)
        found += self._correlate(found, applies)
        return tuple(sorted(found, key=_order))

    def lockfile_findings(self, lockfile: Lockfile) -> tuple[Finding, ...]:
        """The findings on the lockfile's own facts. Rules for certain packages are not for a whole lockfile."""
        ecosystems = {entry.ecosystem for entry in lockfile.dependencies}
        applies = frozenset(
            rule.id
            for rule in self._rules
            if not rule.packages
            # Nothing is known of what the lockfile was before: all of it counts as added.
            and (not rule.changed or ChangeKind.ADDED in rule.changed)
            and (not rule.ecosystems or not ecosystems or not ecosystems.isdisjoint(rule.ecosystems))
        )
        found = self._watch(lockfile.facts, None, applies, None)
        return tuple(sorted(found + self._correlate(found, applies), key=_order))

    def _watch(
        self,
        observations: Observations,
        engine: Engine | None,
        applies: frozenset[str],
        package: Package | None,
        known: SeenBefore = nothing_seen_before,
    ) -> list[Finding]:
        by_type: dict[type[Observation], list[Observation]] = defaultdict(list)
        for observation in observations:
            by_type[type(observation)].append(observation)
        return [
            _finding(rule, evidence, engine)
            for type_, of_type in by_type.items()
            for rule, evidence in self._lens(type_).matches(of_type, applies, package, known)
            if not rule.engines or engine in rule.engines
        ]

    def _lens(self, type_: type[Observation]) -> Lens:
        """Made where there is something to look at: most runs see few of the kinds."""
        if type_ not in self._lenses:
            observe = _OBSERVED[type_]
            self._lenses[type_] = Lens(KINDS[observe], self._watched[observe])
        return self._lenses[type_]

    def _correlate(self, found: Sequence[Finding], applies: frozenset[str]) -> list[Finding]:
        """Correlations come in an order in which each stands behind those that it refers to."""
        by_rule: dict[str, list[Finding]] = defaultdict(list)
        for finding in found:
            by_rule[finding.rule].append(finding)
        correlated = []
        for rule in self._correlations:
            assert isinstance(rule.test, AllOf)
            groups = [
                [
                    finding
                    for id_ in group
                    for finding in by_rule[id_]
                    if not rule.engines or finding.engine in rule.engines
                ]
                for group in rule.test.groups
            ]
            if rule.id in applies and all(groups):
                parts = [finding for group in groups for finding in group]
                engines = {part.engine for part in parts}
                engine = engines.pop() if len(engines) == 1 else None
                finding = _finding(rule, (each for part in parts for each in part.evidence), engine)
                by_rule[rule.id].append(finding)
                correlated.append(finding)
        return correlated


def _finding(rule: Rule, evidence: Iterable[Observation], engine: Engine | None) -> Finding:
    return Finding(
        rule=rule.id,
        title=rule.title,
        severity=rule.severity,
        action=rule.decided.action,
        decided_by=rule.decided.by,
        evidence=tuple(sorted(set(evidence), key=_evidence_order)),
        where=rule.place,
        description=rule.description,
        advice=rule.advice,
        references=rule.references,
        engine=engine,
    )


def _evidence_order(observation: Observation) -> tuple[int, str, str]:
    phase = getattr(observation, "phase", None)
    return (_PHASES.index(phase) if phase in _PHASES else len(_PHASES), type(observation).__name__, repr(observation))


def _order(finding: Finding) -> tuple[str, str]:
    return finding.rule, finding.engine or ""


_PHASES = tuple(Phase)


def _asks_what_is_new(rule: Rule) -> bool:
    return isinstance(rule.test, Watch) and rule.test.new_behaviour


class _Scope:
    """Which rules are for a package at all (`ecosystems`, `packages`, `changed`, `new-behaviour`)."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._anywhere: dict[Ecosystem, set[str]] = {ecosystem: set() for ecosystem in Ecosystem}
        self._named: dict[tuple[Ecosystem, str], list[Rule]] = defaultdict(list)
        self._globbed: list[Rule] = []
        self._changes = tuple(rule for rule in rules if rule.changed or _asks_what_is_new(rule))
        for rule in rules:
            names = {(glob.ecosystem, glob.exact_name) for glob in rule.packages}
            if not rule.packages:
                for ecosystem in rule.ecosystems or Ecosystem:
                    self._anywhere[ecosystem].add(rule.id)
            elif any(name is None for _, name in names):
                self._globbed.append(rule)
            else:
                for ecosystem, name in names:
                    self._named[ecosystem, name or ""].append(rule)

    def of(self, subject: Subject) -> frozenset[str]:
        key = subject.ecosystem, normalised_name(subject.ecosystem, subject.name)
        near = (*self._named.get(key, ()), *self._globbed)
        named = (
            rule.id
            for rule in near
            if (not rule.ecosystems or subject.ecosystem in rule.ecosystems)
            and any(glob.matches(subject) for glob in rule.packages)
        )
        return frozenset(self._anywhere[subject.ecosystem]).union(named) - self._not_for_its_change(subject)

    def _not_for_its_change(self, subject: Subject) -> set[str]:
        kinds, upgraded = kinds_of_change(subject), bool(replaced_versions(subject))
        return {
            rule.id
            for rule in self._changes
            if (rule.changed and kinds.isdisjoint(rule.changed)) or (_asks_what_is_new(rule) and not upgraded)
        }
