"""Hostile texts, and verdicts that hold one of them in every field that takes text."""

from datetime import date

from scangate.models.analysis import OutcomeCode, Phase, Shortfall
from scangate.models.changes import Change, ChangeKind, Compared
from scangate.models.lockfile import LockFact, Lockfile, Scope
from scangate.models.observations import (
    BaitSeen,
    CommandRun,
    FileTouched,
    HostContacted,
    LastPyMileHit,
    Network,
    PackagePresent,
    SocketOpened,
)
from scangate.models.verdict import (
    Action,
    Allowed,
    DecidedBy,
    DecidedShortfall,
    Decider,
    Finding,
    LockfileVerdict,
    NoticeCode,
    OutcomeAction,
    PolicyNotice,
    Status,
    SubjectVerdict,
    Verdict,
)
from tests.output.cases import ANALYSED, dependency, finding, subject, verdict

TEXTS = {
    "ansi": "\x1b[2J\x1b]0;owned\x07name",
    "c1": "\x9b31mname",
    "carriage return": "good\rBLOCKED",
    "carriage return and command": "good\r::error::forged",
    "line feed": "name\n::error::forged",
    "line feed and markup": "name\n\n# Owned\n\n- [ ] task\n\n![x](https://evil.example/x.png)",
    "bidi override": "a\u202egnp.exe",
    "bidi isolate": "a\u2066b\u2069",
    "zero width": "ax\u200bios",
    "variation selector": "a\ufe0fb\u034fc\u3164d\U000e0100",
    "line separator": "a\u2028::warning::b",
    "nul": "a\x00b",
    "workflow command": "::error file=a::forged",
    "workflow command after space": "   ::set-output name=verdict::pass",
    "stop commands": "::stop-commands::x",
    "legacy command": "##[error]forged",
    "legacy command with properties": "x ##[set-env name=PATH;]evil",
    "legacy command in pieces": "#\u200b#[error]forged ###[group]x",
    "group": "##[group]x",
    "azure command": "##vso[task.setvariable variable=x]y",
    "percent": "%0A::error::x%0D%25",
    "property": "a,line=1,file=b::c",
    "markdown link": "[text](https://evil.example)",
    "markdown image": "![x](https://evil.example/x.png)",
    "reference link": "[text][1]\n\n[1]: https://evil.example",
    "emphasis": "**bold** _it_ ~~gone~~ __x__",
    "table": "a | b |\n|---|---|\n| c | d",
    "escaped bar": "a \\| b \\\\| c \\\\\\| d",
    "backslash at the end": "a\\",
    "heading": "# Owned",
    "setext": "x\n===\ny\n---",
    "list": "- x\n1. y",
    "list starts": "1. x",
    "task list": "- [x] done",
    "quote": "> quoted",
    "quote alert": "> [!WARNING]\n> x",
    "fence": "```\nx\n```",
    "tildes": "~~~\nx\n~~~",
    "backtick": "a`b",
    "backticks": "a`` ` ``b`",
    "a hundred backticks": "`" * 100 + "<b>x</b>",
    "indented code": "    x",
    "html": '<img src=x onerror=alert(1)><b onclick="x">b</b>',
    "html comment": "<!-- scangate --> -->",
    "details": "</details><details open><summary>x</summary>",
    "end of cell": "</td></tr></table><h1>Owned</h1>",
    "html block": "<script>\nalert(1)\n</script>",
    "entities": "&lt;b&gt; &#64;user &commat;user &amp;",
    "xml entity": '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>&e;',
    "cdata": "<![CDATA[x]]> ]]>",
    "processing instruction": "<?xml-stylesheet href='https://evil.example'?>",
    "attribute": "\" onload='x' a=\"",
    "mention": "@user",
    "mention in a sentence": "ask @user, (@org/team) or\t@user.",
    "mention in markup": "*@user* [@user] >@user",
    "email": "mail someone@evil.example now",
    "issue": "see #1 and GH-1",
    "issue elsewhere": "owner/name#1 owner/name@0123456789abcdef0123456789abcdef01234567",
    "commit": "0123456789abcdef0123456789abcdef01234567 and deadbeef",
    "autolink": "https://evil.example/x",
    "autolink in a sentence": "go to http://evil.example, www.evil.example or <https://evil.example>",
    "other schemes": "javascript:alert(1) <javascript:alert(1)> mailto:a@evil.example xmpp:a@evil.example ftp://evil.example",
    "footnote": "[^1]\n\n[^1]: x",
    "emoji": ":smile: :+1:",
    "math": "$`x`$ $$x$$",
    "mermaid": "```mermaid\ngraph TD\n```",
    "shell": "$(id); `id` | sh && rm -rf / # '\"",
    "json": '"}], "status": "passed',
    "lone surrogate": "a\ud800b",
    "undecodable byte": "a\udcffb",
    "noncharacter": "a\uffff\ufffeb",
    "tag characters": "a\U000e0041b",
    "outside of the basic plane": "\U0001f600" * 50,
    "white space": " ",
    "empty": "",
    "long": "A" * 5_000,
    "long markup": "[x](https://evil.example)|" * 200,
    "many lines": "x\n" * 2_500,
    "many words": "a " * 2_500,
}

