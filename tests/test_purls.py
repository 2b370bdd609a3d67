"""Purls: the specification's vectors, another implementation as the oracle, and hostile texts."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packageurl import PackageURL

from scangate import purls
from scangate.errors import PurlError
from scangate.models.lockfile import Ecosystem
from scangate.purls import MAX_PURL_CHARACTERS, Purl

# Facts of the purl specification's own tests, retyped: package-url/purl-spec, tests/types/npm-test.json at
# b714e030be336abc6de49a452968b952c246ce1e, pypi-test.json at 0495d512e1daceacaa1394d118aeb7b1a07c9cce,
# vscode-extension-test.json at 218b565bd0efc06910b89e216dbbcb5f0a22ebe6 (MIT).
# Text, its parts, and the canonical text where it is another one.
VECTORS: list[tuple[str, Purl, str | None]] = [
    ("pkg:npm/%40angular/animation@12.3.1", Purl("npm", "@angular", "animation", "12.3.1"), None),
    ("pkg:npm/foobar@12.3.1", Purl("npm", None, "foobar", "12.3.1"), None),
    (
        "pkg:npm/mypackage@12.4.5?vcs_url=git://host.com/path/to/repo.git%404345abcd34343",
        Purl("npm", None, "mypackage", "12.4.5", (("vcs_url", "git://host.com/path/to/repo.git@4345abcd34343"),)),
        "pkg:npm/mypackage@12.4.5?vcs_url=git:%2F%2Fhost.com%2Fpath%2Fto%2Frepo.git%404345abcd34343",
    ),
    (
        "pkg:npm/@babel/core#/googleapis/api/annotations/",
        Purl("npm", "@babel", "core", None, (), "googleapis/api/annotations"),
        "pkg:npm/%40babel/core#googleapis/api/annotations",
    ),
    (
        "pkg:npm/core@2.0.1#/googleapis/api/annotations/",
        Purl("npm", None, "core", "2.0.1", (), "googleapis/api/annotations"),
        "pkg:npm/core@2.0.1#googleapis/api/annotations",
    ),
    (
        "pkg:pypi/My.PyPI_.--._Package@1.11.1.dev1",
        Purl("pypi", None, "my-pypi-package", "1.11.1.dev1"),
        "pkg:pypi/my-pypi-package@1.11.1.dev1",
    ),
    ("pkg:pypi/django@1.11.1", Purl("pypi", None, "django", "1.11.1"), None),
    (
        "pkg:pypi/django@1.11.1?filename=Django-1.11.1.tar.gz",
        Purl("pypi", None, "django", "1.11.1", (("filename", "Django-1.11.1.tar.gz"),)),
        None,
    ),
    (
        "pkg:pypi/django@1.11.1?filename=Django-1.11.1-py2.py3-none-any.whl",
        Purl("pypi", None, "django", "1.11.1", (("filename", "Django-1.11.1-py2.py3-none-any.whl"),)),
        None,
    ),
    ("pkg:pypi/django-allauth@12.23", Purl("pypi", None, "django-allauth", "12.23"), None),
    (
        "pkg:vscode-extension/redhat/java@1.46.2025091308",
        Purl("vscode-extension", "redhat", "java", "1.46.2025091308"),
        None,
    ),
    (
        "pkg:vscode-extension/redhat/java@1.46.2025091308?platform=linux-x64",
        Purl("vscode-extension", "redhat", "java", "1.46.2025091308", (("platform", "linux-x64"),)),
        None,
    ),
    ("pkg:vscode-extension/ms-python/python", Purl("vscode-extension", "ms-python", "python"), None),
    (
        "pkg:vscode-extension/microsoft/python@2024.10.0?platform=darwin-arm64",
        Purl("vscode-extension", "microsoft", "python", "2024.10.0", (("platform", "darwin-arm64"),)),
        None,
    ),
    (
        "pkg:vscode-extension/golang/go@0.39.1?platform=win32-x64",
        Purl("vscode-extension", "golang", "go", "0.39.1", (("platform", "win32-x64"),)),
        None,
    ),
    (
        "pkg:vscode-extension/redhat/java@1.46.2025091308?platform=universal",
        Purl("vscode-extension", "redhat", "java", "1.46.2025091308", (("platform", "universal"),)),
        None,
    ),
]

# The same files' texts that must fail, and more of ours.
REFUSED = [
    "pkg:npm/myartifact@1.0.0?in%20production=true",
    "pkg:vscode-extension/java@1.46.2025091308",
    "pkg:npm/",
    "",
    "npm/foobar@1.0.0",
    "https://example.com/foobar@1.0.0",
    "pkg:foobar@1.0.0",
    "pkg:1npm/foobar@1.0.0",
    "pkg:npm/scope/name@1.0.0",
    "pkg:npm/@a/b/c@1.0.0",
    "pkg:npm/%40a%2Fb/c@1.0.0",
    "pkg:pypi/namespace/name@1.0.0",
    "pkg:vscode-extension/a/b/c@1.0.0",
    "pkg:npm/foobar@1.0.0?a=1&A=2",
    "pkg:npm/foobar@%ff",
    "pkg:npm/foo%00bar@1.0.0",
    "pkg:npm/foobar@1.0%0a0",
    "pkg:npm/foobar@1.0.0\x1b[31m",
    "pkg:npm/foobar@1.0.0?arch=\u202e",
    "pkg:npm/foobar@1.0.0#a\x00b",
    "pkg:npm/foo\ud800bar@1.0.0",
    "pkg:npm/@\udcff/bar@1.0.0",
    "pkg:npm/" + "a" * MAX_PURL_CHARACTERS,
]


@pytest.mark.parametrize(("text", "parts", "canonical"), VECTORS)
def test_the_specifications_vectors(text: str, parts: Purl, canonical: str | None) -> None:
    assert purls.parse(text) == parts
    assert str(parts) == (canonical or text)
    assert str(purls.parse(str(parts))) == str(parts)


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_purl_is_one_clear_error(text: str) -> None:
    with pytest.raises(PurlError) as caught:
        purls.parse(text)
    assert "pkg:TYPE/NAME@VERSION" in caught.value.hint
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 400
    assert not purls.same(text, text)


class TestCompose:
    def test_npm_keeps_case_because_both_are_packages(self) -> None:
        assert purls.npm("JSONStream", "1.3.5") == "pkg:npm/JSONStream@1.3.5"
        assert purls.npm("@Scope/Name", "1.0.0-rc.1+build.5") == "pkg:npm/%40Scope/Name@1.0.0-rc.1%2Bbuild.5"
        assert not purls.same("pkg:npm/JSONStream@1.3.5", "pkg:npm/jsonstream@1.3.5")

    def test_pypi_normalises_the_name_and_leaves_the_version(self) -> None:
        assert purls.pypi("Ruamel._-Yaml", "1!2.0+Cpu") == "pkg:pypi/ruamel-yaml@1%212.0%2BCpu"
        assert purls.same("pkg:pypi/ruamel.yaml@1", "pkg:pypi/Ruamel_Yaml@1")

    def test_vscode_extensions_are_lower_case_with_their_platform(self) -> None:
        purl = purls.vscode_extension("RedHat", "Java", "1.0.0-RC", platform="Linux-X64")
        assert purl == "pkg:vscode-extension/redhat/java@1.0.0-rc?platform=linux-x64"
        assert purls.vscode_extension("a", "b", "1", platform=None) == "pkg:vscode-extension/a/b@1"

    def test_another_registry_is_a_qualifier(self) -> None:
        url = "https://open-vsx.example"
        purl = purls.vscode_extension("a", "b", "1", platform="web", repository_url=url)
        assert purl == "pkg:vscode-extension/a/b@1?platform=web&repository_url=https:%2F%2Fopen-vsx.example"
        assert dict(purls.parse(purl).qualifiers) == {"platform": "web", "repository_url": url}
        assert purls.npm("a", "1", repository_url=url) == f"pkg:npm/a@1?repository_url={url.replace('/', '%2F')}"
        assert purls.pypi("a", "1", repository_url=url) == f"pkg:pypi/a@1?repository_url={url.replace('/', '%2F')}"

    @pytest.mark.parametrize(
        ("name", "version"),
        [
            ("", "1.0.0"),
            ("a", ""),
            ("a/b", "1.0.0"),
            ("@a/b/c", "1.0.0"),
            ("a\x00", "1.0.0"),
            ("a", "1.0.0\n"),
            ("a\ud800", "1.0.0"),
            ("@\udfff/a", "1.0.0"),
            ("a", "1\udc80"),
            ("a" * MAX_PURL_CHARACTERS, "1.0.0"),
        ],
    )
    def test_what_makes_no_purl_is_an_error(self, name: str, version: str) -> None:
        with pytest.raises(PurlError):
            purls.npm(name, version)

    @pytest.mark.parametrize(("publisher", "name"), [("", "a"), ("a", ""), ("a/b", "c"), ("a\x07", "b")])
    def test_vscode_extensions_need_a_publisher_and_a_name(self, publisher: str, name: str) -> None:
        with pytest.raises(PurlError):
            purls.vscode_extension(publisher, name, "1.0.0")


class TestParts:
    def test_package_name_and_ecosystem(self) -> None:
        assert purls.parse("pkg:npm/%40a/b@1").package_name == "@a/b"
        assert purls.parse("pkg:pypi/b@1").package_name == "b"
        assert purls.parse("pkg:npm/b").ecosystem is Ecosystem.NPM
        assert purls.parse("pkg:vscode-extension/a/b").ecosystem is Ecosystem.VSCODE_EXTENSION
        assert purls.parse("pkg:cargo/b@1").ecosystem is None

    def test_only_known_ecosystems_at_a_version_can_be_submitted(self) -> None:
        assert str(purls.submittable(" pkg:npm/a@1 ")) == "pkg:npm/a@1"
        for text, says in [("pkg:cargo/a@1", "cannot be analysed"), ("pkg:npm/a", "no version"), ("a", "pkg:")]:
            with pytest.raises(PurlError, match=says):
                purls.submittable(text)

    def test_same_compares_what_they_mean(self) -> None:
        assert purls.same("pkg:npm/@a/b@1", "PKG://npm/%40a/b@1?x=")
        assert not purls.same("pkg:npm/a@1", "pkg:npm/a@2")
        assert not purls.same("pkg:npm/a@1", "nonsense")


_PRINTABLE = st.characters(min_codepoint=33, max_codepoint=0x2FFFF, exclude_categories=("C", "Z"))
_NAMES = st.text(st.sampled_from(string.ascii_letters + string.digits + "._~-"), min_size=1, max_size=30)
_TEXTS = st.text(_PRINTABLE, min_size=1, max_size=30)


@given(scope=st.none() | _NAMES, name=_NAMES, version=_TEXTS)
def test_npm_round_trip_and_oracle(scope: str | None, name: str, version: str) -> None:
    full = name if scope is None else f"@{scope}/{name}"
    text = purls.npm(full, version)
    parsed = purls.parse(text)
    assert (parsed.package_name, parsed.version, str(parsed)) == (full, version, text)
    # The oracle lower-cases npm names: give it lower-case ones.
    namespace = None if scope is None else f"@{scope.lower()}"
    assert purls.npm(full.lower(), version) == PackageURL("npm", namespace, name.lower(), version).to_string()


@given(name=_NAMES.filter(lambda name: name[0].isalnum()), version=_TEXTS)
def test_pypi_round_trip_and_oracle(name: str, version: str) -> None:
    text = purls.pypi(name, version)
    assert str(purls.parse(text)) == text
    assert purls.parse(text).version == version
    assert text == PackageURL("pypi", None, purls.normalise_pypi_name(name), version).to_string()


@given(publisher=_NAMES, name=_NAMES, version=_NAMES, platform=st.none() | _NAMES)
def test_vscode_round_trip_and_oracle(publisher: str, name: str, version: str, platform: str | None) -> None:
    text = purls.vscode_extension(publisher, name, version, platform=platform)
    assert str(purls.parse(text.upper().replace("PLATFORM", "platform"))).lower() == text
    qualifiers = {"platform": platform.lower()} if platform else None
    parts = (publisher.lower(), name.lower(), version.lower())
    assert text == PackageURL("vscode-extension", *parts, qualifiers).to_string()


@given(
    st.text(max_size=60)
    | st.text(st.sampled_from("pkg:/npmyi@%?#&=40.-\x00\ud800"), max_size=40).map("pkg:npm/".__add__)
)
def test_any_text_is_a_purl_or_an_error_and_canonical_texts_stay(text: str) -> None:
    try:
        purl = purls.parse(text)
    except PurlError:
        return
    assert purls.parse(str(purl)) == purl
    assert str(purl).isprintable()
