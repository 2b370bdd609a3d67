"""One family of errors: every exception class of the package has the one root, an exit code, and its own advice."""

import importlib
import inspect
import pkgutil

import pytest

import scangate
from scangate.errors import ExitCode, LockfileError, PolicyError, PurlError, ScangateError, ServiceError, UsageError

_NEVER_LEAVE = {
    # Raised through a third party's code (urllib3), caught on the other side of it and made a `Refused` there.
    "scangate.web.wire.ForbiddenAddressError",
    # Says which entry; the reader, which knows the file's path, makes a LockfileError of it.
    "scangate.lockfiles.npm_graph.TooDeepError",
}


def _modules() -> list[str]:
    return sorted(
        module.name
        for module in pkgutil.walk_packages(scangate.__path__, "scangate.")
        if not module.name.endswith("__main__")
    )


def _exceptions() -> dict[str, type[BaseException]]:
    found = {}
    for name in _modules():
        for _, value in inspect.getmembers(importlib.import_module(name), inspect.isclass):
            if issubclass(value, BaseException) and value.__module__.startswith("scangate"):
                found[f"{value.__module__}.{value.__qualname__}"] = value
    return found


def test_every_exception_class_has_the_one_root() -> None:
    exceptions = _exceptions()
    assert len(exceptions) >= 8, "the walk found too few: it does not look where they are"
    # The embedded service is another program behind HTTP: its own errors end in its own answers.
    strangers = {
        name
        for name, value in exceptions.items()
        if not issubclass(value, (ScangateError, KeyboardInterrupt))
        and not name.startswith("scangate.local.")
        and not _is_private(name)
    }
    assert strangers == _NEVER_LEAVE


def _is_private(name: str) -> bool:
    """A class that a module uses for its own control flow never leaves it."""
    return name.rpartition(".")[2].startswith("_")


def test_every_error_ends_in_a_documented_exit_code_that_is_no_pass() -> None:
    for value in _exceptions().values():
        if issubclass(value, ScangateError):
            assert value.exit_code in (ExitCode.USAGE, ExitCode.INCOMPLETE)


def test_exit_codes_are_the_documented_ones() -> None:
    assert {code.name: code.value for code in ExitCode} == {
        "PASS": 0,
        "BLOCKED": 1,
        "USAGE": 2,
        "INCOMPLETE": 3,
        "BUG": 4,
        "INTERRUPTED": 130,
    }


@pytest.mark.parametrize(
    ("line", "column", "shown"),
    [(None, None, "a/b.lock: broken."), (3, None, "a/b.lock:3: broken."), (3, 9, "a/b.lock:3:9: broken.")],
)
def test_a_lockfile_error_says_where(line: int | None, column: int | None, shown: str) -> None:
    error = LockfileError("a/b.lock", "broken.", "Mend it.", line=line, column=column)
    assert (str(error), error.message, error.hint) == (shown, shown, "Mend it.")
    assert (error.path, error.line) == ("a/b.lock", line)


@pytest.mark.parametrize("error", [UsageError, PurlError, PolicyError, ServiceError])
def test_message_and_hint_are_kept(error: type[ScangateError]) -> None:
    assert (error("What.").message, error("What.").hint) == ("What.", "")
    assert (error("What.", "Do.").message, error("What.", "Do.").hint, str(error("What.", "Do."))) == (
        "What.",
        "Do.",
        "What.",
    )
