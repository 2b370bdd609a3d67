"""`scangate comment`: the pull request's one comment says what a check found. It cannot change what was decided."""

import argparse
from typing import TYPE_CHECKING

from scangate.cli.context import Context
from scangate.errors import BaseError, ExitCode, ServiceError, UsageError
from scangate.files import Unreadable, read_bounded

if TYPE_CHECKING:
    from scangate.forge.settings import ForgeSettings

MAX_MARKDOWN_BYTES = 4 * 1024 * 1024
MAX_NUMBER = 2**31 - 1


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--report", metavar="FILE", required=True, help="what `check --format json=FILE` wrote: is there a finding?"
    )
    parser.add_argument(
        "--markdown", metavar="FILE", required=True, help="what `check --format markdown=FILE` wrote: the comment"
    )
    parser.add_argument(
        "--pull-request",
        metavar="NUMBER",
        type=_number,
        help="the pull request (default: that of the event in GITHUB_EVENT_PATH; an event of none gets no comment)",
    )
    parser.add_argument(
        "--name",
        metavar="NAME",
        help="tells several comments on one pull request apart (default: the folder, from the repository's root)",
    )


def run(args: argparse.Namespace, context: Context) -> int:
    """0 also where GitHub does not take the comment: that is a warning, for the verdict stands elsewhere."""
    from scangate.forge.settings import ForgeSettings
    from scangate.output import verdict_json

    finding = _has_finding(_read(context, "--report", args.report, verdict_json.MAX_BYTES))
    text = _read(context, "--markdown", args.markdown, MAX_MARKDOWN_BYTES).decode("utf-8", "replace")
    number = args.pull_request or _number_of_event(context)
    if number is None:
        context.say("scangate: no comment: this event is not one of a pull request.")
        return ExitCode.PASS
    settings = ForgeSettings.from_environ(context.environ)
    name = _folder(context) if args.name is None else args.name
    try:
        said = _post(settings, number, text, name=name, finding=finding)
    except ServiceError as exc:
        context.warn(f"no comment: {exc.message}{f' {exc.hint}' if exc.hint else ''}")
    else:
        context.say(f"scangate: {said}")
    return ExitCode.PASS


def _post(settings: "ForgeSettings", number: int, text: str, *, name: str, finding: bool) -> str:
    from scangate.forge import sticky
    from scangate.forge.github import GitHub

    with GitHub(settings) as github:
        posted = sticky.post(github, number, text, name=name, finding=finding)
    return f"comment on pull request {number} {posted.value}."


def _has_finding(content: bytes) -> bool:
    """Raises UsageError where it is no report."""
    from scangate.output import verdict_read

    try:
        return verdict_read.has_finding(content)
    except ValueError as exc:
        raise UsageError(
            "--report: it is not a report of `check --format json`.", "Name the file that check wrote."
        ) from exc


def _number_of_event(context: Context) -> int | None:
    from scangate.changes import event as events
    from scangate.forge.settings import EVENT_VARIABLE

    path = context.environ.get(EVENT_VARIABLE)
    if not path:
        raise UsageError(f"{EVENT_VARIABLE} is not set.", "Outside of GitHub Actions: --pull-request NUMBER.")
    try:
        return events.read(path).number("pull_request", "number")
    except BaseError as exc:
        raise UsageError(exc.message, "Name the pull request: --pull-request NUMBER.") from exc


def _folder(context: Context) -> str:
    from scangate.cli import project

    return context.cwd.relative_to(project.root(context)).as_posix()


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:11]) <= MAX_NUMBER):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not the number of a pull request")
    return int(text)


def _read(context: Context, option: str, path: str, limit: int) -> bytes:
    try:
        return read_bounded(context.cwd / path, limit).data
    except Unreadable as exc:
        raise UsageError(f"{option} {path}: it {exc.reason}.", "Name a file that check wrote.") from exc
