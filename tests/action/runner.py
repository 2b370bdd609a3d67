"""GitHub's runner as far as a composite action meets it: executes action.yml step by step.

From the runner's sources (actions/runner: src/Runner.Worker/Handlers/ScriptHandler.cs and CompositeActionHandler.cs,
FileCommandManager.cs, ActionCommandManager.cs, ExecutionContext.cs). What it does not know it refuses.
"""

import os
import signal
import subprocess
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.action.expressions import condition, interpolate
from tests.output.runner_commands import Command, annotations, commands, lines

Outputs = dict[str, str]
Stub = Callable[[Mapping[str, str]], Outputs]
"""What stands for a `uses:`: its `with` to its outputs."""

MAX_SUMMARY_BYTES = 1024 * 1024
MAX_OUTPUT_CHARACTERS = 1024 * 1024
STEP_SECONDS = 300


class RunnerError(Exception):
    """The action does what the runner refuses, or what this runner does not know."""


@dataclass
class StepResult:
    """A step as the context `steps` and the log show it."""

    name: str
    outcome: str = "skipped"
    conclusion: str = "skipped"
    outputs: Outputs = field(default_factory=dict)
    log: str = ""
    summary: str = ""
    code: int | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)
    """What a `uses:` was given."""


@dataclass
class ActionResult:
    """What the job sees of the action."""

    steps: list[StepResult]
    outputs: Outputs
    conclusion: str
    log: str
    """As the runner shows it: masks applied."""
    raw: str
    environment: str
    """What was written to GITHUB_ENV and GITHUB_PATH, in all steps."""

    def step(self, name: str) -> StepResult:
        (found,) = [step for step in self.steps if step.name == name]
        return found

    @property
    def summary(self) -> str:
        return "".join(step.summary for step in self.steps)

    @property
    def annotations(self) -> list[Command]:
        """Ten of a type, counted over the whole action."""
        return annotations(self.raw)

    @property
    def commands(self) -> list[Command]:
        return list(commands(self.raw))


@dataclass(frozen=True, kw_only=True)
class Job:
    """Where the action runs. `github` is the context of that name, with the event's payload as `event`."""

    workspace: Path
    temporary: Path
    github: Mapping[str, Any]
    environ: Mapping[str, str]
    stubs: Mapping[str, Stub] = field(default_factory=dict)
    """By what stands before the `@` of `uses:`."""
    known: Mapping[str, Outputs] = field(default_factory=dict)
    """Outputs of steps, by id, that were run before and are not run again."""
    runner: Mapping[str, str] = field(default_factory=lambda: {"os": "Linux", "arch": "X64"})

    def run(self, action: Path, inputs: Mapping[str, str] | None = None) -> ActionResult:
        return _Action(self, action, dict(inputs or {})).run()


