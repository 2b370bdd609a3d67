"""A policy can build on another file of the repository; places, errors and outputs name the right one."""

from itertools import pairwise

import pytest

from scangate.errors import PolicyError
from scangate.models.analysis import OutcomeCode, Phase
from scangate.models.lockfile import Ecosystem, Kind
from scangate.models.observations import HostContacted
from scangate.models.verdict import Action, Decider, Mode, Severity
from scangate.policy import loader, sources
from scangate.policy.model import Policy
from tests.policy.kit import package, policy, verdict

HOST = HostContacted(phase=Phase.EXECUTE, host="a.example", via=("dns",))


def load(files: dict[str, str], first: str = "scangate.yml", *, where: str = "", path: str | None = None) -> Policy:
    """The policy in `first`, among the files of a repository (without their line `version: 1`)."""
    contents = {name: f"version: 1\n{text}".encode() for name, text in files.items()}
    return loader.load(contents[path or first], where or first, read=contents.get, path=path)


def test_a_file_is_built_upon_with_all_that_it_says() -> None:
    base = """
        mode: observe
        engines: [lastpymile]
        max-report-age: 7
        upload-files: true
        actions: {low: warn}
        outcomes: {stale: fail}
        lints: {allow-unused: deny}
        exclude: ["docs/**"]
        registries: {mirrors: [mirror.example], private: [{host: npm.acme.example, names: ["@acme/*"]}]}
        sets: {ours: [a.example]}
        rules: [{id: theirs, title: T, severity: low, observe: host, unless: {suffix: "@ours"}}]
        overrides: [{when: {scope: dev}, cap: warn}]
        allow: [{package: "pkg:npm/a@1.0.0", rules: theirs, reason: r, owner: o, expires: 2099-01-01}]
    """
    read = policy("extends: org.yml", org=base)
    assert (read.mode, read.engines, read.max_report_age, read.upload_files) == (
        Mode.OBSERVE,
        ("lastpymile",),
        7,
        True,
    )
    assert str(read.actions[Severity.LOW].by) == "org.yml:6"
    assert str(read.outcomes[OutcomeCode.STALE].by) == "org.yml:7"
    assert read.exclude == ("docs/**",)
    assert read.registries.mirrors == {"mirror.example"}
    assert [each.place for each in read.overrides] == ["org.yml:13"]
    assert [each.place for each in read.allow] == ["org.yml:14"]
    assert {rule.id for rule in read.rules} == {rule.id for rule in loader.default().rules} | {"theirs"}
    assert (read.where, read.files) == ("scangate.yml", ("scangate.yml", "org.yml"))


def test_the_extending_file_wins_and_says_so() -> None:
    org = "rules: [{id: theirs, title: T, severity: low, observe: host}]\nactions: {low: warn}\n"
    plain = policy("extends: org.yml", org=org)
    (finding,) = [
        each for each in verdict(plain, package(observations=[HOST])).subjects[0].findings if each.rule == "theirs"
    ]
    assert (finding.where, str(finding.decided_by), finding.action) == ("org.yml:2", "org.yml:3", Action.WARN)

    mine = policy("extends: org.yml\nrules: [{id: theirs, action: deny}]\n", org=org)
    (finding,) = [
        each for each in verdict(mine, package(observations=[HOST])).subjects[0].findings if each.rule == "theirs"
    ]
    assert (finding.where, finding.action) == ("org.yml:2", Action.DENY)
    assert (finding.decided_by.decider, finding.decided_by.where) == (Decider.POLICY, "scangate.yml:3")


def test_what_is_excluded_and_named_as_a_registry_adds_up() -> None:
    org = """
        exclude: [a]
        registries: {mirrors: [a.example], private: [{host: npm.acme.example, names: ["@acme/*"]}]}
    """
    read = policy("extends: org.yml\nexclude: [b]\nregistries: {mirrors: [b.example]}\n", org=org)
    assert read.exclude == ("a", "b")
    assert read.registries.mirrors == {"a.example", "b.example"}
    origin = read.registries.origin(Ecosystem.NPM, "@acme/ui", "b.example")
    assert (origin.kind, origin.confused_with) == (Kind.PRIVATE_REGISTRY, "npm.acme.example")


def test_a_part_of_a_policy_need_not_deny_anything() -> None:
    sets = "extends: none\nsets: {ours: [a.example]}\n"
    rules = "rules: [{id: x, title: X, severity: high, observe: host, match: {suffix: '@ours'}}]\n"
    assert [rule.id for rule in policy(f"extends: sets.yml\n{rules}", sets=sets).rules] == ["x"]
    with pytest.raises(PolicyError, match=r"^scangate\.yml:1:1: an empty policy"):
        policy("extends: sets.yml\n", sets=sets)


def test_paths_start_at_the_file_s_own_folder() -> None:
    files = {
        ".github/scangate.yml": "extends: ../policies/team.yml\n",
        "policies/team.yml": "extends: ./org/base.yaml\n",
        "policies/org/base.yaml": "actions: {low: warn}\n",
    }
    read = load(files, ".github/scangate.yml")
    assert read.files == (".github/scangate.yml", "policies/team.yml", "policies/org/base.yaml")
    assert str(read.actions[Severity.LOW].by) == "policies/org/base.yaml:2"


