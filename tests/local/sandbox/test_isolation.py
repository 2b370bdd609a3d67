"""The security self-test: real attempts to get out of a real sandbox, as root and as an ordinary user."""

import json
import os
import platform
import subprocess
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.local.sandbox import jobs, nobody

pytestmark = pytest.mark.tool("bwrap", "strace", "ip", "unshare", "setpriv")

REFUSED = {
    "ptrace traceme", "ptrace attach", "process_vm_readv", "unshare user", "clone user", "clone untraced", "setns",
    "mount", "umount", "fsopen", "open_tree", "move_mount", "pivot_root", "chroot", "bpf", "keyctl", "add_key",
    "perf_event_open", "userfaultfd", "kexec", "init_module", "open_by_handle_at", "pidfd_getfd", "kcmp",
    "memfd_secret", "seccomp filter", "prctl seccomp", "personality", "sethostname", "raw socket",
    "terminal injection", "device node",
}  # fmt: skip
ABSENT = {"io_uring", "clone3", "a newer call", "shared memory", "semaphores", "message queue"}
NO_FAMILY = {"packet socket", "vsock", "alg", "netlink of the firewall"}
READ_ONLY = {"write /", "write /usr", "write /etc", "write /dev", "helper write", "helper chmod"}
NOT_THERE = {"read shadow", "read canary"}
NOT_DONE = {"read canary through init", "write /proc/sys", "write sysrq", "helper unlink", "helper rename"}
NOT_DONE |= {"helper folder", "host loopback", "host abstract"}


def as_nobody() -> dict[str, Any]:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    command, python = nobody.python()
    done = subprocess.run(
        [*command, python, "-m", "tests.local.sandbox.jobs"],
        env=nobody.ENVIRON, cwd=ROOT, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module", params=["as the tests' user", "as an ordinary user"])
def attempted(request: pytest.FixtureRequest) -> dict[str, Any]:
    result = jobs.attempt() if request.param == "as the tests' user" else as_nobody()
    assert result["status"] == "completed", result["stderr"]
    return result


@pytest.fixture(scope="module")
def outcomes(attempted: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads(attempted["stdout"]))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (REFUSED, {"EPERM"}),
        (ABSENT, {"ENOSYS"}),
        (NO_FAMILY, {"EAFNOSUPPORT"}),
        (READ_ONLY, {"EROFS"}),
        (NOT_THERE, {"ENOENT"}),
        (NOT_DONE, {"ENOENT", "EROFS", "EACCES", "EBUSY", "EPERM", "ECONNREFUSED", "EXDEV"}),
    ],
    ids=["refused", "absent", "no-family", "read-only", "not-there", "not-done"],
)
def test_each_attempt_fails(outcomes: dict[str, Any], names: set[str], expected: set[str]) -> None:
    assert {name: outcomes[name] for name in names if outcomes[name] not in expected} == {}


def test_foreign_architectures_are_killed(outcomes: dict[str, Any]) -> None:
    if platform.machine() != "x86_64":
        pytest.skip("only x86_64 has others")
    assert (outcomes["int 0x80"], outcomes["x32"]) == ("SIGSYS", "SIGSYS")


def test_nothing_of_the_host_is_there(attempted: dict[str, Any], outcomes: dict[str, Any]) -> None:
    assert not attempted["host reached"]
    assert attempted["helper"] == "helper = 1\n"
    assert set(outcomes["processes"]) == {"1", *outcomes["own"]}
    assert outcomes["descriptors"] == []
    assert outcomes["host name"] == "workstation"
    added_by_python = {"LC_CTYPE"} & set(outcomes["environ"])
    assert set(outcomes["environ"]) - added_by_python == set(jobs.ENVIRON | jobs.BAITS)


def test_the_tracer_cannot_be_killed(attempted: dict[str, Any], outcomes: dict[str, Any]) -> None:
    """Every number was tried: none is a process. The namespace's first ignores it; and the trace came whole."""
    assert outcomes["kill init"].startswith("done")
    assert len(outcomes["kill every process"]) > 4000
    assert set(outcomes["kill every process"]) == {"ESRCH"}
    assert attempted["status"] == "completed"


def test_no_privileges_are_left(outcomes: dict[str, Any]) -> None:
    none = "0000000000000000"
    assert outcomes["status"] == {
        "TracerPid": "0", "NoNewPrivs": "1", "CapEff": none, "CapBnd": none, "Seccomp": "2",
        "Uid": "1000\t1000\t1000\t1000",
    }  # fmt: skip


def test_the_tracer_keeps_its_view(outcomes: dict[str, Any]) -> None:
    pretended, dumpable = outcomes["prctl dumpable"]
    assert (pretended, dumpable) == ("done", 1)


def test_what_is_the_packages_is_writable(outcomes: dict[str, Any]) -> None:
    assert outcomes["home"] == ["done: None"] * 4


def test_attempts_are_seen(attempted: dict[str, Any]) -> None:
    assert {"/etc/shadow", "/usr/x", "/proc/1/mem", jobs.HELPER} <= set(attempted["touched"])
    assert any(address == "127.0.0.1" for address, _ in attempted["reached"])
