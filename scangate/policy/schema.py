"""The policy language, version 1: every key, its form and its meaning, each declared once."""

from dataclasses import replace
from typing import Any

from scangate.models import (
    Action,
    ChangeKind,
    Ecosystem,
    Engine,
    Mode,
    OutcomeAction,
    OutcomeCode,
    Phase,
    Relation,
    Scope,
    Severity,
)
from scangate.policy.case_shapes import RULE_EXAMPLE, TESTS
from scangate.policy.conditions import KINDS, Key
from scangate.policy.model import BLANK, HOOK_OUTCOMES, Lint, Observe
from scangate.policy.shapes import (
    GLOB,
    HOST_AND_PORT,
    KEBAB,
    SENTENCE,
    Day,
    Depends,
    Either,
    Field,
    Flag,
    Integer,
    Many,
    Record,
    Regex,
    Shape,
    Table,
    Tagged,
    Text,
    Variant,
    Word,
)

VERSION = 1

EXTENDS = Text(
    what="`default`, `none` or the path of a .yml file", pattern=r"default|none|[^\x00-\x1f\\]+\.ya?ml", longest=500
)

_PACKAGE_GLOB = Text(what="a purl with `*` and `?`", pattern=r"pkg:[a-z0-9.+-]+/[^\s\[\]]+", longest=500)
_PACKAGE = Text(what="a purl with a version, or `@*`", pattern=r"[a-z-]+:\S+@\S+", longest=500)
_URL = Text(what="an https URL", pattern=r"https://\S+")


def _rule(more: str, *, then: str = "") -> str:
    """An example: a policy with a rule that has the keys in `more`."""
    return f"rules:\n- {{id: our-rule, title: What we do not want, severity: high, {more}}}\n{then}"


_IDENTITY = (
    Field(
        name="id",
        shape=KEBAB,
        doc="The rule's name: kebab-case, unique.",
        required=True,
        example=_rule("observe: host, match: {suffix: evil.example}"),
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
        example=_rule("observe: bait, description: The value of a planted secret turned up."),
    ),
    Field(
        name="advice",
        shape=SENTENCE,
        doc="What to do about it.",
        example=_rule("observe: bait, advice: Ask the security team before you go on."),
    ),
    Field(
        name="references",
        shape=Many(item=_URL, single=True),
        doc="Where to read more.",
        example=_rule("observe: bait, references: https://wiki.example.com/secrets"),
    ),
    Field(
        name="ecosystems",
        shape=Many(item=Word(words=tuple(Ecosystem)), single=True),
        doc="Only for packages of these ecosystems.",
        example=_rule("observe: host, ecosystems: [npm], match: {suffix: evil.example}"),
    ),
    Field(
        name="packages",
        shape=Many(item=_PACKAGE_GLOB, single=True),
        doc="Only for these packages; without a version, all versions. With `observe: package` alone: a ban.",
        example=_rule("observe: package, packages: ['pkg:npm/left-pad', 'pkg:npm/%40evil/*@1.*']"),
    ),
    Field(
        name="changed",
        shape=Many(item=Word(words=tuple(kind for kind in ChangeKind if kind is not ChangeKind.SCOPE)), single=True),
        doc="Only for packages to which any of this happened since the base. Without a base, and for what a lockfile"
        " as a whole shows, nothing is known of what was there before: all of it counts as `added`.",
        example=_rule("observe: package, packages: 'pkg:npm/*', changed: [downgraded, integrity]"),
    ),
)

_TOGETHER = Field(
    name="together",
    shape=Many(item=Many(item=Regex(), single=True)),
    doc="Groups of patterns on tests: hits of every group in one file.",
    example=_rule("observe: lastpymile, match: {added: true, together: [[exec, eval], [b64decode, urlopen]]}"),
)


def _conditions(observe: Observe, key: str) -> Record:
    extra = (_TOGETHER,) if observe is Observe.LASTPYMILE and key == "match" else ()
    fields = (
        *(condition.field(_condition_example(observe, key, condition)) for condition in KINDS[observe].keys),
        *extra,
    )
    return Record(name=f"{key} of `observe: {observe}`", fields=fields)


def _condition_example(observe: Observe, key: str, condition: Key[Any]) -> str:
    holds = f"{condition.name}: {condition.example}"
    if key == "evidence":
        rule = _rule(f"observe: {observe}", then="allow:\n- package: pkg:npm/left-pad@1.3.0\n  rules: our-rule\n")
        return f"{rule}  evidence: {{{observe}: {{{holds}}}}}\n{_WHY}"
    return _rule(f"observe: {observe}, {key}: {{{holds}}}")


_WHY = "  reason: It is meant to.\n  owner: security@example.com\n  expires: 2099-06-30\n"


