"""Whether one state of a package-lock surely adds nothing to another, told without building a single entry.

For the change that only takes packages away, or writes the same ones in another order or layout. Every doubt is
answered by False: then both are read wholly, and nothing can be missed.
"""

import json
import re
from collections.abc import Mapping

from scangate.digests import from_sri
from scangate.models.lockfile import Ecosystem
from scangate.registries import DEFAULT_URL

_PUBLIC_URL = DEFAULT_URL[Ecosystem.NPM]
_DIGEST = re.compile(rb'"integrity":\s*"([^"]+)"')
_OF_THE_ROOT = ("workspaces", "bundleDependencies", "bundledDependencies", "resolved", "link")
"""Members of the root entry that have a say about other entries; what it needs decides about paths alone."""


def adds_nothing(current: bytes, base: bytes) -> bool:
    """Whether all entries of `current` are entries of `base`, with nothing new to say of any.

    Both must have `packages`, and no `dependencies` beside it. There must be no .npmrc beside either.
    """
    # A digest that the base does not have is told faster than by parsing.
    if not set(_DIGEST.findall(current)) <= set(_DIGEST.findall(base)):
        return False
    try:
        now, before = (json.loads(text.decode("utf-8-sig"), object_pairs_hook=unique) for text in (current, base))
    except (ValueError, RecursionError):
        return False
    if not isinstance(now, dict) or not isinstance(before, dict) or "dependencies" in now:
        return False
    entries, known = now.pop("packages", None), before.pop("packages", None)
    if now != before or not isinstance(entries, dict) or not isinstance(known, dict):
        return False
    if not _same_roots(entries.pop("", None), known.pop("", None)):
        return False
    if any(known.get(place) != members for place, members in entries.items()):
        return False
    gone = {place: members for place, members in known.items() if place not in entries}
    return not gone or _is_free_of(gone, entries)


def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key stands twice")
    # `True == 1` in Python: a flag that became a number would look the same, and the lockfile is a broken one.
    if any(type(value) in (int, float) and value in (0, 1) for value in members.values()):
        raise ValueError("a number that equals a flag")
    return members


def _same_roots(now: object, before: object) -> bool:
    return (
        isinstance(now, dict)
        and isinstance(before, dict)
        and all(now.get(member) == before.get(member) for member in _OF_THE_ROOT)
    )


def _is_free_of(gone: Mapping[str, object], stays: Mapping[str, object]) -> bool:
    """Whether what is gone has no say about what stays: neither holds it, nor lends it its scope or its registry."""
    if not any(isinstance(members, dict) and _has_digest(members) for members in stays.values()):
        return False
    if any(not isinstance(members, dict) or "link" in members or "inBundle" in members for members in stays.values()):
        return False
    left = {_name(place, members) for place, members in stays.items()}
    return all(is_public(place, members) and _name(place, members) not in left for place, members in gone.items())


def _name(place: str, members: object) -> tuple[object, object]:
    assert isinstance(members, dict)
    return members.get("name") or _folder(place), members.get("version")


def is_public(place: str, members: object) -> bool:
    """Of the public registry, by the URL of just this package, with a digest: it ties no name, and leads nowhere."""
    if not isinstance(members, dict) or not _has_digest(members):
        return False
    name, version = _folder(place), members.get("version")
    url = f"{_PUBLIC_URL}{name}/-/{name.rpartition('/')[2]}-{version}.tgz"
    return bool(name) and "name" not in members and members.get("resolved") == url


def _has_digest(members: Mapping[str, object]) -> bool:
    text = members.get("integrity")
    return isinstance(text, str) and from_sri(text) != ()


def _folder(place: str) -> str:
    """The name of the folder in node_modules; "" for a directory that is in none."""
    _, found, name = f"/{place}".rpartition("/node_modules/")
    return name if found else ""
