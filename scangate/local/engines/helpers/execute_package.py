"""Starts what a distribution offers to be started, with --help only. Bound read-only into the sandbox."""

import importlib.metadata
import importlib.util
import os
import runpy
import signal
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
from modules import scripts, show, top_level  # type: ignore[import-not-found]

SECONDS = 5.0


def in_a_child(name: str, act: Callable[[], object]) -> None:
    """Run in a process of its own, ended after a while; how it ends does not matter."""
    show(f"Executing {name} --help")
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        sys.argv = [name, "--help"]
        try:
            act()
        except SystemExit:
            pass
        except BaseException:  # noqa: BLE001  (how it ends does not matter)
            traceback.print_exc()
        sys.stdout.flush()
        os._exit(0)
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if os.waitpid(child, os.WNOHANG)[0]:
            return
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def start(point: importlib.metadata.EntryPoint) -> None:
    point.load()()


def has_main(module: str) -> bool:
    """Looked up without importing the package in this process, as far as that goes (a namespace's parent is)."""
    spec = None if "." in module else importlib.util.find_spec(module)
    places = (spec.submodule_search_locations or []) if spec is not None else []
    return any((Path(place) / "__main__.py").is_file() for place in places)


def main() -> None:
    distribution = sys.argv[1]
    for name, value in scripts(distribution):
        point = importlib.metadata.EntryPoint(name=name, value=value, group="console_scripts")
        in_a_child(name, partial(start, point))
    for module in top_level(distribution):
        if has_main(module):
            in_a_child(module, partial(runpy.run_module, module, run_name="__main__", alter_sys=True))


main()
