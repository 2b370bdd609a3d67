"""`scangate explain`: from the last run, from the cache, from another machine's verdict, and of what nobody knows."""

import io
import json
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

import pytest

from scangate.cli.context import Context
from scangate.cli.main import run
from scangate.local.config import ServiceConfig
from scangate.local.server import EmbeddedService
from scangate.output import verdict_json
from tests.cli.conftest import RECORDED, Replay, Scangate, example

EVIL = "pkg:npm/plain-crypto-replica@4.2.1"


@dataclass(frozen=True)
class Ran:
    """A project at `path` whose check ended with 1: copies of it and of what the check left in the home."""

    path: Path
    project: Path
    home: Path


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The check runs once for all tests that only look at what it left."""
    folder = tmp_path_factory.mktemp("ran")
    path = example("axios-replica", folder / "project")
    (folder / "home").mkdir()
    settings = ServiceConfig(data_dir=folder / "data", replay_dir=RECORDED)
    with EmbeddedService(settings) as service, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder / "home"))
        environ = {"SCANGATE_API_URL": service.url, "SCANGATE_API_KEY": service.key}
        out = io.StringIO()
        context = Context(environ=environ, cwd=path, stdout=out, stderr=out)
        assert run(["check", "--quiet", "--format", "json=verdict.json"], context) == 1, out.getvalue()
    shutil.copytree(path, folder / "kept")
    return Ran(path, folder / "kept", folder / "home")


@pytest.fixture
def project(ran: Ran) -> Path:
    """The record of a run is known by the project's path, so all projects of these tests stand at one."""
    shutil.rmtree(ran.path)
    ran.path.mkdir()
    return ran.path


@pytest.fixture
def blocked(project: Path, ran: Ran, own_world: Path) -> Path:
    """A project whose check ended with 1."""
    shutil.copytree(ran.project, project, dirs_exist_ok=True)
    shutil.copytree(ran.home, own_world, dirs_exist_ok=True)
    return project


def _record(home: Path) -> Path:
    (path,) = (home / ".cache" / "scangate" / "last-run").iterdir()
    return path


def test_what_matched_and_what_decided(scangate: Scangate, blocked: Path) -> None:
    result = scangate("explain", EVIL)
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines[0] == f"{EVIL}: blocked by default because of net-on-install"
    assert lines[1].startswith("  package-lock.json:26, prod, transitive, axios-replica@1.14.1 → ")
    assert lines[2].startswith("  the last run, ")
    assert ": blocked, by the policy default and analyses of http://127.0.0.1:" in lines[2]
    assert "command 4, file 2, host 1, socket 1" in lines[3]
    assert lines[4] == "net-on-install (default) matches: Contacts an unknown host while being installed"
    assert lines[5] == "  install: contacted cdn-updates.example (dns, socket)"
    assert lines[6] == "  high: deny, decided by default"


def test_why_the_other_rules_do_not_match(scangate: Scangate, blocked: Path) -> None:
    out = scangate("explain", EVIL).out
    assert (
        "  net-dns-fanout: none of 1 host observations: at-least: 1 of 6 distinct host of cdn-updates.example\n" in out
    )
    assert "  phases does not hold: net-on-import, net-on-execute\n" in out
    assert "  no bait observation: bait-secret\n" in out
    assert "no finding of bait-secret or file-ssh-key" in out


def test_one_rule_observation_by_observation(scangate: Scangate, blocked: Path) -> None:
    lines = scangate("explain", EVIL, "--rule", "net-on-install").out.splitlines()[4:]
    assert lines == [
        "net-on-install (default) matches: matches 1 of 1 host observations",
        "  install: contacted cdn-updates.example (dns, socket): matches",
        "  high: deny, decided by default",
    ]
    lines = scangate("explain", EVIL, "--rule", "net-on-import").out.splitlines()[4:]
    assert lines == [
        "net-on-import (default) does not match: none of 1 host observations: phases is import, this is install",
        "  install: contacted cdn-updates.example (dns, socket): phases is import, this is install",
    ]


