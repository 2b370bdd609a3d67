"""What a change is compared with: the base, found from where scangate runs.

One function a place (a CI, a hook, a local branch). None of them ever answers "no changes" for a base that it cannot
find: it raises BaseError (exit code 3), or compares with nothing, so that everything is new.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from scangate.changes import event as events
from scangate.changes.event import Event
from scangate.changes.git import Git, GitError
from scangate.changes.history import FETCH_SECONDS, History, credentials, is_id, is_nothing
from scangate.errors import BaseError, UsageError


class BaseKind(StrEnum):
    COMMIT = "commit"
    EVERYTHING = "everything"
    """Nothing to compare with: every dependency is new."""


class Base(NamedTuple):
    """What to compare with.

    `commit` is a full id, there and readable; None where everything is new. `why` is one sentence for people (may
    hold text from outside). `head` is the commit that is pushed, in a push hook alone: it is read instead of the
    working tree. `is_proposal`: the change is proposed for the base (pull request, merge queue), so that the policy
    is read from there; from `ground` where everything is checked all the same. `is_head`: the commit is the one that is
    checked out, so that only what is not committed can be new.
    """

    kind: BaseKind
    commit: str | None
    why: str
    head: str | None = None
    is_proposal: bool = False
    ground: str | None = None
    is_head: bool = False


def everything(why: str, *, ground: str | None = None) -> Base:
    """The base of a run that compares with nothing (`--all`, a folder outside of any repository)."""
    return Base(kind=BaseKind.EVERYTHING, commit=None, why=why, ground=ground)


def find_base(
    environ: Mapping[str, str],
    git: Git,
    *,
    explicit: str | None = None,
    staged: bool = False,
    pushed: bool = False,
    index: Path | None = None,
    read_event: Callable[[str], Event] = events.read,
    fetch_seconds: float = FETCH_SECONDS,
) -> Base:
    """The base that `explicit` names (`--base REF`), else the one of the place where scangate runs.

    `staged`: the index (`index` as `trees.index_file` gives it) is what is checked; `pushed`: what is being pushed.
    Outside of a repository everything is new. Raises BaseError where there should be a base and none can be read,
    UsageError where a name is none, GitError where git itself fails.
    """
    history = History(git, mend=_mend(environ), fetch_seconds=fetch_seconds, settings=credentials(environ))
    try:
        head = history.head()
    except GitError as exc:
        if _is_repository(git, exc):
            # To compare with nothing would be safe, to say that there is no repository would be wrong.
            raise BaseError(f"The repository cannot be read: {exc.message}", _REFUSED) from exc
        if explicit is not None or staged or pushed:
            raise UsageError(
                "There is no git repository here.", "Run scangate in one, without --base and hooks."
            ) from exc
        if is_proposal(environ):
            # Everything would be checked, and by the policy that the change brings along.
            raise BaseError("There is no git repository here, so nothing says what is proposed.", _NO_CLONE) from exc
        return everything("everything is new: there is no git repository here.")
    place = _Place(environ, history, head, read_event)
    if pushed:
        base = place.push_hook(explicit)
    elif explicit is not None:
        base = place.explicit(explicit)
    elif staged and not in_ci(environ):
        base = place.commit_hook(index)
    else:
        base = place.here()
    # Asked once, whichever way the base was found: a change must not allow itself.
    is_head = not pushed and base.commit is not None and base.commit == head
    return base._replace(is_proposal=is_proposal(environ), is_head=is_head)


def _is_repository(git: Git, error: GitError) -> bool:
    if error.status is None:
        return any((folder / ".git").exists() for folder in (git.folder, *git.folder.parents))
    return "not a git repository" not in error.message


_REFUSED = (
    "Where another user owns the checkout: git config --global --add safe.directory DIRECTORY. Or check everything "
    "with --all."
)


_NO_CLONE = (
    "Where git is missing, actions/checkout and others fetch the files alone: install git before the checkout. "
    "Is the folder the repository's?"
)


class _Place(NamedTuple):
    """`head` is the commit that is checked: in a push hook the pushed one, else the one that is checked out."""

    environ: Mapping[str, str]
    history: History
    head: str | None
    read_event: Callable[[str], Event]

    def here(self) -> Base:
        """By the CI that runs, else as on a developer's machine."""
        environ = self.environ
        if self.head is None:
            return everything("everything is new: there is no commit yet.")
        for is_here, rule in (
            (_is_true(environ, "GITHUB_ACTIONS"), self._github),
            (_is_true(environ, "GITLAB_CI"), self._gitlab),
            (_is_true(environ, "TF_BUILD"), self._azure),
            ("BITBUCKET_BUILD_NUMBER" in environ, self._bitbucket),
            (bool(environ.get("JENKINS_URL")), self._jenkins),
            (_is_true(environ, "BUILDKITE"), self._buildkite),
            (in_ci(environ), self._pipeline),
        ):
            if is_here:
                return rule()
        return self.local(self.head)

    def explicit(self, ref: str) -> Base:
        return _commit(self._named(ref, "--base"), f"--base {ref}")

    def _named(self, ref: str, by: str) -> str:
        """The commit that people or programs name, fetched where it is not here. `by`: the option or variable."""
        found = self.head if ref == "HEAD" else self.history.named(ref, by)
        if found is None and is_id(ref):
            found = self.history.need(ref, f"what {by} names")
        return found or self.history.branch(ref.removeprefix("origin/"))

    # ------------------------------------------------------------------------------------------------ hooks

    def commit_hook(self, index: Path | None) -> Base:
        if self.head is None:
            return everything("everything is new: there is no commit yet.")
        git = self.history.git
        if git.run("diff-index", "--cached", "--name-only", "-z", "--no-ext-diff", self.head, "--", index=index):
            return _commit(self.head, "HEAD, which the index is committed on top of")
        return self.local(self.head, because="the index equals HEAD, so nothing is being committed; ")

    def push_hook(self, explicit: str | None) -> Base:
        """pre-commit names what the remote has (FROM) and what is pushed (TO), but not on the first push to it."""
        head = self._pushed()
        source = self.environ.get("PRE_COMMIT_FROM_REF")
        if explicit is not None:
            base = self.explicit(explicit)
        elif source and not is_nothing(source):
            found = self._named(source, "PRE_COMMIT_FROM_REF")
            base = _commit(found, "what the remote has (PRE_COMMIT_FROM_REF)")
        else:
            place = self._replace(head=head)
            base = place.here() if in_ci(self.environ) else place.local(head)
            unknown = "nothing says what the remote has (PRE_COMMIT_FROM_REF is not set)"
            base = base._replace(why=f"{unknown}; {base.why}")
        return base._replace(head=head)

    def _pushed(self) -> str:
        variables = ("PRE_COMMIT_TO_REF", "PRE_COMMIT_LOCAL_BRANCH")
        by = next((name for name in variables if self.environ.get(name)), "")
        named = self.environ.get(by, "HEAD")
        head = self.history.named(named, by)
        if head is None:
            raise BaseError(f"What is pushed, {named!r:.200}, is not a commit here.", "Name it: PRE_COMMIT_TO_REF.")
        return head

    def local(self, commit: str, *, because: str = "") -> Base:
        """Where the branch left the remote's default branch."""
        default = self.history.default_branch()
        if default is None:
            return everything(f"{because}everything is new: this clone has no origin/HEAD, origin/main or the like.")
        name, tip = default
        return _commit(self.history.merge_base(commit, tip), f"{because}where {commit[:12]} left {name}")

    # --------------------------------------------------------------------------------------------------- CI

    def _github(self) -> Base:
        name = self.environ.get("GITHUB_EVENT_NAME", "")
        if name not in (*_GITHUB_PROPOSALS, "push"):
            return everything(f"everything is checked: the event is {name or 'unknown'}, which has no base.")
        event = self.read_event(self.environ.get("GITHUB_EVENT_PATH", ""))
        if name == "push":
            return self._github_push(event)
        if name == "merge_group":
            base = self.history.need(event.commit("merge_group", "base_sha"), "the merge queue's base")
            return self._other_than_head(base, "the merge queue's base")
        parents = self.history.parents(self._checked)
        if len(parents) == 2 and parents[1] == event.commit("pull_request", "head", "sha"):
            base = self.history.need(parents[0], "the first parent of the merge commit")
            return self._other_than_head(base, "the first parent of the pull request's merge commit")
        target = event.ref("pull_request", "base", "ref") or self.environ.get("GITHUB_BASE_REF", "")
        return self._target(target, "the pull request")

    def _github_push(self, event: Event) -> Base:
        before = event.commit("before")
        if not is_nothing(before):
            if event.flag("forced"):
                base = self.history.need(before, "what the branch was before the force-push")
                return self._other_than_head(base, "what the branch was before it was force-pushed")
            base = self.history.need(before, "what the branch was before the push")
            return self._other_than_head(base, "what the branch was before the push")
        default, ref = event.ref("repository", "default_branch") or "", event.ref("ref") or ""
        if default and ref == f"refs/heads/{default}":
            return everything(f"everything is new: this is the first push to {default}.")
        branch = ref.removeprefix("refs/heads/") if ref.startswith("refs/heads/") else ""
        return self._pipeline(default, branch, why="a new branch; " if branch else "a new tag; ")

    def _gitlab(self) -> Base:
        environ = self.environ
        if environ.get("CI_PIPELINE_SOURCE") in ("schedule", "web"):
            return everything(f"everything is checked: the pipeline was started by {environ['CI_PIPELINE_SOURCE']}.")
        base = environ.get("CI_MERGE_REQUEST_DIFF_BASE_SHA")
        if base:
            found = self.history.need(base, "the merge request's base (CI_MERGE_REQUEST_DIFF_BASE_SHA)")
            return self._other_than_head(found, "the merge request's base")
        target = environ.get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME") or environ.get(
            "CI_EXTERNAL_PULL_REQUEST_TARGET_BRANCH_NAME"
        )
        if target:
            return self._target(target, "the merge request")
        default = environ.get("CI_DEFAULT_BRANCH", "")
        before = environ.get("CI_COMMIT_BEFORE_SHA", "")
        branch = environ.get("CI_COMMIT_BRANCH", "")
        if branch and branch == default and before and not is_nothing(before):
            found = self.history.need(before, "what the branch was before the push (CI_COMMIT_BEFORE_SHA)")
            return self._other_than_head(found, "what the branch was before the push")
        return self._pipeline(default, branch)

    def _azure(self) -> Base:
        reason = self.environ.get("BUILD_REASON", "")
        if reason in ("Schedule", "Manual"):
            return everything(f"everything is checked: the build's reason is {reason}.")
        return self._target_or_pipeline("SYSTEM_PULLREQUEST_TARGETBRANCH", reason == "PullRequest")

    def _bitbucket(self) -> Base:
        is_proposal = bool(self.environ.get("BITBUCKET_PR_ID"))
        return self._target_or_pipeline("BITBUCKET_PR_DESTINATION_BRANCH", is_proposal)

    def _jenkins(self) -> Base:
        return self._target_or_pipeline("CHANGE_TARGET", bool(self.environ.get("CHANGE_ID")))

    def _buildkite(self) -> Base:
        if self.environ.get("BUILDKITE_SOURCE") == "schedule":
            return everything("everything is checked: the build was started by a schedule.")
        is_proposal = self.environ.get("BUILDKITE_PULL_REQUEST", "false") not in ("false", "")
        default = self.environ.get("BUILDKITE_PIPELINE_DEFAULT_BRANCH", "")
        branch = self.environ.get("BUILDKITE_BRANCH", "")
        return self._target_or_pipeline("BUILDKITE_PULL_REQUEST_BASE_BRANCH", is_proposal, default, branch)

    def _target_or_pipeline(self, variable: str, is_proposal: bool, default: str = "", branch: str = "") -> Base:
        target = self.environ.get(variable, "")
        if target:
            return self._target(target, "the pull request")
        if is_proposal:
            raise BaseError(f"This is a pull request, and {variable} does not say its target.", _NAME_IT)
        return self._pipeline(default, branch)

    # ------------------------------------------------------------------------------------------- the common part

    def _target(self, target: str, what: str) -> Base:
        """The merge-base with the branch that a change is proposed for."""
        if not target:
            raise BaseError(f"Nothing says which branch {what} is for.", _NAME_IT)
        short = target.removeprefix("refs/heads/")
        found = self._left(self.history.branch(short))
        return self._other_than_head(found, f"where {what} left its target branch {short}")

    def _pipeline(self, default: str = "", branch: str = "", *, why: str = "") -> Base:
        """A branch that nobody proposes for anything yet.

        Where all of it is in the default branch, nothing is new, if it is another branch for sure. On the default
        branch itself nothing says what was there before: everything is checked.
        """
        known = (f"origin/{default}", self.history.branch(default)) if default else self.history.default_branch()
        if known is None:
            return everything(f"{why}everything is new: nothing says which branch is the default one.")
        name, tip = known
        found = self._left(tip)
        is_other = bool(default and branch and branch != default)
        if found == self.head and not is_other:
            return everything(f"{why}everything is checked: {name} has all of it, and nothing says what was before.")
        return _commit(found, f"{why}where the branch left {name}")

    def _left(self, tip: str) -> str:
        return self.history.merge_base(self._checked, tip)

    @property
    def _checked(self) -> str:
        assert self.head is not None  # here() has looked
        return self.head

    def _other_than_head(self, commit: str, why: str) -> Base:
        """A checkout of the base itself shows none of the change: to compare it with itself must not pass."""
        if commit == self.head:
            raise BaseError(
                f"The base ({why}) is the very commit that is checked out or pushed, so the change is not here to be"
                " checked.",
                "Check out the change itself (on pull_request_target: ref: refs/pull/NUMBER/merge), or use --all.",
            )
        return _commit(commit, why)


