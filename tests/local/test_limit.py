from scangate.local.limit import RateLimit
from tests.local.conftest import Clock, StartService


def test_every_request_let_through_renews_the_window() -> None:
    """The observed trait: requests 50 minutes apart never see a new window; an hour of silence gives one."""
    clock = Clock()
    limit = RateLimit(3, clock)
    for _ in range(3):
        assert limit.admit("key")
        clock.now += 3000
    assert not limit.admit("key")
    clock.now += 599
    assert not limit.admit("key")
    clock.now += 1
    assert limit.admit("key")


def test_a_request_that_is_refused_renews_nothing() -> None:
    clock = Clock()
    limit = RateLimit(1, clock)
    assert limit.admit("key")
    for _ in range(3):
        clock.now += 1000
        assert not limit.admit("key")
    clock.now += 600
    assert limit.admit("key")


def test_each_key_has_its_own_counter() -> None:
    limit = RateLimit(1, Clock())
    assert limit.admit("one")
    assert limit.admit("two")
    assert not limit.admit("one")


def test_no_limit() -> None:
    limit = RateLimit(None, Clock())
    assert all(limit.admit("key") for _ in range(1000))


def test_submissions_upload_urls_and_lists_count_and_asking_for_a_task_does_not(start: StartService) -> None:
    clock = Clock()
    client = start(rate_limit=5, clock=clock)
    assert client.submit("pkg:npm/left-pad@1.0.0").status_code == 201
    assert client.get("/api/v1/reports/").status_code == 200
    client.upload_url()
    assert client.post("/api/v1/analyze/archive/", {}).status_code == 400
    assert client.submit("pkg:npm/left-pad@1.0.0").status_code == 200

    counted = [
        client.submit("pkg:npm/left-pad@1.0.0"),
        client.get("/api/v1/reports/"),
        client.post("/api/v1/archives/upload-url/", {"filename": "x.tgz"}),
        client.post("/api/v1/analyze/archive/", {}),
    ]
    for answer in counted:
        assert answer.status_code == 429
        assert set(answer.json()) == {"error", "message"}
        assert answer.json()["error"] == "Rate limit exceeded"
        assert "retry-after" not in answer.headers
    for _ in range(10):
        client.task(1)

    clock.now += 3600
    assert client.get("/api/v1/reports/").status_code == 200


def test_the_default_is_a_hundred(start: StartService) -> None:
    client = start()
    answers = [client.get("/api/v1/reports/").status_code for _ in range(101)]
    assert answers == [200] * 100 + [429]
