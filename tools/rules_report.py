"""`make rules-report`: the built-in policy on all reports at hand: what each rule hits, and each report's verdict.

Benign: real packages, in a sandbox of this project's own (tests/assets/reports/local, made by tools.local_reports) and
in a comparable one. Malicious: real malware, synthetic malware that really ran in the sandbox, and made-up reports.
Silent: reports in which nothing of the package ran, or of which nothing can be told.

Ends with 1 where the default policy breaks a promise: no benign report denied, at most one in ten not passed, every
malicious one denied by a rule that names what it does, no silent one passed.
"""

import gzip
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from scangate import pipeline
from scangate.models.analysis import AnalysisRequest, Engine, Report
from scangate.models.verdict import Action, Status, SubjectVerdict
from scangate.policy import loader
from scangate.reports import reader

REPORTS = Path(__file__).resolve().parent.parent / "tests" / "assets" / "reports"
MOST_NOT_PASSED = 0.1
"""Of the benign reports."""
_AGELESS = 100 * 365


class Group(StrEnum):
    BENIGN = "benign"
    MALICIOUS = "malicious"
    SILENT = "silent"


BEHAVIOUR: Mapping[str, frozenset[str]] = {
    name: frozenset(rules.split())
    for name, rules in {
        "dynamic-analysis/malware-pypi-jeilyfish-0.7.1": "net-shortener net-on-import",
        "lastpymile/made-injected": "lpm-entrypoint lpm-injected lpm-setup",
        "made/npm-bait-in-request": "bait-secret cmd-upload",
        "made/npm-dns-exfil": "bait-secret net-dns-exfil",
        "made/npm-download-exec": "cmd-download-exec",
        "made/npm-postinstall-unknown-host": "net-on-install",
        "made/npm-worm": "cmd-worm file-persist",
        "made/pypi-credential-theft": "chain-steal file-ssh-key file-tokens",
        "made/pypi-reverse-shell": "cmd-reverse-shell net-raw-ip",
        "local/malicious/npm-synthetic-child-process-1.0.0": "net-on-import file-ssh-key chain-steal",
        "local/malicious/npm-synthetic-credential-theft-1.0.0": "file-ssh-key file-tokens",
        "local/malicious/npm-synthetic-dns-exfiltration-1.0.0": "net-dns-exfil bait-secret",
        "local/malicious/npm-synthetic-download-execute-1.0.0": "cmd-download-exec",
        "local/malicious/npm-synthetic-http-exfiltration-1.0.0": "net-on-install",
        "local/malicious/npm-synthetic-https-beacon-1.0.0": "net-on-install",
        "local/malicious/pypi-synthetic-import-code-1.0.0": "net-on-import",
        "local/malicious/pypi-synthetic-memfd-execution-1.0.0": "file-memfd",
        "local/malicious/pypi-synthetic-persistence-1.0.0": "file-persist",
        "local/malicious/pypi-synthetic-pth-startup-1.0.0": "net-on-import",
        "local/malicious/npm-synthetic-reverse-shell-1.0.0": "cmd-reverse-shell",
        "local/malicious/pypi-synthetic-setup-code-1.0.0": "net-on-install",
    }.items()
}
"""What each malicious report shows, as the rules that name it: all of them must deny it."""

