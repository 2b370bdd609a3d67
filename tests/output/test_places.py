"""Where the policy's own places lie, and what has none: the same for every format that names files to a service."""

import json
import re

import pytest

from scangate.errors import ExitCode
from scangate.models.lockfile import LockFact, Lockfile
from scangate.models.verdict import Action, LockfileVerdict, NoticeCode, PolicyNotice, Status, SubjectVerdict, Verdict
from scangate.output import FORMATS
from scangate.output.base import Setting, Tree
from tests.output.cases import BLOCKED_ITEM, CASES, EVIDENCE, LOCKFILE_ITEM, dependency, finding, subject, verdict
from tests.output.runner_commands import annotations

FOUND = Tree(root="/repo", cwd="/repo/web")
NAMED = FOUND._replace(policy="/repo/web")
"""The policy that `--policy` names is shown as it was typed, and so is what it extends."""


def _place_of_notice(name: str, verdict_: Verdict, tree: Tree) -> tuple[str, int] | None:
    text = FORMATS[name].render(verdict_, Setting(version="0", exit_code=ExitCode.PASS, tree=tree))
    match name:
        case "github":
            properties = annotations(text)[0].properties
            return (properties["file"], int(properties["line"])) if "file" in properties else None
        case "gitlab":
            location = json.loads(text)[0]["location"]
            return None if location["path"] == "." else (location["path"], location["lines"]["begin"])
        case _:
            (told,) = json.loads(text)["runs"][0]["invocations"][0]["toolExecutionNotifications"]
            if "locations" not in told:
                return None
            found = told["locations"][0]["physicalLocation"]
            return found["artifactLocation"]["uri"], found["region"]["startLine"]


@pytest.mark.parametrize("name", ["github", "gitlab", "sarif"])
@pytest.mark.parametrize(
    ("tree", "where", "expected"),
    [
        (FOUND, "scangate.yml:3", ("scangate.yml", 3)),
        (FOUND, ".github/scangate.yml:3", (".github/scangate.yml", 3)),
        (FOUND, "policies/base.yml:7", ("policies/base.yml", 7)),
        (NAMED, "./scangate.yml:3", ("web/scangate.yml", 3)),
        (NAMED, "strict.yml:3", ("web/strict.yml", 3)),
        (NAMED, "../policies/base.yml:7", ("policies/base.yml", 7)),
        (NAMED, "../../elsewhere.yml:7", None),
        (NAMED, "/etc/scangate.yml:7", None),
        (FOUND, "default", None),
        (FOUND, "scangate.yml", None),
    ],
)
def test_a_place_in_the_policy(name: str, tree: Tree, where: str, expected: tuple[str, int] | None) -> None:
    notice = PolicyNotice(code=NoticeCode.ALLOW_EXPIRED, message="Gone.", where=where, action=Action.WARN)
    told = verdict(Status.WARNED, lockfiles=(LOCKFILE_ITEM,), notices=(notice,))
    assert _place_of_notice(name, told, tree) == expected


def test_a_fingerprint_for_gitlab_does_not_hang_on_the_machine_s_folders() -> None:
    def fingerprint(root: str) -> object:
        setting = Setting(version="0", exit_code=ExitCode.PASS, tree=Tree(root=root, cwd=f"{root}/web"))
        return json.loads(FORMATS["gitlab"].render(CASES["allowed"], setting))[-1]["fingerprint"]

    assert fingerprint("/repo") == fingerprint("/builds/other")


@pytest.mark.parametrize(
    ("lockfile", "expected"),
    [
        ("/etc/package-lock.json", "not-in-the-repository/etc/package-lock.json"),
        ("../../other/package-lock.json", "not-in-the-repository/other/package-lock.json"),
        ("", "not-in-the-repository/pkg%3Anpm/a%401"),
    ],
)
def test_what_has_no_file_in_the_repository_does_not_make_code_scanning_refuse_all(
    lockfile: str, expected: str
) -> None:
    """GitHub refuses the whole upload for one result without a physical location: "expected a physical location"."""
    entry = dependency("a", "1", line=3)._replace(lockfile=lockfile)
    item = SubjectVerdict(subject=subject(entry), status=Status.BLOCKED, findings=(finding("x-y", EVIDENCE[0]),))
    setting = Setting(version="0", exit_code=ExitCode.BLOCKED, tree=FOUND)
    (run,) = json.loads(FORMATS["sarif"].render(verdict(Status.BLOCKED, item, BLOCKED_ITEM), setting))["runs"]
    uris = [each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for each in run["results"]]
    assert expected in uris
    assert len(uris) == 3


# ---------------------------------------------------------------------------------------------- lines


def _line_of_finding(name: str, verdict_: Verdict) -> list[int]:
    setting = Setting(version="0", exit_code=ExitCode.BLOCKED, tree=Tree(root="/repo", cwd="/repo"))
    text = FORMATS[name].render(verdict_, setting)
    match name:
        case "github":
            return [int(each.properties["line"]) for each in annotations(text)]
        case "gitlab":
            return [each["location"]["lines"]["begin"] for each in json.loads(text)]
        case "markdown":
            return [int(line) for line in re.findall(r"`package-lock\.json:(\d+)` \|$", text, re.MULTILINE)]
        case "terminal":
            return [int(line) for line in re.findall(r"package-lock\.json:(\d+) net", text)]
        case _:
            (run,) = json.loads(text)["runs"]
            return [each["locations"][0]["physicalLocation"]["region"]["startLine"] for each in run["results"]]


FIRST = LockFact(check="extra-index", detail="Another index.", line=2)
SECOND = LockFact(check="confusion", detail="From elsewhere.", line=9)


@pytest.mark.parametrize("name", ["github", "gitlab", "markdown", "sarif", "terminal"])
def test_a_finding_of_a_lockfile_stands_on_the_line_that_shows_it(name: str) -> None:
    lock = LockfileVerdict(
        lockfile=Lockfile(path="package-lock.json", format="npm-package-lock", facts=(FIRST, SECOND)),
        status=Status.WARNED,
        findings=(finding("net-x", SECOND, action=Action.WARN),),
    )
    assert _line_of_finding(name, verdict(Status.WARNED, lockfiles=(lock,))) == [9]


@pytest.mark.parametrize("name", ["github", "gitlab", "markdown", "sarif", "terminal"])
def test_a_finding_of_a_package_stands_at_the_entry_that_shows_it(name: str) -> None:
    good, bad = (dependency("a", "1", line=line)._replace(lockfile="package-lock.json") for line in (3, 9))
    item = SubjectVerdict(
        subject=subject(good)._replace(dependencies=(good, bad._replace(facts=(SECOND,)))),
        status=Status.WARNED,
        findings=(finding("net-x", SECOND, action=Action.WARN),),
    )
    assert _line_of_finding(name, verdict(Status.WARNED, item, lockfiles=())) == [9]
