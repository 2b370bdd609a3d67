"""One family of errors: every exception class of the package has the one root, an exit code, and its own advice."""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import scangate
from scangate.errors import ExitCode, LockfileError, PolicyError, PurlError, ScangateError, ServiceError, UsageError

_NEVER_LEAVE = {
    # Says what is wrong with a file; who asked for it knows which of the errors that is.
    "scangate.files.Unreadable",
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


_WHOLE_SENTENCES = ("message", "why", "what", "problem")
"""Names of what is a sentence with its period already: another error's message, the reason for a base."""


def _messages() -> Iterator[tuple[str, ast.expr]]:
    """The message of each error that is made, with its place; a LockfileError's first argument is the path."""
    root = Path(scangate.__path__[0])
    errors = {name.rpartition(".")[2] for name, value in _exceptions().items() if issubclass(value, ScangateError)}
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=args) if name in errors and args:
                    message = args[1] if name == "LockfileError" and len(args) > 1 else args[0]
                    yield f"{path.relative_to(root)}:{message.lineno}", message


def _ends_with_a_period(message: ast.expr) -> bool:
    match message:
        case ast.Constant(value=str(text)):
            return text.endswith(".")
        case ast.JoinedStr(values=[*_, last]):
            return _ends_with_a_period(last)
        case ast.FormattedValue(value=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name in _WHOLE_SENTENCES
        case ast.FormattedValue():
            return False
        case ast.BinOp(right=right):
            return _ends_with_a_period(right)
        case ast.IfExp(body=body, orelse=orelse):
            return _ends_with_a_period(body) and _ends_with_a_period(orelse)
        case _:
            return True  # made elsewhere


def test_every_message_ends_with_a_period() -> None:
    messages = dict(_messages())
    assert len(messages) > 150, "the walk found too few: it does not look where they are"
    assert [place for place, message in messages.items() if not _ends_with_a_period(message)] == []


@pytest.mark.parametrize(
    ("source", "ends"),
    [
        ("'Not so.'", True),
        ("'not so'", False),
        ("f'{path}: not so'", False),
        ("f'{path}: {exc.strerror}'", False),
        ("f'{path}: {exc.strerror or exc}'", False),
        ("f'{path}: {exc.message}'", True),
        ("'a' + 'b.'", True),
        ("'a.' if path else 'b'", False),
        ("problem", True),
    ],
)
def test_a_period_is_seen_where_there_is_one(source: str, ends: bool) -> None:
    assert _ends_with_a_period(ast.parse(source, mode="eval").body) is ends
