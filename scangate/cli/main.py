"""The command line: one parser, one catch. A command is a module with configure(parser) and run(args, context).

Imports wait for their use, so that `scangate --version` costs little more than argparse.
"""

import argparse
import os
import sys

from scangate import __version__
from scangate.cli.context import TYPE_CHECKING, Context

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn, Protocol

    class Command(Protocol):
        """A command's module."""

        def configure(self, parser: argparse.ArgumentParser) -> None: ...

        def run(self, args: argparse.Namespace, context: Context) -> int: ...


COMMANDS = {
    "check": "check the lockfiles' dependencies and apply the policy",
    "list": "list the dependencies of the lockfiles; sends nothing",
    "scan": "have one package or archive analysed",
    "evaluate": "apply the policy to saved reports, without a network",
    "comment": "tell in the pull request what a check found",
    "tasks": "list the account's analysis tasks",
    "init": "write a first policy, fitted to the lockfiles that are here",
    "explain": "say what was observed of a package, what each rule made of it, and what decided",
    "allow": "add an exception to the policy: named rules on one package, with a reason and a last day",
    "policy": "check, show or test the policy",
    "cache": "show or clear the cache of reports",
    "action": "what the GitHub action runs: its inputs from the environment, its outputs to the runner",
    "serve": "run the embedded analysis service on this machine",
    "doctor": "say what --local needs, what is missing here, and what mends it",
}

EXIT_CODES = """exit codes:
  0    pass
  1    blocked by the policy
  2    wrong usage, configuration, policy or lockfile
  3    incomplete: a verdict could not be had, and the policy does not excuse it
  4    a bug in scangate
  130  interrupted
"""


class Parser(argparse.ArgumentParser):
    """argparse whose errors are ours: one line, exit code 2, told by the one catch."""

    def error(self, message: str) -> "NoReturn":
        from scangate.errors import UsageError

        raise UsageError(f"{message}.", f"See `{self.prog} --help`.")


def run(argv: "Sequence[str]", context: Context | None = None) -> int:
    """Run the command that argv names; the exit code. The only place that catches."""
    context = context or Context()
    _make_printable(context)
    try:
        return _dispatch(argv, context)
    except (Exception, KeyboardInterrupt) as exc:  # noqa: BLE001 - the last line of defence: a bug is exit 4, never a pass
        return _ended_by(exc, context)


def parser() -> argparse.ArgumentParser:
    """The top-level parser, without the commands' own options."""
    top = Parser(
        prog="scangate",
        description="The malware gate for your lockfile.",
        epilog="commands:\n" + "".join(f"  {name:9} {text}\n" for name, text in COMMANDS.items()) + "\n" + EXIT_CODES,
        formatter_class=_help_formatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"scangate {__version__}")
    top.add_argument("command", metavar="COMMAND", choices=list(COMMANDS), help="one of the commands below")
    top.add_argument("arguments", metavar="ARGUMENT", nargs=argparse.REMAINDER, help="see `scangate COMMAND --help`")
    return top


def command_parser(name: str) -> argparse.ArgumentParser:
    """The parser of one command."""
    own = Parser(
        prog=f"scangate {name}",
        description=COMMANDS[name][:1].upper() + COMMANDS[name][1:] + ".",
        formatter_class=_help_formatter,
        allow_abbrev=False,
    )
    command(name).configure(own)
    return own


def command(name: str) -> "Command":
    """The module of a command, imported only when it is asked for."""
    import importlib

    module: Command = importlib.import_module(f"scangate.cli.{name}")
    return module


def _help_formatter(prog: str) -> argparse.HelpFormatter:
    """With its width given: argparse makes one for every option, and would import shutil to ask for the columns."""
    return argparse.RawDescriptionHelpFormatter(prog, width=Context().width() - 2)


def _dispatch(argv: "Sequence[str]", context: Context) -> int:
    try:
        top = parser().parse_args(argv)
        args = command_parser(top.command).parse_args(top.arguments)
    except SystemExit as exc:  # --help and --version
        return int(exc.code or 0)
    return command(top.command).run(args, context)


def _ended_by(exc: BaseException, context: Context) -> int:
    from scangate.errors import ExitCode, ScangateError

    match exc:
        case ScangateError():
            context.say(f"scangate: error: {exc.message}")
            if exc.hint:
                context.say(f"  {exc.hint}")
            return exc.exit_code
        case KeyboardInterrupt():
            context.say("scangate: interrupted.")
            return ExitCode.INTERRUPTED
        case BrokenPipeError():
            return _reader_gone()
        case _:
            return _bug(exc, context)


def _bug(exc: BaseException, context: Context) -> int:
    from scangate.errors import ExitCode

    context.say(f"scangate: internal error: {type(exc).__name__}: {str(exc)[:500]}")
    if context.environ.get("SCANGATE_DEBUG"):
        import traceback

        for line in "".join(traceback.format_exception(exc)).splitlines():
            context.say(line)
    else:
        context.say("  This is a bug; nothing was decided. Set SCANGATE_DEBUG=1 for the traceback and report it.")
    return ExitCode.BUG


def _reader_gone() -> int:
    # The reader of a pipe left (`| head`). Python would complain once more when it flushes stdout at exit.
    import contextlib

    from scangate.errors import ExitCode

    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.INCOMPLETE


def _make_printable(context: Context) -> None:
    """A terminal that cannot show a character gets an escape instead of a crash."""
    for stream in (context.stdout, context.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
