"""Where an entry comes from: hosts, .npmrc, scangate.yml, and what must never be sent."""

import pytest

from scangate.models.lockfile import Dependency, Kind
from scangate.registries import PUBLIC_HOSTS, PrivateRegistry, Registries
from tests.lockfiles.npm_support import DIGEST, PUBLIC, checks, entry, one, packages, read, url

PUBLIC_HOST = PUBLIC.split("/")[2]
ACME = "https://npm.acme.example/"
MIRROR = Registries(mirrors=frozenset({"mirror.example.com"}))
NAMED = Registries(private=(PrivateRegistry(host="npm.acme.example", names=("@acme/*", "acme-*")),))
HOST_ONLY = Registries(private=(PrivateRegistry(host="npm.acme.example"),))


def at(resolved: str | None, version: str | None = "1.0.0", **members: object) -> dict[str, object]:
    return entry("left", version, resolved=resolved, **members)


def short(found: Dependency) -> tuple[Kind, str | None, str | None]:
    return found.kind, found.registry, found.purl


@pytest.mark.parametrize("host", sorted(PUBLIC_HOSTS["npm"]))
def test_all_public_hosts_are_the_public_registry(host: str) -> None:
    found = one(at(url("left", "1.0.0", f"https://{host}/")))
    assert short(found) == (Kind.REGISTRY, host, "pkg:npm/left@1.0.0")


@pytest.mark.parametrize(
    "resolved",
    [
        "https://evil.example/left/-/left-1.0.0.tgz",
        f"https://{PUBLIC_HOST}.evil.example/left/-/left-1.0.0.tgz",
        f"https://evil.example/{PUBLIC_HOST}/left/-/left-1.0.0.tgz",
        f"https://{PUBLIC_HOST}@evil.example/left/-/left-1.0.0.tgz",
        f"https://evil.example\\@{PUBLIC_HOST}/left/-/left-1.0.0.tgz",
        f"https://evil.example\t@{PUBLIC_HOST}/left/-/left-1.0.0.tgz",
        f"https://{PUBLIC_HOST}:8443/left/-/left-1.0.0.tgz",
        f"https:{PUBLIC_HOST}/left/-/left-1.0.0.tgz",
        "npm:evil@1.0.0",
        "latest",
        "1.0.0",
    ],
)
def test_a_host_that_nothing_names_is_a_url(resolved: str) -> None:
    found = one(at(resolved))
    assert (found.kind, found.purl) == (Kind.URL, None)


@pytest.mark.parametrize(
    ("resolved", "kind"),
    [
        ("git+ssh://git@git.example.com/a/b.git#0a", Kind.GIT),
        ("git+https://git.example.com/a/b.git#0a", Kind.GIT),
        ("git://git.example.com/a/b.git#0a", Kind.GIT),
        ("git@git.example.com:a/b.git#0a", Kind.GIT),
        ("ssh://git@git.example.com/a/b.git", Kind.GIT),
        ("github:a/b#0a", Kind.GIT),
        ("a/b", Kind.GIT),
        ("a/b#0a", Kind.GIT),
        ("file:a-1.0.0.tgz", Kind.FILE),
        ("./a.tar.gz", Kind.FILE),
        ("file:../a", Kind.LOCAL),
        ("../a", Kind.LOCAL),
        ("..", Kind.LOCAL),
        ("/opt/a", Kind.LOCAL),
        ("~/a", Kind.LOCAL),
        ("C:\\a", Kind.LOCAL),
    ],
)
def test_every_other_source_has_its_kind(resolved: str, kind: Kind) -> None:
    found = one(at(resolved))
    assert (found.kind, found.purl) == (kind, None)


