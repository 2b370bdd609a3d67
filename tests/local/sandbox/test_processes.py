"""The process tree where the order of lines is unusual, or where they cannot be believed."""

import pytest

from scangate.local.sandbox import processes
from scangate.local.sandbox.processes import Seen, Tree
from scangate.local.sandbox.trace import Reader, TraceError

LAUNCH = ("/usr/bin/prlimit", "/usr/bin/env", "prog")
START = (
    '1 execve("/usr/bin/bwrap", ["bwrap"], []) = 0',
    "1 clone(child_stack=NULL, flags=CLONE_NEWNS|SIGCHLD) = 2",
    "2 clone(child_stack=NULL, flags=SIGCHLD) = 2 /* 3 in strace's PID NS */",
    '3 execve("/usr/bin/prlimit", ["/usr/bin/prlimit", "/usr/bin/env", "prog"], []) = 0',
    '3 execve("/usr/bin/env", ["/usr/bin/env", "prog"], []) = 0',
    '3 chdir("/app") = 0',
    '3 execve("/usr/local/bin/prog", ["prog"], []) = -1 ENOENT (No such file or directory)',
    '3 execve("/usr/bin/prog", ["prog"], []) = 0',
)
END = ("3 +++ exited with 0 +++", "1 +++ exited with 0 +++", "2 +++ exited with 0 +++")


def grown(*lines: str, start: tuple[str, ...] = START, end: tuple[str, ...] = END, own: bool = True) -> Tree:
    tree = Tree(launch=LAUNCH, own=own, package=Seen(), others=Seen())
    reader = Reader()
    for line in (*start, *lines, *end):
        if (event := reader.read(line)) is not None:
            tree.add(event)
    tree.close()
    return tree


def paths(tree: Tree) -> dict[str, tuple[bool, bool, bool]]:
    return {item.path: (item.read, item.write, item.delete) for item in tree.package.touched()}


def test_the_planned_program_is_the_first_thing_seen() -> None:
    tree = grown()
    assert (tree.started, tree.complete, tree.code, tree.init) == (True, True, 0, 2)
    assert [ran.argv for ran in tree.package.ran] == [("prog",)]
    assert paths(tree) == {"/usr/bin/prog": (True, False, False)}


def test_what_bwraps_first_process_does_before_it_waits_is_nobodys() -> None:
    """It may be late: then the same package would have one more file in one of two runs."""
    late = '2 openat(3</proc>, "self/fd", O_RDONLY|O_NOCTTY|O_NONBLOCK|O_CLOEXEC|O_DIRECTORY) = 5</proc/2/fd>'
    made = '2 openat(AT_FDCWD</>, "/home/dev/.netrc", O_RDONLY) = 6</home/dev/.netrc>'
    assert paths(grown(late)) == paths(grown())
    assert "/home/dev/.netrc" in paths(grown(late, made))


def test_a_child_may_be_heard_of_before_its_parent_returns() -> None:
    tree = grown(
        '5 openat(AT_FDCWD, "grandchild", O_RDONLY) = -1 ENOENT (No such file or directory)',
        '4 chdir("/tmp") = 0',
        "4 fork() = 4 /* 5 in strace's PID NS */",
        "4 +++ exited with 0 +++",
        "5 +++ exited with 0 +++",
        "3 clone(child_stack=NULL, flags=SIGCHLD) = 3 /* 4 in strace's PID NS */",
    )
    assert tree.complete
    assert "/tmp/grandchild" in paths(tree)


def test_a_process_that_nobody_owns_up_to_is_the_packages() -> None:
    tree = grown('9 openat(AT_FDCWD, "/orphan", O_RDONLY) = 3</orphan>', "9 +++ exited with 0 +++")
    assert "/orphan" in paths(tree)
    assert not grown('9 openat(AT_FDCWD, "/orphan", O_RDONLY) = 3</orphan>').complete


def test_what_the_sandboxs_first_process_does_later_was_put_into_it() -> None:
    line = '2 openat(AT_FDCWD, "/by-init", O_RDONLY) = 3</by-init>'
    assert "/by-init" in paths(grown(line))
    assert "/by-init" not in paths(grown(start=(*START[:3], line, *START[3:])))


def test_a_tools_doing_is_nobodys() -> None:
    ran = '3 execve("/usr/bin/cc", ["cc"], []) = 0'
    opened = '3 openat(AT_FDCWD, "/of-the-tool", O_WRONLY|O_CREAT, 0666) = 3</of-the-tool>'
    tree = grown(ran, opened, own=False)
    assert (tree.started, tree.complete) == (True, True)
    assert (tree.package.ran, paths(tree)) == (set(), {})


def test_a_directory_is_shared_by_threads_alone() -> None:
    shared = "3 clone3({flags=CLONE_VM|CLONE_FS|CLONE_THREAD, exit_signal=0} => {parent_tid=[4]}, 88) = 4"
    own = "3 clone(child_stack=NULL, flags=SIGCHLD) = 4"
    use = '3 creat("x", 0666) = 3</x>'
    for line, expected in ((shared, "/tmp/x"), (own, "/app/x")):
        tree = grown(line, '4 chdir("/tmp") = 0', use, "4 +++ exited with 0 +++")
        assert paths(tree)[expected] == (False, True, False)


def test_a_thread_may_outlive_its_leader() -> None:
    tree = grown(
        "3 clone3({flags=CLONE_VM|CLONE_FS|CLONE_THREAD} => {parent_tid=[4]}, 88) = 4",
        "3 +++ superseded by execve in pid 4 +++",
        '3 openat(AT_FDCWD, "/after", O_RDONLY) = 3</after>',
    )
    assert tree.complete
    assert "/after" in paths(tree)


