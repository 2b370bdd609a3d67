"""The options of commands that have packages analysed; apart, so that what they ask for is loaded when it is done."""

import argparse

from scangate.errors import UsageError
from scangate.models.analysis import Engine

RATE = "100/h"
JOBS = 8
TIMEOUT = 1200.0
LOCAL_TIMEOUT = 3600.0
"""Seconds. Two packages side by side, a second or five each: a project of a thousand in its first run."""
HOOK_TIMEOUT = 60.0
"""Seconds that somebody who commits waits, at most."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of every command that has packages analysed."""
    parser.set_defaults(jobs=JOBS, max_packages=None)  # where there are not many of them
    parser.add_argument(
        "--engine",
        dest="engines",
        action="append",
        choices=[str(engine) for engine in Engine],
        default=[],
        help="engine to ask; may be given several times (default: the policy's `engines`)",
    )
    parser.add_argument(
        "--local",
        action="store_true",
        help="analyse on this machine, in a sandbox, instead of asking a service (Linux; see `scangate doctor`)",
    )
    parser.add_argument(
        "--rate",
        help=f"request budget, shared by all runs of this user: N/s, N/m or N/h (default {RATE}; not with --local)",
    )
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=float,
        help="the whole run's time; what is not done by then is `pending`"
        f" (default {TIMEOUT:g}, with --local {LOCAL_TIMEOUT:g})",
    )
    parser.add_argument(
        "--no-cache",
        action="store_true",
        help="take no report from the cache, put none there, and remember no task for the next run",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")


def add_options_for_many(parser: argparse.ArgumentParser) -> None:
    """Options of a command that has many packages analysed."""
    parser.add_argument("--jobs", metavar="N", type=int, default=JOBS, help=f"submissions at once (default {JOBS})")
    parser.add_argument(
        "--max-packages",
        metavar="N",
        type=int,
        help="have at most N packages analysed; the others are `over-budget`",
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would be sent, and where; send nothing")


def refuse_nonsense(args: argparse.Namespace) -> None:
    """Values that no run can have, also where there turns out to be nothing to do. Raises UsageError."""
    if not 1 <= args.jobs <= 64:
        raise UsageError(f"--jobs {args.jobs}: out of range.", "Use 1 to 64.")
    if args.timeout is not None and not 0 < args.timeout <= 86400:
        raise UsageError(f"--timeout {args.timeout:g}: out of range.", "Use seconds, more than 0, at most 86400.")
    if args.max_packages is not None and args.max_packages < 0:
        raise UsageError(f"--max-packages {args.max_packages}: less than none.", "Use 0 or more.")
    if args.rate is None:
        return
    if args.local:
        raise UsageError("--rate and --local: there is no service to spare.", "Leave one of them out.")
    from scangate.service.budget import Rate

    Rate.parse(args.rate)
