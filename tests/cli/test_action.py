"""`scangate action` in process: what each input becomes, and what the step hands on, however the check ends."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from scangate.cli.action import Inputs, arguments, environment, no_key, variable
from scangate.errors import UsageError
from tests.action.runner import Outputs, parse_file_commands
from tests.changes.ci_fixtures.repos import Repository
from tests.cli.conftest import Replay, Result, Scangate, example
from tests.output.runner_commands import Command, commands


@dataclass(frozen=True)
class Ran:
    """A step's end."""

    result: Result
    outputs: Outputs
    summary: str

    @property
    def commands(self) -> list[Command]:
        return list(commands(self.result.out))


Action = Callable[..., Ran]


@pytest.fixture
def action(scangate: Scangate, project: Path, tmp_path: Path) -> Action:
    """Run the step in the project as the workspace; keywords are inputs, with `_` for `-`, or runner's variables."""
    temporary, output, summary = tmp_path / "temp", tmp_path / "output", tmp_path / "summary"
    temporary.mkdir()

    def run(**given: str) -> Ran:
        runner = {
            "GITHUB_WORKSPACE": str(project),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(summary),
            "RUNNER_TEMP": str(temporary),
            "SCANGATE_CACHE_DIR": str(tmp_path / "cache"),
        }
        own = {name: value for name, value in given.items() if name.isupper()}
        inputs = {variable(name.replace("_", "-")): value for name, value in given.items() if not name.isupper()}
        for file in (output, summary):
            file.write_text("")
        result = scangate("action", cwd=tmp_path, **{**runner, **inputs, **own})
        return Ran(result, parse_file_commands(output.read_text()), summary.read_text())

    return run


def given(**values: str) -> Inputs:
    return Inputs({variable(name.replace("_", "-")): value for name, value in values.items()})


def service(replay: Replay) -> dict[str, str]:
    return {"api_url": replay.service.url, "api_key": replay.service.key}


# ---------------------------------------------------------------------------------------------- the inputs


def test_an_input_that_is_not_given_adds_nothing() -> None:
    assert arguments(given(), {}) == ["--format=terminal", "--"]
    empty = given(policy="", paths="", base="", engines="", timeout="", rate="", local="", cache="")
    assert arguments(empty, {}) == ["--format=terminal", "--"]


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({"policy": " gate.yml "}, ["--policy=gate.yml"]),
        ({"base": "origin/main"}, ["--base=origin/main"]),
        ({"timeout": "60"}, ["--timeout=60"]),
        ({"rate": "10/m"}, ["--rate=10/m"]),
        ({"engines": "lastpymile, dynamic-analysis"}, ["--engine=lastpymile", "--engine=dynamic-analysis"]),
        ({"engines": "lastpymile\ndynamic-analysis\n"}, ["--engine=lastpymile", "--engine=dynamic-analysis"]),
        ({"local": "true"}, ["--local"]),
        ({"local": "TRUE"}, ["--local"]),
        ({"local": "false"}, []),
        ({"cache": "false"}, ["--no-cache"]),
        ({"cache": "true"}, []),
    ],
)
def test_each_input_becomes_its_option(inputs: dict[str, str], expected: list[str]) -> None:
    assert arguments(given(**inputs), {}) == ["--format=terminal", *expected, "--"]


def test_paths_are_one_a_line_and_may_have_spaces() -> None:
    assert arguments(given(paths="apps/my shop\n\n  tools \n"), {})[-3:] == ["--", "apps/my shop", "tools"]


def test_who_proposes_a_change_does_not_bring_the_policy_to_the_run_after_its_own() -> None:
    assert "--policy-from=base" in arguments(given(base="main"), {}, "workflow_run")
    assert "--policy-from=base" not in arguments(given(), {}, "workflow_run")
    assert "--policy-from=base" not in arguments(given(base="main"), {}, "push")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("policy", "--all"), ("base", "-x"), ("timeout", "-1"), ("rate", "--jobs=1"), ("engines", "x,--local")),
        *(("paths", "apps\n--policy=x"), ("local", "yes"), ("cache", "0"), ("local", "tru")),
    ],
)
def test_what_looks_like_an_option_or_is_no_word_is_refused(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"^Input {name}: "):
        arguments(given(**{name: value}), {})


def test_key_address_and_token_reach_the_check_by_its_own_variables_alone() -> None:
    inputs = Inputs(
        {
            **given(api_key="k", api_url="https://u.example", github_token="t").environ,
            **{"SCANGATE_API_KEY": "job's", "SCANGATE_API_KEY_FILE": "/job", "OTHER": "1"},
        }
    )
    assert environment(inputs) == {
        "SCANGATE_API_KEY": "k",
        "SCANGATE_API_URL": "https://u.example",
        "SCANGATE_GIT_TOKEN": "t",
        "OTHER": "1",
    }


