"""The base, for every place that scangate runs in, on real repositories."""

import copy
import os
import shutil
from pathlib import Path

import pytest

from scangate.changes import event as events
from scangate.changes.base import Base, BaseKind, find_base, is_proposal
from scangate.changes.git import Git
from scangate.errors import BaseError, ExitCode, ScangateError, UsageError
from tests.changes.ci_fixtures.repos import NOTHING, Repository, event


class Project:
    """A remote with main (m1, m2, m3), feature (f1, f2, from m2), and feature merged into main as a CI merges it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        remote = self.remote = Repository.new(folder / "remote")
        remote.git("config", "uploadpack.allowAnySHA1InWant", "true")
        self.m1 = remote.commit({"a": "1"})
        self.m2 = remote.commit({"a": "2"})
        remote.git("checkout", "-q", "-b", "feature")
        self.f1 = remote.commit({"b": "1"})
        self.f2 = remote.commit({"b": "2"})
        remote.git("checkout", "-q", "main")
        self.m3 = remote.commit({"a": "3"})
        remote.git("checkout", "-q", "--detach")
        remote.git("merge", "-q", "--no-ff", "-m", "Merge", "feature")
        self.merge = remote.head
        remote.git("update-ref", "refs/pull/1/merge", self.merge)
        remote.git("checkout", "-q", "main")

    def copy(self, folder: Path) -> "Project":
        """The same commits in another place."""
        shutil.copytree(self.remote.folder, folder / "remote")
        other = copy.copy(self)
        other.folder, other.remote = folder, Repository(folder / "remote")
        return other

    def checkout(self, revision: str, *options: str) -> Repository:
        """A detached checkout of a commit, with all branches."""
        clone = self.remote.clone(self.folder / "clone", "--no-checkout", *options)
        clone.git("fetch", "-q", "origin", "+refs/pull/1/merge:refs/remotes/pull/1/merge")
        clone.git("checkout", "-q", "--detach", revision)
        return clone

    def shallow(self, revision: str, depth: int = 1) -> Repository:
        """What actions/checkout makes: one commit by its id, and nothing else."""
        clone = Repository.new(self.folder / "shallow")
        clone.git("remote", "add", "origin", f"file://{self.remote.folder}")
        clone.git("fetch", "-q", "--no-tags", f"--depth={depth}", "origin", revision)
        clone.git("checkout", "-q", "--detach", revision)
        return clone


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


@pytest.fixture
def project(pristine: Project, tmp_path: Path) -> Project:
    return pristine.copy(tmp_path)


def base(clone: Repository, environ: dict[str, str] | None = None, **options: object) -> Base:
    world = {**os.environ, **(environ or {})}
    found = find_base(world, Git(clone.folder, world), **options)  # type: ignore[arg-type]  # for brevity
    assert (found.kind is BaseKind.COMMIT) == (found.commit is not None)
    assert found.why.endswith(".")
    if found.commit is not None:
        clone.git("cat-file", "-e", f"{found.commit}^{{tree}}")
        clone.git("ls-tree", "-r", found.commit)
    return found


def github(folder: Path, name: str, payload: object) -> dict[str, str]:
    return {
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": name,
        "GITHUB_EVENT_PATH": event(folder, payload),
    }


def pull_request(head: str, base_sha: str = NOTHING) -> dict[str, object]:
    return {"pull_request": {"head": {"sha": head}, "base": {"ref": "main", "sha": base_sha}}}


# ------------------------------------------------------------------------------------------------- GitHub


def test_pull_request_is_compared_with_the_first_parent_of_the_merge_ref(project: Project, tmp_path: Path) -> None:
    clone = project.checkout(project.merge)
    # The payload's base is stale on purpose.
    found = base(clone, github(tmp_path, "pull_request", pull_request(project.f2, project.m1)))
    assert found.commit == project.m3
    assert found.is_proposal
    assert "first parent" in found.why


@pytest.mark.parametrize("action", ["opened", "synchronize", "reopened", "edited", "labeled", "ready_for_review"])
def test_pull_request_whatever_happened_to_it(project: Project, tmp_path: Path, action: str) -> None:
    # `before` is there in "synchronize", `changes.base` where the pull request was retargeted: neither is the base.
    payload = {
        **pull_request(project.f2, project.m1),
        **{"action": action, "number": 1, "before": project.f1, "after": project.f2},
        "changes": {"base": {"ref": {"from": "old"}, "sha": {"from": project.m1}}},
    }
    found = base(project.checkout(project.merge), github(tmp_path, "pull_request", payload))
    assert (found.commit, found.is_proposal) == (project.m3, True)


def test_pull_request_that_was_closed_and_merged_shows_no_change(project: Project, tmp_path: Path) -> None:
    """GitHub checks the target branch out then: to compare it with itself must not pass."""
    payload = {**pull_request(project.f2), "action": "closed"}
    project.remote.git("checkout", "-q", "main")
    project.remote.git("merge", "-q", "--ff-only", project.merge)
    clone = project.remote.clone(tmp_path / "merged")
    found = base(clone, github(tmp_path, "pull_request", payload))
    assert found.commit == project.m3  # the merge commit itself
    clone.git("checkout", "-q", "--detach", project.m3)
    clone.git("fetch", "-q", "origin", f"{project.m3}:refs/remotes/origin/main", "--force")
    with pytest.raises(BaseError, match="very commit"):
        base(clone, github(tmp_path, "pull_request", payload))


@pytest.mark.parametrize("depth", [1, 2])
def test_pull_request_in_a_shallow_clone(project: Project, tmp_path: Path, depth: int) -> None:
    clone = project.shallow(project.merge, depth)
    assert base(clone, github(tmp_path, "pull_request", pull_request(project.f2))).commit == project.m3


def test_pull_request_whose_head_is_checked_out_takes_the_merge_base(project: Project, tmp_path: Path) -> None:
    clone = project.checkout(project.f2)
    found = base(clone, github(tmp_path, "pull_request", pull_request(project.f2)))
    assert (found.commit, found.is_proposal) == (project.m2, True)


def test_pull_request_head_in_a_shallow_clone_is_deepened(project: Project, tmp_path: Path) -> None:
    clone = project.shallow(project.f2)
    assert base(clone, github(tmp_path, "pull_request", pull_request(project.f2))).commit == project.m2


@pytest.mark.parametrize("name", ["pull_request_review", "pull_request_review_comment"])
def test_a_review_is_about_the_pull_request(project: Project, tmp_path: Path, name: str) -> None:
    environ = github(tmp_path, name, pull_request(project.f2))
    found = base(project.checkout(project.merge), environ)
    assert (found.commit, found.is_proposal) == (project.m3, True)
    assert is_proposal(environ)


def test_merge_ref_of_another_head_takes_the_merge_base(project: Project, tmp_path: Path) -> None:
    clone = project.checkout(project.merge)
    assert base(clone, github(tmp_path, "pull_request", pull_request(project.f1))).commit == project.m3


def test_shallow_and_out_of_reach_says_the_line_that_mends_it(project: Project, tmp_path: Path) -> None:
    clone = project.shallow(project.merge)
    clone.git("remote", "set-url", "origin", f"file://{tmp_path}/gone")
    with pytest.raises(BaseError, match="cannot be fetched") as caught:
        base(clone, github(tmp_path, "pull_request", pull_request(project.f2)))
    assert caught.value.exit_code is ExitCode.INCOMPLETE
    assert "fetch-depth: 0" in caught.value.hint


def test_no_time_left_to_fetch_is_an_error(project: Project, tmp_path: Path) -> None:
    clone = project.shallow(project.f2)
    with pytest.raises(BaseError, match="cannot be"):
        base(clone, github(tmp_path, "pull_request", pull_request(project.f2)), fetch_seconds=0)


def test_history_too_short_and_remote_gone_is_an_error(project: Project, tmp_path: Path) -> None:
    clone = project.shallow(project.f2)
    clone.git("fetch", "-q", "--depth=1", "origin", "main:refs/remotes/origin/main")
    clone.git("remote", "set-url", "origin", f"file://{tmp_path}/gone")
    with pytest.raises(BaseError, match="too short"):
        base(clone, github(tmp_path, "pull_request", pull_request(project.f2)))


@pytest.mark.parametrize("name", ["pull_request", "pull_request_target"])
def test_a_checkout_of_the_target_branch_is_an_error(project: Project, tmp_path: Path, name: str) -> None:
    clone = project.checkout(project.m3)
    with pytest.raises(BaseError, match="very commit that is checked out") as caught:
        base(clone, github(tmp_path, name, pull_request(project.f2)))
    assert "refs/pull/NUMBER/merge" in caught.value.hint


def test_pull_request_target_that_checks_out_the_merge_ref(project: Project, tmp_path: Path) -> None:
    found = base(project.checkout(project.merge), github(tmp_path, "pull_request_target", pull_request(project.f2)))
    assert (found.commit, found.is_proposal) == (project.m3, True)


def test_pull_request_without_a_target_is_an_error(project: Project, tmp_path: Path) -> None:
    with pytest.raises(BaseError, match="which branch"):
        base(
            project.checkout(project.f2),
            github(tmp_path, "pull_request", {"pull_request": {"head": {"sha": "a" * 40}}}),
        )


@pytest.mark.parametrize("is_shallow", [False, True])
def test_merge_group(project: Project, tmp_path: Path, is_shallow: bool) -> None:
    clone = project.shallow(project.merge) if is_shallow else project.checkout(project.merge)
    payload = {"merge_group": {"base_sha": project.m3, "head_sha": project.merge}}
    found = base(clone, github(tmp_path, "merge_group", payload))
    assert (found.commit, found.is_proposal) == (project.m3, True)


@pytest.mark.parametrize("is_shallow", [False, True])
def test_push_is_compared_with_what_was_there(project: Project, tmp_path: Path, is_shallow: bool) -> None:
    clone = project.shallow(project.m3) if is_shallow else project.checkout(project.m3)
    payload = {"before": project.m1, "ref": "refs/heads/main", "repository": {"default_branch": "main"}}
    found = base(clone, github(tmp_path, "push", payload))
    assert (found.commit, found.is_proposal) == (project.m1, False)


@pytest.mark.parametrize("is_shallow", [False, True])
def test_push_of_a_new_branch_takes_the_merge_base(project: Project, tmp_path: Path, is_shallow: bool) -> None:
    clone = project.shallow(project.f2) if is_shallow else project.checkout(project.f2)
    payload = {"before": NOTHING, "ref": "refs/heads/feature", "repository": {"default_branch": "main"}}
    assert base(clone, github(tmp_path, "push", payload)).commit == project.m2


def test_push_of_a_new_branch_without_a_commit_of_its_own(project: Project, tmp_path: Path) -> None:
    payload = {"before": NOTHING, "ref": "refs/heads/copy", "repository": {"default_branch": "main"}}
    assert base(project.checkout(project.m2), github(tmp_path, "push", payload)).commit == project.m2


@pytest.mark.parametrize("ref", ["refs/heads/main", "refs/tags/v1"])
def test_first_push_of_the_default_branch_and_tags_of_it_check_everything(
    project: Project, tmp_path: Path, ref: str
) -> None:
    payload = {"before": NOTHING, "ref": ref, "repository": {"default_branch": "main"}}
    assert base(project.checkout(project.m3), github(tmp_path, "push", payload)).kind is BaseKind.EVERYTHING


@pytest.mark.parametrize(("ref", "what"), [("refs/heads/copy", "a new branch; "), ("refs/tags/v1", "a new tag; ")])
def test_a_push_of_what_is_new_says_what_it_is(project: Project, tmp_path: Path, ref: str, what: str) -> None:
    payload = {"before": NOTHING, "ref": ref, "repository": {"default_branch": "main"}}
    found = base(project.checkout(project.f2), github(tmp_path, "push", payload))
    assert (found.commit, found.why.startswith(what)) == (project.m2, True)


def test_push_of_an_unrelated_history_is_an_error(project: Project, tmp_path: Path) -> None:
    project.remote.git("checkout", "-q", "--orphan", "island")
    island = project.remote.commit({"c": "1"})
    project.remote.git("checkout", "-q", "main")
    payload = {"before": NOTHING, "ref": "refs/heads/island", "repository": {"default_branch": "main"}}
    with pytest.raises(BaseError, match="no history in common"):
        base(project.shallow(island), github(tmp_path, "push", payload))


def test_force_push_whose_earlier_commit_the_remote_still_has(project: Project, tmp_path: Path) -> None:
    project.remote.git("branch", "-q", "-f", "feature", project.m2)
    clone = project.remote.clone(tmp_path / "clone")
    clone.git("checkout", "-q", "--detach", project.m2)
    payload = {"before": project.f2, "forced": True, "ref": "refs/heads/feature", "repository": {}}
    found = base(clone, github(tmp_path, "push", payload))
    assert found.commit == project.f2
    assert "force-pushed" in found.why


def test_force_push_whose_earlier_commit_is_gone_is_an_error(project: Project, tmp_path: Path) -> None:
    payload = {"before": "ab" * 20, "forced": True, "ref": "refs/heads/feature", "repository": {}}
    with pytest.raises(BaseError, match="force-push, commit abab"):
        base(project.checkout(project.f2), github(tmp_path, "push", payload))


def test_push_where_the_pushed_commit_is_not_checked_out_is_an_error(project: Project, tmp_path: Path) -> None:
    with pytest.raises(BaseError, match="very commit"):
        base(project.checkout(project.m2), github(tmp_path, "push", {"before": project.m2}))


@pytest.mark.parametrize("name", ["schedule", "workflow_dispatch", "release", ""])
def test_events_without_a_base_check_everything(project: Project, tmp_path: Path, name: str) -> None:
    found = base(project.checkout(project.m3), github(tmp_path, name, {}))
    assert (found.kind, found.commit) == (BaseKind.EVERYTHING, None)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"[" * 200_000, id="deep"),
        pytest.param(b"\xff\xfe\xff", id="no text"),
        pytest.param(b"{}", id="nothing in it"),
        pytest.param(b'{"before": 5}', id="a number"),
        pytest.param(b'{"before": ["a"]}', id="a list of texts"),
        pytest.param(b'{"before": "--upload-pack=touch ran"}', id="an option"),
        pytest.param(b'{"before": "HEAD"}', id="a name"),
        pytest.param(b'{"before": "' + b"A" * 40 + b'"}', id="upper case"),
        pytest.param(b'{"before": "' + b"a" * 40 + b'\\n"}', id="a line end"),
        pytest.param(
            b'{"before": "' + b"0" * 40 + b'", "repository": {"default_branch": "--all"}}', id="option as ref"
        ),
        pytest.param(b'{"before": "' + b"0" * 40 + b'", "repository": {"default_branch": "a:b"}}', id="refspec"),
        pytest.param(b'{"before": "' + b"0" * 40 + b'", "repository": {"default_branch": "x\\u0000"}}', id="NUL"),
        pytest.param(b'{"before": "' + b"0" * 40 + b'", "repository": {"default_branch": "../../x"}}', id="dots"),
    ],
)
def test_hostile_payloads_are_errors(project: Project, tmp_path: Path, payload: bytes) -> None:
    environ = github(tmp_path, "push", {})
    Path(environ["GITHUB_EVENT_PATH"]).write_bytes(payload)
    clone = project.checkout(project.m3)
    with pytest.raises(ScangateError):
        base(clone, environ)
    assert not list(tmp_path.rglob("ran"))


def test_payload_that_is_no_file_is_an_error(project: Project, tmp_path: Path) -> None:
    clone = project.checkout(project.m3)
    os.mkfifo(tmp_path / "fifo")
    for path in ("", str(tmp_path), str(tmp_path / "fifo"), str(tmp_path / "missing")):
        environ = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "push", "GITHUB_EVENT_PATH": path}
        with pytest.raises(BaseError, match="GITHUB_EVENT_PATH"):
            base(clone, environ)


def test_payload_that_is_too_large_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BaseError, match="larger than 32 MiB"):
        events.parse(b" " * (events.MAX_EVENT_BYTES + 1))


# ---------------------------------------------------------------------------------------------- other CIs

PROPOSALS = [
    pytest.param({"GITLAB_CI": "true", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"}, id="gitlab"),
    pytest.param({"GITLAB_CI": "true", "CI_EXTERNAL_PULL_REQUEST_TARGET_BRANCH_NAME": "main"}, id="gitlab external"),
    pytest.param({"TF_BUILD": "True", "SYSTEM_PULLREQUEST_TARGETBRANCH": "refs/heads/main"}, id="azure"),
    pytest.param({"TF_BUILD": "True", "SYSTEM_PULLREQUEST_TARGETBRANCH": "main"}, id="azure short"),
    pytest.param({"BITBUCKET_BUILD_NUMBER": "7", "BITBUCKET_PR_DESTINATION_BRANCH": "main"}, id="bitbucket"),
    pytest.param({"JENKINS_URL": "https://ci.example.com", "CHANGE_TARGET": "main"}, id="jenkins"),
    pytest.param({"BUILDKITE": "true", "BUILDKITE_PULL_REQUEST_BASE_BRANCH": "main"}, id="buildkite"),
]


@pytest.mark.parametrize("environ", PROPOSALS)
@pytest.mark.parametrize("is_shallow", [False, True])
def test_proposals_take_the_merge_base(project: Project, environ: dict[str, str], is_shallow: bool) -> None:
    clone = project.shallow(project.f2) if is_shallow else project.checkout(project.f2)
    found = base(clone, environ)
    assert (found.commit, found.is_proposal) == (project.m2, True)


@pytest.mark.parametrize("environ", PROPOSALS)
def test_proposals_on_the_target_itself_are_errors(project: Project, environ: dict[str, str]) -> None:
    with pytest.raises(BaseError, match="very commit"):
        base(project.checkout(project.m3), environ)


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({"GITLAB_CI": "true", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "gone"}, "GIT_DEPTH"),
        ({"TF_BUILD": "True", "SYSTEM_PULLREQUEST_TARGETBRANCH": "gone"}, "fetchDepth"),
        ({"BITBUCKET_BUILD_NUMBER": "7", "BITBUCKET_PR_DESTINATION_BRANCH": "gone"}, "depth: full"),
        ({"JENKINS_URL": "https://ci.example.com", "CHANGE_TARGET": "gone"}, "CloneOption"),
        ({"BUILDKITE": "true", "BUILDKITE_PULL_REQUEST_BASE_BRANCH": "gone"}, "BUILDKITE_GIT_CLONE_FLAGS"),
    ],
)
def test_a_missing_target_branch_says_the_line(project: Project, environ: dict[str, str], line: str) -> None:
    with pytest.raises(BaseError, match="branch 'gone' of origin") as caught:
        base(project.checkout(project.f2), environ)
    assert line in caught.value.hint


@pytest.mark.parametrize(
    "environ",
    [
        {"TF_BUILD": "True", "BUILD_REASON": "PullRequest"},
        {"BITBUCKET_BUILD_NUMBER": "7", "BITBUCKET_PR_ID": "3"},
        {"JENKINS_URL": "https://ci.example.com", "CHANGE_ID": "3"},
        {"BUILDKITE": "true", "BUILDKITE_PULL_REQUEST": "3"},
    ],
)
def test_a_proposal_without_a_target_is_an_error(project: Project, environ: dict[str, str]) -> None:
    with pytest.raises(BaseError, match="does not say its target"):
        base(project.checkout(project.f2), environ)


def test_gitlab_merge_request_takes_the_diff_base(project: Project) -> None:
    environ = {"GITLAB_CI": "true", "CI_MERGE_REQUEST_DIFF_BASE_SHA": project.m2}
    found = base(project.shallow(project.f2), environ)
    assert (found.commit, found.is_proposal) == (project.m2, True)


def test_gitlab_branches(project: Project) -> None:
    clone = project.checkout(project.f2)
    gitlab = {"GITLAB_CI": "true", "CI_DEFAULT_BRANCH": "main", "CI_COMMIT_BEFORE_SHA": NOTHING}
    assert base(clone, {**gitlab, "CI_COMMIT_BRANCH": "feature"}).commit == project.m2
    clone.git("checkout", "-q", project.m3)
    on_main = {**gitlab, "CI_COMMIT_BRANCH": "main"}
    assert base(clone, on_main).kind is BaseKind.EVERYTHING
    assert base(clone, {**on_main, "CI_COMMIT_BEFORE_SHA": project.m1}).commit == project.m1
    assert base(clone, {**on_main, "CI_PIPELINE_SOURCE": "schedule"}).kind is BaseKind.EVERYTHING


PIPELINES = [
    pytest.param({"TF_BUILD": "True", "BUILD_REASON": "IndividualCI"}, id="azure"),
    pytest.param({"BITBUCKET_BUILD_NUMBER": "7"}, id="bitbucket"),
    pytest.param({"JENKINS_URL": "https://ci.example.com"}, id="jenkins"),
    pytest.param({"BUILDKITE": "true", "BUILDKITE_PULL_REQUEST": "false"}, id="buildkite"),
    pytest.param({"CI": "1"}, id="unknown"),
    # These set no CI.
    pytest.param({"TEAMCITY_VERSION": "2025.03"}, id="teamcity"),
    pytest.param({"CODEBUILD_BUILD_ID": "project:1"}, id="codebuild"),
    pytest.param({"bamboo_planKey": "P-1"}, id="bamboo"),
    pytest.param({"GO_PIPELINE_NAME": "main"}, id="gocd"),
]


@pytest.mark.parametrize("environ", PIPELINES)
def test_pipelines_of_a_branch_and_of_the_default_branch(project: Project, environ: dict[str, str]) -> None:
    clone = project.checkout(project.f2)
    found = base(clone, environ)
    assert (found.commit, found.is_proposal) == (project.m2, False)
    clone.git("checkout", "-q", project.m3)
    # Compared with the merge-base, which is itself, the default branch would always pass.
    assert base(clone, environ).kind is BaseKind.EVERYTHING
    clone.git("checkout", "-q", project.f2)
    clone.write({"b": "3"})
    clone.git("add", "b")
    assert base(clone, environ, staged=True).commit == project.m2


def test_pipeline_that_knows_no_default_branch_checks_everything(project: Project) -> None:
    assert base(project.shallow(project.f2), {"CI": "true"}).kind is BaseKind.EVERYTHING


@pytest.mark.parametrize(
    "environ", [{"TF_BUILD": "True", "BUILD_REASON": "Schedule"}, {"BUILDKITE": "true", "BUILDKITE_SOURCE": "schedule"}]
)
def test_schedules_check_everything(project: Project, environ: dict[str, str]) -> None:
    assert base(project.checkout(project.f2), environ).kind is BaseKind.EVERYTHING


# -------------------------------------------------------------------------------------------------- local


def test_local_branch_takes_the_merge_base_with_the_default_branch(project: Project) -> None:
    clone = project.remote.clone(project.folder / "clone")
    clone.git("checkout", "-q", "feature")
    found = base(clone)
    assert (found.commit, found.is_proposal, found.head) == (project.m2, False, None)
    assert "origin/HEAD" in found.why
    assert base(Repository(clone.folder / ".git" / "..")).commit == project.m2


@pytest.mark.parametrize("name", ["main", "master"])
def test_local_branch_where_the_remote_says_no_default(project: Project, name: str) -> None:
    project.remote.git("branch", "-m", "main", name)
    clone = project.remote.clone(project.folder / "clone")
    clone.git("checkout", "-q", "feature")
    clone.git("remote", "set-head", "origin", "--delete")
    found = base(clone)
    assert found.commit == project.m2
    assert f"origin/{name}" in found.why
    clone.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/gone")
    assert base(clone).commit == project.m2


def test_local_branch_of_an_unrelated_history_is_an_error(project: Project) -> None:
    clone = project.remote.clone(project.folder / "clone")
    clone.git("checkout", "-q", "--orphan", "island")
    clone.commit()
    with pytest.raises(BaseError, match="no history in common"):
        base(clone)


def test_without_a_remote_or_a_commit_or_a_repository_everything_is_new(tmp_path: Path) -> None:
    here = Repository.new(tmp_path / "repository")
    assert base(here).kind is BaseKind.EVERYTHING
    assert base(here, staged=True).kind is BaseKind.EVERYTHING
    here.commit({"a": "1"})
    assert base(here).kind is BaseKind.EVERYTHING
    (tmp_path / "plain").mkdir()
    assert base(Repository(tmp_path / "plain")).kind is BaseKind.EVERYTHING
    with pytest.raises(UsageError, match="no git repository"):
        base(Repository(tmp_path / "plain"), explicit="main")


@pytest.mark.parametrize("path", [None, "/nowhere"], ids=["with git", "without git"])
def test_a_proposal_without_a_repository_is_an_error(tmp_path: Path, path: str | None) -> None:
    """As actions/checkout leaves it where there is no git: the files alone, and the change's own policy among them."""
    plain = Repository(tmp_path)
    github = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request"}
    for environ in (github, {"CI": "true", "CHANGE_TARGET": "main"}):
        with pytest.raises(BaseError, match="no git repository"):
            base(plain, {**environ, **({"PATH": path} if path else {})})
    assert base(plain, {**github, "GITHUB_EVENT_NAME": "schedule"}).kind is BaseKind.EVERYTHING


