"""URLs from outside: hosts, credentials, and who could listen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scangate.urls import host_of, is_plain, without_credentials


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Registry.Example/x", "registry.example"),
        ("https://user:pass@registry.example:8443/x", "registry.example:8443"),
        ("https://registry.example./x", "registry.example"),
        ("git+ssh://git@git.example/x.git", "git.example"),
        ("//registry.example/x", "registry.example"),
        ("https://[2001:db8::1]:80/", "2001:db8::1:80"),
        ("file:///etc/passwd", None),
        ("./relative", None),
        ("", None),
        ("https://", None),
        ("https://[broken", None),
        ("https://registry.example:port/", None),
        ("https://registry.example:99999/", None),
        ("https://trusted.example\\@evil.example/", None),
        ("https://trusted.example\t.evil.example/", None),
        ("https://trusted.example\x00.evil.example/", None),
        ("https://trusted.example@evil.example/", "evil.example"),
    ],
)
def test_host(url: str, host: str | None) -> None:
    assert host_of(url) == host


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@r.example/a/-/a-1.0.0.tgz", "https://r.example/a/-/a-1.0.0.tgz"),
        ("https://secret@r.example", "https://r.example"),
        ("https://r.example/a?token=secret&x=1", "https://r.example/a"),
        ("https://r.example/a?token=secret#sha256=abc", "https://r.example/a#sha256=abc"),
        ("git+https://u:secret@git.example/a@b.git@v1#0123abc", "git+https://git.example/a@b.git@v1#0123abc"),
        ("https://u:p@ss@word@r.example/a", "https://r.example/a"),
        ("https://r.example/a", "https://r.example/a"),
        ("https://user:pass/word@r.example/a", "https://***"),
        ("https://r.example/a;token=secret", "https://r.example/a"),
        ("https://[2001:db8::1]/@scope/a", "https://[2001:db8::1]/@scope/a"),
        ("https://r.example:8443/@scope/a", "https://r.example:8443/@scope/a"),
        ("git+ssh://git@git.example:org/a.git#v1", "git+ssh://git.example:org/a.git#v1"),
        ("../local/path", "../local/path"),
        ("", ""),
    ],
)
def test_credentials_are_taken_out(url: str, shown: str) -> None:
    assert without_credentials(url) == shown


@given(
    secret=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/?#"), min_size=1),
    host=st.sampled_from(["r.example", "r.example:8443"]),
)
def test_no_secret_survives_wherever_a_url_can_carry_one(secret: str, host: str) -> None:
    assert without_credentials(f"https://user:{secret}@{host}/x") == f"https://{host}/x"
    assert without_credentials(f"https://{host}/x?{secret}") == f"https://{host}/x"


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("http://r.example/x", True),
        ("HTTP://r.example/x", True),
        ("git+http://r.example/x", True),
        ("git://r.example/x", True),
        ("http://127.0.0.1.evil.example/x", True),
        ("http://localhost@evil.example/x", True),
        ("https://r.example/x", False),
        ("git+ssh://git@r.example/x", False),
        ("http://localhost:4873/x", False),
        ("http://127.0.0.1/x", False),
        ("http://[::1]:8080/x", False),
        ("./x", False),
        ("http:", False),
        ("http://localhost\\@evil.example/x", True),
    ],
)
def test_plain(url: str, plain: bool) -> None:
    assert is_plain(url) is plain