@pytest.mark.parametrize(
    "resolved",
    [
        url("evil", "1.0.0"),
        url("left", "1.0.1"),
        url("@left/left", "1.0.0"),
        f"{PUBLIC}left/-/../../evil/-/left-1.0.0.tgz",
        f"{PUBLIC}evil/left/-/left-1.0.0.tgz",
        f"{PUBLIC}left/download/left-1.0.0.tgz",
        f"{PUBLIC}left/-/left-1.0.0.tgz/evil.tgz",
        f"{PUBLIC}left",
        PUBLIC,
    ],
)
def test_a_url_that_names_something_else_is_not_the_package(resolved: str) -> None:
    found = one(at(resolved))
    assert (found.kind, found.purl, checks(found)) == (Kind.URL, None, ["url-mismatch"])
    assert found.facts[0].line == found.line
    assert found.facts[0].detail.startswith("The entry says left@1.0.0")


@pytest.mark.parametrize(
    ("name", "version", "resolved"),
    [
        ("@s/left", "1.0.0", f"{PUBLIC}@s%2fleft/-/left-1.0.0.tgz"),
        ("@s/left", "1.0.0", f"{PUBLIC}%40s/left/-/left-1.0.0.tgz"),
        ("left", "1.0.0+build", url("left", "1.0.0")),
        ("left", "1.0.0", url("left", "1.0.0") + "#0123456789abcdef"),
        ("left", "1.0.0", url("left", "1.0.0") + "?cache=0"),
    ],
)
def test_other_writings_of_the_same_url_agree(name: str, version: str, resolved: str) -> None:
    found = one(entry(name, version, resolved=resolved), at=f"node_modules/{name}")
    assert (found.kind, found.version, found.facts) == (Kind.REGISTRY, version, ())


def test_the_url_gives_a_version_that_is_missing() -> None:
    assert one(at(url("left", "1.0.0"), None)).purl == "pkg:npm/left@1.0.0"
    assert checks(one(at(f"{PUBLIC}left/-/left-latest.tgz", None))) == ["url-mismatch"]


@pytest.mark.parametrize("version", [None, "latest", "^1.0.0", "*", "1.x"])
def test_without_an_exact_version_nothing_is_pinned(version: str | None) -> None:
    found = one(at(None, version))
    assert (found.kind, found.purl, found.version) == (Kind.UNPINNED, None, version)


@pytest.mark.parametrize("bundled", [True, False])
@pytest.mark.parametrize(
    "version",
    ["npm:evil@1.0.0", url("evil", "1.0.0"), "https://evil.example/x", "HTTPS:evil.example", "left@npm:evil@1.0.0"],
)
def test_a_version_that_makes_npm_fetch_something_else_is_a_url(version: str, bundled: bool) -> None:
    """npm 10 and 11 fetch NAME@VERSION where there is no `resolved`, and so these; `npm ci` has been seen to."""
    found = one({"version": version, "inBundle": bundled})
    assert (found.kind, found.purl) == (Kind.URL, None)


@pytest.mark.parametrize(("version", "kind"), [("evil.tgz", Kind.URL), ("./evil.tgz", Kind.FILE), ("a/b", Kind.GIT)])
def test_a_version_may_be_any_other_source(version: str, kind: Kind) -> None:
    found = one({"version": version})
    assert (found.kind, found.purl) == (kind, None)


@pytest.mark.parametrize("version", ["1.0.0-/../../../evil/-/evil-1.0.0", "latest", "1"])
def test_a_url_whose_version_is_none_is_not_the_package(version: str) -> None:
    """npm normalises the URL: the first one gives evil@1.0.0."""
    found = one(at(url("left", version), version))
    assert (found.kind, found.purl, checks(found)) == (Kind.URL, None, ["url-mismatch"])


def test_credentials_stay_out() -> None:
    found = one(at("https://user:secret@evil.example/left.tgz?token=secret"))
    assert found.source == "https://evil.example/left.tgz"
    assert "secret" not in repr(found)


