"""The system-call filter of the package's processes, as classic BPF for `bwrap --seccomp`.

It refuses what would reach past the namespaces (the kernel's own attack surface) and what would get past the
tracer: a call that strace cannot see must not be possible. Numbers: the kernel's syscall tables.
"""

import struct
from dataclasses import dataclass

from scangate.errors import ScangateError

_LOAD, _JUMP_EQUAL, _JUMP_GREATER, _JUMP_GREATER_EQUAL, _JUMP_ANY_BIT, _AND, _RETURN = (
    0x20, 0x15, 0x25, 0x35, 0x45, 0x54, 0x06,
)  # fmt: skip
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS, _EAFNOSUPPORT = 1, 38, 97
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_X32_BIT = 0x40000000
_LAST_KNOWN = 450
"""set_mempolicy_home_node: the newest call that strace 6.1 knows. Newer ones (fchmodat2 …) could not be seen."""

_NAMESPACE_FLAGS = 0x7E020000
_CLONE_UNTRACED = 0x00800000
"""The child would escape `strace -f`."""
_PR_SET_DUMPABLE, _PR_SET_SECCOMP = 4, 22
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_SOCK_TYPE_MASK, _SOCK_RAW, _SOCK_PACKET = 0xF, 3, 10
_TERMINAL_INJECTION = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX


@dataclass(frozen=True, slots=True)
class Architecture:
    """`audit` is the kernel's AUDIT_ARCH value; numbers by name where the two tables differ."""

    audit: int
    numbers: dict[str, int]
    x32: bool = False


_COMMON = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429,
    "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "clone3": 435, "pidfd_getfd": 438,
    "mount_setattr": 442, "quotactl_fd": 443, "memfd_secret": 447,
}  # fmt: skip
_ARCHITECTURES = {
    "x86_64": Architecture(
        0xC000003E,
        {
            "socket": 41, "socketpair": 53, "clone": 56, "prctl": 157, "ioctl": 16, "ptrace": 101, "personality": 135,
            "syslog": 103, "vhangup": 153, "modify_ldt": 154, "pivot_root": 155, "adjtimex": 159, "chroot": 161,
            "acct": 163, "settimeofday": 164, "mount": 165, "umount2": 166, "swapon": 167, "swapoff": 168,
            "reboot": 169, "sethostname": 170, "setdomainname": 171, "iopl": 172, "ioperm": 173, "create_module": 174,
            "init_module": 175, "delete_module": 176, "quotactl": 179, "lookup_dcookie": 212, "clock_settime": 227,
            "mbind": 237, "set_mempolicy": 238, "kexec_load": 246, "add_key": 248, "request_key": 249, "keyctl": 250,
            "migrate_pages": 256, "unshare": 272, "move_pages": 279, "perf_event_open": 298, "fanotify_init": 300,
            "name_to_handle_at": 303, "open_by_handle_at": 304, "clock_adjtime": 305, "setns": 308,
            "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "finit_module": 313, "seccomp": 317,
            "kexec_file_load": 320, "bpf": 321, "userfaultfd": 323, "uselib": 134, "shmget": 29, "semget": 64,
            "msgget": 68,
        } | _COMMON,
        x32=True,
    ),
    "aarch64": Architecture(
        0xC00000B7,
        {
            "socket": 198, "socketpair": 199, "clone": 220, "prctl": 167, "ioctl": 29, "ptrace": 117, "personality": 92,
            "syslog": 116, "vhangup": 58, "pivot_root": 41, "adjtimex": 171, "chroot": 51, "acct": 89,
            "settimeofday": 170, "mount": 40, "umount2": 39, "swapon": 224, "swapoff": 225, "reboot": 142,
            "sethostname": 161, "setdomainname": 162, "init_module": 105, "delete_module": 106, "quotactl": 60,
            "lookup_dcookie": 18, "clock_settime": 112, "mbind": 235, "set_mempolicy": 237, "kexec_load": 104,
            "add_key": 217, "request_key": 218, "keyctl": 219, "migrate_pages": 238, "unshare": 97, "move_pages": 239,
            "perf_event_open": 241, "fanotify_init": 262, "name_to_handle_at": 264, "open_by_handle_at": 265,
            "clock_adjtime": 266, "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272,
            "finit_module": 273, "seccomp": 277, "bpf": 280, "userfaultfd": 282, "kexec_file_load": 294, "shmget": 194,
            "semget": 190, "msgget": 186,
        } | _COMMON,
    ),
}  # fmt: skip

