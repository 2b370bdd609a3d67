"""How much of the machine the processes in this process namespace use, process 1 left out."""

import contextlib
import os
from dataclasses import dataclass

_ANONYMOUS_FILES = ("/memfd:", "/dev/zero", "/SYSV")
"""Memory that is in no file system and, until it is mapped, in no process."""
_UNKNOWN = 1 << 62


@dataclass(frozen=True, slots=True)
class Usage:
    """`memory` in bytes: what is in no file."""

    processes: int
    memory: int


def measure(*, exactly: bool = False) -> Usage:
    """What is used now. Pages that processes share after a fork count once for each, unless `exactly` (slower)."""
    count = size = 0
    files: dict[int, int] = {}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit() or entry.name == "1":
            continue
        try:
            size += _share(entry.path) if exactly else _resident(entry.path)
            count += 1
            _anonymous_files(f"{entry.path}/fd", files)
        except (OSError, ValueError):
            continue  # it has ended meanwhile
    return Usage(count, size + sum(files.values()))


def _resident(process: str) -> int:
    with open(f"{process}/statm", "rb") as file:
        _, resident, shared = file.read().split()[:3]
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")


def _share(process: str) -> int:
    with open(f"{process}/smaps_rollup", "rb") as file:
        return sum(int(line.split()[1]) * 1024 for line in file if line.startswith(b"Pss_Anon:"))


def _anonymous_files(folder: str, sizes: dict[int, int]) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            # One that was closed meanwhile says nothing of the others: a process may open and close all the time.
            with contextlib.suppress(FileNotFoundError):
                if os.readlink(entry.path).startswith(_ANONYMOUS_FILES):  # noqa: PTH115  (as below)
                    status = os.stat(entry.path)  # noqa: PTH116  (thousands of them, ten times a second)
                    sizes[status.st_ino] = status.st_blocks * 512


def free_memory() -> int:
    """Bytes that the machine can still give out."""
    with open("/proc/meminfo", "rb") as file:
        for line in file:
            if line.startswith(b"MemAvailable:"):
                return int(line.split()[1]) * 1024
    return _UNKNOWN
