"""How much of the machine the processes in this process namespace use, process 1 left out."""

import os

_ANONYMOUS_FILES = ("/memfd:", "/dev/zero", "/SYSV")
"""Memory that is in no file system and, until it is mapped, in no process."""
_UNKNOWN = 1 << 62


def measure() -> tuple[int, int]:
    """The number of processes, and the bytes of memory that are theirs alone."""
    count = size = 0
    files: dict[int, int] = {}
    page = os.sysconf("SC_PAGE_SIZE")
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit() or entry.name == "1":
            continue
        try:
            with open(f"/proc/{entry.name}/statm", "rb") as file:
                _, resident, shared = file.read().split()[:3]
            count += 1
            size += (int(resident) - int(shared)) * page
            _anonymous_files(f"/proc/{entry.name}/fd", files)
        except (OSError, ValueError):
            continue  # it has ended meanwhile
    return count, size + sum(files.values())


def _anonymous_files(folder: str, sizes: dict[int, int]) -> None:
    for entry in os.scandir(folder):
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
