"""What this machine lacks for the sandbox, and the command that mends it."""

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

from scangate.local.sandbox import driver, launch, seccomp
from scangate.local.sandbox.base import Job, PhasePlan, Problem, Program, SandboxFailed
from scangate.models import Phase

_PACKAGES = {"bwrap": "bubblewrap", "strace": "strace", "ip": "iproute2"}  # the others: util-linux
_INSTALLERS = {
    "apt-get": "sudo apt-get install -y",
    "dnf": "sudo dnf install -y",
    "zypper": "sudo zypper install -y",
    "pacman": "sudo pacman -S --noconfirm",
    "apk": "sudo apk add",
}
_LEAST_KERNEL = (5, 14)
"""Since then RLIMIT_NPROC counts in each user namespace apart."""
_LEAST_VERSIONS = {"bwrap": (0, 8), "strace": (5, 9)}
"""bwrap --disable-userns; strace --pidns-translation."""
_SYSCTLS = {"kernel/unprivileged_userns_clone": "1", "user/max_user_namespaces": "10000"}
"""Where one of them is 0 nobody may make a user namespace; the value that mends it."""
_APPARMOR = "kernel/apparmor_restrict_unprivileged_userns"
_PROFILE = (
    "printf 'abi <abi/4.0>,\\nprofile scangate-bwrap {bwrap} flags=(unconfined) {{ userns, }}\\n"
    "profile scangate-unshare {unshare} flags=(unconfined) {{ userns, }}\\n' "
    "| sudo tee /etc/apparmor.d/scangate && sudo apparmor_parser -r /etc/apparmor.d/scangate"
)
_CONTAINER_FILES = ("/.dockerenv", "/run/.containerenv", "/run/systemd/container")
_CONTAINER_ADVICE = (
    "Run scangate on the machine itself, or start the container as an ordinary user with `--user 1000:1000 "
    "--security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined`"
)
_TRIAL_SECONDS = 20.0

Find = Callable[[str], str | None]


def _find(name: str) -> str | None:
    return shutil.which(name, path=launch.PATH)


def tools(find: Find = _find) -> dict[str, str]:
    """The sandbox's programs that are there: absolute paths by name."""
    return {name: found for name in launch.TOOLS if (found := find(name)) is not None}


def missing(
    *, system: str = sys.platform, machine: str | None = None, find: Find = _find, proc: Path = Path("/proc")
) -> tuple[Problem, ...]:
    """What can be told without trying, in a few milliseconds. The arguments are for looking at other machines."""
    if system != "linux":
        return (Problem(f"it needs Linux, this is {system}", "Use `--local` on Linux (a virtual machine will do)"),)
    machine = machine or platform.machine()
    found: list[Problem] = []
    if not seccomp.supported(machine):
        found.append(Problem(f"there is no system-call filter for {machine}", "Use a machine with x86_64 or aarch64"))
    found += _kernel(proc)
    found += _programs(find)
    for name, value in _SYSCTLS.items():
        if _sysctl(proc, name) == "0":
            key = name.replace("/", ".")
            found.append(Problem(f"user namespaces are switched off ({key} = 0)", f"sudo sysctl -w {key}={value}"))
    return tuple(found)


def problems(workspace: Path | None = None) -> tuple[Problem, ...]:
    """Everything that is missing; where nothing is, a sandbox is really tried (half a second)."""
    found = missing()
    return found or tuple(_versions(tools())) or _trial(workspace)


def _kernel(proc: Path) -> Iterator[Problem]:
    release = (proc / "sys/kernel/osrelease").read_text().strip()
    if _version(release) < _LEAST_KERNEL:
        least = ".".join(map(str, _LEAST_KERNEL))
        yield Problem(f"it needs Linux {least} or newer, this is {release}", "Install a newer kernel and restart")


def _programs(find: Find) -> Iterator[Problem]:
    install = next((command for name, command in _INSTALLERS.items() if find(name)), "Install:")
    for name in launch.TOOLS:
        if find(name) is None:
            package = _PACKAGES.get(name, "util-linux")
            if name == "ip" and "dnf" in install:
                package = "iproute"
            yield Problem(f"the program {name} is missing", f"{install} {package}")


def _versions(programs: dict[str, str]) -> Iterator[Problem]:
    for name, least in _LEAST_VERSIONS.items():
        done = subprocess.run([programs[name], "--version"], capture_output=True, text=True, check=False)  # noqa: S603  (found in system directories)
        version = _version(done.stdout)
        if version < least:
            shown, wanted = (".".join(map(str, item)) for item in (version, least))
            yield Problem(
                f"{name} is too old ({shown}, it needs {wanted})", f"Install {_PACKAGES[name]} {wanted} or newer"
            )


def _version(text: str) -> tuple[int, ...]:
    match = re.search(r"(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _sysctl(proc: Path, name: str) -> str | None:
    try:
        return (proc / "sys" / name).read_text().strip()
    except OSError:
        return None  # this kernel has no such switch


def _trial(workspace: Path | None) -> tuple[Problem, ...]:
    program = Program(argv=("/usr/bin/true",), cwd="/app")
    with tempfile.TemporaryDirectory(prefix="scangate-trial-", dir=workspace) as tree:
        plan = PhasePlan(phase=Phase.INSTALL, programs=(program,), seconds=_TRIAL_SECONDS)
        try:
            traces = driver.drive(Job(tree=Path(tree), phases=(plan,)), tools(), Event(), workspace)
        except (SandboxFailed, OSError) as error:
            return (Problem(f"a trial of it failed: {str(error).rstrip('.')}", advice()),)
    if traces[0].status != "completed" or not traces[0].ran:
        return (Problem(f"a trial of it ended with {traces[0].status}", advice()),)
    return ()


def advice(*, proc: Path = Path("/proc"), root: Path = Path("/")) -> str:
    """The likely reason why namespaces cannot be used though every piece is there, and what to do."""
    if _sysctl(proc, _APPARMOR) == "1":
        return _PROFILE.format(**tools())
    if any((root / name.lstrip("/")).exists() for name in _CONTAINER_FILES) or _contained(proc):
        return _CONTAINER_ADVICE
    if os.geteuid() == 0 and not _may_administer(proc):
        return "Run scangate as an ordinary user: this root lacks CAP_SYS_ADMIN"
    return "See docs/local-analysis.md, or run scangate on another machine"


def _contained(proc: Path) -> bool:
    try:
        groups = (proc / "1/cgroup").read_text()
    except OSError:
        return False
    return any(word in groups for word in ("docker", "kubepods", "containerd", "/lxc/"))


def _may_administer(proc: Path) -> bool:
    match = re.search(r"CapEff:\s*([0-9a-f]+)", (proc / "self/status").read_text())
    return bool(match and int(match[1], 16) >> 21 & 1)
