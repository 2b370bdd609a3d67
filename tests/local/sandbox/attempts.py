"""Runs in the sandbox: tries to get out of it, and prints as JSON what came of each attempt.

argv: a file of the host, a port that is listened on on the host's loopback, an abstract socket of the host, and a
helper that is bound read-only.
"""

import ctypes
import errno
import fcntl
import json
import mmap
import os
import platform
import shutil
import signal
import socket
import struct
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)
X86 = platform.machine() == "x86_64"
NEWUSER = 0x10000000
COMMON = {
    "io_uring_setup": 425, "fsopen": 430, "clone3": 435, "pidfd_getfd": 438, "fchmodat2": 452, "open_tree": 428,
    "move_mount": 429, "memfd_secret": 447,
}  # fmt: skip
NUMBERS = COMMON | (
    {
        "ptrace": 101, "process_vm_readv": 310, "mount": 165, "umount2": 166, "unshare": 272, "setns": 308,
        "clone": 56, "bpf": 321, "keyctl": 250, "add_key": 248, "perf_event_open": 298, "userfaultfd": 323,
        "kexec_load": 246, "init_module": 175, "open_by_handle_at": 304, "seccomp": 317, "prctl": 157,
        "personality": 135, "chroot": 161, "sethostname": 170, "pivot_root": 155, "kcmp": 312, "shmget": 29,
        "semget": 64, "msgget": 68,
    }
    if X86
    else {
        "ptrace": 117, "process_vm_readv": 270, "mount": 40, "umount2": 39, "unshare": 97, "setns": 268,
        "clone": 220, "bpf": 280, "keyctl": 219, "add_key": 217, "perf_event_open": 241, "userfaultfd": 282,
        "kexec_load": 104, "init_module": 105, "open_by_handle_at": 265, "seccomp": 277, "prctl": 167,
        "personality": 92, "chroot": 51, "sethostname": 161, "pivot_root": 41, "kcmp": 272, "shmget": 194,
        "semget": 190, "msgget": 186,
    }
)  # fmt: skip


def system_call(name: str, *arguments: int | bytes) -> str:
    ctypes.set_errno(0)
    values = [item if isinstance(item, bytes) else ctypes.c_ulong(item) for item in arguments]
    answer = libc.syscall(ctypes.c_long(NUMBERS[name]), *values)
    if answer == 0 and name == "clone":
        os._exit(0)
    return "done" if answer >= 0 else errno.errorcode[ctypes.get_errno()]


def outcome(attempt: Callable[[], object]) -> str:
    try:
        return f"done: {attempt()}"
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))


def in_child(attempt: Callable[[], object]) -> str:
    child = os.fork()
    if child == 0:
        attempt()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else "done"


def machine_code(code: bytes) -> None:
    memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    ctypes.CFUNCTYPE(ctypes.c_int)(address)()


def terminal_injection() -> None:
    _, slave = os.openpty()
    fcntl.ioctl(slave, 0x5412, b"x")


def connect(family: int, address: object) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as made:
        made.settimeout(2)
        made.connect(address)


def read(path: str) -> None:
    with open(path) as file:
        file.read()


def write(path: str) -> None:
    with open(path, "w") as file:
        file.write("x")


def status() -> dict[str, str]:
    with open("/proc/self/status") as file:
        lines = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    return {name: lines[name] for name in ("TracerPid", "NoNewPrivs", "CapEff", "CapBnd", "Seccomp", "Uid")}


def others(pid: int) -> bool:
    return pid != os.getpid()


