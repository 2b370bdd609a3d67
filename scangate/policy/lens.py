"""All rules on one kind of observation, compiled: which observations does each rule match?"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from scangate.models.analysis import Phase
from scangate.models.lockfile import Ecosystem
from scangate.models.observations import LastPyMileHit, Observation
from scangate.policy import patterns
from scangate.policy.conditions import Key, ObservationKind, Value
from scangate.policy.indexes import NONE, Deferred, Numbers
from scangate.policy.model import Alternatives, AtLeast, Condition, Rule, Watch
from scangate.policy.novelty import SeenBefore, nothing_seen_before
from scangate.policy.shapes import Flag, Integer, Word

_LONGEST_FILL = 1000
"""Characters of name and version for which `{name}` patterns are tried. No registry has longer ones."""

_SHARED_SECOND_LEVELS = frozenset({"ac", "co", "com", "edu", "gov", "ne", "net", "or", "org"})

Evidence = list[Observation]
Holding = Callable[[Observation], Numbers]
"""Gives the numbers of the conditions that hold."""


def parent_domain(host: str) -> str:
    """The domain that one owner is likely to have: the last two labels, three below "co.uk" and its like.

    Without the public suffix list: names under a shared suffix ("a.github.io") count as one owner's, which makes
    `per: domain` count more, never less.
    """
    labels = host.split(".")
    shared = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SHARED_SECOND_LEVELS
    return ".".join(labels[-3:] if shared else labels[-2:])


class Package:
    """The package whose observations are looked at, for `{name}` and `{version}`; keeps what was compiled for it."""

    def __init__(self, ecosystem: Ecosystem, name: str, version: str | None) -> None:
        self._ecosystem = ecosystem
        self._name = name
        self._version = version
        self._compiled: dict[tuple[str, ...], patterns.PatternSet | None] = {}

    def holds(self, templates: tuple[str, ...], texts: tuple[Value, ...]) -> bool:
        if templates not in self._compiled:
            self._compiled[templates] = self._compile(templates)
        compiled = self._compiled[templates]
        return compiled is not None and any(compiled.found_in(str(text)) for text in texts)

    def _compile(self, templates: tuple[str, ...]) -> patterns.PatternSet | None:
        name, version = self._name, self._version
        if version is None or len(name) + len(version) > _LONGEST_FILL:
            return None
        return patterns.PatternSet(patterns.filled(each, self._ecosystem, name, version) for each in templates)


class _Template(NamedTuple):
    """A condition of which some patterns hold placeholders: `number` stands for the others, where there are any."""

    key: Key[Any]
    patterns: tuple[str, ...]
    number: int | None

    def holds(self, observation: Observation, held: Numbers, package: Package | None) -> bool:
        if self.number in held:
            return True
        return package is not None and package.holds(self.patterns, self.key.of(observation))


class _Test(NamedTuple):
    """Conditions that must all hold: by number, and those that depend on the package, tried last."""

    numbers: Numbers
    templates: tuple[_Template, ...]

    def holds(self, observation: Observation, held: Numbers, package: Package | None) -> bool:
        return self.numbers <= held and all(each.holds(observation, held, package) for each in self.templates)


def _commonness(key: Key[Any]) -> int:
    match key.shape:
        case Flag():
            return 3
        case Word():
            return 2
        case Integer():
            return 4 if key.negative else 1
        case _:
            return 0


class _Conditions:
    """The numbered conditions on one kind of observation, and their indexes."""

    def __init__(self, keys: Iterable[Key[Any]]) -> None:
        self._keys = {key.name: key for key in keys}
        self._wanted: dict[str, dict[int, tuple[Value, ...]]] = defaultdict(dict)
        self._numbers: dict[tuple[str, tuple[Value, ...]], int] = {}
        self._indexes: dict[str, Deferred] = {}

    def test(self, conditions: Iterable[Condition]) -> _Test:
        numbers: set[int] = set()
        templates: list[_Template] = []
        for condition in conditions:
            open_ = tuple(str(value) for value in condition.values if patterns.has_placeholder(str(value)))
            fixed = tuple(value for value in condition.values if value not in open_)
            number = self.number(condition.key, fixed) if fixed else None
            if open_:
                templates.append(_Template(self._keys[condition.key], open_, number))
            else:
                assert number is not None  # a condition has values
                numbers.add(number)
        return _Test(frozenset(numbers), tuple(templates))

    def number(self, key: str, values: tuple[Value, ...]) -> int:
        number = self._numbers.setdefault((key, values), len(self._numbers))
        self._wanted[key][number] = values
        return number

    def rarest(self, numbers: Numbers) -> int | None:
        """The condition that is least likely to hold: the one to look a rule up by. None where there is none."""
        keys = {number: self._keys[key] for key, wanted in self._wanted.items() for number in wanted}
        return min(numbers, key=lambda number: (_commonness(keys[number]), number), default=None)

    def compile(self) -> None:
        self._indexes = {key: Deferred(self._keys[key], wanted) for key, wanted in self._wanted.items()}

    def keys_of(self, numbers: Iterable[int]) -> frozenset[str]:
        wanted = set(numbers)
        return frozenset(key for key, conditions in self._wanted.items() if not wanted.isdisjoint(conditions))

    def begin(self, only: frozenset[str] | None = None, without: frozenset[str] = frozenset()) -> Holding:
        """What holds for an observation, by some of the keys. Each value is looked up once until the next `begin`."""
        lookups = [
            (self._keys[key].of, index.lookup, dict[Any, Numbers]())
            for key, index in self._indexes.items()
            if (only is None or key in only) and key not in without
        ]

        def held(observation: Observation) -> Numbers:
            result = NONE
            for of, lookup, known in lookups:
                values = of(observation)
                numbers = known.get(values)
                if numbers is None:
                    numbers = known[values] = lookup(values)
                if numbers:
                    result |= numbers
            return result

        return held


class _Compiled:
    """A rule with its conditions by number."""

    def __init__(self, rule: Rule, watch: Watch, matching: _Conditions, excusing: _Conditions) -> None:
        self.rule = rule
        self.watch = watch
        self.phases = frozenset(watch.phases or Phase)
        self.match = matching.test(watch.match)
        self.unless = tuple(excusing.test(excuse) for excuse in watch.unless)
        self.together = tuple(matching.number("test", group) for group in watch.together)
        """The numbers of its groups, among those of `match`."""


class Lens:
    """Excuses have indexes of their own, which are asked only after a match."""

    def __init__(self, kind: ObservationKind[Any], watches: Iterable[tuple[Rule, Watch]]) -> None:
        self._kind = kind
        self._matching, self._excusing = _Conditions(kind.keys), _Conditions(kind.keys)
        self._driven: dict[int, list[_Compiled]] = defaultdict(list)
        self._undriven: list[_Compiled] = []
        for rule, watch in watches:
            compiled = _Compiled(rule, watch, self._matching, self._excusing)
            driver = self._matching.rarest(compiled.match.numbers)
            (self._undriven if driver is None else self._driven[driver]).append(compiled)
        self._matching.compile()
        self._excusing.compile()

    def matches(
        self,
        observations: Iterable[Observation],
        applies: frozenset[str],
        package: Package | None,
        seen_before: SeenBefore = nothing_seen_before,
    ) -> Iterator[tuple[Rule, Evidence]]:
        """For each rule (of those whose ids are in `applies`) that matches: what it matches.

        `seen_before`: what is no new behaviour, for the rules that ask.
        """
        drivers = self._driven.keys()
        first = self._matching.keys_of(drivers)
        driving, holding = self._matching.begin(only=first), self._matching.begin(without=first)
        excusing = self._excusing.begin()
        hits: dict[_Compiled, Evidence] = defaultdict(list)
        for observation in observations:
            held = driving(observation)
            driven = [rule for number in held & drivers for rule in self._driven[number]] if held else []
            if not driven and not self._undriven:
                continue
            held |= holding(observation)
            for each in (*self._undriven, *driven):
                if (
                    each.rule.id in applies
                    and getattr(observation, "phase", Phase.INSTALL) in each.phases
                    and each.match.holds(observation, held, package)
                    and not _excused(each, observation, excusing, package)
                    and not (each.watch.new_behaviour and seen_before(observation))
                ):
                    hits[each].append(observation)
        for each, evidence in hits.items():
            if each.together:
                evidence = _in_one_file(evidence, each.together, self._matching.begin())
            if each.watch.at_least is not None:
                evidence = self._counted(evidence, each.watch.at_least)
            if evidence:
                yield each.rule, evidence

    def _counted(self, evidence: Evidence, at_least: AtLeast) -> Evidence:
        """What stands in a group (domain, or the whole package) of enough distinct values."""
        of = next(countable.of for countable in self._kind.countables if countable.name == at_least.distinct)
        groups: dict[str, dict[str | int, Evidence]] = defaultdict(lambda: defaultdict(list))
        for observation in evidence:
            value = of(observation)
            group = parent_domain(str(value)) if at_least.per == "domain" else ""
            groups[group][value].append(observation)
        return [
            observation
            for values in groups.values()
            if len(values) >= at_least.least
            for same in values.values()
            for observation in same
        ]


class Excuse:
    """Several sets of conditions on one kind of observation; an observation fits where any of them holds."""

    def __init__(self, kind: ObservationKind[Any], alternatives: Alternatives) -> None:
        conditions = _Conditions(kind.keys)
        self._tests = tuple(conditions.test(each) for each in alternatives)
        conditions.compile()
        self._holding = conditions.begin()

    def fits(self, observation: Observation, package: Package | None) -> bool:
        held = self._holding(observation)
        return any(test.holds(observation, held, package) for test in self._tests)


def _excused(each: _Compiled, observation: Observation, excusing: Holding, package: Package | None) -> bool:
    if not each.unless:
        return False
    held = excusing(observation)
    return any(excuse.holds(observation, held, package) for excuse in each.unless)


def _in_one_file(evidence: Evidence, together: tuple[int, ...], holding: Holding) -> Evidence:
    """The hits of any group, in files in which every group is hit."""
    wanted = frozenset(together)
    files: dict[tuple[str, str], list[tuple[Observation, Numbers]]] = defaultdict(list)
    for hit in evidence:
        assert isinstance(hit, LastPyMileHit)  # `together` is a key of no other kind
        if groups := holding(hit) & wanted:
            files[hit.release, hit.file].append((hit, groups))
    return [hit for hits in files.values() if NONE.union(*(groups for _, groups in hits)) == wanted for hit, _ in hits]
