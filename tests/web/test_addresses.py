"""What a URL from outside may lead to, by its text and by its address."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scangate.web.addresses import Endpoint, foreign_url, is_loopback, is_public, read_url

NOT_PUBLIC = [
    "0.0.0.0", "0.1.2.3", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.255",
    "168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.168.0.1",
    "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.1.1.1", "240.0.0.1",
    "255.255.255.255",
    "::", "::1", "::ffff:8.8.8.8", "::ffff:127.0.0.1", "::8.8.8.8", "64:ff9b::808:808", "64:ff9b:1::1", "100::1",
    "2001::1", "2001:2::1", "2001:db8::1", "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254",
    "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1",
]  # fmt: skip
PUBLIC = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
    "128.0.0.0", "172.15.255.255", "172.32.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
    "2606:4700::1111", "2a00:1450:4001::200e", "2001:4860:4860::8888",
]  # fmt: skip


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_not_public(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_public(text: str) -> None:
    assert is_public(ip_address(text))


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_what_python_calls_not_global_is_never_public(address: IPv4Address | IPv6Address) -> None:
    if not address.is_global:
        assert not is_public(address)


@pytest.mark.parametrize(
    ("text", "loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("::ffff:127.0.0.1", False), ("0.0.0.0", False)],
)
def test_loopback(text: str, loopback: bool) -> None:
    assert is_loopback(ip_address(text)) is loopback


def test_a_url_in_its_parts() -> None:
    assert read_url("HTTPS://Storage.Example.:8443/a/b?X=1&Y=%2f") == Endpoint(
        scheme="https", host="storage.example", address=None, port=8443, rest="/a/b?X=1&Y=%2f"
    )
    assert read_url("https://[2606:4700::1]/x").url == "https://[2606:4700::1]/x"
    assert read_url("https://8.8.8.8?x").url == "https://8.8.8.8?x"


def test_a_url_is_not_shown_whole() -> None:
    endpoint = read_url("https://storage.example:8443/report?signature=abc")
    assert f"{endpoint}" == repr(endpoint) == "Endpoint('https://storage.example:8443')"


@pytest.mark.parametrize(
    "url",
    [
        "", "storage.example", "//storage.example/x", "ftp://storage.example/", "file:///etc/passwd",
        "https://", "https:///x", "https://user:pw@storage.example/", "https://user@storage.example/",
        "https://storage.example\\@evil.example/", "https://storage.example/\\..", "https://storage.example/#x",
        "https://storage.example/a b", "https://storage.example/\r\nX: y", "https://storage.example/\x00",
        "https://störage.example/", "https://１２７.0.0.1/", "https://storage.example/é",
        "https://storage.example:0/", "https://storage.example:65536/", "https://storage.example:+80/",
        "https://storage.example:/", "https://-a.example/", "https://a..example/", "https://.example/",
        "https://[::1", "https://[::1]x/", "https://[1.2.3.4]/", "https://[fe80::1%25eth0]/", "https://[::g]/",
        "https://2130706433/", "https://0x7f000001/", "https://0x7f.1/", "https://0177.0.0.1/", "https://127.1/",
        "https://1.2.3.4.5/", "https://256.1.1.1/", "https://storage.0x1/", "https://a.1/",
        "https://" + "a" * 64 + ".example/", "https://" + "a." * 130 + "example/", "https://a.example/" + "x" * 8192,
    ],
)  # fmt: skip
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|has) "):
        read_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://storage.example/r?sig=1", "https://8.8.8.8/r", "https://[2606:4700::1111]:8443/r",
        "https://localhost.example/",
    ],
)  # fmt: skip
@pytest.mark.parametrize("loopback", [True, False])
def test_foreign_urls_that_are_taken(url: str, loopback: bool) -> None:
    assert foreign_url(url, loopback=loopback).url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://storage.example/r", "http://8.8.8.8/r", "https://10.0.0.1/", "https://169.254.169.254/latest",
        "https://[::ffff:10.0.0.1]/", "https://[::ffff:127.0.0.1]/", "https://[64:ff9b::a00:1]/", "https://metadata/",
        "https://metadata.google.internal/", "https://printer.local/", "https://a.localhost/", "https://box.lan/",
        "https://nas.home.arpa/", "https://0.0.0.0/",
    ],
)  # fmt: skip
@pytest.mark.parametrize("loopback", [True, False])
def test_foreign_urls_that_are_refused(url: str, loopback: bool) -> None:
    with pytest.raises(ValueError, match=r"is not https|is not public"):
        foreign_url(url, loopback=loopback)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/r", "https://localhost:9/r", "http://localhost/r", "http://[::1]:9/"]
)
def test_loopback_is_for_a_service_on_loopback(url: str) -> None:
    assert foreign_url(url, loopback=True).url == url
    with pytest.raises(ValueError, match="loopback"):
        foreign_url(url, loopback=False)


@given(st.text(max_size=60) | st.from_regex(r"https?://[a-z0-9.:@\[\]%\\/?#-]{0,40}", fullmatch=True))
def test_any_text_is_a_url_or_a_value_error(text: str) -> None:
    """What is taken has no room for a user, a fragment or a control character, and reads back the same."""
    try:
        endpoint = read_url(text)
    except ValueError:
        return
    assert read_url(endpoint.url) == endpoint
    assert endpoint.url.isascii()
    assert endpoint.url.isprintable()
    assert "@" not in endpoint.origin
    assert "#" not in endpoint.url
