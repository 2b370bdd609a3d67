"""What is new: labels, moves, digests, deletions; and that nothing new is ever lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from scangate.changes.known import identity
from scangate.changes.select import select_new
from scangate.changes.versions import direction
from scangate.models.changes import ChangeKind, Selection
from scangate.models.lockfile import Dependency, Ecosystem, Kind, LockFact, Lockfile, Relation, Scope

NPM = "npm-package-lock"
A, B, C = (f"sha512:{letter * 128}" for letter in "abc")
S = "sha1:" + "d" * 40


def npm(name: str = "left", version: str = "1.0.0", *integrity: str, **more: object) -> Dependency:
    values: dict[str, object] = {
        "ecosystem": Ecosystem.NPM,
        "name": name,
        "version": version,
        "kind": Kind.REGISTRY,
        "purl": f"pkg:npm/{name}@{version}",
        "integrity": tuple(sorted(integrity or (A,))),
        **more,
    }
    return Dependency(**values)  # type: ignore[arg-type]  # for brevity


def bare(name: str = "left", version: str = "1.0.0", **more: object) -> Dependency:
    return npm(name, version, **more)._replace(integrity=())


def lock(*dependencies: Dependency, path: str = "package-lock.json", format_: str = NPM, **more: object) -> Lockfile:
    placed = tuple(one._replace(lockfile=path) for one in dependencies)
    return Lockfile(path=path, format=format_, dependencies=placed, **more)  # type: ignore[arg-type]  # for brevity


def labels(selection: Selection) -> list[tuple[str, str, str | None, str | None]]:
    return [
        (change.kind, change.dependency.name, change.before and change.before.version, change.dependency.version)
        for change in selection.changes
    ]


def new(selection: Selection) -> list[str | None]:
    return [one.purl for lockfile in selection.lockfiles for one in lockfile.dependencies]


def test_an_added_package_is_new_and_the_others_are_not() -> None:
    selection = select_new([lock(npm("old"), npm("fresh"))], [lock(npm("old"))])
    assert new(selection) == ["pkg:npm/fresh@1.0.0"]
    assert labels(selection) == [("added", "fresh", None, "1.0.0")]


def test_without_a_base_all_is_new() -> None:
    assert new(select_new([lock(npm("one"), npm("two"))], [])) == ["pkg:npm/one@1.0.0", "pkg:npm/two@1.0.0"]


@pytest.mark.parametrize(
    ("before", "after", "label"),
    [
        ("1.9.0", "1.10.0", "upgraded"),
        ("2.0.0", "1.10.0", "downgraded"),
        ("1.0.0-rc.9", "1.0.0-rc.10", "upgraded"),
        ("1.0.0", "1.0.0-rc.1", "downgraded"),
        ("1.0.0+one", "1.0.0+two", "changed"),
        ("weird", "1.0.0", "changed"),
    ],
)
def test_another_version_is_labelled_by_the_order_of_versions(before: str, after: str, label: str) -> None:
    selection = select_new([lock(npm("left", after))], [lock(npm("left", before))])
    assert labels(selection) == [(label, "left", before, after)]
    assert new(selection) == [f"pkg:npm/left@{after}"]


def test_another_version_beside_the_one_that_stays_is_added() -> None:
    selection = select_new([lock(npm("left"), npm("left", "2.0.0"))], [lock(npm("left"))])
    assert labels(selection) == [("added", "left", None, "2.0.0")]


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_earlier_versions_the_nearest_one_counts(order: int) -> None:
    earlier = [npm("left", version) for version in ("1.0.0", "1.5.0", "3.0.0", "4.0.0")][::order]
    assert labels(select_new([lock(npm("left", "2.0.0"))], [lock(*earlier)])) == [
        ("upgraded", "left", "1.5.0", "2.0.0")
    ]
    later = [one for one in earlier if one.version in ("3.0.0", "4.0.0")]
    assert labels(select_new([lock(npm("left", "2.0.0"))], [lock(*later)])) == [
        ("downgraded", "left", "3.0.0", "2.0.0")
    ]


def test_a_conflict_of_digests_is_a_change_of_integrity() -> None:
    selection = select_new([lock(npm("left", "1.0.0", B))], [lock(npm("left", "1.0.0", A))])
    assert labels(selection) == [("integrity", "left", "1.0.0", "1.0.0")]
    assert selection.changes[0].before is not None
    assert selection.changes[0].before.integrity == (A,)
    assert new(selection) == ["pkg:npm/left@1.0.0"]


def test_the_same_weaker_digest_hides_no_other_content() -> None:
    selection = select_new([lock(npm("left", "1.0.0", S, B))], [lock(npm("left", "1.0.0", S, A))])
    assert labels(selection) == [("integrity", "left", "1.0.0", "1.0.0")]
    (entry,) = selection.lockfiles[0].dependencies
    assert [fact.check for fact in entry.facts] == ["integrity-changed"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param((A,), (A, B), id="added to a shared one"),
        pytest.param((S,), (A,), id="another algorithm"),
        pytest.param((), (A,), id="none before"),
        pytest.param((A,), (), id="none now"),
    ],
)
def test_digests_that_differ_without_a_conflict_are_analysed_again(
    before: tuple[str, ...], after: tuple[str, ...]
) -> None:
    one = npm()
    selection = select_new([lock(one._replace(integrity=after))], [lock(one._replace(integrity=before))])
    assert labels(selection) == [("digests", "left", "1.0.0", "1.0.0")]
    assert new(selection) == ["pkg:npm/left@1.0.0"]


def test_fewer_of_the_same_digests_are_not_new() -> None:
    assert not new(select_new([lock(npm("left", "1.0.0", A))], [lock(npm("left", "1.0.0", A, S))]))


def test_digests_from_two_lockfiles_of_the_base_are_known() -> None:
    base = [lock(npm("left", "1.0.0", A)), lock(npm("left", "1.0.0", B), path="web/package-lock.json")]
    assert not new(select_new([lock(npm("left", "1.0.0", B)), base[1]], base))


def test_other_content_is_a_fact_that_says_what_was_and_where() -> None:
    base = [lock(npm("left", "1.0.0", A)), lock(npm("left", "1.0.0", A, S), path="web/package-lock.json")]
    selection = select_new([lock(npm("left", "1.0.0", B, line=7))], base)
    (entry,) = selection.lockfiles[0].dependencies
    (fact,) = entry.facts
    assert (fact.check, fact.line) == ("integrity-changed", 7)
    assert "sha512:bbbb" in fact.detail
    assert "sha512:aaaa" in fact.detail
    assert "in package-lock.json" in fact.detail
    assert selection.changes[0].dependency == entry


def test_added_or_incomparable_digests_are_no_other_content() -> None:
    for digests in ((A, B), (S,)):
        (entry,) = select_new([lock(npm("left", "1.0.0", *digests))], [lock(npm())]).lockfiles[0].dependencies
        assert entry.facts == ()


def test_the_same_package_from_another_place_without_digests_is_a_change_of_source() -> None:
    before, after = (bare(source=f"https://{host}.example/left.tgz") for host in ("one", "two"))
    selection = select_new([lock(after)], [lock(before)])
    assert labels(selection) == [("source", "left", "1.0.0", "1.0.0")]
    assert not new(select_new([lock(before)], [lock(before)]))


def test_an_unverified_place_is_not_vouched_for_by_an_entry_with_digests() -> None:
    with_digest = npm(source="https://two.example/left.tgz")
    unverified = bare(source="https://one.example/left.tgz")
    current = bare(source="https://two.example/left.tgz")
    assert new(select_new([lock(current)], [lock(with_digest, unverified)])) == ["pkg:npm/left@1.0.0"]


def test_the_same_digest_from_another_place_is_not_new() -> None:
    before, after = (npm(source=f"https://{host}.example/left.tgz") for host in ("one", "two"))
    assert select_new([lock(after)], [lock(before)]).changes == ()


def test_another_kind_is_a_change_of_source_whatever_its_version() -> None:
    git = npm(version="2.0.0", kind=Kind.GIT, purl=None, source="git+https://example.com/left#" + "a" * 40)
    assert labels(select_new([lock(git)], [lock(npm())])) == [("source", "left", "1.0.0", "2.0.0")]
    same = git._replace(version="1.0.0")
    assert labels(select_new([lock(npm(), same)], [lock(npm())])) == [("source", "left", "1.0.0", "1.0.0")]


def test_entries_without_a_purl_are_told_apart_by_kind_name_version_and_source() -> None:
    git = bare(version="1.0.0", kind=Kind.GIT, purl=None, source="git+https://example.com/left#" + "a" * 40)
    assert not new(select_new([lock(git)], [lock(git)]))
    for other in (
        git._replace(source="git+https://example.com/left#" + "b" * 40),
        git._replace(kind=Kind.URL),
        git._replace(ecosystem=Ecosystem.PYPI),
        git._replace(source=None),
    ):
        assert len(new(select_new([lock(other)], [lock(git)]))) == 1
        assert len(new(select_new([lock(git)], [lock(other)]))) == 1


@pytest.mark.parametrize("kind", [Kind.GIT, Kind.URL, Kind.FILE, Kind.LOCAL])
@pytest.mark.parametrize("digest", [(), (A,)])
def test_what_comes_from_its_source_is_the_same_whether_its_version_is_told_or_not(
    kind: Kind, digest: tuple[str, ...]
) -> None:
    one = npm(kind=kind, purl=None, source="https://example.com/left.tgz")._replace(integrity=digest)
    untold = one._replace(version=None)
    assert select_new([lock(untold)], [lock(one)]).changes == ()
    assert select_new([lock(one)], [lock(untold)]).changes == ()
    # Another version at the same place is an update, and no other content under the same version.
    other = one._replace(version="1.1.0", integrity=(B,) if digest else ())
    selection = select_new([lock(other)], [lock(one)])
    assert labels(selection) == [("upgraded", "left", "1.0.0", "1.1.0")]
    assert selection.lockfiles[0].dependencies[0].facts == ()
    assert labels(select_new([lock(other)], [lock(other, one)])) == []
    index = one._replace(source=None)
    assert len(new(select_new([lock(index._replace(version="1.1.0"))], [lock(index)]))) == 1


def test_other_content_of_what_has_no_version_is_told() -> None:
    one = npm(kind=Kind.URL, purl=None, source="https://example.com/left.tgz", version=None)
    selection = select_new([lock(one._replace(integrity=(B,)))], [lock(one)])
    (entry,) = selection.lockfiles[0].dependencies
    assert entry.facts[0].detail.startswith("left is sha512:bbbb")


def test_a_new_fact_makes_an_entry_new_and_a_moved_line_does_not() -> None:
    fact = LockFact(check="plain-http", detail="requirements.txt:3: it is fetched without encryption.", line=3)
    moved = fact._replace(detail="requirements.txt:9: it is fetched without encryption.", line=9)
    assert labels(select_new([lock(npm(facts=(fact,)))], [lock(npm())])) == [("facts", "left", "1.0.0", "1.0.0")]
    assert not new(select_new([lock(npm(facts=(moved,)))], [lock(npm(facts=(fact,)))]))
    assert select_new([lock(facts=(moved,))], [lock(facts=(fact,))]).lockfiles[0].facts == ()
    assert select_new([lock(facts=(fact,))], [lock()]).lockfiles[0].facts == (fact,)
    assert select_new([lock(facts=(fact,))], []).lockfiles[0].facts == (fact,)


def test_dev_turned_prod_is_reported_and_not_new() -> None:
    selection = select_new([lock(npm())], [lock(npm(scope=Scope.DEV))])
    assert labels(selection) == [("scope", "left", "1.0.0", "1.0.0")]
    assert not new(selection)
    elsewhere = lock(npm(scope=Scope.DEV), path="web/package-lock.json")
    assert not select_new([lock(npm()), elsewhere], [lock(npm()), elsewhere]).changes


def test_an_unsupported_lockfile_stays_in_the_selection() -> None:
    yarn = Lockfile(path="yarn.lock", format="yarn-lock", supported=False)
    assert select_new([yarn], [yarn]).lockfiles == (yarn,)


def test_a_package_that_stands_twice_in_a_lockfile_is_one_change_and_two_entries() -> None:
    selection = select_new([lock(npm(line=3), npm(line=9))], [])
    assert [(change.dependency.line, change.kind) for change in selection.changes] == [(3, "added")]
    assert len(new(selection)) == 2


# ------------------------------------------------------------------------------------------------ deleted


def deleted(selection: Selection) -> list[tuple[str, list[str]]]:
    return [(lockfile.path, [fact.check for fact in lockfile.facts]) for lockfile in selection.deleted]


def test_a_deleted_lockfile_is_reported() -> None:
    selection = select_new([], [lock(npm())])
    assert deleted(selection) == [("package-lock.json", ["deleted"])]
    assert selection.deleted[0].dependencies == ()


@pytest.mark.parametrize(
    ("current", "is_replaced"),
    [
        pytest.param(lock(path="pnpm-lock.yaml", format_="pnpm-lock", supported=False), True, id="unsupported sibling"),
        pytest.param(lock(npm(), npm("else"), path="npm-shrinkwrap.json"), True, id="added sibling"),
        pytest.param(
            lock(npm("else"), path="npm-shrinkwrap.json"), False, id="added sibling that locks something else"
        ),
        pytest.param(lock(path="npm-shrinkwrap.json"), False, id="added sibling that locks nothing"),
        pytest.param(lock(npm("else"), path="web/yarn.lock", format_="yarn-lock"), False, id="another folder"),
        pytest.param(lock(npm(), path="requirements.txt", format_="pip-requirements"), False, id="another ecosystem"),
        pytest.param(lock(npm(), path="web/package-lock.json"), True, id="moved, git does not know it yet"),
        pytest.param(lock(npm("else"), path="web/package-lock.json"), False, id="another one elsewhere"),
    ],
)
def test_what_replaces_a_deleted_lockfile(current: Lockfile, is_replaced: bool) -> None:
    assert deleted(select_new([current], [lock(npm())])) == [("package-lock.json", [] if is_replaced else ["deleted"])]


def test_added_siblings_hold_together_what_the_project_asks_for() -> None:
    direct = [npm(name, relation=Relation.DIRECT) for name in ("left", "right")]
    gone = lock(*direct, npm("below", relation=Relation.TRANSITIVE))
    some, rest = lock(npm("left", "2.0.0"), path="yarn.lock"), lock(npm("right"), path="npm-shrinkwrap.json")
    assert deleted(select_new([some, rest], [gone])) == [("package-lock.json", [])]
    assert deleted(select_new([some], [gone])) == [("package-lock.json", ["deleted"])]


@pytest.mark.parametrize(
    ("names", "asked", "is_replaced"),
    [
        (("left",), ("left", "else"), True),
        (("left",), ("left", "right"), False),
        (("left",), None, False),
        ((), ("else",), False),
        ((), (), True),
    ],
)
@pytest.mark.parametrize("path", ["yarn.lock", "npm-shrinkwrap.json"])
def test_what_the_project_asks_for_no_more_need_not_be_held(
    path: str, names: tuple[str, ...], asked: tuple[str, ...] | None, is_replaced: bool
) -> None:
    gone = lock(npm("left"), npm("right"))
    added = lock(*map(npm, names), path=path, format_=NPM if path.endswith(".json") else "yarn-lock")
    selection = select_new([added], [gone], asked={} if asked is None else {gone.path: asked})
    assert deleted(selection) == [("package-lock.json", [] if is_replaced else ["deleted"])]


def test_one_that_stays_of_the_same_manifest_has_versions_of_its_own() -> None:
    stays = lock(npm("left", "2.0.0"), path="yarn.lock", format_="yarn-lock")
    assert deleted(select_new([stays], [stays, lock(npm())])) == [("package-lock.json", [])]


def test_what_was_open_where_it_was_is_as_firm_anywhere() -> None:
    stays = lock(npm("left"), path="all.txt", format_="pip-requirements")
    gone = lock(bare("left")._replace(version=None, purl=None), path="some.txt", format_="pip-requirements")
    assert deleted(select_new([stays], [stays, gone])) == [("some.txt", [])]


@pytest.mark.parametrize("format_", ["uv-lock", "poetry-lock"])
def test_one_that_nobody_can_read_is_replaced_by_another_of_its_manifest_alone(format_: str) -> None:
    gone = lock(path="uv.lock", format_=format_, supported=format_ == "poetry-lock")
    pip = lock(npm(), path="lint-requirements.txt", format_="pip-requirements")
    other = lock(npm(), path="poetry.lock", format_="poetry-lock")
    for current, base, facts in (
        ([pip], [gone], ["deleted"]),
        ([other], [gone, other], ["deleted"]),
        ([other], [gone], []),
    ):
        assert deleted(select_new(current, base)) == [("uv.lock", facts)]


@pytest.mark.parametrize(("names", "is_replaced"), [(("left", "right"), True), (("left",), False)])
def test_a_sibling_that_was_there_replaces_only_what_it_holds(names: tuple[str, ...], is_replaced: bool) -> None:
    stays = lock(*map(npm, names), path="all.txt", format_="pip-requirements")
    gone = lock(npm("left"), npm("right"), path="requirements.txt", format_="pip-requirements")
    assert deleted(select_new([stays], [stays, gone])) == [("requirements.txt", [] if is_replaced else ["deleted"])]


@pytest.mark.parametrize(
    ("path", "is_replaced"),
    [("docs/package-lock.json", False), ("app/npm-shrinkwrap.json", True), ("package-lock.json", True)],
)
@pytest.mark.parametrize("is_renamed", [False, True])
def test_a_lockfile_that_leaves_its_project_behind_is_deleted(path: str, is_replaced: bool, is_renamed: bool) -> None:
    was, now = lock(npm(), path="app/package-lock.json"), lock(npm(), path=path)
    renames = {path: was.path} if is_renamed else {}
    for left in ([was.path], []):
        selection = select_new([now], [was], renames=renames, left=left)
        facts = [fact.check for each in selection.deleted for fact in each.facts]
        assert facts == ([] if is_replaced or not left else ["deleted"])
        assert not new(selection)


def test_a_sibling_that_nobody_can_read_and_that_was_there_replaces_nothing() -> None:
    other = lock(path="yarn.lock", format_="yarn-lock", supported=False)
    assert deleted(select_new([other], [lock(npm()), other])) == [("package-lock.json", ["deleted"])]
    migrated = select_new([lock(npm())], [other])
    assert deleted(migrated) == [("yarn.lock", [])]
    assert migrated.deleted[0].supported


def test_a_renamed_lockfile_is_not_deleted_and_is_compared_with_what_it_was() -> None:
    moved = lock(npm("left", "1.1.0"), path="web/package-lock.json")
    renames = {"web/package-lock.json": "package-lock.json"}
    selection = select_new([moved], [lock(npm())], renames=renames)
    assert selection.deleted == ()
    assert labels(selection) == [("upgraded", "left", "1.0.0", "1.1.0")]


# --------------------------------------------------------------------------------------------- properties

digests = st.lists(st.sampled_from([A, B, C, S]), max_size=3, unique=True).map(lambda some: tuple(sorted(some)))
entries = st.builds(
    lambda name, version, integrity, scope, source: npm(name, version, scope=scope, source=source)._replace(
        integrity=integrity
    ),
    st.sampled_from(["left", "right", "middle"]),
    st.sampled_from(["1.0.0", "1.1.0", "2.0.0-rc.1"]),
    digests,
    st.sampled_from(Scope),
    st.sampled_from([None, "https://one.example/x.tgz"]),
)
trees = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.lists(entries, max_size=6), max_size=3).map(
    lambda files: [lock(*some, path=f"{folder}/package-lock.json") for folder, some in files.items()]
)


def content(selection: Selection) -> list[tuple[str, ...]]:
    chosen = (one for lockfile in selection.lockfiles for one in lockfile.dependencies)
    return sorted((str(identity(one)), *one.integrity, one.source or "", one.scope) for one in chosen)


@given(trees)
def test_a_tree_has_nothing_new_against_itself(tree: list[Lockfile]) -> None:
    selection = select_new(tree, tree)
    assert (content(selection), selection.changes, selection.deleted) == ([], (), ())


@given(trees, trees)
def test_nothing_new_is_lost(current: list[Lockfile], base: list[Lockfile]) -> None:
    selection = select_new(current, base)
    assert [one.path for one in selection.lockfiles] == [one.path for one in current]
    before = [one for lockfile in base for one in lockfile.dependencies]
    for lockfile, selected in zip(current, selection.lockfiles, strict=True):
        chosen = {one._replace(facts=()) for one in selected.dependencies}
        for one in lockfile.dependencies:
            if one in chosen:
                continue
            same = [other for other in before if other.purl == one.purl]
            # Left out means: each digest, or the lack of any, was in the base for this very purl.
            assert same
            assert all(any(digest in other.integrity for other in same) for digest in one.integrity)
            assert one.integrity or any(not other.integrity and other.source == one.source for other in same)
    is_new = {identity(change.dependency) for change in selection.changes if change.kind is not ChangeKind.SCOPE}
    assert is_new == {identity(one) for lockfile in selection.lockfiles for one in lockfile.dependencies}


@given(trees, trees, st.randoms(use_true_random=False))
def test_order_and_places_say_nothing(current: list[Lockfile], base: list[Lockfile], random: object) -> None:
    def moved(tree: list[Lockfile], prefix: str) -> list[Lockfile]:
        shuffled = [
            lock(*random.sample(one.dependencies, len(one.dependencies)), path=prefix + one.path)  # type: ignore[attr-defined]
            for one in tree
        ]
        return random.sample(shuffled, len(shuffled))  # type: ignore[attr-defined,no-any-return]

    expected = content(select_new(current, base))
    assert content(select_new(moved(current, ""), moved(base, ""))) == expected
    renames = {f"new/{one.path}": f"old/{one.path}" for one in current if one.path in {other.path for other in base}}
    assert content(select_new(moved(current, "new/"), moved(base, "old/"), renames=renames)) == expected


@given(trees, trees)
def test_the_order_of_the_base_does_not_change_the_answer(current: list[Lockfile], base: list[Lockfile]) -> None:
    assert content(select_new(current, base)) == content(select_new(current, base[::-1]))


versions = st.from_regex(r"\A(0|[1-9][0-9]?)\.(0|[1-9][0-9]?)\.(0|[1-9][0-9]?)(-(rc|a)\.([1-9][0-9]?))?\Z")


@given(versions, versions)
def test_semver_agrees_with_pep_440_where_both_read_a_version(one: str, other: str) -> None:
    # "1.0.0-rc.2" means the same in both.
    order = (Version(other) > Version(one)) - (Version(other) < Version(one))
    expected = {1: ChangeKind.UPGRADED, -1: ChangeKind.DOWNGRADED, 0: ChangeKind.CHANGED}[order]
    assert direction(Ecosystem.NPM, one, other) is expected
    assert direction(Ecosystem.PYPI, one, other) is expected


@pytest.mark.parametrize(
    ("one", "other", "label"),
    [
        ("1.0", "1!0.1", ChangeKind.UPGRADED),
        ("1.0.post1", "1.0", ChangeKind.DOWNGRADED),
        ("1.0", "1.0.0", ChangeKind.CHANGED),
        ("1.0", "latest", ChangeKind.CHANGED),
        (None, "1.0", ChangeKind.CHANGED),
        ("1.0", "1." + "0" * 300, ChangeKind.CHANGED),
    ],
)
def test_versions_of_python_packages(one: str | None, other: str | None, label: ChangeKind) -> None:
    assert direction(Ecosystem.PYPI, one, other) is label


def test_the_order_of_the_semver_specification() -> None:
    # Section 11 of Semantic Versioning 2.0.0.
    suffixes = ("-alpha", "-alpha.1", "-alpha.beta", "-beta", "-beta.2", "-beta.11", "-rc.1", "")
    ordered = [f"1.0.0{suffix}" for suffix in suffixes]
    for place, one in enumerate(ordered):
        for other in ordered[place + 1 :]:
            assert direction(Ecosystem.NPM, one, other) is ChangeKind.UPGRADED
            assert direction(Ecosystem.NPM, other, one) is ChangeKind.DOWNGRADED
