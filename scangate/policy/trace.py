"""Why a rule matches a package, or why not: the matcher's question again, slowly, one observation at a time.

Nothing is decided by it. A test holds it to the matcher: both find the same evidence for every rule.
"""

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, assert_never

from scangate.models.analysis import Analysed, Engine, Phase
from scangate.models.observations import LastPyMileHit, Observation, PackagePresent
from scangate.models.verdict import Subject
from scangate.policy import patterns, show
from scangate.policy.conditions import KINDS, Key, ObservationKind, Value, tests_of
from scangate.policy.lens import Package, parent_domain
from scangate.policy.model import AllOf, AtLeast, Condition, Rule, Watch
from scangate.policy.novelty import SeenBefore, kinds_of_change, nothing_seen_before, replaced_versions, seen_before
from scangate.policy.shapes import HOST, Address, Flag, Integer, Regex, Text, Word


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One observation of the kind that a rule looks at.

    `why`: the first thing that kept it from matching; `failed`: the key of the rule that this is about ("unless").
    """

    observation: Observation
    engine: Engine | None
    failed: str = ""
    why: str = ""

    @property
    def matches(self) -> bool:
        return not self.failed

    @property
    def is_near(self) -> bool:
        """All conditions hold, and something else kept it from matching."""
        return self.failed in _AFTER_MATCH


_AFTER_MATCH = frozenset({"unless", "new-behaviour", "together", "at-least"})

Failure = tuple[str, str]
"""`failed` and `why` of a look."""
_NONE: Failure = ("", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One rule on one package. `why` says what decided it, in a few words ("not for npm packages").

    `looks` are the observations that it looked at, in their order; none of a rule that is not for the package, and of
    a correlation.
    """

    rule: Rule
    matches: bool
    why: str
    looks: tuple[Look, ...] = ()

    @property
    def evidence(self) -> Iterator[Observation]:
        return (look.observation for look in self.looks if look.matches)


def trace(rules: Sequence[Rule], subject: Subject) -> tuple[Trace, ...]:
    """Every rule on the package. `rules` as a policy has them: correlations behind what they refer to."""
    tracer = _Tracer(subject)
    found: dict[str, Trace] = {}
    for rule in rules:
        found[rule.id] = tracer.rule(rule, found)
    return tuple(found.values())


Seen = tuple[Observation, Engine | None]