def test_a_place_in_a_lockfile(scangate: Scangate, blocked: Path) -> None:
    by_purl = scangate("explain", EVIL).out
    assert scangate("explain", "package-lock.json:26").out == by_purl
    assert scangate("explain", "package-lock.json:28").out == by_purl
    result = scangate("explain", "package-lock.json:1")
    assert result.code == 2
    assert "no package stands there" in result.err
    assert scangate("explain", "missing-lock.json:3").code == 2


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("package-lock.json:33", "no package stands there"),
        ("package-lock.json:999999999", "no package stands there"),
        ("package-lock.json:" + "9" * 5000, "neither a purl"),
        ("package-lock.json", "neither a purl"),
        ("registry:gem/x@1", "neither a purl"),
        ("pkg:npm/plain-crypto-replica", "no version"),
        (".:26", "a folder has no lines"),
    ],
)
def test_what_names_no_package_is_an_error(scangate: Scangate, blocked: Path, what: str, says: str) -> None:
    assert len((blocked / "package-lock.json").read_text().splitlines()) == 32
    (blocked / "package-lock.json").write_text((blocked / "package-lock.json").read_text().rstrip("\n"))
    result = scangate("explain", what)
    assert (result.code, says in result.err) == (2, True)


def test_packages_that_share_a_line_are_told_apart_by_their_purls(scangate: Scangate, blocked: Path) -> None:
    lockfile = blocked / "package-lock.json"
    lockfile.write_text(json.dumps(json.loads(lockfile.read_text())))
    result = scangate("explain", "package-lock.json:1")
    assert (result.code, "3 packages stand in that line" in result.err, EVIL in result.err) == (2, True, True)


def test_a_package_that_can_never_be_sent_is_not_told_to_be_scanned(scangate: Scangate, blocked: Path) -> None:
    result = scangate("explain", "private-registry:npm/left-pad@1.0.0")
    assert (result.code, "never analysed" in result.out, "scangate scan" in result.out) == (3, True, False)


def test_the_policy_of_now_decides_and_says_who_excuses_what(scangate: Scangate, blocked: Path) -> None:
    entry = "rules: [net-on-install], reason: Its host., owner: us@example.com, expires: 2999-01-01"
    (blocked / "scangate.yml").write_text(f"version: 1\nallow:\n- {{package: '{EVIL}', {entry}}}\n")
    out = scangate("explain", EVIL).out
    assert out.startswith(f"{EVIL}: passed by scangate.yml\n")
    assert "  allowed by scangate.yml:3 until 2999-01-01 (us@example.com): Its host.\n" in out
    (blocked / "scangate.yml").write_text(
        "version: 1\nallow:\n"
        f"- {{package: '{EVIL.replace('4.2.1', '4.2.0')}', {entry}}}\n"
        f"- {{package: '{EVIL}', evidence: {{host: {{suffix: other.example}}}}, {entry}}}\n"
        f"- {{package: '{EVIL}', {entry.replace('2999', '2019')}}}\n"
    )
    out = scangate("explain", EVIL).out
    assert "  not allowed by scangate.yml:3: it is for pkg:npm/plain-crypto-replica@4.2.0\n" in out
    assert "  not allowed by scangate.yml:4: it is for other evidence, or for a part of this alone\n" in out
    assert "  not allowed by scangate.yml:5: it ended on 2019-01-01\n" in out


def test_an_override_is_named(scangate: Scangate, blocked: Path) -> None:
    (blocked / "scangate.yml").write_text(
        "version: 1\noverrides:\n- {when: {relation: transitive}, cap: warn, install-phase: true}\n"
    )
    out = scangate("explain", EVIL).out
    assert out.startswith(f"{EVIL}: warned by scangate.yml because of net-on-install\n")
    assert "  high: warn, decided by override scangate.yml:3\n" in out


def test_what_was_not_analysed_says_why_and_what_to_do(scangate: Scangate, project: Path, replay: Replay) -> None:
    example("axios-replica", project)
    environ = {name: value for name, value in replay.environ.items() if name != "SCANGATE_API_KEY"}
    assert scangate("check", "--quiet", **environ).code == 3
    out = scangate("explain", EVIL).out
    assert out.startswith(f"{EVIL}: incomplete by default because of no-credentials\n")
    assert "  not analysed by dynamic-analysis: no-credentials\n" in out
    assert "  There is no API key: set SCANGATE_API_KEY" in out
    assert "  fail, decided by default\n" in out


