"""What each machine lacks, told with the command that mends it. Machines are described, the trial is real."""

from collections.abc import Callable
from pathlib import Path

import pytest

from scangate.errors import ScangateError
from scangate.local.sandbox import doctor, launch, seccomp
from scangate.local.sandbox.base import Plan, Problem, SandboxFailed, SandboxUnavailable
from scangate.local.sandbox.bubblewrap import BubblewrapSandbox
from tests.local.sandbox import jobs


def machine(folder: Path, release: str = "6.8.0-31-generic", **sysctls: str) -> Path:
    """A /proc with these switches."""
    for name, value in {"kernel/osrelease": release, **{k.replace("__", "/"): v for k, v in sysctls.items()}}.items():
        file = folder / "sys" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{value}\n")
    (folder / "1").mkdir()
    (folder / "1" / "cgroup").write_text("0::/init.scope\n")
    (folder / "self").mkdir()
    (folder / "self" / "status").write_text("CapEff:\t000001ffffffffff\n")
    return folder


def having(*programs: str) -> Callable[[str], str | None]:
    return lambda name: f"/usr/bin/{name}" if name in programs else None


APPARMOR = "kernel__apparmor_restrict_unprivileged_userns"
ALL = having("bwrap", "strace", "ip", "unshare", "setpriv", "prlimit", "apt-get")


def test_nothing_is_missing(tmp_path: Path) -> None:
    assert doctor.missing(system="linux", machine="aarch64", find=ALL, proc=machine(tmp_path)) == ()


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_other_systems(system: str) -> None:
    (problem,) = doctor.missing(system=system, find=having())
    assert system in problem.what


def test_other_processors(tmp_path: Path) -> None:
    (problem,) = doctor.missing(system="linux", machine="riscv64", find=ALL, proc=machine(tmp_path))
    assert "riscv64" in problem.what
    with pytest.raises(ScangateError, match="riscv64"):
        seccomp.program("riscv64")


def test_old_kernels(tmp_path: Path) -> None:
    (problem,) = doctor.missing(system="linux", machine="x86_64", find=ALL, proc=machine(tmp_path, "5.10.0-30-amd64"))
    assert "5.14" in problem.what


@pytest.mark.parametrize(
    ("installer", "commands"),
    [
        ("apt-get", {"sudo apt-get install -y bubblewrap", "sudo apt-get install -y iproute2"}),
        ("dnf", {"sudo dnf install -y bubblewrap", "sudo dnf install -y iproute"}),
        ("none", {"Install: bubblewrap", "Install: util-linux"}),
    ],
)
def test_missing_programs_and_how_to_get_them(tmp_path: Path, installer: str, commands: set[str]) -> None:
    found = doctor.missing(system="linux", machine="x86_64", find=having(installer), proc=machine(tmp_path))
    assert len(found) == 6
    assert commands <= {problem.mend for problem in found}


@pytest.mark.parametrize("name", ["kernel__unprivileged_userns_clone", "user__max_user_namespaces"])
def test_switches(tmp_path: Path, name: str) -> None:
    (problem,) = doctor.missing(system="linux", machine="x86_64", find=ALL, proc=machine(tmp_path, **{name: "0"}))
    assert problem.mend.startswith(f"sudo sysctl -w {name.replace('__', '.')}=")


@pytest.mark.parametrize(
    ("files", "sysctls", "what", "mend"),
    [
        ((), {}, "a trial of it failed: it broke", "docs/local-analysis.md"),
        ((), {APPARMOR: "1"}, "AppArmor restricts user namespaces", "apparmor_parser -r /etc/apparmor.d/scangate"),
        (("run/.containerenv",), {APPARMOR: "1"}, "AppArmor restricts", f"{APPARMOR.replace('__', '.')}=0"),
        (("run/.containerenv",), {}, "this is a container", "docker run"),
    ],
)
def test_the_cause_of_a_failed_trial(
    tmp_path: Path, files: tuple[str, ...], sysctls: dict[str, str], what: str, mend: str
) -> None:
    root = tmp_path / "root"
    for name in ("here", *files):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    found = doctor.cause("it broke", proc=machine(tmp_path / "proc", **sysctls), root=root, as_root=False)
    assert found.what.startswith(what)
    assert "it broke" in found.what
    assert mend in found.mend


def status(proc: Path, **fields: str) -> None:
    text = {"CapEff": "000001ffffffffff", **fields}
    (proc / "self" / "status").write_text("".join(f"{name}:\t{value}\n" for name, value in text.items()))


@pytest.mark.parametrize(
    ("contained", "mend"),
    [(False, "Run scangate as an ordinary user"), (True, "--cap-add SYS_ADMIN --cap-add NET_ADMIN")],
)
def test_the_cause_may_be_a_root_without_capabilities(tmp_path: Path, contained: bool, mend: str) -> None:
    proc = machine(tmp_path / "proc")
    status(proc, CapEff="00000000a80425fb")  # Docker's default
    if contained:
        (tmp_path / ".dockerenv").touch()
    found = doctor.cause("it broke", proc=proc, root=tmp_path, as_root=True)
    assert found.what.startswith("this root lacks CAP_SYS_ADMIN, CAP_NET_ADMIN (")
    assert mend in found.mend
    status(proc)
    assert "this root" not in doctor.cause("it broke", proc=proc, root=tmp_path, as_root=True).what


@pytest.mark.parametrize(("contained", "mend"), [(False, "RestrictNamespaces=no"), (True, "seccomp=unconfined")])
def test_the_cause_may_be_a_filter(tmp_path: Path, contained: bool, mend: str) -> None:
    proc = machine(tmp_path / "proc")
    status(proc, Seccomp="2")
    if contained:
        (tmp_path / ".dockerenv").touch()
    found = doctor.cause("it broke", proc=proc, root=tmp_path, as_root=False)
    assert found.what.startswith("a system-call filter refuses namespaces")
    assert mend in found.mend


