"""`scangate init`: what it writes is a policy, a workflow and a hook that work, and nothing is overwritten."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scangate.models.lockfile import Dependency, Ecosystem, Kind, Lockfile
from scangate.policy import loader
from scangate.policy.json_schema import URL
from tests.cli.conftest import Replay, Scangate, example
from tests.conftest import ROOT

POETRY = ROOT / "tests" / "assets" / "poetry" / "2.2-every-source" / "poetry.lock"


def _tool(name: str, *arguments: str | Path, cwd: Path) -> None:
    """Run one of the development tools; its complaint is the failure."""
    done = subprocess.run(
        [Path(sys.executable).parent / name, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_check_with_the_new_policy_works(scangate: Scangate, project: Path, replay: Replay) -> None:
    example("axios-replica", project)
    (project / "scangate.yml").unlink(missing_ok=True)
    made = scangate("init")
    assert (made.code, made.out) == (0, "")
    assert "wrote scangate.yml" in made.err
    result = scangate("check", "--format", "json", **replay.environ)
    assert result.code == 1
    assert result.json["policy"] == "scangate.yml"


def test_the_policy_says_the_schema_first_and_what_was_found(scangate: Scangate, project: Path) -> None:
    example("npm-project", project)
    shutil.copy(POETRY, project)
    (project / "services").mkdir()
    (project / "services" / "yarn.lock").write_text("# yarn lockfile v1\n")
    scangate("init")
    text = (project / "scangate.yml").read_text()
    assert text.startswith(f"# yaml-language-server: $schema={URL}\n")
    assert "#   package-lock.json (npm-package-lock)\n" in text
    assert "#   poetry.lock (poetry-lock)\n" in text
    assert re.search(r"#   services/yarn\.lock \(\S+, which this version of scangate cannot read yet\)\n", text)
    assert loader.load(text, "scangate.yml").rules == loader.default().rules


def test_hosts_of_the_lockfiles_are_proposed_and_only_proposed(scangate: Scangate, project: Path) -> None:
    lock = {
        "@acme/one": "https://npm.acme.example/@acme/one/-/one-1.0.0.tgz",
        "@acme/two": "https://npm.acme.example/@acme/two/-/two-1.0.0.tgz",
        "other": "https://packages.acme.example:8443/other/-/other-1.0.0.tgz",
    }
    entries = ", ".join(
        f'"node_modules/{name}": {{"version": "1.0.0", "resolved": "{url}", "integrity": "sha512-{"A" * 86}=="}}'
        for name, url in lock.items()
    )
    (project / "package-lock.json").write_text(
        f'{{"name": "x", "version": "1.0.0", "lockfileVersion": 3, "packages": {{"": {{}}, {entries}}}}}'
    )
    scangate("init")
    text = (project / "scangate.yml").read_text()
    assert loader.load(text, "scangate.yml").registries == loader.default().registries
    before, proposal, after = re.split(r"(?m)^(?=# registries:)|^(?=\n# Lockfiles that)", text)
    taken = loader.load(before + proposal.replace("# ", "", 1).replace("\n# ", "\n") + after, "scangate.yml").registries
    assert {one.host: one.names for one in taken.private} == {
        "npm.acme.example": ("@acme/*",),
        "packages.acme.example:8443": ("other",),
    }


def test_text_from_a_lockfile_stays_a_comment() -> None:
    from scangate.cli.init import policy_text

    entry = Dependency(
        ecosystem=Ecosystem.NPM,
        name='x"\nrules: []\n',
        version="1",
        kind=Kind.URL,
        purl=None,
        registry="evil.example",
    )
    odd = Dependency(
        ecosystem=Ecosystem.NPM, name="y", version="1", kind=Kind.URL, purl=None, registry="evil.example\nmode: observe"
    )
    lockfile = Lockfile(path="a\nextends: none\u202e/package-lock.json", format="npm", dependencies=(entry, odd))
    text = policy_text([lockfile])
    assert loader.load(text, "scangate.yml") == loader.load(policy_text([]), "scangate.yml")
    assert "{host: evil.example}" in text


@pytest.mark.parametrize("name", ["scangate.yml", ".github/scangate.yml"])
@pytest.mark.parametrize("kind", ["file", "folder", "dangling link"])
def test_a_policy_is_never_overwritten(scangate: Scangate, project: Path, name: str, kind: str) -> None:
    path = project / name
    path.parent.mkdir(exist_ok=True)
    match kind:
        case "file":
            path.write_text("version: 1\n")
        case "folder":
            path.mkdir()
        case _:
            path.symlink_to("nowhere")
    before = sorted(project.iterdir())
    result = scangate("init", "--workflow", "--hook")
    assert result.code == 2
    assert f"{name} is there already" in result.err
    assert sorted(project.iterdir()) == before
    assert kind != "file" or path.read_text() == "version: 1\n"


def test_a_workflow_is_never_overwritten_and_then_nothing_is_written(scangate: Scangate, project: Path) -> None:
    workflow = project / ".github" / "workflows" / "scangate.yml"
    workflow.parent.mkdir(parents=True)
    workflow.write_text("mine")
    result = scangate("init", "--workflow")
    assert result.code == 2
    assert ".github/workflows/scangate.yml is there already" in result.err
    assert (workflow.read_text(), (project / "scangate.yml").exists()) == ("mine", False)


def test_nothing_is_written_through_a_link_out_of_the_repository(
    scangate: Scangate, project: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (project / ".github").symlink_to(outside)
    result = scangate("init", "--workflow")
    assert (result.code, list(outside.iterdir()), (project / "scangate.yml").exists()) == (2, [], False)
    assert "link out of the repository" in result.err


def test_a_folder_without_rights_is_one_clear_error(scangate: Scangate, project: Path) -> None:
    (project / ".github").write_text("a file where the folder should be")
    result = scangate("init", "--workflow")
    assert result.code == 2
    assert "cannot be written" in result.err


def test_a_broken_lockfile_is_said(scangate: Scangate, project: Path) -> None:
    (project / "package-lock.json").write_text("{")
    result = scangate("init")
    assert (result.code, (project / "scangate.yml").exists()) == (2, False)
    assert "package-lock.json" in result.err


def test_without_lockfiles_the_policy_says_so(scangate: Scangate, project: Path) -> None:
    assert scangate("init").code == 0
    assert "There was no lockfile here" in (project / "scangate.yml").read_text()


def test_many_lockfiles_are_counted(scangate: Scangate, project: Path) -> None:
    for number in range(23):
        folder = project / f"part-{number:02}"
        folder.mkdir()
        shutil.copy(POETRY, folder)
    scangate("init")
    assert "#   and 3 more\n" in (project / "scangate.yml").read_text()


def test_the_workflow_passes_the_judges_of_workflows(scangate: Scangate, project: Path) -> None:
    assert scangate("init", "--workflow").code == 0
    workflow = project / ".github" / "workflows" / "scangate.yml"
    _tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", workflow, cwd=project)
    _tool("zizmor", "--offline", "--no-progress", workflow, cwd=project)
    pins = [line.partition("uses: ")[2] for line in workflow.read_text().splitlines() if "uses:" in line]
    assert [re.search(r"@[0-9a-f]{40} # v", pin) is not None for pin in pins] == [True, False]
    assert pins[1].startswith("scangate/scangate@")  # which has no release yet that could be pinned


def test_the_workflow_is_the_one_of_the_documents(scangate: Scangate, project: Path) -> None:
    scangate("init", "--workflow")
    made = (project / ".github" / "workflows" / "scangate.yml").read_text()
    assert made == (ROOT / "docs" / "ci" / "github-minimal.yml").read_text()


def test_the_hook_is_a_pre_commit_configuration(scangate: Scangate, project: Path) -> None:
    assert scangate("init", "--hook").code == 0
    hooks = re.findall(r"- id: (\S+)", (project / ".pre-commit-config.yaml").read_text())
    assert hooks == re.findall(r"^- id: (\S+)", (ROOT / ".pre-commit-hooks.yaml").read_text(), re.MULTILINE)
    _tool("pre-commit", "validate-config", ".pre-commit-config.yaml", cwd=project)


def test_an_existing_hook_file_is_left_alone_and_the_entry_printed(scangate: Scangate, project: Path) -> None:
    existing = "repos:\n  - repo: https://github.com/psf/black\n    rev: 25.1.0\n    hooks:\n      - id: black\n"
    (project / ".pre-commit-config.yaml").write_text(existing)
    result = scangate("init", "--hook")
    assert result.code == 0
    assert (project / ".pre-commit-config.yaml").read_text() == existing
    (project / ".pre-commit-config.yaml").write_text(existing + result.out)
    _tool("pre-commit", "validate-config", ".pre-commit-config.yaml", cwd=project)
    assert "id: scangate" in result.out
