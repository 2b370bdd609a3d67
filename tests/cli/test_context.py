"""What commands say and show: text from outside is shown and never obeyed, whoever hands it over."""

import fcntl
import io
import pty
import struct
import termios

import pytest

from scangate.cli.context import Context
from scangate.cli.main import run

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


@pytest.mark.parametrize(
    ("said", "width"),
    [("0", 80), ("", 80), ("-3", 80), ("wide", 80), ("1", 40), ("100", 100), ("150", 120), ("9" * 5000, 120)],
)
def test_the_width_is_one_in_which_a_sentence_can_be_read(said: str, width: int) -> None:
    assert Context(environ={"COLUMNS": said}, stdout=io.StringIO(), stderr=io.StringIO()).width() == width


def test_help_without_columns_is_no_word_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "0")
    assert run(["check", "--help"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) > 60


def test_a_terminal_is_asked_for_its_width() -> None:
    main, other = pty.openpty()
    with open(main, "rb"), open(other, "w", encoding="utf-8") as terminal:
        for columns, width in ((0, 80), (20, 40), (90, 90), (400, 120)):
            fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            assert Context(environ={}, stdout=terminal).width() == width