def test_a_package_that_was_scanned_is_explained_from_the_cache(
    scangate: Scangate, project: Path, replay: Replay
) -> None:
    assert scangate("scan", "--quiet", EVIL, **replay.environ).code == 1
    result = scangate("explain", EVIL)
    assert result.code == 0, result.err
    assert result.out.startswith(f"{EVIL}: blocked by default because of net-on-install\n")
    assert "no run is kept; the cache has a report of dynamic-analysis, by http://127.0.0.1:" in result.out
    assert "net-on-install (default) matches" in result.out


def test_what_passed_is_explained_from_the_cache(scangate: Scangate, blocked: Path, own_world: Path) -> None:
    fine = "pkg:npm/axios-replica@1.14.1"
    result = scangate("explain", fine)
    assert result.code == 0, result.err
    assert result.out.startswith(f"{fine}: passed by default\n")
    assert ": passed; the cache has a report of dynamic-analysis, by http://127.0.0.1:" in result.out
    assert "looked at it, and do not match:\n" in result.out
    (file,) = (own_world / ".cache" / "scangate").glob("*.sqlite3")
    file.unlink()
    result = scangate("explain", fine)
    assert result.code == 3
    assert "passed in the last run" in result.out
    assert "no report of it any more" in result.out


def test_what_was_never_analysed_is_said_and_ends_with_3(scangate: Scangate, blocked: Path) -> None:
    result = scangate("explain", "pkg:npm/unheard-of@1.0.0")
    assert result.code == 3
    assert "never analysed" in result.out
    assert "  it was no part of the last run, 20" in result.out
    assert "whose base was: everything is new: there is no git repository here.\n" in result.out
    assert "`scangate scan pkg:npm/unheard-of@1.0.0`" in result.out


def test_the_base_of_the_last_run_is_told_as_it_was(scangate: Scangate, project: Path, replay: Replay) -> None:
    example("axios-replica", project)
    assert scangate("check", "--quiet", "--all", "--format", "json=verdict.json", **replay.environ).code == 1
    told = "whose base was: everything is checked (--all).\n"
    assert told in scangate("explain", "pkg:npm/unheard-of@1.0.0").out
    handed_in = scangate("explain", "pkg:npm/unheard-of@1.0.0", "--verdict", "verdict.json").out
    assert f"no part of the verdict that was handed in, {told}" in handed_in


def test_a_verdict_of_a_package_alone_has_no_base(scangate: Scangate, project: Path, replay: Replay) -> None:
    assert scangate("scan", "--quiet", EVIL, "--format", "json=verdict.json", **replay.environ).code == 1
    out = scangate("explain", "pkg:npm/unheard-of@1.0.0", "--verdict", "verdict.json").out
    assert "  it was no part of the verdict that was handed in\n" in out


def test_without_any_run_that_is_what_is_said(scangate: Scangate, project: Path) -> None:
    example("axios-replica", project)
    result = scangate("explain", "package-lock.json:26")
    assert result.code == 3
    assert "package-lock.json:26, prod" in result.out
    assert "there was no `scangate check` in this project" in result.out


def test_a_package_of_a_kind_that_is_never_sent(scangate: Scangate, project: Path) -> None:
    (project / "requirements.txt").write_text("thing @ git+https://git.example/thing@main\n")
    result = scangate("explain", "requirements.txt:1")
    assert result.code == 3
    assert "its outcome is git: " in result.out


def test_a_verdict_of_another_machine(scangate: Scangate, blocked: Path, own_world: Path) -> None:
    shutil.rmtree(own_world / ".cache")
    result = scangate("explain", EVIL, "--verdict", "verdict.json")
    assert result.code == 0, result.err
    assert result.out.startswith(f"{EVIL}: not all of it is known here\n")
    assert "the verdict that was handed in: blocked" in result.out
    assert "the cache has no report of dynamic-analysis on it" in result.out
    assert "  install: contacted cdn-updates.example (dns, socket)\n" in result.out
    assert "do not match" not in result.out


@pytest.mark.parametrize("text", ["", "{", "[]", '{"packages": 1}', '{"packages": [{}], "policy": "", "analyser": ""}'])
def test_what_is_no_verdict_is_an_error(scangate: Scangate, project: Path, text: str) -> None:
    (project / "verdict.json").write_text(text)
    result = scangate("explain", EVIL, "--verdict", "verdict.json")
    assert result.code == 2
    assert "verdict.json: not a verdict" in result.err
    assert scangate("explain", EVIL, "--verdict", "gone.json").code == 2


