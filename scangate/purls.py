"""Package URLs: the only place that composes, reads or compares them.

Ours rather than packageurl-python, which lower-cases npm names, also those it only passes on: npm names are
case-sensitive (`JSONStream` and `jsonstream` are two live packages). That library is the oracle of the tests.
Rules: the purl specification (ECMA-427) and its type definitions for npm, pypi and vscode-extension.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

from scangate.errors import PurlError
from scangate.models.lockfile import Ecosystem

MAX_PURL_CHARACTERS = 4096

_TYPE = re.compile(r"[a-z][a-z0-9.+-]*\Z")
_QUALIFIER_KEY = re.compile(r"[a-z][a-z0-9._-]*\Z")
_SEPARATORS = re.compile(r"[-_.]+")
_PLAIN = re.compile(r"[A-Za-z0-9._~:-]*\Z")
_PLAIN_NPM = re.compile(r"(?:(@)[A-Za-z0-9._~:-]{1,256}/)?[A-Za-z0-9._~:-]{1,256}@[A-Za-z0-9._~:-]{1,256}\Z")


class Purl(NamedTuple):
    """A purl in its parts, normalised for its type. `str()` gives the canonical text."""

    type: str
    namespace: str | None
    name: str
    version: str | None = None
    qualifiers: tuple[tuple[str, str], ...] = ()
    subpath: str | None = None

    def __str__(self) -> str:
        text = f"pkg:{self.type}/"
        if self.namespace:
            text += "/".join(_encode(segment) for segment in self.namespace.split("/")) + "/"
        text += _encode(self.name)
        if self.version is not None:
            text += "@" + _encode(self.version)
        if self.qualifiers:
            text += "?" + "&".join(f"{key}={_encode(value)}" for key, value in self.qualifiers)
        if self.subpath:
            text += "#" + "/".join(_encode(segment) for segment in self.subpath.split("/"))
        return text

    @property
    def package_name(self) -> str:
        """The name as the ecosystem writes it: npm "@scope/name", vscode-extension "publisher/name"."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def ecosystem(self) -> Ecosystem | None:
        """None for a type that scangate does not know."""
        return Ecosystem(self.type) if self.type in _ECOSYSTEMS else None


_ECOSYSTEMS = frozenset(Ecosystem)


def npm(name: str, version: str, *, repository_url: str | None = None) -> str:
    """The purl of an npm package; `name` may have a scope ("@scope/name"); case is kept."""
    # Nearly all need no encoding but the scope's "@"; a lockfile has ten thousand of them.
    plain = _PLAIN_NPM.match(text := f"{name}@{version}")
    if plain is not None and repository_url is None:
        return f"pkg:npm/%40{text[1:]}" if plain[1] else f"pkg:npm/{text}"
    namespace, _, base = name.rpartition("/")
    return _compose("npm", namespace or None, base, version, repository_url=repository_url)


def pypi(name: str, version: str, *, repository_url: str | None = None) -> str:
    """The purl of a Python package; the name is normalised as PEP 503 says, the version is left as it is."""
    return _compose("pypi", None, normalise_pypi_name(name), version, repository_url=repository_url)


def vscode_extension(
    publisher: str, name: str, version: str, *, platform: str | None = None, repository_url: str | None = None
) -> str:
    """The purl of a VS Code extension; all parts are case-insensitive and so lower-cased."""
    return _compose(
        "vscode-extension",
        publisher.lower() or None,
        name.lower(),
        version.lower(),
        platform=platform and platform.lower(),
        repository_url=repository_url,
    )


def normalise_pypi_name(name: str) -> str:
    """PEP 503. Without packaging's `canonicalize_name` (the same line), whose import costs start-up time."""
    return _SEPARATORS.sub("-", name).lower()


def parse(text: str) -> Purl:
    """Read a purl. Raises PurlError where it is none, or where its type's rules are broken."""
    if len(text) > MAX_PURL_CHARACTERS:
        raise _error(text, f"longer than {MAX_PURL_CHARACTERS} characters")
    scheme, colon, rest = text.strip().partition(":")
    if not colon or scheme.lower() != "pkg":
        raise _error(text, 'it does not start with "pkg:"')
    rest, _, subpath = rest.partition("#")
    rest, _, qualifiers = rest.partition("?")
    type_, slash, path = rest.strip("/").partition("/")
    type_ = type_.lower()
    if not slash or not _TYPE.match(type_):
        raise _error(text, "it has no type")
    # The version starts at the last "@" that is behind the last "/": an npm scope may stand as a bare "@scope".
    head, last_slash, tail = path.rpartition("/")
    name, at, version = tail.rpartition("@") if "@" in tail[1:] else (tail, "", "")
    segments = [_decode(text, segment) for segment in head.split("/") if segment] if last_slash else []
    if any("/" in segment for segment in segments):
        raise _error(text, "a namespace segment holds a slash")
    purl = Purl(
        type_,
        "/".join(segments) or None,
        _decode(text, name),
        _decode(text, version) if at and version else None,
        _read_qualifiers(text, qualifiers),
        "/".join(part for part in (_decode(text, s) for s in subpath.split("/")) if part not in ("", ".", ".."))
        or None,
    )
    return _normalised(text, purl)