class _Tracer:
    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._package = Package(subject.ecosystem, subject.name, subject.version)
        facts: list[Observation] = [fact for entry in subject.dependencies for fact in entry.facts]
        facts.append(PackagePresent(name=subject.name, version=subject.version))
        self._seen: list[Seen] = [(fact, None) for fact in facts]
        self._known: dict[Engine | None, SeenBefore] = {}
        self._engines_of: dict[str, set[Engine | None]] = {}
        """By rule: the engines of its findings."""
        for result in subject.results:
            if isinstance(result, Analysed):
                self._seen += [(observation, result.engine) for observation in result.observations]

    def rule(self, rule: Rule, found: Mapping[str, Trace]) -> Trace:
        why = _not_for(rule, self._subject)
        if why:
            return Trace(rule=rule, matches=False, why=why)
        match rule.test:
            case AllOf():
                return self._correlation(rule, rule.test, found)
            case Watch():
                return self._watch(rule, rule.test)
            case _:
                assert_never(rule.test)

    def _correlation(self, rule: Rule, test: AllOf, found: Mapping[str, Trace]) -> Trace:
        engines: set[Engine | None] = set()
        for group in test.groups:
            hits = {
                (id_, engine)
                for id_ in group
                if id_ in found and found[id_].matches
                for engine in self._engines_of[id_]
                if not rule.engines or engine in rule.engines
            }
            if not hits:
                return Trace(rule=rule, matches=False, why=f"no finding of {' or '.join(group)}")
            engines |= {engine for _, engine in hits}
        self._engines_of[rule.id] = {engines.pop() if len(engines) == 1 else None}
        parts = sorted({id_ for group in test.groups for id_ in group if id_ in found and found[id_].matches})
        return Trace(rule=rule, matches=True, why=f"findings of {', '.join(parts)}")

    def _watch(self, rule: Rule, watch: Watch) -> Trace:
        kind = KINDS[watch.observe]
        mine = [(seen, engine) for seen, engine in self._seen if isinstance(seen, kind.type)]
        looks: list[Look] = []
        for engine in dict.fromkeys(engine for _, engine in mine):
            of_engine = [seen for seen, own in mine if own is engine]
            if rule.engines and engine not in rule.engines:
                why = f"engines is {_words(rule.engines)}, this is {engine or 'no analysis'}"
                looks += [Look(observation=seen, engine=engine, failed="engines", why=why) for seen in of_engine]
            else:
                looks += self._looks(kind, watch, of_engine, engine)
        matching = [look for look in looks if look.matches]
        self._engines_of[rule.id] = {look.engine for look in matching}
        return Trace(rule=rule, matches=bool(matching), why=_summary(watch, looks), looks=tuple(looks))

    def _looks(
        self, kind: ObservationKind[Any], watch: Watch, observations: Sequence[Observation], engine: Engine | None
    ) -> Iterator[Look]:
        """Observation by observation, then what they must be together: in one file, so many."""
        failures = [self._failure(kind, watch, each, engine) for each in observations]
        if watch.together:
            failures = _together(watch, observations, failures)
        if watch.at_least is not None:
            failures = _counted(kind, watch.at_least, observations, failures)
        for observation, (failed, why) in zip(observations, failures, strict=True):
            yield Look(observation=observation, engine=engine, failed=failed, why=why)

    def _failure(
        self, kind: ObservationKind[Any], watch: Watch, observation: Observation, engine: Engine | None
    ) -> Failure:
        """The first thing that keeps an observation from matching; empty where nothing does."""
        phase = getattr(observation, "phase", Phase.INSTALL)
        if watch.phases and phase not in watch.phases:
            return "phases", f"phases is {_words(watch.phases)}, this is {phase}"
        for condition in watch.match:
            if not self._holds(kind, condition, observation):
                return condition.key, f"not {show.condition(condition)}"
        for number, excuse in enumerate(watch.unless, 1):
            if all(self._holds(kind, condition, observation) for condition in excuse):
                said = ", ".join(show.condition(condition) for condition in excuse)
                which = f" {number}" if len(watch.unless) > 1 else ""
                return "unless", f"excused by unless{which}: {said}"
        if watch.new_behaviour and self._known_before(engine)(observation):
            return "new-behaviour", "no new behaviour: the version before did it, too"
        return _NONE

    def _known_before(self, engine: Engine | None) -> SeenBefore:
        if engine is None:
            return nothing_seen_before
        if engine not in self._known:
            self._known[engine] = seen_before(self._subject, engine)
        return self._known[engine]

    def _holds(self, kind: ObservationKind[Any], condition: Condition, observation: Observation) -> bool:
        key = next(key for key in kind.keys if key.name == condition.key)
        found = key.of(observation)
        if isinstance(key.shape, Regex):
            return any(self._is_found(condition.values, str(actual)) for actual in found)
        fits = any(_fits(key, value, actual) for value in condition.values for actual in found)
        return fits is not key.negative

    def _is_found(self, values: tuple[Value, ...], text: str) -> bool:
        if _compiled(values).found_in(text):
            return True
        open_ = tuple(str(value) for value in values if patterns.has_placeholder(str(value)))
        return bool(open_) and self._package.holds(open_, (text,))


@lru_cache(maxsize=1024)
def _compiled(values: tuple[Value, ...]) -> patterns.PatternSet:
    """Those without a placeholder."""
    return patterns.PatternSet(
        patterns.encoded(str(value)) for value in values if not patterns.has_placeholder(str(value))
    )


