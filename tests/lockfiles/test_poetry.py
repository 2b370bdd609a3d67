"""poetry.lock: against what each poetry itself says of the real lockfiles, and every oddity by hand."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from packageurl import PackageURL
from packaging.utils import canonicalize_name

from scangate.changes.worktree import WorkTree
from scangate.errors import LockfileError
from scangate.lockfiles import poetry
from scangate.models.lockfile import Dependency, Ecosystem, Kind, Lockfile, Relation, Scope
from scangate.registries import DEFAULT_URL, NO_REGISTRIES, PrivateRegistry, Registries
from scangate.urls import host_of

ASSETS = Path(__file__).parent.parent / "assets" / "poetry"
REAL = sorted(folder.name for folder in ASSETS.iterdir() if folder.is_dir())
PRIVATE = "acme-internal"
PYPI = DEFAULT_URL[Ecosystem.PYPI]

_EXPORTED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^ ;\\]+)")
_SHOWN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*) +(?:\(!\) +)?([0-9]\S*)")


def read_real(name: str) -> tuple[Dependency, ...]:
    return poetry.read("poetry.lock", WorkTree(ASSETS / name), NO_REGISTRIES).dependencies


def exported(name: str, file: str = "export.txt") -> dict[tuple[str, str], set[str]]:
    """What `poetry export` pins with "==", each with its digests: all that comes from an index."""
    found: dict[tuple[str, str], set[str]] = {}
    hashes: set[str] = set()
    for line in (ASSETS / name / file).read_text().splitlines():
        if match := _EXPORTED.match(line):
            hashes = found.setdefault((canonicalize_name(match[1]), match[2]), set())
        elif not line.startswith("    --hash="):
            hashes = set()
        hashes.update(re.findall(r"--hash=(\S+)", line))
    return found


@pytest.mark.parametrize("name", REAL)
class TestRealLockfiles:
    def test_every_package_that_poetry_shows_and_no_other(self, name: str) -> None:
        shown = [_SHOWN.match(line) for line in (ASSETS / name / "show-all.txt").read_text().splitlines()]
        expected = sorted((canonicalize_name(match[1]), match[2]) for match in shown if match)
        assert [(one.name, one.version) for one in sorted(read_real(name), key=by_name)] == expected

    def test_purls_equal_what_poetry_exports_exactly(self, name: str) -> None:
        expected = {
            PackageURL("pypi", None, name, version).to_string() for name, version in exported(name) if name != PRIVATE
        }
        assert {one.purl for one in read_real(name) if one.purl is not None} == expected

    def test_digests_equal_what_poetry_exports(self, name: str) -> None:
        digests = {(one.name, one.version): set(one.integrity) for one in read_real(name)}
        expected = exported(name)
        names = [package for package, _ in expected]
        for package, exports in expected.items():
            if name[:3] in ("1.0", "1.1") and names.count(package[0]) > 1:
                # These keep one list for all versions of a name, and export all of it for each.
                assert digests[package] < exports
                assert set().union(*(digests[other] for other in expected if other[0] == package[0])) == exports
            else:
                assert digests[package] == exports

    def test_scopes_equal_what_poetry_exports_by_group(self, name: str) -> None:
        main, with_extras = exported(name, "export-main.txt"), exported(name, "export-main-extras.txt")
        for one in read_real(name):
            package = (one.name, one.version or "")
            if package not in exported(name):
                continue  # not from an index
            expected = Scope.PROD if package in main else Scope.OPTIONAL if package in with_extras else Scope.DEV
            assert (one.name, one.scope) == (one.name, expected)

    def test_direct_ones_are_the_roots_of_poetrys_tree(self, name: str) -> None:
        direct = {one.name for one in read_real(name) if one.relation is Relation.DIRECT}
        assert direct == {root for root, depth, _ in tree(name) if depth == 0}
        assert all(one.relation is not Relation.UNKNOWN for one in read_real(name))

    def test_paths_follow_poetrys_tree_and_none_is_shorter(self, name: str) -> None:
        depths: dict[str, int] = {}
        edges = set()
        for child, depth, parent in tree(name):
            depths[child] = min(depth, depths.get(child, depth))
            edges.add((parent, child))
        for one in read_real(name):
            names = [step.rpartition("@")[0] for step in one.path]
            assert names[-1] == one.name
            assert len(names) == depths[one.name] + 1
            assert {(None, names[0]), *itertools.pairwise(names)} <= edges


def by_name(one: Dependency) -> tuple[str, str]:
    return one.name, one.version or ""


def tree(name: str) -> Iterator[tuple[str, int, str | None]]:
    """`poetry show --tree` as (name, depth, parent)."""
    above: list[str] = []
    for line in (ASSETS / name / "show-tree.txt").read_text().splitlines():
        marks = re.match(r"[ │├└─|`-]*", line)
        assert marks is not None
        depth = len(marks[0]) // 4
        child = canonicalize_name(line[marks.end() :].split(" ")[0])
        del above[depth:]
        yield child, depth, above[-1] if above else None
        above.append(child)


class TestSources:
    @pytest.mark.parametrize("name", [name for name in REAL if name.endswith("every-source")])
    def test_what_is_not_from_an_index_has_its_kind_and_no_purl(self, name: str) -> None:
        found = {one.name: one for one in read_real(name)}
        assert found["acme-directory"].kind is Kind.LOCAL
        assert found["acme-directory"].source == "packages/acme-directory"
        assert found["acme-wheel"].kind is Kind.FILE
        assert found["acme-wheel"].source == "wheels/acme_wheel-1.0-py3-none-any.whl"
        assert found["acme-git"].kind is Kind.GIT
        assert re.fullmatch(r"git://127.0.0.1:19418/acme-git.git@[0-9a-f]{40}", found["acme-git"].source or "")
        assert found["toml"].kind is Kind.URL
        assert found["toml"].source is not None
        assert found["toml"].source.endswith("/toml-0.10.2-py2.py3-none-any.whl")
        assert found[PRIVATE].kind is Kind.PRIVATE_REGISTRY
        assert found[PRIVATE].registry == "127.0.0.1:18765"
        for one in ("acme-directory", "acme-wheel", "acme-git", "toml", PRIVATE):
            assert found[one].purl is None

    def test_a_public_index_as_a_named_source_is_the_public_registry(self) -> None:
        for name in (name for name in REAL if name.endswith("index-as-source")):
            (six,) = read_real(name)
            assert (six.kind, six.registry) == (Kind.REGISTRY, host_of(DEFAULT_URL[Ecosystem.PYPI]))

    def test_a_source_that_pyproject_does_not_name_is_a_url_like_any_other(self, tmp_path: Path) -> None:
        (one,) = read(tmp_path, lock(source='type = "legacy"\nurl = "https://evil.example/simple"'))
        assert (one.kind, one.registry, one.purl) == (Kind.URL, "evil.example", None)

    def test_a_source_that_pyproject_names_is_a_private_registry(self, tmp_path: Path) -> None:
        source = 'type = "legacy"\nurl = "https://user:secret@pypi.acme.example/simple?token=x"\nreference = "acme"'
        project = named_source("acme", "https://pypi.acme.example/simple")
        (one,) = read(tmp_path, lock(source=source), project)
        assert (one.kind, one.registry) == (Kind.PRIVATE_REGISTRY, "pypi.acme.example")
        assert one.source == "https://pypi.acme.example/simple"

    @pytest.mark.parametrize("url", [PYPI, "https://other.example/simple"])
    def test_a_source_whose_name_means_another_host_in_pyproject_is_a_mismatch(self, tmp_path: Path, url: str) -> None:
        source = f'type = "legacy"\nurl = "{url}"\nreference = "ACME"'
        (one,) = read(tmp_path, lock(source=source), named_source("acme", "https://evil.example/simple"))
        assert (one.kind, one.purl) == (Kind.URL, None)
        assert [fact.check for fact in one.facts] == ["url-mismatch"]
        assert "evil.example" in one.facts[0].detail

    @pytest.mark.parametrize(
        ("version", "more", "kind"),
        [
            ("1.1", "default = true", Kind.PRIVATE_REGISTRY),
            ("2.0", 'priority = "default"', Kind.PRIVATE_REGISTRY),
            ("2.0", 'priority = "primary"', Kind.REGISTRY),
            ("2.1", 'priority = "primary"', Kind.PRIVATE_REGISTRY),
            ("2.1", "", Kind.PRIVATE_REGISTRY),
            ("2.1", 'priority = "supplemental"', Kind.REGISTRY),
            ("2.1", 'priority = "explicit"', Kind.REGISTRY),
            ("2.1", "secondary = true", Kind.REGISTRY),
            ("2.1", '[[tool.poetry.source]]\nname = "PyPI"', Kind.REGISTRY),
            ("2.1", 'priority = "explicit"\n[[tool.poetry.source]]\nurl = "https://nameless.example"', Kind.REGISTRY),
        ],
    )
    def test_without_a_source_it_is_the_index_that_pyproject_leaves_in_charge(
        self, tmp_path: Path, version: str, more: str, kind: Kind
    ) -> None:
        project = named_source("acme", "https://pypi.acme.example/simple", more)
        (one,) = read(tmp_path, lock(version=version), project)
        assert one.kind is kind
        assert (one.purl is None) == (kind is not Kind.REGISTRY)

    def test_a_source_that_calls_itself_pypi_is_where_it_says_it_is(self, tmp_path: Path) -> None:
        (one,) = read(tmp_path, lock(), named_source("PyPI", "https://evil.example/simple"))
        assert (one.kind, one.registry, one.purl) == (Kind.PRIVATE_REGISTRY, "evil.example", None)

    def test_mirrors_and_private_names_of_the_policy(self, tmp_path: Path) -> None:
        mirror = 'type = "legacy"\nurl = "https://mirror.example/simple"\nreference = "m"'
        registries = Registries(
            mirrors=frozenset({"mirror.example"}), private=(PrivateRegistry(host="p.example", names=("acme-*",)),)
        )
        (one,) = read(tmp_path, lock(source=mirror), registries=registries)
        assert (one.kind, one.purl) == (Kind.REGISTRY, "pkg:pypi/idna@3.7")
        (one,) = read(tmp_path, lock(name="Acme_Tools"), registries=registries)
        assert (one.kind, one.purl) == (Kind.PRIVATE_REGISTRY, None)
        assert [fact.check for fact in one.facts] == ["confusion"]
        assert "p.example" in one.facts[0].detail

    @pytest.mark.parametrize(
        ("source", "checks"),
        [
            ('type = "legacy"\nurl = "http://pypi.acme.example/simple"', ["plain-http"]),
            ('type = "url"\nurl = "http://files.example/a-1.0.zip"', ["plain-http"]),
            ('type = "git"\nurl = "git://git.example/a.git"\nreference = "abc"', ["plain-http"]),
            ('type = "git"\nurl = "ssh://git@git.example/a.git"\nreference = "abc"', []),
            ('type = "url"\nurl = "http://127.0.0.1:8000/a-1.0.zip"', []),
        ],
    )
    def test_content_without_encryption_is_said(self, tmp_path: Path, source: str, checks: list[str]) -> None:
        (one,) = read(tmp_path, lock(source=source))
        assert [fact.check for fact in one.facts] == checks
        assert all(fact.line == one.line for fact in one.facts)

    @pytest.mark.parametrize(
        ("source", "checks"),
        [
            ("", ["no-integrity"]),
            ('type = "legacy"\nurl = "https://r.example"', ["no-integrity"]),
            ('type = "git"\nurl = "https://r.example"\nreference = "abc"', []),
        ],
    )
    def test_a_package_of_an_index_without_digests_is_said(
        self, tmp_path: Path, source: str, checks: list[str]
    ) -> None:
        text = package("a", "files = []", f"[package.source]\n{source}" if source else "") + METADATA
        (one,) = read(tmp_path, text)
        assert [(fact.check, fact.line) for fact in one.facts] == [(check, one.line) for check in checks]

    @pytest.mark.parametrize("name", REAL)
    def test_real_lockfiles_show_nothing_notable(self, name: str) -> None:
        assert [fact for one in read_real(name) for fact in one.facts] == []


class TestProject:
    def test_without_pyproject_relations_are_unknown_and_scopes_what_the_lock_says(self, tmp_path: Path) -> None:
        says = {
            "a": ('category = "dev"', Scope.DEV),
            "b": ("optional = true", Scope.OPTIONAL),
            "c": ('groups = ["docs"]', Scope.DEV),
            "d": ('groups = ["docs", "main"]\noptional = true', Scope.OPTIONAL),
            "e": ('category = "main"', Scope.PROD),
            "f": ("", Scope.PROD),
        }
        found = read(tmp_path, "".join(package(name, more) for name, (more, _) in says.items()) + METADATA)
        assert {one.name: one.scope for one in found} == {name: scope for name, (_, scope) in says.items()}
        assert {(one.relation, one.path) for one in found} == {(Relation.UNKNOWN, ())}

    def test_a_package_that_nothing_asks_for_is_unknown(self, tmp_path: Path) -> None:
        (one,) = read(tmp_path, lock(), "[tool.poetry.dependencies]\nother = '*'\n")
        assert (one.relation, one.path, one.scope) == (Relation.UNKNOWN, (), Scope.PROD)

    def test_an_extra_counts_only_where_something_asks_for_it(self, tmp_path: Path) -> None:
        text = (
            package(
                "web",
                '[package.dependencies]\nsocks = {version = "*", optional = true}',
                "[package.extras]",
                'socks = ["socks (>=1)"]',
            )
            + package("socks")
            + package("tool", '[package.dependencies]\nweb = {version = "*", extras = ["socks"]}')
            + METADATA
        )
        plain = {one.name: one for one in read(tmp_path, text, "[tool.poetry.dependencies]\nweb = '*'\n")}
        assert plain["socks"].relation is Relation.UNKNOWN
        project = "[tool.poetry.dependencies]\nweb = '*'\ntool = '*'\n"
        through = {one.name: one for one in read(tmp_path, text, project)}
        assert through["socks"].path == ("web@1.0", "socks@1.0")
        asked = {one.name: one for one in read(tmp_path, text, "[project]\ndependencies = ['web[SOCKS]>=1']\n")}
        assert asked["socks"].path == ("web@1.0", "socks@1.0")

    def test_constraints_tell_versions_of_one_name_apart(self, tmp_path: Path) -> None:
        text = (
            package("a", '[package.dependencies]\nc = ">=2"')
            + package("b", '[package.dependencies]\nc = [{version = "<2"}, {version = "1.0 || 5.*"}]')
            + package("c")
            + package("c", version="2.0")
            + METADATA
        )
        found = read(tmp_path, text, "[tool.poetry.dependencies]\na = '*'\nb = '^1'\n")
        assert [one.path for one in found if one.name == "c"] == [("b@1.0", "c@1.0"), ("a@1.0", "c@2.0")]

    def test_the_strongest_scope_wins_and_groups_of_every_notation_count(self, tmp_path: Path) -> None:
        names = ["main", "extra", "old-dev", "group", "pep735", "shared"]
        asks_shared = '[package.dependencies]\nshared = "*"'
        text = "".join(package(name, asks_shared if name != "shared" else "") for name in names) + METADATA
        project = """
            [project]
            dependencies = ["main>=1; python_version > '3'"]
            optional-dependencies = {x = ["extra"]}
            [dependency-groups]
            dev = ["pep735", {include-group = "other"}]
            [tool.poetry.dependencies]
            python = "^3.8"
            [tool.poetry.dev-dependencies]
            old-dev = "*"
            [tool.poetry.group.test.dependencies]
            group = {version = "*", extras = ["a"]}
        """
        found = {one.name: one for one in read(tmp_path, text, project)}
        scopes = {name: one.scope for name, one in found.items()}
        assert scopes == {
            "main": Scope.PROD,
            "extra": Scope.OPTIONAL,
            "old-dev": Scope.DEV,
            "group": Scope.DEV,
            "pep735": Scope.DEV,
            "shared": Scope.PROD,
        }
        assert found["shared"].relation is Relation.TRANSITIVE

    @pytest.mark.parametrize(
        ("content", "problem"),
        [(b"[project", "not TOML"), (b"\xff", "not UTF-8"), (b"a." * 65 + b"a = 1", "65|64 parts")],
    )
    def test_a_broken_pyproject_is_named(self, tmp_path: Path, content: bytes, problem: str) -> None:
        (tmp_path / "pyproject.toml").write_bytes(content)
        (tmp_path / "poetry.lock").write_text(lock())
        with pytest.raises(LockfileError, match=problem) as caught:
            poetry.read("poetry.lock", WorkTree(tmp_path), NO_REGISTRIES)
        assert caught.value.path == "pyproject.toml"

    def test_a_chain_too_long_to_show_has_no_path_and_takes_no_memory(self, tmp_path: Path) -> None:
        links = [package(f"p{n}", f'[package.dependencies]\np{n + 1} = "*"') for n in range(1500)]
        found = read(tmp_path, "".join(links) + METADATA, "[tool.poetry.dependencies]\np0 = '*'\n")
        assert {one.relation for one in found} == {Relation.DIRECT, Relation.TRANSITIVE}
        assert max(len(one.path) for one in found) == 100

    def test_many_versions_of_one_name_that_ask_for_one_another(self, tmp_path: Path) -> None:
        versions = [
            package("p", f'[package.dependencies]\np = "<{n}"', version=f"{n}.0") for n in range(poetry.MAX_VERSIONS)
        ]
        found = read(tmp_path, "".join(versions) + METADATA, "[tool.poetry.dependencies]\np = '*'\n")
        assert {one.relation for one in found} == {Relation.DIRECT}
        versions.append(package("p", version="99"))
        with pytest.raises(LockfileError, match="more than 50 versions of 'p'"):
            read(tmp_path, "".join(versions) + METADATA)

    def test_an_extra_with_very_many_constraints_takes_no_memory(self, tmp_path: Path) -> None:
        constraints = ", ".join(f'{{version = ">{n}", optional = true}}' for n in range(3000))
        extras = "\n".join(f'e{n} = ["b"]' for n in range(3000))
        text = package("a", f"[package.dependencies]\nb = [{constraints}]\n[package.extras]\n{extras}") + package("b")
        asked = ", ".join(f'"e{n}"' for n in range(3000))
        project = f"[tool.poetry.dependencies]\na = {{version = '*', extras = [{asked}]}}\n"
        assert [one.path for one in read(tmp_path, text + METADATA, project)] == [("a@1.0",), ("a@1.0", "b@1.0")]


class TestFormatVersions:
    def test_files_from_before_1_0_have_bare_digests_by_name(self, tmp_path: Path) -> None:
        digest = "0" * 64
        text = (
            package("idna", 'category = "main"')
            + f'[metadata]\ncontent-hash = "x"\n[metadata.hashes]\nidna = ["{digest}"]\n'
        )
        (one,) = read(tmp_path, text)
        assert one.integrity == (f"sha256:{digest}",)

    @pytest.mark.parametrize("version", ["1.0", "1.1", "2.0", "2.1", "2.9"])
    def test_known_versions(self, tmp_path: Path, version: str) -> None:
        assert len(read(tmp_path, lock(version=version))) == 1

    @pytest.mark.parametrize("version", ["3.0", "0.9", "", "2", "x", "10.1", "2.1\\n"])
    def test_unknown_versions(self, tmp_path: Path, version: str) -> None:
        with pytest.raises(LockfileError, match="lock-version"):
            read(tmp_path, lock(version=version))

    def test_no_version_and_no_digests_is_no_old_file(self, tmp_path: Path) -> None:
        with pytest.raises(LockfileError, match="it has no lock-version"):
            read(tmp_path, package("idna") + "[metadata]\n")

    def test_a_file_cut_off_in_the_middle_of_its_digests(self, tmp_path: Path) -> None:
        text = (ASSETS / "1.0-every-source" / "poetry.lock").read_text()
        cut = text[: text.index("\nzipp = [")]
        with pytest.raises(LockfileError, match=r"\[metadata.files\] has nothing on zipp"):
            read(tmp_path, cut)

    def test_a_file_cut_off_before_its_digests(self, tmp_path: Path) -> None:
        text = (ASSETS / "1.0-every-source" / "poetry.lock").read_text()
        with pytest.raises(LockfileError, match=r"it has no \[metadata.files\]"):
            read(tmp_path, text[: text.index("[metadata.files]")])

    def test_digests_of_one_name_are_parted_by_version(self, tmp_path: Path) -> None:
        files = [
            ("p-1.0.tar.gz", "a"),
            ("p-1.0.1-py3-none-any.whl", "b"),
            ("p-1.0.1.tar.gz", "c"),
            ("p-1.0-1.zip", "d"),
        ]
        listed = ", ".join(f'{{file = "{file}", hash = "sha256:{digit * 64}"}}' for file, digit in files)
        text = package("p") + package("p", version="1.0.1") + package("p", version="9")
        found = read(tmp_path, f'{text}[metadata]\nlock-version = "1.1"\n[metadata.files]\nP = [{listed}]\n')
        digits = {one.version: "".join(digest[-1] for digest in one.integrity) for one in found}
        assert digits == {"1.0": "ad", "1.0.1": "bc", "9": "abcd"}


class TestBroken:
    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("", r"poetry.lock: it has no \[metadata\]"),
            ("metadata = 1", r"it has no \[metadata\]"),
            ('[metadata]\nlock-version = "2.1"', r"it has no \[\[package\]\]"),
            ('package = ["a"]\n[metadata]\nlock-version = "2.1"', "poetry.lock:1: a package has no name"),
            ("[[package]]\nname = 'a'\n[metadata]\nlock-version = '2.1'", "poetry.lock:2: package a has no version"),
            ("[[package]]\nname = 'a b'\nversion = '1'\n[metadata]\nlock-version = '2.1'", "poetry.lock:2: a package"),
            ("[[package]]\nname = 'a'\nversion = '*'\n[metadata]\nlock-version = '2.1'", "has no version"),
            ("a = 1\na = 2\nb = 1", r"poetry.lock:2:6: it is not TOML: Cannot overwrite a value\."),
            ('a = "', "poetry.lock:1: it is not TOML"),
            ("a = " + "1" * 5000, "it is not TOML"),
        ],
    )
    def test_says_where_and_what(self, tmp_path: Path, text: str, problem: str) -> None:
        with pytest.raises(LockfileError, match=problem) as caught:
            read(tmp_path, text)
        assert "poetry lock" in caught.value.hint or "lock again" in caught.value.hint

    @pytest.mark.parametrize("source", ['type = "hg"\nurl = "x"', 'type = "git"', 'type = "legacy"\nurl = ""'])
    def test_a_source_that_is_not_known_is_never_passed_over(self, tmp_path: Path, source: str) -> None:
        with pytest.raises(LockfileError, match="idna has a source that is not known"):
            read(tmp_path, lock(source=source))

    def test_no_such_file(self, tmp_path: Path) -> None:
        with pytest.raises(LockfileError, match="there is no such file"):
            poetry.read("sub/poetry.lock", WorkTree(tmp_path), NO_REGISTRIES)


class TestLines:
    def test_headers_inside_strings_and_comments_are_none(self, tmp_path: Path) -> None:
        text = (
            '# [[package]]\n[[package]]\ndescription = """\n[[package]]\nname = "fake"\n\\""""""\n'
            "name = 'a'\nversion = '1'\n[package.dependencies]\nname = '*'\n"
            "[[ package ]] # x\nname = 'b'\nversion = '1'\ndescription = '''\n[[package]]'''\n" + METADATA
        )
        assert [(one.name, one.line) for one in read(tmp_path, text)] == [("a", 7), ("b", 12)]

    def test_packages_in_an_unusual_spelling_are_found_by_their_names(self, tmp_path: Path) -> None:
        text = (
            'package = [{name = "a", version = "1"},\n{name = "b", version = "1"}]\n[metadata]\nlock-version = "2.1"\n'
        )
        assert [(one.name, one.line) for one in read(tmp_path, text)] == [("a", 1), ("b", 2)]


