"""Machines that cannot isolate, made from this one: each says which piece is missing, and what mends it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.local.sandbox import nobody

pytestmark = pytest.mark.tool("bwrap", "strace", "ip", "unshare", "setpriv")

AS_ROOT = ["unshare", "--user", "--map-root-user", "--mount"]
"""Root of a namespace: it may mount, and give up capabilities. Whoever runs the tests can be it."""
OWN_ROOT = (
    'mount -t tmpfs tmpfs "$0" && for each in /*; do if [ -L "$each" ]; then cp -P "$each" "$0"; '
    'elif [ -d "$each" ]; then mkdir "$0$each" && mount --rbind "$each" "$0$each"; fi; done; chroot "$0" "$@"; exit $?'
)
ASK = (
    "import json; from scangate.local.sandbox import doctor;"
    "print(json.dumps([[each.what, each.mend] for each in doctor.problems()]))"
)


def told(prefix: list[str], *, as_root: bool = False) -> list[list[str]]:
    user, python = ([], sys.executable) if as_root else nobody.python()
    command = [*user, *prefix, python, "-c", ASK]
    done = subprocess.run(command, cwd="/", env=nobody.ENVIRON, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: list[list[str]] = json.loads(done.stdout)
    return found


def in_a_shell(commands: str) -> list[str]:
    return [*AS_ROOT, "sh", "-c", f'{commands} && exec "$@"', "sh"]


@pytest.mark.parametrize(
    ("prefix", "what", "mend"),
    [
        pytest.param(
            in_a_shell("echo 0 > /proc/sys/user/max_user_namespaces"),
            "user namespaces are switched off (user.max_user_namespaces = 0)",
            "sudo sysctl -w user.max_user_namespaces=10000",
            id="switched-off",
        ),
        pytest.param(
            ["python3", str(Path(__file__).with_name("as_in_docker.py"))],
            "a system-call filter refuses namespaces",
            "",
            id="filter",
        ),
        pytest.param(
            in_a_shell("mount -t tmpfs tmpfs /proc/tty"),
            "parts of /proc are masked, as in a container",
            "--security-opt systempaths=unconfined",
            id="masked",
        ),
    ],
)
def test_what_is_missing_and_what_mends_it(prefix: list[str], what: str, mend: str) -> None:
    ((found, advice),) = told(prefix)
    assert found.startswith(what)
    assert mend in advice


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities to lose")
def test_root_without_its_capabilities() -> None:
    ((found, advice),) = told(["setpriv", "--bounding-set", "-sys_admin,-net_admin"], as_root=True)
    assert found.startswith("this root lacks CAP_SYS_ADMIN, CAP_NET_ADMIN")
    assert "ordinary user" in advice


def test_a_chroot() -> None:
    ((found, advice),) = told([*AS_ROOT, "sh", "-c", OWN_ROOT, "/mnt"])
    assert found.startswith("in a chroot the kernel makes no user namespaces")
    assert "systemd-nspawn" in advice


def test_a_namespace_of_its_own_is_no_obstacle() -> None:
    """The tests above fail for what they take away, not for being namespaces."""
    assert told(AS_ROOT) == []
