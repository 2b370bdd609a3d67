"""`--format NAME[=FILE]`, several in one run: which renderers, to where, written atomically."""

import argparse
import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from scangate import __version__, output
from scangate.cli import project
from scangate.cli.context import Context
from scangate.errors import ExitCode, UsageError
from scangate.models.verdict import Verdict
from scangate.output.base import Links, Setting, Tree

FORMATS = {name: each.summary for name, each in output.FORMATS.items()}

LINK_VARIABLES = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_SHA")
"""Where the lines of the lockfiles can be looked at; GitHub Actions sets them."""


class Target(NamedTuple):
    """One format and the file that it goes to; None is stdout."""

    name: str
    file: Path | None = None


def add_option(parser: argparse.ArgumentParser) -> None:
    names = "; ".join(f"{name}: {text}" for name, text in FORMATS.items())
    parser.add_argument(
        "--format",
        metavar="NAME[=FILE]",
        action="append",
        default=[],
        dest="formats",
        help=f"output format, to stdout or to FILE; may be given several times ({names}; default terminal)",
    )


def parse(texts: Sequence[str], cwd: Path) -> tuple[Target, ...]:
    """The targets that `--format` names. Raises UsageError: unknown name, empty file, one place given twice."""
    targets = tuple(_target(text, cwd) for text in texts) or (Target("terminal"),)
    places = [target.file for target in targets]
    if len(set(places)) != len(places):
        raise UsageError("--format: two formats go to the same place.", "Give all but one of them a file: NAME=FILE.")
    return targets


def emit(verdict: Verdict, targets: Sequence[Target], context: Context) -> int:
    """Render the verdict everywhere; the exit code. A file that cannot be written never hides what was found."""
    from scangate.policy.exit_codes import exit_code

    code = exit_code(verdict)
    problems = []
    for target in sorted(targets, key=lambda target: target.file is not None):
        text = output.FORMATS[target.name].render(verdict, _setting(target, code, verdict.policy, context))
        if target.file is None:
            context.stdout.write(text)
            context.stdout.flush()
            continue
        try:
            write_atomically(target.file, text)
        except OSError as exc:
            problems.append(
                UsageError(f"--format {target.name}={target.file}: {exc.strerror or exc}.", "Choose another file.")
            )
    if problems and code is not ExitCode.BLOCKED:
        raise problems[0]
    for problem in problems:
        context.say(f"scangate: error: {problem.message}")
    return code


def write_atomically(path: Path, text: str) -> None:
    """Write beside the target and rename: a reader sees the old file or the whole new one."""
    import tempfile

    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with open(handle, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        mode = 0o666 & ~_umask()
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _umask() -> int:
    # There is no way to read it but to set it.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _target(text: str, cwd: Path) -> Target:
    name, equals, file = text.partition("=")
    if name not in FORMATS:
        raise UsageError(f"--format {text}: unknown format.", f"Use one of {', '.join(FORMATS)}.")
    if equals and not file:
        raise UsageError(f"--format {text}: no file after '='.", "Write NAME or NAME=FILE.")
    if file in ("", "-"):
        return Target(name)
    path = cwd / file
    # Before anything is spent, not after.
    if not path.parent.is_dir():
        raise UsageError(
            f"--format {text}: there is no folder {path.parent.name!r} for it.", "Make it, or choose another."
        )
    return Target(name, path)


def _setting(target: Target, code: ExitCode, policy: str, context: Context) -> Setting:
    """`policy` is the policy as it is shown: one that was not found but named has paths as they were typed."""
    to_file = target.file is not None
    root, cwd = project.root(context).as_posix(), context.cwd.as_posix()
    return Setting(
        version=__version__,
        exit_code=code,
        colour=not to_file and context.colour(context.stdout),
        width=80 if to_file else context.width(),
        tree=Tree(root=root, cwd=cwd, policy=root if policy in project.POLICY_FILES else cwd),
        links=Links.github(*(context.environ.get(name, "") for name in LINK_VARIABLES)),
    )
