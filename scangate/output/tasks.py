"""What `scangate tasks` prints."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from scangate.output import escape
from scangate.output.verdict_json import dumps


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One task in the service's words; empty where it did not say."""

    task_id: int
    status: str
    purl: str
    engine: str
    created_at: str
    error_message: str


def as_json(rows: Sequence[Row]) -> str:
    return dumps({"schema_version": 1, "tasks": [asdict(row) for row in rows]})


def as_table(rows: Sequence[Row]) -> str:
    if not rows:
        return "no tasks\n"
    cells = [("TASK", "STATUS", "CREATED", "ENGINE", "PACKAGE")]
    cells += [(str(row.task_id), row.status, row.created_at[:19], row.engine, _package(row)) for row in rows]
    shown = [[escape.terminal(escape.shorten(cell, 200)) for cell in line] for line in cells]
    widths = [max(len(line[column]) for line in shown) for column in range(4)]
    lines = ("  ".join((*map(str.ljust, line[:4], widths), line[4])) for line in shown)
    return escape.log("".join(f"{line.rstrip()}\n" for line in lines))


def _package(row: Row) -> str:
    return f"{row.purl}  {row.error_message}" if row.error_message else row.purl
