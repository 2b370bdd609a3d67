"""Lines as strace 6.1 writes them (cut from real logs), and lines that it never writes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scangate.local.sandbox import trace
from scangate.local.sandbox.trace import Call, Event, Exited, Reader, Superseded, TraceError


def read(*lines: str) -> list[Event]:
    reader = Reader()
    return [event for line in lines if (event := reader.read(line)) is not None]


def test_a_call_and_its_result() -> None:
    line = r'5     openat(3</tmp/a\74b\76\n>, "x", O_RDWR|O_CREAT|O_CLOEXEC, 0777) = 4</tmp/a\74b\76\n/x>'
    (call,) = read(line)
    assert isinstance(call, Call)
    assert (call.pid, call.name, call.failed) == (5, "openat", False)
    assert [(item.path, item.directory, item.at_cwd) for item in trace.operands(call.arguments)] == [
        ("x", "/tmp/a<b>\n", False)
    ]
    assert trace.descriptor_path(call.result) == "/tmp/a<b>\n/x"


def test_halves_are_joined() -> None:
    events = read(
        "5     vfork( <unfinished ...>",
        r'6     execve("/bin/echo", ["/bin/echo", "hi\n1 openat"], ["A=B"] <unfinished ...>',
        "5     <... vfork resumed>)              = 6",
        "6     <... execve resumed>)             = 0",
        "--- ".join(("6     ", "SIGCHLD {si_signo=SIGCHLD} ---")),
        "6     +++ exited with 3 +++",
        "5     +++ killed by SIGSYS (core dumped) +++",
    )
    assert [(event.pid, getattr(event, "name", None)) for event in events] == [
        (5, "vfork"), (6, "execve"), (6, None), (5, None),
    ]  # fmt: skip
    assert events[2:] == [Exited(6, 3), Exited(5, None)]
    assert isinstance(events[1], Call)
    assert trace.arrays(events[1].arguments) == (("/bin/echo", "hi\n1 openat"), ("A=B",))


def test_a_thread_that_executes_goes_on_as_its_leader() -> None:
    events = read(
        '8     execveat(4</memfd:x>(deleted), "", ["x"], [], AT_EMPTY_PATH <pid changed to 5 ...>',
        "5     +++ superseded by execve in pid 8 +++",
        "5     <... execveat resumed>)           = -1 (errno 18446744073709551595)",
    )
    assert events[0] == Superseded(5, 8)
    assert isinstance(events[1], Call)
    assert (events[1].pid, events[1].name) == (5, "execveat")


@pytest.mark.parametrize(
    "lines",
    [
        ("",),
        ("strace: Process 5 attached",),
        ("5 nonsense",),
        ('5 open("x", O_RDONLY) = ',),
        ('5 open("x, O_RDONLY) = 3',),
        ("5 <... open resumed>) = 3",),
        ("5 read(3 <unfinished ...>", "5 <... open resumed>) = 3"),
        ("5 read(3 <unfinished ...>", "5 write(3 <unfinished ...>"),
        ("5 +++ gone +++",),
        ("5 read(3 <unfinished ...>", "5 <... read resumed> ) and more"),
    ],
)
def test_what_is_no_line_of_strace_is_an_error(lines: tuple[str, ...]) -> None:
    with pytest.raises(TraceError):
        read(*lines)


@pytest.mark.parametrize(
    "arguments",
    ["", "0x7f00, 0x7f01, 0x7f02", '"/bin/x", 0x7f01, []', '"/bin/x", ["a", 0x7f01], []', '"/bin/x", ["a"]'],
)
def test_a_command_that_cannot_be_read_is_an_error(arguments: str) -> None:
    with pytest.raises(TraceError):
        trace.arrays(arguments)


def test_no_arguments_at_all() -> None:
    assert trace.arrays('"/bin/x", NULL, NULL') == ((), ())


@pytest.mark.parametrize("shown", ["3", "-1 ENOENT (No such file or directory)", "3<socket:[7]>", "?"])
def test_descriptors_without_a_path(shown: str) -> None:
    assert trace.descriptor_path(shown) is None


def quoted(raw: bytes, more: bytes = b"") -> str:
    """As strace's string_quote does it: an octal escape has three digits only before a digit."""
    named = {0x0A: "\\n", 0x09: "\\t", 0x0D: "\\r", 0x0B: "\\v", 0x0C: "\\f", 0x22: '\\"', 0x5C: "\\\\"}
    parts = []
    for at, byte in enumerate(raw):
        if byte in named:
            parts.append(named[byte])
        elif 0x20 <= byte < 0x7F and byte not in more:
            parts.append(chr(byte))
        else:
            digit_follows = raw[at + 1 : at + 2].isdigit()
            parts.append(f"\\{byte:03o}" if digit_follows else f"\\{byte:o}")
    return "".join(parts)


NAMES = st.one_of(
    st.binary(min_size=1, max_size=40),
    st.text(alphabet=')(=<>"\\ ,[]+-.0123456789\n{}/x', min_size=1, max_size=40).map(str.encode),
)


@given(NAMES, NAMES, NAMES)
def test_every_text_has_one_reading(folder: bytes, name: bytes, argument: bytes) -> None:
    (opened, executed) = read(
        f'7 openat(5</{quoted(folder, b"<>")}>, "{quoted(name)}", O_RDONLY) = 3</{quoted(name, b"<>")}>',
        f'7 execve("{quoted(name)}", ["{quoted(argument)}", "{quoted(name)}"...], ["A={quoted(argument)}"]) = 0',
    )
    assert isinstance(opened, Call)
    assert isinstance(executed, Call)
    (operand,) = trace.operands(opened.arguments)

    def text(raw: bytes) -> str:
        return raw.decode("utf-8", "surrogateescape")

    assert (operand.path, operand.directory) == (text(name), text(b"/" + folder))
    assert trace.descriptor_path(opened.result) == text(b"/" + name)
    assert trace.arrays(executed.arguments) == ((text(argument), text(name) + "..."), (text(b"A=" + argument),))
