"""The nearest valid word for a mistyped one."""

from collections.abc import Iterable
from difflib import get_close_matches

_LISTED = 12


def nearest(word: str, valid: Iterable[str]) -> str | None:
    """The one valid word that `word` was most likely meant to be; None where nothing is near."""
    words = sorted(map(str, valid))
    folded = word.lower().replace("_", "-")
    if folded in words:
        return folded
    return next(iter(get_close_matches(folded[:100], words, n=1, cutoff=0.6)), None)


def no_rule(name: str, rules: Iterable[str]) -> tuple[str, str]:
    """What to say of a rule's name that is none, and the hint."""
    return f"there is no rule {name!r}", hint(name, rules)


def hint(word: str, valid: Iterable[str]) -> str:
    """What to write instead of `word`: the nearest valid word, else the valid words."""
    words = sorted(map(str, valid))
    near = nearest(word, words)
    if near is not None:
        return f"Did you mean {near!r}?"
    shown = ", ".join(words[:_LISTED]) + (", …" if len(words) > _LISTED else "")
    return f"Valid here: {shown}." if words else ""
