"""The keys of rules: each with its form and its meaning, each declared once."""

from typing import Any

from scangate.models.analysis import Engine, Phase
from scangate.models.changes import ChangeKind
from scangate.models.lockfile import Ecosystem
from scangate.models.verdict import Action, Severity
from scangate.policy.conditions import KINDS, Key
from scangate.policy.model import Observe
from scangate.policy.shapes import (
    KEBAB,
    SENTENCE,
    Depends,
    Field,
    Flag,
    Integer,
    Many,
    Record,
    Regex,
    Shape,
    Text,
    Word,
)

_PACKAGE_GLOB = Text(what="a purl with `*` and `?`", pattern=r"pkg:[a-z0-9.+-]+/[^\s\[\]]+", longest=500)
_URL = Text(what="an https URL", pattern=r"https://\S+")


def rule_example(more: str, *, then: str = "") -> str:
    """An example: a policy with a rule that has the keys in `more`."""
    return f"rules:\n- {{id: our-rule, title: What we do not want, severity: high, {more}}}\n{then}"


_IDENTITY = (
    Field(
        name="id",
        shape=KEBAB,
        doc="The rule's name: kebab-case, unique.",
        required=True,
        example=rule_example("observe: host, match: {suffix: evil.example}"),
    ),
    Field(
        name="title",
        shape=Text(what="a short text", longest=120),
        doc="One line for people.",
        required=True,
        example="rules: [{id: our-rule, title: Contacts our competitor, severity: low, observe: host,"
        " match: {suffix: competitor.example}}]",
    ),
    Field(
        name="severity",
        shape=Word(words=tuple(Severity)),
        doc="How bad a match is.",
        required=True,
        example="rules: [{id: net-ip-echo, severity: high}]",
    ),
    Field(
        name="action",
        shape=Word(words=tuple(Action)),
        doc="What a match does, instead of the severity's action.",
        example="rules: [{id: net-ip-echo, action: deny}]",
    ),
    Field(
        name="description",
        shape=SENTENCE,
        doc="What it means.",
        example=rule_example("observe: bait, description: The value of a planted secret turned up."),
    ),
    Field(
        name="advice",
        shape=SENTENCE,
        doc="What to do about it.",
        example=rule_example("observe: bait, advice: Ask the security team before you go on."),
    ),
    Field(
        name="references",
        shape=Many(item=_URL, single=True),
        doc="Where to read more.",
        example=rule_example("observe: bait, references: https://wiki.example.com/secrets"),
    ),
    Field(
        name="ecosystems",
        shape=Many(item=Word(words=tuple(Ecosystem)), single=True),
        doc="Only for packages of these ecosystems.",
        example=rule_example("observe: host, ecosystems: [npm], match: {suffix: evil.example}"),
    ),
    Field(
        name="packages",
        shape=Many(item=_PACKAGE_GLOB, single=True),
        doc="Only for these packages; without a version, all versions. With `observe: package` alone: a ban.",
        example=rule_example("observe: package, packages: ['pkg:npm/left-pad', 'pkg:npm/%40evil/*@1.*']"),
    ),
    Field(
        name="changed",
        shape=Many(item=Word(words=tuple(kind for kind in ChangeKind if kind is not ChangeKind.SCOPE)), single=True),
        doc="Only for packages to which any of this happened since the base. Without a base, and for what a lockfile"
        " as a whole shows, nothing is known of what was there before: all of it counts as `added`.",
        example=rule_example("observe: package, packages: 'pkg:npm/*', changed: [downgraded, integrity]"),
    ),
)

_TOGETHER = Field(
    name="together",
    shape=Many(item=Many(item=Regex(), single=True)),
    doc="Groups of patterns on tests: hits of every group in one file.",
    example=rule_example("observe: lastpymile, match: {added: true, together: [[exec, eval], [b64decode, urlopen]]}"),
)


def conditions_of(observe: Observe, key: str) -> Record:
    """The conditions on one kind of observation, as they stand in `match`, `unless` and `evidence` (`key`)."""
    extra = (_TOGETHER,) if observe is Observe.LASTPYMILE and key == "match" else ()
    fields = (
        *(condition.field(condition_example(observe, key, condition)) for condition in KINDS[observe].keys),
        *extra,
    )
    return Record(name=f"{key} of `observe: {observe}`", fields=fields, topic=f"conditions on `observe: {observe}`")


def condition_example(observe: Observe, key: str, condition: Key[Any]) -> str:
    """A policy with that condition in `key`."""
    holds = f"{condition.name}: {condition.example}"
    if key == "evidence":
        rule = rule_example(
            f"observe: {observe}", then="allow:\n- package: pkg:npm/left-pad@1.3.0\n  rules: our-rule\n"
        )
        return f"{rule}  evidence: {{{observe}: {{{holds}}}}}\n{_WHY}"
    return rule_example(f"observe: {observe}, {key}: {{{holds}}}")


