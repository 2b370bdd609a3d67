"""`scangate init`: a first policy, fitted to the lockfiles that are here, and on request the workflow and the hook."""

import argparse
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scangate import __version__
from scangate.cli import project
from scangate.cli.context import Context
from scangate.errors import ExitCode, LockfileError, UsageError
from scangate.models.lockfile import Ecosystem, Kind, Lockfile
from scangate.output import escape
from scangate.registries import ALL_PUBLIC_HOSTS, NO_REGISTRIES

WORKFLOW_FILE = ".github/workflows/scangate.yml"
HOOK_FILE = ".pre-commit-config.yaml"

_LISTED = 20
"""Lockfiles, hosts and names that the policy's comments list, at most."""


@dataclass(frozen=True, slots=True)
class NewFile:
    path: Path
    shown: str
    text: str


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workflow", action="store_true", help=f"also write a workflow for GitHub, {WORKFLOW_FILE}")
    parser.add_argument(
        "--hook",
        action="store_true",
        help=f"also write {HOOK_FILE} for pre-commit; where there is one, print the entry to add to it",
    )


def run(args: argparse.Namespace, context: Context) -> int:
    """Nothing is overwritten, and nothing is written where one of the files is there already."""
    root = project.root(context)
    hooked = os.path.lexists(root / HOOK_FILE)
    files = [_new(root, project.POLICY_FILES[0], policy_text(_lockfiles(context)))]
    if args.workflow:
        files.append(_new(root, WORKFLOW_FILE, workflow_text()))
    if args.hook and not hooked:
        files.append(_new(root, HOOK_FILE, hook_text()))
    _refuse_existing(root, files)
    for file in files:
        _write(file)
        context.say(f"scangate: wrote {file.shown}")
    if args.hook and hooked:
        context.say(f"scangate: {HOOK_FILE} is there already; add this under its `repos`:")
        context.stdout.write(hook_text().partition("repos:\n")[2])
        context.stdout.flush()
    context.say("scangate: read it, commit it; `scangate policy check` says whether it is right.")
    return ExitCode.PASS


def _lockfiles(context: Context) -> tuple[Lockfile, ...]:
    """All that are here. Raises LockfileError where one cannot be read."""
    from scangate import lockfiles
    from scangate.changes import discovery

    try:
        found = discovery.discover(
            (),
            cwd=project.root(context),
            environ=context.environ,
            recognise=lockfiles.recognise,
            formats=lockfiles.FORMATS,
            may_be_empty=True,
        ).lockfiles
        return lockfiles.read_all(found, NO_REGISTRIES) if found else ()
    except LockfileError as exc:
        hint = "Mend it first, or keep it out: write `exclude` into a scangate.yml of your own."
        raise UsageError(f"no policy can be fitted: {exc.message}", exc.hint or hint) from exc


# ------------------------------------------------------------------------------------------------------ texts


def policy_text(lockfiles: Sequence[Lockfile]) -> str:
    """A policy that changes nothing yet; comments say what can be changed, and what is here."""
    from scangate.policy.json_schema import URL

    return "".join(
        (
            f"# yaml-language-server: $schema={URL}\n",
            "# The policy of `scangate check`. docs/policy.md of scangate explains every key; `scangate policy show`\n",
            "# prints all that holds, and who decided it.\n",
            *(f"# {line}\n" for line in _found(lockfiles)),
            _START,
            *_registries(lockfiles),
            _REST,
        )
    )


_START = """version: 1

# The built-in rules hold. What stands in this file changes them and adds to them.
extends: default

# `observe` gives the whole verdict and lets every run pass: for the first days in an old project.
mode: enforce

# Which analyses are asked for. `lastpymile` compares a release with its source repository (npm and PyPI).
engines: [dynamic-analysis]

"""

_REST = """
# Lockfiles that do not count, as globs of their paths.
# exclude: ["examples/**"]

# What findings do, by severity: deny (the run fails), warn, note.
# actions: {medium: deny}

# What it does that something could not be analysed: fail, warn, note.
# outcomes: {pending: warn}

# Rules of your own, and other actions for built-in ones. A test for each can stand under `tests`.
# rules:
#   - {id: net-ip-echo, action: deny}

# Exceptions are written by `scangate allow PURL RULE --reason … --owner … --expires 90d`.
"""


def _found(lockfiles: Sequence[Lockfile]) -> Iterator[str]:
    if not lockfiles:
        yield "There was no lockfile here when this was written."
        return
    yield "Lockfiles here when this was written:"
    for one in lockfiles[:_LISTED]:
        known = "" if one.supported else ", which this version of scangate cannot read yet"
        yield escape.terminal(f"  {escape.shorten(one.path, 100)} ({one.format}{known})")
    if len(lockfiles) > _LISTED:
        yield f"  and {len(lockfiles) - _LISTED} more"


