"""The command lines: supervisor into its namespaces, strace around bwrap, bwrap around the package's program."""

import os
import resource
import sys
from collections.abc import Mapping
from pathlib import Path

from scangate.local.sandbox import layout
from scangate.local.sandbox.base import Limits, Program
from scangate.local.sandbox.processes import TRACED

TOOLS = ("bwrap", "strace", "ip", "unshare", "setpriv", "prlimit")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where the sandbox's own tools are looked for, whatever the user's PATH is."""
NOBODY = 65534
STAGE = "/tmp"  # noqa: S108  (the supervisor's own mount, in its own namespace)
"""Where the supervisor finds what it has laid out: a directory that every user may pass through."""
STRING_SIZE = 4096
"""Bytes that are kept of each string of a command or datagram."""

_MAIN = "import sys; sys.path.append(sys.argv.pop(1)); from scangate.local.sandbox.supervisor import main; main()"


def becomes_nobody(uid_map: Path = Path("/proc/self/uid_map"), user: int | None = None) -> bool:
    """Whether the supervisor starts as root and gives that up.

    Root of a user namespace that does not know `nobody` (a rootless container's, `unshare -r`) is an ordinary user to
    the machine, and is treated as one: with a user namespace of the sandbox's own.
    """
    if (os.geteuid() if user is None else user) != 0:
        return False
    ranges = [tuple(map(int, line.split())) for line in uid_map.read_text().splitlines()]
    knows_nobody = any(first <= NOBODY < first + count for first, _, count in ranges)
    return knows_nobody or any((first, outside) == (0, 0) for first, outside, _ in ranges)


def supervisor(tools: Mapping[str, str], *, root: bool) -> list[str]:
    """The supervisor in namespaces of its own, in which it is root; it dies with whoever starts it."""
    code = str(Path(__file__).resolve().parents[3])
    user = [] if root else ["--user", "--map-root-user"]
    return [
        *(tools["setpriv"], "--no-new-privs", "--pdeathsig", "KILL"),
        *(tools["unshare"], *user, "--net", "--mount", "--pid", "--ipc", "--uts"),
        *("--fork", "--kill-child=KILL", "--mount-proc", "--propagation", "private"),
        *(sys.executable, "-I", "-c", _MAIN, code),
    ]


def tracer(tools: Mapping[str, str], log: str) -> list[str]:
    return [
        *(tools["strace"], "-f", "--seccomp-bpf", "-y", "-v", "-s", str(STRING_SIZE), "-q"),
        *("--pidns-translation", "-o", log, "-e", "trace=" + ",".join(f"?{name}" for name in TRACED), "--"),
    ]


def inner(program: Program, limits: Limits) -> list[str]:
    """What bwrap executes: the limits of each process, the directory, then the program (processes.LAUNCHERS)."""
    caps = {
        "core": (resource.RLIMIT_CORE, 0),
        "data": (resource.RLIMIT_DATA, limits.memory),
        "fsize": (resource.RLIMIT_FSIZE, limits.file_size),
        "nofile": (resource.RLIMIT_NOFILE, limits.open_files),
        "nproc": (resource.RLIMIT_NPROC, limits.processes),
    }
    prlimit = [f"--{name}={_at_most(which, value)}" for name, (which, value) in caps.items()]
    # bwrap would leave its own PWD in the environment.
    directory = f"PWD={program.environ['PWD']}" if "PWD" in program.environ else "--unset=PWD"
    return ["/usr/bin/prlimit", *prlimit, "/usr/bin/env", "-C", program.cwd, directory, *program.argv]


def _at_most(which: int, value: int) -> int:
    """A limit can be lowered without privileges, not raised."""
    hard = resource.getrlimit(which)[1]
    return value if hard == resource.RLIM_INFINITY else min(value, hard)


def bubblewrap(
    tools: Mapping[str, str],
    *,
    command: list[str],
    environ: Mapping[str, str],
    read_only: Mapping[str, str],
    filter_fd: int,
) -> list[str]:
    """`read_only`: what is bound besides the system, source by sandbox path."""
    return [
        *(tools["bwrap"], "--unshare-user", "--uid", str(layout.USER_ID), "--gid", str(layout.USER_ID)),
        *("--disable-userns", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
        *("--hostname", layout.HOSTNAME, "--new-session", "--cap-drop", "ALL", "--seccomp", str(filter_fd)),
        *_system(),
        *("--proc", "/proc", "--dev", "/dev"),
        *[part for inside, folder in layout.WRITABLE.items() for part in ("--bind", f"{STAGE}/tree/{folder}", inside)],
        *[part for name in layout.ETC for part in ("--ro-bind", f"{STAGE}/etc/{name}", f"/etc/{name}")],
        *[part for inside, source in read_only.items() for part in ("--ro-bind", source, inside)],
        *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/", "--clearenv"),
        *[part for name, value in environ.items() for part in ("--setenv", name, value)],
        *("--", *command),
    ]


def _system() -> list[str]:
    arguments = ["--ro-bind", "/usr", "/usr"]
    for path in layout.SYSTEM_LINKS:
        if Path(path).is_symlink():
            arguments += ["--symlink", str(Path(path).readlink()), path]
        elif Path(path).is_dir():
            arguments += ["--ro-bind", path, path]
    for path in layout.SYSTEM_FILES:
        arguments += ["--ro-bind-try", path, path]
    return arguments


def interpreter() -> dict[str, Path]:
    """The running Python where it is not part of the system, to be bound where it is."""
    prefix = Path(sys.base_prefix).resolve()
    if prefix.is_relative_to("/usr") or prefix == Path("/"):
        return {}
    return {str(prefix): prefix}
