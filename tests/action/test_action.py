"""action.yml, step by step: from an event on GitHub to the check's conclusion."""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests import synthetic
from tests.action.conftest import Workshop
from tests.action.events import HARMLESS, SHOP, Project, Started, example
from tests.action.planted import plant
from tests.action.runner import ActionResult
from tests.action.test_install import stand_in
from tests.changes.ci_fixtures.private import serve as serve_privately
from tests.changes.ci_fixtures.repos import Repository
from tests.cli.conftest import RECORDED, Replay
from tests.cli.test_uploads import lock
from tests.forge.fake import REPOSITORY, TOKEN, FakeGitHub
from tests.output.hostile import TEXTS
from tests.output.runner_commands import commands
from tests.service.fakes.raw import json_response

Event = Callable[[Project, str], Started]

EVENTS: dict[str, Event] = {
    "pull_request opened": lambda project, head: project.pull_request(head),
    "pull_request synchronize": lambda project, head: project.pull_request(head, action="synchronize"),
    "pull_request reopened": lambda project, head: project.pull_request(head, action="reopened"),
    "pull_request from a fork": lambda project, head: project.pull_request(head, source="stranger/shop"),
    "merge_group": Project.merge_group,
    "push": lambda project, head: project.push(head, project.m1),
    "push of a new branch": Project.new_branch,
    "force-push": Project.force_push,
    "schedule": Project.schedule,
    "workflow_dispatch": Project.dispatch,
}


SAVING = ("push", "schedule")
"""Events after which what was reported is kept for other runs."""


@pytest.mark.parametrize("name", EVENTS)
def test_a_harmful_change_is_blocked_whatever_the_event(name: str, project: Project, workshop: Workshop) -> None:
    started = EVENTS[name](project, project.harmful)
    result = workshop.at(started.checkout, started.github).run()
    assert (result.conclusion, result.outputs["verdict"]) == ("failure", "blocked"), result.log
    assert result.step("Check the lockfiles").code == 1
    assert result.outputs["blocked"] == "1"
    (error, *_) = [each for each in result.annotations if each.name == "error"]
    assert error.properties["file"] == "shop/package-lock.json"
    assert "plain-crypto-replica" in result.summary
    assert result.environment == ""
    (restored,) = workshop.cache.restored
    assert restored["key"].startswith(restored["restore-keys"])
    saved = [each["key"] for each in workshop.cache.saved]
    assert saved == ([restored["key"]] if name in SAVING else [])
    # A second step of the same run has a key of its own: what is saved cannot be saved again.
    assert restored["key"].endswith("-7-1-a1")


def test_a_harmless_pull_request_passes_and_only_what_is_new_is_analysed(project: Project, workshop: Workshop) -> None:
    started = project.pull_request(project.harmless)
    result = workshop.at(started.checkout, started.github).run()
    assert (result.conclusion, result.outputs["verdict"]) == ("success", "pass"), result.log
    assert result.outputs["analysed"] == "0"
    assert not [each for each in result.annotations if each.name in ("error", "warning")]


def test_a_schedule_checks_everything(project: Project, workshop: Workshop) -> None:
    started = project.schedule(project.harmless)
    result = workshop.at(started.checkout, started.github).run()
    assert (result.conclusion, result.outputs["verdict"]) == ("success", "pass"), result.log
    assert int(result.outputs["analysed"]) == len(HARMLESS)


def test_a_base_that_is_gone_is_incomplete_and_says_what_to_do(project: Project, workshop: Workshop) -> None:
    started = project.lost_force_push(project.harmful)
    result = workshop.at(started.checkout, started.github).run()
    assert (result.conclusion, result.outputs["verdict"]) == ("failure", "incomplete")
    assert result.step("Check the lockfiles").code == 3
    (error,) = result.annotations
    assert "force-push" in error.data
    assert "force-push" in result.summary


def test_a_fork_without_secrets_is_told_what_to_do(project: Project, offline: Workshop) -> None:
    started = project.pull_request(project.harmful, source="stranger/shop")
    result = offline.at(started.checkout, started.github).run(api_key="")
    assert (result.conclusion, result.outputs["verdict"]) == ("failure", "incomplete")
    assert "no-credentials" in result.log
    assert "docs/ci/github-fork.yml" in result.summary
    assert any("comes from a fork" in each.data for each in result.annotations)


@pytest.mark.tool("bwrap", "strace", "ip", "unshare", "setpriv", "npm")
def test_a_fork_s_pull_request_is_analysed_on_the_runner_itself(
    project: Project, offline: Workshop, tmp_path: Path
) -> None:
    tarball = synthetic.build("https-beacon", tmp_path)
    lock(tmp_path, f"file:{tarball.name}", None, ("synthetic-https-beacon", "1.0.0"))
    files = {f"{SHOP}{name}": (tmp_path / name).read_bytes() for name in (tarball.name, "package-lock.json")}
    project.commit({"shop/package.json": "{}", **files})
    project.remote.git("checkout", "-q", "main")
    started = project.pull_request(project.harmful, source="stranger/shop")
    result = offline.at(started.checkout, started.github).run(local="true")
    assert result.step("Set up the sandbox").conclusion == "success", result.log
    assert (result.conclusion, result.outputs["verdict"]) == ("failure", "blocked"), result.log
    assert "cdn-updates.example" in result.summary


