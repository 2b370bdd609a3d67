"""google-re2, as the policy uses it: sets of patterns, searched for in linear time whatever pattern and input are.

Text is matched as UTF-8; what cannot be encoded (lone surrogates) becomes "?", which `.` matches: an attacker who
breaks the encoding must not thereby slip through a pattern. For the same reason `.` also matches a newline.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from scangate.models.lockfile import Ecosystem

LONGEST_PATTERN = 4096
_CHUNK = 250
_PATTERN_MEMORY = 1 << 20
"""Bytes for one pattern: a bound on its compiled size."""
_SET_MEMORY = 16 << 20
"""Bytes for one set: any pattern within its own bound fits, and re2 guarantees that matching then never fails."""

_Match = Callable[[bytes], list[int] | None]

_PLACEHOLDERS = ("{name}", "{version}")


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def trouble(pattern: str) -> str | None:
    """Why `pattern` cannot be used; None where it can."""
    import re2

    if len(pattern) > LONGEST_PATTERN:
        return f"longer than {LONGEST_PATTERN} characters"
    try:
        compiled = re2.compile(filled(pattern, Ecosystem.NPM, "name", "1.0.0"), _options(_PATTERN_MEMORY))
    except re2.error as exc:
        said = exc.args[0] if exc.args else ""
        return " ".join((said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)).split())
    # An "a|" left over, or ".*": as an excuse it would excuse everything.
    everything = compiled.search(b"") and compiled.search(b"\x01 \x02")
    return "it is found in every text" if everything else None


def fits_everything(pattern: str) -> bool:
    """Whether any text that is not empty holds it: harmless in `match`, but an excuse for whatever comes."""
    import re2

    compiled = re2.compile(encoded(pattern), _options(_PATTERN_MEMORY))
    # One character of each kind, none of which has anything in common with the others.
    return all(compiled.search(text) for text in (b"a", b"0", b"/", b".", b"\x01"))


def has_placeholder(pattern: str) -> bool:
    return any(placeholder in pattern for placeholder in _PLACEHOLDERS)


def filled(pattern: str, ecosystem: Ecosystem, name: str, version: str) -> bytes:
    """`pattern` with the placeholders replaced, escaped. A PyPI name matches in each spelling that PEP 503 equates."""
    import re2

    escaped: bytes = re2.escape(encoded(name))
    if ecosystem is Ecosystem.PYPI:
        escaped = b"(?i:" + escaped.replace(rb"\-", b"[-_.]+") + b")"
    return encoded(pattern).replace(b"{version}", re2.escape(encoded(version))).replace(b"{name}", escaped)


class PatternSet:
    """Many patterns, asked at once: which of them are found in a text?"""

    def __init__(self, patterns: Iterable[bytes]) -> None:
        """Patterns that `trouble` finds nothing wrong with. Raises ValueError for others."""
        self._chunks: list[tuple[int, _Match]] = []
        self._add(tuple(patterns), 0, _CHUNK)
        self._only = self._chunks[0][1] if len(self._chunks) == 1 else None

    def _add(self, patterns: Sequence[bytes], offset: int, chunk: int) -> None:
        import re2

        for start in range(0, len(patterns), chunk):
            part = patterns[start : start + chunk]
            compiled = re2.Set.SearchSet(_options(_SET_MEMORY))
            try:
                for pattern in part:
                    compiled.Add(pattern)
                compiled.Compile()
            except re2.error as exc:
                if len(part) == 1:
                    raise ValueError(f"a pattern cannot be compiled: {part[0]!r}") from exc
                self._add(part, offset + start, max(1, len(part) // 2))
            else:
                self._chunks.append((offset + start, compiled.Match))

    def found_in(self, text: str) -> Sequence[int]:
        """The indices of the patterns that are found in `text`."""
        data = text.encode("utf-8", "replace")
        if self._only is not None:
            return self._only(data) or ()
        hits: list[int] = []
        for offset, match in self._chunks:
            hits.extend(offset + index for index in match(data) or ())
        return hits


def _options(memory: int) -> Any:
    import re2

    options = re2.Options()
    options.log_errors = False
    options.dot_nl = True
    options.max_mem = memory
    return options
