"""Jobs for the tests, also run by an interpreter of another user: no test library here."""

import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from threading import Event

from scangate.local.sandbox import layout
from scangate.local.sandbox.base import Limits, PhasePlan, PhaseTrace, Plan, Program
from scangate.local.sandbox.bubblewrap import BubblewrapSandbox
from scangate.models.analysis import Phase

HERE = Path(__file__).resolve().parent
HELPER = "/opt/helper/import.py"
ENVIRON = {"HOME": layout.HOME, "PATH": layout.PATH, "LANG": "C.UTF-8"}
BAITS = {"AWS_ACCESS_KEY_ID": "AKIA0BAIT", "AWS_SECRET_ACCESS_KEY": "bait/secret"}


def python() -> str:
    """The interpreter that runs the tests, as it is called in the sandbox."""
    return str(Path(sys.executable).resolve())


def program(*argv: str, **settings: object) -> Program:
    return Program(argv=argv, cwd=layout.APP, environ=ENVIRON, **settings)  # type: ignore[arg-type]


def plan(*programs: Program, phase: Phase = Phase.INSTALL, seconds: float = 60.0) -> PhasePlan:
    return PhasePlan(phase=phase, programs=programs, seconds=seconds)


def run(
    *phases: PhasePlan,
    files: Mapping[str, str] | None = None,
    limits: Limits | None = None,
    read_only: Mapping[str, Path] | None = None,
    stop: Event | None = None,
) -> tuple[PhaseTrace, ...]:
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (files or {}).items():
            Path(folder, name).write_text(text, encoding="utf-8")
        asked = Plan(
            tree=Path(folder),
            phases=phases,
            baits=BAITS,
            read_only=read_only or {},
            limits=limits or Limits(memory=512 * 1024**2, disk=64 * 1024**2, file_size=32 * 1024**2),
        )
        return BubblewrapSandbox().run(asked, stop or Event())


def run_python(source: str, **settings: object) -> PhaseTrace:
    """One phase of one Python program."""
    seconds = settings.pop("seconds", 60.0)
    assert isinstance(seconds, float)
    only = plan(program(python(), "-S", "main.py"), seconds=seconds)
    (trace,) = run(only, files={"main.py": source}, **settings)  # type: ignore[arg-type]
    return trace


@contextmanager
def targets(folder: Path) -> Iterator[tuple[list[str], list[socket.socket]]]:
    """What the attempts aim at on the host: their arguments, and the sockets that nobody must have reached."""
    canary = folder / "canary"
    canary.write_text("canary of the host")
    canary.chmod(0o644)
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket(socket.AF_UNIX) as abstract:
        name = f"scangate-test-{canary.stat().st_ino}"
        abstract.bind(f"\0{name}")
        abstract.listen()
        yield [str(canary), str(listener.getsockname()[1]), name, HELPER], [listener, abstract]


def attempt() -> dict[str, object]:
    """All attempts in one sandbox: its trace as plain values, and whether a socket of the host was reached."""
    with tempfile.TemporaryDirectory() as name, targets(Path(name)) as (arguments, sockets):
        helper = Path(name, "import.py")
        helper.write_text("helper = 1\n")
        (trace,) = run(
            plan(program(python(), "-S", "/opt/attempts.py", *arguments)),
            read_only={HELPER: helper, "/opt/attempts.py": HERE / "attempts.py"},
        )
        reached = False
        for item in sockets:
            item.settimeout(0)
            try:
                item.accept()[0].close()
                reached = True
            except BlockingIOError:
                pass
        document = asdict(trace)
        return {
            "status": trace.status,
            "stdout": trace.stdout.decode(),
            "stderr": trace.stderr.decode(),
            "touched": [item["path"] for item in document["touched"]],
            "reached": [[item["address"], item["port"]] for item in document["reached"]],
            "host reached": reached,
            "helper": helper.read_text(),
        }


if __name__ == "__main__":
    import json

    print(json.dumps(attempt()))