def test_a_wrong_rule_or_purl_is_an_error(scangate: Scangate, blocked: Path) -> None:
    assert "Did you mean 'net-oast'?" in scangate("explain", EVIL, "--rule", "net-oats").err
    assert scangate("explain", "pkg:npm/").code == 2


def test_hostile_text_is_shown_and_not_obeyed(scangate: Scangate, blocked: Path) -> None:
    document = json.loads((blocked / "verdict.json").read_text())
    (package,) = (each for each in document["packages"] if each["purl"] == EVIL)
    package["findings"][0]["evidence"][0]["host"] = "\x1b[2J::error::x\n##[error]y"
    (blocked / "verdict.json").write_text(json.dumps(document))
    out = scangate("explain", EVIL, "--verdict", "verdict.json").out
    assert "\x1b" not in out
    assert not [line for line in out.splitlines() if line.lstrip().startswith("::")]
    assert "##[" not in out


def _changed(folder: Path, **values: object) -> None:
    """The verdict that was kept, with other values of the package that is blocked."""
    document = json.loads((folder / "verdict.json").read_text())
    (package,) = (each for each in document["packages"] if each["purl"] == EVIL)
    package.update(values)
    (folder / "verdict.json").write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("ecosystem", "purl"),
    [("npm", EVIL), ("pypi", "pkg:pypi/plain@4.2.1"), ("vscode-extension", "pkg:vscode-extension/p/plain@4.2.1")],
)
def test_what_happened_since_the_base_is_told(scangate: Scangate, blocked: Path, ecosystem: str, purl: str) -> None:
    document = json.loads((blocked / "verdict.json").read_text())
    (package,) = (each for each in document["packages"] if each["purl"] == EVIL)
    (entry,) = package["dependencies"]
    entry |= {"ecosystem": ecosystem, "purl": purl}
    place = {"name": "x", "version": "4.2.1", "scope": "prod", "lockfile": entry["lockfile"], "line": entry["line"]}
    before = {"version": "4.2.0", "source": None, "scope": "prod"}
    upgraded = {"change": "upgraded", "before": before, **place}
    moved = {"change": "scope", "before": {**before, "version": "4.2.1"}, **place}
    _changed(blocked, ecosystem=ecosystem, purl=purl, key=purl, dependencies=[entry], changes=[upgraded, moved])
    lines = scangate("explain", purl, "--verdict", "verdict.json").out.splitlines()
    assert "  upgraded since the base (before: 4.2.0)" in lines
    assert "  scope since the base (before: 4.2.1)" in lines


def test_what_the_version_before_showed_is_no_new_behaviour(
    scangate: Scangate, project: Path, replay: Replay, own_world: Path
) -> None:
    """Both versions are in the cache, and the last run knows which one was replaced."""
    example("axios-replica", project)
    (project / "scangate.yml").write_text(
        "version: 1\nrules:\n- {id: new-host, title: t, severity: high, observe: host, new-behaviour: true}\n"
    )
    assert scangate("check", "--quiet", **replay.environ).code == 1
    path = _record(own_world)
    head, _, text = path.read_text().partition("\n")
    document = json.loads(text)
    (package,) = (each for each in document["packages"] if each["purl"] == EVIL)
    (entry,) = package["dependencies"]
    place = {"name": "x", "version": "4.2.1", "scope": "prod", "lockfile": entry["lockfile"], "line": entry["line"]}
    before = {"version": "4.2.0", "source": None, "scope": "prod"}
    package["changes"] = [{"change": "upgraded", "before": before, **place}]
    path.write_text(f"{head}\n{json.dumps(document)}")
    out = scangate("explain", EVIL, "--rule", "new-host").out
    assert "new-host (scangate.yml:3) matches" in out  # nobody knows what 4.2.0 did


def test_many_observations_are_counted(scangate: Scangate, blocked: Path) -> None:
    document = json.loads((blocked / "verdict.json").read_text())
    (package,) = (each for each in document["packages"] if each["purl"] == EVIL)
    (finding,) = package["findings"]
    seen = finding["evidence"][0]
    finding["evidence"] = [{**seen, "host": f"h{number}.example"} for number in range(25)]
    # Of another analyser the cache has nothing: what the verdict says is all that is known.
    _changed(blocked, findings=[finding])
    lines = scangate("explain", EVIL, "--verdict", "verdict.json").out.splitlines()
    assert "  and 5 more (--rule net-on-install)" in lines
    shown = scangate("explain", EVIL, "--verdict", "verdict.json", "--rule", "net-on-install").out
    assert shown.count(": matches\n") == 25