METADATA = '[metadata]\nlock-version = "2.0"\n'


def package(name: str, *more: str, version: str = "1.0") -> str:
    lines = "\n".join(more)
    return f'[[package]]\nname = "{name}"\nversion = "{version}"\n{lines}\n'


def lock(name: str = "idna", *, version: str = "2.1", source: str = "") -> str:
    listed = '[{file = "x-3.7.zip", hash = "sha256:%s"}]' % ("0" * 64)
    tail = f"[package.source]\n{source}\n" if source else ""
    files = f"[metadata.files]\n{name} = {listed}\n" if version.startswith("1.") else ""
    return (
        package(name, "" if files else f"files = {listed}", tail, version="3.7")
        + f'[metadata]\nlock-version = "{version}"\n{files}'
    )


def named_source(name: str, url: str, more: str = "") -> str:
    return f'[[tool.poetry.source]]\nname = "{name}"\nurl = "{url}"\n{more}\n'


def read(
    folder: Path, text: str, project: str | None = None, registries: Registries = NO_REGISTRIES
) -> tuple[Dependency, ...]:
    (folder / "poetry.lock").write_text(text)
    if project is not None:
        (folder / "pyproject.toml").write_text(project)
    lockfile = poetry.read("poetry.lock", WorkTree(folder), registries)
    assert isinstance(lockfile, Lockfile)
    return lockfile.dependencies
