"""The options of a requirements.txt line, read by the same standard parser that pip uses."""

import re
import shlex
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NoReturn

from scangate.lockfiles.requirements_lines import LogicalLine

if TYPE_CHECKING:
    from optparse import OptionParser

MAX_OPTIONS_CHARACTERS = 100_000
"""Of one line, other than plain "--hash" options: optparse takes quadratic time in its words."""

_ONLY_HASHES = re.compile(r"""(?:--hash[= ]\w[^\s'"\\]*(?: +|\Z))+\Z""")  # nothing that a shell's rules would change


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options that decide what is installed, or from where, in the order written.

    Options about how to build, or which archive of a version to take, are accepted and not kept. `leftover` is text
    between options, which pip's parser drops.
    """

    requirement: tuple[str, ...] = ()
    constraint: tuple[str, ...] = ()
    editable: tuple[str, ...] = ()
    index_url: str | None = None
    extra_index_url: tuple[str, ...] = ()
    no_index: bool = False
    find_links: tuple[str, ...] = ()
    trusted_host: tuple[str, ...] = ()
    hash: tuple[str, ...] = ()
    leftover: tuple[str, ...] = ()


NO_OPTIONS = Options()

_LISTS: tuple[tuple[str, ...], ...] = (
    ("-r", "--requirement"),
    ("-c", "--constraint"),
    ("-e", "--editable"),
    ("--extra-index-url",),
    ("-f", "--find-links"),
    ("--trusted-host",),
    ("--hash",),
)
_FLAGS = ("--no-index", "--pre", "--prefer-binary", "--require-hashes", "--no-require-hashes")
# Without a part in what is installed from where. The last two: pip before 23.1 and before 26.
_WITH_VALUE: tuple[tuple[str, ...], ...] = (
    ("--no-binary",),
    ("--only-binary",),
    ("--all-releases",),
    ("--only-final",),
    ("--use-feature",),
    ("-C", "--config-settings", "--config-setting"),
    ("--install-option",),
    ("--global-option",),
)


def split(line: LogicalLine) -> tuple[str, Options]:
    """The requirement on a line (may be empty) and the line's options, which start at the first word with a dash.

    Raises LockfileError for an option that pip does not know, or one without its value.
    """
    text = line.text
    at = 0 if text.startswith("-") else text.find(" -") + 1
    if at == 0 and not text.startswith("-"):
        return text, NO_OPTIONS
    head, rest = text[:at].rstrip(), text[at:]
    if _ONLY_HASHES.match(rest):
        return head, Options(hash=tuple(word.removeprefix("--hash=") for word in rest.split(" ") if _is_value(word)))
    return head, _parse(rest, line)


def _is_value(word: str) -> bool:
    """Not empty and not the bare option before its value."""
    return word not in ("", "--hash")


def _parse(text: str, line: LogicalLine) -> Options:
    if len(text) > MAX_OPTIONS_CHARACTERS:
        raise line.error(f"more than {MAX_OPTIONS_CHARACTERS} characters of options.", _HINT)
    try:
        words = shlex.split(text)
    except ValueError as exc:
        raise line.error("the options cannot be split into words: a quotation mark is not closed.", _HINT) from exc
    try:
        values, leftover = _parser().parse_args(words)
    except ValueError as exc:
        raise line.error(f"pip refuses this line: {exc}.", _HINT) from exc
    return Options(
        requirement=tuple(values.requirement or ()),
        constraint=tuple(values.constraint or ()),
        editable=tuple(values.editable or ()),
        index_url=values.index_url,
        extra_index_url=tuple(values.extra_index_url or ()),
        no_index=bool(values.no_index),
        find_links=tuple(values.find_links or ()),
        trusted_host=tuple(values.trusted_host or ()),
        hash=tuple(values.hash or ()),
        leftover=tuple(leftover),
    )


_HINT = "Correct the line, or take it out; pip cannot read the file like this either."


@cache
def _parser() -> "OptionParser":
    """optparse rather than argparse: pip's is one, and abbreviations, "-rFILE" and "--x=y" must mean the same."""
    from optparse import OptionParser

    class Parser(OptionParser):
        def error(self, msg: str) -> NoReturn:
            raise ValueError(msg)

    parser = Parser(add_help_option=False)
    parser.add_option("-i", "--index-url", "--pypi-url", dest="index_url")
    for names in _LISTS:
        parser.add_option(*names, dest=names[-1].lstrip("-").replace("-", "_"), action="append")
    for name in _FLAGS:
        parser.add_option(name, action="store_true")
    for names in _WITH_VALUE:
        parser.add_option(*names, dest="without_effect")
    return parser
