"""A repository on "GitHub", and for each event that can start a run: its payload, and what actions/checkout makes."""

import copy
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.changes.ci_fixtures.repos import NOTHING, Repository, event
from tests.conftest import ROOT

NAME = "example/shop"
SHOP = "shop/"


def example(name: str, folder: str = "") -> dict[str, str | bytes]:
    """An example project's files."""
    files = (ROOT / "examples" / name).iterdir()
    return {f"{folder}{path.name}": path.read_bytes() for path in files if path.is_file()}


HARMLESS = ("bcrypt", "core-js", "node-addon-api", "node-gyp-build")


def small() -> dict[str, str | bytes]:
    """The example project of npm without axios and what it needs: the service says how often may be asked."""
    files = example("npm-project")
    manifest, lock = json.loads(files["package.json"]), json.loads(files["package-lock.json"])
    del manifest["dependencies"]["axios"], lock["packages"][""]["dependencies"]["axios"]
    kept = {"", *(f"node_modules/{name}" for name in HARMLESS)}
    lock["packages"] = {place: each for place, each in lock["packages"].items() if place in kept}
    return {"package.json": json.dumps(manifest), "package-lock.json": json.dumps(lock, indent=2)}


@dataclass(frozen=True)
class Started:
    """A run: what is checked out, and the context `github`."""

    checkout: Path
    github: dict[str, Any]


class Project:
    """main: m1, m2. A harmful change on top of m1 (`feature`), and a harmless one (`harmless`), as pull requests.

    m1 has one small real project, all of it harmless; the harmful change brings the replica of the axios attack.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        remote = self.remote = Repository.new(folder / "remote")
        # As GitHub's servers are set.
        remote.git("config", "uploadpack.allowAnySHA1InWant", "true")
        self.m1 = remote.commit(small())
        remote.git("checkout", "-q", "-b", "harmless")
        self.harmless = remote.commit({"README.md": "Harmless."})
        remote.git("checkout", "-q", "-b", "feature", "main")
        self.harmful = remote.commit(example("axios-replica", SHOP))
        remote.git("checkout", "-q", "main")
        self.m2 = remote.commit({"LICENSE": "Ours."})

    def copy(self, folder: Path) -> "Project":
        """The same commits in another place."""
        shutil.copytree(self.remote.folder, folder / "remote")
        other = copy.copy(self)
        other.folder, other.remote = folder, Repository(folder / "remote")
        return other

    def commit(self, files: dict[str, str | bytes]) -> str:
        """Another harmful change, on top of the first one."""
        self.remote.git("checkout", "-q", "feature")
        self.harmful = self.remote.commit(files)
        self.remote.git("checkout", "-q", "main")
        return self.harmful

    def merged(self, head: str) -> str:
        """A merge of main and the head, as GitHub makes it for a pull request."""
        self.remote.git("checkout", "-q", "--detach", "main")
        self.remote.git("merge", "-q", "--no-ff", "-m", "Merge", head)
        found = self.remote.head
        self.remote.git("update-ref", "refs/pull/1/merge", found)
        self.remote.git("checkout", "-q", "main")
        return found

    def checkout(self, commit: str, depth: int = 2) -> Path:
        """What actions/checkout makes with that fetch-depth."""
        clone = Repository.new(self.folder / "workspace")
        clone.git("remote", "add", "origin", f"file://{self.remote.folder}")
        clone.git("fetch", "-q", "--no-tags", f"--depth={depth}", "origin", commit)
        clone.git("checkout", "-q", "--detach", commit)
        return clone.folder

    # --------------------------------------------------------------------------------------------- the events

    def pull_request(self, head: str, *, action: str = "opened", source: str = NAME, author: str = "dev") -> Started:
        merge = self.merged(head)
        return self._started(
            "pull_request",
            merge,
            "refs/pull/1/merge",
            {
                "action": action,
                "pull_request": {
                    "number": 1,
                    "user": {"login": author},
                    "head": {"sha": head, "ref": "feature", "repo": {"full_name": source, "fork": source != NAME}},
                    # GitHub's is often stale.
                    "base": {"sha": self.m1, "ref": "main", "repo": {"full_name": NAME}},
                },
            },
            base_ref="main",
        )

    def merge_group(self, head: str) -> Started:
        merge = self.merged(head)
        group = {"base_sha": self.m2, "head_sha": merge, "base_ref": "refs/heads/main"}
        return self._started("merge_group", merge, "refs/heads/gh-readonly-queue/main/pr-1", {"merge_group": group})

    def push(self, head: str, before: str, *, ref: str = "refs/heads/main", forced: bool = False) -> Started:
        return self._started("push", head, ref, {"before": before, "after": head, "ref": ref, "forced": forced})

    def new_branch(self, head: str) -> Started:
        return self.push(head, NOTHING, ref="refs/heads/feature")

    def force_push(self, head: str) -> Started:
        """The branch was somewhere else, which no branch has any more."""
        self.remote.git("checkout", "-q", "--detach", "main")
        before = self.remote.commit({"gone": "1"})
        self.remote.git("checkout", "-q", "main")
        return self.push(head, before, ref="refs/heads/feature", forced=True)

    def lost_force_push(self, head: str) -> Started:
        """As before, and the server does not have that commit any more."""
        return self.push(head, "1" * 40, ref="refs/heads/feature", forced=True)

    def schedule(self, head: str) -> Started:
        return self._started("schedule", head, "refs/heads/main", {"schedule": "23 3 * * *"})

    def dispatch(self, head: str) -> Started:
        return self._started("workflow_dispatch", head, "refs/heads/main", {"inputs": {}})

    def workflow_run(self, head: str) -> Started:
        """docs/ci/github-fork.yml: the head of a fork's pull request, with the whole history of the branches."""
        clone = self.remote.clone(self.folder / "workspace", "--no-checkout")
        clone.git("checkout", "-q", "--detach", head)
        payload = {"workflow_run": {"event": "pull_request", "head_sha": head}}
        return self._started("workflow_run", self.m2, "refs/heads/main", payload, checkout=clone.folder)

    def _started(
        self,
        name: str,
        commit: str,
        ref: str,
        payload: dict[str, Any],
        *,
        base_ref: str = "",
        checkout: Path | None = None,
    ) -> Started:
        payload = {**payload, "repository": {"full_name": NAME, "default_branch": "main"}}
        github = {
            "event_name": name,
            "event": payload,
            "event_path": event(self.folder, payload),
            "ref": ref,
            "sha": commit,
            "base_ref": base_ref,
        }
        return Started(checkout or self.checkout(commit), github)
