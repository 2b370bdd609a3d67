"""`scangate cache`: what is kept of earlier runs."""

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from scangate.cli import analysis, lastrun
from scangate.cli.context import Context
from scangate.errors import ExitCode

if TYPE_CHECKING:
    from scangate.service.cache import Info


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action",
        choices=("info", "clear"),
        help="info: where the cache is, and what is in it; clear: remove all reports, remembered tasks and last runs",
    )


def run(args: argparse.Namespace, context: Context) -> int:
    """Raises StateError where the file cannot be used."""
    cache = analysis.cache(context)
    try:
        if args.action == "clear":
            cache.clear()
            lastrun.clear(context)
            context.say("scangate: the cache is empty.")
        else:
            context.show(*_shown(cache.info()))
    finally:
        cache.close()
    return ExitCode.PASS


def _shown(info: "Info") -> Iterator[str]:
    yield f"file     {info.path}"
    yield f"size     {info.bytes / 1024:.0f} KiB"
    yield from (f"reports  {count} of {analyser}, {engine}" for analyser, engine, count in info.reports)
    if info.oldest is not None and info.newest is not None:
        yield f"fetched  {_day(info.oldest)} to {_day(info.newest)}"
    yield f"tasks    {info.tasks} under way, for the next run"


def _day(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