def test_without_git_a_repository_is_an_error_and_a_folder_is_new(tmp_path: Path) -> None:
    here = Repository.new(tmp_path / "repository")
    with pytest.raises(BaseError, match="git cannot be run"):
        base(here, {"PATH": str(tmp_path)})
    (tmp_path / "plain").mkdir()
    assert base(Repository(tmp_path / "plain"), {"PATH": str(tmp_path)}).kind is BaseKind.EVERYTHING


def test_a_repository_that_git_refuses_is_an_error(project: Project) -> None:
    (project.remote.folder / ".git" / "config").write_text("[core\n")
    with pytest.raises(BaseError, match="cannot be read"):
        base(Repository(project.remote.folder))


# ----------------------------------------------------------------------------------------------- explicit


@pytest.mark.parametrize("name", ["origin/main", "main", "refs/remotes/origin/main"])
def test_explicit_base(project: Project, name: str) -> None:
    clone = project.checkout(project.f2)
    assert base(clone, {"CI": "true"}, explicit=name).commit == project.m3
    assert base(clone, explicit=project.m1[:10]).commit == project.m1
    assert base(clone, explicit="HEAD~1").commit == project.f1


@pytest.mark.parametrize("name", ["main", "origin/main", "main~0", "{short}"])
def test_a_tag_with_the_name_of_the_base_does_not_stand_in_for_it(project: Project, name: str) -> None:
    clone = project.checkout(project.f2)
    name = name.format(short=project.m3[:12])
    clone.git("tag", name.partition("~")[0], project.f2)
    assert clone.parse(f"{name}^{{commit}}") == project.f2  # so it is for git itself
    with pytest.raises(UsageError, match="refs/tags/"):
        base(clone, explicit=name)
    assert base(clone, explicit="refs/remotes/origin/main").commit == project.m3
    assert base(clone, explicit=f"refs/tags/{name.partition('~')[0]}").commit == project.f2