def _at_least(observe: Observe) -> Record:
    countables = KINDS[observe].countables
    per = ("package", "domain") if any(countable.domain for countable in countables) else ("package",)
    example = _rule(f"observe: {observe}, at-least: {{count: 3, distinct: {countables[0].name}, per: {per[-1]}}}")
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
            return _conditions(observe, key)
        case "unless" if kind.keys:
            return Many(item=_conditions(observe, key), single=True)
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
            example=_rule("observe: command, match: {argv0: '^curl$'}"),
        ),
        Field(
            name="phases",
            shape=_depends("phases"),
            doc="Only in these phases of the analysis.",
            example=_rule("observe: host, phases: [install, import], match: {suffix: evil.example}"),
        ),
        Field(
            name="engines",
            shape=_depends("engines"),
            doc="Only what these analyses show.",
            example=_rule("observe: host, engines: [dynamic-analysis], match: {suffix: evil.example}"),
        ),
        Field(
            name="match",
            shape=_depends("match"),
            doc="All keys must hold; a list means any of it.",
            example=_rule("observe: socket, match: {network: public, port: [25, 587]}"),
        ),
        Field(
            name="unless",
            shape=_depends("unless"),
            doc="What it holds for is excused; a list means any of them.",
            example=_rule("observe: host, unless: [{suffix: '@registries'}, {host: '^localhost$'}]"),
        ),
        Field(
            name="at-least",
            shape=_depends("at-least"),
            doc="Only if there are so many.",
            example=_rule("observe: host, at-least: {count: 6, distinct: host, per: domain}"),
        ),
        Field(
            name="new-behaviour",
            shape=_depends("new-behaviour"),
            doc="`true`: only for packages that take the place of another version, and only what that one did not"
            " show. Where what it showed is not at hand (it was never analysed, or the cache does not have it any"
            " more), all counts as new. Two versions that do the same are taken for the same: their own version in a"
            " command or path, the addresses behind a name and the lines of hits may differ.",
            example=_rule("observe: host, phases: install, new-behaviour: true"),
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
            example=_rule("all-of: [[file-tokens], [net-on-import]], engines: dynamic-analysis"),
        ),
        Field(
            name="all-of",
            shape=Many(item=Many(item=KEBAB, single=True)),
            doc="Groups of rules: a finding of any rule of each group, on one package.",
            required=True,
            example=_rule("all-of: [[file-tokens, file-cloud-creds], [net-on-import]]"),
        ),
    ),
)

INHERITED_RULE = Record(
    name="an inherited rule",
    fields=tuple(
        replace(field, required=field.name == "id", example="rules: [{id: net-ip-echo, severity: high, action: warn}]")
        for field in _IDENTITY
        if field.name in ("id", "severity", "action")
    ),
    but="The rule is built in, or of the file that `extends` names: only its `severity` and `action` can be changed."
    " For another rule take another id.",
)

_HOOK = Record(
    name="hook",
    fields=(
        Field(
            name="outcomes",
            shape=Table(key=Word(words=HOOK_OUTCOMES), value=Word(words=tuple(OutcomeAction))),
            doc="What these two outcomes do in a hook, where nobody can wait for them.",
            required=True,
            example="hook: {outcomes: {pending: note, unreachable: fail}}",
        ),
    ),
)

_REGISTRIES = Record(
    name="registries",
    fields=(
        Field(
            name="mirrors",
            shape=Many(item=HOST_AND_PORT, single=True),
            doc="Hosts that mirror the public registry.",
            example="registries: {mirrors: [npm-mirror.example.com, 'pypi-mirror.example.com:8443']}",
        ),
        Field(
            name="private",
            shape=Many(
                item=Either(
                    short="host",
                    record=Record(
                        name="a private registry",
                        fields=(
                            Field(
                                name="host",
                                shape=HOST_AND_PORT,
                                doc="Its host.",
                                required=True,
                                example="registries: {private: [{host: npm.acme.example}]}",
                            ),
                            Field(
                                name="names",
                                shape=Many(item=GLOB, single=True),
                                doc="Globs of package names that live only there.",
                                example="registries: {private: [{host: npm.acme.example, names: ['@acme/*']}]}",
                            ),
                        ),
                    ),
                ),
                single=True,
            ),
            doc="Private registries: nothing that comes from them is ever sent.",
            example="registries: {private: [npm.acme.example]}",
        ),
    ),
)

