"""action.yml and the files of docs/ci as texts: what they must and must not say; what judges them does judge."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from scangate.cli.action import variable
from scangate.cli.formats import FORMATS
from scangate.cli.main import command_parser
from tests.action.expressions import condition, interpolate
from tests.action.planted import plant
from tests.conftest import ROOT
from tools import ci_files

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
CI = ROOT / "docs" / "ci"
WORKFLOWS = sorted(CI.glob("github-*.yml"))

INPUTS = {
    *("api-key", "api-url", "policy", "paths", "base", "engines", "timeout", "rate", "local", "cache", "comment"),
    *("github-token", "sarif-file", "summary", "annotations", "working-directory", "python"),
}
OUTPUTS = {
    *("verdict", "blocked", "warned", "analysed", "not-analysed", "report-json", "report-sarif", "report-markdown"),
}


def test_inputs_and_outputs_are_those_that_are_promised() -> None:
    assert set(ACTION["inputs"]) == INPUTS
    assert set(ACTION["outputs"]) == OUTPUTS


def test_only_the_token_has_a_default_so_that_none_overrides_the_policy() -> None:
    assert [name for name, each in ACTION["inputs"].items() if "default" in each] == ["github-token"]


def test_every_input_is_mapped_once_through_the_environment_under_its_own_name() -> None:
    used = set()
    for step in STEPS:
        for name, value in step.get("env", {}).items():
            found = re.fullmatch(r"\$\{\{ inputs\.([a-z-]+) \}\}", value)
            if found:
                assert name in (variable(found[1]), "GITHUB_TOKEN"), name
                used.add(found[1])
    assert used == INPUTS


def test_no_script_has_an_expression_in_it_and_each_is_short() -> None:
    scripts = [step["run"] for step in STEPS if "run" in step]
    assert scripts
    for script in scripts:
        assert "${{" not in script
        assert len(script.splitlines()) <= 3


def test_no_step_of_the_action_stands_in_the_workspace() -> None:
    assert {step["working-directory"] for step in STEPS if "run" in step} == {"${{ runner.temp }}"}


def test_the_key_reaches_the_step_that_needs_it_alone() -> None:
    assert [step["name"] for step in STEPS if variable("api-key") in step.get("env", {})] == ["Check the lockfiles"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_to_copy_asks_for_little_and_pins_what_it_uses(path: Path) -> None:
    text = path.read_text()
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] in ({}, {"contents": "read"})
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    (checkout,) = [step for step in steps if step.get("uses", "").startswith("actions/checkout@")]
    assert checkout["with"]["persist-credentials"] is False
    assert "fetch-depth" in checkout["with"] or path.name == "github-schedule.yml"
    for step in steps:
        name, _, reference = step.get("uses", "@").partition("@")
        if name == "scangate/scangate":
            assert set(step["with"]) <= INPUTS
            assert {"api-key", "local"} & set(step["with"])
        elif name:
            assert re.fullmatch(r"[0-9a-f]{40}", reference)
            assert re.search(rf"{reference} # v\d+\.\d+\.\d+\n", text)
    assert all(re.search(r"zizmor: ignore\[[a-z-]+\] \w+", line) for line in text.splitlines() if "zizmor" in line)


def said(text: str, event: str, run: str, **payload: object) -> str:
    """A text of a workflow, as the runner reads it in a run for this event."""
    github = {"event_name": event, "ref": "refs/heads/main", "run_id": run, "repository": "example/shop"}
    return interpolate(text, {"github": {**github, "event": payload}}, {})


@pytest.mark.parametrize(
    "path", [path for path in WORKFLOWS if "\n  push:" in path.read_text()], ids=lambda path: path.name
)
def test_no_push_is_left_out_for_a_later_one_and_a_pull_request_s_run_gives_way(path: Path) -> None:
    """Of those that wait in one group GitHub keeps the last; each push is compared with the one before it."""
    limits = yaml.safe_load(path.read_text())["concurrency"]
    pushes = {said(limits["group"], "push", run) for run in ("7", "8")}
    assert len(pushes) == 2
    (proposals,) = {said(limits["group"], "pull_request", run) for run in ("7", "8")}
    assert proposals not in pushes
    assert [said(limits["cancel-in-progress"], event, "7") for event in ("push", "pull_request")] == ["false", "true"]


@pytest.mark.parametrize("source", ["example/shop", "stranger/shop"])
def test_a_status_that_can_be_required_is_said_of_every_pull_request(source: str) -> None:
    job = yaml.safe_load((CI / "github-fork.yml").read_text())["jobs"]["scangate"]
    for event, expected in (("pull_request", True), ("merge_group", True), ("push", False)):
        run = {"event": event, "head_repository": {"full_name": source}}
        contexts = {"github": {"repository": "example/shop", "event": {"workflow_run": run}}}
        assert condition(job["if"], contexts, {"success": lambda: True}) is expected


def test_alerts_are_uploaded_for_a_repository_that_is_a_fork_itself() -> None:
    upload = yaml.safe_load((CI / "github-code-scanning.yml").read_text())["jobs"]["scangate"]["steps"][-1]["if"]
    for source, expected in (("example/shop", True), ("stranger/shop", False)):
        payload = {"pull_request": {"head": {"repo": {"full_name": source, "fork": True}}}}
        contexts = {
            "github": {"event_name": "pull_request", "repository": "example/shop", "event": payload},
            "steps": {"scangate": {"outputs": {"report-sarif": "/x"}}},
        }
        assert condition(upload, contexts, {"cancelled": lambda: False}) is expected


@pytest.mark.parametrize("name", ["gitlab-ci.yml", "azure-pipelines.yml", "bitbucket-pipelines.yml", "Jenkinsfile"])
def test_the_other_ci_s_run_a_command_that_there_is(name: str) -> None:
    (line,) = re.findall(r"scangate\"? (check .*?)['\"]?\n", (CI / name).read_text())
    command, *arguments = line.replace('"', "").split()
    given = command_parser(command).parse_args(arguments)
    assert {text.partition("=")[0] for text in given.formats} <= set(FORMATS)


@pytest.mark.parametrize(
    "path", [path for path in sorted(CI.iterdir()) if "-m venv" in path.read_text()], ids=lambda path: path.name
)
def test_what_a_job_runs_before_scangate_imports_nothing_of_the_checkout(path: Path, tmp_path: Path) -> None:
    marker, checkout = tmp_path / "ran", tmp_path / "checkout"
    plant(checkout, marker)
    calls = re.findall(r"\bpython3? (.*?-m venv) ", path.read_text())
    assert calls
    for call in calls:
        command = [sys.executable, *call.split(), "--without-pip", str(tmp_path / "environment")]
        subprocess.run(command, cwd=checkout, check=True, capture_output=True)
    assert not marker.exists(), marker.read_text()


def test_every_file_is_named_in_the_table() -> None:
    readme = (CI / "README.md").read_text()
    names = {path.name for path in CI.iterdir()} - {"README.md"}
    assert names == set(re.findall(r"\]\(([\w.-]+)\)", readme))


# ------------------------------------------------------------------------------------------------ the judges


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for folder in ("action", "docs/ci", ".ci"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "setup.sh", tmp_path / "tools")
    shutil.copy(ROOT / "action.yml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("action.yml", "using: composite", "using: compost"),
        ("action.yml", 'run: bash "$GITHUB_ACTION_PATH/action/install.sh"', "run: echo ${{ inputs.python }}"),
        ("action.yml", 'run: bash "$GITHUB_ACTION_PATH/action/install.sh"', "run: cd $HOME/$x; ls"),
        ("action/install.sh", 'cd "$temporary"', "cd $temporary"),
        ("docs/ci/github-minimal.yml", "runs-on: ubuntu-latest", "run-on: ubuntu-latest"),
        ("docs/ci/github-minimal.yml", "@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0", "@v5"),
        ("docs/ci/gitlab-ci.yml", "script:", "scripts:"),
        ("docs/ci/buildkite.yml", '"$$scratch"', "$$scratch"),
    ],
)
def test_what_is_wrong_is_found(copy: Path, name: str, old: str, new: str, capfd: pytest.CaptureFixture[str]) -> None:
    path = copy / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    judges = [command for command in ci_files.commands(copy) if name in command]
    assert any([*(ci_files.run(command, copy) for command in judges), ci_files.blocks(copy)])
    assert capfd.readouterr().out


def test_as_they_are_the_judges_are_content(copy: Path) -> None:
    assert ci_files.main(copy) == 0
