import hashlib
from pathlib import Path

import pytest

from scangate.digests import HEX_LENGTH, from_sri
from scangate.local.fetch import digests

# sha1sum, sha224sum and sha256sum of "abc": FIPS 180-2, appendices A.1 and B.1, and its change notice 1.
SHA1 = "sha1:a9993e364706816aba3e25717850c26c9cd0d89d"
SHA224 = "sha224:23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"
SHA256 = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def _file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    return path


def test_one_right_digest_is_enough(tmp_path: Path) -> None:
    assert digests.matches(_file(tmp_path), ("sha256:" + "0" * 64, SHA256)) == (True, (SHA256,))


def test_a_weak_digest_does_not_outweigh_a_strong_one(tmp_path: Path) -> None:
    right, actual = digests.matches(_file(tmp_path), (SHA1, "sha256:" + "0" * 64))
    assert (right, actual) == (False, (SHA256,))


@pytest.mark.parametrize("algorithm", sorted(HEX_LENGTH))
def test_every_algorithm_that_lockfiles_are_read_with_is_checked(tmp_path: Path, algorithm: str) -> None:
    digest = f"{algorithm}:{hashlib.new(algorithm, b'abc', usedforsecurity=False).hexdigest()}"
    assert digests.matches(_file(tmp_path), (digest,)) == (True, (digest,))
    assert not digests.matches(_file(tmp_path), (digest.replace(":", ":00")[:-2],))[0]


def test_sha224_is_weaker_than_sha256_and_stronger_than_sha1(tmp_path: Path) -> None:
    wrong = "0" * 64
    assert digests.matches(_file(tmp_path), (SHA1, f"sha224:{wrong[:56]}")) == (False, (SHA224,))
    assert digests.matches(_file(tmp_path), (f"sha224:{wrong[:56]}", SHA256)) == (True, (SHA256,))


def test_nothing_known_matches_nothing(tmp_path: Path) -> None:
    assert not digests.matches(_file(tmp_path), ())[0]
    assert not digests.matches(_file(tmp_path), ("crc32:352441c2",))[0]


def test_integrity_as_npm_writes_it() -> None:
    assert digests.to_sri(SHA1) == "sha1-qZk+NkcGgWq6PiVxeFDCbJzQ2J0="
    assert from_sri(digests.to_sri(SHA256)) == (SHA256,)
