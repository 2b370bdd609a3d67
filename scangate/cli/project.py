"""The project that scangate runs in: its policy file, its lockfiles."""

import argparse
import os
import stat
from collections.abc import Callable
from pathlib import Path

from scangate.cli.context import TYPE_CHECKING, Context
from scangate.errors import PolicyError

if TYPE_CHECKING:
    from scangate.changes.discovery import Discovery
    from scangate.models.lockfile import Lockfile
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
        return context.cwd / named, shown_name(named, context)
    folder = root(context)
    found = [name for name in POLICY_FILES if _exists(folder / name)]
    if len(found) > 1:
        raise PolicyError(f"{found[0]} and {found[1]}: two policies.", "Keep one of them.")
    return (folder / found[0], found[0]) if found else None


def shown_name(named: Path, context: Context) -> str:
    """How a policy is shown that `--policy` names: never as the one that is found at the repository's root."""
    inside_of_root = os.fspath(named) in POLICY_FILES and context.cwd != root(context)
    return f"./{named}" if inside_of_root else os.fspath(named)


def load_policy(
    named: Path | None, context: Context, *, on_read: Callable[[str], object] = lambda _path: None
) -> "Policy":
    """The policy that counts here. Raises PolicyError where a file is there and cannot be used.

    `on_read` is told of each file that it extends, by its path from the repository's root.
    """
    found = find_policy(named, context)
    if found is None:
        from scangate.policy import builtin

        return builtin.POLICY
    path, shown = found
    return load_text(read_policy(path, shown), path, shown, context, on_read=on_read)


def load_text(
    source: str | bytes,
    path: Path,
    shown: str,
    context: Context,
    *,
    on_read: Callable[[str], object] = lambda _path: None,
) -> "Policy":
    """The policy in a text that stands at `path`, or is to stand there. Raises PolicyError where it is none."""
    from scangate.policy import loader

    top = root(context)
    # A policy that is elsewhere extends what lies beside it.
    path = Path(os.path.normpath(path))
    home = top if path.is_relative_to(top) else path.parent
    inside = path.relative_to(home).as_posix()
    return loader.load(source, shown, read=_reader(home, on_read), path=inside)


def _reader(home: Path, on_read: Callable[[str], object]) -> Callable[[str], bytes | None]:
    """The files that a policy extends, by their paths from `home`. Raises PolicyError for one that leads out of it."""

    def read(name: str) -> bytes | None:
        on_read(name)
        path = home / name
        if not _exists(path):
            return None
        if not path.resolve().is_relative_to(home.resolve()):
            raise PolicyError(f"{name}: a link that leads out of the repository.", "Put the file itself there.")
        return read_policy(path, name)

    return read


def read_lockfiles(args: argparse.Namespace, policy: "Policy", context: Context) -> "tuple[Lockfile, ...]":
    """All lockfiles that are there, completely read. Raises LockfileError; UsageError where there is none."""
    from scangate import lockfiles
    from scangate.changes import discovery
    from scangate.lockfiles.examine import examine

    found = discovery.discover(
        args.paths,
        cwd=context.cwd,
        environ=context.environ,
        recognise=lockfiles.recognise,
        formats=lockfiles.FORMATS,
        exclude=policy.exclude,
        lockfile_as=args.lockfile_as,
    )
    candidates = found.lockfiles
    _say_left_out(found, context)
    named = discovery.named(candidates, args.paths, context.cwd)
    return examine(lockfiles.read_all(candidates, policy.registries, named=named), policy.registries)


def _say_left_out(found: "Discovery", context: Context) -> None:
    if not found.vendored and not found.repositories:
        return
    from scangate.cli import unseen

    vendored = unseen.vendored((one.path for one in found.vendored), since_base=False)
    for notice in (*vendored, *unseen.repositories(found.repositories)):
        context.warn(notice.message)


def root(context: Context) -> Path:
    """The repository's root; outside a repository, the working directory."""
    for folder in (context.cwd, *context.cwd.parents):
        if (folder / ".git").exists():
            return folder
    return context.cwd


def _exists(path: Path) -> bool:
    # A dangling link or a folder of that name is there, too: reading it then says what is wrong.
    return path.is_symlink() or path.exists()


def read_policy(path: Path, shown: str) -> bytes:
    """The file's bytes, one more than a policy may have at most: the loader judges them."""
    from scangate.policy.document import MAX_BYTES

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
