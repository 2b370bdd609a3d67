"""Starts a supervisor in its namespaces, gives it an order, waits for the answer, and leaves nothing behind."""

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from threading import Event

from scangate.local.jobs import Interrupted
from scangate.local.sandbox import launch, wire
from scangate.local.sandbox.base import PhaseTrace, Plan, SandboxFailed

_MOST_ANSWER = 256 * 1024**2
_MOST_ERRORS = 64 * 1024
_POLL_SECONDS = 0.1
_EXTRA_SECONDS = 60.0
"""Beyond the phases' own times: laying out the tree."""
_END_SECONDS = 60.0
"""Beyond a phase's own time: ending what goes on, reading the rest of the trace."""
_ENVIRON = {"PATH": launch.PATH, "LC_ALL": "C.UTF-8"}


def drive(plan: Plan, tools: Mapping[str, str], stop: Event, workspace: Path | None) -> tuple[PhaseTrace, ...]:
    """Run a plan. `tools`: absolute paths by name, all of launch.TOOLS. Raises SandboxFailed, Interrupted."""
    root = launch.becomes_nobody()
    read_only = {**launch.interpreter(), **plan.read_only}
    with tempfile.TemporaryDirectory(prefix="scangate-", dir=workspace) as folder:
        order = wire.Order(
            plan=replace(plan, tree=plan.tree.resolve(), read_only=read_only),
            workspace=folder,
            tools=dict(tools),
            user=launch.NOBODY if root else None,
        )
        return Driver(launch.supervisor(tools, root=root), order, stop).answer()


class Driver:
    """One supervisor process: gives it the order, waits for its answer, kills it."""

    def __init__(self, argv: list[str], order: wire.Order, stop: Event) -> None:
        self._argv = argv
        self._order = order
        self._stop = stop
        self._deadline = (
            time.monotonic() + _EXTRA_SECONDS + sum(phase.seconds + _END_SECONDS for phase in order.plan.phases)
        )
        self._out = bytearray()
        self._errors = bytearray()

    def answer(self) -> tuple[PhaseTrace, ...]:
        process = subprocess.Popen(  # noqa: S603  (absolute paths only)
            self._argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,  # what a buffer still held would be an error of its own when the pipe is closed
            env=_ENVIRON,
            cwd="/",
            start_new_session=True,
        )
        with process:
            try:
                self._exchange(process)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        return self._decoded()

    def _exchange(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        order = wire.encode_order(self._order)
        with contextlib.suppress(BrokenPipeError):  # then it has said why on its standard error
            while order:
                order = order[process.stdin.write(order) :]
        pipes = {process.stdout.fileno(): self._out, process.stderr.fileno(): self._errors}
        while pipes:
            if self._stop.is_set():
                raise Interrupted
            if time.monotonic() > self._deadline:
                raise SandboxFailed("The sandbox did not answer in time.")
            for fd in select.select(list(pipes), [], [], _POLL_SECONDS)[0]:
                if part := os.read(fd, 65536):
                    pipes[fd] += part
                else:
                    del pipes[fd]
            if len(self._out) > _MOST_ANSWER:
                raise SandboxFailed(f"The sandbox's answer is larger than {_MOST_ANSWER} bytes.")
            del self._errors[:-_MOST_ERRORS]

    def _decoded(self) -> tuple[PhaseTrace, ...]:
        try:
            answer = wire.decode_answer(bytes(self._out))
        except (ValueError, KeyError, TypeError) as error:
            said = self._errors.decode("utf-8", "replace").strip().splitlines()
            reason = said[-1][:500] if said else "it was killed"
            raise SandboxFailed(
                f"The sandbox broke: {reason}.", "Run `scangate doctor`, which tries a sandbox of its own."
            ) from error
        if isinstance(answer, str):
            raise SandboxFailed(answer, "The package was not analysed. Run `scangate doctor` if this happens again.")
        expected = [phase.phase for phase in self._order.plan.phases]
        if [trace.phase for trace in answer] != expected:
            raise SandboxFailed("The sandbox answered for other phases than it was asked for.")
        return answer
