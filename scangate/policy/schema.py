"""The policy language, version 1: every key, its form and its meaning, each declared once."""

from scangate.models import Action, Ecosystem, Engine, Mode, OutcomeAction, OutcomeCode, Phase, Severity
from scangate.policy.cases import TESTS
from scangate.policy.conditions import KINDS
from scangate.policy.model import BLANK, HOOK_OUTCOMES, Observe
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
    Text,
    Variant,
    Word,
)

VERSION = 1

_PACKAGE_GLOB = Text(what="a purl with `*` and `?`", pattern=r"pkg:[a-z0-9.+-]+/[^\s\[\]]+", longest=500)
_PACKAGE = Text(what="a purl with a version, or `@*`", pattern=r"[a-z-]+:\S+@\S+", longest=500)
_URL = Text(what="an https URL", pattern=r"https://\S+")

_IDENTITY = (
    Field(name="id", shape=KEBAB, doc="The rule's name: kebab-case, unique.", required=True),
    Field(name="title", shape=Text(what="a short text", longest=120), doc="One line for people.", required=True),
    Field(name="severity", shape=Word(words=tuple(Severity)), doc="How bad a match is.", required=True),
    Field(name="action", shape=Word(words=tuple(Action)), doc="What a match does, instead of the severity's action."),
    Field(name="description", shape=SENTENCE, doc="What it means."),
    Field(name="advice", shape=SENTENCE, doc="What to do about it."),
    Field(name="references", shape=Many(item=_URL, single=True), doc="Where to read more."),
    Field(
        name="ecosystems",
        shape=Many(item=Word(words=tuple(Ecosystem)), single=True),
        doc="Only for packages of these ecosystems.",
    ),
    Field(
        name="packages",
        shape=Many(item=_PACKAGE_GLOB, single=True),
        doc="Only for these packages; without a version, all versions. With `observe: package` alone: a ban.",
    ),
)

_TOGETHER = Field(
    name="together",
    shape=Many(item=Many(item=Regex(), single=True)),
    doc="Groups of patterns on tests: hits of every group in one file.",
)


def _conditions(observe: Observe, key: str) -> Record:
    extra = (_TOGETHER,) if observe is Observe.LASTPYMILE and key == "match" else ()
    fields = (*(condition.field() for condition in KINDS[observe].keys), *extra)
    return Record(name=f"{key} of `observe: {observe}`", fields=fields)


def _at_least(observe: Observe) -> Record:
    countables = KINDS[observe].countables
    per = ("package", "domain") if any(countable.domain for countable in countables) else ("package",)
    return Record(
        name=f"at-least of `observe: {observe}`",
        fields=(
            Field(name="count", shape=Integer(lowest=2, highest=1_000_000), doc="How many.", required=True),
            Field(
                name="distinct",
                shape=Word(words=tuple(countable.name for countable in countables)),
                doc="Distinct values of what.",
                required=True,
            ),
            Field(name="per", shape=Word(words=per), doc="Counted within each package (default) or parent domain."),
        ),
    )


def _depends(key: str) -> Depends:
    """`match`, `unless` and `at-least` of each kind that has something to match or to count."""
    shapes: dict[str, Shape] = {}
    for observe, kind in KINDS.items():
        if key == "at-least" and kind.countables:
            shapes[observe] = _at_least(observe)
        elif key == "unless" and kind.keys:
            shapes[observe] = Many(item=_conditions(observe, key), single=True)
        elif key == "match" and kind.keys:
            shapes[observe] = _conditions(observe, key)
        elif key == "phases" and kind.phased:
            shapes[observe] = Many(item=Word(words=tuple(Phase)), single=True)
    return Depends(on="observe", words=tuple(Observe), shapes=shapes)


WATCH_RULE = Record(
    name="a rule",
    fields=(
        *_IDENTITY,
        Field(name="observe", shape=Word(words=tuple(Observe)), doc="What it looks at.", required=True),
        Field(name="phases", shape=_depends("phases"), doc="Only in these phases of the analysis."),
        Field(name="match", shape=_depends("match"), doc="All keys must hold; a list means any of it."),
        Field(name="unless", shape=_depends("unless"), doc="What it holds for is excused; a list means any of them."),
        Field(name="at-least", shape=_depends("at-least"), doc="Only if there are so many."),
    ),
)

