"""The built-in policy on whole reports: real ones and made-up ones, from bytes to verdict."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from scangate.errors import ExitCode
from scangate.models.analysis import Analysed, Engine, Phase
from scangate.models.lockfile import Dependency, Ecosystem, Kind, LockFact, Lockfile, Relation, Scope
from scangate.models.observations import CommandRun, FileTouched, HostContacted, Network, SocketOpened
from scangate.models.verdict import Status, Subject, SubjectVerdict, Verdict
from scangate.policy import loader
from scangate.policy.decision import decide
from scangate.policy.exit_codes import exit_code
from scangate.purls import parse
from scangate.registries import ALL_PUBLIC_HOSTS
from scangate.reports import reader

ASSETS = Path(__file__).parent.parent / "assets" / "reports"
NOW = datetime(2026, 11, 24, tzinfo=UTC)


def _decide(*subjects: Subject, lockfiles: tuple[Lockfile, ...] = ()) -> Verdict:
    policy = loader.default()
    return decide(subjects, lockfiles, policy, today=date(2026, 11, 24), analyser="saved reports", elapsed_seconds=0.0)


def _subject(path: Path) -> Subject:
    payload = path.read_bytes()
    identity = reader.identify(payload)
    purl = parse(identity.purl)
    assert purl.ecosystem is not None
    result = reader.read(payload, purl=None, engine=identity.engine, now=NOW, max_age_days=90)
    return Subject(
        key=identity.purl,
        ecosystem=purl.ecosystem,
        name=purl.package_name,
        version=purl.version,
        purl=identity.purl,
        dependencies=(),
        results=(result,),
    )


def _verdict(name: str) -> SubjectVerdict:
    (verdict,) = _decide(_subject(ASSETS / f"{name}.json")).subjects
    return verdict


def _by_action(verdict: SubjectVerdict, action: str) -> set[str]:
    return {finding.rule for finding in verdict.findings if finding.action == action}


def _outcomes(verdict: SubjectVerdict) -> set[str]:
    return {f"{decided.shortfall.code}: {decided.action}" for decided in verdict.shortfalls}


@pytest.mark.parametrize(
    "name", ["npm-axios", "npm-bcrypt", "npm-core-js", "npm-esbuild", "pypi-requests", "pypi-psutil-sdist"]
)
def test_benign_packages_pass_without_a_word(name: str) -> None:
    verdict = _verdict(f"dynamic-analysis/benign-{name}")
    assert (verdict.status, verdict.findings, verdict.shortfalls) == (Status.PASSED, (), ())


def test_puppeteer_downloads_a_browser_and_that_is_noted() -> None:
    verdict = _verdict("dynamic-analysis/benign-npm-puppeteer")
    assert verdict.status is Status.WARNED
    assert {finding.rule: finding.action for finding in verdict.findings} == {"net-build-storage": "note"}
    assert _outcomes(verdict) == {"phase-error: warn"}


def test_the_malware_is_denied_by_rules_that_name_what_it_does() -> None:
    verdict = _verdict("dynamic-analysis/malware-pypi-jeilyfish-0.7.1")
    assert verdict.status is Status.BLOCKED
    assert _by_action(verdict, "deny") == {"net-shortener", "net-on-import"}
    assert _by_action(verdict, "warn") == {"net-on-execute"}
    evidence = {rule.rule: {getattr(each, "host", "") for each in rule.evidence} for rule in verdict.findings}
    assert evidence["net-shortener"] == {"bitly.com"}
    assert evidence["net-on-import"] == {"bitly.com", "gitlab.com"}
    assert _outcomes(verdict) == {"stale: warn"}


@pytest.mark.parametrize("name", ["pytagora-1.2", "urlibdownloader-0.0.0"])
def test_a_report_of_failed_imports_proves_nothing(name: str) -> None:
    verdict = _verdict(f"dynamic-analysis/inert-pypi-{name}")
    assert (verdict.status, verdict.findings) == (Status.WARNED, ())
    assert _outcomes(verdict) == {"import-failed: warn", "stale: warn"}


@pytest.mark.parametrize(
    ("name", "denied"),
    [
        ("npm-postinstall-unknown-host", {"net-on-install"}),
        (
            "pypi-credential-theft",
            {"chain-steal", "file-ssh-key", "file-tokens", "net-on-import"},
        ),
        ("npm-dns-exfil", {"bait-secret", "chain-steal", "net-dns-exfil", "net-on-install"}),
        ("pypi-reverse-shell", {"cmd-reverse-shell", "net-odd-port", "net-raw-ip"}),
        ("npm-download-exec", {"cmd-download-exec", "cmd-downloader", "net-on-install"}),
        ("npm-bait-in-request", {"bait-secret", "chain-steal", "cmd-downloader", "cmd-upload", "net-on-install"}),
        ("npm-worm", {"cmd-worm", "file-persist", "net-on-install"}),
    ],
)
def test_made_up_malware_is_denied_for_what_it_does(name: str, denied: set[str]) -> None:
    verdict = _verdict(f"made/{name}")
    assert verdict.status is Status.BLOCKED
    assert _by_action(verdict, "deny") == denied


def test_one_unknown_host_at_install_is_enough() -> None:
    verdict = _verdict("made/npm-postinstall-unknown-host")
    (finding,) = verdict.findings
    assert (finding.rule, finding.severity, finding.action) == ("net-on-install", "high", "deny")
    assert [getattr(each, "host", None) for each in finding.evidence] == ["sfrclak.example"]


def test_release_downloads_are_noted_and_nothing_more() -> None:
    verdict = _verdict("made/npm-postinstall-release-download")
    assert verdict.status is Status.PASSED
    assert {finding.rule: finding.action for finding in verdict.findings} == {"net-build-host": "note"}


@pytest.mark.parametrize(
    ("name", "status", "findings", "outcomes"),
    [
        ("made-clean", Status.PASSED, set(), set()),
        (
            "made-injected",
            Status.BLOCKED,
            {"lpm-entrypoint: deny", "lpm-injected: deny", "lpm-setup: deny", "lpm-high: warn"},
            set(),
        ),
        ("made-incomplete", Status.INCOMPLETE, set(), {"failed: fail"}),
        ("made-without-results", Status.INCOMPLETE, set(), {"blind: fail"}),
    ],
)
def test_lastpymile(name: str, status: Status, findings: set[str], outcomes: set[str]) -> None:
    verdict = _verdict_of_lastpymile(name)
    assert verdict.status is status
    assert {f"{finding.rule}: {finding.action}" for finding in verdict.findings} == findings
    assert _outcomes(verdict) == outcomes


def _verdict_of_lastpymile(name: str) -> SubjectVerdict:
    """These reports do not name their ecosystem, so the purl is the asker's."""
    payload = (ASSETS / "lastpymile" / f"{name}.json").read_bytes()
    version = {"made-clean": "1.0.0", "made-injected": "2.1.0", "made-incomplete": "0.3.0"}.get(name, "0.1.0")
    purl = f"pkg:pypi/{name}@{version}"
    result = reader.read(payload, purl=purl, engine=Engine.LASTPYMILE, now=NOW, max_age_days=90)
    subject = Subject(
        key=purl, ecosystem=Ecosystem.PYPI, name=name, version=version, purl=purl, dependencies=(), results=(result,)
    )
    (verdict,) = _decide(subject).subjects
    return verdict


