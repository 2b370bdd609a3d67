"""The keys of `overrides`, `allow` and `lints`: each with its form and its meaning, each declared once."""

from scangate.models.lockfile import Ecosystem, Relation, Scope
from scangate.models.verdict import Action
from scangate.policy.conditions import KINDS
from scangate.policy.model import Lint
from scangate.policy.schema_rules import condition_example, conditions_of
from scangate.policy.shapes import GLOB, KEBAB, SENTENCE, Day, Field, Flag, Many, Record, Tagged, Text, Word

_PACKAGE = Text(what="a purl with a version, or `@*`", pattern=r"[a-z-]+:\S+@\S+", longest=500)

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

OVERRIDE = Record(
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

LINT_MEANING = ", ".join(
    (
        f"`{Lint.ALLOW_EXPIRED}` (its day has come)",
        f"`{Lint.ALLOW_UNUSED}` (it silenced nothing, and its package was wholly analysed)",
        f"`{Lint.ALLOW_BROAD}` (it is for every version)",
        f"`{Lint.ALLOW_SHADOWED}` (an earlier entry says as much)",
        f"`{Lint.OVERRIDE_INSTALL_PHASE}` (a cap for the install phase, too)",
        f"`{Lint.NARROWED}` (a setting by which less is looked at, or less follows: `extends: none`,"
        " `mode: observe`, `engines`, `max-report-age`, `exclude`, `registries`)",
    )
)

_EVIDENCE = Record(
    name="evidence",
    fields=tuple(
        Field(
            name=observe,
            shape=Many(item=conditions_of(observe, "evidence"), single=True),
            doc=f"Conditions as those of `match` with `observe: {observe}`; a list means any of them.",
            example=condition_example(observe, "evidence", kind.keys[0]),
        )
        for observe, kind in KINDS.items()
        if kind.keys
    ),
)

ALLOW_EXAMPLE = """allow:
- package: pkg:npm/esbuild@0.25.4
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


def _allow(topic: str, target: Field, example: str) -> Record:
    return Record(
        name="an allow entry",
        topic=topic,
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
            "an allow entry for a package",
            Field(
                name="package",
                shape=_PACKAGE,
                doc="The exact purl, or with `@*` every version of it. For a package without a purl: its key in the"
                " outputs (`git:npm/name@1.0.0`).",
                required=True,
                example=ALLOW_EXAMPLE,
            ),
            ALLOW_EXAMPLE,
        ),
        "lockfile": _allow(
            "an allow entry for a lockfile",
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
