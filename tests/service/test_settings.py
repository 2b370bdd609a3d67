"""The service's address and key, from an environment."""

import copy
import os
import pickle
import threading
from pathlib import Path

import pytest

from scangate.errors import UsageError
from scangate.service.settings import ServiceSettings
from scangate.web.settings import MAX_SECRET_CHARACTERS, Secret

KEY = "pk_live-0123456789"


def read(**environ: str) -> ServiceSettings:
    return ServiceSettings.from_environ({f"SCANGATE_{name}": value for name, value in environ.items()})


def test_nothing_set_is_the_public_service_without_a_key() -> None:
    settings = read()
    assert settings.api.scheme == "https"
    assert not settings.api.is_loopback
    assert settings.key is None


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("https://api.example", "https://api.example"),
        ("https://API.example:8443/Prefix/v2//", "https://api.example:8443/Prefix/v2"),
        ("  https://api.example/\n", "https://api.example"),
        ("http://localhost:8000/", "http://localhost:8000"),
        ("http://127.8.8.8", "http://127.8.8.8"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("https://10.0.0.5", "https://10.0.0.5"),
    ],
)
def test_urls(given: str, url: str) -> None:
    assert read(API_URL=given).api.url == url


@pytest.mark.parametrize(
    "url",
    [
"api.example", "ftp://api.example", "https://user:pw@api.example", "https://api.example/?a=1",
        "https://api.example/#a", "https://127.1/", "https://api.example:99999", "https://api.example/a b",
        "http://api.example", "http://10.0.0.5", "http://[::ffff:127.0.0.1]", "http://localhost.example",
        "http://a.localhost", "http://0.0.0.0", "http://localhost@api.example",
    ],
)  # fmt: skip
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(UsageError, match=r"^SCANGATE_API_URL .*\.$") as caught:
        read(API_URL=url)
    assert caught.value.hint.endswith(".")
    assert "pw" not in caught.value.message


def test_a_key() -> None:
    key = read(API_KEY=f" {KEY}\n").key
    assert key == Secret(KEY)
    assert key is not None
    assert key.reveal() == KEY


@pytest.mark.parametrize(
    "key",
    [" \n", "two words", "a\nb", "a\x00b", "a\x1bb", "a\x7fb", "schlüssel", "k€y", "x" * (MAX_SECRET_CHARACTERS + 1)],
)
def test_keys_that_are_refused(key: str) -> None:
    with pytest.raises(UsageError, match=r"^SCANGATE_API_KEY .*\.$") as caught:
        read(API_KEY=key)
    assert not key.strip() or key.strip() not in str(caught.value)


def key_file(folder: Path, content: bytes, mode: int = 0o600) -> str:
    path = folder / "key"
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


def test_a_key_file(tmp_path: Path) -> None:
    settings = read(API_KEY_FILE=key_file(tmp_path, f"{KEY}\n".encode()))
    assert settings.key == Secret(KEY)
    assert settings.warnings == ()


@pytest.mark.parametrize("mode", [0o644, 0o602])
def test_a_key_file_that_is_open_to_all_is_a_warning(tmp_path: Path, mode: int) -> None:
    settings = read(API_KEY_FILE=key_file(tmp_path, KEY.encode(), mode))
    assert settings.key == Secret(KEY)
    (warning,) = settings.warnings
    assert str(tmp_path / "key") in warning


def test_a_key_file_may_be_a_pipe(tmp_path: Path) -> None:
    """As of `SCANGATE_API_KEY_FILE=<(pass show scangate)`."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=(KEY,))
    writer.start()
    assert read(API_KEY_FILE=str(path)).key == Secret(KEY)
    writer.join()


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"one\ntwo\n", b"\xff\xfe", b"\xef\xbb\xbf" + KEY.encode(), b"x" * (100 * MAX_SECRET_CHARACTERS)],
)
def test_key_files_that_are_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UsageError, match=r"^SCANGATE_API_KEY_FILE \(.*key\) .*\.$"):
        read(API_KEY_FILE=key_file(tmp_path, content))


@pytest.mark.parametrize("path", ["missing/key", ".", "a\x00b"])
def test_key_files_that_cannot_be_read(path: str) -> None:
    with pytest.raises(UsageError, match=r"^SCANGATE_API_KEY_FILE"):
        read(API_KEY_FILE=path)


def test_an_empty_variable_is_no_key() -> None:
    """CI systems hand a secret that a fork may not see as an empty variable: no credentials, not a mistake."""
    assert read(API_KEY="", API_KEY_FILE="").key is None
    assert read(API_URL="").api == read().api


def test_key_and_key_file_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="both set"):
        read(API_KEY=KEY, API_KEY_FILE=key_file(tmp_path, KEY.encode()))


def test_a_secret_shows_nothing() -> None:
    settings = read(API_KEY=KEY)
    secret = settings.key
    shown = [repr(settings), str(secret), f"{secret}", f"{secret!r}", repr([secret])]
    shown += [repr(settings._asdict()), repr(tuple(settings)), repr(copy.deepcopy(settings)), repr(vars(type(secret)))]
    assert not any(KEY in text for text in shown)
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    assert len({secret, Secret(KEY), Secret("other")}) == 2
    assert secret != KEY