@pytest.mark.parametrize("event", [Project.pull_request, Project.workflow_run], ids=["its own run", "workflow_run"])
def test_a_change_cannot_bring_a_policy_that_lets_it_pass(event: Event, project: Project, workshop: Workshop) -> None:
    project.commit({"scangate.yml": "version: 1\nmode: observe\n"})
    started = event(project, project.harmful)
    inputs = {"base": "origin/main"} if event is Project.workflow_run else {}
    result = workshop.at(started.checkout, started.github).run(**inputs)
    assert (result.conclusion, result.outputs["verdict"]) == ("failure", "blocked"), result.log
    assert "policy-changed" in result.log


@pytest.mark.parametrize("event", ["workflow_run", "issue_comment"])
def test_a_run_on_behalf_of_a_change_needs_a_base_and_its_policy(
    event: str, project: Project, workshop: Workshop
) -> None:
    project.commit({"scangate.yml": "version: 1\nmode: observe\n"})
    started = project.workflow_run(project.harmful)
    steps = workshop.at(started.checkout, {**started.github, "event_name": event})
    result = steps.run()
    assert (result.conclusion, result.outputs["verdict"]) == ("failure", "incomplete"), result.log
    assert "input base" in result.summary
    result = steps.run(base="origin/main")
    assert (result.conclusion, result.outputs["verdict"]) == ("failure", "blocked"), result.log
    # The default branch itself is nobody's proposal.
    Repository(started.checkout).git("checkout", "-q", "--detach", project.m2)
    assert steps.run().outputs["verdict"] == "pass"


def test_nothing_that_the_change_plants_is_imported_obeyed_or_run(
    project: Project, workshop: Workshop, tmp_path: Path
) -> None:
    marker = tmp_path / "ran"
    project.remote.git("checkout", "-q", "feature")
    plant(project.remote.folder, marker)
    project.commit({})
    started = project.pull_request(project.harmful)
    assert (started.checkout / "vendor.git" / "hooks").is_dir()
    result = workshop.at(started.checkout, started.github).run()
    assert not marker.exists(), marker.read_text()
    assert (result.conclusion, result.outputs["verdict"]) == ("failure", "blocked"), result.log


def test_a_base_of_a_private_repository_is_fetched_with_the_job_s_token(
    project: Project, workshop: Workshop, tmp_path: Path
) -> None:
    started = project.push(project.harmful, project.m1)
    clone = Repository(started.checkout)
    with serve_privately(project.folder, "ghs_example") as server:
        clone.git("remote", "set-url", "origin", f"{server.url}/remote/.git")
        # As actions/checkout makes it with the default depth.
        (started.checkout / ".git" / "shallow").write_text(f"{project.harmful}\n")
        clone.git("reflog", "expire", "--expire=now", "--all")
        clone.git("gc", "-q", "--prune=now")
        result = workshop.at(started.checkout, {**started.github, "server_url": server.url}).run()
    assert server.seen
    assert (result.conclusion, result.outputs["verdict"]) == ("failure", "blocked"), result.log
    assert "ghs_example" not in result.raw


# ------------------------------------------------------------------------------------------------ the comment


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with FakeGitHub() as server:
        yield server


def commenting(project: Project, workshop: Workshop, github: FakeGitHub) -> Workshop:
    started = project.pull_request(project.harmful)
    told = {"api_url": github.url, "token": TOKEN, "repository": REPOSITORY}
    return workshop.at(started.checkout, {**started.github, **told})


def test_the_comment_says_what_the_summary_says(project: Project, workshop: Workshop, github: FakeGitHub) -> None:
    steps = commenting(project, workshop, github)
    result = steps.run(comment="true", paths="shop")
    (body,) = github.bodies(1)
    assert "plain-crypto-replica" in body
    assert result.step("Comment on the pull request").conclusion == "success"
    assert (result.conclusion, result.outputs["verdict"]) == ("failure", "blocked")
    assert TOKEN not in result.raw
    # The job's next step checks another project, and has nothing to say of this one.
    assert steps.run(comment="true", paths="package-lock.json").outputs["verdict"] == "pass"
    assert github.bodies(1) == [body]


def test_a_comment_that_cannot_be_posted_changes_nothing(
    project: Project, workshop: Workshop, github: FakeGitHub
) -> None:
    github.answers["POST"] = json_response(403, {"message": "Resource not accessible by integration"})
    result = commenting(project, workshop, github).run(comment="true")
    assert github.bodies(1) == []
    assert (result.conclusion, result.outputs["verdict"]) == ("failure", "blocked")
    assert "warning: no comment" in result.log
    assert result.step("Check the lockfiles").code == 1


# ------------------------------------------------------------------------------------------ hostile lockfiles


