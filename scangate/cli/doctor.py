"""`scangate doctor`: whether this machine has what `--local` needs."""

import argparse

from scangate.cli import local
from scangate.cli.context import Context
from scangate.errors import ExitCode


def configure(parser: argparse.ArgumentParser) -> None:
    """It takes no options."""


def run(_args: argparse.Namespace, context: Context) -> int:
    """0: all is there. 2: each missing piece is named, with the command that mends it."""
    missing = local.problems()
    for problem in missing:
        local.tell(problem, context)
    if missing:
        context.say("scangate: --local cannot be used on this machine until that is mended.")
        return ExitCode.USAGE
    context.say("scangate: all that --local needs is there.")
    return ExitCode.PASS
