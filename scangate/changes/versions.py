"""Which of two versions is the later one, by the rules of their ecosystem."""

import re

from scangate.models.changes import ChangeKind
from scangate.models.lockfile import Ecosystem

MAX_CHARACTERS = 256
"""Of a version; npm's own limit. What is longer has no order."""

_SEMVER = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?\Z", re.ASCII)

_Prerelease = tuple[tuple[int, int, str], ...]


def direction(ecosystem: Ecosystem, before: str | None, after: str | None) -> ChangeKind:
    """UPGRADED, DOWNGRADED, or CHANGED where one is no version, or neither is the later one."""
    if before is None or after is None or max(len(before), len(after)) > MAX_CHARACTERS:
        return ChangeKind.CHANGED
    order = _pep440(before, after) if ecosystem is Ecosystem.PYPI else _semver(before, after)
    if order == 0:
        return ChangeKind.CHANGED
    return ChangeKind.UPGRADED if order > 0 else ChangeKind.DOWNGRADED


def _semver(before: str, after: str) -> int:
    one, other = _semver_key(before), _semver_key(after)
    return 0 if one is None or other is None else (other > one) - (other < one)


def _semver_key(text: str) -> tuple[int, int, int, bool, _Prerelease] | None:
    """Semantic Versioning 2.0.0, section 11: a release is later than its pre-releases, build metadata says nothing."""
    match = _SEMVER.match(text)
    if match is None:
        return None
    parts = match[4].split(".") if match[4] else []
    # Numbers come before words, and are compared as numbers.
    prerelease = tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)
    return int(match[1]), int(match[2]), int(match[3]), match[4] is None, prerelease


def _pep440(before: str, after: str) -> int:
    from packaging.version import InvalidVersion, Version

    try:
        one, other = Version(before), Version(after)
    except InvalidVersion:
        return 0
    return (other > one) - (other < one)
