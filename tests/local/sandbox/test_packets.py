"""IP packets as bytes, and the sink's taps and its last look in a network of their own."""

import json
import os
import socket
import struct
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scangate.local.sandbox import packets
from scangate.local.sandbox.packets import Packet
from tests.conftest import ROOT

V4, V6 = socket.inet_aton("203.0.113.1"), socket.inet_pton(socket.AF_INET6, "2001:db8::1")


def ipv4(protocol: int, payload: bytes, options: bytes = b"") -> bytes:
    size = 20 + len(options)
    return struct.pack("!BBHHHBBH4s4s", 0x40 | size // 4, 0, size + len(payload), 0, 0, 64, protocol, 0, V4, V4) + (
        options + payload
    )


def ipv6(header: int, payload: bytes) -> bytes:
    return struct.pack("!IHBB16s16s", 0x60000000, len(payload), header, 64, V6, V6) + payload


def udp(port: int, data: bytes) -> bytes:
    return struct.pack("!4H", 9, port, 8 + len(data), 0) + data


TCP = struct.pack("!HHIIBBHHH", 9, 443, 0, 0, 0x50, 2, 0, 0, 0)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (ipv4(17, udp(53, b"x")), Packet("203.0.113.1", 53, b"x")),
        (ipv4(17, udp(53, b"x"), options=bytes(8)), Packet("203.0.113.1", 53, b"x")),
        (ipv6(136, udp(5000, b"")), Packet("2001:db8::1", 5000, b"")),
        (ipv4(6, TCP), Packet("203.0.113.1", 443, None)),
        (ipv6(6, TCP), Packet("2001:db8::1", 443, None)),
        (ipv6(44, bytes(8) + b"piece"), Packet("2001:db8::1", 0, b"piece")),
        (ipv6(43, bytes([17, 2]) + bytes(22) + udp(53, b"x")), Packet("2001:db8::1", 53, b"x")),
        (ipv6(0, bytes([60, 0]) + bytes(6) + bytes([6, 0]) + bytes(6) + TCP), Packet("2001:db8::1", 443, None)),
        (ipv6(60, bytes([44, 0]) + bytes(6) + bytes(8) + b"piece"), Packet("2001:db8::1", 0, b"piece")),
        (ipv6(43, bytes([6, 0]) + bytes(6) + TCP[:13] + b"\x12" + TCP[14:]), None),
        (ipv6(43, bytes([17, 9]) + bytes(6) + udp(53, b"x")), None),
        (ipv6(43, b"short"), None),
        (ipv6(0, bytes([58, 0]) + bytes(30)), None),
        (ipv4(17, b"short"), None),
        (ipv4(17, b"")[:19], None),
        (ipv6(17, b"")[:39], None),
        (b"", None),
        (b"\x00" * 60, None),
    ],
)
def test_packets(data: bytes, expected: Packet | None) -> None:
    assert packets.parsed(data) == expected


@given(st.binary(max_size=80), st.sampled_from([b"", b"\x45", b"\x4f", b"\x60"]))
def test_any_bytes_can_be_read(data: bytes, start: bytes) -> None:
    found = packets.parsed(start + data)
    assert found is None or 0 <= found.port <= 65535


def sinking(scenario: str) -> object:
    """What tests/local/sandbox/sinking.py finds in a network of its own."""
    prepared = "ip link set lo up && ip route add local 0.0.0.0/0 dev lo && ip route add local ::/0 dev lo"
    command = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", f'{prepared} && exec "$@"', "sh"]
    environ = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE")}
    environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    done = subprocess.run(
        [*command, sys.executable, "-m", "tests.local.sandbox.sinking", scenario],
        cwd=ROOT, env=environ, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.mark.tool("unshare", "ip", "setpriv")
def test_what_is_in_the_kernel_is_read_to_its_end() -> None:
    """A phase's records are closed when its processes are gone; what they sent last is not lost."""
    assert sinking("unserved") == {
        "large": [True, True, True],
        "others": ["GET / HTTP/1.1\r\nHost: reset.example\r\n\r\n", "a datagram", "behind a routing header"],
        "arrived": [
            ["2001:db8::1", 443], ["2001:db8::2", 4444], ["203.0.113.0", 80], ["203.0.113.1", 80],
            ["203.0.113.10", 40000], ["203.0.113.11", 40001], ["203.0.113.2", 80],
        ],
        "names": ["reset.example"],
        "overflow": False,
        "second": 0,
    }  # fmt: skip


@pytest.mark.tool("unshare", "ip", "setpriv")
@pytest.mark.parametrize(
    ("scenario", "sent", "overflow"),
    [
        ("hung_up", ["GET / HTTP/1.1\r\nHost: a.example\r\n\r\nlate words", "late words"], False),
        ("still_sending", ["first, second"], False),
        ("never_ending", ["so far"], True),
    ],
)
def test_what_is_said_late_is_read_or_told(scenario: str, sent: list[str], overflow: bool) -> None:
    assert sinking(scenario) == {"sent": sent, "overflow": overflow}


@pytest.mark.tool("unshare", "ip", "setpriv")
def test_what_the_kernel_has_dropped_is_told_once() -> None:
    assert sinking("full_queue") == {"first": True, "second": False}
