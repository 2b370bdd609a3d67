"""A policy for people to read: what holds, and who decided it. Looks like YAML; unescaped, without a wrap."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar, assert_never

from scangate.models.analysis import Analysed
from scangate.models.observations import Observation
from scangate.models.verdict import DecidedBy, Decider, Subject
from scangate.policy.model import (
    AllOf,
    AllowEntry,
    Alternatives,
    AtLeast,
    Condition,
    Decided,
    DecisionT,
    Override,
    Policy,
    Rule,
    Watch,
)

EntryT = TypeVar("EntryT")
KeyT = TypeVar("KeyT", bound=str)

_LISTED = 8
"""Values of a list that are shown; of a set of hundreds nobody reads the rest."""


def policy(shown: Policy) -> Iterator[str]:
    """The whole of it, a line each. Every rule in one line: `rule` says more."""
    yield f"# {shown.where}: what holds, and who decided it"
    yield f"mode: {shown.mode}"
    yield f"engines: {_listed(shown.engines)}"
    yield f"max-report-age: {shown.max_report_age}"
    if shown.upload_files:
        yield "upload-files: true"
    if shown.exclude:
        yield f"exclude: {_listed(shown.exclude, every=True)}"
    yield from _registries(shown)
    yield from _table("actions", shown.actions)
    yield from _table("outcomes", shown.outcomes)
    if shown.hook:
        yield "hook:"
        yield from (f"  {line}" for line in _table("outcomes", shown.hook))
    yield from _table("lints", shown.lints)
    yield f"rules: # {len(shown.rules)}"
    for each in shown.rules:
        yield f"  - {each.id}: {each.decided.action} # {each.severity}, {_by(each.decided.by)}: {each.title}"
    yield from _section("overrides", shown.overrides, _override)
    yield from _section("allow", shown.allow, _allow)


def rule(shown: Rule, of: Policy) -> Iterator[str]:
    """One rule: what it says, where it stands, what it does and who says so, and which exceptions name it."""
    yield f"id: {shown.id} # {shown.place}"
    yield f"title: {shown.title}"
    yield f"severity: {shown.severity}"
    yield f"action: {shown.decided.action} # {_by(shown.decided.by)}"
    for name, text in (("description", shown.description), ("advice", shown.advice)):
        if text:
            yield f"{name}: {text}"
    for name, values in (
        ("references", shown.references),
        ("ecosystems", shown.ecosystems),
        ("engines", shown.engines),
        ("changed", shown.changed),
    ):
        if values:
            yield f"{name}: {_listed(values, every=True)}"
    if shown.packages:
        yield f"packages: {_listed([each.text for each in shown.packages])}"
    yield from _test(shown.test)
    own = [entry for entry in of.allow if shown.id in entry.rules]
    yield from _section("allow", own, _allow)


def observations(subject: Subject) -> tuple[Observation, ...]:
    """All that is known of a package: what analyses show, and its lockfiles."""
    facts: tuple[Observation, ...] = tuple(fact for entry in subject.dependencies for fact in entry.facts)
    seen = (each for result in subject.results if isinstance(result, Analysed) for each in result.observations)
    return (*facts, *seen)


def condition(shown: Condition) -> str:
    """ "host: [a, b]"."""
    values = [_scalar(value) for value in shown.values]
    return f"{shown.key}: {values[0] if len(values) == 1 else _listed(values)}"


def at_least(shown: AtLeast) -> str:
    return f"{{count: {shown.least}, distinct: {shown.distinct}, per: {shown.per}}}"


def _test(test: Watch | AllOf) -> Iterator[str]:
    match test:
        case AllOf(groups=groups):
            yield "all-of:"
            yield from (f"  - {_listed(group, every=True)}" for group in groups)
        case Watch():
            yield f"observe: {test.observe}"
            if test.phases:
                yield f"phases: {_listed(test.phases)}"
            if test.new_behaviour:
                yield "new-behaviour: true"
            if test.match or test.together:
                yield "match:"
                yield from (f"  {condition(each)}" for each in test.match)
            if test.together:
                yield f"  together: {_listed([_listed(group) for group in test.together])}"
            if test.unless:
                yield "unless:"
                yield from (f"  - {{{', '.join(condition(each) for each in excuse)}}}" for excuse in test.unless)
            if test.at_least is not None:
                yield f"at-least: {at_least(test.at_least)}"
        case _:
            assert_never(test)


def _registries(shown: Policy) -> Iterator[str]:
    registries = shown.registries
    if not registries.mirrors and not registries.private:
        return
    yield "registries:"
    if registries.mirrors:
        yield f"  mirrors: {_listed(sorted(registries.mirrors), every=True)}"
    if registries.private:
        yield "  private:"
        for each in registries.private:
            names = f", names: {_listed(each.names, every=True)}" if each.names else ""
            yield f"    - {{host: {each.host}{names}}} # {each.where}"


def _table(name: str, decided: Mapping[KeyT, Decided[DecisionT]]) -> Iterator[str]:
    yield f"{name}:"
    yield from (f"  {key}: {each.action} # {_by(each.by)}" for key, each in decided.items())


def _section(name: str, entries: Sequence[EntryT], render: Callable[[EntryT], Iterator[str]]) -> Iterator[str]:
    if entries:
        yield f"{name}:"
        for entry in entries:
            yield from render(entry)


def _override(shown: Override) -> Iterator[str]:
    when = {
        "scope": shown.scopes,
        "relation": shown.relations,
        "ecosystem": shown.ecosystems,
        "lockfile": shown.lockfiles,
    }
    said = ", ".join(f"{key}: {_listed(values, every=True)}" for key, values in when.items() if values)
    yield f"  - when: {{{said}}} # {shown.place}"
    yield f"    cap: {shown.cap}"
    if shown.keeps:
        yield f"    except: {_listed(sorted(shown.keeps), every=True)}"
    if shown.install_phase:
        yield "    install-phase: true"


def _allow(shown: AllowEntry) -> Iterator[str]:
    yield f"  - {'lockfile' if shown.lockfile else 'package'}: {shown.target} # {shown.place}"
    yield f"    rules: {_listed(shown.rules, every=True)}"
    if shown.evidence:
        yield "    evidence:"
        yield from (f"      {observe}: {_alternatives(alternatives)}" for observe, alternatives in shown.evidence)
    yield f"    reason: {shown.reason}"
    yield f"    owner: {shown.owner}"
    yield f"    expires: {shown.expires}"


def _alternatives(alternatives: Alternatives) -> str:
    return _listed([f"{{{', '.join(condition(each) for each in conditions)}}}" for conditions in alternatives])


def _by(decided_by: DecidedBy) -> str:
    return "built in" if decided_by.decider is Decider.DEFAULT else str(decided_by)


def _scalar(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _listed(values: Iterable[object], *, every: bool = False) -> str:
    texts = [str(value) for value in values]
    more = 0 if every else len(texts) - _LISTED
    return f"[{', '.join(texts[:_LISTED] if more > 0 else texts)}{f', … ({more} more)' if more > 0 else ''}]"