def test_the_cause_may_be_a_masked_proc(tmp_path: Path) -> None:
    said = "unshare: mount /proc failed: Operation not permitted"
    found = doctor.cause(said, proc=machine(tmp_path / "proc"), root=tmp_path, as_root=False)
    assert found.what.startswith("parts of /proc are masked")
    assert "systempaths=unconfined" in found.mend


@pytest.mark.parametrize(
    ("mounts", "its_root", "expected"),
    [("mnt:[1]", "outside", True), ("mnt:[2]", "outside", False), ("mnt:[1]", ".", False)],
)
def test_the_cause_may_be_a_chroot(tmp_path: Path, mounts: str, its_root: str, expected: bool) -> None:
    """The parent is another user's, its parent has the mounts of this process and another root."""
    proc = machine(tmp_path / "proc")
    (tmp_path / "outside").mkdir()
    status(proc, PPid="8")
    for process, parent in (("8", "7"), ("7", "0")):
        (proc / process).mkdir()
        (proc / process / "status").write_text(f"PPid:\t{parent}\n")
    for process, link in (("self", "mnt:[1]"), ("7", mounts)):
        (proc / process / "ns").mkdir()
        (proc / process / "ns" / "mnt").symlink_to(link)
    (proc / "7" / "root").symlink_to(tmp_path / its_root)
    found = doctor.cause("it broke", proc=proc, root=tmp_path, as_root=False)
    assert found.what.startswith("in a chroot") is expected


def test_the_cause_may_be_a_container_by_its_control_group(tmp_path: Path) -> None:
    proc = machine(tmp_path / "proc")
    (proc / "1" / "cgroup").write_text("0::/docker/0123\n")
    assert "docker run" in doctor.cause("", proc=proc, root=tmp_path, as_root=False).mend
    (proc / "1" / "cgroup").unlink()
    assert "docker run" not in doctor.cause("", proc=proc, root=tmp_path, as_root=False).mend


@pytest.mark.parametrize(
    ("user", "uid_map", "expected"),
    [
        (0, "         0          0 4294967295\n", True),
        (0, "0 100000 65536\n", True),
        (0, "0 1000 1\n1 100000 65536\n", True),
        (0, "0 1000 1\n", False),
        (0, "0 0 1\n", True),  # root outside, too: as that it must never run anything
        (1000, "0 0 4294967295\n", False),
    ],
)
def test_who_gives_up_being_root(tmp_path: Path, user: int, uid_map: str, expected: bool) -> None:
    file = tmp_path / "uid_map"
    file.write_text(uid_map)
    assert launch.becomes_nobody(file, user) is expected


def test_old_programs(tmp_path: Path) -> None:
    tools = {}
    for name, text in (
        ("bwrap", "bubblewrap 0.6.1"),
        ("strace", "strace -- version 4.26"),
    ):
        tool = tmp_path / name
        tool.write_text(f"#!/bin/sh\necho '{text}'\n")
        tool.chmod(0o755)
        tools[name] = str(tool)
    assert [problem.what for problem in doctor._versions(tools)] == [
        "bwrap is too old (0.6, it needs 0.8)", "strace is too old (4.26, it needs 5.9)",
    ]  # fmt: skip


@pytest.mark.tool("bwrap", "strace", "ip", "unshare", "setpriv")
def test_a_real_trial() -> None:
    assert doctor.problems() == ()


@pytest.mark.tool("bwrap", "strace", "ip", "unshare", "setpriv")
def test_a_trial_that_fails_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bwrap that fails, as where the kernel forbids its namespaces."""
    bwrap = tmp_path / "bwrap"
    bwrap.write_text('#!/bin/sh\ntest "$1" = --version && echo bubblewrap 99.0\n')
    bwrap.chmod(0o755)
    monkeypatch.setattr(launch, "PATH", f"{tmp_path}:{launch.PATH}")
    with pytest.raises(SandboxUnavailable) as raised:
        jobs.run(jobs.plan(jobs.program("/usr/bin/true")))
    assert "a trial of it failed" in raised.value.message
    assert raised.value.hint == doctor.problems()[0].mend


def test_what_is_missing_is_told_before_anything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "PATH", str(tmp_path))
    problems = doctor.missing()
    assert len(problems) > 1
    with pytest.raises(SandboxUnavailable) as raised:
        BubblewrapSandbox().run(Plan(tree=tmp_path, phases=()), jobs.Event())
    others = f"(and {len(problems) - 1} more: see `scangate doctor`)"
    assert raised.value.message == f"The sandbox cannot be used here: {problems[0].what}. {others}"
    assert raised.value.hint == problems[0].mend
    assert raised.value.problems == problems


def test_the_only_problem_has_no_others() -> None:
    only = SandboxUnavailable((Problem("x is missing", "Get x"),))
    assert (only.message, only.hint) == ("The sandbox cannot be used here: x is missing.", "Get x")


@pytest.mark.tool("bwrap", "strace", "ip", "unshare", "setpriv")
def test_orders_that_cannot_be_given(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a program"):
        jobs.run(jobs.plan(jobs.program("A=B", "x")))
    with pytest.raises(ValueError, match="below a folder that the package writes to"):
        jobs.run(jobs.plan(jobs.program("/usr/bin/true")), read_only={"/app/x": tmp_path})
    with pytest.raises(SandboxFailed, match="cannot be bound"):
        jobs.run(jobs.plan(jobs.program("/usr/bin/true")), read_only={"/opt/x": tmp_path / "none"})
