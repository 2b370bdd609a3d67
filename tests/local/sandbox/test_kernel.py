"""Calls that fail say so: the sandbox is not gone on with on half of what it needs."""

from pathlib import Path

import pytest

from scangate.local.sandbox import kernel
from scangate.local.sandbox.packets import Tap


def test_what_cannot_be_mounted_is_an_error_with_its_place(tmp_path: Path) -> None:
    target = str(tmp_path / "none")
    with pytest.raises(OSError) as caught:  # ENOENT for root, EPERM for everybody else
        kernel.mount("tmpfs", target, "tmpfs", kernel.NOSUID)
    assert caught.value.filename == target
    assert caught.value.errno != 0


@pytest.mark.parametrize("version", [4, 6])
def test_a_tap_that_gets_nothing_is_none(version: int) -> None:
    with pytest.raises(OSError):  # ENODEV, or EPERM without the right to have one at all
        Tap(version, interface="nowhere0")