def test_tags_of_other_names_are_bases_and_no_planted_ref_is_another_one(project: Project) -> None:
    clone = project.checkout(project.f2)
    for planted in ("HEAD", "origin/HEAD", project.m3):
        clone.git("update-ref", f"refs/tags/{planted}", project.f2)
        clone.git("update-ref", f"refs/heads/{planted}", project.f2)
    clone.git("tag", "v1", project.m1)
    clone.git("tag", "cafe", project.m1)
    for ref in ("refs/heads/main", "refs/tags/main"):
        clone.git("update-ref", ref, project.m3)
    for name, commit in (("v1", "m1"), ("cafe", "m1"), ("main", "m3"), (project.m3, "m3"), ("HEAD~1", "f1")):
        assert base(clone, explicit=name).commit == getattr(project, commit)
    assert base(clone).commit == project.m2


def test_explicit_base_is_fetched(project: Project) -> None:
    clone = project.shallow(project.f2)
    assert base(clone, explicit=project.m1).commit == project.m1
    assert base(clone, explicit="main").commit == project.m3


@pytest.mark.parametrize("name", ["--all", "-h", "", "a b", "main:x", "x\0", "main^{/[a}"])
def test_explicit_base_that_is_no_name(project: Project, name: str) -> None:
    with pytest.raises(UsageError, match="is not the name of a commit"):
        base(project.checkout(project.f2), explicit=name)


