"""The project's .npmrc: which registry npm asks for a package.

Rules as in npm 11 (`ini`, `npm-registry-fetch` pickRegistry, arborist's registryResolved): later lines win, what
stands below a [section] does not count, `;` and `#` end an unquoted value.
"""

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from scangate.files import Files
from scangate.models.lockfile import Ecosystem
from scangate.registries import DEFAULT_URL
from scangate.urls import host_of

_DEFAULT_URL = DEFAULT_URL[Ecosystem.NPM]
_DEFAULT_HOST = host_of(_DEFAULT_URL)
_SCOPE_REGISTRY = re.compile(r"(@[^:/\s]+):registry\Z")
_SECTION = re.compile(r"\[[^\]]*\]\s*\Z")
_LINE = re.compile(r"([^=]+)(?:=(.*))?\Z")
_UNESCAPED = re.compile(r"\\([\\;#])|[;#].*|(.)", re.DOTALL)


class Registry(NamedTuple):
    """A registry. `host` is None where it hides in an environment variable: those are never expanded.

    `configured`: .npmrc names it (else it is only where a URL of the lockfile leads). `url` is what .npmrc says, None
    where that is the public registry's own: what comes from a host may be another tenant's by the rest of the URL.
    """

    host: str | None
    configured: bool = True
    url: str | None = None


PUBLIC = Registry(host=_DEFAULT_HOST, configured=False)


class Npmrc(NamedTuple):
    """`default` serves every name whose scope has no registry of its own in `scopes` ("@scope" → registry)."""

    default: Registry = PUBLIC
    scopes: Mapping[str, Registry] = MappingProxyType({})
    project_scope: str | None = None
    replaces_public: bool = True

    def tied(self, name: str) -> Registry | None:
        """The registry of the name's own scope, if .npmrc names one."""
        return self.scopes.get(name.partition("/")[0]) if name.startswith("@") else None

    def asked_for(self, name: str) -> Registry:
        """Where npm asks for a name whose entry has no `resolved`."""
        return self.tied(name) or self.scopes.get(self.project_scope or "") or self.default

    def fetched_from(self, host: str | None) -> Registry:
        """Where npm fetches a `resolved` URL on `host` from.

        The public host is a magic value: npm puts the configured registry in its place (replace-registry-host,
        "npmjs" unless .npmrc says otherwise; "always" and own hosts are not followed for other hosts, for older
        versions of npm do not know them).
        """
        if host == _DEFAULT_HOST and self.replaces_public:
            return self.default
        named = any(host == registry.host for registry in (self.default, *self.scopes.values()))
        return Registry(host=host, configured=named and host is not None)


def read(folder: str, files: Files) -> Npmrc:
    """Read `folder`/.npmrc; without the file, npm's own defaults. `folder` is "" or ends with "/"."""
    content = files.read(f"{folder}.npmrc")
    if content is None:
        return Npmrc()
    settings = parse(content.decode("utf-8-sig", errors="replace"))
    scopes = {
        match[1]: _registry(value) for key, value in settings.items() if (match := _SCOPE_REGISTRY.match(key)) and value
    }
    scope = settings.get("scope", "")
    return Npmrc(
        default=_default(settings.get("registry", "")),
        scopes=scopes,
        project_scope=scope and (scope if scope.startswith("@") else f"@{scope}"),
        replaces_public=settings.get("replace-registry-host", "npmjs") in ("npmjs", "always", _DEFAULT_HOST),
    )


def parse(text: str) -> dict[str, str]:
    """The settings above the first [section], as npm's ini reads them."""
    settings: dict[str, str] = {}
    for line in re.split(r"[\r\n]+", text):
        if _SECTION.match(line):
            break
        stripped = line.strip()
        match = _LINE.match(line)
        if match and stripped and stripped[0] not in ";#":
            settings[_plain(match[1])] = "true" if match[2] is None else _plain(match[2])
    return settings


def _plain(value: str) -> str:
    """Without quotes, escapes and the comment behind."""
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] == "'":
        value = value[1:-1]
    elif not (len(value) > 1 and value[0] == value[-1] == '"'):
        return _UNESCAPED.sub(lambda match: match[1] or match[2] or "", value).strip()
    try:
        decoded = json.loads(value)
    except ValueError:
        return value
    return decoded if isinstance(decoded, str) else value


def _default(url: str) -> Registry:
    """npm drops a `registry` that is no URL at all, and goes on with the public one."""
    return _registry(url) if ":" in url or "$" in url else PUBLIC


def _registry(url: str) -> Registry:
    host = host_of(url)
    is_public = url.rstrip("/") == _DEFAULT_URL.rstrip("/")
    return Registry(host=None if host is None or "$" in host else host, url=None if is_public else url)
