"""`scangate action`: what action.yml runs. A step's inputs to `scangate check`, its verdict to the step's outputs.

The inputs come as SCANGATE_INPUT_NAME, the runner's own variables as it sets them. The check is the same as anywhere.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scangate.changes.history import TOKEN_VARIABLE
from scangate.cli.context import Context
from scangate.cli.runner import Step
from scangate.errors import BaseError, ExitCode, ScangateError, UsageError
from scangate.models.analysis import OutcomeCode

PREFIX = "SCANGATE_INPUT_"

VERDICTS = {ExitCode.PASS: "pass", ExitCode.BLOCKED: "blocked", ExitCode.INCOMPLETE: "incomplete"}
"""The output `verdict` by exit code; every other one is NO_VERDICT."""

NO_VERDICT = "error"

COUNTS = ("blocked", "warned", "analysed", "not_analysed")

ON_BEHALF = ("workflow_run", "issue_comment")
"""Events with the default branch's rights, whose checkout may be somebody's proposal, and nothing says so."""

REPORTS = {"json": "report.json", "sarif": "scangate.sarif", "markdown": "report.md", "github": "annotations.txt"}
"""The formats that are written, and their files."""


def configure(parser: argparse.ArgumentParser) -> None:
    """It takes no options: everything comes from the environment."""


def run(_args: argparse.Namespace, context: Context) -> int:
    """The exit code of the check. Raises what it raises, when the outputs are written."""
    inputs, step = Inputs(context.environ), Step(context)
    step.mask(inputs.secret("api-key"))
    # What holds if this process does not get to its end.
    step.output("verdict", NO_VERDICT)
    try:
        return _check(inputs, step)
    except ScangateError as exc:
        step.output("verdict", VERDICTS.get(exc.exit_code, NO_VERDICT))
        step.error("scangate: no verdict", " ".join(part for part in (exc.message, exc.hint) if part))
        raise


@dataclass(frozen=True, slots=True)
class Inputs:
    """The action's inputs. One that was not given is empty, and leaves the choice to `scangate check`."""

    environ: Mapping[str, str]

    def secret(self, name: str) -> str:
        return self.environ.get(variable(name), "").strip()

    def text(self, name: str) -> str:
        """Raises UsageError where it could be taken for an option."""
        return _value(name, self.secret(name))

    def lines(self, name: str) -> tuple[str, ...]:
        """One value a line. Raises UsageError."""
        lines = (line.strip() for line in self.secret(name).splitlines())
        return tuple(_value(name, line) for line in lines if line)

    def words(self, name: str) -> tuple[str, ...]:
        """Values between commas, spaces or lines. Raises UsageError."""
        return tuple(_value(name, word) for word in self.secret(name).replace(",", " ").split())

    def flag(self, name: str, *, default: bool) -> bool:
        """Raises UsageError for anything but true and false: a slip must not switch something off."""
        value = self.secret(name).lower()
        if value not in ("", "true", "false"):
            raise UsageError(
                f"Input {name}: {value!r:.80} is neither true nor false.", "Write one of them, or nothing."
            )
        return value == "true" if value else default


def variable(name: str) -> str:
    """The environment variable that an input comes in."""
    return PREFIX + name.upper().replace("-", "_")


def arguments(inputs: Inputs, reports: Mapping[str, Path], event: str = "") -> list[str]:
    """The arguments of `scangate check` that the inputs stand for. Raises UsageError."""
    argv = ["--format=terminal", *(f"--format={name}={path}" for name, path in reports.items())]
    for name in ("policy", "base", "timeout", "rate"):
        value = inputs.text(name)
        argv += [f"--{name}={value}"] if value else []
    # Who proposes a change must not bring the policy along, whoever names the base.
    argv += ["--policy-from=base"] if inputs.text("base") and event in ON_BEHALF else []
    argv += [f"--engine={engine}" for engine in inputs.words("engines")]
    argv += ["--local"] if inputs.flag("local", default=False) else []
    argv += [] if inputs.flag("cache", default=True) else ["--no-cache"]
    return [*argv, "--", *inputs.lines("paths")]


def environment(inputs: Inputs) -> dict[str, str]:
    """The environment of the check: what the inputs say in the variables that it reads, and no inputs."""
    own = {name: value for name, value in inputs.environ.items() if not name.startswith(PREFIX)}
    if own.get("GITHUB_EVENT_NAME") in ON_BEHALF:
        # The default branch's commit, not the one that is checked: its lines are others.
        own.pop("GITHUB_SHA", None)
    key, url, token = (inputs.secret(name) for name in ("api-key", "api-url", "github-token"))
    if key:
        own.pop("SCANGATE_API_KEY_FILE", None)
        own["SCANGATE_API_KEY"] = key
    if url:
        own["SCANGATE_API_URL"] = url
    if token:
        own[TOKEN_VARIABLE] = token
    return own