def test_the_job_s_own_variables_count_where_the_inputs_are_not_given() -> None:
    job = {"SCANGATE_API_KEY_FILE": "/job", "SCANGATE_API_URL": "https://u.example"}
    assert environment(Inputs({**given(api_key="", api_url="", github_token="").environ, **job})) == job


# ---------------------------------------------------------------------------------------------- the outputs


def test_a_blocked_run_hands_on_verdict_numbers_reports_annotations_and_summary(
    action: Action, project: Path, replay: Replay
) -> None:
    example("axios-replica", project)
    ran = action(**service(replay))
    assert ran.result.code == 1
    counts = {name: ran.outputs[name] for name in ("verdict", "blocked", "warned", "analysed", "not-analysed")}
    assert counts == {"verdict": "blocked", "blocked": "1", "warned": "0", "analysed": "3", "not-analysed": "0"}
    report = json.loads(Path(ran.outputs["report-json"]).read_text())
    assert report["status"] == "blocked"
    assert json.loads(Path(ran.outputs["report-sarif"]).read_text())["version"] == "2.1.0"
    assert Path(ran.outputs["report-markdown"]).read_text() in ran.summary
    assert "plain-crypto-replica" in ran.summary
    (error,) = [each for each in ran.commands if each.name == "error"]
    assert error.properties["file"] == "package-lock.json"
    assert "BLOCKED" in ran.result.out


def test_the_key_is_masked_before_anything_else_and_stands_nowhere(
    action: Action, project: Path, replay: Replay, tmp_path: Path
) -> None:
    example("axios-replica", project)
    ran = action(**service(replay))
    first, *others = ran.result.out.splitlines()
    assert first == f"::add-mask::{replay.service.key}"
    files = [*(tmp_path / "temp").rglob("*.*"), tmp_path / "output", tmp_path / "summary"]
    texts = [*others, ran.result.err, *(path.read_text() for path in files if path.is_file())]
    assert not [text for text in texts if replay.service.key in text]


def test_annotations_summary_and_the_place_of_the_sarif_file_can_be_chosen(
    action: Action, project: Path, replay: Replay
) -> None:
    example("axios-replica", project)
    ran = action(**service(replay), annotations="false", summary="false", sarif_file="out.sarif")
    assert (ran.result.code, ran.summary) == (1, "")
    assert [each.name for each in ran.commands] == ["add-mask"]
    assert ran.outputs["report-sarif"] == str(project / "out.sarif")
    assert json.loads((project / "out.sarif").read_text())["runs"]


def test_a_pass_is_0(action: Action, project: Path, replay: Replay) -> None:
    example("npm-project", project)
    ran = action(**service(replay))
    assert (ran.result.code, ran.outputs["verdict"], ran.outputs["blocked"]) == (0, "pass", "0")


def test_a_working_directory(action: Action, project: Path, replay: Replay) -> None:
    example("npm-project", project)
    example("axios-replica", project / "apps" / "shop")
    ran = action(**service(replay), working_directory="apps/shop")
    assert (ran.outputs["verdict"], ran.outputs["analysed"]) == ("blocked", "3")


def test_after_another_workflow_no_line_is_linked_in_the_wrong_commit(
    action: Action, project: Path, replay: Replay
) -> None:
    project.rmdir()
    here = Repository.new(project)
    example("axios-replica", project)
    runner = {
        "GITHUB_SERVER_URL": "https://github.example",
        "GITHUB_REPOSITORY": "acme/shop",
        "GITHUB_SHA": here.commit(),
    }
    link = f"https://github.example/acme/shop/blob/{here.head}/"
    assert link in action(**service(replay), **runner).summary
    afterwards = action(**service(replay), **runner, GITHUB_EVENT_NAME="workflow_run")
    assert afterwards.outputs["verdict"] == "blocked"
    assert link not in afterwards.summary


def test_a_working_directory_with_detours_gives_the_same_places(action: Action, project: Path, replay: Replay) -> None:
    example("axios-replica", project / "apps" / "shop")
    (project / ".git").mkdir()
    (project / "docs").mkdir()
    # Before GITHUB_WORKSPACE, which may be a link on a runner of one's own, there is nothing to be relative to.
    (project.parent / "link").symlink_to(project)
    ran = action(
        **service(replay), working_directory="docs/../apps/shop", GITHUB_WORKSPACE=str(project.parent / "link")
    )
    assert ran.outputs["verdict"] == "blocked"
    places = [command.properties.get("file") for command in ran.commands if command.name == "error"]
    assert places
    assert set(places) == {"apps/shop/package-lock.json"}


@pytest.mark.parametrize("named", ["apps", "apps/deep", "../elsewhere"])
def test_no_working_directory_leads_out_of_the_workspace(action: Action, project: Path, named: str) -> None:
    elsewhere = project.parent / "elsewhere"
    example("npm-project", elsewhere)
    example("npm-project", elsewhere / "deep")
    # A change can put a link into the place of a folder.
    (project / "apps").symlink_to(elsewhere)
    ran = action(working_directory=named)
    assert (ran.result.code, ran.outputs) == (2, {"verdict": "error"})
    assert "outside of the workspace" in ran.summary


