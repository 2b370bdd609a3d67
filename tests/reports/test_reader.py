"""Reports as a whole: wrappers, identity, age, and everything that is no report."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from scangate.errors import PurlError, ReportError
from scangate.models.analysis import Analysed, Engine, OutcomeCode, Phase
from scangate.reports import reader

from .samples import ASSETS, MADE, NOW, REAL, analysed, codes, document, phase, read, refused

THING = "pkg:npm/thing@1.2.3"


def test_every_sample_is_read_without_a_purl() -> None:
    for path in REAL + MADE:
        assert isinstance(read(path.read_bytes()), Analysed), path.name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("benign-npm-axios", []),
        ("benign-npm-puppeteer", ["phase-error:install"]),
        ("benign-pypi-psutil-sdist", []),
        ("malware-pypi-jeilyfish-0.7.1", ["stale"]),
        ("inert-pypi-pytagora-1.2", ["import-failed:import", "stale"]),
        ("inert-pypi-urlibdownloader-0.0.0", ["import-failed:import", "stale"]),
    ],
)
def test_what_the_real_reports_could_not_show(name: str, expected: list[str]) -> None:
    assert codes(analysed((ASSETS / "dynamic-analysis" / f"{name}.json").read_bytes())) == expected


def test_task_and_engine_are_on_every_shortfall() -> None:
    result = analysed(document(install=phase(Status="error_other")))
    assert (result.task_id, result.shortfalls[0].task_id, result.shortfalls[0].engine) == (
        7,
        7,
        Engine.DYNAMIC_ANALYSIS,
    )
    wrong = refused(document(), "pkg:npm/other@1.2.3")
    assert (wrong.task_id, wrong.engine) == (7, Engine.DYNAMIC_ANALYSIS)


# ------------------------------------------------------------------------------------------------- wrappers


def _wrapped(results: object, **metadata: object) -> dict[str, object]:
    return {"metadata": metadata, "analysis_results": results}


@pytest.mark.parametrize(
    "wrapped",
    [
        _wrapped(document()),
        _wrapped(json.dumps(document())),
        _wrapped(document()["Analysis"], package={"name": "thing", "version": "1.2.3", "ecosystem": "npm"}),
        _wrapped({"Analysis": document()["Analysis"]}, package={"purl": THING}),
        _wrapped({"Analysis": document()["Analysis"]}, purl=THING),
        {**document(), "Analysis": None} | _wrapped(document()["Analysis"]),
    ],
    ids=["report", "text", "phases", "analysis", "metadata-purl", "package-outside"],
)
def test_every_wrapper_is_opened(wrapped: object) -> None:
    result = analysed(wrapped, THING)
    assert [s.code for s in result.shortfalls if s.code is not OutcomeCode.STALE] == []
    assert len(result.observations) == 2


def test_a_byte_order_mark_is_no_obstacle() -> None:
    analysed(b"\xef\xbb\xbf" + json.dumps(document()).encode(), THING)


# ------------------------------------------------------------------------------------------------- no report


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (b"", "not JSON"),
        (b"<html>expired</html>", "not JSON"),
        (b"\xff\xfe{\x00}\x00", "not UTF-8"),
        (b"null", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b"{}", "neither an Analysis nor results"),
        (b'{"error": "not found"}', "neither an Analysis nor results"),
        (b'{"Analysis": {}, "results": []}', "Analysis and results"),
        (b'{"analysis_results": null}', "neither an Analysis nor results"),
        (b'{"analysis_results": []}', "analysis_results is a list"),
        (b'{"analysis_results": "{"}', "not JSON"),
        (b'{"analysis_results": "\\"x\\""}', "analysis_results is a string"),
        (b'{"Analysis": []}', "Analysis is a list"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"Analysis":' * 200_000, "nested too deeply"),
        (b'{"Analysis": ' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"metadata": 3, "analysis_results": {"Analysis": {}}}', "metadata is a number"),
    ],
)
def test_what_is_no_report_is_refused_whole(payload: bytes, problem: str) -> None:
    shortfall = refused(payload)
    assert shortfall.code is OutcomeCode.REPORT_INVALID
    assert problem in shortfall.detail
    assert len(shortfall.detail) < 400


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"Status": 3}, "Analysis.install.Status is a number"),
        ({"Files": {}}, "Files is an object"),
        ({"Files": ["/etc/passwd"]}, "Files[0] is a string"),
        ({"Files": [{"Path": "/a", "Read": "yes"}]}, "Read is a string"),
        ({"Files": [{"Path": 1, "Read": True, "Write": True, "Delete": True}]}, "Path is a number"),
        ({"Commands": "sh"}, "Commands is a string"),
        ({"Commands": [None]}, "Commands[0] is null"),
        ({"Commands": [{"Command": "sh -c x"}]}, "Command is a string"),
        ({"Commands": [{"Command": ["sh", 1]}]}, "Command[1] is a number"),
        ({"Commands": [{"Command": ["sh"], "Environment": {"A": "b"}}]}, "Environment is an object"),
        ({"Sockets": [{"Address": 1, "Port": 1}]}, "Address is a number"),
        ({"Sockets": [{"Address": "192.0.2.1"}]}, "Port is null or missing"),
        ({"Sockets": [{"Address": "192.0.2.1", "Port": "443"}]}, "Port is a string"),
        ({"Sockets": [{"Address": "192.0.2.1", "Port": True}]}, "Port is true or false"),
        ({"Sockets": [{"Address": "192.0.2.1", "Port": 1.5}]}, "Port is a number"),
        ({"Sockets": [{"Address": "192.0.2.1", "Port": 65536}]}, "Port is 65536"),
        ({"Sockets": [{"Address": "192.0.2.1", "Port": -1}]}, "Port is -1"),
        ({"Sockets": [{"Address": "192.0.2.1", "Port": 1, "Hostnames": "x"}]}, "Hostnames is a string"),
        ({"DNS": [{"Queries": {"Hostname": "a.example"}}]}, "Queries is an object"),
        ({"DNS": [{"Queries": [{"Hostname": 1}]}]}, "Hostname is a number"),
        ({"DNS": [{"Queries": [{"Hostname": "a", "Types": [1]}]}]}, "Types[0] is a number"),
        ({"Stdout": ["x"]}, "Stdout is a list"),
        ({"Stderr": {}}, "Stderr is an object"),
        ({"Syscalls": "Enter"}, "Syscalls is a string"),
    ],
)
def test_one_mistyped_value_spoils_the_whole_report(change: dict[str, object], problem: str) -> None:
    shortfall = refused(document(install=phase(**change)), THING)
    assert shortfall.code is OutcomeCode.REPORT_INVALID
    assert problem in shortfall.detail


@pytest.mark.parametrize(
    "change",
    [{"Package": "thing"}, {"Package": {"Name": 5}}, {"CreatedTimestamp": "today"}, {"CreatedTimestamp": 1.5}],
)
def test_mistyped_heads_spoil_it_too(change: dict[str, object]) -> None:
    assert refused(document(**{**document(), **change}) | change, THING).code is OutcomeCode.REPORT_INVALID


def test_a_phase_of_an_unknown_name_is_not_passed_over() -> None:
    spoilt = document()
    spoilt["Analysis"]["postinstall"] = phase()
    shortfall = refused(spoilt, THING)
    assert shortfall.code is OutcomeCode.REPORT_INVALID
    assert "Analysis.postinstall is no phase" in shortfall.detail


def test_the_other_engines_report_is_no_answer() -> None:
    shortfall = refused(document(), THING, Engine.LASTPYMILE)
    assert shortfall.code is OutcomeCode.REPORT_INVALID
    assert "a report of dynamic-analysis, where one of lastpymile was asked for" in shortfall.detail


# ------------------------------------------------------------------------------------------------- identity


def _about(name: str, version: str, ecosystem: str = "npm") -> dict[str, str]:
    return {"Ecosystem": ecosystem, "Name": name, "Version": version}


@pytest.mark.parametrize(
    ("package", "purl"),
    [
        (_about("thing", "1.2.3"), THING),
        (_about("thing", "thing-1.2.3"), THING),
        (_about("@acme/thing", "1.2.3"), "pkg:npm/%40acme/thing@1.2.3"),
        (_about("%40acme/thing", "1.2.3"), "pkg:npm/%40acme/thing@1.2.3"),
        (_about("Zope.Interface", "5.0", "PyPI"), "pkg:pypi/zope-interface@5.0"),
        (_about("zope_interface", "5.0.0", "pypi"), "pkg:pypi/zope-interface@5.0"),
        (_about("zope.interface", "zope_interface-5.0", "pypi"), "pkg:pypi/zope-interface@5.0"),
        (_about("Acme.Themes", "2.0.0", "vscode"), "pkg:vscode-extension/acme/themes@2.0.0"),
        (_about("acme/themes", "2.0.0", "vscode-extension"), "pkg:vscode-extension/acme/themes@2.0.0"),
    ],
)
def test_the_same_package_in_other_words(package: dict[str, str], purl: str) -> None:
    analysed(document(package=package), purl)


@pytest.mark.parametrize(
    ("package", "purl"),
    [
        (_about("thin", "1.2.3"), THING),
        (_about("Thing", "1.2.3"), THING),
        (_about("thing", "1.2.30"), THING),
        (_about("thing", "1.2"), THING),
        (_about("thing", "1.2.3", "pypi"), THING),
        (_about("thing", "1.2.3", "rubygems"), THING),
        (_about("thing", "thin-1.2.3"), THING),
        (_about("thing", "not a version", "pypi"), "pkg:pypi/thing@1.0"),
        (_about("thing", "1.0.post1", "pypi"), "pkg:pypi/thing@1.0"),
        (_about("thing", "9" * 5000, "pypi"), "pkg:pypi/thing@1.0"),
        (_about("acme.themes", "2.0.1", "vscode"), "pkg:vscode-extension/acme/themes@2.0.0"),
    ],
)
def test_another_package_is_told_apart(package: dict[str, str], purl: str) -> None:
    shortfall = refused(document(package=package), purl)
    assert shortfall.code is OutcomeCode.WRONG_PACKAGE
    assert shortfall.detail.startswith("Asked for pkg:")


@pytest.mark.parametrize(
    ("package", "problem"),
    [
        ({}, "does not say which package"),
        (_about("thing", ""), "does not record which version"),
        (_about("thing", "0"), "does not record which version"),
        (_about("", "1.2.3"), "does not say which package"),
    ],
)
def test_what_a_report_does_not_say_is_not_taken_as_agreement(package: dict[str, str], problem: str) -> None:
    shortfall = refused(document(package=package), THING)
    assert shortfall.code is OutcomeCode.WRONG_PACKAGE
    assert problem in shortfall.detail


def test_version_0_is_a_version_where_it_was_asked_for() -> None:
    analysed(document(package=_about("thing", "0")), "pkg:npm/thing@0")


@pytest.mark.parametrize(
    "metadata",
    [
        {"package": {"name": "other", "version": "1.2.3"}},
        {"package": {"name": "thing", "version": "1.2.4"}},
        {"package": {"ecosystem": "pypi"}},
        {"package": {"purl": "pkg:npm/thing@1.2.4"}},
        {"purl": "pkg:pypi/thing@1.2.3"},
        {"purl": "thing 1.2.3"},
    ],
)
def test_the_wrapper_has_to_agree_too(metadata: dict[str, object]) -> None:
    assert refused(_wrapped(document(), **metadata), THING).code is OutcomeCode.WRONG_PACKAGE


def _harness(*argv: str) -> dict[str, object]:
    return phase(Commands=[{"Command": ["python3", "/usr/local/bin/analyze-python.py", *argv], "Environment": None}])


@pytest.mark.parametrize(
    "argv",
    [
        ("--local", "/thing-1.2.3.tgz", "install", "thing"),
        ("--local", "/tmp/in/thing-v1.2.3-r12.apk", "install", "thing"),
        ("--local", "/upload.tgz", "install", "thing"),
        ("--version", "1.2.3", "install", "thing"),
        ("install", "thing"),
        ("--version", "1.2.3"),
        (),
    ],
)
def test_a_harness_command_that_agrees_or_says_nothing(argv: tuple[str, ...]) -> None:
    analysed(document(install=_harness(*argv)), THING)


@pytest.mark.parametrize(
    "argv",
    [
        ("--local", "/thin-1.2.3.tgz", "install", "thing"),
        ("--local", "/thing-1.2.4.tgz", "install", "thing"),
        ("--local", "/thing-1.2.3.tgz", "install", "thin"),
        ("--version", "1.2.4", "install", "thing"),
        ("install", "other"),
    ],
)
def test_a_harness_command_about_another_package(argv: tuple[str, ...]) -> None:
    assert refused(document(install=_harness(*argv)), THING).code is OutcomeCode.WRONG_PACKAGE


def test_the_harness_may_confirm_a_version_that_the_package_field_lacks() -> None:
    analysed(
        document(package=_about("thing", "0"), install=_harness("--local", "/thing-1.2.3.tgz", "install", "thing")),
        THING,
    )


@pytest.mark.parametrize(
    ("archive", "purl"),
    [
        ("acme-thing-1.2.3.tgz", "pkg:npm/%40acme/thing@1.2.3"),
        ("Zope.Interface-5.0.tar.gz", "pkg:pypi/zope-interface@5.0"),
        ("zope_interface-5.0.0-cp311-cp311-manylinux_2_17_x86_64.whl", "pkg:pypi/zope-interface@5.0"),
        ("zope_interface-5.0-1.zip", "pkg:pypi/zope-interface@5.0-1"),
        ("acme.themes-2.0.0.vsix", "pkg:vscode-extension/acme/themes@2.0.0"),
    ],
)
def test_archives_as_their_tools_name_them(archive: str, purl: str) -> None:
    asked = reader.purls.parse(purl)
    package = _about(asked.package_name, asked.version or "", asked.type)
    analysed(document(package=package, install=_harness("--local", f"/{archive}", "install", asked.package_name)), purl)


@pytest.mark.parametrize(("marker", "right"), [(THING, True), ("pkg:npm/thing@1.2.4", False), ("thing", False)])
def test_the_local_engines_marker_is_compared(marker: str, right: bool) -> None:
    install = phase(Commands=[{"Command": ["scangate-local", "install", marker]}])
    result = read(document(install=install), THING)
    assert isinstance(result, Analysed) is right


def test_the_real_report_whose_archive_is_another_package() -> None:
    payload = (ASSETS / "dynamic-analysis" / "inert-pypi-urlibdownloader-0.0.0.json").read_bytes()
    shortfall = refused(payload, "pkg:pypi/urlibdownloader@0.0.0")
    assert shortfall.code is OutcomeCode.WRONG_PACKAGE
    assert "urllibdownloader-0.0.0" in shortfall.detail


def test_the_real_reports_about_what_was_asked_for() -> None:
    for name, purl in (
        ("malware-pypi-jeilyfish-0.7.1", "pkg:pypi/jeilyfish@0.7.1"),
        ("inert-pypi-pytagora-1.2", "pkg:pypi/pytagora@1.2"),
        ("benign-npm-bcrypt", "pkg:npm/bcrypt@0"),
    ):
        analysed((ASSETS / "dynamic-analysis" / f"{name}.json").read_bytes(), purl)


def test_a_benign_report_without_a_version_proves_nothing_about_one() -> None:
    payload = (ASSETS / "dynamic-analysis" / "benign-npm-axios.json").read_bytes()
    assert refused(payload, "pkg:npm/axios@1.14.1").code is OutcomeCode.WRONG_PACKAGE


def test_a_purl_that_cannot_be_asked_for_is_the_callers_mistake() -> None:
    with pytest.raises(PurlError):
        read(document(), "pkg:npm/thing")


# ------------------------------------------------------------------------------------------------- identify


@pytest.mark.parametrize(
    ("path", "purl"),
    [
        ("dynamic-analysis/benign-npm-axios.json", "pkg:npm/axios@0"),
        ("dynamic-analysis/inert-pypi-pytagora-1.2.json", "pkg:pypi/pytagora@1.2"),
        ("dynamic-analysis/malware-pypi-jeilyfish-0.7.1.json", "pkg:pypi/jeilyfish@0.7.1"),
        ("made/npm-bait-in-request.json", "pkg:npm/%40acme-tools/reporter@1.1.0"),
    ],
)
def test_identify(path: str, purl: str) -> None:
    found = reader.identify((ASSETS / Path(path)).read_bytes())
    assert (found.purl, found.engine) == (purl, Engine.DYNAMIC_ANALYSIS)


@pytest.mark.parametrize(
    ("releases", "purl"),
    [
        (["Thing_X-1.0.tar.gz", "Thing_X-1.0-py3-none-any.whl"], "pkg:pypi/thing-x@1.0"),
        (["Thing_X-1.0.tgz"], "pkg:npm/Thing_X@1.0"),
        (["Thing_X-1.0.tgz", "Thing_X-1.0.tar.gz"], None),
        ([], None),
    ],
)
def test_lastpymile_reports_show_their_ecosystem_by_their_files(releases: list[str], purl: str | None) -> None:
    results = [{"release": release} for release in releases]
    payload = json.dumps({"package": _lower("Thing_X", "1.0"), "completed": True, "results": results}).encode()
    assert reader.engine_of(payload) is Engine.LASTPYMILE
    if purl is None:
        with pytest.raises(ReportError):
            reader.identify(payload)
    else:
        assert reader.identify(payload) == reader.Identity(engine=Engine.LASTPYMILE, purl=purl)


def _lower(name: str, version: str) -> dict[str, str]:
    return {"name": name, "version": version}


@pytest.mark.parametrize(
    ("package", "purl"),
    [
        (_about("Acme.Themes", "2.0.0", "vscode"), "pkg:vscode-extension/acme/themes@2.0.0"),
        (_about("thing", ""), "pkg:npm/thing@0"),
    ],
)
def test_identify_other_spellings(package: dict[str, str], purl: str) -> None:
    assert reader.identify(json.dumps(document(package=package)).encode()).purl == purl


@pytest.mark.parametrize(
    "package", [{}, _about("x", "1", "cargo"), _about("themes", "1", "vscode"), _about("a/b", "1")]
)
def test_identify_says_what_to_do_where_the_report_does_not_say(package: dict[str, str]) -> None:
    with pytest.raises(ReportError) as caught:
        reader.identify(json.dumps(document(package=package)).encode())
    assert "--purl" in caught.value.hint


def test_without_an_expectation_an_unnamed_report_is_read_nevertheless() -> None:
    result = analysed(document(package=_about("x", "1", "cargo")))
    assert len(result.observations) == 2


# ------------------------------------------------------------------------------------------------- age


@pytest.mark.parametrize(
    ("age", "stale"),
    [
        (timedelta(days=90), False),
        (timedelta(days=90, seconds=1), True),
        (timedelta(hours=-23), False),
        (timedelta(days=-2), True),
    ],
)
def test_age(age: timedelta, stale: bool) -> None:
    result = analysed(document(created=int((NOW - age).timestamp())), THING)
    assert codes(result) == (["stale"] if stale else [])
    assert result.created == NOW - age


@pytest.mark.parametrize("created", [None, 0, -5])
def test_a_report_without_a_date_is_stale(created: int | None) -> None:
    result = analysed(document(created=created), THING)
    assert result.created is None
    assert "does not say when" in result.shortfalls[0].detail


def test_a_date_beyond_any_calendar_is_malformed() -> None:
    assert refused(document(created=10**30), THING).code is OutcomeCode.REPORT_INVALID


def test_malware_in_a_stale_report_is_still_shown() -> None:
    result = analysed((ASSETS / "dynamic-analysis" / "malware-pypi-jeilyfish-0.7.1.json").read_bytes())
    assert "bitly.com" in {getattr(o, "host", None) for o in result.observations}
    assert {o.phase for o in result.observations if hasattr(o, "phase")} == set(Phase)


# ------------------------------------------------------------------------------- archives that were not run


def test_an_archive_that_is_not_the_promised_one_was_not_analysed() -> None:
    integrity = {"expected": ["sha512:aa"], "actual": ["sha512:bb"]}
    refusal = refused({**document(), "Analysis": {}, "Integrity": integrity}, THING)
    assert refusal.code is OutcomeCode.INTEGRITY_MISMATCH
    assert "is sha512:bb, not sha512:aa" in refusal.detail
    # whatever else it shows: an engine that ran it all the same is not believed
    assert refused({**document(), "Integrity": integrity}, THING).code is OutcomeCode.INTEGRITY_MISMATCH
    for broken in ("no", [], {"expected": "aa"}, {"actual": [1]}):
        assert refused({**document(), "Integrity": broken}, THING).code is OutcomeCode.REPORT_INVALID
