"""`${{ }}` as the runner evaluates it: the part of the language that action.yml uses, and an error for the rest.

tests/assets/action/expressions.json holds what GitHub's own library says (tools/fixtures/expressions.mjs).
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Value = object
Functions = Mapping[str, Callable[..., Value]]

_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>[A-Za-z_][\w-]*)"
    r"|(?P<operator>==|!=|<=|>=|&&|\|\||[<>!().,]))",
    re.ASCII,
)
_WORDS = {"true": True, "false": False, "null": None}


class ExpressionError(ValueError):
    """What the runner would refuse, or this evaluator does not know."""


def interpolate(text: str, contexts: Mapping[str, Value], functions: Functions) -> str:
    """The text with each `${{ }}` replaced by its value."""
    return re.sub(
        r"\$\{\{(.*?)\}\}", lambda found: string(evaluate(found[1], contexts, functions)), text, flags=re.DOTALL
    )


def condition(text: str, contexts: Mapping[str, Value], functions: Functions) -> bool:
    """An `if:`; without a status function it holds only where nothing failed."""
    whole = re.fullmatch(r"\s*\$\{\{(.*)\}\}\s*", text, flags=re.DOTALL)
    expression = whole[1] if whole else text
    if not re.search(r"\b(?:always|success|failure|cancelled)\s*\(", expression):
        expression = f"success() && ({expression})"
    return truthy(evaluate(expression, contexts, functions))


def evaluate(text: str, contexts: Mapping[str, Value], functions: Functions) -> Value:
    parser = _Parser(_tokens(text), contexts, {**_FUNCTIONS, **functions})
    value = parser.expression()
    if parser.tokens:
        raise ExpressionError(f"{text!r}: unexpected {parser.tokens[0]}")
    return value


def truthy(value: Value) -> bool:
    return not (value is None or value is False or value in (0, "") or (isinstance(value, float) and math.isnan(value)))


def string(value: Value) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer():
            return str(int(value))
        case str() | int() | float():
            return str(value)
        case _:
            return "Array" if isinstance(value, list) else "Object"


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, position = [], 0
    stripped = text.rstrip()
    while position < len(stripped):
        found = _TOKEN.match(stripped, position)
        if found is None:
            raise ExpressionError(f"{text!r}: unknown at {stripped[position:]!r}")
        assert found.lastgroup is not None
        tokens.append((found.lastgroup, found[found.lastgroup]))
        position = found.end()
    return tokens


@dataclass
class _Parser:
    tokens: list[tuple[str, str]]
    contexts: Mapping[str, Value]
    functions: Functions

    def expression(self) -> Value:
        value = self._conjunction()
        while self._takes("||"):
            other = self._conjunction()
            value = value if truthy(value) else other
        return value

    def _conjunction(self) -> Value:
        value = self._comparison()
        while self._takes("&&"):
            other = self._comparison()
            value = other if truthy(value) else value
        return value

    def _comparison(self) -> Value:
        value = self._unary()
        if self._takes("=="):
            return _equal(value, self._unary())
        if self._takes("!="):
            return not _equal(value, self._unary())
        return value

    def _unary(self) -> Value:
        if self._takes("!"):
            return not truthy(self._unary())
        if self._takes("("):
            value = self.expression()
            self._needs(")")
            return value
        return self._primary()

    def _primary(self) -> Value:
        kind, text = self.tokens.pop(0) if self.tokens else ("end", "")
        match kind:
            case "string":
                return text[1:-1].replace("''", "'")
            case "number":
                return float(text)
            case "name" if text in _WORDS:
                return _WORDS[text]
            case "name" if self._takes("("):
                return self._call(text)
            case "name":
                return self._path(text)
            case _:
                raise ExpressionError(f"unexpected {text or kind!r}")

    def _call(self, name: str) -> Value:
        arguments: list[Value] = []
        while not self._takes(")"):
            if arguments:
                self._needs(",")
            arguments.append(self.expression())
        if name not in self.functions:
            raise ExpressionError(f"unknown function {name}")
        return self.functions[name](*arguments)

    def _path(self, name: str) -> Value:
        if name not in self.contexts:
            raise ExpressionError(f"unknown context {name}")
        value = self.contexts[name]
        while self._takes("."):
            kind, key = self.tokens.pop(0)
            if kind != "name":
                raise ExpressionError(f"no name after {name}.")
            # What is not there is null, and so is everything in it.
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def _takes(self, operator: str) -> bool:
        if self.tokens and self.tokens[0] == ("operator", operator):
            self.tokens.pop(0)
            return True
        return False

    def _needs(self, operator: str) -> None:
        if not self._takes(operator):
            raise ExpressionError(f"{operator} is missing")


def _equal(one: Value, other: Value) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return one.casefold() == other.casefold()
    if type(one) is type(other):
        return one == other
    return _number(one) == _number(other)


def _number(value: Value) -> float:
    match value:
        case None | "":
            return 0.0
        case bool() | int() | float():
            return float(value)
        case str():
            try:
                return float(json.loads(value.strip()))
            except (ValueError, TypeError):
                return math.nan
        case _:
            return math.nan


def _format(template: Value, *values: Value) -> str:
    return re.sub(r"\{(\d+)\}", lambda found: string(values[int(found[1])]), string(template))


_FUNCTIONS: Functions = {"format": _format}
