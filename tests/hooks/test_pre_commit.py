"""The hooks under the real pre-commit and the real git, in the ways that people commit, merge and push."""

import dataclasses
import json
import os
import sys
from pathlib import Path

import pytest

from tests.changes.ci_fixtures.packages import ALSO, CLEAN, MALICIOUS, lock
from tests.changes.ci_fixtures.repos import Repository
from tests.conftest import ROOT
from tests.hooks.conftest import Developer, Hooks, Ran

pytestmark = pytest.mark.tool("git")

LOCK = "package-lock.json"
GOOD, BAD = lock(CLEAN, ALSO), lock(CLEAN, MALICIOUS)


def blocked(ran: Ran) -> bool:
    """By the verdict on what is malicious, not by an accident."""
    assert ran.code != 0, ran.out
    assert "BLOCKED" in ran.out, ran.out
    assert MALICIOUS in ran.out
    return True


def passed(ran: Ran) -> bool:
    """After a look: what the hook says is there to be read."""
    assert ran.code == 0, ran.out
    assert "scangate: PASSED" in ran.out, ran.out
    return True


def not_triggered(ran: Ran) -> bool:
    assert ran.code == 0, ran.out
    assert "scangate: " not in ran.out
    return True


def test_a_commit(developer: Developer) -> None:
    before = developer.head
    developer.repository.write({LOCK: BAD})
    developer.git("add", LOCK)
    ran = developer.git("commit", "-m", "Bad")
    assert blocked(ran)
    assert "net-on-install" in ran.out
    assert developer.head == before
    developer.repository.write({LOCK: GOOD})
    developer.git("add", LOCK)
    ran = developer.git("commit", "-m", "Good")
    assert passed(ran)
    assert "1 package" in ran.out  # what is new
    assert developer.head != before


def test_a_commit_without_a_lockfile_does_not_trigger_it(developer: Developer) -> None:
    developer.repository.write({"README": "x"})
    developer.git("add", "README")
    assert not_triggered(developer.git("commit", "-m", "Text", SCANGATE_API_URL="http://127.0.0.1:9"))


def test_partial_staging(developer: Developer) -> None:
    developer.repository.write({LOCK: GOOD})
    developer.git("add", LOCK)
    developer.repository.write({LOCK: BAD})
    assert passed(developer.git("commit", "-m", "The good one is staged"))
    assert (developer.repository.folder / LOCK).read_text() == BAD
    developer.git("add", LOCK)
    developer.repository.write({LOCK: GOOD})
    assert blocked(developer.git("commit", "-m", "The bad one is staged"))
    assert (developer.repository.folder / LOCK).read_text() == GOOD


@pytest.mark.parametrize("how", [("-a",), (LOCK,)])
def test_a_commit_by_an_index_of_its_own(developer: Developer, how: tuple[str, ...]) -> None:
    before = developer.head
    developer.repository.write({LOCK: BAD})
    assert blocked(developer.git("commit", "-m", "Bad", *how))
    assert developer.head == before
    developer.repository.write({LOCK: GOOD})
    assert passed(developer.git("commit", "-m", "Good", *how))


def test_a_path_that_is_committed_is_judged_by_what_is_committed(developer: Developer) -> None:
    developer.repository.write({LOCK: BAD, "web/package-lock.json": lock(ALSO)})
    developer.git("add", "-A")
    assert passed(developer.git("commit", "-m", "The good one alone", "web/package-lock.json"))
    assert blocked(developer.git("commit", "-m", "And now the other"))


def test_amending(developer: Developer) -> None:
    developer.repository.write({LOCK: GOOD})
    assert passed(developer.git("commit", "-a", "-m", "Good"))
    developer.repository.write({LOCK: lock(CLEAN, ALSO, MALICIOUS)})
    before = developer.head
    assert blocked(developer.git("commit", "-a", "--amend", "--no-edit"))
    assert developer.head == before


