from pathlib import Path

from scangate.local.fetch import digests

# sha256sum, sha1sum of "abc": FIPS 180-2, appendices A.1 and B.1.
SHA1 = "sha1:a9993e364706816aba3e25717850c26c9cd0d89d"
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


def test_nothing_known_matches_nothing(tmp_path: Path) -> None:
    assert not digests.matches(_file(tmp_path), ())[0]
    assert not digests.matches(_file(tmp_path), ("crc32:352441c2",))[0]


def test_integrity_as_npm_writes_it() -> None:
    written = "sha1-qZk+NkcGgWq6PiVxeFDCbJzQ2J0= sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=?x sha512-! md4-AA"
    assert digests.from_sri(written) == (SHA1, SHA256)
    assert digests.from_sri(None) == ()
    assert digests.from_sri(digests.to_sri(SHA256)) == (SHA256,)