_WHEN = Record(
    name="when",
    fields=(
        Field(
            name="scope",
            shape=Many(item=Word(words=tuple(Scope)), single=True),
            doc="What it is used for.",
            example="overrides: [{when: {scope: [dev, optional]}, cap: warn}]",
        ),
        Field(
            name="relation",
            shape=Many(item=Word(words=tuple(Relation)), single=True),
            doc="How it came in. Where a lockfile does not say: `unknown`.",
            example="overrides: [{when: {relation: transitive}, cap: warn}]",
        ),
        Field(
            name="ecosystem",
            shape=Many(item=Word(words=tuple(Ecosystem)), single=True),
            doc="Of which ecosystem it is.",
            example="overrides: [{when: {ecosystem: vscode-extension}, cap: warn}]",
        ),
        Field(
            name="lockfile",
            shape=Many(item=GLOB, single=True),
            doc="Globs of the lockfile's path as outputs show it, in the form of `exclude`.",
            example="overrides: [{when: {lockfile: 'docs/**'}, cap: note}]",
        ),
    ),
)

_OVERRIDE = Record(
    name="an override",
    fields=(
        Field(
            name="when",
            shape=_WHEN,
            doc="For which packages: all keys must hold, for every place at which the package stands.",
            required=True,
            example="overrides: [{when: {scope: dev, relation: transitive}, cap: warn}]",
        ),
        Field(
            name="cap",
            shape=Word(words=(Action.WARN, Action.NOTE)),
            doc="Findings do no more than this. Of several caps the lowest counts.",
            required=True,
            example="overrides: [{when: {lockfile: 'examples/**'}, cap: note}]",
        ),
        Field(
            name="except",
            shape=Many(item=KEBAB, single=True),
            doc="Rules to which it does not apply.",
            example="overrides: [{when: {scope: dev}, cap: warn, except: [bait-secret, cmd-reverse-shell]}]",
        ),
        Field(
            name="install-phase",
            shape=Flag(),
            doc="`true`: also for what a package does while it is installed, and for what has no phase (lockfiles,"
            " LastPyMile, bans). Without it only findings of importing and calling are capped: install scripts of"
            " development dependencies run on the same machines. Reported as `override-install-phase`.",
            example="overrides: [{when: {lockfile: 'tests/fixtures/**'}, cap: note, install-phase: true}]",
        ),
    ),
)

_LINT_MEANING = ", ".join(
    (
        f"`{Lint.ALLOW_EXPIRED}` (its day has come)",
        f"`{Lint.ALLOW_UNUSED}` (it silenced nothing, and its package was wholly analysed)",
        f"`{Lint.ALLOW_BROAD}` (it is for every version)",
        f"`{Lint.ALLOW_SHADOWED}` (an earlier entry says as much)",
        f"`{Lint.OVERRIDE_INSTALL_PHASE}` (a cap for the install phase, too)",
    )
)

_EVIDENCE = Record(
    name="evidence",
    fields=tuple(
        Field(
            name=observe,
            shape=Many(item=_conditions(observe, "evidence"), single=True),
            doc=f"Conditions as those of `match` with `observe: {observe}`; a list means any of them.",
            example=_condition_example(observe, "evidence", kind.keys[0]),
        )
        for observe, kind in KINDS.items()
        if kind.keys
    ),
)

_ENTRY = """allow:
- package: pkg:npm/esbuild@0.25.1
  rules: [net-on-install]
  evidence: {host: {suffix: downloads.example.com}}
  reason: It fetches its own binary from there.
  owner: security@example.com
  expires: 2099-06-30
"""
_ENTRY_OF_LOCKFILE = """allow:
- lockfile: tools/requirements.txt
  rules: [lock-extra-index]
  evidence: {lockfile: {check: extra-index}}
  reason: Both indexes are ours.
  owner: security@example.com
  expires: 2099-06-30
"""


def _allow(target: Field, example: str) -> Record:
    return Record(
        name="an allow entry",
        fields=(
            target,
            Field(
                name="rules",
                shape=Many(item=KEBAB, single=True),
                doc="The rules that it silences.",
                required=True,
                example=example,
            ),
            Field(
                name="evidence",
                shape=_EVIDENCE,
                doc="Only findings of which every observation fits: one that is new voids the exception.",
                example=example,
            ),
            Field(name="reason", shape=SENTENCE, doc="Why.", required=True, example=example),
            Field(
                name="owner",
                shape=Text(what="a name or an address", longest=200),
                doc="Who answers for it.",
                required=True,
                example=example,
            ),
            Field(
                name="expires",
                shape=Day(),
                doc="The day on which it stops working, and is named in every output.",
                required=True,
                example=example,
            ),
        ),
    )


ALLOW = Tagged(
    name="an allow entry",
    records={
        "package": _allow(
            Field(
                name="package",
                shape=_PACKAGE,
                doc="The exact purl, or with `@*` every version of it. For a package without a purl: its key in the"
                " outputs (`git:npm/name@1.0.0`).",
                required=True,
                example=_ENTRY,
            ),
            _ENTRY,
        ),
        "lockfile": _allow(
            Field(
                name="lockfile",
                shape=Text(what="a path", longest=4096),
                doc="The path of a lockfile, as outputs show it: for what the lockfile as a whole shows, and for"
                " none of its packages.",
                required=True,
                example=_ENTRY_OF_LOCKFILE,
            ),
            _ENTRY_OF_LOCKFILE,
        ),
    },
)