def test_a_name_taken_from_elsewhere_is_denied_without_any_analysis() -> None:
    fact = LockFact(check="confusion", detail="thing belongs to npm.example.com.")
    dependency = Dependency(
        ecosystem=Ecosystem.NPM, name="thing", version="1.2.3", kind=Kind.URL, purl=None, facts=(fact,)
    )
    subject = Subject(
        key="url:npm/thing@1.2.3",
        ecosystem=Ecosystem.NPM,
        name="thing",
        version="1.2.3",
        purl=None,
        dependencies=(dependency,),
    )
    (verdict,) = _decide(subject).subjects
    assert (verdict.status, _by_action(verdict, "deny")) == (Status.BLOCKED, {"lock-confusion"})


def test_a_lockfile_with_an_ambiguous_index_is_denied() -> None:
    fact = LockFact(check="extra-index", detail="made up")
    verdict = _decide(lockfiles=(Lockfile(path="requirements.txt", format="requirements", facts=(fact,)),))
    assert exit_code(verdict) is ExitCode.BLOCKED
    assert [finding.rule for finding in verdict.lockfiles[0].findings] == ["lock-extra-index"]


def test_every_row_of_the_language_of_outcomes_has_the_default_that_the_documents_promise() -> None:
    outcomes = {code: decided.action for code, decided in loader.default().outcomes.items()}
    failing = {str(code) for code, action in outcomes.items() if action == "fail"}
    assert failing >= {
        "submit-error", "failed", "timeout", "pending", "report-missing", "wrong-package", "blind", "no-credentials",
        "over-budget", "unsupported-lockfile", "git", "url", "report-invalid", "unreachable",
    }  # fmt: skip
    warning = {str(code) for code, action in outcomes.items() if action == "warn"}
    assert warning == {
        "private-registry", "file", "unpinned", "import-failed", "phase-error", "dependency-missing",
        "unsupported-ecosystem", "stale",
    }  # fmt: skip


