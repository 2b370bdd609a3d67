"""The filter's numbers against the kernel's own, for the machine that the tests are not on, too."""

import struct

import pytest

from scangate.local.sandbox import processes, seccomp
from tests.conftest import ROOT

ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # linux/audit.h: EM_X86_64, EM_AARCH64 | 64 bit | little-endian


def kernel(machine: str) -> dict[str, int]:
    """The system calls of Linux 6.1 by name."""
    lines = (ROOT / "tests" / "assets" / "syscalls" / f"{machine}.txt").read_text().splitlines()
    return {name: int(number) for number, name in (line.split() for line in lines if not line.startswith("#"))}


def judged(machine: str, number: int, *arguments: int, audit: int | None = None) -> int:
    """What the filter answers to a call: a small machine for classic BPF, as the kernel has one."""
    data = struct.pack("=iIQ6Q", number, audit or AUDIT[machine], 0, *arguments, *[0] * (6 - len(arguments)))
    code = list(struct.iter_unpack("=HBBI", seccomp.program(machine)))
    at = value = 0
    while True:
        operation, yes, no, operand = code[at]
        at += 1
        match operation:
            case 0x20:
                value = int.from_bytes(data[operand : operand + 4], "little")
            case 0x54:
                value &= operand
            case 0x06:
                return int(operand)
            case 0x15 | 0x25 | 0x35 | 0x45:
                holds = {0x15: value == operand, 0x25: value > operand, 0x35: value >= operand, 0x45: value & operand}
                at += yes if holds[operation] else no
            case _:
                raise AssertionError(hex(operation))


@pytest.mark.parametrize("machine", sorted(AUDIT))
def test_the_numbers_are_the_kernels(machine: str) -> None:
    known = kernel(machine)
    numbers = seccomp._ARCHITECTURES[machine].numbers
    older = {name: number for name, number in numbers.items() if name not in known}
    assert set(older) <= {"create_module", "uselib"}  # x86_64's, gone from the headers or not
    assert {name: known[name] for name in numbers if name in known} == {
        name: number for name, number in numbers.items() if name in known
    }
    assert max(known.values()) == seccomp._LAST_KNOWN


@pytest.mark.parametrize("machine", sorted(AUDIT))
def test_each_call_of_the_other_machine_that_has_the_same_name_is_treated_alike(machine: str) -> None:
    """A call that is refused on one of the two and exists on the other is refused there, too."""
    other = next(each for each in AUDIT if each != machine)
    mine, theirs = kernel(machine), kernel(other)
    different = {
        name
        for name in mine.keys() & theirs.keys()
        if name not in seccomp._WITH_ARGUMENTS and judged(machine, mine[name]) != judged(other, theirs[name])
    }
    assert different == set()


@pytest.mark.parametrize("machine", sorted(AUDIT))
def test_what_is_asked_for_and_what_is_answered(machine: str) -> None:
    known = kernel(machine)
    for name in ("ptrace", "mount", "bpf", "unshare", "setns", "keyctl", "userfaultfd", "perf_event_open", "seccomp"):
        assert judged(machine, known[name]) == EPERM, name
    for name in ("io_uring_setup", "clone3"):
        assert judged(machine, known[name]) == ENOSYS, name
    for name in ("read", "openat", "execve", "connect", "sendmsg", "memfd_create", "wait4", "mmap", "futex"):
        assert judged(machine, known[name]) == ALLOW, name
    assert judged(machine, known["openat"], audit=0x40000003) == KILL  # i386
    assert judged(machine, seccomp._LAST_KNOWN + 1) == ENOSYS
    assert judged(machine, known["clone"], 17) == ALLOW
    assert judged(machine, known["clone"], 0x10000000 | 17) == EPERM
    assert judged(machine, known["socket"], 2, 1) == ALLOW
    assert judged(machine, known["socket"], 2, 3) == EPERM
    assert judged(machine, known["socket"], 17, 3) == 0x00050061
    assert judged(machine, known["prctl"], 22) == EPERM
    assert judged(machine, known["personality"], 0x0040000) == EPERM
    assert judged(machine, known["ioctl"], 0, 0x5412) == EPERM


@pytest.mark.parametrize("machine", sorted(AUDIT))
def test_every_call_that_names_a_file_or_a_peer_is_traced(machine: str) -> None:
    """strace is asked for names with "?", so that a misspelled one would be left out in silence."""
    traced = set(processes.TRACED)
    assert traced <= set(kernel("x86_64"))
    elsewhere = {"open", "creat", "unlink", "rmdir", "rename", "link", "symlink", "chmod", "mknod", "fork", "vfork"}
    elsewhere |= {"stat", "lstat", "access"}
    assert traced - set(kernel("aarch64")) == elsewhere | ({"renameat"} - set(kernel("aarch64")))
