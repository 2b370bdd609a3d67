"""The storage origin: signed URLs, and what must not pass with them."""

from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from scangate.local.signing import SignatureRefused, Signer
from tests.local.conftest import Client, Clock, StartService, download, write_json

PURL = "pkg:npm/left-pad@1.0.0"


def report_url(client: Client) -> str:
    answer = client.submit(PURL).json()
    task_id = answer["data"]["task_id"] if "data" in answer else answer["task_id"]
    return str(client.ended(task_id)["report_blob_url"])


def put(url: str, content: bytes = b"archive", **options: object) -> int:
    return requests.put(url, data=content, timeout=20, **options).status_code  # type: ignore[arg-type]  # **options


def changed(url: str, **query: str | None) -> str:
    """The URL with these query parameters instead (None: without)."""
    parts = urlsplit(url)
    values = {name: value[0] for name, value in parse_qs(parts.query).items()} | query
    return parts._replace(
        query=urlencode({name: value for name, value in values.items() if value is not None})
    ).geturl()


def test_a_signed_url_expires_and_asking_again_gives_a_fresh_one(start: StartService) -> None:
    clock = Clock()
    client = start(clock=clock, url_seconds=60)
    report, upload = report_url(client), client.upload_url()["url"]
    clock.now += 59
    assert download(report).status_code == 200
    assert put(upload) == 200
    clock.now += 1
    assert download(report).status_code == 403
    assert put(upload) == 403
    assert download(report_url(client)).status_code == 200


def test_a_signed_url_outlives_a_restart(start: StartService, tmp_path: Path) -> None:
    first = start()
    path = urlsplit(report_url(first))
    first.service.__exit__(None, None, None)
    second = start()
    again = path._replace(netloc=urlsplit(second.service.storage_url).netloc).geturl()
    assert download(again).status_code == 200


def test_a_signed_url_of_a_task_that_is_gone_finds_nothing(start: StartService, tmp_path: Path) -> None:
    first = start()
    path = urlsplit(report_url(first))
    first.service.__exit__(None, None, None)
    (tmp_path / "data" / "tasks.db").unlink()
    again = path._replace(netloc=urlsplit(start().service.storage_url).netloc).geturl()
    assert download(again).status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        {"signature": "0" * 64},
        {"signature": ""},
        {"signature": "é"},
        {"signature": None},
        {"expires": "9999999999"},
        {"expires": "x"},
        {"expires": None},
        {"expires": None, "signature": None},
    ],
)
def test_a_changed_url_is_refused(shared: Client, query: dict[str, str | None]) -> None:
    assert download(changed(report_url(shared), **query)).status_code == 403
    assert put(changed(shared.upload_url()["url"], **query)) == 403


def test_a_url_is_good_for_its_own_object_and_method(shared: Client) -> None:
    report, upload = report_url(shared), shared.upload_url()["url"]
    assert download(report.replace("/1.json", "/2.json")).status_code == 403
    assert put(upload.replace("left-pad", "right-pad")) == 403
    assert put(report) == 405
    assert download(upload).status_code == 405
    swapped = urlsplit(report)._replace(query=urlsplit(upload).query).geturl()
    assert download(swapped).status_code == 403
    assert requests.head(report, timeout=20).status_code == 200


@pytest.mark.parametrize(
    "path", ["/reports/../tasks.db", "/reports/%2e%2e%2ftasks.db", "/uploads/../../etc/passwd", "/"]
)
def test_no_path_leads_out(shared: Client, path: str) -> None:
    query = urlsplit(report_url(shared)).query
    request = requests.Request("GET", "http://unused.example").prepare()
    request.url = f"{shared.service.storage_url}{path}?{query}"  # as it is: prepare() would resolve the dots
    with requests.Session() as session:
        assert session.send(request, timeout=20).status_code in {403, 404, 405}


def test_the_storage_takes_no_key(shared: Client) -> None:
    """A client that sends its key there has a bug, and the tests are to find it."""
    headers = ({"Authorization": f"Bearer {shared.key}"}, {"X-API-Key": shared.key})
    for header in headers:
        assert requests.get(report_url(shared), headers=header, timeout=20).status_code == 400
        assert put(shared.upload_url()["url"], headers=header) == 400


def test_the_storage_serves_no_api(shared: Client) -> None:
    assert shared.get(shared.service.storage_url + "/api/v1/reports/").status_code == 404


