"""Globs on paths, as `exclude` and `overrides` of the policy have them."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase


def path_matches(patterns: Iterable[str], path: str) -> bool:
    """Whether a glob matches the whole path, or a folder above it ("docs" is "docs/**").

    Both start at the same root. `*`, `?` and `[…]` stay within one name, `**` stands for any number of folders,
    none included: "**/fixtures" is every folder "fixtures", "docs/*.txt" only files in "docs" itself.
    """
    parts = path.split("/")
    return any(_matches([part for part in pattern.split("/") if part not in ("", ".")], parts) for pattern in patterns)


def _matches(pattern: Sequence[str], parts: Sequence[str]) -> bool:
    # All places in the pattern at once, so that no pattern can take exponential time.
    places = _behind_stars(pattern, {0})
    for part in parts:
        if len(pattern) in places:
            break
        stays = {place for place in places if pattern[place] == "**"}
        moves = {place + 1 for place in places - stays if fnmatchcase(part, pattern[place])}
        places = _behind_stars(pattern, stays | moves)
    return bool(pattern) and len(pattern) in places


def _behind_stars(pattern: Sequence[str], places: set[int]) -> set[int]:
    for place in range(min(places, default=len(pattern)), len(pattern)):
        if place in places and pattern[place] == "**":
            places.add(place + 1)
    return places