def test_a_file_is_shown_from_where_the_first_one_is_shown() -> None:
    """Who works in a subfolder and names ../ci/gate.yml gets paths that can be opened from there."""
    files = {"ci/gate.yml": "extends: base.yml\n", "ci/base.yml": "actions: {low: warn}\n"}
    read = load(files, where="../ci/gate.yml", path="ci/gate.yml")
    assert (read.where, read.files) == ("../ci/gate.yml", ("ci/gate.yml", "ci/base.yml"))
    assert str(read.actions[Severity.LOW].by) == "../ci/base.yml:2"


def test_a_mistake_is_named_in_the_file_where_it_stands() -> None:
    with pytest.raises(PolicyError, match=r"^org\.yml:2:1: the policy has no key 'mod'"):
        policy("extends: org.yml", org="mod: x")


REFUSED = [
    ("https://policies.example/base.yml", "is no file of this repository", "Nothing is downloaded."),
    ("file:base.yml", "is no file of this repository", ""),
    ("C:/base.yml", "is no file of this repository", ""),
    ("~/base.yml", "is no file of this repository", ""),
    ("//host.example/base.yml", "is no file of this repository", ""),
    ("/etc/base.yml", "is an absolute path", "from this file's folder"),
    ("../base.yml", "is outside of the repository", ""),
    ("a/../../base.yml", "is outside of the repository", ""),
    ("absent.yml", "there is no file 'absent.yml'", ""),
    ("policies\\\\base.yml", "expected `default`, `none` or the path of a .yml file", ""),
    ("base.json", "expected `default`, `none` or the path of a .yml file", ""),
    ("defualt", "expected `default`, `none` or the path of a .yml file", ""),
]


@pytest.mark.parametrize(("text", "problem", "hint"), REFUSED)
def test_only_files_of_the_repository_can_be_extended(text: str, problem: str, hint: str) -> None:
    read: list[str] = []

    def reader(path: str) -> bytes | None:
        read.append(path)
        return None

    with pytest.raises(PolicyError, match=r"^scangate\.yml:2:10: ") as caught:
        loader.load(f'version: 1\nextends: "{text}"\n', "scangate.yml", read=reader)
    assert problem in caught.value.message
    assert hint in caught.value.hint
    assert read == (["absent.yml"] if text == "absent.yml" else [])


def test_without_a_reader_there_is_no_other_file() -> None:
    with pytest.raises(PolicyError, match=r"2:10: there is no file 'base\.yml'"):
        loader.load("version: 1\nextends: base.yml\n", "scangate.yml")


@pytest.mark.parametrize("name", ["scangate.yml", "./scangate.yml"])
def test_a_file_cannot_extend_itself(name: str) -> None:
    with pytest.raises(PolicyError, match=r"^scangate\.yml:2:10: files extend each other: scangate\.yml → scangate"):
        load({"scangate.yml": f"extends: {name}\n"})


def test_a_circle_is_named_where_it_closes() -> None:
    files = {
        "scangate.yml": "extends: a.yml\n",
        "a.yml": "extends: x/b.yml\n",
        "x/b.yml": "mode: observe\nextends: ../a.yml\n",
    }
    with pytest.raises(PolicyError, match=r"^x/b\.yml:3:10: files extend each other: a\.yml → x/b\.yml → a\.yml"):
        load(files)


def test_the_depth_is_bounded() -> None:
    names = ["scangate.yml", *(f"{number}.yml" for number in range(sources.MAX_FILES))]
    chain = {name: f"extends: {then}\n" for name, then in pairwise(names)}
    allowed = chain | {names[sources.MAX_FILES - 1]: "mode: observe\n"}
    assert len(load(allowed).files) == sources.MAX_FILES
    with pytest.raises(PolicyError, match=rf"^{sources.MAX_FILES - 2}\.yml:2:10: more than {sources.MAX_FILES} files"):
        load(chain)


def test_inherited_names_cannot_be_taken_over() -> None:
    org = "sets: {ours: [a.example]}\nrules: [{id: theirs, title: T, severity: low, observe: host}]\n"
    with pytest.raises(PolicyError, match=r"scangate\.yml:3:8: 'ours' is an inherited set"):
        policy("extends: org.yml\nsets: {ours: [b.example]}\n", org=org)
    with pytest.raises(PolicyError, match=r"scangate\.yml:3:22: an inherited rule has no key 'observe'"):
        policy("extends: org.yml\nrules: [{id: theirs, observe: bait}]\n", org=org)


def test_a_file_named_like_the_built_in_policy_is_not_taken_for_it() -> None:
    read = loader.load("version: 1\nactions: {low: warn}\n", "default")
    assert (read.actions[Severity.LOW].by.decider, read.actions[Severity.LOW].by.where) == (Decider.POLICY, "default:2")
