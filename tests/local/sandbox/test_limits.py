"""A package that wants too much, takes too long, or fails: it is held, and it is told which of these it was."""

import pytest

from scangate.local.sandbox.base import Limits, SandboxFailed
from tests.local.sandbox import jobs

pytestmark = pytest.mark.tool("bwrap", "strace", "ip", "unshare", "setpriv")
MEGABYTE = 1024**2
SMALL = Limits(
    memory=160 * MEGABYTE, disk=24 * MEGABYTE, file_size=8 * MEGABYTE, processes=40, open_files=64, output=1000
)


def test_each_process_is_held() -> None:
    """Attempts that fail inside, all in one sandbox: the package goes on and ends by itself."""
    trace = jobs.run_python(
        r"""
import errno, os, time
def fails(attempt, *expected):
    try:
        attempt()
    except expected as error:
        return error
    raise SystemExit(f"{attempt.__name__} succeeded")
def forks():
    for _ in range(1000):
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
def memory():
    return b"x" * (400 << 20)
def large_file():
    with open("/tmp/large", "wb") as file:
        for _ in range(9):
            file.write(bytes(1 << 20)); file.flush()
def full_disk():
    for number in range(9):
        with open(f"/app/file{number}", "wb") as file:
            file.write(bytes(6 << 20))
def many_files():
    kept = [open("/dev/null") for _ in range(100)]
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
fails(memory, MemoryError)
assert fails(large_file, OSError).errno == errno.EFBIG
assert fails(full_disk, OSError).errno == errno.ENOSPC
assert fails(many_files, OSError).errno == errno.EMFILE
fails(forks, BlockingIOError)
print("x" * 5000 + "end")
""",
        limits=SMALL,
    )
    assert trace.status == "completed", (trace.stdout, trace.stderr)
    assert len(trace.stdout) == 1000
    assert trace.stdout.endswith(b"xend\n")


@pytest.mark.parametrize(
    "source",
    [
        # many processes, each below its own cap
        """
import os, time
for _ in range(8):
    if os.fork() == 0:
        kept = b"x" * (60 << 20)
        time.sleep(60)
time.sleep(60)
""",
        # memory that is in no process
        """
import os, time
kept = []
for _ in range(50):
    kept.append(os.memfd_create("x"))
    os.write(kept[-1], bytes(7 << 20))
    time.sleep(0.02)
time.sleep(60)
""",
    ],
    ids=["processes", "memfd"],
)
def test_memory_of_all_together(source: str) -> None:
    assert jobs.run_python(source, limits=SMALL).status == "error_other"


def test_time_is_bounded_and_what_was_done_is_kept() -> None:
    trace = jobs.run_python(
        "import os, signal, time\nos.fork()\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "open('/tmp/done', 'w').close()\nprint('so far', flush=True)\nwhile True: time.sleep(1)",
        seconds=1.5,
    )
    assert trace.status == "error_timeout"
    assert "/tmp/done" in {touched.path for touched in trace.touched}
    assert b"so far" in trace.stdout


@pytest.mark.parametrize(
    "argv", [("/usr/bin/false",), ("no-such-program",), ("/usr/bin/env", "sh", "-c", "kill -9 $$")]
)
def test_a_program_that_fails(argv: tuple[str, ...]) -> None:
    (trace,) = jobs.run(jobs.plan(jobs.program(*argv), jobs.program("/usr/bin/true")))
    assert trace.status == "error_analysis"
    assert ("/usr/bin/true",) not in {ran.argv for ran in trace.ran}


def test_a_directory_that_an_earlier_phase_removed() -> None:
    gone = jobs.Program(argv=("/usr/bin/true",), cwd="/app/none", environ=jobs.ENVIRON)
    (trace,) = jobs.run(jobs.plan(gone))
    assert (trace.status, trace.ran) == ("error_analysis", ())


def test_a_flooded_trace_is_no_analysis() -> None:
    with pytest.raises(SandboxFailed, match="larger than 200000 bytes"):
        jobs.run_python(
            "import os\nwhile True: os.path.exists('/flood')", limits=Limits(trace=200_000, memory=256 * MEGABYTE)
        )


def test_a_process_that_the_tracer_cannot_see_into_is_no_analysis() -> None:
    """An executable without the right to read it: the kernel keeps its process's descriptors even from the tracer."""
    with pytest.raises(SandboxFailed, match="unknown path"):
        jobs.run_python(
            "import os, shutil\nshutil.copy('/usr/bin/cat', 'cat')\nos.chmod('cat', 0o111)\n"
            "os.chdir(os.environ['HOME'])\nos.symlink('.ssh/id_rsa', 'x')\nos.execv('/app/cat', ['cat', 'x'])"
        )


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        # more than is kept of all
        (
            """
import socket
for _ in range(40):
    with socket.create_connection(("203.0.113.1", 80)) as made:
        made.sendall(bytes(250_000))
""",
            bytes(250_000),
        ),
        # more than is kept of one
        (
            """
import socket
with socket.create_connection(("203.0.113.1", 80)) as made:
    try:
        made.sendall(b"first" + bytes(600_000))
    except OSError:
        pass
""",
            b"first",
        ),
        # more at once than are served
        (
            """
import socket
kept = []
for number in range(300):
    kept.append(socket.create_connection(("203.0.113.1", 80), timeout=50))
kept[-1].recv(1)  # until it is refused: a connection that the sink has not come to yet would end in order
kept[0].sendall(b"one of the first")
""",
            b"one of the first",
        ),
        # datagrams faster than they are read
        (
            """
import os, socket
made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
made.connect(("203.0.113.1", 80))
made.send(b"the first one")
for _ in range(4000):
    os.write(made.fileno(), bytes(60_000))
""",
            b"the first one",
        ),
    ],
    ids=["all", "one", "connections", "datagrams"],
)
def test_what_the_sink_cannot_keep_is_told_and_what_it_could_is_kept(source: str, kept: bytes) -> None:
    trace = jobs.run_python(source)
    assert (trace.status, trace.truncated) == ("completed", True), trace.stderr
    assert ("203.0.113.1", 80) in {(item.address, item.port) for item in trace.reached}
    assert any(body.startswith(kept) for body in trace.sent)


def test_a_tree_larger_than_the_disk_is_no_analysis() -> None:
    with pytest.raises(SandboxFailed, match="No space left"):
        jobs.run(jobs.plan(jobs.program("/usr/bin/true")), files={"large": "x" * 100_000}, limits=Limits(disk=8192))
