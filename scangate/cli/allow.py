"""`scangate allow`: adds an exception to the project's policy; all else in the file stays as it was written."""

import argparse
import os
import re
import stat
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from scangate.cli import project
from scangate.cli.context import Context
from scangate.errors import ExitCode, PolicyError, UsageError
from scangate.models.observations import Observation, PackagePresent

if TYPE_CHECKING:
    from scangate.cli.lastrun import LastRun

MAX_DAYS = 3650
MAX_EVIDENCE = 100
"""Observations that an entry is pinned to; nobody reads more of them in a policy."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("package", metavar="PURL", help="the package, with its exact version")
    parser.add_argument("rules", metavar="RULE", nargs="+", help="the rules whose findings are excepted")
    parser.add_argument("--reason", metavar="TEXT", required=True, help="why, for those who read the policy")
    parser.add_argument("--owner", metavar="NAME", required=True, help="who answers for it")
    parser.add_argument(
        "--expires", metavar="DATE|DAYSd", required=True, help="the day on which it ends, 2027-06-30, or in days: 90d"
    )
    parser.add_argument(
        "--any-evidence",
        action="store_true",
        help="except whatever the rules find (default: what they found in the last run, and nothing new)",
    )
    parser.add_argument(
        "--every-version", action="store_true", help="for every version of the package, also those to come"
    )
    parser.add_argument(
        "--verdict",
        metavar="FILE",
        type=Path,
        help="a verdict that another machine kept (`--format json=FILE`), instead of the last run in this project",
    )


def run(args: argparse.Namespace, context: Context) -> int:
    """Writes the policy file of this project, and nothing else."""
    from scangate.cli import lastrun
    from scangate.policy import edit

    policy = project.load_policy(None, context)
    for name in args.rules:
        policy.rule(name)
    key = _key(args.package, every_version=args.every_version)
    last = lastrun.handed_in(args.verdict, context) if args.verdict else lastrun.load(context)
    entry = edit.NewEntry(
        target=f"{key}@*" if args.every_version else key,
        rules=tuple(dict.fromkeys(args.rules)),
        reason=_sentence("--reason", args.reason),
        owner=_sentence("--owner", args.owner),
        expires=_day(args.expires, context.now().date()),
        evidence=() if args.any_evidence else _evidence(key, args.rules, last, every_version=args.every_version),
    )
    path, shown = _file(context)
    made = not os.path.lexists(path)
    old = edit.NEW if made else _text(path, shown)
    new = edit.add_allow(old, shown, entry)
    where = _proven(new, path, shown, context)
    _write(path, new, made=made)
    context.say(f"scangate: {'made' if made else 'changed'} {shown}: {where} excepts {entry.target}.")
    return ExitCode.PASS


# ------------------------------------------------------------------------------------------------ what is asked


def _key(package: str, *, every_version: bool) -> str:
    """The purl in its canonical form; a package without one by its key. Raises UsageError, PurlError."""
    from scangate import purls

    if not package.startswith("pkg:"):
        return package  # the loader knows which keys there are
    purl = purls.parse(package)
    if every_version and purl.version is not None:
        raise UsageError(f"{package} --every-version: it names one version.", "Leave out the version, or the option.")
    if not every_version and purl.version is None:
        raise UsageError(
            f"{package}: it names no version.",
            "Write it with its version, PURL@VERSION; `--every-version` is for all, also those that nobody has seen.",
        )
    return str(purl)


def _sentence(option: str, text: str) -> str:
    if not text.strip():
        raise UsageError(f"{option}: nothing stands there.", "Those who read the policy want to know.")
    return text.strip()


def _day(text: str, today: date) -> date:
    hint = "Write a day to come, YYYY-MM-DD, or days from today, e.g. 90d."
    if days := re.fullmatch(r"([1-9][0-9]{0,3})d", text):
        day = today + timedelta(days=int(days[1]))
    else:
        try:
            day = date.fromisoformat(text)
        except ValueError as exc:
            raise UsageError(f"--expires {text}: not a day.", hint) from exc
    if day <= today:
        raise UsageError(f"--expires {text}: that day has come.", hint)
    if day > today + timedelta(days=MAX_DAYS):
        raise UsageError(f"--expires {text}: more than ten years away.", "An exception is to be looked at again.")
    return day


def _evidence(
    key: str, rules: Sequence[str], last: "LastRun | None", *, every_version: bool
) -> tuple[Observation, ...]:
    """What the rules found in the last run. Raises UsageError where they found nothing there, or too much."""
    package = None if last is None or every_version else last.verdict.packages.get(key)
    found = {finding.rule: finding for finding in package.findings} if package is not None else {}
    unknown = [rule for rule in rules if rule not in found]
    if unknown:
        why = "the versions to come have not been seen" if every_version else "the last run found nothing of the kind"
        raise UsageError(
            f"{key}: what {', '.join(unknown)} would except is not known: {why}.",
            "Run `scangate check` first; `--any-evidence` excepts whatever the rule finds, now and later.",
        )
    seen = [each for rule in dict.fromkeys(rules) for each in found[rule].evidence]
    # That a package is there at all is what the entry's purl says already.
    evidence = tuple(dict.fromkeys(each for each in seen if not isinstance(each, PackagePresent)))
    if len(evidence) > MAX_EVIDENCE:
        raise UsageError(
            f"{key}: {len(evidence)} observations, more than {MAX_EVIDENCE}, are too many to pin an entry to.",
            "Except fewer rules at once, or write `--any-evidence`.",
        )
    return evidence


# ---------------------------------------------------------------------------------------------------- the file


def _file(context: Context) -> tuple[Path, str]:
    """The project's policy file, or where it will be. Raises UsageError where a link leads elsewhere."""
    root = project.root(context)
    path, shown = project.find_policy(None, context) or (root / project.POLICY_FILES[0], project.POLICY_FILES[0])
    if path.is_symlink() or not path.parent.resolve().is_relative_to(root.resolve()):
        raise UsageError(f"{shown} is a link, and links are not written through.", "Change the file that it leads to.")
    return path, shown


