"""Runs in a network of its own: a sink that nobody serves, what is sent to it, and what `take` makes of that.

No thread of the sink's is started, so that all of it is still in the kernel when `take` is called.
"""

import json
import os
import socket

from scangate.local.sandbox.packets import Tap
from scangate.local.sandbox.sink import Sink


def main() -> None:
    sink = Sink(taps=(Tap(4), Tap(6)))
    large = b"large" + bytes(200_000)
    for number in range(3):
        with socket.create_connection((f"203.0.113.{number}", 80)) as made:
            made.sendall(large)
    reset = socket.create_connection(("2001:db8::1", 443))
    reset.sendall(b"GET / HTTP/1.1\r\nHost: reset.example\r\n\r\n")
    reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    still_open = socket.create_connection(("203.0.113.9", 80))
    still_open.sendall(b"still open")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.connect(("203.0.113.10", 40000))
        os.write(made.fileno(), b"a datagram")
    with socket.socket() as made:
        made.setblocking(False)
        made.connect_ex(("203.0.113.11", 40001))
    first, second = sink.take(), sink.take()
    found = {
        "large": [body == large for _, port, body in first.sent if port == 80 and body.startswith(b"large")],
        "others": sorted(body.decode() for _, _, body in first.sent if not body.startswith(b"large")),
        "arrived": sorted(first.arrived),
        "names": sorted(name for names in first.names.values() for name in names),
        "overflow": first.overflow,
        "second": len(second.sent) + len(second.arrived),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
