"""Policies and packages for the tests of this folder."""

from collections.abc import Iterable, Sequence
from datetime import date
from textwrap import dedent

from scangate.models import (
    Analysed,
    Dependency,
    Ecosystem,
    Engine,
    Finding,
    Kind,
    Lockfile,
    Observation,
    Shortfall,
    Subject,
    Verdict,
)
from scangate.policy import loader
from scangate.policy.decision import decide
from scangate.policy.matcher import Matcher
from scangate.policy.model import Policy

TODAY = date(2026, 6, 15)


def policy(text: str, *, where: str = "scangate.yml", **files: str) -> Policy:
    """From what stands behind `version: 1`, which is line 1; `files` are those that can be extended, as NAME.yml."""
    others = {f"{name}.yml": f"version: 1\n{dedent(other).lstrip()}".encode() for name, other in files.items()}
    return loader.load("version: 1\n" + dedent(text).lstrip("\n"), where, read=others.get)


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
) -> Verdict:
    return decide(subjects, lockfiles, with_, today=today, analyser="test", elapsed_seconds=1.5, whole=whole)