def _check(inputs: Inputs, step: Step) -> int:
    """Whatever its end, the reports that there are by then are handed on."""
    from scangate.cli import check
    from scangate.cli.main import command_parser

    # Both are wrong now, not after the analysis; the comment is a later step's.
    for name in ("annotations", "summary", "comment"):
        inputs.flag(name, default=True)
    workspace = step.folder("GITHUB_WORKSPACE")
    context = _inside(inputs, step.context, workspace)
    _refuse_unknown_proposal(inputs, context)
    reports = _reports(inputs, step.folder("RUNNER_TEMP"), workspace)
    argv = arguments(inputs, reports, step.environ.get("GITHUB_EVENT_NAME", ""))
    args = command_parser("check").parse_args(argv)
    code = None
    try:
        code = check.run(args, context)
        return code
    finally:
        try:
            _hand_on(code, reports, inputs, step)
        except UsageError as exc:  # the exit code stands: a full disk must not hide what was found
            step.context.say(f"scangate: error: {exc.message}")


def _refuse_unknown_proposal(inputs: Inputs, context: Context) -> None:
    """Raises BaseError where another commit than the default branch's is checked, and would bring its own policy."""
    from scangate.changes.git import Git, GitError

    event = inputs.environ.get("GITHUB_EVENT_NAME", "")
    if event not in ON_BEHALF or inputs.text("base"):
        return
    try:
        head = Git(context.cwd, context.environ).run("rev-parse", "HEAD").decode("ascii").strip()
    except GitError:
        head = ""
    if head != inputs.environ.get("GITHUB_SHA"):
        raise BaseError(
            f"The event is {event}, and what is checked out is not the default branch's commit (GITHUB_SHA): it may "
            "be what somebody proposes, with a policy of their own.",
            "Name what it is proposed for with the input base, as docs/ci/github-fork.yml does: its policy decides.",
        )


def _inside(inputs: Inputs, context: Context, workspace: Path) -> Context:
    """The same context in the input's folder, with the environment of the check. Raises UsageError."""
    named = inputs.text("working-directory")
    # Places are told from the repository's root: no detour may hide where that is.
    folder = (workspace / named).resolve()
    if not folder.is_dir():
        raise UsageError(
            f"Input working-directory: there is no folder {named!r:.200} in the workspace.",
            "Is there a step with actions/checkout before this one?",
        )
    if not folder.is_relative_to(workspace.resolve()):
        # A change can put a link there: to what is no part of the repository, and harmless.
        raise UsageError(
            f"Input working-directory: {named!r:.200} leads outside of the workspace.",
            "Name a folder of the repository; a link in it may not lead out of it.",
        )
    return Context(
        environ=environment(inputs),
        cwd=folder,
        stdout=context.stdout,
        stderr=context.stderr,
        now=context.now,
        monotonic=context.monotonic,
    )


def _reports(inputs: Inputs, temporary: Path, workspace: Path) -> dict[str, Path]:
    """Where each format goes: a new folder of the runner's temporary one, and SARIF to where the input says."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="scangate-reports-", dir=temporary))
    except OSError as exc:
        raise UsageError(f"RUNNER_TEMP cannot be written: {exc.strerror}.", "Look at the runner's disk.") from exc
    reports = {name: folder / file for name, file in REPORTS.items()}
    named = inputs.text("sarif-file")
    return reports | ({"sarif": workspace / named} if named else {})


def _hand_on(code: int | None, reports: Mapping[str, Path], inputs: Inputs, step: Step) -> None:
    """`code` is None where the check did not get to its end."""
    if not reports["json"].is_file():
        return  # there was no verdict to write
    if code is not None:
        step.output("verdict", VERDICTS.get(ExitCode(code), NO_VERDICT))
    for name in ("json", "sarif", "markdown"):
        if reports[name].is_file():
            step.output(f"report-{name}", os.fspath(reports[name]))
    if inputs.flag("annotations", default=True):
        step.write(_read(reports["github"]))
    if inputs.flag("summary", default=True):
        step.summarise(_read(reports["markdown"]))
    document = json.loads(reports["json"].read_bytes())
    for name in COUNTS:
        step.output(name.replace("_", "-"), str(document["counts"][name]))
    if _lacks_key(document["packages"]):
        step.error("scangate: no API key", no_key(step.environ))


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _lacks_key(packages: Sequence[Mapping[str, Sequence[Mapping[str, str]]]]) -> bool:
    outcomes = (outcome["code"] for package in packages for outcome in package["outcomes"])
    return OutcomeCode.NO_CREDENTIALS in outcomes


def no_key(environ: Mapping[str, str]) -> str:
    """Why this run has no key, as far as the event says it, and what to do."""
    from scangate.changes import event as events

    try:
        event = events.read(environ.get("GITHUB_EVENT_PATH", ""))
    except BaseError:
        event = events.Event({})
    author = event.ref("pull_request", "user", "login")
    source = event.ref("pull_request", "head", "repo", "full_name")
    if "dependabot[bot]" in (author, environ.get("GITHUB_ACTOR")):
        why = "Runs that Dependabot starts see its own secrets alone: store the key there, too, or set `local: true`."
    elif source is not None and source != environ.get("GITHUB_REPOSITORY"):
        why = (
            "The pull request comes from a fork, and GitHub gives its runs no secrets. Set `local: true`: the runner "
            "itself analyses. Or have it analysed after this run, as docs/ci/github-fork.yml does."
        )
    else:
        why = "The input api-key is empty: does the secret exist, and may this run read it? Or set `local: true`."
    return f"There is no API key, so packages were not analysed: this is no finding. {why}"


def _value(name: str, text: str) -> str:
    if text.startswith("-"):
        raise UsageError(f"Input {name}: {text!r:.80} looks like an option.", "Inputs take values alone.")
    return text
