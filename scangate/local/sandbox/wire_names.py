"""The host that a client names in its first bytes: TLS's server name, HTTP's Host. Pure; input is the attacker's."""

import re

_TLS_ALERT = b"\x15\x03\x03\x00\x02\x02\x28"  # fatal, handshake_failure
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_REQUEST = re.compile(rb"[A-Z]{3,10} \S{1,8000} HTTP/1\.[01]\r?\n")
_TARGET = re.compile(rb"(?:CONNECT |[A-Z]{3,10} https?://)(?:[^@/\s]*@)?([A-Za-z0-9._-]{1,255})")
_HOST = re.compile(rb"(?i)\r?\nhost:[ \t]*([A-Za-z0-9._-]{1,255})")
_LENGTH = re.compile(rb"(?i)\r?\ncontent-length:[ \t]*(\d{1,18})")
_CHUNKED = re.compile(rb"(?i)\r?\ntransfer-encoding:[^\r\n]*chunked")
_EXPECT = re.compile(rb"(?i)\r?\nexpect:[ \t]*100-continue")
_HEAD_ENDS = re.compile(rb"\r?\n\r?\n")
_HANDSHAKE, _CLIENT_HELLO, _SERVER_NAME = 22, 1, 0


def names(data: bytes) -> tuple[str, ...]:
    """The hosts that the bytes name, in lower case."""
    found = server_name(data)
    if found is not None:
        return (found,)
    if not _REQUEST.match(data):
        return ()
    head = _head(data)
    hosts = [match[1] for pattern in (_TARGET, _HOST) if (match := pattern.search(head))]
    return tuple(dict.fromkeys(host.decode("ascii").lower().rstrip(".") for host in hosts))


def answer_to(data: bytes | bytearray) -> bytes | None:
    """What the sink answers once it has a whole HTTP request or TLS hello; None: wait for more."""
    if data[:1] == bytes([_HANDSHAKE]) and len(data) >= 5:
        return _TLS_ALERT if len(data) >= 5 + int.from_bytes(data[3:5]) else None
    if not _REQUEST.match(data) or (end := _HEAD_ENDS.search(data)) is None:
        return None
    head = _head(data)
    if _CHUNKED.search(head):
        return _NOT_FOUND if data.endswith(b"0\r\n\r\n") else None
    length = _LENGTH.search(head)
    return _NOT_FOUND if length is None or len(data) - end.end() >= int(length[1]) else None


def wants_continue(data: bytes | bytearray) -> bool:
    """Whether the client waits for `100 Continue` before it sends the body."""
    return bool(_REQUEST.match(data) and _HEAD_ENDS.search(data) and _EXPECT.search(_head(data)))


def _head(data: bytes | bytearray) -> bytes:
    end = _HEAD_ENDS.search(data)
    return bytes(data[: end.start()] if end else data[:65536])


def server_name(data: bytes) -> str | None:
    """TLS SNI (RFC 6066) of a ClientHello in the first record; None if there is none."""
    hello = data[5 : 5 + int.from_bytes(data[3:5])]
    if len(data) < 9 or data[0] != _HANDSHAKE or hello[0:1] != bytes([_CLIENT_HELLO]):
        return None
    at = 4 + 2 + 32
    at += 1 + int.from_bytes(hello[at : at + 1])  # session
    at += 2 + int.from_bytes(hello[at : at + 2])  # ciphers
    at += 1 + int.from_bytes(hello[at : at + 1])  # compression
    at += 2
    while at + 4 <= len(hello):
        kind, size = int.from_bytes(hello[at : at + 2]), int.from_bytes(hello[at + 2 : at + 4])
        if kind == _SERVER_NAME:
            length = int.from_bytes(hello[at + 7 : at + 9])
            name = hello[at + 9 : at + 9 + length]
            return name.decode("ascii", "replace").lower().rstrip(".") if name else None
        at += 4 + size
    return None
