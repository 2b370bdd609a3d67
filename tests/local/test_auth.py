import pytest
import requests

from scangate.local.auth import Keys
from tests.local.conftest import Client, StartService

BOTH = Keys(("first-key", "second-key"))


@pytest.mark.parametrize(
    ("authorization", "api_key"),
    [
        ("Bearer first-key", None),
        ("bearer  first-key ", None),
        (None, "first-key"),
        ("Bearer first-key", "wrong"),
    ],
)
def test_a_key_is_taken_from_either_header_bearer_first(authorization: str | None, api_key: str | None) -> None:
    assert BOTH.owner(authorization, api_key) == Keys(("first-key",)).owner(None, "first-key") is not None


@pytest.mark.parametrize(
    ("authorization", "api_key"),
    [
        (None, None),
        (None, ""),
        (None, "first-ke"),
        (None, "first-key2"),
        (None, "FIRST-KEY"),
        ("first-key", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("Basic first-key", None),
        ("Basic first-key", "first-key"),
        ("Bearer wrong", "first-key"),
        ("Bearer fïrst-kéy", None),
    ],
)
def test_anything_else_is_nobody(authorization: str | None, api_key: str | None) -> None:
    assert BOTH.owner(authorization, api_key) is None


def test_two_keys_are_two_owners_and_neither_is_the_key_itself() -> None:
    owners = [BOTH.owner(None, key) for key in ("first-key", "second-key")]
    assert len(set(owners)) == 2
    assert not {"first-key", "second-key", None} & set(owners)


OPERATIONS = [
    ("POST", "/api/v1/analyze/purl/"),
    ("POST", "/api/v1/archives/upload-url/"),
    ("POST", "/api/v1/analyze/archive/"),
    ("GET", "/api/v1/task/1/"),
    ("GET", "/api/v1/reports/"),
]


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"X-API-Key": "wrong"}])
def test_each_operation_needs_a_key(shared: Client, method: str, path: str, headers: dict[str, str]) -> None:
    answer = requests.request(method, shared.service.url + path, headers=headers, json={}, timeout=20)
    assert answer.status_code == 401
    assert set(answer.json()) == {"error", "message"}  # no envelope, as observed
    assert answer.headers["www-authenticate"] == "Bearer"


def test_requests_without_a_key_are_not_counted(start: StartService) -> None:
    client = start(rate_limit=1)
    for _ in range(3):
        requests.get(client.service.url + "/api/v1/reports/", timeout=20)
    assert client.get("/api/v1/reports/").status_code == 200
