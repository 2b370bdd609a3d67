import json
from pathlib import Path

import pytest

from scangate.errors import ReportError, ScangateError, UsageError
from scangate.local.engines import recordings
from scangate.local.engines.recordings import Recording, load, read_report
from scangate.models.analysis import Engine
from tests.local.conftest import dynamic_report, lastpymile_report, write_json

DYNAMIC, LASTPYMILE = Engine.DYNAMIC_ANALYSIS, Engine.LASTPYMILE
SAMPLES = Path(__file__).parent.parent.parent / "assets" / "reports" / "dynamic-analysis"


@pytest.mark.parametrize(
    ("report", "engine", "purl"),
    [
        (dynamic_report("left-pad", "1.0.0"), DYNAMIC, "pkg:npm/left-pad@1.0.0"),
        (dynamic_report("left-pad", ""), DYNAMIC, "pkg:npm/left-pad@0"),
        (dynamic_report("@scope/JSONStream", "1.0.0+x"), DYNAMIC, "pkg:npm/%40scope/JSONStream@1.0.0%2Bx"),
        (dynamic_report("Ruamel.Yaml", "0.17", "PyPI"), DYNAMIC, "pkg:pypi/ruamel-yaml@0.17"),
        (
            dynamic_report("Publisher.Name", "1.0.0", "vscode-extension"),
            DYNAMIC,
            "pkg:vscode-extension/publisher/name@1.0.0",
        ),
        (lastpymile_report("Requests", "2.0"), LASTPYMILE, "pkg:pypi/requests@2.0"),
        (
            {
                "package": {"name": "left-pad", "version": "1.0.0"},
                "completed": True,
                "results": [{"release": "left-pad-1.0.0.tgz"}],
            },
            LASTPYMILE,
            "pkg:npm/left-pad@1.0.0",
        ),
        (
            {
                "metadata": {"package": {"name": "left-pad", "version": "1.0.0", "ecosystem": "npm"}},
                "analysis_results": {"install": {"Status": "completed"}},
            },
            DYNAMIC,
            "pkg:npm/left-pad@1.0.0",
        ),
    ],
)
def test_a_report_answers_for_the_package_that_it_names(
    tmp_path: Path, report: dict[str, object], engine: Engine, purl: str
) -> None:
    write_json(tmp_path / "any" / "name.json", report)
    assert load(tmp_path).by_purl == {(engine, purl): Recording(report=tmp_path / "any" / "name.json")}