def main() -> None:
    descriptors = [entry.name for entry in Path("/proc/self/fd").iterdir() if int(entry.name) > 3]
    canary, port, abstract, helper = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
    found: dict[str, object] = {
        "ptrace traceme": system_call("ptrace", 0, 0, 0, 0),
        "ptrace attach": system_call("ptrace", 16, 1, 0, 0),
        "process_vm_readv": system_call("process_vm_readv", 1, 0, 0, 0, 0, 0),
        "io_uring": system_call("io_uring_setup", 8, bytes(120)),
        "unshare user": system_call("unshare", NEWUSER),
        "clone user": system_call("clone", NEWUSER | 17, 0, 0, 0, 0),
        "clone untraced": system_call("clone", 0x00800000 | 17, 0, 0, 0, 0),
        "clone3": system_call("clone3", struct.pack("8Q", NEWUSER, 0, 0, 0, 17, 0, 0, 0), 64),
        "setns": system_call("setns", 0, 0),
        "mount": system_call("mount", b"none", b"/tmp", b"tmpfs", 0, b""),
        "umount": system_call("umount2", b"/app", 0),
        "fsopen": system_call("fsopen", b"tmpfs", 0),
        "open_tree": system_call("open_tree", 0, b"/", 1),
        "move_mount": system_call("move_mount", 0, b"/", 0, b"/tmp", 0),
        "pivot_root": system_call("pivot_root", b"/tmp", b"/tmp"),
        "chroot": system_call("chroot", b"/tmp"),
        "bpf": system_call("bpf", 0, bytes(120), 120),
        "keyctl": system_call("keyctl", 0, -3, 0),
        "add_key": system_call("add_key", b"user", b"x", b"x", 1, -3),
        "perf_event_open": system_call("perf_event_open", bytes(120), 0, -1, -1, 0),
        "userfaultfd": system_call("userfaultfd", 1),
        "kexec": system_call("kexec_load", 0, 0, 0, 0),
        "init_module": system_call("init_module", b"", 0, b""),
        "open_by_handle_at": system_call("open_by_handle_at", 0, bytes(64), 0),
        "pidfd_getfd": system_call("pidfd_getfd", 0, 0, 0),
        "kcmp": system_call("kcmp", 1, 1, 0, 0, 0),
        "memfd_secret": system_call("memfd_secret", 0),
        "seccomp filter": system_call("seccomp", 1, 8, bytes(16)),
        "prctl seccomp": system_call("prctl", 22, 2, bytes(16)),
        "prctl dumpable": (system_call("prctl", 4, 0), libc.prctl(3)),
        "personality": system_call("personality", 0x0040000),
        "sethostname": system_call("sethostname", b"x", 1),
        "a newer call": system_call("fchmodat2", 0, b"/tmp", 0o777, 0),
        "shared memory": system_call("shmget", 0, 8 << 20, 0o1600),
        "semaphores": system_call("semget", 0, 32000, 0o1600),
        "message queue": system_call("msgget", 0, 0o1600),
        "raw socket": outcome(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)),
        "packet socket": outcome(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
        "vsock": outcome(lambda: socket.socket(40, socket.SOCK_STREAM)),
        "alg": outcome(lambda: socket.socket(38, 5)),
        "netlink of the firewall": outcome(lambda: socket.socket(16, 3, 12)),
        "terminal injection": outcome(terminal_injection),
        "read shadow": outcome(lambda: read("/etc/shadow")),
        "read canary": outcome(lambda: read(canary)),
        "read canary through init": outcome(lambda: read(f"/proc/1/root{canary}")),
        "write /": outcome(lambda: write("/x")),
        "write /usr": outcome(lambda: write("/usr/x")),
        "write /etc": outcome(lambda: write("/etc/resolv.conf")),
        "write /dev": outcome(lambda: write("/dev/x")),
        "write /proc/sys": outcome(lambda: write("/proc/sys/kernel/hostname")),
        "write sysrq": outcome(lambda: write("/proc/sysrq-trigger")),
        "device node": outcome(lambda: os.mknod("/tmp/disk", 0o60600, os.makedev(254, 0))),
        "host loopback": outcome(lambda: connect(socket.AF_INET, ("127.0.0.1", port))),
        "host abstract": outcome(lambda: connect(socket.AF_UNIX, f"\0{abstract}")),
        "helper write": outcome(lambda: write(helper)),
        "helper unlink": outcome(lambda: Path(helper).unlink()),
        "helper rename": outcome(lambda: Path(helper).rename("/app/moved")),
        "helper folder": outcome(lambda: shutil.move(Path(helper).parent, "/app/moved")),
        "helper chmod": outcome(lambda: Path(helper).chmod(0o777)),
        "kill init": outcome(lambda: os.kill(1, signal.SIGKILL)),
        "kill every process": [outcome(partial(os.kill, pid, signal.SIGKILL)) for pid in range(2, 5000) if others(pid)],
        "write to init": outcome(lambda: os.close(os.open("/proc/1/mem", os.O_RDWR))),
        "processes": sorted(entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()),
        "own": [str(os.getpid()), str(os.getppid())],
        "descriptors": descriptors,
        "status": status(),
        "environ": dict(os.environ),
        "host name": socket.gethostname(),
        "home": [outcome(partial(write, f"{folder}/x")) for folder in ("/app", "/tmp", "/home/dev", "/dev/shm")],
    }
    if X86:
        found["int 0x80"] = in_child(lambda: machine_code(bytes.fromhex("b814000000cd80c3")))  # getpid
        found["x32"] = in_child(lambda: machine_code(bytes.fromhex("b8270000400f05c3")))  # getpid
    print(json.dumps(found))


if __name__ == "__main__":
    main()
