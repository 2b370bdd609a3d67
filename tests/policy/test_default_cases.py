"""Every built-in rule matches what it is for, and spares what only looks like it: data in cases/RULE.yml.

A case is one observation, a list of them (`all`), or a sample report; see `_observation` for their short forms.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from scangate.models import (
    Analysed,
    BaitSeen,
    CommandRun,
    Dependency,
    Ecosystem,
    Engine,
    FileTouched,
    HostContacted,
    Kind,
    LastPyMileHit,
    LockFact,
    Observation,
    Phase,
    SocketOpened,
    Subject,
)
from scangate.policy import loader
from scangate.policy.matcher import Matcher
from scangate.reports import dynamic

CASES = Path(__file__).parent / "cases"
RULES = {rule.id: rule for rule in loader.default().rules}


@cache
def _matcher() -> Matcher:
    return Matcher(loader.default().rules)


def _observation(case: dict[str, Any]) -> Observation:
    """One observation from its short form: the first key says its kind, `phase` is install unless given."""
    fields = dict(case)
    phase = Phase(fields.pop("phase", "install"))
    fields.pop("package", None)
    kind, value = next(iter(fields.items()))
    del fields[kind]
    match kind:
        case "host":
            types = tuple(fields.pop("record-types", ()))
            return HostContacted(phase=phase, host=value, via=("dns",), record_types=types, **fields)
        case "socket":
            address, network = dynamic.classified(value)
            names = ("name.example",) if fields.pop("named", False) else ()
            return SocketOpened(phase=phase, address=address, network=network, hostnames=names, **fields)
        case "command":
            argv = tuple(value) if isinstance(value, list) else ("sh", "-c", value)
            return CommandRun(phase=phase, argv=argv, **fields)
        case "read" | "write" | "delete":
            flags = {flag: flag == kind or bool(fields.pop(flag, False)) for flag in ("read", "write", "delete")}
            return FileTouched(phase=phase, path=value, **flags, **fields)
        case "bait":
            return BaitSeen(phase=phase, bait=value, encoding="raw", **fields)
        case "lastpymile":
            return LastPyMileHit(release="thing-1.2.3.tar.gz", file=value, **fields)
        case "lockfile":
            return LockFact(check=value, detail="made up", **fields)
        case _:
            raise AssertionError(f"a case of unknown kind: {case}")


def _subject(case: dict[str, Any]) -> Subject:
    type_, name, version = case.get("package", "npm thing 1.2.3").split()
    observations = [_observation(each) for each in case.get("all", [case])]
    facts = tuple(each for each in observations if isinstance(each, LockFact))
    seen = tuple(each for each in observations if not isinstance(each, LockFact))
    dependency = Dependency(
        ecosystem=Ecosystem(type_), name=name, version=version, kind=Kind.REGISTRY, purl=None, facts=facts
    )
    result = Analysed(engine=Engine.DYNAMIC_ANALYSIS, observations=seen)
    return Subject(
        key="case",
        ecosystem=Ecosystem(type_),
        name=name,
        version=version,
        purl=None,
        dependencies=(dependency,),
        results=(result,),
    )


def _cases() -> Iterator[Any]:
    for path in sorted(CASES.glob("*.yml")):
        for kind, cases in yaml.safe_load(path.read_text("utf-8")).items():
            for number, case in enumerate(cases):
                yield pytest.param(path.stem, kind, case, id=f"{path.stem}-{kind}-{number}")


@pytest.mark.parametrize(("rule", "kind", "case"), list(_cases()))
def test_case(rule: str, kind: str, case: dict[str, Any]) -> None:
    findings = {finding.rule: finding for finding in _matcher().findings(_subject(case))}
    assert kind in ("matches", "spares")
    assert (rule in findings) is (kind == "matches"), f"found: {sorted(findings)}"
    if kind == "matches":
        assert findings[rule].evidence


@pytest.mark.parametrize("rule", sorted(RULES))
def test_every_rule_has_what_it_matches_and_what_it_spares(rule: str) -> None:
    path = CASES / f"{rule}.yml"
    assert path.is_file(), f"write {path.name}: what the rule matches, and what only looks like it"
    cases = yaml.safe_load(path.read_text("utf-8"))
    assert cases.keys() == {"matches", "spares"}
    assert all(cases.values())


def test_no_case_is_left_over_from_a_rule_that_is_gone() -> None:
    assert {path.stem for path in CASES.glob("*.yml")} == RULES.keys()


@pytest.mark.parametrize("rule", sorted(RULES))
def test_every_rule_says_what_it_means_and_what_to_do(rule: str) -> None:
    text = RULES[rule]
    assert text.title
    assert text.description.endswith((".", ")"))
    assert text.advice.endswith(".")
    assert not text.title.endswith(".")