def submittable(text: str) -> Purl:
    """A purl that an analysis can be asked for: of a known ecosystem, with a version. Raises PurlError."""
    purl = parse(text)
    if purl.ecosystem is None:
        raise PurlError(f"{text}: type {purl.type!r} cannot be analysed.", f"Use one of {', '.join(Ecosystem)}.")
    if purl.version is None:
        raise PurlError(f"{text}: no version.", "Add the exact version: pkg:TYPE/NAME@VERSION.")
    return purl


def same(one: str, other: str) -> bool:
    """Whether two texts are the same purl. A text that is no purl equals nothing, not even itself."""
    try:
        return parse(one) == parse(other)
    except PurlError:
        return False


def _compose(type_: str, namespace: str | None, name: str, version: str, **qualifiers: str | None) -> str:
    shown = f"{type_} {name} {version}"
    if not version:
        raise _error(shown, "it has no version")
    pairs = tuple(sorted((key, value) for key, value in qualifiers.items() if value))
    text = str(_normalised(shown, Purl(type_, namespace, name, version, pairs)))
    if len(text) > MAX_PURL_CHARACTERS:
        raise _error(shown, f"longer than {MAX_PURL_CHARACTERS} characters")
    return text


def _normalised(text: str, purl: Purl) -> Purl:
    if not purl.name:
        raise _error(text, "it has no name")
    _check_characters(text, purl)
    namespace, name, version = purl.namespace, purl.name, purl.version
    if purl.type == Ecosystem.PYPI:
        if namespace:
            raise _error(text, "a pypi purl has no namespace")
        name = normalise_pypi_name(name)
    elif purl.type == Ecosystem.NPM:
        if namespace is not None and (not namespace.startswith("@") or "/" in namespace):
            raise _error(text, 'an npm namespace is one "@scope"')
    elif purl.type == Ecosystem.VSCODE_EXTENSION:
        if namespace is None or "/" in namespace:
            raise _error(text, "a vscode-extension purl needs its publisher as namespace")
        namespace, name, version = namespace.lower(), name.lower(), version and version.lower()
    return Purl(purl.type, namespace, name, version, purl.qualifiers, purl.subpath)


def _check_characters(text: str, purl: Purl) -> None:
    """Control characters, bidirectional overrides and lone surrogates are in no real name, and are not encodable."""
    values = (value for _, value in purl.qualifiers)
    for part in (purl.namespace, purl.name, purl.version, purl.subpath, *values):
        if part is not None and not part.isprintable():
            raise _error(text, "it holds a character that cannot be printed")


def _read_qualifiers(text: str, raw: str) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for pair in _nonempty(raw.split("&")):
        key, _, value = pair.partition("=")
        key = key.lower()
        if not _QUALIFIER_KEY.match(key):
            raise _error(text, f"qualifier key {key!r} is not one")
        if key in found:
            raise _error(text, f"qualifier {key!r} stands twice")
        if value:
            found[key] = _decode(text, value)
    return tuple(sorted(found.items()))


def _nonempty(parts: Iterable[str]) -> Iterable[str]:
    return (part for part in parts if part)


def _encode(text: str) -> str:
    """Percent-encode all but letters, digits and ".-_~:" (the specification leaves the colon as it is)."""
    return text if _PLAIN.match(text) else quote(text, safe=":~")


def _decode(text: str, part: str) -> str:
    if "%" not in part:
        return part
    try:
        return unquote_to_bytes(part).decode("utf-8")
    except UnicodeError as exc:  # also a lone surrogate beside the percent sign
        raise _error(text, "a percent-encoded part is not UTF-8") from exc


def _error(text: str, problem: str) -> PurlError:
    shown = text if len(text) <= 200 else text[:200] + "…"
    return PurlError(
        f"{shown!r} is not a package URL: {problem}.", "Write pkg:TYPE/NAME@VERSION, e.g. pkg:npm/axios@1.14.0."
    )
