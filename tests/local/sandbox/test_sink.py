"""Names in first bytes, DNS messages, and the sink itself on loopback."""

import socket
import ssl
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scangate.local.sandbox import dns, sink, wire_names
from scangate.local.sandbox.addresses import plain_address


def client_hello(name: str | None) -> bytes:
    """Made by the TLS library itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


def query(name: str, kind: int = 1) -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", kind, 1)


def test_tls_names() -> None:
    assert wire_names.names(client_hello("C2.Example")) == ("c2.example",)
    assert wire_names.names(client_hello(None)) == ()


def test_tls_is_answered_once_it_is_whole() -> None:
    hello = client_hello("c2.example")
    assert wire_names.answer_to(hello[:-1]) is None
    assert wire_names.answer_to(hello) == b"\x15\x03\x03\x00\x02\x02\x28"


@pytest.mark.parametrize(
    ("request_", "names"),
    [
        (b"GET / HTTP/1.1\r\nHost: A.example:8080\r\n\r\n", ("a.example",)),
        (b"POST http://user@b.example/x HTTP/1.0\r\nhost:b.example\r\n\r\n", ("b.example",)),
        (b"CONNECT c.example:443 HTTP/1.1\r\n\r\n", ("c.example",)),
        (b"GET / HTTP/1.1\r\n\r\nHost: body.example\r\n\r\n", ()),
        (b"SSH-2.0-x\r\nHost: d.example\r\n\r\n", ()),
        (b"", ()),
    ],
)
def test_http_names(request_: bytes, names: tuple[str, ...]) -> None:
    assert wire_names.names(request_) == names


def test_http_is_answered_once_it_is_whole() -> None:
    head = b"PUT / HTTP/1.1\r\nHost: a.example\r\n"
    assert wire_names.answer_to(head) is None
    assert wire_names.answer_to(head + b"Content-Length: 3\r\n\r\nab") is None
    assert wire_names.answer_to(head + b"Content-Length: 3\r\n\r\nabc") is not None
    assert wire_names.answer_to(head + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n") is None
    assert wire_names.answer_to(head + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n") is not None
    assert wire_names.wants_continue(head + b"Expect: 100-continue\r\n\r\n")


@given(st.binary(max_size=200))
def test_any_bytes_can_be_read(data: bytes) -> None:
    for start in (b"", b"\x16\x03\x01\0\x40\x01", b"GET / HTTP/1.1\r\n", struct.pack("!6H", 7, 0, 1, 0, 0, 0)):
        wire_names.names(start + data)
        wire_names.answer_to(start + data)
        asked, response = dns.answer(start + data, dns.Names())
        assert (asked is None) == (response is None)


def test_each_name_has_an_address_of_its_own() -> None:
    names = dns.Names()
    made = {names.address(f"host{number}.example") for number in range(3000)}
    assert len(made) == 3000
    assert dns.ADDRESS not in made
    assert all(address is not None and address.startswith(("198.18.", "198.19.")) for address in made)
    first = names.address("host1.example")
    assert first == dns.Names().address("host1.example")
    assert first is not None
    assert names.name(first) == "host1.example"
    assert names.name("192.0.2.1") is None


def test_dns_answers() -> None:
    names = dns.Names()
    asked, response = dns.answer(query("A.Example"), names)
    assert asked is not None
    assert response is not None
    assert (asked.name, asked.record_type) == ("a.example", "A")
    assert socket.inet_ntoa(response[-4:]) == names.address("a.example")
    asked, response = dns.answer(query("a.example", 28), names)
    assert asked is not None
    assert response is not None
    assert (asked.record_type, response[6:8]) == ("AAAA", b"\0\0")
    strange = dns.question(query("a b\n.example", 4242))
    assert strange is not None
    assert (strange.name, strange.record_type) == ("a\\032b\\010.example", "TYPE4242")


@pytest.mark.parametrize(
    "message",
    [b"", b"x" * 12, query("a.example")[:-3], struct.pack("!6H", 7, 0x8100, 1, 0, 0, 0) + query("a")[12:],
     query("a.example")[:12] + b"\xc0\x0c" + b"\0" * 8],
    ids=["empty", "short", "cut off", "an answer", "a pointer"],
)  # fmt: skip
def test_what_is_no_question(message: bytes) -> None:
    assert dns.question(message) is None


def test_plain_addresses() -> None:
    assert plain_address("::ffff:203.0.113.1") == "203.0.113.1"
    assert plain_address("fe80::1%lo") == "fe80::1"


def test_records_tell_when_something_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink, "_MOST_RECORDS", 1)
    monkeypatch.setattr(sink, "_MOST_NAMES", 1)
    question = dns.question(query("a.example"))
    other = dns.question(query("b.example"))
    assert question is not None
    assert other is not None
    for work in (
        lambda records, number: records.name("203.0.113.1", 80, f"{number}.example"),
        lambda records, number: records.body("203.0.113.1", 80, b"x"),
        lambda records, number: records.lookup((question, other)[number]),
        lambda records, number: records.arrival("203.0.113.1", number),
    ):
        records = sink.Records()
        work(records, 0)
        assert not records.overflow
        work(records, 1)
        assert records.overflow


def test_what_the_kernel_counts_as_dropped(tmp_path: Path) -> None:
    """The lines as the kernel writes them; what is not there is no zero."""
    names, values = "TcpExt: SyncookiesSent ListenOverflows ListenDrops", "TcpExt: 1 2 3"
    netstat, dev = tmp_path / "netstat", tmp_path / "dev"
    netstat.write_text(f"{names}\n{values}\nIpExt: ListenDrops\nIpExt: 9\n")
    dev.write_text("Inter-| x\n face |bytes packets errs drop\n  eth0: 9 9 9 9\n    lo: 11 12 13 14 15\n")
    assert sink.kernel_drops(tmp_path) == (3, 14)
    netstat.write_text("IpExt: ListenDrops\nIpExt: 9\n")
    with pytest.raises(ValueError, match="unpack"):
        sink.kernel_drops(tmp_path)
