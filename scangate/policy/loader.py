"""scangate.yml → Policy: read by the schema, merged with what it extends, every reference resolved.

All that is wrong is an error with its place; nothing is ignored, and nothing unknown is accepted.
"""

import re
from collections.abc import Collection, Mapping
from functools import cache
from importlib import resources

from scangate.models.analysis import Engine, OutcomeCode
from scangate.models.verdict import Action, DecidedBy, Decider, Mode, OutcomeAction, Severity
from scangate.policy import document, sources
from scangate.policy.document import START, Place, Problems, Scalar
from scangate.policy.loosening import LooseningReader
from scangate.policy.model import BLANK, DEFAULT, Decided, Lint, Policy, decider_at
from scangate.policy.reading import Entry, Reader
from scangate.policy.rules import RuleReader, Rules
from scangate.policy.schema import EXTENDS, POLICY
from scangate.policy.shapes import SET_REFERENCE
from scangate.policy.sources import Read, Source
from scangate.registries import ALL_PUBLIC_HOSTS, PrivateRegistry, Registries

_REGISTRY_SET = "registries"

Sets = Mapping[str, tuple[Scalar, ...]]

_SETS: Sets = {_REGISTRY_SET: tuple(Scalar(START, host) for host in sorted(ALL_PUBLIC_HOSTS))}
"""What stands in no YAML."""


def load(source: str | bytes, where: str, *, read: Read | None = None, path: str | None = None) -> Policy:
    """The policy in `source`; `where` is the file as it is shown in places and outputs.

    `read` gives the files that it extends, by their paths from the repository's root: from the disk, or from a commit;
    without it there are none. `path` is the file's own path from there, where it is not `where`. Raises PolicyError
    with up to ten problems, each with file:line:column of the file in which it stands; and what `read` raises.
    """
    return _Loader(Source(path=path or where, shown=where), read).load(source)


def default() -> Policy:
    """The built-in policy: what holds where there is no scangate.yml."""
    return _builtin()[0]


@cache
def _builtin() -> tuple[Policy, Sets]:
    content = resources.files("scangate.policy").joinpath("default.yml").read_bytes()
    loader = _Loader(Source(path=DEFAULT, shown=DEFAULT), None, built_in=True)
    return loader.load(content), loader.reader.sets


