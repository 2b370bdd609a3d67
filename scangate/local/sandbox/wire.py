"""What goes between the driver and the supervisor: one line of JSON each way."""

import base64
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scangate.local.sandbox.base import (
    Limits,
    LookedUp,
    PhasePlan,
    PhaseTrace,
    Plan,
    Program,
    Ran,
    Reached,
    Touched,
)
from scangate.models.analysis import Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A plan for the supervisor. `workspace`: an empty directory to mount on. `tools`: absolute paths by name.

    `user`: whom to become after the preparations, if the supervisor is root.
    """

    plan: Plan
    workspace: str
    tools: dict[str, str]
    user: int | None


def encode_order(order: Order) -> bytes:
    plan = order.plan
    document = {
        "tree": str(plan.tree),
        "read_only": {inside: str(outside) for inside, outside in plan.read_only.items()},
        "baits": dict(plan.baits),
        "limits": asdict(plan.limits),
        "phases": [
            {
                "phase": phase.phase.value,
                "seconds": phase.seconds,
                "programs": [
                    {
                        "argv": program.argv,
                        "cwd": program.cwd,
                        "environ": dict(program.environ),
                        "own": program.own,
                    }
                    for program in phase.programs
                ],
            }
            for phase in plan.phases
        ],
        "workspace": order.workspace,
        "tools": order.tools,
        "user": order.user,
    }
    return json.dumps(document).encode() + b"\n"


def decode_order(line: bytes) -> Order:
    document: dict[str, Any] = json.loads(line)
    plan = Plan(
        tree=Path(document["tree"]),
        read_only={inside: Path(outside) for inside, outside in document["read_only"].items()},
        baits=document["baits"],
        limits=Limits(**document["limits"]),
        phases=tuple(
            PhasePlan(
                phase=Phase(phase["phase"]),
                seconds=phase["seconds"],
                programs=tuple(
                    Program(
                        argv=tuple(item["argv"]),
                        cwd=item["cwd"],
                        environ=item["environ"],
                        own=item["own"],
                    )
                    for item in phase["programs"]
                ),
            )
            for phase in document["phases"]
        ),
    )
    return Order(
        plan=plan,
        workspace=document["workspace"],
        tools=document["tools"],
        user=document["user"],
    )


def encode_traces(traces: tuple[PhaseTrace, ...]) -> bytes:
    return json.dumps({"phases": [_encoded(item) for item in traces]}).encode() + b"\n"


def _encoded(item: PhaseTrace) -> dict[str, Any]:
    return {
        "phase": item.phase.value,
        "status": item.status,
        "stdout": _base64(item.stdout),
        "stderr": _base64(item.stderr),
        "ran": [[ran.argv, ran.environ] for ran in item.ran],
        "touched": [[touched.path, touched.read, touched.write, touched.delete] for touched in item.touched],
        "reached": [[reached.address, reached.port, reached.names] for reached in item.reached],
        "looked_up": [[asked.name, asked.record_type] for asked in item.looked_up],
        "sent": [_base64(body) for body in item.sent],
        "truncated": item.truncated,
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def encode_failure(message: str) -> bytes:
    return json.dumps({"failure": message}).encode() + b"\n"


def decode_answer(line: bytes) -> tuple[PhaseTrace, ...] | str:
    """The traces, or why there are none. Raises ValueError, KeyError, TypeError if the line is cut off."""
    document: dict[str, Any] = json.loads(line)
    if "failure" in document:
        return str(document["failure"])
    return tuple(_decoded(item) for item in document["phases"])


def _decoded(item: dict[str, Any]) -> PhaseTrace:
    return PhaseTrace(
        phase=Phase(item["phase"]),
        status=item["status"],
        stdout=base64.b64decode(item["stdout"]),
        stderr=base64.b64decode(item["stderr"]),
        ran=tuple(Ran(argv=tuple(argv), environ=tuple(environ)) for argv, environ in item["ran"]),
        touched=tuple(
            Touched(path=path, read=read, write=write, delete=delete) for path, read, write, delete in item["touched"]
        ),
        reached=tuple(
            Reached(address=address, port=port, names=tuple(names)) for address, port, names in item["reached"]
        ),
        looked_up=tuple(LookedUp(name=name, record_type=record_type) for name, record_type in item["looked_up"]),
        sent=tuple(base64.b64decode(body) for body in item["sent"]),
        truncated=item["truncated"],
    )