def test_facts_of_transport_and_integrity() -> None:
    found = one(at(url("left", "1.0.0").replace("https:", "http:"), integrity=None))
    assert short(found) == (Kind.REGISTRY, PUBLIC_HOST, "pkg:npm/left@1.0.0")
    assert checks(found) == ["plain-http", "no-integrity"]
    assert checks(one(at("git+http://git.example.com/a/b.git#0a"))) == ["plain-http"]
    assert checks(one(at("http:\\evil.example/x"))) == ["plain-http"]


# ------------------------------------------------------------------------------------------------ scangate.yml


@pytest.mark.parametrize(
    "resolved",
    [
        "https://mirror.example.com/left/-/left-1.0.0.tgz",
        "https://mirror.example.com/api/npm/all/left/-/left-1.0.0.tgz",
        "https://mirror.example.com/left/download/left-1.0.0.tgz",
        "https://mirror.example.com/packages/left/1.0.0/left-1.0.0.tgz",
    ],
)
def test_a_mirror_is_the_public_registry(resolved: str) -> None:
    found = one(at(resolved), MIRROR)
    assert short(found) == (Kind.REGISTRY, "mirror.example.com", "pkg:npm/left@1.0.0")
    assert found.facts == ()


def test_a_mirror_too_must_name_the_package() -> None:
    for path in ("evil/-/evil-1.0.0.tgz", "left/-/left-2.0.0.tgz", "left.tgz"):
        found = one(at(f"https://mirror.example.com/{path}"), MIRROR)
        assert (found.kind, found.purl, checks(found)) == (Kind.URL, None, ["url-mismatch"])


def test_a_private_host_by_the_policy() -> None:
    found = one(at(url("left", "1.0.0", ACME)), HOST_ONLY)
    assert short(found) == (Kind.PRIVATE_REGISTRY, "npm.acme.example", None)
    assert found.facts == ()
    assert checks(one(at(url("evil", "1.0.0", ACME)), HOST_ONLY)) == ["url-mismatch"]
    assert checks(one(at(f"{ACME}download/left/1.0.0/0a"), HOST_ONLY)) == []


@pytest.mark.parametrize("resolved", [PUBLIC, "https://evil.example/", "https://mirror.example.com/"])
def test_a_name_that_the_policy_ties_is_confused_elsewhere(resolved: str) -> None:
    registries = Registries(mirrors=MIRROR.mirrors, private=NAMED.private)
    found = one(
        entry("acme-x", "1.0.0", resolved=url("acme-x", "1.0.0", resolved)), registries, at="node_modules/acme-x"
    )
    assert (found.kind, found.purl) == (Kind.PRIVATE_REGISTRY, None)
    assert checks(found) == ["confusion"]
    assert "npm.acme.example" in found.facts[0].detail


def test_a_tied_name_without_url_is_confused_where_npm_would_ask_the_public_registry() -> None:
    members = entry("@acme/x", "1.0.0", resolved=None)
    assert checks(one(members, NAMED, at="node_modules/@acme/x")) == ["confusion"]
    found = one(members, NAMED, at="node_modules/@acme/x", npmrc=f"@acme:registry={ACME}")
    assert (short(found), found.facts) == ((Kind.PRIVATE_REGISTRY, "npm.acme.example", None), ())


def test_a_tied_name_at_its_own_host_is_private() -> None:
    found = one(entry("@acme/x", "1.0.0", resolved=url("@acme/x", "1.0.0", ACME)), NAMED, at="node_modules/@acme/x")
    assert (short(found), found.facts) == ((Kind.PRIVATE_REGISTRY, "npm.acme.example", None), ())
    # Names that nothing ties are untouched.
    assert one(entry("left", "1.0.0"), NAMED).purl == "pkg:npm/left@1.0.0"


# ----------------------------------------------------------------------------------------------------- .npmrc


