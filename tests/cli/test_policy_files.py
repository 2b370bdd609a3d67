"""Policies of several files, and what their own entries do to a run."""

from pathlib import Path

import pytest

from tests.cli.conftest import Replay, Scangate, example

ENTRY = "reason: a test, owner: o, expires: 2099-01-01"


def write(project: Path, **files: str) -> None:
    for name, text in files.items():
        path = project / f"{name.replace('__', '/')}.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"version: 1\n{text}")


def test_a_policy_is_read_with_the_files_that_it_extends(scangate: Scangate, project: Path, replay: Replay) -> None:
    example("axios-replica", project)
    allow = f"allow:\n- {{package: 'pkg:npm/plain-crypto-replica@4.2.1', rules: [net-on-install], {ENTRY}}}\n"
    write(project, scangate="extends: policies/org.yml\n", policies__org="extends: ../more.yml\n", more=allow)
    (project / ".git").mkdir()
    result = scangate("check", **replay.environ)
    assert result.code == 0
    assert "more.yml:3" in result.out
    # From a folder below, by another name.
    (project / "below").mkdir()
    again = scangate("check", "--policy", "../scangate.yml", "..", cwd=project / "below", **replay.environ)
    assert "../more.yml:3" in again.out


def test_a_mistake_in_an_extended_file_is_named_there(scangate: Scangate, project: Path) -> None:
    example("npm-project", project)
    write(project, scangate="extends: org.yml\n", org="rulez: []\n")
    result = scangate("check")
    assert (result.code, result.out) == (2, "")
    assert "org.yml:2:1: the policy has no key 'rulez'" in result.err


@pytest.mark.parametrize("outside", ["../outside.yml", "link.yml"])
def test_no_file_outside_of_the_repository_is_read(scangate: Scangate, project: Path, outside: str) -> None:
    example("npm-project", project)
    (project / ".git").mkdir()
    write(project.parent, outside="mode: observe\n")
    (project / "link.yml").symlink_to(project.parent / "outside.yml")
    write(project, scangate=f"extends: {outside}\n")
    result = scangate("check")
    assert (result.code, result.out) == (2, "")
    assert "repository" in result.err


def test_a_policy_from_elsewhere_extends_what_lies_beside_it(scangate: Scangate, project: Path, replay: Replay) -> None:
    example("axios-replica", project)
    (project / ".git").mkdir()
    write(project.parent / "org", gate="extends: base.yml\n", base="mode: observe\n")
    result = scangate("check", "--policy", str(project.parent / "org" / "gate.yml"), **replay.environ)
    assert result.code == 0
    assert "observe" in result.out


def test_an_unused_exception_can_block_and_only_where_everything_was_looked_at(
    scangate: Scangate, project: Path, replay: Replay
) -> None:
    example("npm-project", project)
    write(
        project,
        scangate="lints: {allow-unused: deny}\nallow:\n"
        f"- {{package: 'pkg:npm/gone@1.0.0', rules: net-drop, {ENTRY}}}\n",
    )
    everything = scangate("check", **replay.environ)
    assert everything.code == 1
    assert "allow-unused" in everything.out
    part = scangate("check", "package-lock.json", **replay.environ)
    assert (part.code, "allow-unused" in part.out) == (0, False)


def test_an_expired_exception_is_named_and_its_finding_blocks(
    scangate: Scangate, project: Path, replay: Replay
) -> None:
    example("axios-replica", project)
    entry = "reason: a test, owner: Kim, expires: 2020-01-01"
    write(
        project,
        scangate=f"allow:\n- {{package: 'pkg:npm/plain-crypto-replica@4.2.1', rules: [net-on-install], {entry}}}\n",
    )
    result = scangate("check", **replay.environ)
    assert result.code == 1
    assert "The exception of Kim" in " ".join(result.out.split())
    assert "allow-expired" in result.out


def test_a_development_dependency_s_install_script_is_not_excused_by_its_scope(
    scangate: Scangate, project: Path, replay: Replay
) -> None:
    example("axios-replica", project)
    write(project, scangate="overrides: [{when: {relation: [direct, transitive], ecosystem: npm}, cap: note}]\n")
    assert scangate("check", **replay.environ).code == 1
    write(project, scangate="overrides: [{when: {ecosystem: npm}, cap: note, install-phase: true}]\n")
    said = scangate("check", **replay.environ)
    assert (said.code, "override-install-phase" in said.out) == (0, True)
