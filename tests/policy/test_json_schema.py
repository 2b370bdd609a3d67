"""The JSON Schema and the loader agree: what the loader takes validates, and both refuse the same mistakes."""

import re
from collections.abc import Iterator
from importlib import resources
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from scangate.errors import PolicyError
from scangate.policy import json_schema, loader
from scangate.policy.cases import read
from scangate.reports import dynamic
from tests.policy.kit import as_editors_read, complaints
from tools import policy_reference

EXAMPLES = sorted({f"version: 1\n{example}" for _, example in policy_reference.examples()})


def _accepted(text: str) -> bool:
    """Whether the loader takes it, its tests included."""
    try:
        loader.load(text, "scangate.yml", read={}.get)
        read(text, "scangate.yml", classify=dynamic.classified, in_policy=True)
    except PolicyError:
        return False
    return True


def test_it_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(json_schema.document())


def test_every_definition_is_used() -> None:
    document = json_schema.document()
    used = set(re.findall(r"#/definitions/([^']+)'", str(document)))
    assert used == document["definitions"].keys()


def test_the_built_in_policy_validates() -> None:
    text = resources.files("scangate.policy").joinpath("default.yml").read_text("utf-8")
    assert not complaints(as_editors_read(text))


def test_the_built_in_policy_s_tests_validate() -> None:
    folder = resources.files("scangate.policy").joinpath("default-tests")
    for file in folder.iterdir():
        tests = as_editors_read(file.read_text("utf-8"))
        assert not complaints({"version": 1, **tests}), file.name


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_example_of_the_reference_validates(text: str) -> None:
    assert not complaints(as_editors_read(text))


@pytest.mark.parametrize(
    "text",
    [
        'version: 1\nsets: {numbers: [1, 2.5, true, "3"]}\n',
        "version: 1\nrules:\n- {id: true, title: 1.10, severity: high, observe: bait}\n",
        "version: 1\nregistries: {private: npm.acme.example, mirrors: MIRROR.Example:8080}\n",
        "version: 1\nexclude: 2024\n",
        "version: 1\ntests:\n- {observe: [], findings: []}\n",
        "version: 1\nrules:\n- {id: a, title: t, severity: low, observe: host, match: {host: 1.5}}\n",
    ],
)
def test_what_the_loader_takes_validates(text: str) -> None:
    assert _accepted(text)
    assert not complaints(as_editors_read(text))


MISTAKES = [
    "version: 2",
    "version: '1'",
    "version: 1\nmode: enforced",
    "version: 1\nmoed: enforce",
    "version: 1\nmax-report-age: 0",
    "version: 1\nmax-report-age: soon",
    "version: 1\nupload-files: yes",
    "version: 1\nactions: {high: stop}",
    "version: 1\nactions: {hihg: deny}",
    "version: 1\nactions: {}",
    "version: 1\nexclude: []",
    "version: 1\nexclude: {a: b}",
    "version: 1\nregistries: {mirrors: ['https://a.example/']}",
    "version: 1\nregistries: {private: [{name: x}]}",
    "version: 1\nrules: [{id: A, title: t, severity: high, observe: host}]",
    "version: 1\nrules: [{id: a, title: t, severity: high, observe: hots}]",
    "version: 1\nrules: [{id: a, severity: high, observe: host}]",
    "version: 1\nrules: [{id: a, title: t, severity: high, observe: host, match: {path: x}}]",
    "version: 1\nrules: [{id: a, title: t, severity: high, observe: bait, match: {where: nowhere}}]",
    "version: 1\nrules: [{id: a, title: t, severity: high, observe: package, match: {host: x}}]",
    "version: 1\nrules: [{id: a, title: t, severity: high, observe: lockfile, phases: [install]}]",
    "version: 1\nrules: [{id: a, title: t, severity: high, observe: host, at-least: {count: 1, distinct: host}}]",
    "version: 1\nrules: [{id: a, title: t, severity: high, all-of: [[b]], observe: host}]",
    "version: 1\nallow: [{package: left-pad, rules: [net-oast], reason: r, owner: o, expires: 2099-01-01}]",
    "version: 1\nallow: [{package: 'pkg:npm/a@1', rules: [net-oast], reason: r, owner: o, expires: tomorrow}]",
    "version: 1\nallow: [{package: 'pkg:npm/a@1', rules: [net-oast], owner: o, expires: 2099-01-01}]",
    "version: 1\nallow: [{package: 'pkg:npm/a@1', rules: [], reason: r, owner: o, expires: 2099-01-01}]",
    "version: 1\ntests: [{rule: net-oast, matches: [{hots: a}], spares: [{host: a}]}]",
    "version: 1\ntests: [{rule: net-oast, matches: [{host: a}]}]",
    "version: 1\ntests: [{observe: [{host: a, socket: 192.0.2.1, port: 1}], findings: []}]",
    "version: 1\ntests: [{observe: [], findings: [{rule: net-oast, action: stop}]}]",
    "version: 1\ntests: [{findings: []}]",
    "[]",
    "version: 1\noverrides: [{cap: warn}]",
    "version: 1\nlints: {allow-old: deny}",
    "version: 1\nhook: {outcomes: {stale: warn}}",
]


@pytest.mark.parametrize("text", MISTAKES)
def test_both_refuse_a_mistake(text: str) -> None:
    assert not _accepted(text)
    assert complaints(as_editors_read(text))


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield from _places(inner, (*path, key))


def _at(document: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        document = document[key]
    return document


@given(data=st.data())
def test_what_the_schema_refuses_after_a_change_the_loader_refuses_too(data: st.DataObject) -> None:
    """And so whatever the loader takes, the schema takes: nobody's right policy is red in their editor."""
    document = as_editors_read(data.draw(st.sampled_from(EXAMPLES)))
    path = data.draw(st.sampled_from([each for each in _places(document) if each]))
    container, key = _at(document, path[:-1]), path[-1]
    kind = data.draw(st.sampled_from(["word", "number", "list", "mapping", "gone", "null", "unknown key"]))
    match kind:
        case "gone":
            del container[key]
        case "unknown key":
            (container[key] if isinstance(container[key], dict) else document)["no-such-key"] = "x"
        case _:
            container[key] = {"word": "no-such-word", "number": 7, "list": [], "mapping": {}, "null": None}[kind]
    accepted = _accepted(yaml.safe_dump(document, sort_keys=False))
    assert not (accepted and complaints(document))
    if kind == "unknown key":
        assert not accepted
        if "sets" not in path:  # whose keys are the user's
            assert complaints(document)