class _Action:
    def __init__(self, job: Job, action: Path, given: dict[str, str]) -> None:
        self.job = job
        self.folder = action
        self.definition = yaml.safe_load((action / "action.yml").read_text())
        self.runner = {**job.runner, "temp": str(job.temporary)}
        self.contexts: dict[str, Any] = {"github": job.github, "runner": self.runner, "steps": {}, "inputs": {}}
        self.failed = False
        self.masks: list[str] = []
        self.raw: list[str] = []
        self.environment = ""
        self.files = job.temporary / "_runner_file_commands"
        self.files.mkdir(parents=True, exist_ok=True)
        self.event = job.temporary / "_github_workflow" / "event.json"
        self.functions = {
            "always": lambda: True,
            "success": lambda: not self.failed,
            "failure": lambda: self.failed,
            "cancelled": lambda: False,
        }
        unknown = given.keys() - self.definition["inputs"].keys()
        if unknown:
            raise RunnerError(f"unexpected inputs {sorted(unknown)}")
        for name, each in self.definition["inputs"].items():
            value = given.get(name, "") or self._text(str(each.get("default", "")))
            self.contexts["inputs"][name] = value

    def run(self) -> ActionResult:
        runs = self.definition["runs"]
        if runs["using"] != "composite":
            raise RunnerError("not a composite action")
        steps = [self._step(step) for step in runs["steps"]]
        outputs = {name: self._text(each["value"]) for name, each in self.definition["outputs"].items()}
        raw = "\n".join(self.raw)
        log = raw
        for mask in sorted(self.masks, key=len, reverse=True):
            log = log.replace(mask, "***")
        conclusion = "failure" if self.failed else "success"
        return ActionResult(steps, outputs, conclusion, log, raw, self.environment)

    def _step(self, step: dict[str, Any]) -> StepResult:
        unknown = step.keys() - {
            *("name", "id", "if", "uses", "with", "run", "shell", "env", "working-directory", "continue-on-error")
        }
        if unknown:
            raise RunnerError(f"unknown keys of a step: {sorted(unknown)}")
        result = StepResult(step["name"])
        if condition(step.get("if", "success()"), self.contexts, self.functions):
            known = self.job.known.get(step.get("id", ""))
            if known is not None:
                result.outcome, result.outputs = "success", dict(known)
            elif "uses" in step:
                self._use(step, result)
            else:
                self._script(step, result)
            result.conclusion = result.outcome
            if result.outcome == "failure":
                if step.get("continue-on-error"):
                    result.conclusion = "success"
                else:
                    self.failed = True
        if "id" in step:
            self.contexts["steps"][step["id"]] = {
                "outputs": result.outputs,
                "outcome": result.outcome,
                "conclusion": result.conclusion,
            }
        return result

    def _use(self, step: dict[str, Any], result: StepResult) -> None:
        name, _, reference = step["uses"].partition("@")
        if len(reference) != 40:
            raise RunnerError(f"{step['uses']} is not pinned by a commit")
        result.arguments = {key: self._text(str(value)) for key, value in step["with"].items()}
        try:
            result.outputs = self.job.stubs[name](result.arguments)
            result.outcome = "success"
        except OSError as exc:
            result.log, result.outcome = str(exc), "failure"

    def _script(self, step: dict[str, Any], result: StepResult) -> None:
        if step["shell"] != "bash":
            raise RunnerError(f"unknown shell {step['shell']}")
        script = self.job.temporary / f"{uuid.uuid4()}.sh"
        script.write_text(self._text(step["run"]))
        names = ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE", "GITHUB_STEP_SUMMARY")
        files = {name: self.files / f"{name.lower()}_{uuid.uuid4()}" for name in names}
        for file in files.values():
            file.touch()
        folder = self._text(step.get("working-directory", "")) or str(self.job.workspace)
        own = {name: self._text(str(value)) for name, value in step.get("env", {}).items()}
        environ = {**self._environ(), **own, **{name: str(file) for name, file in files.items()}}
        command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)]
        result.code, result.log = _execute(command, folder, environ)
        result.outcome = "success" if result.code == 0 else "failure"
        self._obey(result)
        for path in ("GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE"):
            self.environment += files[path].read_text()
        try:
            result.outputs |= parse_file_commands(files["GITHUB_OUTPUT"].read_text(encoding="utf-8"))
        except RunnerError:
            result.outcome = "failure"
            raise
        summary = files["GITHUB_STEP_SUMMARY"].read_bytes()
        # A larger one is not shortened: it is not shown at all.
        result.summary = summary.decode() if len(summary) <= MAX_SUMMARY_BYTES else ""

    def _obey(self, result: StepResult) -> None:
        self.raw += lines(result.log)
        for command in commands(result.log):
            match command.name.lower():
                case "add-mask" if command.data:
                    self.masks.append(command.data)
                case "set-output":
                    result.outputs[command.properties["name"]] = command.data
                case "set-env" | "add-path" | "save-state" | "add-matcher":
                    self.environment += f"{command}\n"
                case _:
                    pass

    def _environ(self) -> dict[str, str]:
        github = self.job.github
        said = {
            f"GITHUB_{name.upper()}": str(value)
            for name, value in github.items()
            if isinstance(value, str) and name != "token"
        }
        own = {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(self.folder),
            "GITHUB_WORKSPACE": str(self.job.workspace),
            "RUNNER_TEMP": str(self.job.temporary),
            "RUNNER_OS": self.runner["os"],
            "RUNNER_ARCH": self.runner["arch"],
        }
        return {**self.job.environ, **said, **own}

    def _text(self, text: str) -> str:
        return interpolate(text, self.contexts, self.functions)


def parse_file_commands(text: str) -> Outputs:
    """`NAME=VALUE` and `NAME<<DELIMITER` blocks; the last value of a name counts. Raises RunnerError."""
    found: Outputs = {}
    rest = text.split("\n")
    while rest:
        line = rest.pop(0)
        if not line:
            continue
        equals, heredoc = line.find("="), line.find("<<")
        if equals >= 0 and (heredoc < 0 or equals < heredoc):
            name, value = line[:equals], line[equals + 1 :]
        elif heredoc >= 0:
            name, delimiter = line[:heredoc], line[heredoc + 2 :]
            if not name or not delimiter:
                raise RunnerError(f"Invalid format {line!r}. Name and delimiter must not be empty")
            if delimiter not in rest:
                raise RunnerError(f"Invalid value. Matching delimiter not found {delimiter!r}")
            end = rest.index(delimiter)
            value, rest = "\n".join(rest[:end]), rest[end + 1 :]
        else:
            raise RunnerError(f"Invalid format {line!r}")
        if not name:
            raise RunnerError(f"Invalid format {line!r}. Name must not be empty")
        found[name] = value
    if sum(map(len, found.values())) > MAX_OUTPUT_CHARACTERS:
        raise RunnerError("the outputs are larger than 1 MB")
    return found


def _execute(command: Sequence[str], folder: str, environ: Mapping[str, str]) -> tuple[int, str]:
    """Exit code, and stdout and stderr as one log."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=STEP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        raise RunnerError(f"a step took longer than {STEP_SECONDS} s: {output[-2000:]!r}") from None
    return process.returncode, output.decode("utf-8", "replace")
