"""The .npmrc reader against npm's ini, whose rules each case restates."""

import json
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scangate.lockfiles import npmrc
from tests.lockfiles.npm_support import PUBLIC, Memory

CASES = [
    ("registry=https://a.example/", "https://a.example/"),
    ("  registry = https://a.example/  ", "https://a.example/"),
    ("registry=https://a.example/\r\nregistry=https://b.example/\r\n", "https://b.example/"),
    ('registry="https://a.example/"', "https://a.example/"),
    ("registry='https://a.example/'", "https://a.example/"),
    ("registry='\"https://a.example/\"'", "https://a.example/"),
    ('"registry" = https://a.example/', "https://a.example/"),
    ("registry=https://a.example/ ; why", "https://a.example/"),
    ("registry=https://a.example/ # why", "https://a.example/"),
    ("registry=https://a.example/\\#b", "https://a.example/#b"),
    ("registry=https://a.example/\\x", "https://a.example/\\x"),
    ('registry="https://a.example/', '"https://a.example/'),
    ('registry="\\q"', '"\\q"'),
    ('registry="', '"'),
    ("; registry=https://a.example/", None),
    ("# registry=https://a.example/", None),
    ("[npm]\nregistry=https://a.example/", None),
    ("registry=https://a.example/\n[npm]\nregistry=https://b.example/", "https://a.example/"),
    ("[npm] # no section\nregistry=https://a.example/", "https://a.example/"),
    ("registry", "true"),
    ("=x", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_a_setting(text: str, expected: str | None) -> None:
    assert npmrc.parse(text).get("registry") == expected


_INI = """
const ini = require(process.argv[1])
const cases = JSON.parse(require('fs').readFileSync(0, 'utf8'))
const read = text => ini.parse(text).registry
console.log(JSON.stringify(cases.map(text => read(text) === undefined ? null : String(read(text)))))
"""


@pytest.mark.tool("npm")
def test_npms_own_reader_agrees() -> None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("no npm here")
    root = subprocess.run([npm, "root", "-g"], check=True, capture_output=True, text=True).stdout.strip()
    texts = json.dumps([text for text, _ in CASES])
    done = subprocess.run(
        [node, "-e", _INI, f"{root}/npm/node_modules/ini"], input=texts, check=True, capture_output=True, text=True
    )
    assert json.loads(done.stdout) == [expected for _, expected in CASES]


def config(text: str) -> npmrc.Npmrc:
    return npmrc.read("sub/", Memory({"sub/.npmrc": text}))


def test_no_file_is_npms_default() -> None:
    assert npmrc.read("", Memory()).asked_for("left") == npmrc.PUBLIC
    assert npmrc.PUBLIC.host == PUBLIC.split("/")[2]


def test_text_that_is_no_url_is_dropped_as_npm_drops_it() -> None:
    assert config("registry=nonsense").default == npmrc.PUBLIC
    assert config("@acme:registry=").scopes == {}


def test_the_projects_scope_serves_unscoped_names() -> None:
    found = config("scope=acme\n@acme:registry=https://npm.acme.example/\n@b:registry=https://b.example/")
    assert found.asked_for("left").host == "npm.acme.example"
    assert found.asked_for("@b/x").host == "b.example"
    assert config("scope=@acme\nregistry=https://a.example").asked_for("left").host == "a.example"


def test_bytes_that_are_not_text_are_no_crash() -> None:
    found = npmrc.read("", Memory({".npmrc": b"\xff\xfe\nregistry=https://a.example/"}))
    assert found.default.host == "a.example"


@given(st.text())
def test_no_text_is_too_odd(text: str) -> None:
    found = config(f"registry={text}")
    assert found.default.host is None or "$" not in found.default.host