@pytest.mark.parametrize("shown", ["?", "-1 (errno 18446744073709551595)", "-1 ENOENT (No such file or directory)"])
@pytest.mark.parametrize("known", [True, False])
def test_a_program_that_a_thread_begins_has_begun_whatever_its_end_looks_like(shown: str, known: bool) -> None:
    """strace takes the entry of the new program's next system call for the end of the execve."""
    made = "3 clone3({flags=CLONE_VM|CLONE_FS|CLONE_THREAD} => {parent_tid=[4]}, 88) = 4"
    began = (
        '4 execve("/x", ["curl"], [] <pid changed to 3 ...>',
        "3 +++ superseded by execve in pid 4 +++",
        f"3 <... execve resumed>) = {shown}",
    )
    failed = '3 execve("/y", ["never"], []) = ?'
    tree = grown(*((made, *began) if known else began), failed)
    assert [ran.argv for ran in sorted(tree.package.ran, key=lambda ran: ran.argv)] == [("curl",), ("prog",)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('3 openat(AT_FDCWD</app>, "a", O_WRONLY|O_CREAT, 0666) = -1 EROFS (Read-only file system)', {"/app/a": "w"}),
        ('3 openat2(5</>, "a", {flags=O_RDONLY|O_PATH, resolve=0}, 24) = 3</etc/x>', {"/a": "r", "/etc/x": "r"}),
        ('3 openat(AT_FDCWD</app>, 0x7f00, O_RDONLY) = 3</etc/passwd>', {"/etc/passwd": "r"}),
        ('3 openat(AT_FDCWD</app>, 0x7f00, O_RDONLY) = -1 EFAULT (Bad address)', {}),
        ('3 openat(7, "a", O_RDONLY) = -1 EBADF (Bad file descriptor)', {}),
        ('3 newfstatat(3</etc/x>, "", {st_mode=S_IFREG|0644}, AT_EMPTY_PATH) = 0', {}),
        ('3 statx(AT_FDCWD</app>, "/s", 0, STATX_ALL, 0x7ff) = -1 ENOENT (No such file or directory)', {"/s": "r"}),
        ('3 renameat2(AT_FDCWD</app>, "a", 4</tmp>, "b", RENAME_NOREPLACE) = 0', {"/app/a": "d", "/tmp/b": "w"}),
        ('3 linkat(AT_FDCWD</app>, "a", AT_FDCWD</app>, "b", 0) = 0', {"/app/a": "r", "/app/b": "w"}),
        ('3 symlink("/target", "link") = 0', {"/app/link": "w"}),
        ('3 rmdir("//x/../y/") = 0', {"/y": "d"}),
        ('3 truncate("/t", 0) = 0', {"/t": "w"}),
        ('3 memfd_create("x", 0) = 3</memfd:x>(deleted)', {}),
        ('3 connect(3<socket:[1]>, {sa_family=AF_UNIX, sun_path="/run/x.sock"}, 110) = 0', {"/run/x.sock": "r"}),
        ('3 connect(3<socket:[1]>, {sa_family=AF_UNIX, sun_path=@"abstract"}, 110) = 0', {}),
    ],
)  # fmt: skip
def test_paths(line: str, expected: dict[str, str]) -> None:
    found = {
        path: "".join(sign for sign, holds in zip("rwd", how, strict=True) if holds)
        for path, how in paths(grown(line)).items()
        if path != "/usr/bin/prog"
    }
    assert found == expected


def test_addresses() -> None:
    tree = grown(
        "3 sendmsg(5<socket:[1]>, {msg_name={sa_family=AF_INET6, sin6_port=htons(98), sin6_flowinfo=htonl(0), "
        'inet_pton(AF_INET6, "::ffff:203.0.113.1", &sin6_addr), sin6_scope_id=0}, msg_namelen=28, '
        'msg_iov=[{iov_base="x", iov_len=1}], msg_iovlen=1, msg_controllen=0, msg_flags=0}, 0) = 1',
        '3 bind(5<socket:[1]>, {sa_family=AF_INET, sin_port=htons(0), sin_addr=inet_addr("0.0.0.0")}, 16) = 0',
        "3 bind(5<socket:[1]>, {sa_family=AF_NETLINK, nl_pid=0, nl_groups=00000000}, 12) = 0",
    )
    assert tree.package.reached == {("203.0.113.1", 98), ("0.0.0.0", 0)}


@pytest.mark.parametrize(
    "line",
    [
        "3 clone(child_stack=NULL, flags=SIGCHLD) = 0x5",
        "3 fchdir(4) = 0",
        "3 chdir(0x7f00) = 0",
        "3 openat(AT_FDCWD</app>, 0x7f00, O_RDONLY) = 3",
        '3 openat(AT_FDCWD</app>, "a", O_RDONLY) = 3',
        '3 unlinkat(5, "a", 0) = 0',
        "3 unlink(0x7f00) = 0",
        '3 rename("a", 0x7f00) = 0',
        '3 execve("/x", 0x7f00, []) = 0',
        '3 connect(5<socket:[1]>, {sa_family=AF_INET, sin_port=htons(1), sin_addr=inet_addr("1.2.3")}, 16) = 0',
    ],
)
def test_a_call_that_did_what_cannot_be_told_is_an_error(line: str) -> None:
    with pytest.raises(TraceError):
        grown(line)


def test_too_much_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "MOST_DIFFERENT", 10)
    with pytest.raises(TraceError, match="more than 10 different"):
        grown(*(f'3 unlink("/{number}") = 0' for number in range(11)))
    monkeypatch.setattr(processes, "_MOST_WAITING", 10)
    with pytest.raises(TraceError, match="without a parent"):
        grown(*('9 unlink("/x") = 0' for _ in range(11)))