def test_an_upload_above_the_cap_is_refused_and_leaves_nothing(start: StartService, tmp_path: Path) -> None:
    client = start(max_upload_bytes=100_000)
    url = client.upload_url()["url"]
    assert put(url, b"x" * 100_001) == 413
    assert requests.put(url, data=(b"x" * 10_000 for _ in range(11)), timeout=20).status_code == 413
    assert not list((tmp_path / "data" / "blobs").iterdir())
    assert not list((tmp_path / "data" / "incoming").iterdir())
    assert put(url, b"x" * 100_000) == 200


def test_an_upload_may_be_sent_again(shared: Client) -> None:
    upload = shared.upload_url()
    assert put(upload["url"], b"first") == 200
    assert put(upload["url"], b"second") == 200


def test_an_upload_that_breaks_off_counts_for_nothing(start: StartService, tmp_path: Path) -> None:
    client = start()
    upload = client.upload_url()

    def broken() -> object:
        yield b"half"
        raise ConnectionAbortedError

    with pytest.raises(requests.ConnectionError):
        requests.put(upload["url"], data=broken(), timeout=20)
    answer = client.post("/api/v1/analyze/archive/", {"purl": PURL, "gcs_path": upload["gcs_path"]})
    assert answer.status_code == 400
    assert not list((tmp_path / "data" / "blobs").iterdir())


def test_an_upload_url_of_long_ago_is_forgotten_with_its_bytes(start: StartService, tmp_path: Path) -> None:
    clock = Clock()
    client = start(clock=clock, url_seconds=10 * 24 * 3600)
    unused, used = client.upload_url(), client.upload_url()
    assert put(unused["url"], b"unused") == put(used["url"], b"used") == 200
    body = {"purl": PURL, "gcs_path": used["gcs_path"]}
    client.ended(client.post("/api/v1/analyze/archive/", body).json()["data"]["task_id"])
    client.service.__exit__(None, None, None)
    (tmp_path / "data" / "incoming" / "left-by-a-kill").write_bytes(b"half")

    clock.now += 2 * 24 * 3600
    client = start(clock=clock)

    kept = {file.read_bytes()[:8] for file in (tmp_path / "data" / "blobs").iterdir()}
    assert b"used" in kept
    assert b"unused" not in kept
    assert len(kept) == 2  # the archive and its report
    assert not list((tmp_path / "data" / "incoming").iterdir())
    again = urlsplit(unused["url"])._replace(netloc=urlsplit(client.service.storage_url).netloc).geturl()
    assert put(again) == 404


def test_downloads_fail_as_the_script_says(start: StartService, replay_dir: Path) -> None:
    write_json(replay_dir / "replay.json", {"recordings": [{"purl": PURL, "report-failures": [403, 500]}]})
    client = start()
    url = report_url(client)
    assert [download(url).status_code for _ in range(4)] == [403, 500, 200, 200]


# --------------------------------------------------------------------------------------------- signing


@given(path=st.text(min_size=1), other=st.text(min_size=1), now=st.integers(0, 10**10), later=st.integers(0, 200))
def test_a_signature_holds_for_one_path_until_it_expires(path: str, other: str, now: int, later: int) -> None:
    clock = Clock(now)
    signer = Signer(b"secret", "http://storage.example", 100, clock)
    query = {name: value[0] for name, value in parse_qs(urlsplit(signer.url("GET", path)).query).items()}
    assert query["expires"] == str(now + 100)
    clock.now += later
    if later < 100:
        signer.check("GET", path, **query)
    else:
        with pytest.raises(SignatureRefused, match="expired"):
            signer.check("GET", path, **query)
    for method, of in (("PUT", path), ("GET", other)):
        if (method, of) != ("GET", path):
            with pytest.raises(SignatureRefused, match="does not hold"):
                signer.check(method, of, **query)


def test_a_signature_of_another_secret_does_not_hold() -> None:
    clock = Clock()
    ours, theirs = (Signer(secret, "http://storage.example", 100, clock) for secret in (b"ours", b"theirs"))
    query = {name: value[0] for name, value in parse_qs(urlsplit(theirs.url("GET", "a b/ü.json")).query).items()}
    theirs.check("GET", "a b/ü.json", **query)
    with pytest.raises(SignatureRefused):
        ours.check("GET", "a b/ü.json", **query)
