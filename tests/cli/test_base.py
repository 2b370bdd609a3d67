"""What is new against a base, from the command line, on real repositories as the places that run scangate make them."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from scangate.cli import options as cli_options
from tests.changes.ci_fixtures.packages import ALSO, CLEAN, MALICIOUS, lock
from tests.changes.ci_fixtures.repos import NOTHING, Repository, event
from tests.cli.conftest import Replay, Result, Scangate
from tests.conftest import ROOT

SITE = "pkg:npm/is-odd@3.0.1"
ALLOW = (
    "version: 1\nallow:\n"
    f"  - {{package: '{MALICIOUS}', rules: [net-on-install], owner: dev, reason: a test, expires: 2099-01-01}}\n"
)


class Project:
    """A remote with main (m1, m2), feature (f1, f2, from m1), and feature merged into main as a CI merges it.

    feature brings in ALSO, then MALICIOUS; main has got SITE in another lockfile meanwhile.
    """

    def __init__(self, folder: Path) -> None:
        remote = self.remote = Repository.new(folder / "remote")
        remote.git("config", "uploadpack.allowAnySHA1InWant", "true")
        self.m1 = remote.commit({"package-lock.json": lock(CLEAN)})
        remote.git("checkout", "-q", "-b", "feature")
        self.f1 = remote.commit({"package-lock.json": lock(CLEAN, ALSO)})
        self.f2 = remote.commit({"package-lock.json": lock(CLEAN, ALSO, MALICIOUS)})
        remote.git("checkout", "-q", "main")
        self.m2 = remote.commit({"site/package-lock.json": lock(SITE)})
        remote.git("checkout", "-q", "--detach")
        remote.git("merge", "-q", "--no-ff", "-m", "Merge", "feature")
        self.merge = remote.head
        remote.git("update-ref", "refs/pull/1/merge", self.merge)
        remote.git("checkout", "-q", "main")


@dataclass(frozen=True)
class World:
    """A copy of the project to clone from, and scangate in clones of it."""

    project: Project
    remote: Repository
    folder: Path
    scangate: Scangate

    def checkout(self, revision: str, *options: str) -> Repository:
        """A clone with all branches."""
        clone = self.remote.clone(self.folder / "clone", "--no-checkout", *options)
        clone.git("fetch", "-q", "origin", "+refs/pull/1/merge:refs/remotes/pull/1/merge")
        clone.git("checkout", "-q", "--detach", revision)
        return clone

    def shallow(self, revision: str) -> Repository:
        """What actions/checkout makes: one commit by its id, and nothing else."""
        clone = Repository.new(self.folder / "shallow")
        clone.git("remote", "add", "origin", f"file://{self.remote.folder}")
        clone.git("fetch", "-q", "--no-tags", "--depth=1", "origin", revision)
        clone.git("checkout", "-q", "--detach", revision)
        return clone

    def check(self, clone: Repository, *options: str, **environ: str) -> Result:
        return self.scangate("check", "--format", "json", *options, cwd=clone.folder, **environ)

    def github(self, name: str, payload: object) -> dict[str, str]:
        return {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": name,
            "GITHUB_EVENT_PATH": event(self.folder, payload),
        }

    def pull_request(self) -> dict[str, str]:
        # The payload's base is stale, as it may be.
        head, base = {"sha": self.project.f2}, {"ref": "main", "sha": self.project.m1}
        return self.github("pull_request", {"pull_request": {"head": head, "base": base}})


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


@pytest.fixture
def world(pristine: Project, tmp_path: Path, scangate: Scangate) -> World:
    shutil.copytree(pristine.remote.folder, tmp_path / "remote")
    return World(pristine, Repository(tmp_path / "remote"), tmp_path, scangate)


POETRY = """\
[[package]]
name = "ruff"
version = "1"
optional = false
python-versions = "*"
files = []

[metadata]
lock-version = "2.0"
python-versions = "*"
content-hash = ""
"""


def new(result: Result) -> list[str]:
    assert result.out, result.err
    return [package["purl"] for package in result.json["packages"]]


def compared(result: Result) -> str | None:
    commit: str | None = result.json["compared"]["commit"]
    return commit


def notices(result: Result) -> list[str]:
    return [notice["code"] for notice in result.json["notices"]]


EVERYTHING = [ALSO, CLEAN, SITE, MALICIOUS]
EVERYTHING.sort()


# ------------------------------------------------------------------------------- each row of the table of bases

Row = tuple[str, Callable[[World], tuple[str, dict[str, str]]], str | None, list[str]]
"""Name; the commit that is checked out, and the environment; the base's name in Project; what is new."""

OWN = [ALSO, MALICIOUS]


def merge_group(world: World) -> dict[str, object]:
    return {"merge_group": {"base_sha": world.project.m2, "head_sha": world.project.merge}}


def push(world: World, before: str, ref: str, *, forced: bool = False) -> dict[str, str]:
    payload = {"before": before, "ref": ref, "forced": forced, "repository": {"default_branch": "main"}}
    return world.github("push", payload)


def gitlab(**more: str) -> dict[str, str]:
    return {"CI": "true", "GITLAB_CI": "true", "CI_DEFAULT_BRANCH": "main", **more}


ROWS: list[Row] = [
    ("pull_request, merge ref", lambda w: (w.project.merge, w.pull_request()), "m2", OWN),
    ("pull_request, head", lambda w: (w.project.f2, w.pull_request()), "m1", OWN),
    ("merge_group", lambda w: (w.project.merge, w.github("merge_group", merge_group(w))), "m2", OWN),
    ("push", lambda w: (w.project.f2, push(w, w.project.f1, "refs/heads/feature")), "f1", [MALICIOUS]),
    ("push of a new branch", lambda w: (w.project.f2, push(w, NOTHING, "refs/heads/feature")), "m1", OWN),
    (
        "force-push",
        lambda w: (w.project.f2, push(w, w.project.f1, "refs/heads/feature", forced=True)),
        "f1",
        [MALICIOUS],
    ),
    ("first push of main", lambda w: (w.project.m2, push(w, NOTHING, "refs/heads/main")), None, [CLEAN, SITE]),
    ("schedule", lambda w: (w.project.merge, w.github("schedule", {})), None, EVERYTHING),
    ("workflow_dispatch", lambda w: (w.project.merge, w.github("workflow_dispatch", {})), None, EVERYTHING),
    (
        "GitLab, merge request",
        lambda w: (w.project.f2, gitlab(CI_MERGE_REQUEST_DIFF_BASE_SHA=w.project.m1)),
        "m1",
        OWN,
    ),
    ("GitLab, branch", lambda w: (w.project.f2, gitlab(CI_COMMIT_BRANCH="feature")), "m1", OWN),
    (
        "Azure Pipelines",
        lambda w: (
            w.project.f2,
            {"TF_BUILD": "True", "BUILD_REASON": "PullRequest", "SYSTEM_PULLREQUEST_TARGETBRANCH": "refs/heads/main"},
        ),
        "m1",
        OWN,
    ),
    (
        "Bitbucket",
        lambda w: (
            w.project.f2,
            {
                "CI": "true",
                "BITBUCKET_BUILD_NUMBER": "1",
                "BITBUCKET_PR_ID": "1",
                "BITBUCKET_PR_DESTINATION_BRANCH": "main",
            },
        ),
        "m1",
        OWN,
    ),
    (
        "Jenkins",
        lambda w: (w.project.f2, {"JENKINS_URL": "https://ci.example", "CHANGE_ID": "1", "CHANGE_TARGET": "main"}),
        "m1",
        OWN,
    ),
    (
        "Buildkite",
        lambda w: (
            w.project.f2,
            {"BUILDKITE": "true", "BUILDKITE_PULL_REQUEST": "1", "BUILDKITE_PULL_REQUEST_BASE_BRANCH": "main"},
        ),
        "m1",
        OWN,
    ),
    ("local", lambda w: (w.project.f2, {}), "m1", OWN),
]


@pytest.mark.parametrize(("place", "base", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_what_is_new_by_the_base_of_the_place(
    world: World,
    place: Callable[[World], tuple[str, dict[str, str]]],
    base: str | None,
    expected: list[str],
) -> None:
    revision, environ = place(world)
    result = world.check(world.checkout(revision), **environ)
    assert result.code == 3  # nobody was asked: there is no key
    assert new(result) == expected
    assert compared(result) == (base and getattr(world.project, base))


@pytest.mark.parametrize(
    ("place", "base", "expected"),
    [row[1:] for row in ROWS if row[0].startswith(("pull", "merge", "push", "GitLab", "Azure", "Jenkins"))],
    ids=[row[0] for row in ROWS if row[0].startswith(("pull", "merge", "push", "GitLab", "Azure", "Jenkins"))],
)
def test_the_same_in_a_shallow_clone(
    world: World, place: Callable[[World], tuple[str, dict[str, str]]], base: str, expected: list[str]
) -> None:
    revision, environ = place(world)
    result = world.check(world.shallow(revision), **environ)
    assert (new(result), compared(result)) == (expected, getattr(world.project, base))


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({}, "fetch-depth: 0"),
        (gitlab(CI_MERGE_REQUEST_DIFF_BASE_SHA="ab" * 20), 'GIT_DEPTH: "0"'),
        ({"TF_BUILD": "True", "SYSTEM_PULLREQUEST_TARGETBRANCH": "main"}, "fetchDepth: 0"),
        ({"BITBUCKET_BUILD_NUMBER": "1", "BITBUCKET_PR_DESTINATION_BRANCH": "main"}, "depth: full"),
        ({"JENKINS_URL": "https://ci.example", "CHANGE_TARGET": "main"}, "shallow: false"),
        ({"BUILDKITE": "true", "BUILDKITE_PULL_REQUEST_BASE_BRANCH": "main"}, "BUILDKITE_GIT_CLONE_FLAGS"),
    ],
)
def test_a_base_that_cannot_be_had_is_never_no_changes(world: World, variables: dict[str, str], line: str) -> None:
    clone = world.shallow(world.project.f2)
    clone.git("remote", "set-url", "origin", f"file://{world.folder}/gone")
    result = world.check(clone, **(variables or world.pull_request()))
    assert (result.code, result.out) == (3, "")
    assert line in result.err


