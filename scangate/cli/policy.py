"""`scangate policy`: the policy itself, without any package: is it right, what does it say, do its tests hold?"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from scangate.cli import project
from scangate.cli.context import Context
from scangate.errors import ExitCode, PolicyError, PolicyProblem, UsageError
from scangate.models.verdict import Action

if TYPE_CHECKING:
    from scangate.models.verdict import PolicyNotice
    from scangate.policy.cases import Case
    from scangate.policy.model import Policy
    from scangate.policy.trial import Result

TEST_FILES = ("scangate-tests.yml", "*.test.yml")
"""Beside the policy."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action",
        choices=("check", "show", "test"),
        help="check: say what is wrong in the policy, with file:line:column; show: the policy that holds, or one rule"
        f" of it; test: run its tests, those under `tests` in it and those in {' and '.join(TEST_FILES)} beside it",
    )
    parser.add_argument(
        "what",
        metavar="FILE|RULE",
        nargs="?",
        help="check and test: the policy (default: as --policy); show: a rule's name (default: all that holds)",
    )
    parser.add_argument(
        "--tests",
        metavar="FILE",
        action="append",
        type=Path,
        default=[],
        help="test: take the tests from FILE, instead of those beside the policy; may be given several times",
    )
    project.add_policy_option(parser)


def run(args: argparse.Namespace, context: Context) -> int:
    if args.tests and args.action != "test":
        raise UsageError("--tests goes with `scangate policy test` alone.", "Leave it out.")
    if args.action == "show":
        return _show(args.what, args.policy, context)
    if args.what is not None and args.policy is not None:
        raise UsageError(f"{args.what} and --policy {args.policy}: two policies.", "Name one of them.")
    named = args.policy if args.what is None else Path(args.what)
    return _check(named, context) if args.action == "check" else _test(named, args.tests, context)


# ------------------------------------------------------------------------------------------------------ check


def _check(named: Path | None, context: Context) -> int:
    """One line a problem on stdout, for people and for editors; 2 where there is an error."""
    found = project.find_policy(named, context)
    if found is None:
        raise UsageError("there is no policy file here: the built-in policy holds.", "`scangate init` writes one.")
    try:
        policy = project.load_policy(named, context)
        cases = _own_cases(found[0], found[1])
        _refuse_unknown(cases, policy)
    except PolicyError as exc:
        if not exc.problems:
            raise
        for problem in exc.problems:
            context.show(f"{problem}. {problem.hint}".strip())
        raise PolicyError(f"{found[1]}: it cannot be used.", "Mend what stands above.") from exc
    lints = _lints(policy, context)
    for each in lints:
        context.show(f"{each.where}: {_LINT_WORDS[each.action]}: {each.message} ({each.code})")
    if denied := sum(each.action is Action.DENY for each in lints):
        hint = "Mend what stands above, or give its code another action under `lints`."
        raise PolicyError(f"{found[1]}: {denied} of its entries are what its `lints` deny.", hint)
    warnings = sum(each.action is Action.WARN for each in lints)
    counted = [(len(policy.rules), "rules"), (len(policy.allow), "exceptions"), (len(cases), "tests in it")]
    context.show(f"{found[1]}: no errors, {warnings} warnings; {', '.join(f'{n} {what}' for n, what in counted)}.")
    return ExitCode.PASS


_LINT_WORDS = {Action.DENY: "error", Action.WARN: "warning", Action.NOTE: "note"}


def _lints(policy: "Policy", context: Context) -> "tuple[PolicyNotice, ...]":
    """What a run would say of the policy's own entries, as far as no package is needed to know."""
    from scangate.policy.decision import standing_notices
    from scangate.policy.exceptions import Exceptions

    return (*Exceptions(policy, context.now().date()).notices(whole=False), *standing_notices(policy))


# ------------------------------------------------------------------------------------------------------- show


def _show(rule: str | None, named: Path | None, context: Context) -> int:
    from scangate.policy import show

    policy = project.load_policy(named, context)
    if rule is None:
        context.show(*show.policy(policy))
        return ExitCode.PASS
    context.show(*show.rule(policy.rule(rule), policy), *_examples(rule, named, context))
    return ExitCode.PASS


def _examples(rule: str, named: Path | None, context: Context) -> Iterator[str]:
    """What the tests say of a rule: the built-in policy's, and those in and beside the policy."""
    from scangate.output.evidence import describe
    from scangate.policy.cases import OneRule
    from scangate.policy.show import observations

    beside = _cases(project.find_policy(named, context), (), context)
    cases = [*_built_in_cases(rule), *(case for _, case in beside)]
    for matches, title in ((True, "matches"), (False, "spares")):
        own = [case for case in cases if case.expected == OneRule(rule=rule, matches=matches)]
        if own:
            yield f"{title}:"
        for case in own:
            yield f"  - {'; '.join(describe(each) for each in observations(case.subject))}"


