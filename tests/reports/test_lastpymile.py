"""LastPyMile's reports: hits, added lines, and what is no verdict."""

from typing import Any

import pytest

from scangate.models.analysis import Engine, OutcomeCode
from scangate.models.observations import LastPyMileHit

from . import samples
from .samples import ASSETS, codes, of

LPM = Engine.LASTPYMILE
MADE = "pkg:pypi/made@1.0"


def _analysed(document: object, purl: str | None = None) -> Any:
    return samples.analysed(document, purl, LPM)


def _refused(document: object, purl: str | None = None) -> Any:
    return samples.refused(document, purl, LPM)


def _report(*results: object, **more: object) -> dict[str, object]:
    head = {"package": {"name": "made", "version": "1.0"}, "date": "22/11/2026 at 10:11:12.345678", "completed": True}
    return {**head, "results": list(results), **more}


def _release(name: str = "made-1.0.tar.gz", **lists: object) -> dict[str, object]:
    return {"release": name, "status": "coherent", "coherent_files": [{"file": "a.py", "file_hash": "0"}], **lists}


def _hit(line: object = 5, **more: object) -> dict[str, object]:
    return {"test_id": "B102", "test_name": "exec_used", "issue_text": "Use of exec.", "line_number": line, **more}


def _file(name: str = "made/x.py", *hits: object, **more: object) -> dict[str, object]:
    return {"file": name, "file_hash": "0", "bandit_report": list(hits), **more}


def _added(*lines: int) -> list[dict[str, object]]:
    return [{"type": "added", "line_number": line, "content": "x"} for line in lines]


def _hits(*results: object) -> list[LastPyMileHit]:
    return of(LastPyMileHit, _analysed(_report(*results), MADE))


def test_the_made_up_samples() -> None:
    def read(name: str) -> bytes:
        return (ASSETS / "lastpymile" / f"{name}.json").read_bytes()

    injected = of(LastPyMileHit, _analysed(read("made-injected"), "pkg:pypi/made-injected@2.1.0"))
    assert [(hit.file.rpartition("/")[2], hit.test_name, hit.added) for hit in injected] == [
        ("setup.py", "exec_used", True),
        ("setup.py", "b64decode", True),
        ("setup.py", "import_subprocess", False),
        ("net.py", "urlopen", False),
        ("net.py", "eval", False),
    ]
    clean = of(LastPyMileHit, _analysed(read("made-clean"), "pkg:pypi/made-clean@1.0.0"))
    assert [(hit.list, hit.test_name, hit.line, hit.added) for hit in clean] == [
        ("phantom", "", None, True),
        ("low_risk", "assert_used", 9, False),
    ]
    failed = _refused(read("made-incomplete"))
    assert (failed.code, failed.detail) == (
        OutcomeCode.FAILED,
        "LastPyMile did not complete: Could not find the source repository.",
    )
    assert codes(_analysed(read("made-without-results"))) == ["blind"]


def test_the_release_status_is_not_believed() -> None:
    assert [hit.list for hit in _hits(_release(high_risk_files=[_file("x.py", _hit())]))] == ["high_risk"]


@pytest.mark.parametrize("name", ["phantom", "low_risk", "medium_risk", "high_risk"])
def test_each_list(name: str) -> None:
    (hit,) = _hits(_release(**{f"{name}_files": [_file("x.py", _hit())]}))
    assert (hit.list, hit.file, hit.test_id, hit.line, hit.text, hit.release) == (
        name,
        "x.py",
        "B102",
        5,
        "Use of exec.",
        "made-1.0.tar.gz",
    )


@pytest.mark.parametrize(
    ("more", "added"),
    [
        ({}, True),
        ({"closest_source_file": None, "changes": None}, True),
        ({"closest_source_file": "", "changes": _added(9)}, True),
        ({"closest_source_file": "x.py", "changes": _added(5)}, True),
        ({"closest_source_file": "x.py", "changes": _added(4, 6)}, False),
        ({"closest_source_file": "x.py", "changes": [{"type": "removed", "line_number": 5}]}, False),
        # No changes at all stand for a file that could not be compared: one without a difference is coherent.
        ({"closest_source_file": "x.py", "changes": []}, True),
        ({"closest_source_file": "x.py"}, True),
    ],
)
def test_only_added_lines_count(more: dict[str, object], added: bool) -> None:
    (hit,) = _hits(_release(high_risk_files=[_file("x.py", _hit(), **more)]))
    assert hit.added is added


