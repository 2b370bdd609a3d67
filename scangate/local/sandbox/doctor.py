"""What this machine lacks for the sandbox, and the command that mends it."""

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
from scangate.local.sandbox.base import PhasePlan, Plan, Problem, Program, SandboxFailed
from scangate.models.analysis import Phase

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
_UNCONFINED = (
    "--security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined"
)
_CONTAINER = (
    f"Start the container with `docker run --user 1000:1000 {_UNCONFINED}`, or run scangate on the machine itself"
)
_CONTAINER_OF_ROOT = (
    f"Start the container with `docker run --cap-add SYS_ADMIN --cap-add NET_ADMIN {_UNCONFINED}` (or as an ordinary "
    "user: `--user 1000:1000`, without the two capabilities)"
)
_SYS_ADMIN, _NET_ADMIN, _NET_RAW = 21, 12, 13  # linux/capability.h
_CAPABILITIES = {_SYS_ADMIN: "CAP_SYS_ADMIN", _NET_ADMIN: "CAP_NET_ADMIN", _NET_RAW: "CAP_NET_RAW"}
"""What root needs, who makes no user namespace of its own."""
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
        phase = PhasePlan(phase=Phase.INSTALL, programs=(program,), seconds=_TRIAL_SECONDS)
        try:
            traces = driver.drive(Plan(tree=Path(tree), phases=(phase,)), tools(), Event(), workspace)
        except (SandboxFailed, OSError) as error:
            return (cause(str(error).rstrip(".")),)
    if traces[0].status != "completed" or not traces[0].ran:
        return (cause(f"it ended with {traces[0].status}"),)
    return ()


def cause(said: str, *, proc: Path = Path("/proc"), root: Path = Path("/"), as_root: bool | None = None) -> Problem:
    """Why namespaces cannot be used though every piece is there, as far as this machine shows, and what to do.

    `said`: how a trial failed. The other arguments are for looking at other machines.
    """
    as_root = launch.becomes_nobody() if as_root is None else as_root
    contained = any((root / name.lstrip("/")).exists() for name in _CONTAINER_FILES) or _in_a_group_of_containers(proc)
    if _in_a_chroot(proc, root):
        what = "in a chroot the kernel makes no user namespaces"
        return _because(what, said, "Run scangate outside of it, or enter it as a machine: systemd-nspawn -D DIRECTORY")
    if as_root and (lacking := [name for bit, name in _CAPABILITIES.items() if not _holds(proc, bit)]):
        what = f"this root lacks {', '.join(lacking)}"
        return _because(what, said, _CONTAINER_OF_ROOT if contained else "Run scangate as an ordinary user")
    if "mount /proc" in said:
        what = "parts of /proc are masked, as in a container: the kernel lets nobody mount another one"
        return _because(what, said, _CONTAINER)
    if _sysctl(proc, _APPARMOR) == "1":
        what = f"AppArmor restricts user namespaces ({_APPARMOR.replace('/', '.')} = 1)"
        mend = f"On the machine that runs this container: sudo sysctl -w {_APPARMOR.replace('/', '.')}=0"
        return _because(what, said, mend if contained else _PROFILE.format(**tools()))
    if _is_filtered(proc):
        what = "a system-call filter refuses namespaces, as a container's or a service's does"
        return _because(what, said, _CONTAINER if contained else "Start it without: systemd's RestrictNamespaces=no")
    if contained:
        return _because("this is a container", said, _CONTAINER)
    return Problem(f"a trial of it failed: {said}", "See docs/local-analysis.md, or run scangate on another machine")


def _because(what: str, said: str, mend: str) -> Problem:
    return Problem(f"{what} (a trial of it failed: {said})", mend)


def _in_a_chroot(proc: Path, root: Path) -> bool:
    """Whether a process that this one comes from has another root in the same mount namespace."""
    process = "self"
    while (process := _status(proc, "PPid", process) or "0") != "0":
        try:
            same_mounts = (proc / process / "ns/mnt").readlink() == (proc / "self/ns/mnt").readlink()
            if same_mounts and not (proc / process / "root").samefile(root):
                return True
        except OSError:
            continue  # another user's
    return False


def _in_a_group_of_containers(proc: Path) -> bool:
    try:
        groups = (proc / "1/cgroup").read_text()
    except OSError:
        return False
    return any(word in groups for word in ("docker", "kubepods", "containerd", "/lxc/"))


def _holds(proc: Path, capability: int) -> bool:
    return bool(int(_status(proc, "CapEff") or "0", 16) >> capability & 1)


def _is_filtered(proc: Path) -> bool:
    return _status(proc, "Seccomp") == "2"


def _status(proc: Path, field: str, process: str = "self") -> str | None:
    try:
        text = (proc / process / "status").read_text()
    except OSError:
        return None
    match = re.search(rf"^{field}:\s*(\S+)", text, re.MULTILINE)
    return match[1] if match else None
