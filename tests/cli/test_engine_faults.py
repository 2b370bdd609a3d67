"""Whatever an engine does wrong, the client gives no clean verdict on what was not analysed."""

import errno
import json
from pathlib import Path
from threading import Event

from scangate import purls
from scangate.local.config import ServiceConfig
from scangate.local.engines import compose
from scangate.local.jobs import COMPLETED, FAILED, Job, Outcome
from scangate.local.sandbox.base import SandboxFailed
from scangate.local.server import EmbeddedService
from tests.cli.conftest import Scangate
from tests.local.conftest import dynamic_report

PHASE = {"Status": "completed", "Commands": [{"Command": ["scangate-local"], "Environment": []}]}


def completed(name: str, version: str = "1.0.0", **phases: object) -> Outcome:
    report = dynamic_report(name, version) | {"Analysis": phases or {"install": PHASE, "import": PHASE}}
    return Outcome(status=COMPLETED, report=json.dumps(report).encode())


def refused(name: str) -> Outcome:
    purl = purls.parse(f"pkg:npm/{name}@1.0.0")
    report = compose.refusal(purl, (f"sha512:{'a' * 128}",), (f"sha512:{'b' * 128}",), 1_790_000_000)
    return Outcome(status=COMPLETED, report=report)


CASES: dict[str, tuple[Outcome | BaseException, list[str]]] = {
    "fine": (completed("fine"), []),
    "tracer-killed": (SandboxFailed("The tracer was killed.", ""), ["failed"]),
    "disk-full": (OSError(errno.ENOSPC, "No space left on device"), ["failed"]),
    "memory-full": (MemoryError(), ["failed"]),
    "ends-itself": (SystemExit(0), ["failed"]),
    "interrupts": (KeyboardInterrupt(), ["failed"]),
    "fails": (Outcome(status=FAILED, error_message="no"), ["failed"]),
    "unknown-status": (Outcome(status="done", report=completed("unknown-status").report), ["failed"]),
    "empty-report": (Outcome(status=COMPLETED, report=b""), ["report-invalid"]),
    "half-report": (Outcome(status=COMPLETED, report=b'{"Package": '), ["report-invalid"]),
    "no-phase": (
        Outcome(status=COMPLETED, report=json.dumps(dynamic_report("no-phase", "1.0.0") | {"Analysis": {}}).encode()),
        ["blind"],
    ),
    "one-phase": (completed("one-phase", install=PHASE), ["blind"]),
    "blind-phase": (completed("blind-phase", install={"Status": "completed"}, **{"import": PHASE}), ["blind"]),
    "other-name": (completed("another"), ["wrong-package"]),
    "other-version": (completed("other-version", "1.0.1"), ["wrong-package"]),
    "other-archive": (refused("other-archive"), ["integrity-mismatch"]),
}


class Engine:
    """Gives what the case says, or raises it."""

    def analyse(self, job: Job, _stop: Event) -> Outcome:
        outcome, _ = CASES[purls.parse(job.purl).package_name]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


def test_what_was_not_analysed_is_never_clean(scangate: Scangate, project: Path, tmp_path: Path) -> None:
    packages: dict[str, object] = {"": {"name": "project", "version": "1.0.0"}}
    packages |= {f"node_modules/{name}": {"version": "1.0.0", "integrity": f"sha512-{'A' * 86}=="} for name in CASES}
    lock = {"name": "project", "version": "1.0.0", "lockfileVersion": 3, "packages": packages}
    (project / "package-lock.json").write_text(json.dumps(lock))
    with EmbeddedService(ServiceConfig(data_dir=tmp_path / "data"), Engine()) as service:
        environ = {"SCANGATE_API_URL": service.url, "SCANGATE_API_KEY": service.key}
        result = scangate("check", "--quiet", "--format", "json", **environ)
    judged = {package["name"]: package for package in result.json["packages"]}  # type: ignore[attr-defined]
    found = {name: sorted({outcome["code"] for outcome in each["outcomes"]}) for name, each in judged.items()}
    assert found == {name: expected for name, (_, expected) in CASES.items()}
    assert [name for name, each in judged.items() if each["status"] == "passed"] == ["fine"]
    rules = [finding["rule"] for finding in judged["other-archive"]["findings"]]
    assert rules == ["lock-integrity-mismatch"]
    assert f"digest is sha512:{'b' * 64}" in json.dumps(judged["other-archive"])
    assert result.code == 1