@pytest.mark.parametrize("name", ["nowhere", "12" * 20, NOTHING])
def test_explicit_base_that_is_nowhere(project: Project, name: str) -> None:
    with pytest.raises(BaseError):
        base(project.checkout(project.f2), explicit=name)


# -------------------------------------------------------------------------------------------------- hooks


def test_commit_hook_takes_head(project: Project) -> None:
    clone = project.remote.clone(project.folder / "clone")
    clone.git("checkout", "-q", "feature")
    clone.write({"b": "3"})
    clone.git("add", "b")
    found = base(clone, staged=True)
    assert (found.commit, found.is_proposal) == (project.f2, False)


def test_commit_hook_with_an_index_equal_to_head_takes_the_merge_base(project: Project) -> None:
    clone = project.remote.clone(project.folder / "clone")
    clone.git("checkout", "-q", "feature")
    clone.write({"b": "3"})  # only in the worktree
    found = base(clone, staged=True)
    assert found.commit == project.m2
    assert "index equals HEAD" in found.why


def test_commit_hook_reads_the_index_that_it_is_given(project: Project) -> None:
    clone = project.remote.clone(project.folder / "clone")
    clone.git("checkout", "-q", "feature")
    other = clone.folder / ".git" / "next-index-1.lock"
    clone.write({"b": "3"})
    clone.git("read-tree", "HEAD", index=other)
    clone.git("add", "b", index=other)
    assert base(clone, staged=True, index=other).commit == project.f2
    assert base(clone, staged=True).commit == project.m2