def lockfile(names: Iterable[str]) -> str:
    """An npm lockfile of packages with these names, versions and addresses."""
    packages: dict[str, dict[str, object]] = {"": {"name": "shop", "version": "1.0.0"}}
    for name in names:
        packages[f"node_modules/{name}"] = {"version": name, "resolved": name}
    return json.dumps({"name": "shop", "version": "1.0.0", "lockfileVersion": 3, "packages": packages})


FOLDER = "::error::x%0A ##[stop-commands]y [l](http:⁄⁄h) @everyone"


def harmless(result: ActionResult) -> None:
    """Nothing but annotations of ours came of the log, and nothing else of anything."""
    assert {each.name for each in result.commands} <= {"add-mask", "error", "warning", "notice"}
    said = [each for each in result.commands if each.name != "add-mask"]
    assert said
    assert all(each.properties["title"].startswith("scangate") for each in said), said
    assert result.environment == ""
    assert not list(commands(result.summary))
    outside_of_code = "".join(result.summary.split("`")[::2])
    assert "@everyone" not in outside_of_code
    assert "\x1b" not in result.raw + result.summary


def test_hostile_paths_and_reports_become_no_command_no_output_and_no_markup(
    project: Project, offline: Workshop, serve: Callable[..., Replay], tmp_path: Path
) -> None:
    recorded = tmp_path / "recorded"
    shutil.copytree(RECORDED, recorded)
    path = recorded / "made" / "npm-plain-crypto-replica-4.2.1.json"
    report = json.loads(path.read_text())
    report["Analysis"]["install"]["Commands"] += [
        {"Command": ["sh", "-c", text], "Environment": []} for text in TEXTS.values()
    ]
    path.write_text(json.dumps(report))
    project.commit(example("axios-replica", f"{FOLDER}/"))
    started = project.pull_request(project.harmful)
    service = serve(recorded=recorded).service
    result = offline.at(started.checkout, started.github).run(api_url=service.url, api_key=service.key)
    assert (result.conclusion, result.outputs["verdict"]) == ("failure", "blocked"), result.log
    assert "stop-commands" in result.log
    harmless(result)


def test_hostile_names_become_an_error_that_is_no_command(project: Project, offline: Workshop) -> None:
    texts = [text for text in TEXTS.values() if text.strip()]
    project.commit({f"{FOLDER}/package-lock.json": lockfile(texts)})
    started = project.pull_request(project.harmful)
    result = offline.at(started.checkout, started.github).run()
    assert (result.conclusion, result.outputs["verdict"]) == ("failure", "error")
    assert "stop-commands" in result.log
    harmless(result)


def test_a_name_of_40_megabytes_ends_in_a_short_error_or_verdict(project: Project, offline: Workshop) -> None:
    project.commit({"shop/package-lock.json": lockfile(["a" * 40_000_000])})
    started = project.pull_request(project.harmful)
    result = offline.at(started.checkout, started.github).run()
    assert result.conclusion == "failure"
    assert result.outputs["verdict"] in ("incomplete", "blocked", "error")
    assert len(result.raw) < 1_000_000
    assert 0 < len(result.summary) < 1_000_000
    assert result.annotations


# ------------------------------------------------------------------------------------------- before the check


def test_an_installation_that_fails_is_an_error_and_nothing_else_is_run(offline: Workshop) -> None:
    result = replace(offline, job=replace(offline.job, known={})).run(python="/nowhere")
    assert (result.conclusion, result.outputs["verdict"]) == ("failure", "error")
    assert result.step("Install scangate").code == 2
    assert [step.name for step in result.steps if step.outcome != "skipped"] == ["Install scangate"]


def test_an_index_that_is_out_of_reach_is_an_outage(offline: Workshop, tmp_path: Path) -> None:
    python = stand_in(tmp_path, pip_status=1)
    result = replace(offline, job=replace(offline.job, known={})).run(python=python)
    assert (result.conclusion, result.outputs["verdict"]) == ("failure", "incomplete")
    assert result.step("Install scangate").code == 3
    assert [step.name for step in result.steps if step.outcome != "skipped"] == ["Install scangate"]


def test_a_cache_that_is_out_of_reach_changes_nothing(project: Project, workshop: Workshop) -> None:
    def fail(_: object) -> dict[str, str]:
        raise OSError("the cache service does not answer")

    started = project.push(project.harmless, project.m1)
    stubs = dict.fromkeys(workshop.job.stubs, fail)
    result = replace(workshop, job=replace(workshop.job, stubs=stubs)).at(started.checkout, started.github).run()
    assert (result.conclusion, result.outputs["verdict"]) == ("success", "pass")


def test_without_cache_nothing_is_restored_saved_or_kept(project: Project, workshop: Workshop) -> None:
    started = project.schedule(project.harmless)
    result = workshop.at(started.checkout, started.github).run(cache="false")
    assert result.conclusion == "success"
    assert (workshop.cache.restored, workshop.cache.saved) == ([], [])
    assert not list((workshop.job.temporary / "scangate-cache").iterdir())