def _registries(lockfiles: Sequence[Lockfile]) -> Iterator[str]:
    """Proposed, not written: whether a host that a lockfile names is one's own, only its owner can say."""
    hosts = _hosts(lockfiles)
    if not hosts:
        yield "# Mirrors of the public registry; and private registries, from which nothing is ever sent.\n"
        yield "# registries:\n#   mirrors: [npm-mirror.example.com]\n#   private:\n"
        yield '#     - {host: npm.acme.example, names: ["@acme/*"]}\n'
        return
    yield "# The lockfiles name these hosts. Take out the `#` where one is a private registry of yours: nothing that\n"
    yield "# comes from there is ever sent. A mirror of the public registry goes under `mirrors: [HOST]` instead.\n"
    yield "# registries:\n#   private:\n"
    for host, names in list(hosts.items())[:_LISTED]:
        listed = ", ".join(f'"{name}"' for name in names)
        tied = f", names: [{listed}]" if listed else ""
        yield f"#     - {{host: {host}{tied}}}\n"


def _hosts(lockfiles: Iterable[Lockfile]) -> Mapping[str, Sequence[str]]:
    """By host that is no public registry: globs of the names that come from there, as far as both can be written."""
    import re

    from scangate.policy.shapes import HOST_AND_PORT

    found: dict[str, dict[str, None]] = {}
    for entry in (each for one in lockfiles for each in one.dependencies):
        host = entry.registry
        if entry.kind not in (Kind.PRIVATE_REGISTRY, Kind.URL) or host is None or host in ALL_PUBLIC_HOSTS:
            continue
        if re.fullmatch(HOST_AND_PORT.pattern, host) and len(host) < 200:
            found.setdefault(host, {})[_glob(entry.ecosystem, entry.name)] = None
    plain = re.compile(r"[@A-Za-z0-9._/*-]{1,100}\Z")
    return {
        host: [name for name in sorted(names) if plain.match(name)][:_LISTED] for host, names in sorted(found.items())
    }


def _glob(ecosystem: Ecosystem, name: str) -> str:
    scope, slash, _ = name.partition("/")
    return f"{scope}/*" if ecosystem is Ecosystem.NPM and slash and scope.startswith("@") else name


def workflow_text() -> str:
    """docs/ci/github-minimal.yml; that folder has more, for code scanning, comments, merge queues, forks."""
    return _WORKFLOW


def hook_text() -> str:
    return f"""repos:
  - repo: https://github.com/scangate/scangate
    rev: v{__version__}
    hooks:
      - id: scangate
      - id: scangate-push
"""


_WORKFLOW = """# The gate: what a change brings in is analysed before it is merged.
name: scangate
on:
  pull_request:
  push:
    branches: [main] # keeps the reports for the pull requests to come
permissions:
  contents: read
concurrency:
  # A newer run of a pull request takes the place of an older one. No push is left out: each is compared with its last.
  group: scangate-${{ github.event_name == 'pull_request' && github.ref || github.run_id }}
  cancel-in-progress: ${{ github.event_name == 'pull_request' }}
jobs:
  scangate:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0
        with:
          fetch-depth: 2 # the merge commit and its first parent: what the pull request is compared with
          persist-credentials: false
      - uses: scangate/scangate@v0.1.0 # zizmor: ignore[unpinned-uses] put the commit of the release that you take here
        with:
          api-key: ${{ secrets.SCANGATE_API_KEY }}
"""


# -------------------------------------------------------------------------------------------------------- disk


def _new(root: Path, name: str, text: str) -> NewFile:
    return NewFile(root / name, name, text)


def _refuse_existing(root: Path, files: Sequence[NewFile]) -> None:
    """Raises UsageError where a file is there, or its folder leads out of the repository."""
    taken = [name for name in project.POLICY_FILES if os.path.lexists(root / name)]
    taken += [file.shown for file in files[1:] if os.path.lexists(file.path)]
    if taken:
        raise UsageError(
            f"{taken[0]} is there already, and nothing is overwritten.",
            "Edit it, or move it away first. `scangate policy check` says whether a policy is right.",
        )
    for file in files:
        if not file.path.parent.resolve().is_relative_to(root.resolve()):
            raise UsageError(f"{file.shown}: its folder is a link out of the repository.", "Nothing was written.")


def _write(file: NewFile) -> None:
    try:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        # Exclusively: what came there since, a link included, is neither overwritten nor followed.
        with file.path.open("x", encoding="utf-8", newline="\n") as opened:
            opened.write(file.text)
    except OSError as exc:
        reason = exc.strerror or type(exc).__name__
        raise UsageError(f"{file.shown}: cannot be written: {reason}.", "Check the folder's rights.") from exc