def test_a_report_answers_for_its_own_version_alone(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", dynamic_report("left-pad", "0"))
    found = load(tmp_path)
    assert found.find(DYNAMIC, "pkg:npm/left-pad@1.0.0") is None
    assert found.find(LASTPYMILE, "pkg:npm/left-pad@0") is None
    assert found.find(DYNAMIC, "pkg:npm/left-pad@0") is not None


def test_the_script_serves_a_report_for_any_version_unless_an_entry_names_it(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", dynamic_report("left-pad", "0"))
    write_json(tmp_path / "b.json", dynamic_report("left-pad", "1.0.0"))
    write_json(tmp_path / "replay.json", {"recordings": [{"purl": "pkg:npm/left-pad", "report": "a.json"}]})
    found = load(tmp_path)
    assert found.find(DYNAMIC, "pkg:npm/left-pad@7.0.0") == Recording(report=tmp_path / "a.json")
    assert found.find(DYNAMIC, "pkg:npm/left-pad@1.0.0") == Recording(report=tmp_path / "b.json")
    assert found.find(DYNAMIC, "pkg:npm/left-pad@0") == Recording(report=tmp_path / "a.json")


def test_the_script_says_all_that_can_be_said(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", lastpymile_report("requests", "2.0"))
    write_json(tmp_path / "b.json", dynamic_report("left-pad", "1.0.0"))
    entry = {
        "purl": "pkg:PyPI/Requests@2.0",
        "engine": "lastpymile",
        "delay": 2.5,
        "status": "timeout",
        "error-message": "Too slow.",
        "submit-failures": [503, 429],
        "report-failures": [403],
    }
    write_json(tmp_path / "replay.json", {"delay": 1, "recordings": [entry]})
    assert load(tmp_path).by_purl == {
        (DYNAMIC, "pkg:npm/left-pad@1.0.0"): Recording(report=tmp_path / "b.json", delay=1.0),
        (LASTPYMILE, "pkg:pypi/requests@2.0"): Recording(
            report=tmp_path / "a.json",
            delay=2.5,
            status="timeout",
            error_message="Too slow.",
            submit_failures=(503, 429),
            report_failures=(403,),
        ),
    }


PURL = "pkg:npm/left-pad@1.0.0"


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ([], "not an object"),
        ({"recording": []}, "unknown key 'recording'"),
        ({"recordings": {}}, "not a list"),
        ({"recordings": ["x"]}, "recording 1 is not an object"),
        ({"recordings": [{}]}, '"purl" is not a text'),
        ({"recordings": [{"purl": "left-pad"}]}, "not a package URL"),
        ({"recordings": [{"purl": PURL, "reports": "x"}]}, "unknown key 'reports'"),
        ({"recordings": [{"purl": PURL, "engine": "static"}]}, '"engine" is none'),
        ({"recordings": [{"purl": PURL, "engine": []}]}, '"engine" is none'),
        ({"recordings": [{"purl": PURL, "report": "missing.json"}]}, "is not a file"),
        ({"recordings": [{"purl": PURL, "report": "../outside.json"}]}, "outside the replay directory"),
        ({"recordings": [{"purl": PURL, "report": "/etc/passwd"}]}, "outside the replay directory"),
        ({"recordings": [{"purl": PURL, "report": ""}]}, '"report" is not a text'),
        ({"recordings": [{"purl": PURL, "delay": -1}]}, "not a number of seconds"),
        ({"recordings": [{"purl": PURL, "delay": True}]}, "not a number of seconds"),
        ({"recordings": [{"purl": PURL, "delay": "1"}]}, "not a number of seconds"),
        ({"delay": float("nan")}, "not a number of seconds"),
        ({"recordings": [{"purl": PURL, "status": 7}]}, '"status" is not a text'),
        ({"recordings": [{"purl": PURL, "error-message": None}]}, '"error-message" is not a text'),
        ({"recordings": [{"purl": PURL, "submit-failures": 503}]}, "not a list of HTTP statuses"),
        ({"recordings": [{"purl": PURL, "submit-failures": [200]}]}, "not a list of HTTP statuses"),
        ({"recordings": [{"purl": PURL, "report-failures": [True]}]}, "not a list of HTTP statuses"),
        ({"recordings": [{"purl": PURL, "report": None}] * 2}, "stands twice"),
        ({"recordings": [{"purl": "pkg:npm/unheard-of@1"}]}, "there is no report of it"),
    ],
)
def test_a_script_that_is_not_understood_is_an_error(tmp_path: Path, script: object, problem: str) -> None:
    (tmp_path / "outside.json").write_text("{}")
    write_json(tmp_path / "replay" / "a.json", dynamic_report("left-pad", "1.0.0"))
    write_json(tmp_path / "replay" / "replay.json", script)
    with pytest.raises(UsageError) as caught:
        load(tmp_path / "replay")
    assert problem in caught.value.message
    assert "replay.json: " in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[" * 100_000], ids=["truncated", "not UTF-8", "deep"])
def test_a_script_that_is_not_json_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "replay.json").write_bytes(content)
    with pytest.raises(UsageError, match=r"replay\.json"):
        load(tmp_path)


def test_a_link_that_leads_out_is_not_followed(tmp_path: Path) -> None:
    write_json(tmp_path / "outside.json", dynamic_report("left-pad", "1.0.0"))
    (tmp_path / "replay").mkdir()
    (tmp_path / "replay" / "link.txt").symlink_to(tmp_path / "outside.json")
    write_json(tmp_path / "replay" / "replay.json", {"recordings": [{"purl": PURL, "report": "link.txt"}]})
    with pytest.raises(UsageError, match="outside"):
        load(tmp_path / "replay")


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "{}",
        json.dumps(dynamic_report("left-pad", "1.0.0", "cargo")),
        json.dumps(dynamic_report("name-without-publisher", "1", "vscode-extension")),
        json.dumps({"package": {"name": "x"}}),
    ],
)
def test_a_file_that_names_no_package_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ReportError, match=r"a\.json: Th(is is not an analysis report|e report does not say which)"):
        load(tmp_path)
    write_json(tmp_path / "replay.json", {"recordings": [{"purl": PURL, "report": "a.json"}]})
    assert load(tmp_path).find(DYNAMIC, PURL) == Recording(report=tmp_path / "a.json")


def test_two_reports_of_one_package_are_an_error(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        write_json(tmp_path / name, dynamic_report("left-pad", "1.0.0"))
    with pytest.raises(ReportError, match=r"b\.json: a second report of pkg:npm/left-pad@1\.0\.0"):
        load(tmp_path)


def test_a_directory_that_answers_for_nothing_is_an_error(tmp_path: Path) -> None:
    for nothing in (tmp_path, tmp_path / "missing", Path(__file__)):
        with pytest.raises(ScangateError):
            load(nothing)


def test_a_report_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "MAX_REPORT_BYTES", 10)
    file = tmp_path / "a.json"
    file.write_bytes(b"x" * 10)
    assert len(read_report(file)) == 10
    file.write_bytes(b"x" * 11)
    with pytest.raises(ReportError, match="larger than 10 bytes"):
        read_report(file)


def test_the_real_samples_are_recordings() -> None:
    found = load(SAMPLES)
    assert len(found.by_purl) == len(list(SAMPLES.glob("*.json")))
    assert found.find(DYNAMIC, "pkg:pypi/jeilyfish@0.7.1") is not None


def test_a_script_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "replay.json").mkdir()
    with pytest.raises(UsageError, match=r"replay\.json"):
        load(tmp_path)