def test_commit_hook_in_a_ci_takes_the_base_of_the_ci(project: Project, tmp_path: Path) -> None:
    clone = project.checkout(project.merge)
    clone.write({"b": "3"})
    clone.git("add", "b")
    assert base(clone, github(tmp_path, "pull_request", pull_request(project.f2)), staged=True).commit == project.m3


@pytest.mark.parametrize("environ", PIPELINES)
def test_push_hook_in_a_ci_takes_the_base_of_the_ci(project: Project, environ: dict[str, str]) -> None:
    """As with the commit hook: on the default branch the merge-base is the pushed commit itself, and would pass."""
    clone = project.checkout(project.m3)
    found = base(clone, environ, pushed=True)
    assert (found.kind, found.head) == (BaseKind.EVERYTHING, project.m3)
    assert "PRE_COMMIT_FROM_REF is not set" in found.why
    found = base(clone, {**environ, "PRE_COMMIT_TO_REF": project.f2}, pushed=True)  # whatever is checked out
    assert (found.commit, found.head) == (project.m2, project.f2)
    clone.git("checkout", "-q", project.f2)
    on_main = base(clone, {**environ, "PRE_COMMIT_LOCAL_BRANCH": "refs/remotes/origin/main"}, pushed=True)
    assert (on_main.kind, on_main.head) == (BaseKind.EVERYTHING, project.m3)


