"""What is checked, and what it is compared with: the options, and the base that they and the place give."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from scangate.changes import trees
from scangate.changes.base import everything, find_base, in_ci, is_proposal
from scangate.changes.git import Git, GitError
from scangate.changes.objects import Objects
from scangate.changes.trees import Place
from scangate.cli.context import Context
from scangate.cli.options import HOOK_TIMEOUT
from scangate.cli.sides import Sides
from scangate.errors import ExitCode, UsageError

_ALL = "everything is checked (--all)."


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--base",
        metavar="REF",
        help="check what is new since this commit, branch or tag (default: found from where scangate runs)",
    )
    parser.add_argument("--all", action="store_true", help="check every dependency, new or not")
    side = parser.add_mutually_exclusive_group()
    side.add_argument(
        "--staged",
        action="store_true",
        help="check what is about to be committed (in a commit hook); outside of CI --timeout is"
        f" {HOOK_TIMEOUT:g} then, where it is not given",
    )
    side.add_argument("--pushed", action="store_true", help="check the commit that is about to be pushed (in a hook)")
    parser.add_argument("--explain-base", action="store_true", help="say which base it is and why; check nothing")
    parser.add_argument(
        "--policy-from",
        choices=("base", "head"),
        help="read the policy from the base, or from what is checked (default: from the base where a change is"
        " proposed for it, in pull requests and merge queues)",
    )


def in_hook(args: argparse.Namespace, context: Context) -> bool:
    """Whether somebody waits for a commit or a push, and a CI looks at it later."""
    return (args.staged or args.pushed) and not in_ci(context.environ)


def explain(sides: Sides, context: Context) -> int:
    from scangate.output import escape

    context.stdout.write(escape.log(f"{escape.terminal(sides.base.why)}\n"))
    context.stdout.flush()
    return ExitCode.PASS


@contextmanager
def opened(args: argparse.Namespace, context: Context) -> Iterator[Sides]:
    """Both sides, while their trees can be read.

    Raises UsageError, GitError; BaseError where there should be a base and none can be read.
    """
    _refuse_contradictions(args)
    git = Git(context.cwd, context.environ)
    policy_from = args.policy_from or ("base" if is_proposal(context.environ) else "head")
    place = _place(git)
    index = trees.index_file(context.environ, place) if args.staged and place is not None else None
    if args.all and policy_from == "head":
        base = everything(_ALL)
    else:
        base = find_base(context.environ, git, explicit=args.base, staged=args.staged, pushed=args.pushed, index=index)
    if args.all:
        base = everything(_ALL, ground=base.commit)._replace(is_proposal=base.is_proposal)
    if place is None:
        yield Sides(args, context, git, base)
        return
    with Objects(git) as objects:
        yield Sides(args, context, git, base, place=place, objects=objects, index=index)


def _refuse_contradictions(args: argparse.Namespace) -> None:
    against = [name for name in ("base", "staged", "pushed") if getattr(args, name)]
    if args.all and against:
        raise UsageError(
            f"--all and --{against[0]}: the one checks everything that is here, the other what is new.",
            "Leave one of them out.",
        )


def _place(git: Git) -> Place | None:
    try:
        return Place.of(git)
    except GitError:
        return None  # what that means, find_base says
