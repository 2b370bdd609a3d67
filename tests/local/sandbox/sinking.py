"""Runs in a network of its own: a sink, what is sent to it, and what `take` makes of that.

`python -m tests.local.sandbox.sinking SCENARIO` prints what the scenario found, as JSON.
"""

import json
import os
import socket
import sys
import threading
from collections.abc import Callable

from scangate.local.sandbox import sink as module
from scangate.local.sandbox.packets import Tap
from scangate.local.sandbox.sink import Records, Sink


def unserved() -> dict[str, object]:
    """No thread of the sink's is started, so that all of it is still in the kernel when `take` is called."""
    sink = Sink(taps=(Tap(4), Tap(6)))
    large = b"large" + bytes(200_000)
    for number in range(3):
        with socket.create_connection((f"203.0.113.{number}", 80)) as made:
            made.sendall(large)
    reset = socket.create_connection(("2001:db8::1", 443))
    reset.sendall(b"GET / HTTP/1.1\r\nHost: reset.example\r\n\r\n")
    reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    reset.close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.connect(("203.0.113.10", 40000))
        os.write(made.fileno(), b"a datagram")
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as made:
        here = socket.inet_pton(socket.AF_INET6, "2001:db8::2")
        # RFC 8754: of type 4, two more units long, with one segment and none left
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RTHDR, bytes([0, 2, 4, 0, 0, 0, 0, 0]) + here)
        made.sendto(b"behind a routing header", ("2001:db8::2", 4444))
    with socket.socket() as made:
        made.setblocking(False)
        made.connect_ex(("203.0.113.11", 40001))
    first, second = sink.take(), sink.take()
    return {
        "large": [body == large for _, port, body in first.sent if port == 80 and body.startswith(b"large")],
        "others": sorted(body.decode() for _, _, body in first.sent if not body.startswith(b"large")),
        "arrived": sorted(first.arrived),
        "names": sorted(name for names in first.names.values() for name in names),
        "overflow": first.overflow,
        "second": len(second.sent) + len(second.arrived),
    }


def hung_up() -> dict[str, object]:
    """What a client says after the sink has told it that no more will come: after its time, and after an answer."""
    module._SECONDS_OPEN = 0.1
    sink = Sink()
    sink.start()
    for number, greeting in enumerate((b"", b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")):
        with socket.create_connection((f"203.0.113.{number}", 80)) as made:
            made.sendall(greeting)
            while made.recv(4096):
                pass
            made.sendall(b"late ")
            made.sendall(b"words")
    return _told(sink.take())


def still_sending() -> dict[str, object]:
    """The kernel still delivers what a process has left behind, while the records are taken."""
    sink = Sink()
    made = socket.create_connection(("203.0.113.1", 80))
    made.sendall(b"first, ")

    def go_on() -> None:
        made.sendall(b"second")
        made.close()

    timer = threading.Timer(0.5, go_on)
    timer.start()
    return _told(sink.take())


def never_ending() -> dict[str, object]:
    """The other side is still there when the time for draining is over: there may be more to come."""
    module._SECONDS_DRAINING = 0.2
    sink = Sink()
    made = socket.create_connection(("203.0.113.1", 80))
    made.sendall(b"so far")
    return _told(sink.take())


def full_queue() -> dict[str, object]:
    """The kernel's queue of a listener that nobody serves is full: what comes then gets no further."""
    module._BACKLOG = 1
    sink = Sink()
    made = []
    for _ in range(8):
        made.append(socket.socket())
        made[-1].setblocking(False)
        made[-1].connect_ex(("203.0.113.1", 80))
    for each in made:
        each.close()
    return {"first": sink.take().overflow, "second": sink.take().overflow}


def _told(records: Records) -> dict[str, object]:
    return {"sent": sorted(body.decode() for _, _, body in records.sent), "overflow": records.overflow}


SCENARIOS: tuple[Callable[[], dict[str, object]], ...] = (unserved, hung_up, still_sending, never_ending, full_queue)


if __name__ == "__main__":
    print(json.dumps({scenario.__name__: scenario for scenario in SCENARIOS}[sys.argv[1]]()))
