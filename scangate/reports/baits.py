"""Planted secrets: their values, and where those turn up.

The sandbox puts random credentials into the environment of everything it runs. Having them there means nothing;
their value anywhere else means that the package took them.
"""

import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping, Set
from functools import cached_property
from typing import NamedTuple
from urllib.parse import quote

from scangate.models.analysis import Phase
from scangate.models.observations import BaitSeen
from scangate.reports.shapes import malformed

MAX_BAITS = 32
"""Distinct values in one report. Real ones hold two a phase; more would only make the search slow."""

_ALWAYS = frozenset({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"})
_SECRET_NAME = re.compile(
    r"(?:^|_)(?:SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIALS?|(?:API|ACCESS|SECRET|PRIVATE|AUTH)_?KEY)$", re.IGNORECASE
)
_MIN_VALUE_CHARACTERS = 16
"""Shorter values turn up by chance."""
_WINDOW = 12
"""So many characters in a row of a value in host names are proof: a value may be split over several look-ups."""
_BLOCK = _WINDOW // 2
"""Every window holds a whole block, wherever blocks of a host name begin."""
_CONTEXT_CHARACTERS = 40
_MASK = "*****"


class _Needle(NamedTuple):
    """One way to write one planted value. `folded`: to be looked for in lower-cased text."""

    bait: str
    encoding: str
    text: str
    folded: bool = False


class Baits:
    """The planted values of one report, ready to be looked for in time linear in the text."""

    def __init__(self, values: Mapping[str, str]) -> None:
        """`values`: each planted value with the name of its variable. Raises ReportError for too many."""
        if len(values) > MAX_BAITS:
            raise malformed(f"it plants {len(values)} different secrets, which no sandbox does")
        self._needles = tuple(needle for value, name in values.items() for needle in _written(name, value))

    @cached_property
    def _windows(self) -> Mapping[str, _Needle]:
        return {
            folded[start : start + _WINDOW]: needle
            for needle in self._needles
            for folded in [needle.text.lower()]
            for start in range(len(folded) - _WINDOW + 1)
        }

    @cached_property
    def _blocks(self) -> Set[str]:
        return {window[start : start + _BLOCK] for window in self._windows for start in range(_WINDOW - _BLOCK + 1)}

    @cached_property
    def _mask(self) -> re.Pattern[str]:
        """Every planted value, however it is written. Nearly always nothing is found, and nothing has to be masked."""
        written = sorted({needle.text for needle in self._needles}, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, written)), re.IGNORECASE)

    def in_texts(self, phase: Phase, where: str, texts: Iterable[str]) -> Iterator[BaitSeen]:
        """Each bait that stands whole in a text, once per text and encoding."""
        each = tuple(texts)
        whole = "\n".join(each)
        folded_whole = whole.lower()
        # Nearly always nothing is found: one search through everything tells so.
        present = [needle for needle in self._needles if needle.text in (folded_whole if needle.folded else whole)]
        for text in each if present else ():
            folded = text.lower()
            seen = set()
            for needle in present:
                at = (folded if needle.folded else text).find(needle.text)
                if at >= 0 and (needle.bait, needle.encoding) not in seen:
                    seen.add((needle.bait, needle.encoding))
                    context = self._context(text, at, len(needle.text))
                    yield BaitSeen(
                        phase=phase, bait=needle.bait, where=where, encoding=needle.encoding, context=context
                    )

    def in_host(self, phase: Phase, host: str) -> Iterator[BaitSeen]:
        """Each bait of which a part stands in a host name, its labels read as one text (names have no case)."""
        joined = host.replace(".", "")
        blocks = (joined[start : start + _BLOCK] for start in range(0, len(joined) - _BLOCK + 1, _BLOCK))
        if self._blocks.isdisjoint(blocks):
            return
        places = [index for index, character in enumerate(host) if character != "."]
        shown, found = list(host), {}
        for start in range(len(joined) - _WINDOW + 1):
            needle = self._windows.get(joined[start : start + _WINDOW])
            if needle is not None:
                found[needle.bait, needle.encoding] = needle
                for index in places[start : start + _WINDOW]:
                    shown[index] = "*"
        context = "".join(shown)[-3 * _CONTEXT_CHARACTERS :]
        for bait, encoding in found:
            yield BaitSeen(phase=phase, bait=bait, where="host", encoding=encoding, context=context)

    def _context(self, text: str, at: int, length: int) -> str:
        """What stands around a value, with this and every other planted value masked."""
        start, end = max(0, at - 2 * _CONTEXT_CHARACTERS), at + length + 2 * _CONTEXT_CHARACTERS
        before, after = self._mask.sub(_MASK, text[start:at]), self._mask.sub(_MASK, text[at + length : end])
        return f"{before[-_CONTEXT_CHARACTERS:]}{_MASK}{after[:_CONTEXT_CHARACTERS]}"


def planted(environment: Iterable[str], *, by_harness: bool) -> Iterator[tuple[str, str]]:
    """The planted values in one command's environment, each with its variable's name.

    Of the analysis harness's own commands every variable named like a secret counts; of other commands only the
    names that the sandbox is known to plant, since a package may give its children variables of its own.
    """
    for entry in environment:
        name, _, value = entry.partition("=")
        if len(value) >= _MIN_VALUE_CHARACTERS and (name in _ALWAYS or (by_harness and _SECRET_NAME.search(name))):
            yield value, name


def _written(name: str, value: str) -> Iterator[_Needle]:
    raw = value.encode("utf-8", "backslashreplace")
    for text in dict.fromkeys((value, quote(value, safe=""))):
        yield _Needle(name, "raw", text)
    yield _Needle(name, "hex", raw.hex(), folded=True)
    for encode in (b64encode, urlsafe_b64encode):
        for offset in range(3):
            # Only the characters that no neighbour of the value has a bit in.
            first, last = -(-offset * 8 // 6), (offset + len(raw)) * 8 // 6
            yield _Needle(name, "base64", encode(b"\0" * offset + raw)[first:last].decode("ascii"))