_NAME_IT = "Name the base with --base REF, or check everything with --all."


def _commit(commit: str, why: str) -> Base:
    return Base(kind=BaseKind.COMMIT, commit=commit, why=f"{why}: commit {commit[:12]}.")


def _is_true(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").lower() in ("true", "1")


def in_ci(environ: Mapping[str, str]) -> bool:
    """Whether a CI runs this, and nobody sits before it."""
    return environ.get("CI", "").lower() not in ("", "false", "0") or any(environ.get(name) for name in _OF_CI)


_OF_CI = (
    *("GITHUB_ACTIONS", "GITLAB_CI", "TF_BUILD", "JENKINS_URL", "BUILDKITE", "BITBUCKET_BUILD_NUMBER"),
    *("TEAMCITY_VERSION", "CODEBUILD_BUILD_ID", "bamboo_planKey", "GO_PIPELINE_NAME"),
)
"""Variables that CI systems set for every run. TeamCity, AWS CodeBuild, Bamboo and GoCD set no CI."""


def is_proposal(environ: Mapping[str, str]) -> bool:
    """Whether a CI runs this for a change that somebody proposes: a pull or merge request, a merge queue."""
    if _is_true(environ, "GITHUB_ACTIONS"):
        return environ.get("GITHUB_EVENT_NAME") in _GITHUB_PROPOSALS
    return (
        any(environ.get(name) for name in _OF_PROPOSALS)
        or environ.get("BUILD_REASON") == "PullRequest"
        or environ.get("BUILDKITE_PULL_REQUEST", "false") not in ("false", "")
    )


_GITHUB_PROPOSALS = (
    *("pull_request", "pull_request_target", "pull_request_review", "pull_request_review_comment"),
    "merge_group",
)
"""Events whose checkout is, or may be, what somebody proposes: reviews have the pull request's merge commit, too."""

_OF_PROPOSALS = (
    *("CI_MERGE_REQUEST_DIFF_BASE_SHA", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME"),
    *("CI_EXTERNAL_PULL_REQUEST_TARGET_BRANCH_NAME", "SYSTEM_PULLREQUEST_TARGETBRANCH"),
    *("BITBUCKET_PR_ID", "BITBUCKET_PR_DESTINATION_BRANCH", "CHANGE_ID", "CHANGE_TARGET"),
    "BUILDKITE_PULL_REQUEST_BASE_BRANCH",
)
"""Variables of GitLab, Azure Pipelines, Bitbucket and Jenkins, Buildkite, that only such runs have."""


def _mend(environ: Mapping[str, str]) -> str:
    """The line that has the checkout bring the whole history."""
    for variable, line in (
        ("GITHUB_ACTIONS", "Set `fetch-depth: 0` under `with:` of actions/checkout."),
        ("GITLAB_CI", 'Set `GIT_DEPTH: "0"` under `variables:` in .gitlab-ci.yml.'),
        ("TF_BUILD", "Set `fetchDepth: 0` at `checkout: self` in azure-pipelines.yml."),
        ("BITBUCKET_BUILD_NUMBER", "Set `depth: full` under `clone:` in bitbucket-pipelines.yml."),
        ("JENKINS_URL", "Set `CloneOption(shallow: false, noTags: true)` in the job's checkout."),
        ("BUILDKITE", "Take `--depth` out of BUILDKITE_GIT_CLONE_FLAGS."),
    ):
        if environ.get(variable):
            return line
    return "Run `git fetch --unshallow origin` (or `git fetch origin`)."
