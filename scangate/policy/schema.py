"""The policy language, version 1: every key, its form and its meaning, each declared once."""

from collections.abc import Mapping

from scangate.models.analysis import Engine, OutcomeCode
from scangate.models.verdict import Action, Mode, OutcomeAction, Severity
from scangate.policy.case_shapes import RULE_EXAMPLE, TESTS
from scangate.policy.model import BLANK, HOOK_OUTCOMES, Lint
from scangate.policy.schema_loosening import ALLOW, ALLOW_EXAMPLE, LINT_MEANING, OVERRIDE
from scangate.policy.schema_rules import CORRELATION_RULE, INHERITED_RULE, WATCH_RULE, rule_example
from scangate.policy.shapes import (
    GLOB,
    HOST_AND_PORT,
    KEBAB,
    Either,
    Field,
    Flag,
    Integer,
    Many,
    Record,
    Table,
    Text,
    Variant,
    Word,
)

VERSION = 1

EXTENDS = Text(
    what="`default`, `none` or the path of a .yml file", pattern=r"default|none|[^\x00-\x1f\\]+\.ya?ml", longest=500
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


def _kind_of_rule(keys: Mapping[str, str], inherited_rules: frozenset[str]) -> str:
    if keys.get("id") in inherited_rules:
        return "inherited"
    return "correlation" if "all-of" in keys else "watch"


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
            example="extends: none\n" + rule_example("observe: bait"),
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
            + rule_example("observe: host, unless: {suffix: '@our-hosts'}"),
        ),
        Field(
            name="rules",
            shape=Many(
                item=Variant(
                    records={"watch": WATCH_RULE, "correlation": CORRELATION_RULE, "inherited": INHERITED_RULE},
                    which=_kind_of_rule,
                )
            ),
            doc="Rules of one's own, and changes to built-in ones.",
            example=rule_example(
                "observe: command, match: {argv0: '^curl$'}", then="- {id: net-ip-echo, action: deny}\n"
            ),
        ),
        Field(
            name="overrides",
            shape=Many(item=OVERRIDE),
            doc="Caps on what findings do, for packages of some scope, relation, ecosystem or lockfile.",
            example="overrides: [{when: {scope: dev}, cap: warn, except: [bait-secret]}]",
        ),
        Field(
            name="allow",
            shape=Many(item=ALLOW),
            doc="Exceptions: one package or lockfile, named rules, a reason, an owner, a last day. An entry silences"
            " its findings and nothing else; it is shown with each.",
            example=ALLOW_EXAMPLE,
        ),
        Field(
            name="lints",
            shape=Table(key=Word(words=tuple(Lint)), value=Word(words=tuple(Action))),
            doc=f"What the policy's own entries do when they are {LINT_MEANING}. `deny` blocks the run."
            " By default each warns, but `narrowed` notes.",
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