def test_a_clean_merge_looks_at_what_it_brings_in(developer: Developer) -> None:
    developer.git("checkout", "-q", "-b", "other")
    developer.repository.write({LOCK: BAD})
    developer.git("commit", "-q", "-a", "--no-verify", "-m", "Past the hook")
    developer.git("checkout", "-q", "feature")
    developer.repository.write({"README": "x"})
    developer.git("add", "README")
    developer.git("commit", "-q", "-m", "Text")
    before = developer.head
    assert blocked(developer.git("merge", "--no-edit", "other"))
    assert developer.head == before
    developer.git("merge", "--abort")
    developer.repository.write({"web/package-lock.json": lock(ALSO)})
    developer.git("add", "-A")
    developer.git("commit", "-q", "-m", "Web")
    developer.git("checkout", "-q", "-b", "third", "HEAD~1")
    developer.repository.write({"THIRD": "x"})
    developer.git("add", "-A")
    developer.git("commit", "-q", "-m", "Third")
    assert passed(developer.git("merge", "--no-edit", "feature"))


def test_a_conflicted_merge_is_looked_at_when_it_is_committed(developer: Developer) -> None:
    developer.git("checkout", "-q", "-b", "other")
    developer.repository.write({LOCK: BAD})
    developer.git("commit", "-q", "-a", "--no-verify", "-m", "Past the hook")
    developer.git("checkout", "-q", "feature")
    developer.repository.write({LOCK: GOOD})
    assert passed(developer.git("commit", "-a", "-m", "Good"))
    assert developer.git("merge", "--no-edit", "other").code != 0
    developer.repository.write({LOCK: lock(CLEAN, ALSO, MALICIOUS)})
    developer.git("add", LOCK)
    assert blocked(developer.git("commit", "--no-edit"))
    developer.repository.write({LOCK: GOOD})
    developer.git("add", LOCK)
    assert developer.git("commit", "--no-edit").code == 0
    assert developer.git("rev-parse", "HEAD^2").code == 0


def test_all_files_are_compared_with_where_the_branch_began_not_with_head(developer: Developer) -> None:
    developer.repository.write({LOCK: BAD})
    developer.git("commit", "-q", "-a", "--no-verify", "-m", "Past the hook")
    assert blocked(developer.pre_commit("run", "--all-files"))
    assert blocked(developer.pre_commit("run", "--all-files", CI="true"))
    ran = developer.pre_commit("run", "scangate", "--all-files", "--hook-stage", "manual")
    assert blocked(ran)
    assert "index equals HEAD" in ran.out
    assert "origin/HEAD" in ran.out


def test_a_push(developer: Developer) -> None:
    developer.repository.write({LOCK: GOOD})
    assert passed(developer.git("commit", "-a", "-m", "Good"))
    assert passed(developer.git("push", "-q", "origin", "feature"))
    developer.repository.write({LOCK: lock(CLEAN, ALSO, MALICIOUS)})
    developer.git("commit", "-q", "-a", "--no-verify", "-m", "Past the hook")
    # The worktree and the index are nothing to it.
    developer.repository.write({LOCK: GOOD})
    developer.git("add", LOCK)
    ran = developer.git("push", "-q", "origin", "feature")
    assert blocked(ran)
    assert "PRE_COMMIT_FROM_REF" in ran.out
    assert developer.remote.parse("feature") != developer.head


def test_the_first_push_to_a_new_remote(developer: Developer, tmp_path: Path) -> None:
    fresh = Repository.new(tmp_path / "fresh", branch="elsewhere")
    developer.git("remote", "add", "fresh", str(fresh.folder))
    developer.repository.write({LOCK: BAD})
    developer.git("commit", "-q", "-a", "--no-verify", "-m", "Past the hook")
    ran = developer.git("push", "-q", "fresh", "feature")
    assert blocked(ran)
    assert "where" in ran.out
    assert fresh.git("branch", "--list", "feature") == ""


def test_a_commit_that_only_deletes_a_lockfile_does_not_trigger_it_and_every_other_run_says_so(
    developer: Developer,
) -> None:
    developer.repository.write({"requirements.txt": "# nothing yet\n"})
    developer.git("add", "-A")
    assert passed(developer.git("commit", "-m", "Python"))
    developer.git("rm", "-q", LOCK)
    assert not_triggered(developer.git("commit", "-m", "Gone"))
    ran = developer.pre_commit("run", "--all-files")
    assert ran.code != 0
    assert "lock-deleted" in ran.out
    # Together with another lockfile, the commit hook sees it, too.
    developer.git("reset", "-q", "--hard", "HEAD~1")
    developer.git("rm", "-q", LOCK)
    developer.repository.write({"requirements.txt": "# nothing yet, or ever\n"})
    ran = developer.git("commit", "-a", "-m", "Gone")
    assert ran.code != 0
    assert "lock-deleted" in ran.out


