"""The program in the outer namespaces: lays out the tree, runs the phases under strace and bwrap, reads the trace.

It is process 1 there: when it ends, everything in the sandbox ends. Standard input is an order (wire.Order) and the
driver's life line; standard output takes one answer.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from scangate.errors import ScangateError
from scangate.local.sandbox import dns, launch, stage, wire
from scangate.local.sandbox.base import LookedUp, PhasePlan, PhaseTrace, Program, Reached, SandboxFailed
from scangate.local.sandbox.packets import Tap
from scangate.local.sandbox.processes import Seen, Tree
from scangate.local.sandbox.running import Log, Run, as_traced
from scangate.local.sandbox.sink import Records, Sink
from scangate.local.sandbox.trace import TraceError


def main() -> None:
    """Take one order, answer, end. What is not an answer is a failure to the driver."""
    order = wire.decode_order(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_driver, daemon=True).start()
    try:
        answer = wire.encode_traces(run(order))
    except (ScangateError, TraceError, OSError, subprocess.SubprocessError) as error:
        answer = wire.encode_failure(str(error))
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()


def _end_with_driver() -> None:
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


def run(order: wire.Order) -> tuple[PhaseTrace, ...]:
    """All phases. Raises SandboxFailed, TraceError, OSError, SubprocessError."""
    sources = stage.lay_out(order)
    stage.open_network(order.tools)
    sink = Sink(taps=(Tap(4), Tap(6)))
    Path("/proc/self/oom_score_adj").write_text("1000")  # the machine's own programs come first
    stage.give_up_privileges(order.user)
    sink.start()
    return tuple(_Phase(order, sources, sink, phase).run() for phase in order.plan.phases)


@dataclass(slots=True)
class _Phase:
    order: wire.Order
    sources: dict[str, str]
    sink: Sink
    plan: PhasePlan
    package: Seen = field(default_factory=Seen)
    others: Seen = field(default_factory=Seen)
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)

    def run(self) -> PhaseTrace:
        deadline = time.monotonic() + self.plan.seconds
        status = "completed"
        for program in self.plan.programs:
            status = self._program(program, deadline)
            if status != "completed":
                break
        records = self.sink.take()
        if not self.sink.alive:
            raise SandboxFailed("The sandbox's sink broke.")
        return PhaseTrace(
            phase=self.plan.phase,
            status=status,
            stdout=bytes(self.stdout),
            stderr=bytes(self.stderr),
            ran=tuple(sorted(self.package.ran, key=lambda ran: (ran.argv, ran.environ))),
            touched=self.package.touched(),
            reached=tuple(sorted(self._reached(records), key=lambda item: (item.address, item.port))),
            looked_up=tuple(sorted(self._looked_up(records), key=lambda item: (item.name, item.record_type))),
            sent=tuple(sorted({data for address, port, data in records.sent if self._is_ours(address, port)})),
            truncated=records.overflow,
        )

    def _is_ours(self, address: str, port: int) -> bool:
        """Not what only the tools have spoken to."""
        return (address, port) in self.package.reached or (address, port) not in self.others.reached

    def _reached(self, records: Records) -> Iterator[Reached]:
        # What arrived counts, too: another thread can change an address between the tracer's look and the kernel's.
        for address, port in self.package.reached | (records.arrived - self.others.reached):
            if (address, port) == (dns.ADDRESS, dns.PORT):
                continue  # the sandbox's own resolver, told of by `looked_up`
            names = set(records.names.get((address, port), ()))
            if (known := self.sink.names.name(address)) is not None:
                names.add(known)
            yield Reached(address=address, port=port, names=tuple(sorted(names)))

    def _looked_up(self, records: Records) -> Iterator[LookedUp]:
        theirs = self.others.asked - self.package.asked
        return (asked for asked in records.looked_up if asked.name not in theirs)

    def _program(self, program: Program, deadline: float) -> str:
        limits = self.order.plan.limits
        inner = launch.inner(program, limits)
        tree = Tree(
            launch=tuple(as_traced(item) for item in inner),
            own=program.own,
            package=self.package,
            others=self.others,
        )
        log = f"{launch.STAGE}/run/log"
        Path(log).unlink(missing_ok=True)
        os.mkfifo(log, 0o600)
        run = Run(tree=tree, log=Log(log, tree, limits.trace), limits=limits)
        status = run.execute(partial(self._argv, program, inner, log), deadline)
        for kept, new in ((self.stdout, run.stdout), (self.stderr, run.stderr)):
            kept += new
            del kept[: -limits.output]
        return status

    def _argv(self, program: Program, inner: list[str], log: str, filter_fd: int) -> list[str]:
        tools = self.order.tools
        return launch.tracer(tools, log) + launch.bubblewrap(
            tools,
            command=inner,
            environ={**program.environ, **self.order.plan.baits},
            read_only=self.sources,
            filter_fd=filter_fd,
        )
