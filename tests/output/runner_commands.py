"""The workflow-command parsers of GitHub's runner, for tests: what a log would make the runner do.

Written from the runner's sources (actions/runner: src/Runner.Common/ActionCommand.cs for both forms,
src/Runner.Worker/ActionCommandManager.cs for the order, the registered names and stop-commands,
src/Runner.Worker/Handlers/OutputManager.cs for what is a line).
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

NAMES = frozenset(
    {
        *("add-mask", "add-matcher", "add-path", "debug", "echo", "endgroup", "error", "group", "notice"),
        *("remove-matcher", "save-state", "set-env", "set-output", "stop-commands", "warning"),
    }
)
"""The commands that the runner has registered; compared without case."""

ANNOTATIONS = ("error", "warning", "notice")
MAX_ANNOTATIONS_OF_A_TYPE = 10
"""The runner keeps the first ten of each type in a step (a composite action is one step), and drops the rest."""
MAX_MESSAGE = 4096
"""Characters of a message that the runner keeps."""

_WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""Char.IsWhiteSpace, which TrimStart and Trim go by."""

_LEGACY = ((";", "%3B"), ("\r", "%0D"), ("\n", "%0A"), ("]", "%5D"), ("%", "%25"))
_DATA = (("\r", "%0D"), ("\n", "%0A"), ("%", "%25"))
_PROPERTY = (("\r", "%0D"), ("\n", "%0A"), (":", "%3A"), (",", "%2C"), ("%", "%25"))


@dataclass(frozen=True, slots=True)
class Command:
    """A command as the runner understood it. Names of properties in lower case: the runner ignores case."""

    name: str
    properties: dict[str, str] = field(default_factory=dict)
    data: str = ""


def lines(log: str) -> list[str]:
    """What the runner takes for lines: LF, CR and CRLF end one."""
    return re.split(r"\r\n|\r|\n", log)


def commands(log: str) -> Iterator[Command]:
    """Every command that the runner would obey, in order; `stop-commands` stops them until its token comes."""
    token = None
    for line in lines(log):
        names = NAMES if token is None else NAMES | {token.lower()}
        found = parse(line, names)
        if found is None:
            continue
        if token is None:
            yield found
            token = found.data if found.name.lower() == "stop-commands" else None
        elif found.name.lower() == token.lower():
            token = None


def parse(line: str, names: Collection[str] = NAMES) -> Command | None:
    """The command of a line: `::name key=value,…::data` after white space, else `##[name key=value;…]data` anywhere."""
    return _second_form(line, names) or _legacy_form(line, names)


def annotations(log: str) -> list[Command]:
    """The annotations that the runner would keep: the first ten of each type, with messages of 4,096 characters."""
    kept: list[Command] = []
    for command in commands(log):
        name = command.name.lower()
        if name in ANNOTATIONS and sum(each.name == name for each in kept) < MAX_ANNOTATIONS_OF_A_TYPE:
            kept.append(Command(name, command.properties, command.data[:MAX_MESSAGE]))
    return kept


def _second_form(line: str, names: Collection[str]) -> Command | None:
    line = line.lstrip(_WHITE_SPACE)
    if not line.startswith("::"):
        return None
    end = line.find("::", 2)
    if end < 0:
        return None
    name, space, properties = line[2:end].partition(" ")
    if name.lower() not in names:
        return None
    # A space at the very start would make the name empty, which is not registered.
    pairs = properties.strip(_WHITE_SPACE).split(",") if space else []
    return Command(name, _properties(pairs, _PROPERTY), _unescape(line[end + 2 :], _DATA))


def _legacy_form(line: str, names: Collection[str]) -> Command | None:
    start = line.find("##[")
    end = line.find("]", start) if start >= 0 else -1
    if end < 0:
        return None
    name, space, properties = line[start + 3 : end].partition(" ")
    if name.lower() not in names:
        return None
    return Command(
        name, _properties(properties.split(";") if space else [], _LEGACY), _unescape(line[end + 1 :], _LEGACY)
    )


def _properties(pairs: list[str], mapping: tuple[tuple[str, str], ...]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        # StringSplitOptions.RemoveEmptyEntries: an empty key or value is no pair, and a doubled "=" is one.
        key, _, value = pair.lstrip("=").partition("=")
        if key and (value := value.lstrip("=")):
            found[key.lower()] = _unescape(value, mapping)
    return found


def _unescape(text: str, mapping: tuple[tuple[str, str], ...]) -> str:
    for token, replacement in mapping:
        text = text.replace(replacement, token)
    return text