def test_push_hook_in_a_pull_request_takes_its_base_by_what_is_pushed(project: Project, tmp_path: Path) -> None:
    environ = github(tmp_path, "pull_request", pull_request(project.f2))
    clone = project.checkout(project.m3)
    found = base(clone, {**environ, "PRE_COMMIT_TO_REF": project.merge}, pushed=True)
    assert (found.commit, found.head) == (project.m3, project.merge)
    assert "first parent" in found.why
    with pytest.raises(BaseError, match="very commit"):
        base(clone, environ, pushed=True)
    clone.git("checkout", "-q", project.merge)
    with pytest.raises(BaseError, match="very commit"):
        base(clone, {**environ, "PRE_COMMIT_TO_REF": project.m3}, pushed=True)


def test_a_base_that_is_checked_out_is_told(project: Project) -> None:
    clone = project.remote.clone(project.folder / "clone")
    assert base(clone).is_head
    assert base(clone, explicit="HEAD").is_head
    assert not base(clone, explicit="HEAD~1").is_head
    clone.git("checkout", "-q", "feature")
    assert not base(clone).is_head


def test_push_hook_takes_what_the_remote_has(project: Project) -> None:
    clone = project.remote.clone(project.folder / "clone")
    environ = {"PRE_COMMIT_FROM_REF": project.m2, "PRE_COMMIT_TO_REF": project.f1}
    found = base(clone, environ, pushed=True)
    assert (found.commit, found.head) == (project.m2, project.f1)


