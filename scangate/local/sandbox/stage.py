"""What the supervisor lays out before the package's code runs: the file tree, the network, its own lesser rights.

Runs as root in namespaces of its own.
"""

import os
import subprocess
from pathlib import Path

from scangate.local.sandbox import kernel, launch, layout, wire
from scangate.local.sandbox.base import SandboxFailed

ENVIRON = {"PATH": launch.PATH, "LC_ALL": "C"}
_STAGE_BYTES = 4 * 1024**2
_MOST_FILES = 400_000
"""Inodes of the package's tmpfs: they are kernel memory."""
_NETWORK = "link set lo up\nroute add local 0.0.0.0/0 dev lo\nroute add local ::/0 dev lo\n"
"""Every address is this machine, and this machine is nowhere else."""


def _command(*argv: str, text: str | None = None) -> None:
    done = subprocess.run(argv, input=text, env=ENVIRON, capture_output=True, text=True, check=False)  # noqa: S603  (fixed programs)
    if done.returncode != 0:
        raise SandboxFailed(f"The sandbox could not be prepared: {argv[0]}: {done.stderr.strip()[-500:]}.")


def lay_out(order: wire.Order) -> dict[str, str]:
    """Mount and fill the stage; returns what to bind read-only, source by sandbox path."""
    at, plan = Path(order.workspace), order.plan
    kernel.mount("tmpfs", str(at), "tmpfs", kernel.NOSUID | kernel.NODEV, f"size={_STAGE_BYTES},mode=755")
    tree = at / "tree"
    for folder in (tree, at / "etc", at / "ro", at / "run"):
        folder.mkdir(mode=0o755)
    options = f"size={plan.limits.disk},nr_inodes={_MOST_FILES},mode=755"
    kernel.mount("tmpfs", str(tree), "tmpfs", kernel.NOSUID | kernel.NODEV, options)
    for folder_name in layout.WRITABLE.values():
        (tree / folder_name).mkdir(mode=0o755)
    _command("cp", "-R", "-P", "--preserve=mode,timestamps,links", f"{plan.tree}/.", str(tree / "app"))
    for name, text in layout.ETC.items():
        (at / "etc" / name).write_text(text)
    for name, text in layout.bait_files(plan.baits).items():
        file = tree / "home" / name
        _private_folders(file.parent, tree / "home")
        file.write_text(text, errors="surrogateescape")
        file.chmod(0o600)
    if order.user is not None:
        _command("chown", "-hR", f"{order.user}:{order.user}", str(tree), str(at / "run"))
    sources = {
        inside: _bound(outside, at / "ro" / str(n)) for n, (inside, outside) in enumerate(plan.read_only.items())
    }
    # Under a name that every user can reach, whatever the rights of the workspace's parents are.
    kernel.mount(str(at), launch.STAGE, "", kernel.BIND | kernel.RECURSIVE)
    return sources


def _private_folders(folder: Path, home: Path) -> None:
    if folder != home:
        _private_folders(folder.parent, home)
        folder.mkdir(mode=0o700, exist_ok=True)


def _bound(outside: Path, point: Path) -> str:
    if outside.is_dir():
        point.mkdir()
    else:
        point.touch()
    kernel.mount(str(outside), str(point), "", kernel.BIND | kernel.RECURSIVE)
    return f"{launch.STAGE}/ro/{point.name}"


def open_network(tools: dict[str, str]) -> None:
    _command(tools["ip"], "-batch", "-", text=_NETWORK)
    Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0")


def give_up_privileges(user: int | None) -> None:
    if user is None:
        return
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    kernel.die_with_parent()
