"""`scangate tasks`: the account's analysis tasks, newest first."""

import argparse
from collections.abc import Iterator

from scangate.cli import analysis
from scangate.cli.context import Context
from scangate.errors import ExitCode, UsageError
from scangate.service.base import Service, Task

STATUSES = ("queued", "processing", "completed", "failed", "timeout")
PAGE_SIZE = 100


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--status", choices=STATUSES, help="only tasks in this status")
    parser.add_argument("--limit", metavar="N", type=int, default=100, help="at most N tasks (default 100)")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="table (default) or json")


def run(args: argparse.Namespace, context: Context) -> int:
    from scangate.output import tasks as rendering

    if args.limit < 1:
        raise UsageError(f"--limit {args.limit}: less than one.", "Use 1 or more.")
    with analysis.service(context) as service:
        rows = [
            rendering.Row(
                task_id=task.task_id,
                status=task.status,
                purl=task.purl or "",
                engine=task.engine or "",
                created_at=task.created_at or "",
                error_message=task.error_message or "",
            )
            for task in _newest(service, args.limit, args.status)
        ]
    context.stdout.write(rendering.as_json(rows) if args.format == "json" else rendering.as_table(rows))
    context.stdout.flush()
    return ExitCode.PASS


def _newest(service: Service, limit: int, status: str | None) -> Iterator[Task]:
    """Page by page; a task that a new one pushed to the next page is given once."""
    seen: set[int] = set()
    page = 0
    while len(seen) < limit:
        page += 1
        answer = service.tasks(page, min(PAGE_SIZE, limit), status)
        for task in answer.items:
            if task.task_id not in seen and len(seen) < limit:
                seen.add(task.task_id)
                yield task
        if not answer.items or page * answer.page_size >= answer.total:
            return