def test_without_resolved_npmrc_decides() -> None:
    npmrc = f"registry=https://mirror.example.com/\n@acme:registry={ACME}\n"
    assert short(one(at(None), MIRROR, npmrc=npmrc)) == (Kind.REGISTRY, "mirror.example.com", "pkg:npm/left@1.0.0")
    assert short(one(at(None), npmrc=npmrc)) == (Kind.PRIVATE_REGISTRY, "mirror.example.com", None)
    acme = one(entry("@acme/x", "1.0.0", resolved=None), npmrc=npmrc, at="node_modules/@acme/x")
    assert short(acme) == (Kind.PRIVATE_REGISTRY, "npm.acme.example", None)
    other = one(entry("@other/x", "1.0.0", resolved=None), MIRROR, npmrc=npmrc, at="node_modules/@other/x")
    assert other.kind is Kind.REGISTRY


def test_the_public_host_stands_for_the_configured_registry() -> None:
    """npm puts the configured registry in the place of the public host (replace-registry-host)."""
    npmrc = f"registry={ACME}\n"
    assert short(one(at(url("left", "1.0.0")), npmrc=npmrc)) == (Kind.PRIVATE_REGISTRY, "npm.acme.example", None)
    never = one(at(url("left", "1.0.0")), npmrc=npmrc + "replace-registry-host=never\n")
    assert short(never) == (Kind.REGISTRY, PUBLIC_HOST, "pkg:npm/left@1.0.0")
    other = next(host for host in PUBLIC_HOSTS["npm"] if host != PUBLIC_HOST)
    assert one(at(url("left", "1.0.0", f"https://{other}/")), npmrc=npmrc).kind is Kind.REGISTRY
    assert one(at("https://evil.example/left/-/left-1.0.0.tgz"), npmrc=npmrc).kind is Kind.URL


def test_a_host_that_npmrc_names_is_private() -> None:
    npmrc = f"@acme:registry={ACME}"
    assert short(one(at(url("left", "1.0.0", ACME)), npmrc=npmrc)) == (Kind.PRIVATE_REGISTRY, "npm.acme.example", None)


@pytest.mark.parametrize("resolved", [None, url("left", "1.0.0")])
def test_a_registry_of_npmrc_without_encryption_is_told(resolved: str | None) -> None:
    """Also where it stands in the public one's place: npm takes the scheme from there, too (pacote, remote.js)."""
    assert checks(one(at(resolved), MIRROR, npmrc="registry=http://mirror.example.com/\n")) == ["plain-http"]
    assert checks(one(at(resolved), MIRROR, npmrc="registry=https://mirror.example.com/\n")) == []
    assert checks(one(at(resolved), npmrc="registry=http://localhost:4873/\n")) == []
    scoped = entry("@acme/x", "1.0.0", resolved=None)
    found = one(scoped, npmrc="@acme:registry=http://npm.acme.example/\n", at="node_modules/@acme/x")
    assert checks(found) == ["plain-http"]
    assert "npm.acme.example" in found.facts[0].detail


@pytest.mark.parametrize("base", [PUBLIC, "https://evil.example/"])
def test_a_scope_that_npmrc_ties_is_confused_elsewhere(base: str) -> None:
    members = entry("@acme/x", "1.0.0", resolved=url("@acme/x", "1.0.0", base))
    found = one(members, npmrc=f"@acme:registry={ACME}", at="node_modules/@acme/x")
    assert (found.kind, found.purl, checks(found)) == (Kind.PRIVATE_REGISTRY, None, ["confusion"])


def test_a_scope_tied_to_the_public_registry_is_not_private() -> None:
    members = entry("@acme/x", "1.0.0")
    assert one(members, npmrc=f"@acme:registry={PUBLIC}", at="node_modules/@acme/x").kind is Kind.REGISTRY
    tied = "@acme:registry=https://mirror.example.com/"
    assert one(members, MIRROR, npmrc=tied, at="node_modules/@acme/x").kind is Kind.REGISTRY