SILENT = frozenset(
    {
        "dynamic-analysis/inert-pypi-pytagora-1.2",
        "dynamic-analysis/inert-pypi-urlibdownloader-0.0.0",
        "lastpymile/made-incomplete",
        "lastpymile/made-without-results",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One report: its name below tests/assets/reports, what it is, and what the policy says."""

    name: str
    group: Group
    verdict: SubjectVerdict

    def rules(self, action: Action) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each.rule for each in self.verdict.findings if each.action is action))


def main() -> int:
    measured = measure()
    sys.stdout.write(as_text(measured))
    broken = list(problems(measured))
    for problem in broken:
        print(f"broken: {problem}", file=sys.stderr)
    return 1 if broken else 0


def measure() -> tuple[Measured, ...]:
    """Every report at hand, in the order of their names."""
    return tuple(Measured(name=name, group=_group(name), verdict=judged(name, payload)) for name, payload in _reports())


def problems(measured: Sequence[Measured]) -> Iterator[str]:
    """What the default policy promises and does not keep."""
    benign = [each for each in measured if each.group is Group.BENIGN]
    for each in measured:
        status = each.verdict.status
        match each.group:
            case Group.BENIGN if status is Status.BLOCKED:
                yield f"{each.name} is benign and denied by {', '.join(each.rules(Action.DENY))}"
            case Group.MALICIOUS if missing := BEHAVIOUR.get(each.name, frozenset()) - set(each.rules(Action.DENY)):
                yield f"{each.name} is malicious and not denied by {', '.join(sorted(missing))}"
            case Group.MALICIOUS if each.name not in BEHAVIOUR or status is not Status.BLOCKED:
                yield f"{each.name} is malicious and {status}; say in BEHAVIOUR what it shows"
            case Group.SILENT if status is Status.PASSED or not each.verdict.shortfalls:
                yield f"{each.name} proves nothing and is {status} without an outcome that says so"
    others = sum(1 for each in benign if each.verdict.status is not Status.PASSED)
    if others > MOST_NOT_PASSED * len(benign):
        yield f"{others} of {len(benign)} benign reports do not pass"


def hits(measured: Sequence[Measured], rule: str, group: Group) -> int:
    """How many reports of the group a rule finds something in."""
    return sum(
        1 for each in measured if each.group is group and any(finding.rule == rule for finding in each.verdict.findings)
    )


def _reports() -> Iterator[tuple[str, bytes]]:
    for path in sorted(REPORTS.rglob("*")):
        name = path.relative_to(REPORTS).as_posix()
        if name.endswith(".json"):
            yield name.removesuffix(".json"), path.read_bytes()
        elif name.endswith(".json.gz"):
            yield name.removesuffix(".json.gz"), gzip.decompress(path.read_bytes())


def _group(name: str) -> Group:
    if name in SILENT:
        return Group.SILENT
    folder, _, base = name.rpartition("/")
    if folder == "local/malicious" or base.startswith("malware-") or name in BEHAVIOUR:
        return Group.MALICIOUS
    return Group.BENIGN


def judged(name: str, payload: bytes) -> SubjectVerdict:
    """What the built-in policy says of one report."""
    # What is measured is what the policy makes of a report, not how long it has been lying here.
    run = pipeline.Run(
        policy=loader.default()._replace(max_report_age=_AGELESS),
        engines=(),
        now=datetime.now(UTC),
        elapsed=lambda: 0.0,
        analyser_name="reports at hand",
    )
    engine = reader.engine_of(payload)
    purl = _purl_of_lastpymile(payload) if engine is Engine.LASTPYMILE else reader.identify(payload).purl
    named = engine is not Engine.LASTPYMILE
    seen = pipeline.observe(run, AnalysisRequest(purl=purl, engine=engine), Report(payload=payload), as_named=named)
    (verdict,) = pipeline.judge(run, [pipeline.subject_of(purl, (seen,))], (), {}).subjects
    assert verdict.findings or verdict.shortfalls or verdict.status is Status.PASSED, name
    return verdict


def _purl_of_lastpymile(payload: bytes) -> str:
    package = json.loads(payload)["package"]
    return f"pkg:pypi/{package['name']}@{package['version']}"


# ------------------------------------------------------------------------------------------------------- text


def as_text(measured: Sequence[Measured]) -> str:
    rules = [rule.id for rule in loader.default().rules]
    lines = [f"{'rule':28} {'benign':>6} {'malicious':>9} {'silent':>6}"]
    lines += [f"{rule:28} {' '.join(_counts(measured, rule))}" for rule in rules]
    lines += ["", f"{'verdict':10} {'kind':9} report"]
    lines += [f"{each.verdict.status:10} {each.group:9} {each.name}{_said(each)}" for each in measured]
    return "\n".join((*lines, "", *summary(measured))) + "\n"


def _counts(measured: Sequence[Measured], rule: str) -> Iterator[str]:
    for group, width in ((Group.BENIGN, 6), (Group.MALICIOUS, 9), (Group.SILENT, 6)):
        yield f"{hits(measured, rule, group) or '.':>{width}}"


def _said(measured: Measured) -> str:
    said = [f"{each.rule} ({each.action})" for each in measured.verdict.findings]
    said += [f"{each.shortfall.code} ({each.action})" for each in measured.verdict.shortfalls]
    return f": {', '.join(dict.fromkeys(said))}" if said else ""


def summary(measured: Sequence[Measured]) -> Iterator[str]:
    for group in Group:
        own = [each for each in measured if each.group is group]
        counted = {status: sum(1 for each in own if each.verdict.status is status) for status in Status}
        shown = ", ".join(f"{count} {status}" for status, count in counted.items() if count)
        yield f"{len(own)} {group} reports: {shown}."


def as_markdown(measured: Sequence[Measured]) -> str:
    """The section of docs/default-policy.md."""
    rows = "".join(f"| {each.name} | {each.group} | {_said(each)[2:]} | {each.verdict.status} |\n" for each in measured)
    head = "| report | kind | findings and outcomes | verdict |\n|---|---|---|---|\n"
    listed = "".join(f"- {line}\n" for line in summary(measured))
    return f"{_INTRO}\n{listed}\n{head}{rows}"


_INTRO = """## What it says of the reports at hand

By `make rules-report`, which ends with 1 where a promise is broken: no benign report is denied, at most one in ten does
not pass, every malicious one is denied by the rules that name what it does, and one in which nothing ran or was seen
never passes.
"""


if __name__ == "__main__":
    sys.exit(main())