def test_a_package_without_a_purl_is_explained_by_its_findings(scangate: Scangate, blocked: Path) -> None:
    _changed(blocked, purl=None, key="file:npm/plain-crypto-replica@4.2.1")
    out = scangate("explain", "file:npm/plain-crypto-replica@4.2.1", "--verdict", "verdict.json").out
    assert "net-on-install (default) matches" in out
    assert "the cache has no report of dynamic-analysis on it" in out


# --------------------------------------------------------------------------------------------- the record itself


def test_the_record_is_the_user_s_alone_and_one_for_each_project(
    scangate: Scangate, blocked: Path, own_world: Path, replay: Replay
) -> None:
    path = _record(own_world)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    before = path.read_text()
    scangate("check", "--quiet", **replay.environ)
    assert _record(own_world).read_text() != before
    other = own_world / "other"
    shutil.copytree(blocked, other)
    scangate("check", "--quiet", cwd=other, **replay.environ)
    assert len(list(path.parent.iterdir())) == 2


def test_clearing_the_cache_forgets_the_runs(scangate: Scangate, blocked: Path, own_world: Path) -> None:
    path = _record(own_world)
    assert scangate("cache", "clear").code == 0
    assert not path.exists()
    assert scangate("cache", "clear").code == 0
    assert scangate("explain", EVIL).code == 3
    path.mkdir()
    result = scangate("cache", "clear")
    assert result.code == 3
    assert "cannot be emptied" in result.err


def test_no_cache_keeps_no_record(scangate: Scangate, project: Path, replay: Replay, own_world: Path) -> None:
    example("axios-replica", project)
    assert scangate("check", "--quiet", "--no-cache", **replay.environ).code == 1
    assert not (own_world / ".cache" / "scangate").exists()


def test_a_record_that_cannot_be_kept_changes_no_verdict(
    scangate: Scangate, project: Path, replay: Replay, own_world: Path
) -> None:
    example("axios-replica", project)
    folder = own_world / ".cache" / "scangate" / "last-run"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    result = scangate("check", "--quiet", **replay.environ)
    assert result.code == 1
    assert "not kept for `scangate explain`" in result.err
    refused = scangate("explain", EVIL)
    assert refused.code == 3
    assert "others may write to it" in refused.err


def test_a_run_that_is_too_large_to_be_kept_says_so_and_leaves_no_older_one_in_its_place(
    scangate: Scangate, blocked: Path, own_world: Path, replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _record(own_world)
    monkeypatch.setattr(verdict_json, "MAX_BYTES", path.stat().st_size // 2)
    result = scangate("check", "--quiet", **replay.environ)
    assert result.code == 1
    assert "not kept for `scangate explain` and `allow`: its record is larger than" in result.err
    assert not path.exists()
    about = ("--reason", "Its host.", "--owner", "us@example.com", "--expires", "90d")
    refused = scangate("allow", EVIL, "net-on-install", *about)
    assert (refused.code, "is not known" in refused.err) == (2, True)


@pytest.mark.parametrize("content", ["", "{}\n{}", '{"when": "", "kept_under": "", "passed": []}\n{}', "\xff"])
def test_a_broken_record_is_said(scangate: Scangate, blocked: Path, own_world: Path, content: str) -> None:
    _record(own_world).write_text(content, encoding="latin-1")
    result = scangate("explain", EVIL)
    assert result.code == 3
    assert "it is no record of a run" in result.err


def test_a_record_that_is_a_link_is_not_read(scangate: Scangate, blocked: Path, own_world: Path) -> None:
    path = _record(own_world)
    path.rename(path.with_suffix(".moved"))
    path.symlink_to(path.with_suffix(".moved"))
    result = scangate("explain", EVIL)
    assert result.code == 3
    assert "cannot be read" in result.err
    path.unlink()
    os.mkfifo(path)
    assert "is not an ordinary file" in scangate("explain", EVIL).err


def test_nothing_that_is_handed_in_makes_the_run_wait(scangate: Scangate, project: Path) -> None:
    os.mkfifo(project / "verdict.json")
    result = scangate("explain", EVIL, "--verdict", "verdict.json")
    assert (result.code, "verdict.json is not an ordinary file." in result.err) == (2, True)