# What pre-commit does not trigger a hook for, as docs/pre-commit.md says; `always_run` in the user's own configuration.


def _always_run(developer: Developer) -> None:
    config = (developer.repository.folder / ".pre-commit-config.yaml").read_text()
    for hook in ("scangate", "scangate-push"):
        config = config.replace(f"- id: {hook}\n", f"- id: {hook}\n        always_run: true\n")
    developer.commit_past_the_hook({".pre-commit-config.yaml": config})


def _every_other_run_reports(developer: Developer, what: str) -> None:
    for environ in ({}, {"CI": "true"}):
        ran = developer.run(sys.executable, "-m", "scangate", "check", PYTHONPATH=str(ROOT), **environ)
        assert ran.code == 1, ran.out
        assert what in ran.out


@pytest.mark.parametrize("always", [False, True])
def test_a_conflicted_merge_whose_lockfile_merges_cleanly(developer: Developer, always: bool) -> None:
    if always:
        _always_run(developer)
    developer.git("checkout", "-q", "-b", "other")
    developer.commit_past_the_hook({LOCK: BAD, "README": "theirs\n"})
    developer.git("checkout", "-q", "feature")
    developer.commit_past_the_hook({"README": "mine\n"})
    assert developer.git("merge", "--no-edit", "other").code != 0
    developer.repository.write({"README": "both\n"})
    developer.git("add", "README")
    ran = developer.git("commit", "--no-edit")
    assert blocked(ran) if always else not_triggered(ran)
    if not always:
        assert MALICIOUS.rpartition("@")[0].rpartition("/")[2] in developer.git("show", f"HEAD:{LOCK}").out
        _every_other_run_reports(developer, MALICIOUS)


@pytest.mark.parametrize("always", [False, True])
def test_a_push_of_a_branch_whose_lockfile_is_not_in_the_worktree(developer: Developer, always: bool) -> None:
    if always:
        _always_run(developer)
    developer.git("checkout", "-q", "-b", "other")
    developer.commit_past_the_hook({"web/package-lock.json": BAD})
    developer.git("push", "-q", "--no-verify", "origin", "feature")
    developer.git("checkout", "-q", "feature")
    ran = developer.git("push", "origin", "other")
    assert blocked(ran) if always else not_triggered(ran)
    developer.git("checkout", "-q", "other")
    _every_other_run_reports(developer, MALICIOUS)


@pytest.mark.parametrize("always", [False, True])
def test_a_push_that_only_deletes_a_lockfile(developer: Developer, always: bool) -> None:
    if always:
        _always_run(developer)
    developer.git("push", "-q", "--no-verify", "origin", "feature")
    developer.git("rm", "-q", LOCK)
    ran = developer.git("commit", "-m", "Gone")
    assert ("lock-deleted" in ran.out, ran.code) == (always, int(always))
    developer.git("commit", "-q", "--no-verify", "-m", "Gone")
    ran = developer.git("push", "origin", "feature")
    assert ("lock-deleted" in ran.out, ran.code) == (always, int(always))
    ran = developer.pre_commit("run", "--all-files")  # it was the only file that triggers
    assert ("lock-deleted" in ran.out, ran.code) == (always, int(always))
    _every_other_run_reports(developer, "lock-deleted")


def test_always_in_a_repository_without_a_lockfile(developer: Developer) -> None:
    developer.git("rm", "-q", LOCK)
    _always_run(developer)
    developer.git("push", "-q", "--no-verify", "origin", "feature")
    developer.repository.write({"README": "x"})
    developer.git("add", "README")
    for ran in (developer.git("commit", "-m", "Text"), developer.git("push", "origin", "feature")):
        assert passed(ran)
        assert "there is no lockfile" in ran.out


def test_of_several_branches_in_one_push_the_first_is_checked(developer: Developer) -> None:
    developer.git("push", "-q", "--no-verify", "origin", "feature")
    developer.git("checkout", "-q", "-b", "other")
    developer.commit_past_the_hook({LOCK: BAD})
    developer.git("checkout", "-q", "feature")
    developer.commit_past_the_hook({LOCK: GOOD})
    assert passed(developer.git("push", "origin", "feature", "other"))
    assert developer.remote.parse("other") == developer.repository.parse("other")
    developer.git("checkout", "-q", "other")
    _every_other_run_reports(developer, MALICIOUS)


