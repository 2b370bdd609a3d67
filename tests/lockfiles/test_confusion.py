"""A name that is private in one lockfile must not be public in another."""

import pytest

from scangate.lockfiles.confusion import tie_private_names
from scangate.models.lockfile import Dependency, Ecosystem, Kind, LockFact, Lockfile


def entry(kind: Kind, registry: str | None = None, *, name: str = "tools", **more: object) -> Dependency:
    values: dict[str, object] = {
        "ecosystem": Ecosystem.NPM,
        "version": "1.0.0",
        "purl": f"pkg:npm/{name}@1.0.0" if kind is Kind.REGISTRY else None,
        "lockfile": "a/package-lock.json",
        "line": 7,
        **more,
    }
    return Dependency(name=name, kind=kind, registry=registry, **values)  # type: ignore[arg-type]  # a test's shorthand


def tie(*groups: list[Dependency]) -> list[Dependency]:
    files = [Lockfile(path=str(n), format="x", dependencies=tuple(group)) for n, group in enumerate(groups)]
    tied = tie_private_names(files)
    assert [lockfile.path for lockfile in tied] == [lockfile.path for lockfile in files]
    return [one for lockfile in tied for one in lockfile.dependencies]


PRIVATE = entry(Kind.PRIVATE_REGISTRY, "npm.acme.example")


@pytest.mark.parametrize(
    "other", [entry(Kind.REGISTRY, "public.example", line=9), entry(Kind.URL, "evil.example", line=9)]
)
@pytest.mark.parametrize("order", [1, -1])
def test_the_other_entry_is_confused_wherever_it_stands(other: Dependency, order: int) -> None:
    for groups in ([[PRIVATE], [other]], [[PRIVATE, other]]):
        kept, confused = sorted(tie(*groups[::order]), key=lambda one: one.line)
        assert kept == PRIVATE
        assert (confused.kind, confused.purl, confused.registry) == (Kind.PRIVATE_REGISTRY, None, other.registry)
        (fact,) = confused.facts
        assert (fact.check, fact.line) == ("confusion", 9)
        assert "npm.acme.example (a/package-lock.json:7)" in fact.detail
        assert str(other.registry) in fact.detail


def test_facts_that_are_there_stay_and_none_is_said_twice() -> None:
    http = LockFact(check="plain-http", detail="x")
    confused = LockFact(check="confusion", detail="x")
    _, one, two = tie(
        [PRIVATE, entry(Kind.REGISTRY, facts=(http,)), entry(Kind.URL, facts=(confused,))],
    )
    assert [fact.check for fact in one.facts] == ["plain-http", "confusion"]
    assert two.facts == (confused,)


@pytest.mark.parametrize(
    "other",
    [
        entry(Kind.REGISTRY, name="other"),
        entry(Kind.REGISTRY, ecosystem=Ecosystem.PYPI),
        entry(Kind.PRIVATE_REGISTRY, "second.example"),
        entry(Kind.LOCAL),
        entry(Kind.GIT),
        entry(Kind.FILE),
        entry(Kind.UNPINNED),
    ],
)
def test_what_is_another_package_or_not_fetched_by_name_stays(other: Dependency) -> None:
    assert tie([PRIVATE], [other]) == [PRIVATE, other]


@pytest.mark.parametrize(
    "owner",
    [
        entry(Kind.PRIVATE_REGISTRY),
        entry(Kind.PRIVATE_REGISTRY, "public.example", facts=(LockFact(check="confusion", detail="x"),)),
        entry(Kind.URL, "npm.acme.example"),
    ],
)
def test_what_does_not_tie_a_name(owner: Dependency) -> None:
    public = entry(Kind.REGISTRY, "public.example")
    assert tie([owner], [public]) == [owner, public]
