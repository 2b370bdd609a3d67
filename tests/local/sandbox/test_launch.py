"""What is bound besides the system, and where machines keep it."""

import sys
from pathlib import Path

import pytest

from scangate.local.sandbox import launch, layout


def test_an_interpreter_that_is_not_the_systems_is_bound_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "base_prefix", "/opt/python")
    assert launch.interpreter() == {"/opt/python": Path("/opt/python")}
    for prefix in ("/usr", "/usr/local", "/"):
        monkeypatch.setattr(sys, "base_prefix", prefix)
        assert launch.interpreter() == {}


def test_directories_beside_usr_are_links_or_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "bin").symlink_to("usr/bin")
    monkeypatch.setattr(layout, "SYSTEM_LINKS", tuple(str(tmp_path / name) for name in ("lib", "bin", "lib32")))
    arguments = " ".join(launch._system())
    assert f"--ro-bind {tmp_path}/lib {tmp_path}/lib" in arguments
    assert f"--symlink usr/bin {tmp_path}/bin" in arguments
    assert "lib32" not in arguments