class _Loader:
    """Loads one file, on top of what it extends."""

    def __init__(self, source: Source, read: Read | None, *, built_in: bool = False) -> None:
        self._source = source
        self._read = read
        self._built_in = built_in
        self._base = BLANK
        self._problems = Problems(source.shown)
        self._rule_reader = RuleReader(self._problems, self._at)
        self._loosening = LooseningReader(self._problems, self._at, self._rule_reader)
        self.reader = Reader(self._problems, dict(_SETS))

    def load(self, content: str | bytes) -> Policy:
        root = document.parse(content, self._problems)
        self._extend(_child(root, "extends"))
        self.reader.inherited_rules = frozenset(rule.id for rule in self._base.rules)
        self._read_sets(root)
        entry = self.reader.read(root, POLICY)
        self._problems.check()
        assert isinstance(entry, Entry)
        policy = self._policy(entry)
        self._problems.check()
        return policy

    def _extend(self, named: document.Node | None) -> None:
        """Before all else: what a file may say depends on what it inherits."""
        text = named.text if isinstance(named, Scalar) else ""
        if text == "none":
            return
        if isinstance(named, Scalar) and text != "default" and re.fullmatch(EXTENDS.pattern, text):
            source, content = sources.extended(self._source, named, self._read, self._problems)
            loader = _Loader(source, self._read)
            self._base, self.reader.sets = loader.load(content), dict(loader.reader.sets)
        else:  # `default`, nothing, or what the schema refuses
            base, sets = _builtin()
            self._base, self.reader.sets = base, dict(sets)

    def _read_sets(self, root: document.Node) -> None:
        """Before the rest: patterns and lists refer to them."""
        inherited = frozenset(self.reader.sets)
        node = _child(root, "sets")
        for key, value in node.entries if isinstance(node, document.Mapping) else ():
            if key.text in inherited:
                built_in = self._built_in or key.text in _builtin()[1]
                hint = f"{'Built-in' if built_in else 'Inherited'} rules rely on it: give yours another name."
                self._problems.add(
                    key.place, f"{key.text!r} is {'a built-in' if built_in else 'an inherited'} set", hint
                )
            elif isinstance(value, document.Sequence):
                items = tuple(item for item in value.items if isinstance(item, Scalar))
                for item in items:
                    if re.fullmatch(SET_REFERENCE, item.text):
                        self._problems.add(item.place, "a set within a set", "Write its values out.")
                self.reader.sets[key.text] = items

    def _policy(self, entry: Entry) -> Policy:
        base = self._base
        actions, outcomes, lints = dict(base.actions), dict(base.outcomes), dict(base.lints)
        for key, leaf in entry.table("actions"):
            actions[Severity(key)] = Decided(Action(str(leaf.value)), self._by(leaf.place))
        for key, leaf in entry.table("outcomes"):
            outcomes[OutcomeCode(key)] = Decided(OutcomeAction(str(leaf.value)), self._by(leaf.place))
        for key, leaf in entry.table("lints"):
            lints[Lint(key)] = Decided(Action(str(leaf.value)), self._by(leaf.place))
        rules = self._rule_reader.read(entry, {rule.id: rule for rule in base.rules}, actions)
        mode = Mode(entry.text("mode", base.mode))
        self._check_bite(entry, rules, mode)
        return Policy(
            where=self._source.shown,
            files=() if self._built_in else (self._source.path, *base.files),
            mode=mode,
            engines=tuple(dict.fromkeys(Engine(word) for word in entry.texts("engines"))) or base.engines,
            max_report_age=entry.integer("max-report-age", base.max_report_age),
            rules=tuple(rules.values()),
            actions=actions,
            outcomes=outcomes,
            lints=lints,
            hook=self._hook(entry, said={OutcomeCode(key) for key, _ in entry.table("outcomes")}),
            overrides=(*base.overrides, *self._loosening.overrides(entry, rules)),
            allow=(*base.allow, *self._loosening.allow(entry, rules)),
            narrowings=() if self._built_in else self._loosening.narrowings(entry, base.narrowings),
            registries=self._registries(entry.entry("registries")),
            upload_files=entry.flag("upload-files", base.upload_files),
            exclude=tuple(dict.fromkeys((*base.exclude, *entry.texts("exclude")))),
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
        return DEFAULT if self._built_in else f"{self._source.shown}:{place.line}"

    def _by(self, place: Place) -> DecidedBy:
        return decider_at(self._at(place))

    def _check_bite(self, entry: Entry, rules: Rules, mode: Mode) -> None:
        """A policy that cannot deny anything would pass everything: it must say `mode: observe`."""
        if self._source.extended_by:
            return  # it is a part of a policy
        if not rules:
            self._problems.add(entry.place, "an empty policy: `extends: none` and no rules", "Add `rules`.")
        elif mode is Mode.ENFORCE and all(rule.decided.action is not Action.DENY for rule in rules.values()):
            hint = "Give a rule or a severity the action `deny`, or write `mode: observe`."
            self._problems.add(entry.place, "no rule of this policy can deny anything", hint)

    def _registries(self, entry: Entry | None) -> Registries:
        if entry is None:
            return self._base.registries
        private = tuple(
            PrivateRegistry(host=each.text("host"), names=each.texts("names"), where=self._at(each.place))
            for each in entry.entries("private")
        )
        for each in entry.entries("private"):
            if each.text("host") in ALL_PUBLIC_HOSTS and "names" not in each:
                message = f"{each.text('host')} is a public registry: without `names`, this entry has no meaning"
                self._problems.add(each.place, message, "Add the `names` that are yours alone, e.g. ['@acme/*'].")
        inherited = self._base.registries
        mirrors = inherited.mirrors | frozenset(entry.texts("mirrors"))
        # The file's own first: the first that a name fits counts.
        return Registries(mirrors=mirrors, private=(*private, *inherited.private))


def _child(root: document.Node, name: str) -> document.Node | None:
    entries = root.entries if isinstance(root, document.Mapping) else ()
    return next((value for key, value in entries if key.text == name), None)
