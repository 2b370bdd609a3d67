"""`rules` of a policy file → Rule: those of its own, and changes to inherited ones, every reference resolved."""

from collections.abc import Callable, Mapping
from datetime import date
from graphlib import CycleError, TopologicalSorter

from scangate.models.analysis import Engine, Phase
from scangate.models.changes import ChangeKind
from scangate.models.lockfile import Ecosystem
from scangate.models.verdict import Action, Decider, Severity
from scangate.policy import patterns, suggest
from scangate.policy.conditions import KINDS
from scangate.policy.document import Place, Problems
from scangate.policy.model import (
    ACTIONS,
    AllOf,
    AtLeast,
    Condition,
    Decided,
    Observe,
    PackageGlob,
    Rule,
    Watch,
    decider_at,
)
from scangate.policy.reading import Entry, Leaf
from scangate.policy.shapes import Regex

At = Callable[[Place], str]
"""A place as it is shown: "scangate.yml:12"."""

Rules = Mapping[str, Rule]
"""By id."""


class RuleReader:
    """Reads the rules of one file, on top of those that it inherits."""

    def __init__(self, problems: Problems, at: At) -> None:
        self._problems = problems
        self._at = at

    def read(self, entry: Entry, inherited: Rules, actions: Mapping[Severity, Decided[Action]]) -> Rules:
        """All rules, in an order in which each correlation stands behind what it refers to."""
        rules = dict(inherited)
        own = {key for key, _ in entry.table("actions")}
        first: dict[str, Place] = {}
        references: list[Leaf] = []
        for each in entry.entries("rules"):
            id_ = each.text("id")
            if id_ in first:
                hint = f"The first is in line {first[id_].line}."
                self._problems.add(each.leaf("id").place, f"rule {id_!r} stands twice", hint)
                continue
            first[id_] = each.place
            rules[id_] = self._changed(rules[id_], each) if id_ in rules else self._rule(each)
            references += [leaf for group in each.groups("all-of") for leaf in group]
        for leaf in references:
            self.check(leaf, rules)
        resolved = {
            # What is inherited and not touched here keeps its action, and whoever gave it.
            id_: rule
            if id_ in inherited and id_ not in first and rule.severity not in own
            else _resolved(rule, actions, here=id_ not in inherited or rule.severity in own)
            for id_, rule in rules.items()
        }
        return self._ordered(resolved, first)

    def check(self, leaf: Leaf, rules: Rules) -> None:
        """Add a problem where no rule has this id."""
        name = str(leaf.value)
        if name not in rules:
            self._problems.add(leaf.place, *suggest.no_rule(name, rules))

    def check_excuse(self, excuse: Entry, observe: Observe, result: str) -> None:
        """Add a problem where a pattern alone excuses all there is; beside other conditions it only has no effect."""
        shapes = {key.name: key.shape for key in KINDS[observe].keys}
        for key in excuse.values if len(excuse.values) == 1 else ():
            for leaf in excuse.leaves(key) if isinstance(shapes[key], Regex) else ():
                if patterns.fits_everything(str(leaf.value)):
                    hint = "Write what is harmless, from `^` to `$` where you can."
                    self._problems.add(
                        leaf.place, f"{str(leaf.value)!r} excuses everything. {result}".rstrip("."), hint
                    )

    def _changed(self, rule: Rule, entry: Entry) -> Rule:
        at = self._at(entry.place)
        if "severity" in entry:
            rule = rule._replace(severity=Severity(entry.text("severity")), own_action=None, place=at)
        if "action" in entry:
            rule = rule._replace(own_action=Decided(Action(entry.text("action")), decider_at(at)))
        if "severity" not in entry and "action" not in entry:
            hint = "Add `severity` or `action`, or remove the entry."
            self._problems.add(entry.place, f"inherited rule {rule.id!r} stands here without a change", hint)
        return rule

    def _rule(self, entry: Entry) -> Rule:
        at = self._at(entry.place)
        severity = Severity(entry.text("severity"))
        own = Decided(Action(entry.text("action")), decider_at(at)) if "action" in entry else None
        test: Watch | AllOf
        if "all-of" in entry:
            test = AllOf(tuple(tuple(str(leaf.value) for leaf in group) for group in entry.groups("all-of")))
        else:
            test = _watch(entry)
            if test.observe is Observe.PACKAGE and "packages" not in entry:
                hint = "Add `packages`: without it, the rule would ban everything."
                self._problems.add(entry.place, "a rule with `observe: package` needs 'packages'", hint)
            for excuse in entry.entries("unless"):
                self.check_excuse(excuse, test.observe, "The rule would never match.")
        return Rule(
            id=entry.text("id"),
            title=entry.text("title"),
            severity=severity,
            own_action=own,
            decided=own or Decided(ACTIONS[severity]),
            test=test,
            place=at,
            description=entry.text("description"),
            advice=entry.text("advice"),
            references=entry.texts("references"),
            ecosystems=tuple(Ecosystem(word) for word in entry.texts("ecosystems")),
            packages=tuple(filter(None, (self._glob(leaf) for leaf in entry.leaves("packages")))),
            engines=tuple(Engine(word) for word in entry.texts("engines")),
            changed=tuple(ChangeKind(word) for word in entry.texts("changed")),
        )

    def _glob(self, leaf: Leaf) -> PackageGlob | None:
        try:
            return PackageGlob.read(str(leaf.value))
        except ValueError as exc:
            self._problems.add(leaf.place, str(exc), f"Write pkg:TYPE/NAME@VERSION with TYPE {', '.join(Ecosystem)}.")
            return None

    def _ordered(self, rules: Rules, places: Mapping[str, Place]) -> Rules:
        graph = {
            id_: {name for group in rule.test.groups for name in group if name in rules}
            for id_, rule in rules.items()
            if isinstance(rule.test, AllOf)
        }
        watches = {id_: rule for id_, rule in rules.items() if id_ not in graph}
        try:
            order = tuple(TopologicalSorter(graph).static_order())
        except CycleError as exc:
            circle: list[str] = exc.args[1]
            place = max(places[name] for name in circle if name in places)
            self._problems.add(place, f"rules refer to each other: {' → '.join(circle)}", "Break the circle.")
            return rules
        return watches | {id_: rules[id_] for id_ in order if id_ in graph}


