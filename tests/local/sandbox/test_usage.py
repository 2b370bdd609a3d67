"""Memory that is in no process, and processes that change while they are looked at."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from scangate.local.sandbox import usage

MEGABYTE = 1024**2
BUSY = """
import os, sys
kept = os.memfd_create("kept")
os.write(kept, bytes(64 << 20))
high = os.dup2(kept, 900)
os.close(kept)
print("ready", flush=True)
while True:
    for number in range(100, 140):
        os.dup2(0, number)
    for number in range(100, 140):
        os.close(number)
"""


@contextmanager
def holding(source: str) -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-S", "-c", source], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as it:
        try:
            assert it.stdout is not None
            assert it.stdout.readline() == b"ready\n"
            yield it.pid
        finally:
            it.kill()


def test_what_a_process_closes_meanwhile_hides_nothing_of_it() -> None:
    """Its descriptors come and go below the one that counts; it is seen each time that it is looked for."""
    with holding(BUSY) as pid:
        for _ in range(200):
            sizes: dict[int, int] = {}
            usage._anonymous_files(f"/proc/{pid}/fd", sizes)
            assert sum(sizes.values()) == 64 * MEGABYTE


def test_memory_in_no_process_counts_once_for_all_who_hold_it() -> None:
    made = os.memfd_create("x")
    try:
        os.write(made, bytes(32 * MEGABYTE))
        sizes: dict[int, int] = {}
        for task in (os.getpid(), threading.get_native_id()):
            usage._anonymous_files(f"/proc/{task}/fd", sizes)
        assert sizes[os.fstat(made).st_ino] == 32 * MEGABYTE
    finally:
        os.close(made)


def test_processes_and_what_the_machine_can_still_give() -> None:
    with holding("print('ready', flush=True)\nimport time\ntime.sleep(600)"):
        for exactly in (False, True):
            used = usage.measure(exactly=exactly)
            assert used.processes >= 2
            assert used.memory > MEGABYTE
    with open("/proc/meminfo") as file:
        total = int(file.readline().split()[1]) * 1024
    assert 0 < usage.free_memory() < total