def test_a_force_push_whose_commit_is_gone_is_never_no_changes(world: World) -> None:
    result = world.check(world.shallow(world.project.f2), **push(world, "ab" * 20, "refs/heads/feature", forced=True))
    assert (result.code, result.out) == (3, "")
    assert "force-push" in result.err


# ------------------------------------------------------------------------------------------------- options


def test_all_ignores_the_base(world: World) -> None:
    result = world.check(world.checkout(world.project.merge), "--all")
    assert (new(result), compared(result)) == (EVERYTHING, None)


def test_a_named_base(world: World) -> None:
    clone = world.checkout(world.project.f2)
    result = world.check(clone, "--base", world.project.f1)
    assert (new(result), compared(result)) == ([MALICIOUS], world.project.f1)
    assert "--base" in result.json["compared"]["why"]
    assert new(world.check(clone, "--base", "origin/main")) == OWN
    missing = world.check(clone, "--base", "nowhere")
    assert (missing.code, missing.out) == (3, "")


def test_explain_base_says_only_that(world: World, serve: Callable[..., Replay]) -> None:
    clone = world.checkout(world.project.merge)
    result = world.scangate("check", "--explain-base", cwd=clone.folder, **world.pull_request())
    assert result.code == 0
    assert result.out == (f"the first parent of the pull request's merge commit: commit {world.project.m2[:12]}.\n")
    assert result.err == ""
    result = world.scangate("check", "--explain-base", cwd=world.folder)
    assert (result.code, result.out) == (0, "everything is new: there is no git repository here.\n")


@pytest.mark.parametrize(
    "options",
    [
        ("--all", "--base", "main"),
        ("--all", "--staged"),
        ("--all", "--pushed"),
        ("--staged", "--pushed"),
        ("--base", ""),
        ("--base", "--all"),
        ("--base", "a b"),
    ],
)
def test_options_that_contradict_are_wrong_usage(world: World, options: tuple[str, ...]) -> None:
    result = world.check(world.checkout(world.project.f2), *options)
    assert (result.code, result.out) == (2, "")


@pytest.mark.parametrize("options", [("--base", "main"), ("--staged",), ("--pushed",)])
def test_hooks_and_bases_need_a_repository(world: World, options: tuple[str, ...]) -> None:
    (world.folder / "plain").mkdir()
    (world.folder / "plain" / "package-lock.json").write_text(lock(CLEAN))
    result = world.check(Repository(world.folder / "plain"), *options)
    assert (result.code, result.out) == (2, "")
    assert "no git repository" in result.err


# -------------------------------------------------------------------------------------------- nothing is new


def test_nothing_new_is_a_verdict_that_needs_no_service(world: World) -> None:
    clone = world.checkout(world.project.f2)
    result = world.check(clone, "--base", "HEAD", SCANGATE_API_URL="http://127.0.0.1:9", SCANGATE_API_KEY="k")
    assert result.code == 0
    assert (result.json["status"], new(result), compared(result)) == ("passed", [], world.project.f2)
    assert [one["path"] for one in result.json["lockfiles"]] == ["package-lock.json"]
    shown = world.scangate("check", "--base", "HEAD", cwd=clone.folder)
    assert "nothing new" in shown.out
    assert world.project.f2[:12] in shown.out
    assert "Policy: default" in shown.out


def test_where_the_base_is_what_is_checked_out_the_first_line_says_so(world: World) -> None:
    def first(clone: Repository, *options: str) -> str:
        return world.scangate("check", *options, cwd=clone.folder).out.splitlines()[0]

    main = world.remote.clone(world.folder / "main")
    assert "nothing new: no lockfile differs from HEAD." in first(main)
    main.write({"package-lock.json": lock(CLEAN).replace("  ", "   ")})
    assert "nothing new: the base has all of it." in first(main)
    main.commit({"package-lock.json": lock(CLEAN), "README": "x"})
    assert "nothing new: the base has all of it." in first(main)


def test_nothing_new_names_the_policy_that_would_have_decided(world: World) -> None:
    clone = world.checkout(world.project.f2)
    (clone.folder / "scangate.yml").write_text("version: 1\n")
    clone.git("add", "scangate.yml")
    clone.git("commit", "-q", "-m", "policy")
    shown = world.scangate("check", "--base", "HEAD", cwd=clone.folder)
    assert "nothing new" in shown.out
    assert "Policy: scangate.yml" in " ".join(shown.out.split())


@pytest.mark.parametrize(
    "options",
    [
        ("--jobs", "0"),
        ("--timeout", "0"),
        ("--timeout", "nan"),
        ("--max-packages", "-1"),
        ("--rate", "x"),
        ("--format", "x"),
    ],
)
def test_wrong_usage_is_wrong_also_where_nothing_is_new(world: World, options: tuple[str, ...]) -> None:
    result = world.check(world.checkout(world.project.f2), "--base", "HEAD", *options)
    assert (result.code, result.out) == (2, "")


def test_a_dry_run_of_nothing_sends_nothing(world: World) -> None:
    clone = world.checkout(world.project.f2)
    result = world.scangate("check", "--base", "HEAD", "--dry-run", cwd=clone.folder)
    assert (result.code, result.out) == (0, "")
    assert "nothing is new" in result.err