# ------------------------------------------------------------------------------- no verdict, or not the whole one


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({}, "no lockfile"),
        ({"paths": "nowhere"}, "nowhere"),
        ({"working_directory": "nowhere"}, "actions/checkout"),
        ({"policy": "--all"}, "looks like an option"),
        ({"comment": "maybe"}, "neither true nor false"),
        ({"timeout": "soon"}, "timeout"),
        ({"engines": "best"}, "best"),
        ({"sarif_file": "nowhere/x.sarif"}, "nowhere"),
        ({"rate": "x"}, "x"),
    ],
)
def test_a_mistake_is_exit_2_with_an_annotation_and_a_summary(
    action: Action, inputs: dict[str, str], said: str
) -> None:
    ran = action(**inputs)
    assert (ran.result.code, ran.outputs) == (2, {"verdict": "error"})
    (error,) = ran.commands
    assert (error.name, error.properties["title"]) == ("error", "scangate: no verdict")
    assert said.lower() in error.data.lower()
    assert said.split("/")[0].split()[-1] in ran.summary
    assert ran.result.err.startswith("scangate: error: ")


def test_a_hostile_mistake_is_no_command_and_no_markup(action: Action) -> None:
    ran = action(paths="a\r::stop-commands::x\x1b[31m##[error]y %0A::error::z @everyone <img src=x> [l](http://h)")
    assert [each.name for each in ran.commands] == ["error"]
    assert not list(commands(ran.result.err))
    assert not list(commands(ran.summary))
    assert "\x1b" not in ran.result.out + ran.result.err + ran.summary
    outside = "".join(ran.summary.split("`")[::2])
    assert not set("<[@") & set(outside)


def test_without_a_key_the_run_is_incomplete_and_says_what_to_do(action: Action, project: Path) -> None:
    example("axios-replica", project)
    ran = action()
    assert (ran.result.code, ran.outputs["verdict"], ran.outputs["not-analysed"]) == (3, "incomplete", "3")
    (advice,) = [each for each in ran.commands if each.properties.get("title") == "scangate: no API key"]
    assert "local: true" in advice.data
    assert "this is no finding" in ran.summary


def test_advice_on_a_missing_key_is_for_the_event(tmp_path: Path) -> None:
    event = tmp_path / "event.json"

    def advice(source: str, author: str, actor: str = "dev") -> str:
        pull = {"user": {"login": author}, "head": {"repo": {"full_name": source}}}
        event.write_text(json.dumps({"pull_request": pull}))
        environ = {"GITHUB_EVENT_PATH": str(event), "GITHUB_REPOSITORY": "acme/shop", "GITHUB_ACTOR": actor}
        return no_key(environ)

    assert "docs/ci/github-fork.yml" in advice("stranger/shop", "stranger")
    assert "Dependabot" in advice("acme/shop", "dependabot[bot]")
    assert "Dependabot" in advice("acme/shop", "dev", actor="dependabot[bot]")
    assert "does the secret exist" in advice("acme/shop", "dev")
    event.write_text("no JSON")
    assert "does the secret exist" in no_key({"GITHUB_EVENT_PATH": str(event)})


def test_a_summary_that_would_be_too_large_is_left_out_rather_than_all_of_it_lost(
    action: Action, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scangate.cli import runner

    written = action(paths="nowhere").summary
    assert "nowhere" in written
    size = len(written.encode())
    monkeypatch.setattr(runner, "MAX_SUMMARY_BYTES", size)
    assert action(paths="nowhere").summary == written
    monkeypatch.setattr(runner, "MAX_SUMMARY_BYTES", size - 1)
    ran = action(paths="nowhere")
    assert (ran.result.code, ran.summary) == (2, "")


@pytest.mark.parametrize("missing", ["GITHUB_OUTPUT", "GITHUB_WORKSPACE", "RUNNER_TEMP", "GITHUB_STEP_SUMMARY"])
def test_outside_of_a_runner_it_is_exit_2(action: Action, missing: str) -> None:
    ran = action(**{missing: ""})
    assert ran.result.code == 2
    assert missing in ran.result.err


def test_a_summary_that_cannot_be_written_does_not_hide_what_was_found(
    action: Action, project: Path, replay: Replay, tmp_path: Path
) -> None:
    example("axios-replica", project)
    ran = action(**service(replay), GITHUB_STEP_SUMMARY=str(tmp_path / "no" / "folder"))
    assert (ran.result.code, ran.outputs["verdict"]) == (1, "blocked")
    assert "GITHUB_STEP_SUMMARY cannot be written" in ran.result.err


def test_a_runner_without_a_place_for_files_is_exit_2(action: Action, tmp_path: Path) -> None:
    ran = action(RUNNER_TEMP=str(tmp_path / "nowhere"))
    assert (ran.result.code, ran.outputs["verdict"]) == (2, "error")
    ran = action(GITHUB_OUTPUT=str(tmp_path))
    assert ran.result.code == 2
