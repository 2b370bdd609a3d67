"""scangate.yml → Policy: read by the schema, merged with the built-in policy, every reference resolved.

All that is wrong is an error with its place; nothing is ignored, and nothing unknown is accepted.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import date
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib import resources

from scangate.errors import PurlError
from scangate.models import (
    BUILT_IN,
    Action,
    DecidedBy,
    Decider,
    Ecosystem,
    Engine,
    Kind,
    Mode,
    OutcomeAction,
    OutcomeCode,
    Phase,
    Severity,
)
from scangate.policy import document, suggest
from scangate.policy.document import START, Place, Problems, Scalar
from scangate.policy.model import (
    ACTIONS,
    BLANK,
    DEFAULT,
    AllOf,
    AllowEntry,
    AtLeast,
    Condition,
    Decided,
    Observe,
    PackageGlob,
    Policy,
    Rule,
    Watch,
)
from scangate.policy.reading import Entry, Leaf, Reader
from scangate.policy.schema import POLICY
from scangate.policy.shapes import SET_REFERENCE
from scangate.purls import Purl, parse
from scangate.registries import ALL_PUBLIC_HOSTS, PrivateRegistry, Registries

_REGISTRY_SET = "registries"

Sets = Mapping[str, tuple[Scalar, ...]]


def load(source: str | bytes, where: str) -> Policy:
    """The policy in `source`; `where` is the file's path, for places.

    Raises PolicyError with up to ten problems, each with file:line:column.
    """
    base, sets = _builtin()
    return _Loader(where, base, sets).load(source)


def default() -> Policy:
    """The built-in policy: what holds where there is no scangate.yml."""
    return _builtin()[0]


@cache
def _builtin() -> tuple[Policy, Sets]:
    source = resources.files("scangate.policy").joinpath("default.yml").read_bytes()
    registries = {_REGISTRY_SET: tuple(Scalar(START, host) for host in sorted(ALL_PUBLIC_HOSTS))}
    loader = _Loader(DEFAULT, BLANK, registries)
    return loader.load(source), loader.reader.sets


class _Loader:
    """Loads one file on top of `base`, whose rules rely on `sets`."""

    def __init__(self, where: str, base: Policy, sets: Sets) -> None:
        self._where = where
        self._built_in = base is BLANK
        self._base = base
        self._taken = frozenset(sets)
        self._problems = Problems(where)
        self.reader = Reader(self._problems, dict(sets))

    def load(self, source: str | bytes) -> Policy:
        root = document.parse(source, self._problems)
        extends = _child(root, "extends")
        if isinstance(extends, Scalar) and extends.text == "none":
            self._base = BLANK
            self._taken = frozenset({_REGISTRY_SET})
        self.reader.inherited_rules = frozenset(rule.id for rule in self._base.rules)
        self._read_sets(root)
        entry = self.reader.read(root, POLICY)
        self._problems.check()
        assert isinstance(entry, Entry)
        policy = self._policy(entry)
        self._problems.check()
        return policy

    def _read_sets(self, root: document.Node) -> None:
        """Before all else: patterns and lists refer to them."""
        node = _child(root, "sets")
        for key, value in node.entries if isinstance(node, document.Mapping) else ():
            if key.text in self._taken:
                hint = "Built-in rules rely on it: give yours another name."
                self._problems.add(key.place, f"{key.text!r} is a built-in set", hint)
            elif isinstance(value, document.Sequence):
                items = tuple(item for item in value.items if isinstance(item, Scalar))
                for item in items:
                    if SET_REFERENCE.match(item.text):
                        self._problems.add(item.place, "a set within a set", "Write its values out.")
                self.reader.sets[key.text] = items

    def _policy(self, entry: Entry) -> Policy:
        base = self._base
        actions, outcomes = dict(base.actions), dict(base.outcomes)
        for key, leaf in entry.table("actions"):
            actions[Severity(key)] = Decided(Action(str(leaf.value)), self._by(leaf.place))
        for key, leaf in entry.table("outcomes"):
            outcomes[OutcomeCode(key)] = Decided(OutcomeAction(str(leaf.value)), self._by(leaf.place))
        hook = self._hook(entry, said={OutcomeCode(key) for key, _ in entry.table("outcomes")})
        rules = self._rules(entry, actions)
        mode = Mode(entry.text("mode", base.mode))
        self._check_bite(entry, rules, mode)
        return Policy(
            where=self._where,
            mode=mode,
            engines=tuple(dict.fromkeys(Engine(word) for word in entry.texts("engines"))) or base.engines,
            max_report_age=entry.integer("max-report-age", base.max_report_age),
            rules=tuple(rules.values()),
            actions=actions,
            outcomes=outcomes,
            allow=(*base.allow, *(self._allow(allowed, rules) for allowed in entry.entries("allow"))),
            registries=self._registries(entry.entry("registries")),
            upload_files=entry.flag("upload-files", base.upload_files),
            exclude=entry.texts("exclude") or base.exclude,
            hook=hook,
        )

    def _hook(self, entry: Entry, said: Collection[OutcomeCode]) -> Mapping[OutcomeCode, Decided[OutcomeAction]]:
        """What is inherited gives way to the file's own outcomes (`said`), and these to its own `hook`."""
        hook = {code: decided for code, decided in self._base.hook.items() if code not in said}
        own = entry.entry("hook")
        for key, leaf in own.table("outcomes") if own is not None else ():
            by = DecidedBy(Decider.PROFILE, self._at(leaf.place))
            hook[OutcomeCode(key)] = Decided(OutcomeAction(str(leaf.value)), by)
        return hook

    def _at(self, place: Place) -> str:
        return DEFAULT if self._built_in else f"{self._where}:{place.line}"

    def _by(self, place: Place) -> DecidedBy:
        return _decider_at(self._at(place))

    def _check_bite(self, entry: Entry, rules: Mapping[str, Rule], mode: Mode) -> None:
        """A policy that cannot deny anything would pass everything: it must say `mode: observe`."""
        if not rules:
            self._problems.add(entry.place, "an empty policy: `extends: none` and no rules", "Add `rules`.")
        elif mode is Mode.ENFORCE and all(rule.decided.action is not Action.DENY for rule in rules.values()):
            hint = "Give a rule or a severity the action `deny`, or write `mode: observe`."
            self._problems.add(entry.place, "no rule of this policy can deny anything", hint)

    # ---------------------------------------------------------------------------------------------- rules

    def _rules(self, entry: Entry, actions: Mapping[Severity, Decided[Action]]) -> Mapping[str, Rule]:
        """By id, in an order in which each correlation stands behind what it refers to."""
        rules = {rule.id: rule for rule in self._base.rules}
        first: dict[str, Place] = {}
        references: list[Leaf] = []
        for each in entry.entries("rules"):
            id_ = each.text("id")
            if id_ in first:
                hint = f"The first is in line {first[id_].line}."
                self._problems.add(each.leaf("id").place, f"rule {id_!r} stands twice", hint)
                continue
            first[id_] = each.place
            rules[id_] = self._override(rules[id_], each) if id_ in rules else self._rule(each)
            references += [leaf for group in each.groups("all-of") for leaf in group]
        for leaf in references:
            self._check_rule(leaf, rules)
        resolved = {id_: _resolved(rule, actions) for id_, rule in rules.items()}
        return self._ordered(resolved, first)

    def _override(self, rule: Rule, entry: Entry) -> Rule:
        at = self._at(entry.place)
        if "severity" in entry:
            rule = replace(rule, severity=Severity(entry.text("severity")), own_action=None, place=at)
        if "action" in entry:
            rule = replace(rule, own_action=Decided(Action(entry.text("action")), self._by(entry.place)))
        if "severity" not in entry and "action" not in entry:
            hint = "Add `severity` or `action`, or remove the entry."
            self._problems.add(entry.place, f"built-in rule {rule.id!r} stands here without a change", hint)
        return rule

    def _rule(self, entry: Entry) -> Rule:
        at = self._at(entry.place)
        severity = Severity(entry.text("severity"))
        own = Decided(Action(entry.text("action")), self._by(entry.place)) if "action" in entry else None
        test: Watch | AllOf
        if "all-of" in entry:
            test = AllOf(tuple(tuple(str(leaf.value) for leaf in group) for group in entry.groups("all-of")))
        else:
            test = _watch(entry)
            if test.observe is Observe.PACKAGE and "packages" not in entry:
                hint = "Add `packages`: without it, the rule would ban everything."
                self._problems.add(entry.place, "a rule with `observe: package` needs 'packages'", hint)
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
        )

    def _glob(self, leaf: Leaf) -> PackageGlob | None:
        try:
            return PackageGlob.read(str(leaf.value))
        except ValueError as exc:
            self._problems.add(leaf.place, str(exc), f"Write pkg:TYPE/NAME@VERSION with TYPE {', '.join(Ecosystem)}.")
            return None

    def _ordered(self, rules: Mapping[str, Rule], places: Mapping[str, Place]) -> Mapping[str, Rule]:
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

    def _check_rule(self, leaf: Leaf, rules: Mapping[str, Rule]) -> None:
        name = str(leaf.value)
        if name not in rules:
            self._problems.add(leaf.place, f"there is no rule {name!r}", suggest.hint(name, rules))

    # ---------------------------------------------------------------------------------- exceptions and hosts

    def _allow(self, entry: Entry, rules: Mapping[str, Rule]) -> AllowEntry:
        for leaf in entry.leaves("rules"):
            self._check_rule(leaf, rules)
        text = entry.text("package")
        every = text.endswith("@*")
        return AllowEntry(
            package=text,
            purl=self._purl(entry.leaf("package"), text.removesuffix("@*") if every else text, every=every),
            every_version=every,
            rules=entry.texts("rules"),
            reason=entry.text("reason"),
            expires=entry.day("expires"),
            place=self._at(entry.place),
        )

    def _purl(self, leaf: Leaf, text: str, *, every: bool) -> Purl | None:
        """The purl of an allow entry, None where it is the key of a package without one ("git:npm/name@1.0.0")."""
        hint = "Write the purl with its exact version, or with `@*`."
        if not text.startswith("pkg:"):
            kind, _, ecosystem = text.partition("/")[0].partition(":")
            if kind not in tuple(Kind) or ecosystem not in tuple(Ecosystem):
                self._problems.add(leaf.place, f"{text!r} is neither a purl nor KIND:ECOSYSTEM/NAME@VERSION", hint)
            return None
        try:
            purl = parse(text)
        except PurlError as exc:
            self._problems.add(leaf.place, exc.message, exc.hint)
            return None
        if purl.ecosystem is None:
            self._problems.add(leaf.place, f"unknown type {purl.type!r}", suggest.hint(purl.type, Ecosystem))
        elif (purl.version is None) is not every or "*" in text:
            self._problems.add(leaf.place, f"{str(leaf.value)!r} is not one package", hint)
        return purl

    def _registries(self, entry: Entry | None) -> Registries:
        if entry is None:
            return self._base.registries
        private = tuple(
            PrivateRegistry(host=each.text("host"), names=each.texts("names"), where=self._at(each.place))
            for each in entry.entries("private")
        )
        return Registries(mirrors=frozenset(entry.texts("mirrors")), private=private)


