"""The reproduced parsers do what the runner's own tests say of them (actions/runner, ActionCommandL0.cs)."""

import pytest

from tests.output.runner_commands import Command, annotations, commands, parse


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("::error::msg", Command("error", {}, "msg")),
        ("   \t::error::msg", Command("error", {}, "msg")),
        ("\u3000::error::msg", Command("error", {}, "msg")),
        ("::ERROR k=v::msg", Command("ERROR", {"k": "v"}, "msg")),
        ("::error k1=v1,k2=v2::msg", Command("error", {"k1": "v1", "k2": "v2"}, "msg")),
        ("::error k1=%3B=%0D=%0A=%5D::%3B-%0D-%0A-%5D", Command("error", {"k1": "%3B=\r=\n=%5D"}, "%3B-\r-\n-%5D")),
        ("::error k1=%253B%2C%3A::%250A", Command("error", {"k1": "%3B,:"}, "%0A")),
        ("::error k1=,k2=v2::", Command("error", {"k2": "v2"}, "")),
        ("::error k1=v1::a::b", Command("error", {"k1": "v1"}, "a::b")),
        ("x ::error::msg", None),
        ("::error:msg", None),
        ("::unknown::msg", None),
        (":: error::msg", None),
        ("##[error]msg", Command("error", {}, "msg")),
        ("anything ##[error k1=v1;k2=a%3Bb]msg", Command("error", {"k1": "v1", "k2": "a;b"}, "msg")),
        ("##[unknown]msg ##[error]x", None),
        ("##[error msg", None),
        ("::unknown::##[group]x", Command("group", {}, "x")),
        ("", None),
    ],
)
def test_a_line(line: str, expected: Command | None) -> None:
    assert parse(line) == expected


def test_every_kind_of_line_end_starts_a_line() -> None:
    assert [each.data for each in commands("a\r::error::1\n::error::2\r\n::error::3\x0b::error::4")] == [
        "1",
        "2",
        "3\x0b::error::4",
    ]


def test_stopped_commands_wait_for_their_token() -> None:
    log = "::stop-commands::t0k\n::error::no\n##[error]no\n::T0K::\n::error::yes"
    assert [each.data for each in commands(log) if each.name == "error"] == ["yes"]


def test_the_runner_keeps_ten_of_a_type_and_cuts_messages() -> None:
    log = "\n".join(["::error::" + "x" * 5000] * 12 + ["::warning::w"])
    kept = annotations(log)
    assert [each.name for each in kept] == ["error"] * 10 + ["warning"]
    assert len(kept[0].data) == 4096
