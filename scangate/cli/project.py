"""The project that scangate runs in: its policy file, its lockfiles."""

import argparse
import os
import stat
from pathlib import Path

from scangate.cli.context import Context
from scangate.errors import PolicyError
from scangate.models import Lockfile
from scangate.policy.document import MAX_BYTES
from scangate.policy.model import Policy

POLICY_FILES = ("scangate.yml", ".github/scangate.yml")


def add_options(parser: argparse.ArgumentParser) -> None:
    """PATH… and the options that decide what is read."""
    parser.add_argument(
        "paths", metavar="PATH", nargs="*", help="lockfiles, or directories to search (default: the working directory)"
    )
    parser.add_argument(
        "--lockfile-as", metavar="FORMAT", help="read the files named by PATH as FORMAT, where their names say nothing"
    )
    add_policy_option(parser)


def add_policy_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--policy",
        metavar="FILE",
        type=Path,
        help="the policy (default: scangate.yml or .github/scangate.yml at the repository's root, else built in)",
    )


def find_policy(named: Path | None, context: Context) -> tuple[Path, str] | None:
    """The policy file and how it is shown; None for the built-in policy. Raises PolicyError."""
    if named is not None:
        return context.cwd / named, str(named)
    folder = root(context)
    found = [name for name in POLICY_FILES if _exists(folder / name)]
    if len(found) > 1:
        raise PolicyError(f"{found[0]} and {found[1]}: two policies", "Keep one of them.")
    return (folder / found[0], found[0]) if found else None


def load_policy(named: Path | None, context: Context) -> Policy:
    """The policy that counts here. Raises PolicyError where a file is there and cannot be used."""
    from scangate.policy import loader

    found = find_policy(named, context)
    if found is None:
        return loader.default()
    path, shown = found
    return loader.load(_read_policy(path, shown), shown)


def read_lockfiles(args: argparse.Namespace, policy: Policy, context: Context) -> tuple[Lockfile, ...]:
    """All lockfiles that are there, completely read. Raises LockfileError; UsageError where there is none."""
    from scangate import lockfiles
    from scangate.changes import discovery
    from scangate.lockfiles import confusion, undeclared

    candidates = discovery.discover(
        args.paths,
        cwd=context.cwd,
        environ=context.environ,
        recognise=lockfiles.recognise,
        formats=lockfiles.FORMATS,
        exclude=policy.exclude,
        lockfile_as=args.lockfile_as,
    )
    asked_for = {os.path.abspath(context.cwd / path) for path in args.paths}  # noqa: PTH100 - as discovery has it
    named = frozenset(one.path for one in candidates if os.path.abspath(context.cwd / one.path) in asked_for)  # noqa: PTH100 - as above
    found = confusion.tie_private_names(lockfiles.read_all(candidates, policy.registries, named=named))
    return undeclared.flag_registries(found, policy.registries)


def root(context: Context) -> Path:
    """The repository's root; outside a repository, the working directory."""
    for folder in (context.cwd, *context.cwd.parents):
        if (folder / ".git").exists():
            return folder
    return context.cwd


def _exists(path: Path) -> bool:
    # A dangling link or a folder of that name is there, too: reading it then says what is wrong.
    return path.is_symlink() or path.exists()


def _read_policy(path: Path, shown: str) -> bytes:
    """The file's bytes, one more than a policy may have at most: the loader judges them."""
    try:
        # A FIFO of that name in the workspace must not make the run wait.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise PolicyError(f"{shown}: it is not an ordinary file.", "Name a file with --policy.")
            return file.read(MAX_BYTES + 1)
    except OSError as exc:
        reason = exc.strerror or type(exc).__name__
        raise PolicyError(
            f"{shown}: cannot be read: {reason}.", "Mend the file, or name another with --policy."
        ) from exc