_WITH_ARGUMENTS = ("socket", "socketpair", "clone", "prctl", "ioctl", "personality")
_MISSING = ("clone3", "io_uring_setup", "io_uring_enter", "io_uring_register", "shmget", "semget", "msgget")
"""Answered by ENOSYS, so that programs take another way (clone, epoll, /dev/shm), which can be checked and measured.

What System V's segments, semaphores and queues hold is in no process, no file and no limit.
"""


def supported(machine: str) -> bool:
    """Whether there is a filter for `platform.machine()`."""
    return machine in _ARCHITECTURES


def program(machine: str) -> bytes:
    """The filter as an array of struct sock_filter. Raises ScangateError for an unknown machine."""
    architecture = _ARCHITECTURES.get(machine)
    if architecture is None:
        raise ScangateError(f"There is no system-call filter for {machine}.", "Use a machine with x86_64 or aarch64.")
    numbers = architecture.numbers
    code = [_op(_LOAD, _ARCHITECTURE), _op(_JUMP_EQUAL, architecture.audit, 1, 0), _op(_RETURN, _KILL)]
    code.append(_op(_LOAD, _NUMBER))
    if architecture.x32:
        code += _returns(_JUMP_GREATER_EQUAL, _X32_BIT, _KILL)
    code += _returns(_JUMP_GREATER, _LAST_KNOWN, _ERRNO | _ENOSYS)
    for name, number in numbers.items():
        if name in _WITH_ARGUMENTS:
            body = _BODIES[name]
            code += [_op(_JUMP_EQUAL, number, 0, len(body)), *body]
        else:
            code += _returns(_JUMP_EQUAL, number, _ERRNO | (_ENOSYS if name in _MISSING else _EPERM))
    code.append(_op(_RETURN, _ALLOW))
    return b"".join(code)


def _op(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, value)


def _returns(test: int, value: int, answer: int) -> list[bytes]:
    return [_op(test, value, 0, 1), _op(_RETURN, answer)]


def _argument(index: int) -> bytes:
    return _op(_LOAD, _ARGUMENTS + 8 * index)  # the low half: both machines are little-endian


_REFUSE = _ERRNO | _EPERM
_PRETEND = _ERRNO  # error 0 is success
_SOCKETS = [
    _argument(0),
    _op(_JUMP_EQUAL, _AF_UNIX, 6, 0),
    _op(_JUMP_EQUAL, _AF_INET, 5, 0),
    _op(_JUMP_EQUAL, _AF_INET6, 4, 0),
    _op(_JUMP_EQUAL, _AF_NETLINK, 0, 2),
    _argument(2),
    _op(_JUMP_EQUAL, 0, 6, 0),  # NETLINK_ROUTE: how libraries list the interfaces
    _op(_RETURN, _ERRNO | _EAFNOSUPPORT),
    _argument(1),
    _op(_AND, _SOCK_TYPE_MASK),
    _op(_JUMP_EQUAL, _SOCK_RAW, 1, 0),
    _op(_JUMP_EQUAL, _SOCK_PACKET, 0, 1),
    _op(_RETURN, _REFUSE),
    _op(_RETURN, _ALLOW),
]
_BODIES = {
    "socket": _SOCKETS,
    "socketpair": _SOCKETS,
    "clone": [
        _argument(0),
        *[_op(_JUMP_ANY_BIT, _NAMESPACE_FLAGS | _CLONE_UNTRACED, 0, 1), _op(_RETURN, _REFUSE), _op(_RETURN, _ALLOW)],
    ],
    # A filter of the package's own could answer calls before the tracer sees them (SECCOMP_RET_USER_NOTIF).
    # The descriptors of a process that is not dumpable have no names for the tracer; keepers of keys make
    # themselves so, and are told that they are.
    "prctl": [
        _argument(0),
        *_returns(_JUMP_EQUAL, _PR_SET_SECCOMP, _REFUSE),
        _op(_JUMP_EQUAL, _PR_SET_DUMPABLE, 0, 3),
        _argument(1),
        *_returns(_JUMP_EQUAL, 0, _PRETEND),
        _op(_RETURN, _ALLOW),
    ],
    "ioctl": [
        _argument(1),
        *[part for request in _TERMINAL_INJECTION for part in _returns(_JUMP_EQUAL, request, _REFUSE)],
        _op(_RETURN, _ALLOW),
    ],
    "personality": [
        _argument(0),
        *_returns(_JUMP_EQUAL, 0, _ALLOW),
        *_returns(_JUMP_EQUAL, 0xFFFFFFFF, _ALLOW),
        _op(_RETURN, _REFUSE),
    ],
}
