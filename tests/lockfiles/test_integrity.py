import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scangate.lockfiles.integrity import HEX_LENGTH, from_hex, from_sri


def sri(algorithm: str, content: bytes) -> str:
    return f"{algorithm}-{base64.b64encode(hashlib.new(algorithm, content).digest()).decode()}"


@given(st.sampled_from(sorted(HEX_LENGTH)), st.binary())
def test_both_forms_of_one_digest_are_the_same(algorithm: str, content: bytes) -> None:
    digest = hashlib.new(algorithm, content).hexdigest()
    expected = (f"{algorithm}:{digest}",)
    assert from_sri(sri(algorithm, content)) == expected
    assert from_hex(f"{algorithm}:{digest}") == expected
    assert from_hex(f"{algorithm.upper()}:{digest.upper()}") == expected


def test_several_digests_come_sorted_and_once() -> None:
    one, two = sri("sha512", b"a"), sri("sha1", b"a")
    found = from_sri(f" {one}  {two}\n{one} ")
    assert [digest.partition(":")[0] for digest in found] == ["sha1", "sha512"]


def test_options_are_not_part_of_the_digest() -> None:
    assert from_sri(sri("sha256", b"a") + "?ct=text/plain") == from_sri(sri("sha256", b"a"))


@pytest.mark.parametrize(
    "text",
    ["", " ", "sha512", "sha512-", "sha512-AAAA", "sha512-!!!!", "nonsense-AAAA", "-", "sha1-\u00e9\u00e9\u00e9\u00e9"],
)
def test_what_is_no_digest_is_left_out(text: str) -> None:
    assert from_sri(text) == ()
    good = sri("sha256", b"a")
    assert from_sri(f"{text} {good}") == from_sri(good)


@pytest.mark.parametrize("text", ["", "sha256", "sha256:", "sha256:" + "g" * 64, "sha256:" + "0" * 63, "crc:00"])
def test_what_is_no_hex_digest_is_left_out(text: str) -> None:
    assert from_hex(text) == ()


@given(st.text())
def test_no_text_is_too_odd(text: str) -> None:
    for digest in (*from_sri(text), *from_hex(text)):
        algorithm, _, value = digest.partition(":")
        assert len(bytes.fromhex(value)) * 2 == HEX_LENGTH[algorithm]