@pytest.mark.parametrize("hidden", ["${ACME_REGISTRY}", "https://${ACME_HOST}/npm/", "https://a\\b.example/"])
def test_a_registry_that_is_not_known_is_never_taken_for_the_public_one(hidden: str) -> None:
    found = one(at(url("left", "1.0.0")), npmrc=f"registry={hidden}")
    assert short(found) == (Kind.PRIVATE_REGISTRY, None, None)
    scoped = entry("@acme/x", "1.0.0")
    tied = one(scoped, npmrc=f"@acme:registry={hidden}", at="node_modules/@acme/x")
    assert (tied.kind, tied.purl, tied.facts) == (Kind.PRIVATE_REGISTRY, None, ())
    foreign = entry("@acme/x", "1.0.0", resolved=url("@acme/x", "1.0.0", "https://evil.example/"))
    assert one(foreign, npmrc=f"@acme:registry={hidden}", at="node_modules/@acme/x").kind is Kind.URL


def test_secrets_of_npmrc_are_never_shown() -> None:
    npmrc = "registry=https://user:secret@npm.acme.example/?t=secret\n//npm.acme.example/:_authToken=secret\n"
    found = read(packages({"node_modules/left": at(None)}), npmrc=npmrc)
    assert "secret" not in repr(found)
    assert found.dependencies[0].registry == "npm.acme.example"


def test_the_npmrc_beside_the_lockfile_counts() -> None:
    found = one(at(None), npmrc="[section]\nregistry=https://npm.acme.example/\n")
    assert found.registry == PUBLIC_HOST


# ----------------------------------------------------------------------------------------------- other entries


def test_a_name_that_another_entry_ties_is_confused() -> None:
    lock = packages(
        {
            "node_modules/inner": entry("inner", "1.0.0", resolved=url("inner", "1.0.0", ACME)),
            "node_modules/left": entry("left", "1.0.0"),
            "node_modules/left/node_modules/inner": entry("inner", "2.0.0"),
            "node_modules/right/node_modules/inner": {"version": "2.0.0", "resolved": "https://evil.example/i.tgz"},
            "node_modules/git/node_modules/inner": {"version": "2.0.0", "resolved": "git+https://a.example/b#0a"},
        }
    )
    found = read(lock, HOST_ONLY).dependencies
    assert [(d.kind, d.purl, "confusion" in checks(d)) for d in found] == [
        (Kind.PRIVATE_REGISTRY, None, False),
        (Kind.REGISTRY, "pkg:npm/left@1.0.0", False),
        (Kind.PRIVATE_REGISTRY, None, True),
        (Kind.PRIVATE_REGISTRY, None, True),
        (Kind.GIT, None, False),
    ]


def test_a_confused_entry_ties_nothing_itself() -> None:
    lock = packages(
        {
            "node_modules/acme-x": entry("acme-x", "1.0.0"),
            "node_modules/a/node_modules/acme-x": entry("acme-x", "1.0.0", resolved=url("acme-x", "1.0.0", ACME)),
        }
    )
    found = read(lock, NAMED).dependencies
    assert [checks(d) for d in found] == [["confusion"], []]


def test_digests_come_as_hex() -> None:
    found = one(at(url("left", "1.0.0"), integrity=f"{DIGEST} sha1-AAAA"))
    assert found.integrity == ("sha512:" + "00" * 64,)


@pytest.mark.parametrize("junk", ["sha999-AAAA", "sha512-AAAA", "none", " "])
@pytest.mark.parametrize(
    ("resolved", "registries"),
    [(url("left", "1.0.0"), MIRROR), (url("left", "1.0.0", ACME), HOST_ONLY), (None, MIRROR)],
)
def test_junk_in_the_place_of_a_digest_is_none(junk: str, resolved: str | None, registries: Registries) -> None:
    found = one(at(resolved, integrity=junk), registries)
    assert (found.integrity, checks(found)) == ((), ["no-integrity"])
    held = one(at(resolved, integrity=f"{junk} {DIGEST}"), registries)
    assert (len(held.integrity), checks(held)) == (1, [])
