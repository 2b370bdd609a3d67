"""Real repositories as CI systems check them out: a remote by file://, clones of it, shallow and whole."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

NOTHING = "0" * 40


@dataclass(frozen=True)
class Repository:
    folder: Path

    @classmethod
    def new(cls, folder: Path, branch: str = "main") -> "Repository":
        folder.mkdir(parents=True)
        one = cls(folder)
        one.git("init", "-q", "--template=", "-b", branch)
        (folder / ".git" / "hooks").mkdir()
        (folder / ".git" / "info").mkdir(exist_ok=True)
        return one

    def git(self, *arguments: str, index: Path | None = None) -> str:
        environ = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        if index is not None:
            environ["GIT_INDEX_FILE"] = str(index)
        identity = ("-c", "user.name=Example", "-c", "user.email=dev@example.com", "-c", "protocol.file.allow=always")
        done = subprocess.run(
            ["git", *identity, *arguments], cwd=self.folder, check=True, capture_output=True, env=environ
        )
        return os.fsdecode(done.stdout).strip()

    def write(self, files: dict[str, str | bytes]) -> None:
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, files: dict[str, str | bytes] | None = None, message: str = "Change") -> str:
        self.write(files or {})
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.head

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    def parse(self, revision: str) -> str:
        return self.git("rev-parse", revision)

    def clone(self, folder: Path, *options: str, url: str | None = None) -> "Repository":
        source = url or f"file://{self.folder}"
        self.git("clone", "-q", "--template=", *options, source, str(folder))
        return Repository(folder)


def event(folder: Path, payload: object) -> str:
    """A payload file, as GITHUB_EVENT_PATH names it."""
    path = folder / "event.json"
    path.write_text(json.dumps(payload))
    return str(path)