def test_push_hook_without_what_the_remote_has_says_so(project: Project) -> None:
    clone = project.remote.clone(project.folder / "clone")
    clone.git("branch", "-q", "topic", project.f2)
    found = base(clone, {"PRE_COMMIT_LOCAL_BRANCH": "refs/heads/topic"}, pushed=True)
    assert (found.commit, found.head) == (project.m2, project.f2)
    assert "PRE_COMMIT_FROM_REF is not set" in found.why
    assert base(clone, pushed=True).head == clone.head
    assert (
        base(clone, {"PRE_COMMIT_FROM_REF": NOTHING, "PRE_COMMIT_TO_REF": project.f2}, pushed=True).commit == project.m2
    )
    assert base(clone, pushed=True, explicit=project.m1).commit == project.m1


def test_push_hook_takes_names_for_both_ends(project: Project) -> None:
    """As in a CI: `pre-commit run --from-ref main --to-ref HEAD`."""
    clone = project.shallow(project.f2)
    found = base(clone, {"PRE_COMMIT_FROM_REF": "main", "PRE_COMMIT_TO_REF": "HEAD"}, pushed=True)
    assert (found.commit, found.head) == (project.m3, project.f2)  # main is fetched
    with pytest.raises(BaseError, match="branch 'nowhere' of origin"):
        base(clone, {"PRE_COMMIT_FROM_REF": "origin/nowhere", "PRE_COMMIT_TO_REF": "HEAD"}, pushed=True)