_WHY = "  reason: It is meant to.\n  owner: security@example.com\n  expires: 2099-06-30\n"


def _at_least(observe: Observe) -> Record:
    countables = KINDS[observe].countables
    per = ("package", "domain") if any(countable.domain for countable in countables) else ("package",)
    example = rule_example(
        f"observe: {observe}, at-least: {{count: 3, distinct: {countables[0].name}, per: {per[-1]}}}"
    )
    return Record(
        name=f"at-least of `observe: {observe}`",
        fields=(
            Field(
                name="count",
                shape=Integer(lowest=2, highest=1_000_000),
                doc="How many.",
                required=True,
                example=example,
            ),
            Field(
                name="distinct",
                shape=Word(words=tuple(countable.name for countable in countables)),
                doc="Distinct values of what.",
                required=True,
                example=example,
            ),
            Field(
                name="per",
                shape=Word(words=per),
                doc="Counted within each package (default) or parent domain.",
                example=example,
            ),
        ),
    )


def _shape(observe: Observe, key: str) -> Shape | None:
    kind = KINDS[observe]
    match key:
        case "match" if kind.keys:
            return conditions_of(observe, key)
        case "unless" if kind.keys:
            return Many(item=conditions_of(observe, key), single=True)
        case "at-least" if kind.countables:
            return _at_least(observe)
        case "phases" if kind.phased:
            return Many(item=Word(words=tuple(Phase)), single=True)
        case "engines" if kind.engines:
            return Many(item=Word(words=kind.engines), single=True)
        case "new-behaviour" if kind.engines:
            return Flag()
        case _:
            return None


def _depends(key: str) -> Depends:
    """A key of those kinds alone for which it has a meaning."""
    shapes = {str(observe): shape for observe in KINDS if (shape := _shape(observe, key)) is not None}
    return Depends(on="observe", words=tuple(Observe), shapes=shapes)


WATCH_RULE = Record(
    name="a rule",
    fields=(
        *_IDENTITY,
        Field(
            name="observe",
            shape=Word(words=tuple(Observe)),
            doc="What it looks at.",
            required=True,
            example=rule_example("observe: command, match: {argv0: '^curl$'}"),
        ),
        Field(
            name="phases",
            shape=_depends("phases"),
            doc="Only in these phases of the analysis.",
            example=rule_example("observe: host, phases: [install, import], match: {suffix: evil.example}"),
        ),
        Field(
            name="engines",
            shape=_depends("engines"),
            doc="Only what these analyses show.",
            example=rule_example("observe: host, engines: [dynamic-analysis], match: {suffix: evil.example}"),
        ),
        Field(
            name="match",
            shape=_depends("match"),
            doc="All keys must hold; a list means any of it.",
            example=rule_example("observe: socket, match: {network: public, port: [25, 587]}"),
        ),
        Field(
            name="unless",
            shape=_depends("unless"),
            doc="What it holds for is excused; a list means any of them.",
            example=rule_example("observe: host, unless: [{suffix: '@registries'}, {host: '^localhost$'}]"),
        ),
        Field(
            name="at-least",
            shape=_depends("at-least"),
            doc="Only if there are so many.",
            example=rule_example("observe: host, at-least: {count: 6, distinct: host, per: domain}"),
        ),
        Field(
            name="new-behaviour",
            shape=_depends("new-behaviour"),
            doc="`true`: only for packages that take the place of another version, and only what that one did not"
            " show. Where what it showed is not at hand (it was never analysed, or the cache does not have it any"
            " more), all counts as new. Two versions that do the same are taken for the same: their own version in a"
            " command or path, the addresses behind a name and the lines of hits may differ.",
            example=rule_example("observe: host, phases: install, new-behaviour: true"),
        ),
    ),
)

CORRELATION_RULE = Record(
    name="an all-of rule",
    fields=(
        *_IDENTITY,
        Field(
            name="engines",
            shape=Many(item=Word(words=tuple(Engine)), single=True),
            doc="Only findings that these analyses gave.",
            example=rule_example("all-of: [[file-tokens], [net-on-import]], engines: dynamic-analysis"),
        ),
        Field(
            name="all-of",
            shape=Many(item=Many(item=KEBAB, single=True)),
            doc="Groups of rules: a finding of any rule of each group, on one package.",
            required=True,
            example=rule_example("all-of: [[file-tokens, file-cloud-creds], [net-on-import]]"),
        ),
    ),
)

INHERITED_RULE = Record(
    name="an inherited rule",
    fields=tuple(
        field._replace(required=field.name == "id", example="rules: [{id: net-ip-echo, severity: high, action: warn}]")
        for field in _IDENTITY
        if field.name in ("id", "severity", "action")
    ),
    but="The rule is built in, or of the file that `extends` names: only its `severity` and `action` can be changed."
    " For another rule take another id.",
)
