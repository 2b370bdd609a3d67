import hashlib
import json
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from threading import Event

import pytest

from scangate.local.fetch import upstream as module
from scangate.local.fetch.base import FetchError, IntegrityMismatch
from scangate.local.fetch.upstream import NotThere, Upstream
from scangate.local.jobs import Interrupted
from tests.local.fetch.registry import Registry


@pytest.fixture
def upstream() -> Upstream:
    return Upstream(pause_seconds=0.01, cache_bytes=10)


def _get(upstream: Upstream, url: str) -> bytes:
    return upstream.document(url, "*/*", Event(), read=bytes)


def test_a_page_is_asked_for_once_while_it_is_kept(upstream: Upstream, registry: Registry) -> None:
    one, other = registry.put("/1", b"12345678"), registry.put("/2", b"87654321")
    assert [_get(upstream, url) for url in (one, one, other, one)] == [b"12345678"] * 2 + [b"87654321", b"12345678"]
    assert [path for path, _ in registry.asked] == ["/1", "/2", "/1"]


def test_a_page_is_not_kept_for_ever(registry: Registry) -> None:
    now = [0.0]
    upstream = Upstream(clock=lambda: now[0])
    url = registry.put("/versions", b"1")
    assert _get(upstream, url) == b"1"
    registry.put("/versions", b"1 2")
    assert _get(upstream, url) == b"1"
    now[0] = module.CACHE_SECONDS + 1
    assert _get(upstream, url) == b"1 2"


def test_a_page_that_cannot_be_read_is_not_kept(upstream: Upstream, registry: Registry) -> None:
    url = registry.put("/page", b"{")
    with pytest.raises(json.JSONDecodeError):
        upstream.document(url, "*/*", Event(), read=json.loads)
    registry.put("/page", b"{}")
    assert upstream.document(url, "*/*", Event(), read=json.loads) == {}


def test_a_file_that_was_damaged_on_the_way_is_fetched_again(
    upstream: Upstream, registry: Registry, tmp_path: Path
) -> None:
    url, target = registry.put("/file", b"damaged", then=b"whole"), tmp_path / "file"
    digest = "sha256:" + hashlib.sha256(b"whole").hexdigest()
    upstream.download_checked("it", url, target, (digest,), Event())
    assert target.read_bytes() == b"whole"
    registry.put("/file", b"another")
    with pytest.raises(IntegrityMismatch, match=r"^it: "):
        upstream.download_checked("it", url, target, (digest,), Event())


def test_what_passes_is_tried_again(upstream: Upstream, registry: Registry) -> None:
    assert _get(upstream, registry.put("/busy", b"at last", status=503)) == b"at last"


def test_what_stays_is_told(upstream: Upstream, registry: Registry) -> None:
    with pytest.raises(NotThere, match="404"):
        _get(upstream, registry.url + "/nothing")
    with pytest.raises(FetchError, match="answers 403"):
        _get(upstream, registry.put("/forbidden", b"", status=403))
    with pytest.raises(FetchError, match="answers 500"):
        _get(upstream, registry.put("/broken", b"", status=500))
    with pytest.raises(FetchError, match="cannot be reached"):
        _get(upstream, "http://127.0.0.1:9/")


@pytest.mark.parametrize(
    "target", ["http://registry.example/", "file:///etc/passwd", "https://user:pw@registry.example/"]
)
def test_never_off_to_a_plain_connection_a_file_or_with_credentials(
    upstream: Upstream, registry: Registry, target: str
) -> None:
    with pytest.raises(FetchError, match="not a plain https address") as caught:
        _get(upstream, registry.put("/moved", b"", status=302, Location=target))
    assert "pw" not in str(caught.value)


def test_redirects_are_followed_and_counted(upstream: Upstream, registry: Registry) -> None:
    registry.put("/there", b"here")
    assert _get(upstream, registry.put("/moved", b"", status=301, Location="/there")) == b"here"
    with pytest.raises(FetchError, match="more than 5 redirects"):
        _get(upstream, registry.put("/circle", b"", status=302, Location="/circle"))


def test_too_much_is_not_read(
    upstream: Upstream, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ARCHIVE_BYTES", 3 * 1024)
    with pytest.raises(FetchError, match="larger than 3 KiB"):
        upstream.download(registry.put("/large", b"1" * 3073), tmp_path / "file", Event())


def test_an_archive_is_written_as_it_comes(upstream: Upstream, registry: Registry, tmp_path: Path) -> None:
    target = tmp_path / "file"
    half = b"x" * 1024 * 1024

    def sent() -> Iterator[bytes]:
        yield half
        deadline = time.monotonic() + 20
        while target.stat().st_size < len(half) / 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        yield b"1" if target.stat().st_size >= len(half) / 2 else b"0"

    registry.stream("/large", sent)
    upstream.download(registry.url + "/large", target, Event())
    assert target.read_bytes() == half + b"1"


def test_a_registry_that_never_ends_is_given_up_though_it_never_rests(registry: Registry, tmp_path: Path) -> None:
    seconds = count(step=50)  # each look at the clock is 50 seconds after the last one
    upstream = Upstream(pause_seconds=0.01, clock=lambda: float(next(seconds)))

    def sent() -> Iterator[bytes]:
        while True:
            yield b"x" * 1024

    registry.stream("/endless", sent)
    with pytest.raises(FetchError, match=r"did not finish within \d+ seconds"):
        upstream.download(registry.url + "/endless", tmp_path / "file", Event())
    assert next(seconds) < 2 * module.MAX_SECONDS


def test_what_an_unfinished_try_has_written_is_no_part_of_the_file(
    upstream: Upstream, registry: Registry, tmp_path: Path
) -> None:
    def sent() -> Iterator[bytes]:
        del registry.streams["/broken"]
        registry.put("/broken", b"all")
        yield b"cut off"

    registry.stream("/broken", sent, length=100)
    target = tmp_path / "file"
    upstream.download(registry.url + "/broken", target, Event())
    assert target.read_bytes() == b"all"


def test_a_full_disk_is_not_the_networks_fault(upstream: Upstream, registry: Registry) -> None:
    with pytest.raises(OSError, match="No space left"):
        upstream.download(registry.put("/file", b"x" * 100_000), Path("/dev/full"), Event())
    assert len(registry.asked) == 1


def test_nobodys_credentials(
    upstream: Upstream, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    _get(upstream, registry.put("/page", b""))
    assert registry.asked == [("/page", None)]


def test_it_stops(upstream: Upstream, registry: Registry) -> None:
    stop = Event()
    stop.set()
    with pytest.raises(Interrupted):
        upstream.document(registry.put("/page", b"content"), "*/*", stop, read=bytes)
    with pytest.raises(Interrupted):
        upstream.document(registry.put("/broken", b"", status=500), "*/*", stop, read=bytes)