@pytest.mark.parametrize("variable", ["PRE_COMMIT_FROM_REF", "PRE_COMMIT_TO_REF", "PRE_COMMIT_LOCAL_BRANCH"])
@pytest.mark.parametrize("name", ["main", "origin/main", "{short}"])
def test_a_tag_with_the_name_of_what_the_push_hook_is_told_does_not_stand_in_for_it(
    project: Project, variable: str, name: str
) -> None:
    clone = project.checkout(project.f2)
    name = name.format(short=project.m3[:12])
    clone.git("tag", name, project.f2)
    with pytest.raises(UsageError, match=f"{variable} {name}: that is refs/tags/{name}, and also "):
        base(clone, {variable: name}, pushed=True)


@pytest.mark.parametrize("name", ["feature~1", "refs/heads/feature~1", "{id}", "{id:.12}", "refs/tags/v1", "v1", "@"])
def test_push_hook_takes_the_branch_as_git_names_it(project: Project, name: str) -> None:
    """`git push origin feature~1:refs/heads/x`, a commit id, a tag object; pre-commit hands on what git says."""
    clone = project.checkout(project.f1)
    clone.git("branch", "-q", "feature", project.f2)
    clone.git("tag", "-a", "-m", "Release", "v1", project.f1)
    assert clone.parse("refs/tags/v1") != project.f1
    found = base(clone, {"PRE_COMMIT_LOCAL_BRANCH": name.format(id=project.f1)}, pushed=True)
    assert (found.commit, found.head) == (project.m2, project.f1)


def test_first_push_of_a_new_repository_is_all_new(tmp_path: Path) -> None:
    here = Repository.new(tmp_path / "repository")
    head = here.commit({"a": "1"})
    found = base(here, pushed=True)
    assert (found.kind, found.head) == (BaseKind.EVERYTHING, head)


def test_push_hook_that_names_what_is_not_here(project: Project) -> None:
    clone = project.remote.clone(project.folder / "clone")
    with pytest.raises(BaseError, match="is not a commit here"):
        base(clone, {"PRE_COMMIT_TO_REF": "ab" * 20}, pushed=True)
    with pytest.raises(BaseError, match="PRE_COMMIT_FROM_REF"):
        base(clone, {"PRE_COMMIT_FROM_REF": "ab" * 20, "PRE_COMMIT_TO_REF": "HEAD"}, pushed=True)


# ------------------------------------------------------------------------------------------- what git may do


def test_a_fetch_runs_nothing_of_the_repository(project: Project, tmp_path: Path) -> None:
    clone = project.shallow(project.f2)
    hook = clone.folder / ".git" / "hooks" / "reference-transaction"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    assert base(clone, explicit="main").commit == project.m3
    assert not (tmp_path / "ran").exists()


def test_a_remote_that_is_a_command_is_not_run(project: Project, tmp_path: Path) -> None:
    clone = project.shallow(project.f2)
    clone.git("config", "remote.origin.url", f"ext::touch {tmp_path}/ran")
    with pytest.raises(BaseError, match="not allowed"):
        base(clone, explicit="main")
    assert not (tmp_path / "ran").exists()


def test_credentials_of_a_remote_do_not_reach_the_error(project: Project) -> None:
    clone = project.shallow(project.f2)
    clone.git("config", "remote.origin.url", "http://user:token-xyz@127.0.0.1:9/x.git")
    with pytest.raises(BaseError) as caught:
        base(clone, explicit="main")
    assert "token-xyz" not in caught.value.message


def test_nothing_of_a_whole_clone_becomes_shallow(project: Project) -> None:
    clone = project.remote.clone(project.folder / "clone", "--single-branch")
    base(clone, explicit=project.f2)
    assert not (clone.folder / ".git" / "shallow").exists()