# ------------------------------------------------------------------------------------------------------- test


def _test(named: Path | None, files: Sequence[Path], context: Context) -> int:
    """1 where a test fails; 2 where there is none, or one cannot be read."""
    from scangate.policy import trial

    policy = project.load_policy(named, context)
    found = project.find_policy(named, context)
    cases = _cases(found, files, context)
    if found is None and not files and not cases:
        cases = [(context.cwd, case) for case in _built_in_cases()]
    if not cases:
        hint = f"Write some under `tests` in the policy, or in {TEST_FILES[0]} beside it."
        raise UsageError(f"{policy.where}: there are no tests of it.", hint)
    _refuse_unknown([case for _, case in cases], policy)
    ready = [_with_report(case, folder, policy, context) for folder, case in cases]
    results = trial.run(ready, policy, today=context.now().date())
    failed = [result for result in results if result.problems]
    context.show(*(line for result in failed for line in _failure(result)))
    context.show(f"{policy.where}: {len(results)} tests, {len(failed)} failed.")
    return ExitCode.BLOCKED if failed else ExitCode.PASS


def _failure(result: "Result") -> Iterator[str]:
    case = result.case
    for problem in result.problems:
        yield f"{case.where}: {f'{case.name}: ' if case.name else ''}{problem}"


def _cases(found: tuple[Path, str] | None, files: Sequence[Path], context: Context) -> "list[tuple[Path, Case]]":
    """The tests in the policy, and those in `files` or else beside it; the folder of each. Raises PolicyError."""
    from scangate.policy import cases
    from scangate.reports import dynamic

    folder = project.root(context) if found is None else found[0].parent
    read = [] if found is None else [(folder, case) for case in _own_cases(*found)]
    beside = sorted({path for pattern in TEST_FILES for path in folder.glob(pattern)})
    for path in [context.cwd / file for file in files] or beside:
        shown = _shown(path, context)
        content = project.read_policy(path, shown)
        read += [(path.parent, case) for case in cases.read(content, shown, classify=dynamic.classified)]
    return read


def _own_cases(path: Path, shown: str) -> "tuple[Case, ...]":
    from scangate.policy import cases
    from scangate.reports import dynamic

    return cases.read(project.read_policy(path, shown), shown, classify=dynamic.classified, in_policy=True)


def _built_in_cases(rule: str | None = None) -> "list[Case]":
    from scangate.policy import cases
    from scangate.reports import dynamic

    return list(cases.built_in(classify=dynamic.classified, rule=rule))


def _refuse_unknown(cases: "Sequence[Case]", policy: "Policy") -> None:
    """Raises PolicyError where a test names a rule that there is none of: it would hold for ever."""
    from scangate.policy import suggest, trial

    problems = [
        PolicyProblem(file, int(line), 1, *suggest.no_rule(rule, (each.id for each in policy.rules)))
        for case, rule in trial.unknown_rules(cases, policy)
        for file, _, line in [case.where.rpartition(":")]
    ]
    if problems:
        raise PolicyError.of(problems)


def _with_report(case: "Case", folder: Path, policy: "Policy", context: Context) -> "Case":
    """The case, with what its report shows. Raises UsageError where the report cannot be read."""
    from scangate import pipeline
    from scangate.cli.evaluate import read_report
    from scangate.models.analysis import AnalysisRequest, Report
    from scangate.reports import reader

    if case.report is None:
        return case
    payload = read_report(folder / case.report, f"{case.where}: {case.report}")
    purl = case.package or reader.identify(payload).purl
    request = AnalysisRequest(purl=purl, engine=reader.engine_of(payload))
    # A recorded report is as old as it is: what is tested is what the policy makes of it.
    setup = pipeline.Run(
        policy=policy._replace(max_report_age=100 * 365),
        engines=(),
        now=context.now(),
        elapsed=context.stopwatch(),
        analyser_name="tests",
    )
    seen = pipeline.observe(setup, request, Report(payload=payload), as_named=case.package is None)
    about = pipeline.subject_of(purl, (seen,))
    entries = tuple(
        entry._replace(ecosystem=about.ecosystem, name=about.name, version=about.version, purl=about.purl)
        for entry in case.subject.dependencies
    )
    told = case.subject
    return replace(case, subject=about._replace(dependencies=entries, changes=told.changes, earlier=told.earlier))


def _shown(path: Path, context: Context) -> str:
    root = project.root(context)
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
