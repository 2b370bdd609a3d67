"""`scangate list`: what the lockfiles hold, and what of it could be submitted. Sends nothing."""

import argparse

from scangate import __version__
from scangate.cli import project
from scangate.cli.context import Context
from scangate.errors import ExitCode


def configure(parser: argparse.ArgumentParser) -> None:
    project.add_options(parser)
    parser.add_argument(
        "--format",
        choices=("table", "purl", "json"),
        default="table",
        help="table (default); purl: sorted unique purls of what can be submitted, one a line; json: everything",
    )


def run(args: argparse.Namespace, context: Context) -> int:
    from scangate.output import dependencies

    policy = project.load_policy(args.policy, context)
    lockfiles = project.read_lockfiles(args, policy, context)
    match args.format:
        case "json":
            text = dependencies.as_json(lockfiles, version=__version__)
        case "purl":
            text = dependencies.as_purls(lockfiles)
        case _:
            text = dependencies.as_table(lockfiles)
    context.stdout.write(text)
    context.stdout.flush()
    context.say(f"scangate: {dependencies.summary(lockfiles)}")
    return ExitCode.PASS
