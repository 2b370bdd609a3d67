"""Who is public, mirror or private: the decision that says what is sent and what is not."""

import pytest

from scangate.models.lockfile import Ecosystem, Kind
from scangate.registries import (
    ALL_PUBLIC_HOSTS,
    DEFAULT_URL,
    NO_REGISTRIES,
    PUBLIC_HOSTS,
    PrivateRegistry,
    Registries,
)
from scangate.urls import host_of
from tests.conftest import ROOT

ACME = PrivateRegistry(host="npm.acme.example", names=("@acme/*", "acme-*"), where="scangate.yml:7")
REGISTRIES = Registries(mirrors=frozenset({"mirror.example"}), private=(ACME, PrivateRegistry(host="private.example")))


@pytest.mark.parametrize("ecosystem", Ecosystem)
def test_each_ecosystems_own_hosts_are_the_public_registry(ecosystem: Ecosystem) -> None:
    for host in PUBLIC_HOSTS[ecosystem]:
        assert NO_REGISTRIES.origin(ecosystem, "a", host).kind is Kind.REGISTRY
        assert host in ALL_PUBLIC_HOSTS
        for other in set(Ecosystem) - {ecosystem}:
            assert NO_REGISTRIES.origin(other, "a", host).kind is Kind.URL


def test_where_a_package_manager_looks_by_default_is_public() -> None:
    for ecosystem, url in DEFAULT_URL.items():
        assert url.startswith("https://")
        assert host_of(url) in PUBLIC_HOSTS[ecosystem]


@pytest.mark.parametrize(
    ("name", "host", "configured", "kind"),
    [
        ("left-pad", "mirror.example", False, Kind.REGISTRY),
        ("left-pad", "private.example", False, Kind.PRIVATE_REGISTRY),
        ("left-pad", "npm.acme.example", False, Kind.PRIVATE_REGISTRY),
        ("left-pad", "unknown.example", True, Kind.PRIVATE_REGISTRY),
        ("left-pad", "unknown.example", False, Kind.URL),
        ("left-pad", None, False, Kind.URL),
        ("left-pad", None, True, Kind.PRIVATE_REGISTRY),
        ("left-pad", "sub.mirror.example", False, Kind.URL),
        ("left-pad", "mirror.example:8443", False, Kind.URL),
    ],
)
def test_hosts_that_the_policy_names(name: str, host: str | None, configured: bool, kind: Kind) -> None:
    origin = REGISTRIES.origin(Ecosystem.NPM, name, host, configured=configured)
    assert (origin.kind, origin.confused_with) == (kind, None)


@pytest.mark.parametrize("host", [*sorted(PUBLIC_HOSTS[Ecosystem.NPM]), "mirror.example", "evil.example", None])
@pytest.mark.parametrize("configured", [True, False])
def test_a_private_name_from_anywhere_else_is_confused_and_stays_private(host: str | None, configured: bool) -> None:
    for name in ("@acme/tools", "acme-core"):
        origin = REGISTRIES.origin(Ecosystem.NPM, name, host, configured=configured)
        assert origin.kind is Kind.PRIVATE_REGISTRY
        assert (origin.confused_with, origin.tied_by) == ("npm.acme.example", "scangate.yml:7")


def test_a_private_name_from_its_own_registry_is_just_private() -> None:
    origin = REGISTRIES.origin(Ecosystem.NPM, "@acme/tools", "npm.acme.example")
    assert (origin.kind, origin.confused_with, origin.tied_by) == (Kind.PRIVATE_REGISTRY, None, None)


def test_private_names_may_live_on_the_public_host_itself() -> None:
    """Paid private packages: the host is the public one, the names must not be sent all the same."""
    host = host_of(DEFAULT_URL[Ecosystem.NPM])
    assert host is not None
    registries = Registries(private=(PrivateRegistry(host=host, names=("@acme/*",)),))
    origin = registries.origin(Ecosystem.NPM, "@acme/tools", host)
    assert (origin.kind, origin.confused_with) == (Kind.PRIVATE_REGISTRY, None)
    assert registries.origin(Ecosystem.NPM, "@acme/tools", "evil.example").confused_with == host
    assert registries.origin(Ecosystem.NPM, "left-pad", host).kind is Kind.REGISTRY


@pytest.mark.parametrize("name", ["acme", "@acme", "@acme2/tools", "ACME-core", "x-acme-core"])
def test_a_pattern_ties_only_what_it_matches(name: str) -> None:
    assert REGISTRIES.owner(name) is None


def test_the_first_pattern_in_the_policy_decides() -> None:
    registries = Registries(
        private=(
            PrivateRegistry(host="one.example", names=("a-b",)),
            PrivateRegistry(host="two.example", names=("a-*",)),
        )
    )
    owners = [registries.owner(name) for name in ("a-b", "a-c")]
    assert [owner.host for owner in owners if owner] == ["one.example", "two.example"]


def test_the_public_hosts_are_named_in_one_module_alone() -> None:
    files = [path for path in (ROOT / "scangate").rglob("*") if path.suffix in (".py", ".yml", ".json")]
    naming = [path.name for path in files if any(host in path.read_text("utf-8") for host in ALL_PUBLIC_HOSTS)]
    assert naming == ["registries.py"]