CORRELATION_RULE = Record(
    name="an all-of rule",
    fields=(
        *_IDENTITY,
        Field(
            name="all-of",
            shape=Many(item=Many(item=KEBAB, single=True)),
            doc="Groups of rules: a finding of any rule of each group, on one package.",
            required=True,
        ),
    ),
)

INHERITED_RULE = Record(
    name="an inherited rule",
    fields=tuple(
        Field(name=field.name, shape=field.shape, doc=field.doc, required=field.name == "id")
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
        ),
        Field(
            name="private",
            shape=Many(
                item=Either(
                    short="host",
                    record=Record(
                        name="a private registry",
                        fields=(
                            Field(name="host", shape=HOST_AND_PORT, doc="Its host.", required=True),
                            Field(
                                name="names",
                                shape=Many(item=GLOB, single=True),
                                doc="Globs of package names that live only there.",
                            ),
                        ),
                    ),
                ),
                single=True,
            ),
            doc="Private registries: nothing that comes from them is ever sent.",
        ),
    ),
)

_ALLOW = Record(
    name="an allow entry",
    fields=(
        Field(name="package", shape=_PACKAGE, doc="The exact purl, or with `@*` every version.", required=True),
        Field(name="rules", shape=Many(item=KEBAB, single=True), doc="The rules that it silences.", required=True),
        Field(name="reason", shape=SENTENCE, doc="Why.", required=True),
        Field(name="expires", shape=Day(), doc="The day on which it stops working.", required=True),
    ),
)

POLICY = Record(
    name="the policy",
    fields=(
        Field(
            name="version",
            shape=Integer(lowest=VERSION, highest=VERSION),
            doc="The language's version.",
            required=True,
        ),
        Field(
            name="extends",
            shape=Word(words=("default", "none")),
            doc="`default`: the built-in rules hold too. `none`: only what stands here.",
        ),
        Field(
            name="mode",
            shape=Word(words=tuple(Mode)),
            doc="`observe`: the full verdict, and exit code 0 whatever it says.",
        ),
        Field(
            name="engines",
            shape=Many(item=Word(words=tuple(Engine)), single=True),
            doc="Which analyses `check` asks for.",
        ),
        Field(
            name="max-report-age",
            shape=Integer(lowest=1, highest=3650),
            doc=f"Days; an older report is the outcome `stale`. By default {BLANK.max_report_age}.",
        ),
        Field(name="registries", shape=_REGISTRIES, doc="Which hosts are mirrors, which are private."),
        Field(
            name="upload-files",
            shape=Flag(),
            doc="`true`: `check` uploads the archives that a lockfile names by a path (`file:`) to the analysis"
            " service. By default they stay on this machine, and only `--local` analyses them.",
        ),
        Field(name="exclude", shape=Many(item=GLOB, single=True), doc="Globs of lockfile paths to leave out."),
        Field(
            name="actions",
            shape=Table(key=Word(words=tuple(Severity)), value=Word(words=tuple(Action))),
            doc="What findings of each severity do.",
        ),
        Field(
            name="outcomes",
            shape=Table(key=Word(words=tuple(OutcomeCode)), value=Word(words=tuple(OutcomeAction))),
            doc="What it does that something was not (wholly) analysed.",
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
        ),
        Field(
            name="rules",
            shape=Many(
                item=Variant(
                    records={"watch": WATCH_RULE, "correlation": CORRELATION_RULE, "inherited": INHERITED_RULE}
                )
            ),
            doc="Rules of one's own, and changes to built-in ones.",
        ),
        Field(name="allow", shape=Many(item=_ALLOW), doc="Exceptions: one package, named rules, a reason, a last day."),
        Field(name="tests", shape=TESTS, doc="What it must find, and what not: `scangate policy test` tries it."),
    ),
)