def _ran(*argv: str, phase: Phase = Phase.INSTALL) -> CommandRun:
    return CommandRun(phase=phase, argv=argv)


def _touched(path: str, *, write: bool = False, delete: bool = False) -> FileTouched:
    return FileTouched(phase=Phase.INSTALL, path=path, read=True, write=write, delete=delete)


def test_what_package_managers_and_the_analysis_do_themselves_is_no_finding() -> None:
    """From what npm and pip do in an analysis that installs from the registry (written down by hand)."""
    commands = (
        _ran("python3", "/usr/local/bin/analyze-python.py", "--version", "1.2.3", "install", "thing"),
        _ran("sleep", "30m"),
        _ran("scangate-local", "install", "pkg:npm/thing@1.2.3"),
        _ran("npm", "init", "--force"),
        _ran("/usr/bin/node", "/usr/local/bin/npm", "install", "thing@1.2.3"),
        _ran("/usr/bin/python3", "-m", "pip", "install", "--pre", "thing==1.2.3"),
        _ran("sh", "-c", "node-gyp rebuild"),
        _ran("sh", "-c", "prebuild-install || node-gyp rebuild --release"),
        _ran("make", "BUILDTYPE=Release", "-C", "build"),
        _ran("git", "config", "--get", "user.name"),
        _ran("uname", "-rs"),
        _ran("lsb_release", "-a"),
        _ran("rustc", "--version"),
        _ran("rm", "-rf", "build/temp"),
    )
    files = (
        _touched("/root/.npmrc"),
        _touched("/root/.netrc"),
        _touched("/root/.npm/_cacache/tmp/0a1b2c3d", write=True, delete=True),
        _touched("/root/.config/configstore/update-notifier-npm.json"),
        _touched("/root/.config/pip/pip.conf"),
        _touched("/app/node_modules/.thing-Xy12AbCd/package.json", write=True, delete=True),
        _touched("/tmp/pip-build-env-ab12_xyz/site/sitecustomize.py", write=True, delete=True),
        _touched("/tmp/pip-unpack-ab12_xyz/thing-1.2.3.tar.gz", write=True, delete=True),
        _touched("/usr/local/bin/thing", write=True),
        _touched("/etc/passwd"),
        _touched("/proc/self/environ"),
    )
    hosts = tuple(HostContacted(phase=Phase.INSTALL, host=host, via=("dns", "socket")) for host in ALL_PUBLIC_HOSTS)
    sockets = (
        SocketOpened(phase=Phase.INSTALL, address="198.18.0.1", port=443, network=Network.PUBLIC, hostnames=("x",)),
        SocketOpened(phase=Phase.INSTALL, address="8.8.8.8", port=53, network=Network.PUBLIC),
        SocketOpened(phase=Phase.INSTALL, address="::1", port=0, network=Network.LOOPBACK),
    )
    for ecosystem in (Ecosystem.NPM, Ecosystem.PYPI):
        subject = Subject(
            key="thing",
            ecosystem=ecosystem,
            name="thing",
            version="1.2.3",
            purl=None,
            dependencies=(),
            results=(Analysed(engine=Engine.DYNAMIC_ANALYSIS, observations=(*commands, *files, *hosts, *sockets)),),
        )
        (verdict,) = _decide(subject).subjects
        assert (verdict.findings, verdict.status) == ((), Status.PASSED)


@pytest.mark.parametrize("scope", Scope)
def test_no_scope_lowers_a_finding(scope: Scope) -> None:
    """The install scripts of development dependencies run on the same laptops."""
    subject = _subject(ASSETS / "made" / "npm-postinstall-unknown-host.json")
    dependency = Dependency(
        ecosystem=Ecosystem.NPM,
        name=subject.name,
        version=subject.version,
        kind=Kind.REGISTRY,
        purl=subject.purl,
        scope=scope,
        relation=Relation.TRANSITIVE,
    )
    (verdict,) = _decide(subject._replace(dependencies=(dependency,))).subjects
    assert verdict.status is Status.BLOCKED


def test_all_reports_together_give_the_same_verdict_whatever_their_order() -> None:
    subjects = [_subject(path) for path in sorted((ASSETS / "dynamic-analysis").glob("*.json"))]
    verdict = _decide(*subjects)
    assert verdict == _decide(*reversed(subjects))
    assert exit_code(verdict) is ExitCode.BLOCKED
    assert sum(1 for each in verdict.subjects if each.status is Status.BLOCKED) == 1
    assert all(isinstance(result, Analysed) for each in verdict.subjects for result in each.subject.results)
