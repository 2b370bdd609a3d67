"""What else than the sandbox is missing: tools for fetching, and the optional extra."""

import sys

import pytest

from scangate.local import needs


@pytest.fixture
def without_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """No npm, no pip, and no virtual environment that could have the interpreter's below it."""
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setitem(sys.modules, "pip", None)
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    monkeypatch.setattr(needs.doctor, "problems", lambda: ())


def test_each_tool_is_named_with_what_installs_it(without_tools: None) -> None:
    assert [(each.what, each.mend) for each in needs.problems()] == [
        ("npm packages need the programs node and npm", "sudo apt-get install -y nodejs npm"),
        ("Python packages need pip", "sudo apt-get install -y python3-pip"),
    ]


def test_npm_is_needed_for_npm_packages_alone(without_tools: None) -> None:
    assert [each.what for each in needs.problems(npm=False)] == ["Python packages need pip"]


def test_in_a_virtual_environment_the_interpreters_pip_will_do(
    without_tools: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", "/a/virtual/environment")
    assert needs.problems(npm=False) == ()


def test_the_optional_extra(without_tools: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("starlette", "uvicorn"):
        monkeypatch.setitem(sys.modules, name, None)
    (problem,) = needs.extra()
    assert "starlette and uvicorn" in problem.what
    assert "scangate[local]" in problem.mend
