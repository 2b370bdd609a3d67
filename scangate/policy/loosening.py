"""`allow` and `overrides` of a policy file: what makes a policy milder, read and checked."""

from collections.abc import Iterable, Iterator, Sequence

from scangate.errors import PurlError
from scangate.models.analysis import Engine
from scangate.models.lockfile import Ecosystem, Kind, Relation, Scope
from scangate.models.verdict import Action, Mode
from scangate.policy import suggest
from scangate.policy.document import Problems
from scangate.policy.model import BLANK, AllowEntry, Alternatives, Narrowing, Observe, Override, Watch
from scangate.policy.reading import Entry, Leaf
from scangate.policy.rules import At, RuleReader, Rules, conditions
from scangate.purls import Purl, parse

_SINGLE = frozenset({"mode", "engines", "max-report-age"})
"""What replaces what is inherited; the others add to it."""
_LISTED = 5
"""Hosts and globs that are named."""


class LooseningReader:
    def __init__(self, problems: Problems, at: At, rule_reader: RuleReader) -> None:
        self._problems = problems
        self._at = at
        self._rule_reader = rule_reader

    def overrides(self, entry: Entry, rules: Rules) -> Iterator[Override]:
        for each in entry.entries("overrides"):
            when = each.entry("when")
            assert when is not None  # it is required
            for leaf in each.leaves("except"):
                self._rule_reader.check(leaf, rules)
            yield Override(
                cap=Action(each.text("cap")),
                place=self._at(each.place),
                scopes=tuple(Scope(word) for word in when.texts("scope")),
                relations=tuple(Relation(word) for word in when.texts("relation")),
                ecosystems=tuple(Ecosystem(word) for word in when.texts("ecosystem")),
                lockfiles=when.texts("lockfile"),
                keeps=frozenset(each.texts("except")),
                install_phase=each.flag("install-phase", default=False),
            )

    def narrowings(self, entry: Entry, inherited: Iterable[Narrowing]) -> tuple[Narrowing, ...]:
        """The inherited ones, without those that the file takes back, and its own."""
        kept = (each for each in inherited if each.key not in _SINGLE or each.key not in entry)
        own = (
            Narrowing(key=key, message=message, place=self._at(entry.values[key].place))
            for key, message in _narrowed(entry)
        )
        return (*kept, *own)

    def allow(self, entry: Entry, rules: Rules) -> Iterator[AllowEntry]:
        for each in entry.entries("allow"):
            yield self._allow(each, rules)

    def _allow(self, entry: Entry, rules: Rules) -> AllowEntry:
        of_lockfile = "lockfile" in entry
        text = entry.text("lockfile" if of_lockfile else "package")
        every = not of_lockfile and text.endswith("@*")
        evidence = self._evidence(entry)
        for leaf in entry.leaves("rules"):
            self._rule_reader.check(leaf, rules)
            self._check_evidence(leaf, rules, {observe for observe, _ in evidence})
        return AllowEntry(
            target=text,
            purl=None
            if of_lockfile
            else self._purl(entry.leaf("package"), text.removesuffix("@*") if every else text, every=every),
            lockfile=of_lockfile,
            every_version=every,
            rules=tuple(dict.fromkeys(entry.texts("rules"))),
            evidence=evidence,
            reason=entry.text("reason"),
            owner=entry.text("owner"),
            expires=entry.day("expires"),
            place=self._at(entry.place),
        )

    def _evidence(self, entry: Entry) -> tuple[tuple[Observe, Alternatives], ...]:
        inner = entry.entry("evidence")
        if inner is None:
            return ()
        for kind in inner.values:
            for each in inner.entries(kind):
                self._rule_reader.check_excuse(each, Observe(kind), "For any evidence leave `evidence` out.")
        return tuple((Observe(kind), tuple(map(conditions, inner.entries(kind)))) for kind in inner.values)

    def _check_evidence(self, leaf: Leaf, rules: Rules, kinds: set[Observe]) -> None:
        """Conditions that no finding of the rule can fit would make an exception that never is one."""
        rule = rules.get(str(leaf.value))
        if kinds and rule is not None and isinstance(rule.test, Watch) and rule.test.observe not in kinds:
            observe = rule.test.observe
            hint = f"Add `{observe}` to `evidence`, or give the rule an entry of its own."
            if observe is Observe.PACKAGE:
                hint = "A ban has no evidence but the package: give the rule an entry of its own."
            message = f"`evidence` says nothing of `{observe}`, at which rule {rule.id!r} looks"
            self._problems.add(leaf.place, message, hint)

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
            self._problems.add(leaf.place, exc.message.rstrip("."), exc.hint)
            return None
        if purl.ecosystem is None:
            self._problems.add(leaf.place, f"unknown type {purl.type!r}", suggest.hint(purl.type, Ecosystem))
        elif (purl.version is None) is not every or "*" in text:
            self._problems.add(leaf.place, f"{str(leaf.value)!r} is not one package", hint)
        return purl


def _narrowed(entry: Entry) -> Iterator[tuple[str, str]]:
    """Keys of the file by which less is looked at than the built-in policy does, and what each means."""
    if entry.text("extends") == "none":
        yield "extends", "The built-in rules do not hold"
    if entry.text("mode") == Mode.OBSERVE:
        yield "mode", "The run passes, whatever the verdict is"
    unasked = [
        engine for engine in BLANK.engines if "engines" in entry and engine not in map(Engine, entry.texts("engines"))
    ]
    if unasked:
        yield "engines", f"Packages are not analysed by {_listed(unasked)}"
    days = entry.integer("max-report-age", BLANK.max_report_age)
    if days > BLANK.max_report_age:
        yield "max-report-age", f"Reports are believed for {days} days instead of {BLANK.max_report_age}"
    if globs := entry.texts("exclude"):
        yield "exclude", f"Lockfiles are left out where they fit {_listed(globs)}"
    registries = entry.entry("registries")
    if registries is not None and (mirrors := sorted(registries.texts("mirrors"))):
        yield "registries", f"Packages from {_listed(mirrors)} are taken for the public registry's"
    if registries is not None and (hosts := [each.text("host") for each in registries.entries("private")]):
        yield "registries", f"Packages from {_listed(hosts)} are private and not analysed"


def _listed(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _LISTED} more" if len(texts) > _LISTED else ""
    return ", ".join(texts[:_LISTED]) + more
