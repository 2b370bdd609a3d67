"""Registries that nothing but the project's own configuration names."""

from scangate.lockfiles.undeclared import flag_registries
from scangate.models.lockfile import Dependency, Ecosystem, Kind, Lockfile
from scangate.registries import NO_REGISTRIES, PrivateRegistry, Registries

HOST = "npm.acme.example"


def lockfile(*kinds: tuple[str, Kind, str | None]) -> Lockfile:
    entries = tuple(
        Dependency(
            ecosystem=Ecosystem.NPM,
            name=name,
            version="1.0.0",
            kind=kind,
            purl=None,
            registry=host,
            lockfile="package-lock.json",
            line=7 + number,
        )
        for number, (name, kind, host) in enumerate(kinds)
    )
    return Lockfile(path="package-lock.json", format="npm-package-lock", dependencies=entries)


def facts(one: Lockfile, registries: Registries = NO_REGISTRIES) -> list[tuple[str, int]]:
    (flagged,) = flag_registries([one], registries)
    assert flagged.dependencies == one.dependencies
    return [(fact.check, fact.line) for fact in flagged.facts]


def test_one_fact_for_each_host_at_its_first_entry() -> None:
    one = lockfile(
        ("a", Kind.REGISTRY, "registry.example"),
        ("b", Kind.PRIVATE_REGISTRY, HOST),
        ("c", Kind.PRIVATE_REGISTRY, HOST),
        ("d", Kind.PRIVATE_REGISTRY, "other.example"),
        ("e", Kind.PRIVATE_REGISTRY, None),
    )
    assert facts(one) == [("undeclared-registry", 8), ("undeclared-registry", 10), ("undeclared-registry", 11)]


def test_what_the_policy_names_is_declared() -> None:
    one = lockfile(("b", Kind.PRIVATE_REGISTRY, HOST), ("@acme/c", Kind.PRIVATE_REGISTRY, "registry.example"))
    by_host = Registries(private=(PrivateRegistry(host=HOST),))
    by_name = Registries(private=(PrivateRegistry(host=HOST, names=("@acme/*",)),))
    assert facts(one, by_host) == [("undeclared-registry", 8)]
    assert facts(one, by_name) == []


def test_nothing_private_nothing_said() -> None:
    assert facts(lockfile(("a", Kind.REGISTRY, "registry.example"), ("b", Kind.GIT, None))) == []
