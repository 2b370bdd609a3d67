"""The registry, and what has to be true of everything in it."""

import subprocess
import sys

import pytest

from scangate.models.verdict import Action
from scangate.output import FORMATS
from tests.conftest import ROOT
from tests.output.cases import CASES
from tests.output.renderers import RENDERERS, SETTING

WITHOUT_COLOUR = sorted(set(RENDERERS) - {"colour.txt"})


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_documented(name: str) -> None:
    assert f"| `{name}` |" in (ROOT / "docs" / "outputs.md").read_text()
    assert f"`{name}`" in (ROOT / "docs" / "cli.md").read_text()
    assert FORMATS[name].summary


def test_no_renderer_is_imported_before_it_is_asked_for() -> None:
    code = "import sys, scangate.output; print([m for m in sys.modules if m.startswith('scangate.output.')])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert loaded.strip() == "['scangate.output.base']"


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", RENDERERS)
def test_the_same_verdict_gives_the_same_bytes_that_end_with_a_newline(name: str, case: str) -> None:
    first = RENDERERS[name](CASES[case])
    assert first == RENDERERS[name](CASES[case]._replace())
    assert first.endswith("\n")


@pytest.mark.parametrize("name", WITHOUT_COLOUR)
def test_every_format_shows_severity_action_and_who_decided(name: str) -> None:
    text = " ".join(RENDERERS[name](CASES["changes"]).split())
    assert "high" in text
    assert "deny" in text or "error" in text
    assert "scangate.yml:41" in text or '"startLine": 41' in text


@pytest.mark.parametrize("name", WITHOUT_COLOUR)
def test_every_format_shows_what_is_allowed_by_whom_and_until_when(name: str) -> None:
    text = " ".join(RENDERERS[name](CASES["allowed"]).split())
    for part in ("fetches its own binary", "2027-06-30"):
        assert part in text
    assert "scangate.yml:12" in text or '"startLine": 12' in text


@pytest.mark.parametrize("name", WITHOUT_COLOUR)
def test_every_format_shows_what_the_policy_says_of_itself_and_what_it_does_about_it(name: str) -> None:
    denied = tuple(notice._replace(action=Action.DENY) for notice in CASES["allowed"].notices)
    for verdict in (CASES["allowed"], CASES["allowed"]._replace(notices=denied)):
        text = " ".join(RENDERERS[name](verdict).split())
        assert "has expired" in text
        assert "allow-expired" in text
    assert RENDERERS[name](CASES["allowed"]) != RENDERERS[name](CASES["allowed"]._replace(notices=denied))


@pytest.mark.parametrize("name", WITHOUT_COLOUR)
def test_every_format_shows_what_changed_and_changes_of_use(name: str) -> None:
    text = " ".join(RENDERERS[name](CASES["changes"]).split())
    assert "1.14.0" in text
    assert "left-pad" in text


@pytest.mark.parametrize("name", sorted(set(WITHOUT_COLOUR) - {"gitlab.json"}))
def test_every_format_but_gitlab_s_shows_the_base(name: str) -> None:
    text = " ".join(RENDERERS[name](CASES["changes"]).split()).replace("`", "")
    assert "where 0123456789ab left origin/main" in text


@pytest.mark.parametrize("name", WITHOUT_COLOUR)
def test_every_format_shows_what_was_not_analysed_and_why(name: str) -> None:
    text = " ".join(RENDERERS[name](CASES["blocked-and-incomplete"]).split()).replace("`", "")
    for part in ("sharp", "pending", "Task 457 was processing.", "pnpm-lock.yaml", "unsupported-lockfile"):
        assert part in text


@pytest.mark.parametrize("name", sorted(set(WITHOUT_COLOUR) - {"terminal.txt", "json"}))
def test_paths_are_those_from_the_root_of_the_repository(name: str) -> None:
    assert SETTING.tree.folder == "app"
    text = RENDERERS[name](CASES["blocked-and-incomplete"])
    assert "app/web/package-lock.json" in text
    assert "app/pnpm-lock.yaml" in text


def test_the_readme_has_the_picture_and_it_is_small() -> None:
    picture = ROOT / "docs" / "images" / "blocked.png"
    assert "(docs/images/blocked.png)" in (ROOT / "README.md").read_text()
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert picture.stat().st_size <= 200_000