def test_nothing_new_imports_nothing_heavy(world: World, own_world: Path) -> None:
    clone = world.checkout(world.project.f2)
    clone.write({"site/package-lock.json": lock(CLEAN)})
    code = (
        "import sys; from scangate.cli.main import run; code = run(['check', '--base', 'HEAD']);"
        "heavy = {'requests', 'urllib3', 'asyncio', 'ssl', 'sqlite3', 'yaml', 're2', 'starlette', 'packaging'};"
        "print(code, sorted(heavy & sys.modules.keys()))"
    )
    environ = {"HOME": str(own_world), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    for _ in range(2):  # an added lockfile that holds nothing new, then the very same files
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=clone.folder, env=environ, capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines()[-1] == "0 []"
        (clone.folder / "site" / "package-lock.json").unlink(missing_ok=True)


@pytest.mark.parametrize(
    "change",
    [
        {"package-lock.json": lock(ALSO, CLEAN, MALICIOUS).replace("  ", "   ")},
        {"package-lock.json": lock(ALSO, CLEAN), "other/package-lock.json": lock(MALICIOUS)},
        {"package-lock.json": lock(ALSO, CLEAN)},
    ],
    ids=["layout", "moved", "removed"],
)
def test_a_change_that_brings_nothing_in_passes(world: World, change: dict[str, str | bytes]) -> None:
    clone = world.checkout(world.project.f2)
    clone.write(change)
    result = world.check(clone, "--base", "HEAD")
    assert (result.code, new(result)) == (0, [])


def test_a_renamed_lockfile_is_not_new(world: World) -> None:
    clone = world.checkout(world.project.f2)
    clone.git("mv", "package-lock.json", "npm-shrinkwrap.json")
    result = world.check(clone, "--base", "HEAD")
    assert (result.code, new(result)) == (0, [])


def test_dev_turned_prod_is_reported_and_not_new(world: World) -> None:
    remote = Repository.new(world.folder / "scopes")
    remote.commit({"package-lock.json": lock(CLEAN, dev=True)})
    remote.write({"package-lock.json": lock(CLEAN)})
    result = world.check(remote, "--base", "HEAD")
    assert (result.code, new(result)) == (0, [])
    (change,) = result.json["scope_changes"]
    assert (change["change"], change["name"], change["before"]["scope"]) == ("scope", "follow-replica", "dev")
    assert "now prod, was dev" in world.scangate("check", "--base", "HEAD", cwd=remote.folder).out


def test_what_is_new_is_labelled(world: World) -> None:
    here = Repository.new(world.folder / "labels")
    here.commit({"package-lock.json": lock("pkg:npm/up@1.0.0", "pkg:npm/down@2.0.0", "pkg:npm/same@1.0.0")})
    after = json.loads(lock("pkg:npm/up@1.1.0", "pkg:npm/down@1.0.0", "pkg:npm/same@1.0.0", "pkg:npm/add@1.0.0"))
    after["packages"]["node_modules/same"]["integrity"] = "sha512-" + "B" * 86 + "=="
    here.write({"package-lock.json": json.dumps(after, indent=2)})
    result = world.check(here, "--base", "HEAD")
    changes = {
        package["name"]: [(change["change"], (change["before"] or {}).get("version")) for change in package["changes"]]
        for package in result.json["packages"]
    }
    assert changes == {
        "add": [("added", None)],
        "down": [("downgraded", "2.0.0")],
        "same": [("integrity", "1.0.0")],
        "up": [("upgraded", "1.0.0")],
    }
    text = world.scangate("check", "--base", "HEAD", "--dry-run", cwd=here.folder).out
    assert "pkg:npm/up@1.1.0" in text


def test_a_deleted_lockfile_is_denied_unless_a_sibling_replaces_it(world: World) -> None:
    clone = world.checkout(world.project.merge)
    (clone.folder / "site" / "package-lock.json").unlink(missing_ok=True)
    result = world.check(clone, "--base", "HEAD")
    assert result.code == 1
    (gone,) = [one for one in result.json["lockfiles"] if one["findings"]]
    assert (gone["path"], [finding["rule"] for finding in gone["findings"]]) == (
        "site/package-lock.json",
        ["lock-deleted"],
    )
    (clone.folder / "site" / "npm-shrinkwrap.json").write_text(lock(SITE, CLEAN))
    assert world.check(clone, "--base", "HEAD").code == 0


@pytest.mark.parametrize(
    ("gone", "stays", "added", "is_deleted"),
    [
        ({"uv.lock": "x"}, {"requirements-dev.txt": "ruff==1\n"}, {}, True),
        ({"uv.lock": "x"}, {"requirements-dev.txt": "ruff==1\n"}, {"lint-requirements.txt": "ruff==1\n"}, True),
        ({"requirements.txt": "a==1\nruff==1\n"}, {"x/requirements.txt": "ruff==1\n"}, {"poetry.lock": POETRY}, True),
        ({"requirements.txt": "ruff==1\n"}, {"x/requirements.txt": "ruff==1\n"}, {"poetry.lock": POETRY}, False),
    ],
    ids=["another stays", "another comes", "one that holds less", "one that holds it"],
)
def test_a_deleted_lockfile_is_not_replaced_by_an_unrelated_one(
    world: World,
    gone: dict[str, str | bytes],
    stays: dict[str, str | bytes],
    added: dict[str, str | bytes],
    is_deleted: bool,
) -> None:
    here = Repository.new(world.folder / "here")
    here.commit({**stays, **gone})
    here.git("rm", "-q", *gone)
    here.commit(added)
    result = world.check(here, "--base", "HEAD~1")
    rules = [finding["rule"] for one in result.json["lockfiles"] for finding in one["findings"]]
    assert rules == ["lock-deleted"] * is_deleted
    assert result.code == 1 or not is_deleted


HASH = f" --hash=sha256:{'a' * 64}"
A, B = "pkg:npm/a@1.0.0", "pkg:npm/b@1.0.0"
ASKS_FOR_A = json.dumps({"name": "example", "version": "1.0.0", "dependencies": {"a": "*"}})
ASKS_FOR_BOTH = ASKS_FOR_A.replace('"a": "*"', '"a": "*", "b": "*"')


def rules(result: Result) -> list[str]:
    return [finding["rule"] for one in result.json["lockfiles"] for finding in one["findings"]]


@pytest.mark.parametrize("options", [(), ("--staged",), ("--pushed",)])
@pytest.mark.parametrize(("shrinkwrap", "is_deleted"), [((), True), ((A,), True), ((A, B), False)])
def test_a_shrinkwrap_beside_a_package_lock_must_hold_what_the_project_asks_for(
    world: World, shrinkwrap: tuple[str, ...], is_deleted: bool, options: tuple[str, ...]
) -> None:
    here = Repository.new(world.folder / "here")
    here.commit({"package.json": ASKS_FOR_BOTH, "package-lock.json": lock(A, B)})
    here.commit({"npm-shrinkwrap.json": lock(*shrinkwrap)})
    result = world.check(here, *options, "--base", "HEAD~1")
    assert (result.code, rules(result), new(result)) == (int(is_deleted), ["lock-deleted"] * is_deleted, [])


@pytest.mark.parametrize(
    ("manifest", "is_deleted"),
    [
        (ASKS_FOR_BOTH, True),
        (ASKS_FOR_A, False),
        (ASKS_FOR_A.replace('"*"', '"npm:b@*"'), True),
        (ASKS_FOR_A.replace("}}", '}, "optionalDependencies": {"b": "*"}}'), True),
        (ASKS_FOR_A.replace("}}", '}, "workspaces": ["web"]}'), True),
        (ASKS_FOR_A.replace('"a": ', '"\\u0062": '), True),
        (ASKS_FOR_A.replace('{"a": "*"}', '["a"]'), True),
        ("nonsense", True),
    ],
    ids=["both", "one alone", "by another name", "optionally", "others, too", "escaped", "odd", "unreadable"],
)
def test_a_lockfile_by_another_name_must_hold_what_the_project_asks_for(
    world: World, manifest: str, is_deleted: bool
) -> None:
    here = Repository.new(world.folder / "here")
    here.commit({"package.json": ASKS_FOR_BOTH, "package-lock.json": lock(A, B)})
    here.git("mv", "package-lock.json", "npm-shrinkwrap.json")
    here.commit({"package.json": manifest, "npm-shrinkwrap.json": lock(A)})
    assert "R" in here.git("diff", "--name-status", "--diff-filter=R", "HEAD~1")
    for options in ((), ("--staged",), ("--pushed",)):
        result = world.check(here, *options, "--base", "HEAD~1")
        assert (result.code, rules(result), new(result)) == (int(is_deleted), ["lock-deleted"] * is_deleted, [])


@pytest.mark.parametrize(
    ("gone", "added", "is_deleted"),
    [
        ({"yarn.lock": "<<<<<<<"}, {"package-lock.json": lock()}, True),
        ({"yarn.lock": "<<<<<<<"}, {"package-lock.json": lock(A)}, False),
        ({"yarn.lock": "# yarn lockfile v1\n", "package.json": "{}"}, {"package-lock.json": lock()}, False),
        ({"uv.lock": "x"}, {"poetry.lock": "package = []\n" + POETRY[POETRY.index("[metadata]") :]}, True),
        ({"uv.lock": "x"}, {"poetry.lock": POETRY}, False),
    ],
    ids=["npm", "npm with an entry", "npm without any to ask for", "python", "python with an entry"],
)
def test_one_that_nobody_can_read_is_not_replaced_by_an_empty_one(
    world: World, gone: dict[str, str | bytes], added: dict[str, str | bytes], is_deleted: bool
) -> None:
    here = Repository.new(world.folder / "here")
    here.commit({"web/package-lock.json": lock(A), "web/poetry.lock": POETRY, **gone})
    here.git("rm", "-q", next(iter(gone)))
    here.commit(added)
    assert rules(world.check(here, "--base", "HEAD~1")) == ["lock-deleted"] * is_deleted


@pytest.mark.parametrize("place", ["api/requirements.txt", "web/requirements.txt", "api/requirements-prod.txt"])
@pytest.mark.parametrize("is_committed", [True, False])
def test_digests_that_a_lockfile_lost_on_its_way_are_missed(world: World, place: str, is_committed: bool) -> None:
    here = Repository.new(world.folder / "here")
    bare = "x==1\ny==1\n"
    here.commit({"api/requirements.txt": bare.replace("\n", f"{HASH}\n"), "requirements-dev.txt": bare})
    here.git("rm", "-q", "api/requirements.txt")
    here.write({place: "y==1\nx==1\n"})
    if is_committed:
        here.commit()
    result = world.check(here, "--base", "HEAD~1" if is_committed else "HEAD")
    assert sorted(new(result)) == ["pkg:pypi/x@1", "pkg:pypi/y@1"]
    assert "lock-no-integrity" in result.out
    assert "lock-deleted" not in rules(result)


@pytest.mark.parametrize(
    ("stays", "is_deleted"),
    [("ruff\n", True), ("ruff==2\n", True), ("ruff==1\n", True), (f"ruff==1{HASH}\n", False)],
)
def test_what_was_there_replaces_a_lockfile_only_where_it_holds_as_much(
    world: World, stays: str, is_deleted: bool
) -> None:
    here = Repository.new(world.folder / "here")
    files = f'files = [{{file = "ruff-1-py3-none-any.whl", hash = "sha256:{"a" * 64}"}}]'
    here.commit({"requirements.txt": stays, "poetry.lock": POETRY.replace("files = []", files)})
    here.git("rm", "-q", "poetry.lock")
    here.commit()
    assert rules(world.check(here, "--base", "HEAD~1")) == ["lock-deleted"] * is_deleted


def test_the_last_lockfile_that_is_deleted_is_reported_too(world: World) -> None:
    clone = world.checkout(world.project.f2)
    clone.git("rm", "-q", "package-lock.json")
    for options in ((), ("--staged",)):
        assert world.check(clone, "--base", "HEAD", *options).code == 1
    clone.git("commit", "-q", "-m", "Delete")
    assert world.check(clone, "--pushed", "--base", "HEAD~1").code == 1


def test_no_lockfile_on_either_side_is_wrong_usage(world: World) -> None:
    here = Repository.new(world.folder / "empty")
    here.commit({"README": "x"})
    for options in ((), ("--base", "HEAD"), (".", "--staged"), (".", "--pushed"), ("--base", "HEAD", ".", "--pushed")):
        result = world.check(here, *options)
        assert (result.code, result.out) == (2, "")
        assert "no lockfile" in result.err


@pytest.mark.parametrize("option", ["--staged", "--pushed"])
def test_a_hook_in_a_repository_without_lockfiles_passes_and_says_so(world: World, option: str) -> None:
    """With `always_run`, and where a commit brings in the policy alone."""
    here = Repository.new(world.folder / "empty")
    here.commit({"README": "x"})
    for change in ({"README": "y"}, {"scangate.yml": "version: 1\n"}):
        here.write(change)
        here.git("add", "-A")
        if option == "--pushed":
            here.commit()
        for base in ((), ("--base", "HEAD~1" if option == "--pushed" else "HEAD")):
            result = world.scangate("check", option, *base, cwd=here.folder)
            assert result.code == 0, result.err
            assert "there is no lockfile" in result.out
            checked = world.check(here, option, *base)
            assert (checked.code, checked.json["lockfiles"], new(checked)) == (0, [], [])
    here.commit({"scangate.yml": "version: 1\nexclude: ['web/**']\n"})
    assert world.check(here, option, "--base", "HEAD~1").code == 0
    here.commit({"web/package-lock.json": lock(MALICIOUS)})  # there is one, and nobody looks at it
    for change in ("version: 1\nexclude: ['web/**']\n", "no policy"):
        here.commit({"scangate.yml": change})
        result = world.check(here, option, "--base", "HEAD~2")
        assert (result.code, result.out) == (2, "")


def test_each_path_must_have_a_lockfile(world: World) -> None:
    clone = world.checkout(world.project.merge)
    (clone.folder / "docs").mkdir()
    for options in ((), ("--staged",)):
        assert new(world.check(clone, "--base", world.project.m1, "site", *options)) == [SITE]
        result = world.check(clone, "--base", world.project.m1, "site", "docs", *options)
        assert (result.code, result.out) == (2, "")
        assert "docs" in result.err


def test_from_a_folder_below_the_root(world: World) -> None:
    clone = world.checkout(world.project.merge)
    below = Repository(clone.folder / "site")
    result = world.check(below, "--base", world.project.m1)
    assert (new(result), result.json["lockfiles"][0]["path"]) == ([SITE], "package-lock.json")
    result = world.check(below, "--base", world.project.m1, "..", "--staged")
    assert new(result) == [ALSO, SITE, MALICIOUS]


def test_a_base_lockfile_that_cannot_be_read_counts_as_knowing_nothing(world: World) -> None:
    here = Repository.new(world.folder / "broken")
    here.commit({"package-lock.json": "{ no json", "web/package-lock.json": lock(CLEAN)})
    here.write({"package-lock.json": lock(CLEAN, ALSO)})
    result = world.check(here, "--base", "HEAD")
    assert result.code == 3
    assert new(result) == [ALSO]  # CLEAN is in the other one
    assert notices(result) == ["base-unreadable"]
    (here.folder / "package-lock.json").unlink()
    assert world.check(here, "--base", "HEAD").code == 1  # it is gone all the same


def test_a_lockfile_that_cannot_be_read_yet_and_is_the_same_is_not_new(world: World) -> None:
    here = Repository.new(world.folder / "unsupported")
    here.commit({"bun.lockb": "x", "package-lock.json": lock(CLEAN)})
    here.write({"package-lock.json": lock(CLEAN).replace("  ", "   ")})
    assert world.check(here, "--base", "HEAD").code == 0
    here.write({"bun.lockb": "y"})
    result = world.check(here, "--base", "HEAD")
    assert result.code == 3
    (open_,) = [one for one in result.json["lockfiles"] if one["outcomes"]]
    assert (open_["path"], open_["outcomes"][0]["code"]) == ("bun.lockb", "unsupported-lockfile")


def test_a_lockfile_in_capitals_is_one(world: World) -> None:
    here = Repository.new(world.folder / "capitals")
    here.commit({"package-lock.json": lock(CLEAN)})
    here.commit({"app/Package-Lock.json": lock(MALICIOUS)})
    for options in ((), ("--staged",), ("--pushed",)):
        assert new(world.check(here, *options, "--base", "HEAD~1")) == [MALICIOUS]


def test_an_object_that_git_has_lost_is_incomplete(world: World) -> None:
    here = Repository.new(world.folder / "lost")
    here.commit({"package-lock.json": lock(CLEAN)})
    blob = here.parse("HEAD:package-lock.json")
    (here.folder / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    here.write({"package-lock.json": lock(CLEAN, ALSO)})
    result = world.check(here, "--base", "HEAD")
    assert (result.code, result.out) == (3, "")
    assert blob in result.err


# ---------------------------------------------------------------------------------------- index, pushed commit


def test_staged_reads_the_index_alone(world: World) -> None:
    clone = world.checkout(world.project.m1)
    clone.write({"package-lock.json": lock(CLEAN, ALSO)})
    clone.git("add", "-A")
    clone.write({"package-lock.json": lock(CLEAN, MALICIOUS), "new/package-lock.json": lock(SITE)})
    assert new(world.check(clone, "--staged")) == [ALSO]
    clone.write({"package-lock.json": "no json"})
    assert new(world.check(clone, "--staged")) == [ALSO]


def test_staged_reads_the_index_that_git_names(world: World) -> None:
    clone = world.checkout(world.project.m1)
    other = clone.folder / ".git" / "next-index-1.lock"
    clone.git("read-tree", "HEAD", index=other)
    clone.write({"package-lock.json": lock(CLEAN, ALSO)})
    clone.git("add", "-A", index=other)
    result = world.check(clone, "--staged", GIT_INDEX_FILE=str(other))
    assert new(result) == [ALSO]
    result = world.check(clone, "--staged", GIT_INDEX_FILE=str(clone.folder / "package-lock.json"))
    assert (result.code, result.out) == (2, "")
    assert "GIT_INDEX_FILE" in result.err


def test_staged_with_an_index_equal_to_head_takes_the_base_of_the_branch(world: World) -> None:
    result = world.check(world.checkout(world.project.f2), "--staged")
    assert (new(result), compared(result)) == (OWN, world.project.m1)


def test_what_is_only_intended_to_be_added_is_not_about_to_be_committed(world: World) -> None:
    clone = world.checkout(world.project.m1)
    clone.write(
        {"package-lock.json": lock(CLEAN, ALSO), "web/package-lock.json": lock(SITE), "scangate.yml": "no policy"}
    )
    clone.git("add", "package-lock.json")
    clone.git("add", "--intent-to-add", "web/package-lock.json", "scangate.yml")
    result = world.check(clone, "--staged")
    assert (new(result), result.json["policy"], notices(result)) == ([ALSO], "default", [])
    # An empty one is another thing.
    clone.write({"web/package-lock.json": ""})
    clone.git("add", "web/package-lock.json")
    assert world.check(clone, "--staged").code == 2


def test_staged_in_a_conflict_is_an_error(world: World) -> None:
    clone = world.checkout(world.project.f2)
    clone.git("checkout", "-q", "-b", "other", world.project.m1)
    clone.commit({"package-lock.json": lock(CLEAN, SITE)})
    with pytest.raises(Exception, match="merge"):
        clone.git("merge", "-q", world.project.f2)
    result = world.check(clone, "--staged")
    assert (result.code, result.out) == (2, "")
    assert "conflict" in result.err


def test_pushed_reads_the_pushed_commit_alone(world: World) -> None:
    clone = world.checkout(world.project.m1)
    environ = {"PRE_COMMIT_FROM_REF": world.project.f1, "PRE_COMMIT_TO_REF": world.project.f2}
    result = world.check(clone, "--pushed", **environ)
    assert (new(result), compared(result)) == ([MALICIOUS], world.project.f1)
    first = world.check(clone, "--pushed", PRE_COMMIT_TO_REF=world.project.f2)
    assert (new(first), compared(first)) == (OWN, world.project.m1)
    assert "PRE_COMMIT_FROM_REF is not set" in first.json["compared"]["why"]


@pytest.mark.parametrize("options", [("--base", "HEAD~1"), ("--staged", "--base", "HEAD~1"), ("--all",)])
def test_what_a_sparse_checkout_leaves_out_is_checked_all_the_same(world: World, options: tuple[str, ...]) -> None:
    here = Repository.new(world.folder / "here")
    here.commit({"app/package-lock.json": lock(CLEAN), "lib/package-lock.json": lock(SITE), "lib/package.json": "{}"})
    here.commit({"new/package-lock.json": lock(MALICIOUS)})
    here.git("sparse-checkout", "set", "app")
    assert not (here.folder / "new").exists()
    result = world.check(here, *options)
    assert result.code == 3
    assert new(result) == (sorted([CLEAN, SITE, MALICIOUS]) if options == ("--all",) else [MALICIOUS])
    assert {each["status"] for each in result.json["lockfiles"]} == {"passed"}


@pytest.mark.parametrize("options", [("--all",), ("--base", "HEAD"), ("--base", "HEAD~1")])
@pytest.mark.parametrize("is_linked", [False, True])
@pytest.mark.parametrize(
    "policy",
    [{".github/scangate.yml": ALLOW}, {"scangate.yml": "version: 1\nextends: ci/ours.yml\n", "ci/ours.yml": ALLOW}],
    ids=["policy", "what it extends"],
)
def test_the_policy_decides_where_a_sparse_checkout_leaves_it_out(
    world: World, replay: Replay, options: tuple[str, ...], is_linked: bool, policy: dict[str, str | bytes]
) -> None:
    here = Repository.new(world.folder / "here")
    here.commit({"app/package-lock.json": lock(CLEAN), **policy})
    here.commit({"app/package.json": "{}"})
    if is_linked:
        here.git("worktree", "add", "-q", "--detach", str(world.folder / "linked"))
        here = Repository(world.folder / "linked")
    here.git("sparse-checkout", "set", "app")
    assert not (here.folder / next(reversed(policy))).exists()
    here.write({"app/package-lock.json": lock(CLEAN, MALICIOUS)})
    result = world.check(here, *options, **replay.environ)
    assert (result.code, result.json["policy"], notices(result)) == (0, next(iter(policy)), [])
    below = world.check(Repository(here.folder / "app"), *options, **replay.environ)
    assert (below.code, notices(below)) == (0, [])


@pytest.mark.parametrize("options", [(), ("--staged",), ("--pushed",)])
def test_a_lockfile_that_leaves_its_project_behind_is_deleted(world: World, options: tuple[str, ...]) -> None:
    here = Repository.new(world.folder / "here")
    here.commit({"package-lock.json": lock(CLEAN), "package.json": '{"name": "example", "version": "1.0.0"}'})
    (here.folder / "docs").mkdir()
    here.git("mv", "package-lock.json", "docs/package-lock.json")
    here.commit()
    result = world.check(here, *options, "--base", "HEAD~1")
    assert (result.code, new(result)) == (1, [])
    here.git("mv", "package.json", "docs/package.json")
    here.git("commit", "-q", "--amend", "-m", "Move all of it")
    assert world.check(here, *options, "--base", "HEAD~1").code == 0


@pytest.mark.parametrize("options", [(), ("--staged",), ("--pushed",)])
def test_a_folder_that_moves_while_its_lockfile_is_brought_up_to_date_is_not_deleted(
    world: World, options: tuple[str, ...]
) -> None:
    names = [f"package-{number}" for number in range(20)]
    manifest = json.dumps({"name": "app", "version": "1.0.0", "dependencies": dict.fromkeys(names, "*")}, indent=2)
    old, latest = ([f"pkg:npm/{name}@{version}" for name in names] for version in ("1.0.0", "2.31.44"))
    here = Repository.new(world.folder / "here")
    here.commit({"app/package-lock.json": lock(*old), "app/package.json": manifest, "requirements.txt": "a==1\n"})
    here.git("mv", "app", "web")
    other = lock(*latest).replace("A" * 86, "B" * 86).replace("\n    ", "\n  ")
    here.commit({"web/package-lock.json": other, "web/package.json": manifest.replace("1.0.0", "1.0.1")})
    result = world.check(here, *options, "--base", "HEAD~1")
    assert (result.code, sorted(new(result))) == (3, sorted(latest))
    assert {change["change"] for one in result.json["packages"] for change in one["changes"]} == {"upgraded"}
    here.write({"app/package.json": manifest})
    here.git("add", "-A")
    here.git("commit", "-q", "-m", "The project stays")
    assert world.check(here, *options, "--base", "HEAD~2").code == 1


def test_a_requirements_file_that_another_one_includes_now_is_not_deleted(world: World) -> None:
    here = Repository.new(world.folder / "here")
    here.commit({"requirements.txt": "a==1\n", "backend/requirements.txt": "b==1\n"})
    here.commit({"requirements.txt": "a==1\n-r backend/requirements.txt\n"})
    for options in ((), ("--staged",), ("--pushed",)):
        result = world.check(here, *options, "--base", "HEAD~1")
        assert (result.code, new(result)) == (0, [])
    here.commit({"backend/requirements.txt": "They were here.\n"})
    assert world.check(here, "--base", "HEAD~1").code == 2
    here.commit({"requirements.txt": "a==1\n", "backend/requirements.txt": "b==1\n"})
    (here.folder / "backend" / "requirements.txt").unlink()
    assert world.check(here, "--base", "HEAD").code == 1


def test_a_named_branch_of_another_history_has_what_it_has(world: World) -> None:
    clone = world.checkout(world.project.m2)
    clone.git("checkout", "-q", "--orphan", "island")
    clone.git("rm", "-q", "-r", "-f", "site")
    clone.commit(message="Island")  # in the same second the same words would make it the very commit m1
    assert world.check(clone, "--base", "origin/main").code == 1


@pytest.mark.parametrize("options", [(), ("--staged",), ("--pushed",)])
def test_what_a_named_branch_has_got_since_is_not_deleted(world: World, options: tuple[str, ...]) -> None:
    clone = world.checkout(world.project.f2)  # main has got site/package-lock.json meanwhile
    result = world.check(clone, *options, "--base", "origin/main")
    assert (result.code, new(result)) == (3, OWN)
    clone.git("merge", "-q", "-m", "Catch up", "origin/main")
    clone.git("rm", "-q", "-r", "site")
    clone.commit()
    assert world.check(clone, *options, "--base", "origin/main").code == 1


# ------------------------------------------------------------------------------------- places that are easily missed


@pytest.mark.parametrize("what", ["{}", "{}^{{tree}}", "{}:package-lock.json"], ids=["commit", "tree", "file"])
def test_a_replaced_object_in_the_base_stands_for_nothing(world: World, what: str) -> None:
    clone = world.checkout(world.project.f2)
    was, now = (clone.parse(what.format(commit)) for commit in (world.project.m1, world.project.f2))
    clone.git("replace", was, now)
    name = MALICIOUS.removeprefix("pkg:npm/").partition("@")[0]
    assert name in clone.git("show", f"{world.project.m1}:package-lock.json")  # so it is for git itself
    result = world.check(clone)
    assert (new(result), compared(result)) == (OWN, world.project.m1)


@pytest.mark.parametrize("arguments", [("-a",), ("package-lock.json",)])
def test_staged_in_a_linked_worktree(world: World, own_world: Path, arguments: tuple[str, ...]) -> None:
    """git runs the hook in the root, and names an index of its own that lies elsewhere."""
    clone = world.checkout(world.project.m1)
    clone.git("worktree", "add", "-q", "-b", "topic", str(world.folder / "linked"))
    linked = Repository(world.folder / "linked")
    linked.commit({"web/package-lock.json": lock(CLEAN)})
    linked.write({"package-lock.json": lock(CLEAN, ALSO), "web/package-lock.json": lock(CLEAN, SITE)})
    (clone.folder / ".git" / "hooks").mkdir(exist_ok=True)
    hook = clone.folder / ".git" / "hooks" / "pre-commit"
    said = world.folder / "said.json"
    hook.write_text(f"#!/bin/sh\nexec '{sys.executable}' -m scangate check --staged --format json > '{said}'\n")
    hook.chmod(0o755)
    environ = {"HOME": str(own_world), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    names = {f"GIT_{who}_{what}": "dev@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(
        ["git", "commit", "-q", "-m", "Change", *arguments],
        cwd=linked.folder / "web",
        env={**environ, **names},
        check=False,
        capture_output=True,
    )
    assert done.returncode != 0  # nobody was asked: there is no key
    packages = [one["purl"] for one in json.loads(said.read_text())["packages"]]
    assert packages == ([ALSO, SITE] if arguments == ("-a",) else [SITE])


# -------------------------------------------------------------------------------------------------- submodules


@pytest.fixture
def with_submodule(world: World) -> Repository:
    library = Repository.new(world.folder / "library")
    library.commit({"package-lock.json": lock(CLEAN)})
    here = Repository.new(world.folder / "here")
    here.commit({"package-lock.json": lock(SITE)})
    here.git("submodule", "--quiet", "add", f"file://{library.folder}", "lib")
    here.commit()
    library.commit({"package-lock.json": lock(CLEAN, MALICIOUS)})
    Repository(here.folder / "lib").git("pull", "-q")
    here.git("add", "lib")
    return here


def test_a_submodule_that_moved_is_reported_where_its_files_are_not_read(
    world: World, with_submodule: Repository
) -> None:
    here = with_submodule
    staged = world.check(here, "--staged")
    assert (staged.code, new(staged), notices(staged)) == (0, [], ["submodule-changed"])
    assert staged.json["status"] == "warned"
    assert world.check(here, "--base", "HEAD").json["notices"] == []
    assert new(world.check(here, "--base", "HEAD")) == [MALICIOUS]  # it is checked out, so it is looked at
    here.git("commit", "-q", "-m", "Move")
    pushed = world.check(here, "--pushed", "--base", "HEAD~1")
    assert (pushed.code, notices(pushed)) == (0, ["submodule-changed"])
    clone = here.clone(world.folder / "clone")  # without its submodules
    bare = world.check(clone, "--base", "HEAD~1")
    assert (new(bare), notices(bare)) == ([], ["submodule-changed"])
    assert world.check(clone, "--base", "HEAD").json["notices"] == []
    clone.git("rm", "-q", "-f", "lib")
    assert notices(world.check(clone, "--base", "HEAD")) == ["submodule-changed"]


def test_what_a_checked_out_submodule_had_in_the_base_is_not_new(world: World, with_submodule: Repository) -> None:
    here = with_submodule
    here.commit()
    same = world.check(here, "--base", "HEAD")
    assert (same.code, new(same), notices(same)) == (0, [], [])
    assert [one["path"] for one in same.json["lockfiles"]] == ["lib/package-lock.json", "package-lock.json"]
    (here.folder / "lib" / "package-lock.json").unlink()
    assert world.check(here, "--base", "HEAD").code == 1  # deleted, there too
    clone = here.clone(world.folder / "clone")
    clone.git("submodule", "--quiet", "update", "--init", "--depth=1")
    assert new(world.check(clone, "--base", "HEAD")) == []
    # Its clone does not have what the base names: that is "nothing known", not "nothing new".
    assert new(world.check(clone, "--base", "HEAD~1")) == [CLEAN, MALICIOUS]


def test_a_new_submodule_is_reported_but_where_lockfiles_are_not_looked_for(world: World) -> None:
    library = Repository.new(world.folder / "library")
    library.commit({"README": "x"})
    here = Repository.new(world.folder / "here")
    here.commit({"package-lock.json": lock(SITE), "scangate.yml": "version: 1\nexclude: [docs]\n"})
    for place in ("lib", "node_modules/lib", "docs/theme"):
        here.git("submodule", "--quiet", "add", f"file://{library.folder}", place)
    here.write({"package-lock.json": lock(SITE).replace("  ", "   ")})
    here.git("add", "-A")
    result = world.check(here, "--staged")
    assert (result.code, notices(result)) == (0, ["submodule-changed", "narrowed"])
    assert "lib is new" in result.json["notices"][0]["message"]


def test_a_submodule_inside_of_one_that_moved_is_reported_where_it_is_not_checked_out(world: World) -> None:
    inner, library = Repository.new(world.folder / "inner"), Repository.new(world.folder / "library")
    inner.commit({"package-lock.json": lock(CLEAN)})
    library.commit({"package-lock.json": lock(SITE)})
    library.git("submodule", "--quiet", "add", f"file://{inner.folder}", "inner")
    library.commit()
    here = Repository.new(world.folder / "here")
    here.git("submodule", "--quiet", "add", f"file://{library.folder}", "lib")
    here.commit({"package-lock.json": lock(SITE)})
    inner.commit({"package-lock.json": lock(CLEAN, MALICIOUS)})
    Repository(library.folder / "inner").git("pull", "-q")
    library.commit()
    Repository(here.folder / "lib").git("pull", "-q")
    here.commit()
    result = world.check(here, "--base", "HEAD~1")
    assert [(one["code"], one["where"]) for one in result.json["notices"]] == [("submodule-changed", "lib/inner")]
    here.git("submodule", "--quiet", "update", "--init", "--recursive")
    result = world.check(here, "--base", "HEAD~1")
    assert (new(result), notices(result)) == ([MALICIOUS], [])
    assert (new(world.check(here, "--base", "HEAD")), notices(world.check(here, "--all"))) == ([], [])


def test_a_repository_inside_that_git_does_not_list_is_named(world: World) -> None:
    here = Repository.new(world.folder / "here")
    here.commit({"package-lock.json": lock(SITE)})
    tools = here.clone(here.folder / "tools")
    tools.commit({"package-lock.json": lock(MALICIOUS)})
    for options in (("--base", "HEAD"), ("--all",)):
        result = world.check(here, *options)
        assert [(one["code"], one["where"]) for one in result.json["notices"]] == [("left-out", "tools")]
        assert MALICIOUS not in new(result)
    named = world.check(here, "--base", "HEAD", ".", "tools")
    assert (new(named), notices(named)) == ([MALICIOUS], [])
    assert "tools is a repository" in world.scangate("list", cwd=here.folder).err
    # Added without .gitmodules, it is a link to a commit that git does not look behind either.
    here.git("add", "tools")
    here.git("commit", "-q", "-m", "Tools")
    for side in ([], ["--staged"], ["--pushed"]):
        result = world.check(here, *side, "--base", "HEAD~1")
        assert [(one["code"], one["where"]) for one in result.json["notices"]] == [("submodule-changed", "tools")]
    same = world.check(here, "--base", "HEAD")
    assert (same.code, new(same), notices(same)) == (0, [], [])


VENDORED = {
    "services/vendor/requirements.txt": "evil==1\n",
    "services/vendor/more/package-lock.json": lock(MALICIOUS),
    "third_party/node_modules/x/package-lock.json": lock(MALICIOUS),
}


@pytest.mark.parametrize("options", [(), ("--staged",), ("--pushed",)])
def test_what_is_new_in_a_vendored_folder_is_named(world: World, options: tuple[str, ...]) -> None:
    here = Repository.new(world.folder / "here")
    here.commit({"package-lock.json": lock(SITE), "vendor/poetry.lock": POETRY})
    here.commit(dict(VENDORED))
    result = world.check(here, *options, "--base", "HEAD~1")
    assert (result.json["status"], new(result)) == ("warned", [])
    (notice,) = result.json["notices"]
    assert (notice["code"], notice["where"]) == ("left-out", "services/vendor")
    assert "services/vendor/more/package-lock.json and 1 more" in notice["message"]
    named = world.check(here, *options, "--base", "HEAD~1", ".", "services/vendor")
    assert (MALICIOUS in new(named), notices(named)) == (True, [])
    here.commit({"README": "x"})
    assert notices(world.check(here, *options, "--base", "HEAD~1")) == []
    here.commit({"scangate.yml": "version: 1\nexclude: ['**/vendor']\n", "vendor/poetry.lock": "x"})
    assert "left-out" not in notices(world.check(here, *options, "--base", "HEAD~1"))


@pytest.mark.parametrize("options", [(), ("--staged",), ("--pushed",)])
@pytest.mark.parametrize("folder", ["vendor", "vendor/app"])
def test_a_vendored_folder_is_named_from_inside_of_it(world: World, folder: str, options: tuple[str, ...]) -> None:
    here = Repository.new(world.folder / "vendor" / "here")
    here.commit({"requirements.txt": "a==1\n", "vendor/app/requirements.txt": "a==1\n"})
    here.commit({"vendor/app/requirements.txt": "a==1\nb==1\n"})
    inside = here.folder / folder
    up = "/".join([".."] * (folder.count("/") + 1))
    result = world.scangate("check", "--format", "json", *options, "--base", "HEAD~1", up, cwd=inside)
    assert (result.code, new(result)) == (0, [])
    assert [one["where"] for one in result.json["notices"]] == [str(here.folder / "vendor")]


def test_a_vendored_folder_of_another_repository_is_named(world: World) -> None:
    other = Repository.new(world.folder / "other")
    other.commit({"requirements.txt": "a==1\n", "vendor/requirements.txt": "a==1\n"})
    here = Repository.new(world.folder / "here")
    for place, where in ((here.folder, str(other.folder / "vendor")), (world.folder, "other/vendor")):
        result = world.scangate("check", "--format", "json", "--all", str(other.folder), cwd=place)
        assert [one["where"] for one in result.json["notices"] if one["code"] == "left-out"] == [where]


@pytest.mark.parametrize("options", [(), ("--staged",), ("--pushed",)])
def test_what_cannot_be_compared_in_a_vendored_folder_is_named(world: World, options: tuple[str, ...]) -> None:
    here = Repository.new(world.folder / "here")
    here.commit({"package-lock.json": lock(SITE)})
    (here.folder / "vendor").mkdir()
    (here.folder / "vendor" / "poetry.lock").symlink_to("/etc/hostname")
    here.commit()
    assert notices(world.check(here, *options, "--base", "HEAD~1")) == ["left-out"]


def test_where_everything_is_checked_all_that_is_left_out_is_named(world: World, with_submodule: Repository) -> None:
    here = with_submodule
    here.commit({"vendor/poetry.lock": POETRY})
    here.write({"third-party/poetry.lock": POETRY})  # git does not track it
    assert [one["where"] for one in world.check(here, "--all").json["notices"]] == ["vendor"]
    assert "vendor/poetry.lock" in world.scangate("list", cwd=here.folder).err
    clone = here.clone(world.folder / "clone")  # without its submodules
    assert [one["where"] for one in world.check(clone, "--all").json["notices"]] == ["vendor", "lib"]


def test_an_include_that_leads_into_a_submodule(world: World) -> None:
    library = Repository.new(world.folder / "library")
    library.commit({"base.txt": "a==1\n"})
    here = Repository.new(world.folder / "here")
    here.git("submodule", "--quiet", "add", f"file://{library.folder}", "lib")
    here.commit({"requirements.txt": "-r lib/base.txt\nb==1\n"})
    library.commit({"base.txt": "a==1\nevil==1\n"})
    Repository(here.folder / "lib").git("pull", "-q")
    here.commit()
    assert new(world.check(here, "--base", "HEAD~1")) == ["pkg:pypi/evil@1"]
    clone = here.clone(world.folder / "clone")
    clone.git("submodule", "--quiet", "update", "--init", "--depth=1")
    result = world.check(clone, "--base", "HEAD~1")  # what the base names is not in the submodule's clone
    assert (new(result), notices(result)) == (["pkg:pypi/a@1", "pkg:pypi/b@1", "pkg:pypi/evil@1"], ["base-unreadable"])
    for option in ("--staged", "--pushed"):  # a tree of git has no files of its submodules
        assert notices(world.check(here, option, "--base", "HEAD~1")) == ["submodule-changed"]
    here.commit({"requirements.txt": "-r lib/base.txt\nb==2\n"})
    for option in ("--staged", "--pushed"):
        result = world.check(here, option, "--base", "HEAD~1")
        assert (result.code, result.out) == (2, "")
        assert "lib/base.txt" in result.err


def test_a_vendored_submodule_is_named_when_it_moves(world: World, with_submodule: Repository) -> None:
    here = with_submodule
    here.git("mv", "lib", "third_party")
    here.commit()
    assert notices(world.check(here, "--base", "HEAD")) == []
    library = Repository(world.folder / "library")
    library.commit({"package-lock.json": lock(SITE)})
    Repository(here.folder / "third_party").git("pull", "-q")
    here.commit()
    assert notices(world.check(here, "--base", "HEAD~1")) == ["left-out"]
    assert notices(world.check(here, "--pushed", "--base", "HEAD~1")) == ["submodule-changed"]


@pytest.mark.parametrize("options", [(), ("--staged",), ("--pushed",)])
def test_a_link_to_a_left_out_file_is_checked(world: World, options: tuple[str, ...]) -> None:
    here = Repository.new(world.folder / "here")
    here.commit({"package-lock.json": lock(SITE), "vendor/app/package-lock.json": lock(CLEAN)})
    (here.folder / "app").mkdir()
    (here.folder / "app" / "package-lock.json").symlink_to("../vendor/app/package-lock.json")
    here.commit()
    assert new(world.check(here, *options, "--base", "HEAD~1")) == [CLEAN]
    here.commit({"vendor/app/package-lock.json": lock(CLEAN, MALICIOUS)})
    assert new(world.check(here, *options, "--base", "HEAD~1")) == [MALICIOUS]


def test_what_only_has_the_name_of_a_requirements_file_is_nothing_on_both_sides(world: World) -> None:
    here = Repository.new(world.folder / "prose")
    here.commit({"package-lock.json": lock(CLEAN), "docs/test-requirements.txt": "The tests require patience.\n"})
    here.write({"package-lock.json": lock(CLEAN, ALSO), "docs/test-requirements.txt": "The tests require time.\n"})
    result = world.check(here, "--base", "HEAD")
    assert (new(result), notices(result)) == ([ALSO], [])


# ---------------------------------------------------------------------------------------------------- policy


def proposal(world: World, main: dict[str, str | bytes], feature: dict[str, str | bytes]) -> Repository:
    """What a CI checks out for a pull request that changes the policy, too."""
    remote = world.remote
    remote.commit(main)
    remote.git("checkout", "-q", "feature")
    remote.git("merge", "-q", "-m", "Catch up", "main")
    head = remote.commit(feature)
    remote.git("checkout", "-q", "--detach", "main")
    remote.git("merge", "-q", "--no-ff", "-m", "Merge", "feature")
    object.__setattr__(world, "project", _with(world.project, f2=head))
    return world.checkout(remote.head)


def _with(project: Project, **changes: str) -> Project:
    other = object.__new__(Project)
    other.__dict__.update({**project.__dict__, **changes})
    return other


def test_a_pull_request_cannot_allow_itself(world: World, replay: Replay) -> None:
    clone = proposal(world, {}, {"scangate.yml": ALLOW})
    result = world.check(clone, **world.pull_request(), **replay.environ)
    assert (result.code, result.json["policy"], notices(result)) == (1, "default", ["policy-changed"])
    assert "without it" in result.json["notices"][0]["message"]
    head = world.check(clone, "--policy-from", "head", **world.pull_request(), **replay.environ)
    assert (head.code, head.json["policy"], notices(head)) == (0, "scangate.yml", ["policy-changed"])
    assert head.json["status"] == "warned"


def test_what_the_base_allows_is_allowed(world: World, replay: Replay) -> None:
    clone = proposal(world, {"scangate.yml": ALLOW}, {"README": "x"})
    result = world.check(clone, **world.pull_request(), **replay.environ)
    assert (result.code, result.json["policy"], notices(result)) == (0, "scangate.yml", [])


def test_a_pull_request_that_takes_the_policy_away_is_judged_by_it(world: World, replay: Replay) -> None:
    strict = "version: 1\nactions: {low: deny}\n"
    clone = proposal(world, {".github/scangate.yml": strict}, {})
    clone.git("rm", "-q", ".github/scangate.yml")
    clone.git("commit", "-q", "--amend", "--no-edit")
    result = world.check(clone, "--base", "HEAD^1", "--policy-from", "base")
    assert (result.json["policy"], notices(result)) == (".github/scangate.yml", ["policy-changed"])
    assert "is gone" in result.json["notices"][0]["message"]


@pytest.mark.parametrize("options", [("--all",), ("--base", "origin/main"), ("--all", "--policy-from", "base")])
def test_nor_where_the_workflow_names_what_is_compared(world: World, replay: Replay, options: tuple[str, ...]) -> None:
    clone = proposal(world, {}, {"scangate.yml": ALLOW})
    result = world.check(clone, *options, **world.pull_request(), **replay.environ)
    assert (result.code, result.json["policy"], notices(result)) == (1, "default", ["policy-changed"])


def _merge_group(world: World) -> dict[str, str]:
    payload = {"merge_group": {"base_sha": world.remote.parse("main"), "head_sha": world.remote.head}}
    return world.github("merge_group", payload)


PROPOSALS: dict[str, Callable[[World], dict[str, str]]] = {
    "pull_request": World.pull_request,
    "merge_group": _merge_group,
    "GitLab": lambda _world: gitlab(CI_MERGE_REQUEST_TARGET_BRANCH_NAME="main"),
    "Azure": lambda _world: {"TF_BUILD": "True", "SYSTEM_PULLREQUEST_TARGETBRANCH": "main"},
    "Jenkins": lambda _world: {"JENKINS_URL": "https://ci.example", "CHANGE_ID": "1", "CHANGE_TARGET": "main"},
}


@pytest.mark.parametrize("place", PROPOSALS.values(), ids=PROPOSALS)
def test_nor_in_a_hook_that_the_ci_runs(world: World, replay: Replay, place: Callable[[World], dict[str, str]]) -> None:
    clone = proposal(world, {}, {"scangate.yml": ALLOW})
    environ = {**place(world), **replay.environ}
    pushed = {"PRE_COMMIT_FROM_REF": "origin/main", "PRE_COMMIT_TO_REF": "HEAD"}
    ways = (("--staged", {}), ("--pushed", {}), ("--pushed", {"PRE_COMMIT_TO_REF": clone.head}), ("--pushed", pushed))
    for option, named in ways:
        result = world.check(clone, option, **environ, **named)
        assert (result.code, result.json["policy"], notices(result)) == (1, "default", ["policy-changed"]), option
        assert new(result) == OWN
        head = world.check(clone, option, "--policy-from", "head", **environ, **named)
        assert (head.code, head.json["policy"]) == (0, "scangate.yml")


@pytest.mark.parametrize("options", [(), ("--all",), ("--pushed",)])
def test_a_proposal_without_a_base_has_no_policy(world: World, options: tuple[str, ...]) -> None:
    """That of the change would be the only one."""
    clone = proposal(world, {}, {"scangate.yml": ALLOW})
    environ = {"BUILDKITE": "true", "BUILDKITE_SOURCE": "schedule", "BUILDKITE_PULL_REQUEST": "7"}
    result = world.check(clone, *options, **environ)
    assert (result.code, result.out) == (3, "")
    assert "--base REF" in result.err


@pytest.mark.parametrize("option", ["--staged", "--pushed"])
def test_in_a_ci_a_hook_on_the_default_branch_checks_everything(world: World, replay: Replay, option: str) -> None:
    clone = world.checkout(world.project.f2)
    clone.git("update-ref", "refs/remotes/origin/main", "HEAD")
    result = world.check(clone, option, CI="true", **replay.environ)
    assert (result.code, compared(result)) == (1, None)
    assert new(result) == sorted([ALSO, CLEAN, MALICIOUS])


def test_what_the_policy_extends_is_the_base_s_too(world: World, replay: Replay) -> None:
    ours: dict[str, str | bytes] = {"scangate.yml": "version: 1\nextends: ci/ours.yml\n", "ci/ours.yml": "version: 1\n"}
    clone = proposal(world, ours, {"ci/ours.yml": ALLOW})
    result = world.check(clone, **world.pull_request(), **replay.environ)
    assert (result.code, result.json["policy"], notices(result)) == (1, "scangate.yml", ["policy-changed"])
    assert result.json["notices"][0]["where"] == "ci/ours.yml"
    head = world.check(clone, "--policy-from", "head", **world.pull_request(), **replay.environ)
    assert (head.code, notices(head)) == (0, ["policy-changed"])
    # Shown also where no lockfile differs, from below the root, and from the index.
    clone.git("checkout", "-q", "--detach", "HEAD^1")
    clone.write({"ci/ours.yml": ALLOW})
    clone.git("add", "-A")
    for folder, *options in (["."], [".", "--staged"], ["site"]):
        same = world.check(Repository(clone.folder / folder), "--base", "HEAD", *options)
        assert (same.code, new(same), notices(same)) == (0, [], ["policy-changed"])


def test_a_pull_request_cannot_exclude_what_it_brings_in(world: World) -> None:
    exclude = "version: 1\nexclude: [package-lock.json]\n"
    clone = proposal(world, {}, {"scangate.yml": exclude})
    assert new(world.check(clone, **world.pull_request())) == OWN
    assert new(world.check(clone, "--policy-from", "head", **world.pull_request())) == []


def test_a_policy_named_on_the_command_line_is_the_base_s_too(world: World, replay: Replay) -> None:
    clone = proposal(world, {"ci/gate.yml": "version: 1\n"}, {"ci/gate.yml": ALLOW})
    result = world.check(clone, "--policy", "ci/gate.yml", **world.pull_request(), **replay.environ)
    assert (result.code, result.json["policy"], notices(result)) == (1, "ci/gate.yml", ["policy-changed"])
    outside = world.folder / "mine.yml"
    outside.write_text(ALLOW)
    result = world.check(clone, "--policy", str(outside), **world.pull_request(), **replay.environ)
    assert (result.code, notices(result)) == (0, [])


def test_on_a_branch_the_policy_is_the_one_that_is_there_and_a_change_is_shown(world: World, replay: Replay) -> None:
    clone = world.checkout(world.project.f2)
    clone.write({"scangate.yml": ALLOW})
    result = world.check(clone, **replay.environ)
    assert (result.code, result.json["policy"], notices(result)) == (0, "scangate.yml", ["policy-changed"])
    unchanged = world.check(clone, "--base", "HEAD", **replay.environ)
    assert (unchanged.code, new(unchanged), notices(unchanged)) == (0, [], ["policy-changed"])


def test_in_a_hook_the_policy_is_the_staged_or_the_pushed_one(world: World) -> None:
    clone = world.checkout(world.project.m1)
    clone.write({"scangate.yml": "version: 1\nexclude: [site]\n", "site/package-lock.json": lock(SITE)})
    clone.write({"package-lock.json": lock(CLEAN, ALSO)})
    clone.git("add", "-A")
    clone.write({"scangate.yml": "no policy"})
    assert new(world.check(clone, "--staged")) == [ALSO]
    clone.git("commit", "-q", "-m", "Change")
    assert new(world.check(clone, "--pushed", "--base", "HEAD~1")) == [ALSO]
    named = world.check(clone, "--pushed", "--base", "HEAD~1", "--policy", "other.yml")
    assert (named.code, named.out) == (2, "")
    assert "other.yml" in named.err


def test_what_the_policy_caps_in_one_place_is_not_new_in_another_and_all_tells(world: World, replay: Replay) -> None:
    """As docs/base.md says of what "not new" does not mean."""
    here = Repository.new(world.folder / "here")
    cap = "version: 1\noverrides: [{when: {lockfile: 'examples/**'}, cap: note, install-phase: true}]\n"
    here.commit({"scangate.yml": cap, "examples/package-lock.json": lock(MALICIOUS)})
    assert world.check(here, "--all", **replay.environ).code == 0
    here.commit({"app/package-lock.json": lock(MALICIOUS)})
    result = world.check(here, "--base", "HEAD~1", **replay.environ)
    assert (result.code, new(result)) == (0, [])
    assert world.check(here, "--all", **replay.environ).code == 1


def test_two_policies_in_the_base_are_an_error(world: World) -> None:
    both: dict[str, str | bytes] = {"scangate.yml": "version: 1\n", ".github/scangate.yml": "version: 1\n"}
    clone = proposal(world, both, {"README": "x"})
    result = world.check(clone, **world.pull_request())
    assert (result.code, result.out) == (2, "")
    assert "two policies" in result.err


def test_a_policy_that_is_a_link_out_of_the_repository_is_an_error(world: World) -> None:
    clone = world.checkout(world.project.f2)
    (clone.folder / "scangate.yml").symlink_to("/etc/hostname")
    clone.git("add", "-A")
    result = world.check(clone, "--staged")
    assert (result.code, result.out) == (2, "")
    assert "scangate.yml" in result.err


def test_without_a_base_there_is_no_policy_of_it(world: World) -> None:
    here = Repository.new(world.folder / "alone")
    here.commit({"package-lock.json": lock(CLEAN)})
    result = world.check(here, "--policy-from", "base")
    assert (result.code, result.out) == (3, "")
    assert "--base REF" in result.err


# ---------------------------------------------------------------------------------------------- the hook's profile


def test_an_outage_warns_in_a_hook_and_fails_in_ci(world: World) -> None:
    clone = world.checkout(world.project.m1)
    clone.write({"package-lock.json": lock(CLEAN, ALSO)})
    clone.git("add", "-A")
    outage = {"SCANGATE_API_URL": "http://127.0.0.1:9", "SCANGATE_API_KEY": "k"}
    hook = world.check(clone, "--staged", "--timeout", "2", **outage)
    assert (hook.code, hook.json["status"], new(hook)) == (0, "warned", [ALSO])
    (outcome,) = hook.json["packages"][0]["outcomes"]
    assert (outcome["action"], outcome["decided_by"]["decider"]) == ("warn", "profile")
    assert world.check(clone, "--staged", "--timeout", "2", CI="true", **outage).code == 3
    assert world.check(clone, "--timeout", "2", "--base", "HEAD", **outage).code == 3
    assert world.check(clone, "--staged").code == 3  # no key: that is no outage


# ------------------------------------------------------------------------------------- ended in the middle of it


@pytest.mark.parametrize("options", [("--base", "HEAD"), ("--staged",)])
def test_a_run_that_was_killed_leaves_nothing_behind_and_the_next_one_is_right(
    world: World, serve: Callable[..., Replay], own_world: Path, options: tuple[str, ...]
) -> None:
    clone = world.checkout(world.project.m1)
    clone.write({"package-lock.json": lock(CLEAN, ALSO, MALICIOUS)})
    clone.git("add", "-A")
    before = clone.git("status", "--porcelain=v2", "--branch")
    replay = serve({"recordings": [{"purl": ALSO, "delay": 3600}]})
    environ = {"HOME": str(own_world), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **replay.environ}
    with subprocess.Popen(
        [sys.executable, "-m", "scangate", "check", *options, "--quiet"],
        cwd=clone.folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        while len(_tasks(world, replay)) < 2:
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()
        process.communicate()
    clone.git("fsck", "--strict")
    assert clone.git("status", "--porcelain=v2", "--branch") == before
    assert not list((clone.folder / ".git").rglob("*.lock"))
    result = world.check(clone, *options, "--timeout", "5", **replay.environ)
    assert (result.code, new(result), compared(result)) == (1, OWN, world.project.m1)
    blocked = [one["purl"] for one in result.json["packages"] if one["status"] == "blocked"]
    assert blocked == [MALICIOUS]
    assert sorted(_tasks(world, replay)) == OWN  # taken up, not submitted again


def _tasks(world: World, replay: Replay) -> list[str]:
    listed = world.scangate("tasks", "--format", "json", **replay.environ).json["tasks"]
    return [task["purl"] for task in listed]


def test_what_is_not_done_while_somebody_waits_warns_and_is_taken_up_in_ci(
    world: World, serve: Callable[..., Replay], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_options, "HOOK_TIMEOUT", 3.0)  # nobody wants to wait for 60 seconds here
    clone = world.checkout(world.project.m1)
    clone.write({"package-lock.json": lock(CLEAN, ALSO)})
    clone.git("add", "-A")
    replay = serve({"recordings": [{"purl": ALSO, "delay": 6}]})
    hook = world.check(clone, "--staged", **replay.environ)
    assert (hook.code, hook.json["status"]) == (0, "warned")
    (outcome,) = hook.json["packages"][0]["outcomes"]
    assert (outcome["code"], outcome["decided_by"]["decider"]) == ("pending", "profile")
    ci = world.check(clone, "--staged", "--base", "HEAD", **replay.environ, CI="true")
    assert (ci.code, ci.json["status"], new(ci)) == (0, "passed", [ALSO])  # it waits as long as it takes
    assert _tasks(world, replay) == [ALSO]
