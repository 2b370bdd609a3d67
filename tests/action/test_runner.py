"""The runner of these tests is as strict as GitHub's."""

from pathlib import Path

import pytest

from tests.action.runner import Job, RunnerError, parse_file_commands

ACTION = """
inputs: {{given: {{default: "${{{{ github.token }}}}"}}, other: {{}}}}
outputs: {{said: {{value: "${{{{ steps.one.outputs.said || 'nothing' }}}}"}}}}
runs:
  using: composite
  steps:
    - {{name: one, id: one, shell: bash, env: {{VALUE: "${{{{ inputs.given }}}}"}}, run: '{one}'}}
    - {{name: two, shell: bash, run: echo two}}
    - {{name: three, if: "always() && steps.one.outcome == 'failure'", shell: bash, run: echo three}}
"""


def job(tmp_path: Path, one: str) -> tuple[Job, Path]:
    for name in ("action", "workspace", "temp"):
        (tmp_path / name).mkdir()
    (tmp_path / "action" / "action.yml").write_text(ACTION.format(one=one))
    github = {"token": "t0ken"}
    where = {"workspace": tmp_path / "workspace", "temporary": tmp_path / "temp", "environ": {"PATH": "/usr/bin:/bin"}}
    return Job(github=github, **where), tmp_path / "action"  # type: ignore[arg-type]  # paths and a mapping, as it wants


def test_steps_run_in_order_and_outputs_are_handed_on(tmp_path: Path) -> None:
    one, action = job(tmp_path, "echo said=$VALUE >> $GITHUB_OUTPUT; pwd")
    result = one.run(action)
    assert [step.conclusion for step in result.steps] == ["success", "success", "skipped"]
    assert (result.outputs, result.conclusion) == ({"said": "t0ken"}, "success")
    assert str(tmp_path / "workspace") in result.log


def test_a_failed_step_skips_the_next_and_runs_what_says_always(tmp_path: Path) -> None:
    one, action = job(tmp_path, "false | true; echo not reached")
    result = one.run(action)
    assert [step.conclusion for step in result.steps] == ["failure", "skipped", "success"]
    assert (result.conclusion, result.outputs["said"]) == ("failure", "nothing")
    assert "not reached" not in result.log


def test_commands_of_the_log_are_obeyed(tmp_path: Path) -> None:
    one, action = job(
        tmp_path, 'echo "::add-mask::t0ken"; echo $VALUE; echo "::set-output name=said::x"; echo "##[error]y"'
    )
    result = one.run(action)
    assert "t0ken" not in result.log
    assert result.outputs["said"] == "x"
    assert [each.data for each in result.annotations] == ["y"]


def test_a_summary_over_its_limit_is_dropped_whole(tmp_path: Path) -> None:
    one, action = job(tmp_path, "head -c 1048577 /dev/zero | tr \\\\0 x >> $GITHUB_STEP_SUMMARY")
    assert one.run(action).summary == ""


def test_unknown_inputs_are_refused(tmp_path: Path) -> None:
    one, action = job(tmp_path, "true")
    with pytest.raises(RunnerError, match="unexpected"):
        one.run(action, {"typo": "x"})


@pytest.mark.parametrize("text", ["a<<E\n1\n", "a<<\n1\n", "<<E\n1\nE\n", "just a line\n", "=x\n"])
def test_broken_file_commands_are_refused(text: str) -> None:
    with pytest.raises(RunnerError):
        parse_file_commands(text)


def test_file_commands_are_read_as_the_runner_reads_them() -> None:
    assert parse_file_commands("a=1\n\nb<<E\n2\nc=3\nE\na=4<<E\n") == {"a": "4<<E", "b": "2\nc=3"}