def _resolved(rule: Rule, actions: Mapping[Severity, Decided[Action]], *, here: bool) -> Rule:
    """With the action that holds, and its author: the rule itself, else `actions`, else whoever set the severity.

    `here`: the rule or its severity's action is of this file. Else a rule of another file got a severity whose action
    a third one may have set: what changed is the severity.
    """
    if rule.own_action is not None:
        return rule._replace(decided=rule.own_action)
    by_severity = actions[rule.severity]
    by = by_severity.by if here and by_severity.by.decider is not Decider.DEFAULT else decider_at(rule.place)
    return rule._replace(decided=Decided(by_severity.action, by))


def _watch(entry: Entry) -> Watch:
    match, at_least = entry.entry("match"), entry.entry("at-least")
    together = match.groups("together") if match else ()
    return Watch(
        observe=Observe(entry.text("observe")),
        phases=tuple(Phase(word) for word in entry.texts("phases")),
        match=conditions(match) if match else (),
        unless=tuple(conditions(each) for each in entry.entries("unless")),
        together=tuple(tuple(str(leaf.value) for leaf in group) for group in together),
        at_least=None
        if at_least is None
        else AtLeast(
            least=at_least.integer("count", 1),
            distinct=at_least.text("distinct"),
            per=at_least.text("per", "package"),
        ),
        new_behaviour=entry.flag("new-behaviour", default=False),
    )


def conditions(entry: Entry) -> tuple[Condition, ...]:
    """What stands in a `match`, an `unless` or an `evidence`."""
    found: list[Condition] = []
    for key, value in entry.values.items():
        if key == "together":
            continue
        leaves = (value,) if isinstance(value, Leaf) else entry.leaves(key)
        values = tuple(leaf.value for leaf in leaves if not isinstance(leaf.value, date))
        found.append(Condition(key=key, values=tuple(dict.fromkeys(values))))
    return tuple(found)