def _child(root: document.Node, name: str) -> document.Node | None:
    entries = root.entries if isinstance(root, document.Mapping) else ()
    return next((value for key, value in entries if key.text == name), None)


def _resolved(rule: Rule, actions: Mapping[Severity, Decided[Action]]) -> Rule:
    """With the action that holds, and its author: the rule itself, else `actions`, else whoever set the severity."""
    if rule.own_action is not None:
        return replace(rule, decided=rule.own_action)
    by_severity = actions[rule.severity]
    by = by_severity.by if by_severity.by.decider is not Decider.DEFAULT else _decider_at(rule.place)
    return replace(rule, decided=Decided(by_severity.action, by))


def _decider_at(place: str) -> DecidedBy:
    """Who decides by what stands at a rule's own place."""
    return BUILT_IN if place == DEFAULT else DecidedBy(Decider.POLICY, place)


def _watch(entry: Entry) -> Watch:
    match, at_least = entry.entry("match"), entry.entry("at-least")
    together = match.groups("together") if match else ()
    return Watch(
        observe=Observe(entry.text("observe")),
        phases=tuple(Phase(word) for word in entry.texts("phases")),
        match=_conditions(match) if match else (),
        unless=tuple(_conditions(each) for each in entry.entries("unless")),
        together=tuple(tuple(str(leaf.value) for leaf in group) for group in together),
        at_least=None
        if at_least is None
        else AtLeast(
            count=at_least.integer("count", 1),
            distinct=at_least.text("distinct"),
            per=at_least.text("per", "package"),
        ),
    )


def _conditions(entry: Entry) -> tuple[Condition, ...]:
    found: list[Condition] = []
    for key, value in entry.values.items():
        if key == "together":
            continue
        leaves = (value,) if isinstance(value, Leaf) else entry.leaves(key)
        values = tuple(leaf.value for leaf in leaves if not isinstance(leaf.value, date))
        found.append(Condition(key=key, values=tuple(dict.fromkeys(values))))
    return tuple(found)
