"""What commands say and show: text from outside is shown and never obeyed, whoever hands it over."""

import io

import pytest

from scangate.cli.context import Context

HOSTILE = "a\x1b[2J\r\nb\u202ec ##[group]d ##vso[task.setvariable]e"


def _context() -> tuple[Context, io.StringIO, io.StringIO]:
    out, err = io.StringIO(), io.StringIO()
    return Context(environ={}, stdout=out, stderr=err), out, err


def _refuses_to_be_obeyed(text: str) -> None:
    assert text.isascii()
    assert text.replace("\n", "").isprintable()
    assert "##[" not in text
    assert "##vso[" not in text
    assert not [line for line in text.splitlines() if line.lstrip().startswith("::")]


def test_what_is_said_stays_in_its_line_and_commands_nobody() -> None:
    context, out, err = _context()
    context.say(f"scangate: {HOSTILE}")
    context.say("  ::error::not a command")
    context.warn(HOSTILE)
    assert out.getvalue() == ""
    assert err.getvalue().count("\n") == 3
    assert err.getvalue().splitlines()[2].startswith("scangate: warning: a\\x1b[2J\\r\\nb\\u202ec ")
    _refuses_to_be_obeyed(err.getvalue())


def test_what_is_shown_is_escaped_line_by_line() -> None:
    context, out, err = _context()
    context.show("first", HOSTILE, "::set-output name=x::y")
    context.show()
    assert err.getvalue() == ""
    assert out.getvalue().count("\n") == 3
    assert out.getvalue().startswith("first\na\\x1b[2J\\r\\nb")
    _refuses_to_be_obeyed(out.getvalue())


def test_a_reader_of_stderr_that_left_is_no_error_and_one_of_stdout_is() -> None:
    context, out, err = _context()
    err.close()
    context.say("nobody hears it")
    out.close()
    with pytest.raises(ValueError, match="closed"):
        context.show("nobody reads it")