def test_a_statement_over_several_lines_counts_where_one_of_them_was_added() -> None:
    file = _file("x.py", _hit(line_range=[5, 6, 7]), closest_source_file="x.py", changes=_added(7))
    assert [hit.added for hit in _hits(_release(high_risk_files=[file]))] == [True]


def test_a_hit_without_a_line_counts() -> None:
    file = _file("x.py", _hit(None), closest_source_file="x.py", changes=_added(7))
    assert [(hit.line, hit.added) for hit in _hits(_release(high_risk_files=[file]))] == [(None, True)]


@pytest.mark.parametrize(
    ("more", "added"),
    [
        ({}, True),
        ({"closest_source_file": "x.py", "changes": _added(1)}, True),
        ({"closest_source_file": "x.py", "changes": [{"type": "removed", "line_number": 1}]}, False),
    ],
)
def test_a_file_without_a_hit_is_one_plain_hit(more: dict[str, object], added: bool) -> None:
    for reported in ([], None):
        (hit,) = _hits(_release(phantom_files=[{**_file("x.py", **more), "bandit_report": reported}]))
        assert (hit.test_id, hit.test_name, hit.line, hit.added) == ("", "", None, added)


@pytest.mark.parametrize("results", [[], None])
def test_no_release_is_blind(results: object) -> None:
    assert codes(_analysed(_report(results=results), MADE)) == ["blind"]


def test_a_release_without_any_file_is_blind() -> None:
    empty = {"release": "made-1.0-py3-none-any.whl", "coherent_files": [], "phantom_files": None}
    result = _analysed(_report(_release(), empty), MADE)
    assert codes(result) == ["blind"]
    assert "made-1.0-py3-none-any.whl" in result.shortfalls[0].detail


@pytest.mark.parametrize(
    ("more", "detail"),
    [
        ({"completed": False, "fail_reason": "no repository"}, "no repository"),
        ({"completed": False}, "no reason"),
        ({"completed": None}, "no reason"),
    ],
)
def test_not_completed_is_failed_whatever_else_stands_there(more: dict[str, object], detail: str) -> None:
    shortfall = _refused(_report(_release(), **more), MADE)
    assert shortfall.code is OutcomeCode.FAILED
    assert detail in shortfall.detail


@pytest.mark.parametrize("date", ["2026-11-22", "22/11/2026", "32/11/2026 at 10:11:12.345678", 5])
def test_a_malformed_date(date: object) -> None:
    assert _refused(_report(_release(), date=date), MADE).code is OutcomeCode.REPORT_INVALID


@pytest.mark.parametrize(
    ("date", "stale"),
    [("22/11/2026 at 10:11:12.345678", False), ("01/02/2026 at 00:00:00.000000", True), (None, True)],
)
def test_the_date(date: str | None, stale: bool) -> None:
    assert codes(_analysed(_report(_release(), date=date), MADE)) == (["stale"] if stale else [])


@pytest.mark.parametrize(
    "results",
    [
        {},
        ["x"],
        [_release(high_risk_files={})],
        [_release(high_risk_files=[_file("")])],
        [_release(high_risk_files=[{"bandit_report": []}])],
        [_release(high_risk_files=[_file("x.py", "hit")])],
        [_release(high_risk_files=[_file("x.py", _hit("5"))])],
        [_release(high_risk_files=[_file("x.py", _hit(5, line_range=["5"]))])],
        [_release(high_risk_files=[_file("x.py", _hit(), changes=[{"type": "added"}])])],
        [_release(high_risk_files=[_file("x.py", _hit(), changes=[{"type": 1, "line_number": 1}])])],
        [_release(high_risk_files=[_file("x.py", _hit(), closest_source_file=5)])],
        [_release(coherent_files="all")],
        [{**_release(), "release": 3}],
    ],
)
def test_one_mistyped_value_spoils_the_whole_report(results: object) -> None:
    assert _refused(_report(results=results), MADE).code is OutcomeCode.REPORT_INVALID


def test_it_has_to_be_about_the_package_asked_for() -> None:
    assert _refused(_report(_release()), "pkg:pypi/other@1.0").code is OutcomeCode.WRONG_PACKAGE
    assert _refused(_report(_release("other-1.0.tar.gz")), MADE).code is OutcomeCode.WRONG_PACKAGE
    assert _refused(_report(_release("made-1.1.tar.gz")), MADE).code is OutcomeCode.WRONG_PACKAGE


def test_it_may_be_wrapped() -> None:
    assert codes(_analysed({"metadata": {"purl": MADE}, "analysis_results": _report(_release())}, MADE)) == []
