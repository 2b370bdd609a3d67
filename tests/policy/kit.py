"""Policies and packages for the tests of this folder."""

import re
from collections.abc import Iterable, Sequence
from datetime import date
from functools import cache
from textwrap import dedent
from typing import Any

import jsonschema
import yaml

from scangate.models.analysis import Analysed, Engine, Shortfall
from scangate.models.lockfile import Dependency, Ecosystem, Kind, Lockfile
from scangate.models.observations import Observation
from scangate.models.verdict import Finding, Subject, Verdict
from scangate.policy import json_schema, loader
from scangate.policy.decision import decide
from scangate.policy.matcher import Matcher
from scangate.policy.model import Lint, Policy

TODAY = date(2026, 6, 15)
RULES_OF_KINDS = """\
extends: none
rules:
- {id: talks, title: T, severity: high, observe: host}
- {id: runs, title: R, severity: high, observe: command}
- {id: injected, title: I, severity: high, observe: lastpymile}
- {id: mixed, title: M, severity: high, observe: lockfile}
- {id: banned, title: B, severity: high, observe: package, packages: "pkg:npm/banned"}
"""
"""The beginning of a policy, seven lines: a rule for a kind of observation each, which more rules may follow."""


def policy(text: str, *, where: str = "scangate.yml", **files: str) -> Policy:
    """From what stands behind `version: 1`, which is line 1; `files` are those that can be extended, as NAME.yml."""
    others = {f"{name}.yml": f"version: 1\n{dedent(other).lstrip()}".encode() for name, other in files.items()}
    source = "version: 1\n" + dedent(text).lstrip("\n")
    loaded = loader.load(source, where, read=others.get)
    if len(source) < _VALIDATED:
        assert not complaints(as_editors_read(source)), "the JSON Schema must take what the loader takes"
    return loaded


_VALIDATED = 10_000
"""Characters of a policy that is also held to the JSON Schema; that takes long for one of a thousand rules."""


class _CoreLoader(yaml.SafeLoader):
    """YAML as editors read it (1.2's core schema): no dates, no `yes` and `no`."""


_CoreLoader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"true|false", "tf"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("null", r"~|null|", "~n"),
):
    _CoreLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})\\Z"), list(_first))


def as_editors_read(text: str) -> Any:
    return yaml.load(text, Loader=_CoreLoader)


@cache
def _validator() -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator(json_schema.document(), format_checker=jsonschema.FormatChecker())


def complaints(document: Any) -> list[str]:
    """What the JSON Schema of policies says of a document; nothing: it is one."""
    return [f"{each.json_path}: {each.message}" for each in _validator().iter_errors(document)]


def rules(text: str) -> Policy:
    """From the items of `rules`, without the built-in ones."""
    items = dedent(text).strip("\n")
    return policy("extends: none\nmode: observe\nrules:\n" + items + "\n")


def rule(text: str) -> Policy:
    """From one rule's keys as a flow mapping, without id, title and severity."""
    return rules("- {id: the-rule, title: The rule, severity: high, " + text + "}")


def package(
    name: str = "left-pad",
    version: str | None = "1.3.0",
    *,
    observations: Iterable[Observation] = (),
    engine: Engine = Engine.DYNAMIC_ANALYSIS,
    ecosystem: Ecosystem = Ecosystem.NPM,
    results: Sequence[Analysed | Shortfall] | None = None,
    dependencies: tuple[Dependency, ...] = (),
) -> Subject:
    """A package of the public registry."""
    purl = f"pkg:{ecosystem}/{name.replace('@', '%40')}@{version}"
    given = (Analysed(engine=engine, observations=tuple(observations)),) if results is None else tuple(results)
    return Subject(
        key=purl,
        ecosystem=ecosystem,
        name=name,
        version=version,
        purl=purl,
        dependencies=dependencies,
        results=given,
    )


def other_package(
    kind: Kind, name: str, version: str | None = None, *, facts: tuple[object, ...] = (), source: str = "?"
) -> Subject:
    """A package that is not from the public registry."""
    dependency = Dependency(
        ecosystem=Ecosystem.NPM,
        name=name,
        version=version,
        kind=kind,
        purl=None,
        facts=facts,  # type: ignore[arg-type]  # LockFacts
    )
    return Subject(
        key=f"{kind}:npm/{name}@{version or source}",
        ecosystem=Ecosystem.NPM,
        name=name,
        version=version,
        purl=None,
        dependencies=(dependency,),
    )


def found(with_: Policy, *observations: Observation, **about: object) -> tuple[Finding, ...]:
    return Matcher(with_.rules).findings(package(observations=observations, **about))  # type: ignore[arg-type]


def evidence(with_: Policy, *observations: Observation, **about: object) -> set[Observation]:
    """All that any rule matched."""
    return {each for finding in found(with_, *observations, **about) for each in finding.evidence}


def verdict(
    with_: Policy,
    *subjects: Subject,
    lockfiles: Sequence[Lockfile] = (),
    today: date = TODAY,
    whole: bool = True,
    narrowed: bool = False,
) -> Verdict:
    """Without `narrowed`: not what is said of each policy that does without the built-in rules, as most of them do."""
    made = decide(subjects, lockfiles, with_, today=today, analyser="test", elapsed_seconds=1.5, whole=whole)
    if narrowed:
        return made
    return made._replace(notices=tuple(each for each in made.notices if each.code != Lint.NARROWED))