POLICY = Record(
    name="the policy",
    fields=(
        Field(
            name="version",
            shape=Integer(lowest=VERSION, highest=VERSION),
            doc="The language's version.",
            required=True,
            example="mode: enforce",
        ),
        Field(
            name="extends",
            shape=EXTENDS,
            doc="`default`: the built-in rules hold too. `none`: only what stands here. Else the path of another policy"
            " of this repository, from this file's folder: all that it says holds, and what it extends in turn.",
            example="extends: none\n" + _rule("observe: bait"),
        ),
        Field(
            name="mode",
            shape=Word(words=tuple(Mode)),
            doc="`observe`: the full verdict, and exit code 0 whatever it says.",
            example="mode: observe",
        ),
        Field(
            name="engines",
            shape=Many(item=Word(words=tuple(Engine)), single=True),
            doc="Which analyses `check` asks for.",
            example="engines: [dynamic-analysis, lastpymile]",
        ),
        Field(
            name="max-report-age",
            shape=Integer(lowest=1, highest=3650),
            doc=f"Days; an older report is the outcome `stale`. By default {BLANK.max_report_age}.",
            example="max-report-age: 30",
        ),
        Field(
            name="registries",
            shape=_REGISTRIES,
            doc="Which hosts are mirrors, which are private; in addition to those of the file that this one extends.",
            example="registries: {mirrors: [npm-mirror.example.com]}",
        ),
        Field(
            name="upload-files",
            shape=Flag(),
            doc="`true`: `check` uploads the archives that a lockfile names by a path (`file:`) to the analysis"
            " service. By default they stay on this machine, and only `--local` analyses them.",
            example="upload-files: true",
        ),
        Field(
            name="exclude",
            shape=Many(item=GLOB, single=True),
            doc="Globs of lockfile paths to leave out, in addition to those of the file that this one extends.",
            example='exclude: ["docs/**", "**/fixtures"]',
        ),
        Field(
            name="actions",
            shape=Table(key=Word(words=tuple(Severity)), value=Word(words=tuple(Action))),
            doc="What findings of each severity do.",
            example="actions: {medium: deny}",
        ),
        Field(
            name="outcomes",
            shape=Table(key=Word(words=tuple(OutcomeCode)), value=Word(words=tuple(OutcomeAction))),
            doc="What it does that something was not (wholly) analysed.",
            example="outcomes: {blind: fail, stale: note}",
        ),
        Field(
            name="hook",
            shape=_HOOK,
            doc="What holds in a commit or push hook alone, outside of CI: a developer does not wait there for an"
            " analysis. An outcome that a file sets under `outcomes` holds in the hook too, unless its `hook` says"
            " otherwise.",
            example="hook: {outcomes: {pending: fail}}",
        ),
        Field(
            name="sets",
            shape=Table(key=KEBAB, value=Many(item=Text(what="a text", longest=4096))),
            doc="Named lists, used as `@name` among domains, addresses and patterns.",
            example="sets: {our-hosts: [builds.acme.example]}\n"
            + _rule("observe: host, unless: {suffix: '@our-hosts'}"),
        ),
        Field(
            name="rules",
            shape=Many(
                item=Variant(
                    records={"watch": WATCH_RULE, "correlation": CORRELATION_RULE, "inherited": INHERITED_RULE}
                )
            ),
            doc="Rules of one's own, and changes to built-in ones.",
            example=_rule("observe: command, match: {argv0: '^curl$'}", then="- {id: net-ip-echo, action: deny}\n"),
        ),
        Field(
            name="overrides",
            shape=Many(item=_OVERRIDE),
            doc="Caps on what findings do, for packages of some scope, relation, ecosystem or lockfile.",
            example="overrides: [{when: {scope: dev}, cap: warn, except: [bait-secret]}]",
        ),
        Field(
            name="allow",
            shape=Many(item=ALLOW),
            doc="Exceptions: one package or lockfile, named rules, a reason, an owner, a last day. An entry silences"
            " its findings and nothing else; it is shown with each.",
            example=_ENTRY,
        ),
        Field(
            name="lints",
            shape=Table(key=Word(words=tuple(Lint)), value=Word(words=tuple(Action))),
            doc=f"What the policy's own entries do when they are {_LINT_MEANING}. `deny` blocks the run.",
            example="lints: {allow-expired: deny, allow-unused: note}",
        ),
        Field(
            name="tests",
            shape=TESTS,
            doc="What it must find, and what not: `scangate policy test` tries it.",
            example=RULE_EXAMPLE,
        ),
    ),
)