def _fits(key: Key[Any], value: Value, actual: Value) -> bool:
    match key.shape:
        case Address():
            return _in_network(str(actual), str(value))
        case Text() if key.shape is HOST:
            return actual == value or str(actual).endswith(f".{value}")
        case Text() | Word() | Integer() | Flag() | Regex():
            return actual == value
        case _:
            assert_never(key.shape)


def _not_for(rule: Rule, subject: Subject) -> str:
    """Why the rule is not for the package at all; empty where it is."""
    if rule.ecosystems and subject.ecosystem not in rule.ecosystems:
        return f"not for {subject.ecosystem} packages"
    if rule.packages and not any(glob.matches(subject) for glob in rule.packages):
        return "not for this package"
    kinds = kinds_of_change(subject)
    if rule.changed and kinds.isdisjoint(rule.changed):
        return f"changed is {_words(rule.changed)}, this is {_words(sorted(kinds))}"
    if isinstance(rule.test, Watch) and rule.test.new_behaviour and not replaced_versions(subject):
        return "only for a package that replaces another version"
    return ""


def _together(watch: Watch, observations: Sequence[Observation], failures: Sequence[Failure]) -> list[Failure]:
    """Every group of patterns must be hit in the same file; what hits no group is no evidence."""
    groups = [_compiled(group) for group in watch.together]
    hit: dict[tuple[str, str], set[int]] = defaultdict(set)
    own: list[set[int]] = []
    for observation, failure in zip(observations, failures, strict=True):
        assert isinstance(observation, LastPyMileHit)
        texts = () if failure != _NONE else tests_of(observation)
        mine = {number for number, group in enumerate(groups) if any(group.found_in(text) for text in texts)}
        own.append(mine)
        hit[observation.release, observation.file] |= mine
    found = []
    for observation, failure, mine in zip(observations, failures, own, strict=True):
        assert isinstance(observation, LastPyMileHit)
        missing = sorted(set(range(len(groups))) - hit[observation.release, observation.file])
        if failure == _NONE and not mine:
            failure = "test", "hits no group of together"
        elif failure == _NONE and missing:
            failure = "together", f"together: group {missing[0] + 1} is not hit in this file"
        found.append(failure)
    return found


def _counted(
    kind: ObservationKind[Any], at_least: AtLeast, observations: Sequence[Observation], failures: Sequence[Failure]
) -> list[Failure]:
    of = next(countable.of for countable in kind.countables if countable.name == at_least.distinct)

    def group(observation: Observation) -> str:
        return parent_domain(str(of(observation))) if at_least.per == "domain" else ""

    distinct: dict[str, set[str | int]] = defaultdict(set)
    for observation, failure in zip(observations, failures, strict=True):
        if failure == _NONE:
            distinct[group(observation)].add(of(observation))
    found = []
    for observation, failure in zip(observations, failures, strict=True):
        if failure == _NONE and (count := len(distinct[group(observation)])) < at_least.least:
            where = f" of {group(observation)}" if at_least.per == "domain" else ""
            failure = "at-least", f"at-least: {count} of {at_least.least} distinct {at_least.distinct}{where}"
        found.append(failure)
    return found


def _in_network(text: str, network: str) -> bool:
    try:
        address = ipaddress.ip_address(text.partition("%")[0].strip("[]"))
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address in ipaddress.ip_network(network)


def _summary(watch: Watch, looks: Sequence[Look]) -> str:
    matching = sum(1 for look in looks if look.matches)
    if matching:
        return f"matches {matching} of {len(looks)} {watch.observe} observations"
    if not looks:
        return f"no {watch.observe} observation"
    # An excuse, or a count that was not reached, says more than the first condition that something failed.
    reasons = list(dict.fromkeys(look.why for look in sorted(looks, key=lambda look: not look.is_near)))
    near = reasons[0]
    more = f", and {len(reasons) - 1} more reasons" if len(reasons) > 1 else ""
    return f"none of {len(looks)} {watch.observe} observations: {near}{more}"


def _words(words: Iterable[object]) -> str:
    return ", ".join(str(word) for word in words)