HUGE = {
    "word": "A" * 1_000_000,
    "markup": "[x](https://evil.example)|`<b>" * 33_000,
    "lines": "x\n" * 500_000,
    "words": "a@b " * 250_000,
    "invisible": "\u202e" * 1_000_000,
}
"""1 MB each: in the fields of one package."""

HARMLESS = "harmless"


def hostile_verdict(text: str) -> Verdict:
    """Every section of every format has something in it, and every text in it is `text`."""
    blocked = subject(_dependency(text), ANALYSED)._replace(
        changes=(
            Change(kind=ChangeKind.UPGRADED, dependency=_dependency(text), before=_dependency(text)),
            Change(kind=ChangeKind.SOURCE, dependency=_dependency(text), before=_dependency(text)),
        ),
    )
    allowed = Allowed(reason=text, expires=date(2027, 6, 30), where=text, owner=text)
    items = (
        SubjectVerdict(
            subject=blocked,
            status=Status.BLOCKED,
            findings=(_finding(text), _finding(text)._replace(action=Action.WARN)),
            shortfalls=(_shortfall(text, OutcomeCode.PENDING, OutcomeAction.FAIL),),
        ),
        SubjectVerdict(
            subject=subject(_dependency(text)),
            status=Status.WARNED,
            findings=(_finding(text)._replace(allowed=allowed), _finding(text)._replace(action=Action.NOTE)),
            shortfalls=(
                _shortfall(text, OutcomeCode.STALE, OutcomeAction.WARN),
                _shortfall(text, OutcomeCode.LOCAL, OutcomeAction.NOTE),
            ),
        ),
    )
    lockfile = LockfileVerdict(
        lockfile=Lockfile(path=text, format=text, facts=(LockFact(check=text, detail=text),)),
        status=Status.BLOCKED,
        findings=(_finding(text),),
        shortfalls=(_shortfall(text, OutcomeCode.UNSUPPORTED_LOCKFILE, OutcomeAction.FAIL),),
    )
    return verdict(Status.BLOCKED, *items, lockfiles=(lockfile,))._replace(
        notices=tuple(
            PolicyNotice(
                code=code, message=text, where=where, action=action, decided_by=DecidedBy(Decider.OVERRIDE, where)
            )
            for code, where, action in (
                (NoticeCode.ALLOW_EXPIRED, text, Action.DENY),
                (NoticeCode.LEFT_OUT, f"{text}:7", Action.WARN),
            )
        ),
        policy=text,
        analyser=text,
        compared=Compared(commit=text, why=text),
        scope_changes=(
            Change(
                kind=ChangeKind.SCOPE,
                dependency=_dependency(text),
                before=_dependency(text)._replace(scope=Scope.DEV),
            ),
        ),
    )


def huge_verdict(text: str) -> Verdict:
    """One blocked package with the text as its name, version, path and evidence."""
    entry = dependency("x", "1", line=3)._replace(name=text, purl=f"pkg:npm/{text}@1", path=(text, "x@1"))
    seen = HostContacted(phase=Phase.INSTALL, host=text, via=("dns",))
    item = SubjectVerdict(subject=subject(entry), status=Status.BLOCKED, findings=(finding("net-x", seen),))
    return verdict(Status.BLOCKED, item)


def _dependency(text: str):  # type: ignore[no-untyped-def]  # as in cases
    return dependency("x", "1", line=3)._replace(
        name=text,
        version=text,
        purl=text,
        registry=text,
        source=text,
        integrity=(text,),
        path=(text, text),
        lockfile=text,
        facts=(LockFact(check=text, detail=text),),
    )


def _finding(text: str) -> Finding:
    evidence = (
        HostContacted(phase=Phase.INSTALL, host=text, via=(text,), record_types=(text,)),
        SocketOpened(phase=Phase.INSTALL, address=text, port=1, network=Network.PUBLIC, hostnames=(text,)),
        CommandRun(phase=Phase.INSTALL, argv=(text, text)),
        FileTouched(phase=Phase.INSTALL, path=text, read=True, write=False, delete=False),
        BaitSeen(phase=Phase.INSTALL, bait=text, where=text, encoding=text, context=text),
        LastPyMileHit(release=text, list=text, file=text, test_id=text, test_name=text, line=1, text=text),
        LockFact(check=text, detail=text),
        PackagePresent(name=text, version=text),
    )
    return finding(text, *evidence)._replace(
        title=text,
        description=text,
        advice=text,
        references=(text,),
        where=text,
        decided_by=DecidedBy(Decider.POLICY, text),
    )


def _shortfall(text: str, code: OutcomeCode, action: OutcomeAction) -> DecidedShortfall:
    return DecidedShortfall(
        shortfall=Shortfall(code=code, detail=text), action=action, decided_by=DecidedBy(Decider.PROFILE, text)
    )
