import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from scangate.errors import StateError
from scangate.local.jobs import Outcome
from scangate.local.store import MAX_ATTEMPTS, Found, Store, Submission
from scangate.models.analysis import Engine
from tests.local.conftest import Clock


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "tasks.db", Clock())
    yield store
    store.close()


def submission(number: int = 0, archive: str = "") -> Submission:
    return Submission(
        owner="owner", engine=Engine.DYNAMIC_ANALYSIS, purl=f"pkg:npm/a@{number}", archive=archive, filename="a.tgz"
    )


def locate(digest: str) -> Path:
    return Path("blobs") / digest


def test_no_two_workers_get_one_task(store: Store) -> None:
    made = {store.submit(submission(number))[0].id for number in range(40)}
    barrier = threading.Barrier(8)

    def claim_five(_: int) -> list[int]:
        barrier.wait()
        jobs = [store.claim(locate) for _ in range(5)]
        return [job.task_id for job in jobs if job is not None]

    with ThreadPoolExecutor(8) as pool:
        claimed = [task_id for ids in pool.map(claim_five, range(8)) for task_id in ids]
    assert sorted(claimed) == sorted(made)
    assert store.claim(locate) is None


def test_the_oldest_goes_first_and_its_job_says_all(store: Store) -> None:
    store.submit(submission(1, archive="abc"))
    store.submit(submission(2))
    first, second = store.claim(locate), store.claim(locate)
    assert first is not None
    assert second is not None
    assert (first.purl, first.archive, first.filename) == ("pkg:npm/a@1", Path("blobs/abc"), "a.tgz")
    assert (second.purl, second.archive) == ("pkg:npm/a@2", None)


def test_a_task_that_keeps_killing_the_server_fails(store: Store) -> None:
    task, _ = store.submit(submission())
    for _ in range(MAX_ATTEMPTS):
        assert store.claim(locate) is not None
        store.recover()
    assert store.claim(locate) is None
    failed = store.task(task.id)
    assert failed is not None
    assert failed.status == "failed"
    assert "died" in str(failed.error_message)
    assert store.submit(submission())[1] is Found.NOTHING


def test_an_orderly_stop_does_not_count_as_an_attempt(store: Store) -> None:
    task, _ = store.submit(submission())
    for _ in range(MAX_ATTEMPTS + 1):
        assert store.claim(locate) is not None
        store.give_back(task.id)
        store.recover()
    assert store.claim(locate) is not None


def test_a_task_stuck_in_a_running_word_stays_active_and_is_not_run_again(store: Store) -> None:
    task, _ = store.submit(submission())
    store.claim(locate)
    store.finish(task.id, Outcome(status="running"), None)
    store.recover()
    assert store.queued() == 0
    found, how = store.submit(submission())
    assert (found.id, found.status, how) == (task.id, "running", Found.ACTIVE)


def test_what_is_committed_is_there_for_the_next_one(tmp_path: Path) -> None:
    for _ in range(2):
        store = Store(tmp_path / "tasks.db", Clock())
        store.submit(submission())
        assert store.tasks("owner", None, 0, 10)[1] == 1
        store.close()


def test_a_change_that_fails_changes_nothing(store: Store) -> None:
    store.expect_upload("path", "owner")
    with pytest.raises(sqlite3.IntegrityError):
        store.expect_upload("path", "other")
    assert store.uploaded("path", "digest")
    assert (store.upload("path", "owner"), store.upload("path", "other")) == ("digest", None)


def test_what_is_not_for_others_is_not_their_answer(store: Store) -> None:
    """An archive that was not the promised one: nothing was analysed, and the next submission is to look again."""
    for answers_others, found in ((False, Found.NOTHING), (True, Found.COMPLETED)):
        task, _ = store.submit(submission())
        assert store.claim(locate) is not None
        store.finish(task.id, Outcome(status="completed", report=b"{}", answers_others=answers_others), "digest")
        assert store.submit(submission())[1] is found


def test_a_store_of_the_version_before(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    store = Store(path, Clock())
    task, _ = store.submit(submission())
    store.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("ALTER TABLE tasks DROP COLUMN answers_others")
        connection.execute("PRAGMA user_version = 1")
    store = Store(path, Clock())
    store.finish(task.id, Outcome(status="completed", report=b"{}"), "digest")
    assert store.submit(submission()) == (store.task(task.id), Found.COMPLETED)
    store.close()


def test_a_file_that_is_no_store_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "tasks.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(StateError, match=r"tasks\.db"):
        Store(tmp_path / "tasks.db", Clock())


def test_a_newer_store_is_an_error(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "tasks.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StateError, match="newer"):
        Store(tmp_path / "tasks.db", Clock())


def test_the_store_is_its_owners_alone(tmp_path: Path, store: Store) -> None:
    store.submit(submission())
    assert {file.stat().st_mode & 0o077 for file in tmp_path.iterdir() if file.name.startswith("tasks.db")} == {0}