def _text(path: Path, shown: str) -> str:
    try:
        return project.read_policy(path, shown).decode("utf-8")
    except UnicodeDecodeError as exc:  # the loader has taken it: it cannot have changed by chance
        raise PolicyError(f"{shown}: not UTF-8.", "Save it as UTF-8.") from exc


def _proven(text: str, path: Path, shown: str, context: Context) -> str:
    """The place of the entry in the new text. Nothing is written where this raises: PolicyError where it is
    no policy, UsageError where an earlier entry says as much."""
    from scangate.models.verdict import NoticeCode
    from scangate.policy.exceptions import Exceptions

    try:
        after = project.load_text(text, path, shown, context)
    except PolicyError as exc:
        hint = f"{exc.hint} Nothing was written. If the evidence cannot be pinned, write `--any-evidence`."
        raise PolicyError(f"The entry cannot be added: {exc.message}", hint.strip()) from exc
    notices = Exceptions(after, context.now().date()).notices(whole=False)
    shadowed = [
        each for each in notices if each.code is NoticeCode.ALLOW_SHADOWED and each.where == after.allow[-1].place
    ]
    if shadowed:
        hint = "Nothing was written. For a later day change that entry's `expires`."
        raise UsageError(f"The exception is there already: {shadowed[0].message}", hint)
    # What a file extends comes first, and what it adds behind that.
    return after.allow[-1].place


def _write(path: Path, text: str, *, made: bool) -> None:
    """Whole or not at all, with the rights that the file had; one that has come there since is not overwritten."""
    from scangate.cli.formats import write_atomically

    try:
        if made:
            with path.open("x", encoding="utf-8", newline="") as file:
                file.write(text)
            return
        mode = stat.S_IMODE(path.stat().st_mode)
        write_atomically(path, text)
        path.chmod(mode)
    except OSError as exc:
        raise UsageError(f"{path}: cannot be written: {exc.strerror or exc}.", "Check the folder's rights.") from exc