# Repositories of other forms.


def _commits_are_looked_at(developer: Developer) -> None:
    before = developer.head
    developer.repository.write({LOCK: BAD})
    developer.git("add", LOCK)
    assert blocked(developer.git("commit", "-m", "Bad"))
    assert blocked(developer.git("commit", "-a", "-m", "Bad"))
    assert developer.head == before
    developer.repository.write({LOCK: GOOD})
    assert passed(developer.git("commit", "-m", "Good", LOCK))
    assert developer.head != before


def test_a_linked_worktree(developer: Developer, tmp_path: Path) -> None:
    developer.git("worktree", "add", "-q", "-b", "linked", str(tmp_path / "linked"))
    there = dataclasses.replace(developer, repository=Repository(tmp_path / "linked"))
    assert (there.repository.folder / ".git").is_file()
    _commits_are_looked_at(there)


def test_a_submodule(developer: Developer, tmp_path: Path) -> None:
    above = Repository.new(tmp_path / "above")
    above.git("submodule", "--quiet", "add", f"file://{developer.remote.folder}", "lib")
    above.commit()
    there = dataclasses.replace(developer, repository=Repository(above.folder / "lib"))
    assert there.pre_commit("install").code == 0
    _commits_are_looked_at(there)


def test_a_split_index(developer: Developer) -> None:
    assert developer.git("update-index", "--split-index").code == 0
    assert list((developer.repository.folder / ".git").glob("sharedindex.*"))
    _commits_are_looked_at(developer)


def test_what_still_runs_warns_and_the_push_asks_for_it(developer: Developer, slow: dict[str, str]) -> None:
    config = _with_arguments(developer, "check, --staged, --timeout, '2'")
    developer.commit_past_the_hook({".pre-commit-config.yaml": config})
    developer.repository.write({LOCK: GOOD})
    ran = developer.git("commit", "-a", "-m", "In a hurry", **slow)
    assert ran.code == 0, ran.out
    assert "PASSED with warnings" in ran.out
    assert "pending" in ran.out
    assert "CI will block on it." in " ".join(ran.out.split())
    ran = developer.git("push", "origin", "feature", **slow)  # which waits
    assert passed(ran)
    assert "1 analysed" in " ".join(ran.out.split())
    listed = developer.run(
        *(sys.executable, "-m", "scangate", "tasks", "--format", "json"), PYTHONPATH=str(ROOT), **slow
    )
    assert [task["purl"] for task in json.loads(listed.out)["tasks"]] == [ALSO]  # not submitted twice


def test_an_outage_lets_the_commit_through_and_says_so(developer: Developer) -> None:
    developer.repository.write({LOCK: GOOD})
    quick = {"SCANGATE_API_URL": "http://127.0.0.1:9"}
    developer.git("add", LOCK)
    ran = developer.pre_commit("run", CI="true", **quick, **{"SCANGATE_API_KEY": ""})
    assert ran.code != 0  # nobody can be asked: that is not excused
    developer.repository.write(
        {".pre-commit-config.yaml": _with_arguments(developer, "check, --staged, --timeout, '3'")}
    )
    developer.git("add", "-A")
    ran = developer.git("commit", "-m", "Offline", **quick)
    assert ran.code == 0, ran.out
    assert "PASSED with warnings" in ran.out
    assert ALSO in ran.out
    assert "CI will block on it." in " ".join(ran.out.split())


def _with_arguments(developer: Developer, arguments: str) -> str:
    config = (developer.repository.folder / ".pre-commit-config.yaml").read_text()
    return config.replace("- id: scangate\n", f"- id: scangate\n        entry: scangate\n        args: [{arguments}]\n")


def test_try_repo(developer: Developer, hooks: Hooks) -> None:
    """As somebody tries it before they write a configuration. It makes an environment of its own."""
    developer.repository.write({LOCK: BAD})
    developer.git("add", LOCK)
    ran = developer.pre_commit("try-repo", os.fspath(hooks.repository.folder), "scangate", "--verbose")
    assert blocked(ran)
