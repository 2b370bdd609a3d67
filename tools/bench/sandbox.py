"""The sandbox's own cost: one trivial job from end to end, and a traced job against the same sandbox without strace.

Prints the fastest of runs that alternate: what a busy machine adds is not the sandbox's.
"""

import sys
import tempfile
import time
from pathlib import Path
from threading import Event

from scangate.local.sandbox import doctor, driver, launch, layout
from scangate.local.sandbox.base import PhasePlan, Plan, Program, SandboxFailed
from scangate.models.analysis import Phase

RUNS = 9
MOST = 2.0
"""Tracing at most doubles the time."""
_UNTRACED = '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n'
WORK = {
    "nothing (/usr/bin/true)": ("/usr/bin/true",),
    "imports (python3, 40 modules)": (
        "python3", "-c",
        "import asyncio, http.server, xml.dom.minidom, unittest.mock, urllib.request, sqlite3, email.message, "
        "concurrent.futures, multiprocessing.pool, logging.config, csv, tarfile, zipfile, pydoc, doctest",
    ),
    "processes (sh, 50 of them)": ("sh", "-c", "for i in $(seq 50); do /usr/bin/true; done"),
}  # fmt: skip


def seconds(argv: tuple[str, ...], tools: dict[str, str], shim: Path) -> float:
    """One job. Without a tracer there is no trace, so that it ends in an error: only its time is of interest."""
    program = Program(argv=argv, cwd=layout.APP, environ={"PATH": layout.PATH, "HOME": layout.HOME})
    with tempfile.TemporaryDirectory() as tree:
        phase = PhasePlan(phase=Phase.INSTALL, programs=(program,))
        plan = Plan(tree=Path(tree), phases=(phase,), read_only={"/opt/untraced": shim})
        started = time.perf_counter()
        try:
            driver.drive(plan, tools, Event(), None)
        except SandboxFailed:
            if tools == doctor.tools():
                raise
        return time.perf_counter() - started


def main() -> int:
    if problems := doctor.problems():
        print("sandbox: not measured here: " + "; ".join(problem.what for problem in problems))
        return 0
    tools = doctor.tools()
    # Where the sandbox's user finds what is bound read-only.
    untraced_tools = tools | {"strace": f"{launch.STAGE}/ro/{len(launch.interpreter())}"}
    total = [0.0, 0.0]
    with tempfile.TemporaryDirectory() as folder:
        shim = Path(folder, "strace")
        shim.write_text(_UNTRACED)
        shim.chmod(0o755)
        for name, argv in WORK.items():
            pairs = [(seconds(argv, tools, shim), seconds(argv, untraced_tools, shim)) for _ in range(RUNS)]
            traced, untraced = (min(column) for column in zip(*pairs, strict=True))
            total = [total[0] + traced, total[1] + untraced]
            print(f"{name}: {traced:.2f} s traced, {untraced:.2f} s untraced, ratio {traced / untraced:.2f}")
    print(f"all: ratio {total[0] / total[1]:.2f}, at most {MOST}")
    return int(total[0] / total[1] > MOST)


if __name__ == "__main__":
    sys.exit(main())
