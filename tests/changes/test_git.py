"""git: what it may do, how long, how much, and what the workspace cannot make it do."""

import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from scangate.changes.git import Git, GitError
from scangate.errors import ExitCode


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Example", "-c", "user.email=dev@example.com")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    return folder


def own_git(folder: Path, script: str) -> dict[str, str]:
    """An environment whose `git` is this Python script."""
    program = folder / "bin" / "git"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!{sys.executable}\n{script}\n")
    program.chmod(0o755)
    return {"PATH": str(program.parent)}


def test_lists_tracked_and_untracked_files_apart(repository: Path) -> None:
    (repository / ".gitignore").write_text("ignored\n")
    for name in ("tracked", "untracked", "ignored", "sub/tracked"):
        (repository / name).parent.mkdir(exist_ok=True)
        (repository / name).touch()
    git(repository, "add", "tracked", "sub", ".gitignore")
    here = Git(repository, os.environ)
    assert here.tracked() == {".gitignore", "tracked", "sub/tracked"}
    assert here.untracked() == {"untracked"}
    assert Git(repository / "sub", os.environ).tracked() == {"tracked"}
    assert Git(repository / "sub", os.environ).toplevel() == repository


def test_submodules_are_listed_with_what_they_track(repository: Path, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    git(inner, "init", "-q")
    (inner / "poetry.lock").touch()
    git(inner, "add", ".")
    git(inner, "commit", "-q", "-m", "One")
    git(repository, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "module")
    assert "module/poetry.lock" in Git(repository, os.environ).tracked()


def test_names_with_newlines_escapes_and_no_utf8(repository: Path) -> None:
    names = {"new\nline", "\x1b[31mred", 'quote"tab\t', os.fsdecode(b"\xff\xfe"), "-dash", "ünïcode"}
    for name in names:
        (repository / name).touch()
    git(repository, "add", ".")
    assert Git(repository, os.environ).tracked() == names


def test_outside_a_repository_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(GitError, match="git rev-parse failed with status 128: fatal: not a git repository") as caught:
        Git(tmp_path, os.environ).toplevel()
    assert caught.value.exit_code is ExitCode.INCOMPLETE
    assert "\n" not in caught.value.message


def test_no_git_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(GitError, match="git cannot be run"):
        Git(tmp_path, {"PATH": str(tmp_path)}).tracked()
    with pytest.raises(GitError, match="git cannot be run"):
        Git(tmp_path / "missing", os.environ).tracked()
    with pytest.raises(GitError, match="git cannot be run"):
        Git(tmp_path, os.environ).run("a\x00b")


def test_a_git_in_the_workspace_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = own_git(tmp_path, "open('ran', 'w').close()")
    monkeypatch.chdir(tmp_path / "bin")
    with pytest.raises(GitError, match="git cannot be run"):
        Git(tmp_path / "bin", {**environ, "PATH": f".{os.pathsep}{os.pathsep}bin"}).tracked()
    assert not list(tmp_path.rglob("ran"))


def test_a_committed_bare_repository_with_a_monitor_runs_nothing(repository: Path) -> None:
    ran = repository.parent / "ran"
    program = repository.parent / "monitor"
    program.write_text(f"#!/bin/sh\ntouch {ran}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    bare = repository / "docs" / "example"
    bare.mkdir(parents=True)
    git(bare, "init", "-q", "--bare")
    git(bare, "config", "core.bare", "false")
    git(bare, "config", "core.worktree", ".")
    git(bare, "config", "core.fsmonitor", str(program))
    subprocess.run(["git", "status"], cwd=bare, check=False, capture_output=True)
    assert ran.exists(), "the trap itself must work, else this test shows nothing"
    ran.unlink()
    with pytest.raises(GitError, match="bare repository"):
        Git(bare, os.environ).untracked()
    assert not ran.exists()


def test_the_repositorys_own_monitor_is_not_run(repository: Path) -> None:
    ran = repository.parent / "ran"
    git(repository, "config", "core.fsmonitor", f"touch {ran}; false")
    (repository / "f").touch()
    git(repository, "add", "f")
    ran.unlink(missing_ok=True)
    assert Git(repository, os.environ).tracked() == {"f"}
    Git(repository, os.environ).untracked()
    assert not ran.exists()


def test_inherited_git_variables_do_not_reach_it(repository: Path, tmp_path: Path) -> None:
    (repository / "f").touch()
    git(repository, "add", "f")
    hostile = {**os.environ, "GIT_DIR": str(tmp_path), "GIT_INDEX_FILE": "/dev/null", "GIT_WORK_TREE": "/"}
    assert Git(repository, hostile).tracked() == {"f"}


def test_what_git_gets(tmp_path: Path) -> None:
    environ = own_git(tmp_path, "import os, sys, json; print(json.dumps([sys.argv[1:], dict(os.environ)]))")
    said = Git(tmp_path, {**environ, "GIT_SSH_COMMAND": "evil", "LC_ALL": "de_DE", "HOME": "/h"}).run("log", "-1")
    for expected in ("safe.bareRepository=explicit", "core.fsmonitor=false", "protocol.ext.allow=never"):
        assert expected in said.decode()
    assert b'"LC_ALL": "C"' in said
    for name, value in (
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_OPTIONAL_LOCKS", "0"),
        ("GIT_LITERAL_PATHSPECS", "1"),
        ("GIT_NO_REPLACE_OBJECTS", "1"),
    ):
        assert f'"{name}": "{value}"' in said.decode()
    assert b'"HOME": "/h"' in said
    assert b"GIT_SSH_COMMAND" not in said


def test_too_much_output_is_an_error_and_ends_it(tmp_path: Path) -> None:
    environ = own_git(tmp_path, "while True: print('x' * 1000)")
    with pytest.raises(GitError, match="printed more than 100000 bytes"):
        Git(tmp_path, environ, max_output_bytes=100_000).tracked()


def test_complaints_are_shortened_to_one_line(tmp_path: Path) -> None:
    environ = own_git(tmp_path, "import sys; sys.stderr.write('bad\\n' * 10**5); sys.exit(3)")
    with pytest.raises(GitError, match="failed with status 3: bad bad") as caught:
        Git(tmp_path, environ).tracked()
    assert len(caught.value.message) < 600
    assert "\n" not in caught.value.message


def test_taking_too_long_is_an_error_and_ends_its_children_too(tmp_path: Path) -> None:
    # The child keeps the pipe open, as a submodule's git does.
    environ = own_git(
        tmp_path,
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "open('pid', 'w').write(str(child.pid))\n"
        "time.sleep(600)",
    )
    with pytest.raises(GitError, match=r"git ls-files took longer than 1 s\."):
        Git(tmp_path, environ, timeout_seconds=1).tracked()
    assert _ended(int((tmp_path / "pid").read_text()))


def test_an_interrupt_leaves_no_git_behind(tmp_path: Path) -> None:
    environ = own_git(
        tmp_path,
        "import os, time; open('pid.tmp', 'w').write(str(os.getpid())); os.rename('pid.tmp', 'pid'); time.sleep(600)",
    )
    pid = tmp_path / "pid"

    def interrupt() -> None:
        while not pid.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), 2)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        Git(tmp_path, environ).tracked()
    thread.join()
    assert _ended(int(pid.read_text()))


def _ended(pid: int) -> bool:
    for _ in range(500):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False
