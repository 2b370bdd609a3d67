"""action/sandbox.sh: what `local: true` does to an Ubuntu, on stand-ins for apt, sudo, sysctl and AppArmor."""

import os
import subprocess
from pathlib import Path

import pytest

from scangate.local.sandbox import doctor
from tests.conftest import ROOT

TOOLS = ("bwrap", "strace", "ip", "unshare", "setpriv", "node", "npm")


class Ubuntu:
    """Stand-ins that note their calls; what `doctor` says depends on what is there.

    The file `restricted` is AppArmor's switch; with PROFILES a profile lifts it, with LOCKED nothing does.
    """

    def __init__(self, folder: Path) -> None:
        self.bin, self.log, self.etc = folder / "bin", folder / "log", folder / "profile"
        self.restricted = folder / "restricted"
        self.bin.mkdir()
        self.log.touch()
        for name in ("bash", "id", "dirname", "uname", "cat", "od", "tr", "env", "touch", "tee", "rm"):
            real = next(path for place in ("/usr/bin", "/bin") if (path := Path(place, name)).exists())
            (self.bin / name).symlink_to(real)
        self.program("id", "echo 1000")
        self.program("sudo", 'echo "sudo $*" >> $LOG; if [ "$1" = tee ]; then exec cat > $ETC; fi; exec "$@"')
        self.program(
            "apparmor_parser", 'echo "apparmor_parser $*" >> $LOG; [ -z "${PROFILES:-}" ] || rm -f $RESTRICTED'
        )
        self.program(
            "sysctl",
            """if [ "$1" = -n ]; then [ -e $RESTRICTED ] && echo 1 || echo 0
            elif [ -z "${LOCKED:-}" ]; then rm -f $RESTRICTED; fi""",
        )
        self.program(
            "apt-get", f'[ "$1" = update ] || for t in {" ".join(TOOLS)}; do touch $BIN/$t; chmod +x $BIN/$t; done'
        )
        self.program("chmod", 'exec /bin/chmod "$@"')
        # In the place of the Python that scangate is installed in: -I -m scangate doctor.
        self.program(
            "python",
            'echo "$*" >> $LOG; [ -e $BIN/bwrap ] && [ ! -e $RESTRICTED ] || { echo "needed: x" >&2; exit 2; }',
        )

    def program(self, name: str, body: str) -> None:
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)

    def run(self, tmp_path: Path, **environ: str) -> "subprocess.CompletedProcess[str]":
        own = {
            **{"PATH": str(self.bin), "BIN": str(self.bin), "LOG": str(self.log), "ETC": str(self.etc)},
            **{"RESTRICTED": str(self.restricted), "RUNNER_TEMP": str(tmp_path)},
            "SCANGATE_PYTHON": str(self.bin / "python"),
        }
        # The script adds /usr/sbin and /sbin: what lies there is this machine's, and nothing of it is called.
        command = [str(self.bin / "bash"), str(ROOT / "action" / "sandbox.sh")]
        return subprocess.run(command, env={**own, **environ}, capture_output=True, text=True, check=False)


@pytest.fixture
def ubuntu(tmp_path: Path) -> Ubuntu:
    return Ubuntu(tmp_path)


def test_where_all_is_there_nothing_is_touched(ubuntu: Ubuntu, tmp_path: Path) -> None:
    ubuntu.program("bwrap", "true")
    assert ubuntu.run(tmp_path).returncode == 0
    assert ubuntu.log.read_text() == "-I -m scangate doctor\n"


def test_missing_programs_are_installed_by_apt(ubuntu: Ubuntu, tmp_path: Path) -> None:
    done = ubuntu.run(tmp_path)
    assert done.returncode == 0, done.stderr
    calls = ubuntu.log.read_text()
    assert "sudo apt-get update -q\n" in calls
    (install,) = [line for line in calls.splitlines() if " install " in line]
    assert {"bubblewrap", "strace", "nodejs", "npm"} <= set(install.split())
    assert not ubuntu.etc.exists()


def test_apparmor_is_told_to_allow_the_two_programs_as_doctor_advises(
    ubuntu: Ubuntu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ubuntu.restricted.touch()
    done = ubuntu.run(tmp_path, PROFILES="1")
    assert done.returncode == 0, done.stderr
    assert "apparmor_parser -r /etc/apparmor.d/scangate\n" in ubuntu.log.read_text()
    assert "sysctl" not in ubuntu.log.read_text()
    # The same profile as the command that `scangate doctor` prints on such a machine.
    switch = tmp_path / "proc" / "sys" / "kernel" / "apparmor_restrict_unprivileged_userns"
    switch.parent.mkdir(parents=True)
    switch.write_text("1\n")
    tools = {name: str(ubuntu.bin / name) for name in ("bwrap", "unshare")}
    monkeypatch.setattr(doctor, "tools", lambda: tools)
    advice = doctor.cause("refused", proc=tmp_path / "proc", root=tmp_path, as_root=False).mend
    by_script = ubuntu.etc.read_text()
    environ = {**os.environ, "PATH": str(ubuntu.bin), "ETC": str(ubuntu.etc), "LOG": str(ubuntu.log), "PROFILES": ""}
    subprocess.run(["/bin/bash", "-c", advice], env=environ, check=True)
    assert by_script.split() == ubuntu.etc.read_text().split()
    assert f"{ubuntu.bin}/bwrap flags=(unconfined)" in by_script


def test_where_the_profile_does_not_do_the_restriction_is_switched_off(ubuntu: Ubuntu, tmp_path: Path) -> None:
    ubuntu.restricted.touch()
    done = ubuntu.run(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "sudo sysctl -q -w kernel.apparmor_restrict_unprivileged_userns=0\n" in ubuntu.log.read_text()


def test_what_cannot_be_mended_is_exit_2_and_says_what_is_missing(ubuntu: Ubuntu, tmp_path: Path) -> None:
    ubuntu.restricted.touch()
    done = ubuntu.run(tmp_path, LOCKED="1")
    assert done.returncode == 2
    assert "needed: x" in done.stderr
    assert "::error title=scangate::Input local: this runner lacks something" in done.stderr


def test_another_system_is_exit_2(ubuntu: Ubuntu, tmp_path: Path) -> None:
    ubuntu.program("uname", "echo Darwin")
    done = ubuntu.run(tmp_path)
    assert done.returncode == 2
    assert "needs Linux" in done.stderr
