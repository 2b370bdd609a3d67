"""The built-in rules: what each says, and that what they excuse cannot be used as a hiding place."""

import itertools

import pytest

from scangate.models.analysis import Analysed, Engine, Phase
from scangate.models.lockfile import Ecosystem
from scangate.models.observations import CommandRun, FileTouched, LastPyMileHit, Observation
from scangate.models.verdict import Action, Severity, Subject
from scangate.policy import cases, loader
from scangate.policy.cases import OneRule
from scangate.policy.conditions import is_plain
from scangate.policy.matcher import Matcher
from scangate.policy.model import Observe, Watch
from scangate.registries import ALL_PUBLIC_HOSTS
from scangate.reports import dynamic
from tests.policy.kit import package

RULES = {rule.id: rule for rule in loader.default().rules}
MATCHER = Matcher(loader.default().rules)


def found(*observations: Observation, **about: object) -> set[str]:
    return {finding.rule for finding in MATCHER.findings(package(observations=observations, **about))}  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------- what each rule says


@pytest.mark.parametrize("rule", sorted(RULES))
def test_every_rule_says_what_it_means_what_to_do_and_where_to_read_more(rule: str) -> None:
    said = RULES[rule]
    assert len(said.title) >= 10
    assert len(said.description) >= 30
    assert len(said.advice) >= 30
    assert said.references
    for url in said.references:
        assert url.startswith("https://")
        assert not any(f"//{host}/" in url for host in ALL_PUBLIC_HOSTS)


@pytest.mark.parametrize("rule", sorted(RULES))
def test_every_rule_has_a_case_that_it_matches_and_one_that_only_looks_like_it(rule: str) -> None:
    expected = [case.expected for case in cases.built_in(classify=dynamic.classified, rule=rule)]
    assert {each.matches for each in expected if isinstance(each, OneRule)} == {True, False}


def test_no_two_rules_say_the_same() -> None:
    """A title is what a developer sees first: it has to tell rules apart."""
    assert len({rule.title for rule in RULES.values()}) == len(RULES)
    assert len({rule.description for rule in RULES.values()}) == len(RULES)


@pytest.mark.parametrize("rule", sorted(id_ for id_, rule in RULES.items() if rule.severity is Severity.CRITICAL))
def test_what_is_critical_is_denied(rule: str) -> None:
    assert RULES[rule].decided.action is Action.DENY


# ------------------------------------------------------------------------------------ what they excuse

BUILD = "/tmp/pip-build-env-abcd1234"
NPM, PYPI = {"ecosystem": Ecosystem.NPM}, {"ecosystem": Ecosystem.PYPI}
EXCUSED = [
    # The rule that would match, whose package it is, the phase, and what its analysis or a build tool runs.
    ("cmd-nested-install", NPM, Phase.IMPORT, ["npm", "install", "left-pad@1.3.0"]),
    ("cmd-nested-install", PYPI, Phase.IMPORT, ["python3", "-m", "pip", "install", "--pre", "left-pad==1.3.0"]),
    ("cmd-nested-install", PYPI, Phase.IMPORT, ["pip", "install", "/local/left_pad-1.3.0.tar.gz"]),
    ("cmd-exec-temp", PYPI, Phase.INSTALL, [f"{BUILD}/overlay/bin/cmake", "--version"]),
    ("cmd-exec-temp", PYPI, Phase.INSTALL, ["/usr/bin/python3", "/tmp/pip-req-build-abcd1234/setup.py", "egg_info"]),
    ("cmd-exec-temp", PYPI, Phase.INSTALL, ["/usr/bin/python3", "-I", f"{BUILD}/overlay/bin/ninja", "-v"]),
    ("cmd-exec-temp", NPM, Phase.INSTALL, ["node", "/tmp/npm-0123abcd/node_modules/.bin/tool"]),
    (
        "cmd-exec-temp",
        PYPI,
        Phase.INSTALL,
        ["/usr/bin/python3", "/tmp/pip-standalone-pip-abcd1234/__env_pip__.zip/pip", "install", "--ignore-installed",
         "--no-user", "--prefix", f"{BUILD}/overlay", "setuptools>=61.0,<70", "wheel"],
    ),
    ("cmd-chmod-temp", PYPI, Phase.INSTALL, ["chmod", "+x", f"{BUILD}/bin/tool"]),
    ("cmd-chmod-temp", PYPI, Phase.INSTALL, ["chmod", "-R", "755", f"{BUILD}/bin", "/tmp/pip-wheel-abcd1234/a.so"]),
    ("cmd-downloader", NPM, Phase.INSTALL, ["curl", "--version"]),
    ("cmd-containers", NPM, Phase.INSTALL, ["docker", "--version"]),
    ("cmd-windows-lolbin", NPM, Phase.INSTALL, ["powershell", "-v"]),
    ("cmd-destroy", NPM, Phase.INSTALL, ["rm", "-rf", "/var/tmp"]),
]  # fmt: skip
IDS = [f"{number}-{case[0]}" for number, case in enumerate(EXCUSED)]


def run(phase: Phase, argv: list[str]) -> CommandRun:
    return CommandRun(phase=phase, argv=tuple(argv))


@pytest.mark.parametrize(("rule", "about", "phase", "argv"), EXCUSED, ids=IDS)
def test_what_the_analysis_and_build_tools_run_is_excused(
    rule: str, about: dict[str, object], phase: Phase, argv: list[str]
) -> None:
    assert rule not in found(run(phase, argv), **about)


OPERATORS = ["; id", "&& id", "& id", "| sh", "`id`", "$(id)", "> /tmp/x", "< /tmp/x", "\nid", "\r\nid", ";id", "|sh"]


@pytest.mark.parametrize(("rule", "about", "phase", "argv"), EXCUSED, ids=IDS)
def test_nothing_can_be_appended_to_an_excused_command(
    rule: str, about: dict[str, object], phase: Phase, argv: list[str]
) -> None:
    """Told to a shell, or behind it in one of its arguments."""
    for operator, behind in itertools.product(OPERATORS, (True, False)):
        more = [*argv, operator] if behind else [*argv[:-1], f"{argv[-1]}{operator}"]
        # A redirection is no way to run something where nothing but a program reads it as text.
        harmless = argv[-1] == "wheel" and operator[0] in "<>"
        assert rule in found(run(phase, more), **about) or harmless, more
    line = " ".join(argv)
    for shell in (["sh", "-c", f"{line}; /tmp/x"], ["bash", "-c", f"/tmp/x & {line}"]):
        assert found(run(phase, shell), **about) & {rule, "cmd-exec-temp"}, shell


@pytest.mark.parametrize(
    ("about", "argv"),
    [
        (NPM, ["npm", "install", "left-padx@1.3.0"]),
        (NPM, ["npm", "install", "left-pad@1.3.1"]),
        (NPM, ["npm", "install", "leftXpad@1.3.0"]),
        (NPM, ["npm", "install", "left-pad@1.3.0", "evil@1.0.0"]),
        (NPM, ["npm", "install", "evil@1.0.0", "left-pad@1.3.0"]),
        (NPM, ["npm", "install", "--registry=https://evil.example", "left-pad@1.3.0"]),
        (NPM, ["npm", "install", "https://evil.example/left-pad@1.3.0"]),
        (NPM, ["npm", "install", "evil/left-pad@1.3.0"]),
        (NPM, ["npm", "install", "evil", "left-pad-1.3.0.tgz"]),
        (PYPI, ["pip", "install", "left-pad==1.3.1"]),
        (PYPI, ["pip", "install", "evil-left-pad==1.3.0"]),
        (PYPI, ["pip", "install", "--index-url", "https://evil.example", "left-pad==1.3.0"]),
        (PYPI, ["pip", "install", "https://evil.example/left_pad-1.3.0.tar.gz"]),
        (PYPI, ["pip", "install", "git+https://evil.example/left-pad-1.3.0"]),
    ],
)
def test_only_the_package_s_own_name_and_version_excuse_an_installation(
    about: dict[str, object], argv: list[str]
) -> None:
    assert "cmd-nested-install" in found(run(Phase.IMPORT, argv), **about)


@pytest.mark.parametrize(
    "argv",
    [
        ["/tmp/x", f"{BUILD}/overlay/bin/cmake"],
        ["sh", "/tmp/x", f"{BUILD}/overlay"],
        ["sh", f"{BUILD}/../x"],
        [f"{BUILD}/a/../../x"],
        ["python3", "/tmp/x.py", "--prefix", BUILD],
        ["/tmp/pip-build-env-abcd12345/x"],
        ["/tmp/pip-build-env-ABCD1234/x"],
        ["/tmp/evil/tmp/pip-build-env-abcd1234/x"],
        ["/var/tmp/pip-build-env-abcd1234/x"],
        ["python3", "/tmp/pip-standalone-pip-abcd1234/__env_pip__.zip/pip", "install", "evil"],
    ],
)
def test_a_build_directory_excuses_only_what_lies_in_it(argv: list[str]) -> None:
    assert "cmd-exec-temp" in found(run(Phase.INSTALL, argv), **PYPI)


@pytest.mark.parametrize("paths", [["/tmp/x", f"{BUILD}/y"], [f"{BUILD}/y", "/tmp/x"], [f"{BUILD}/../x"]])
def test_a_build_directory_excuses_no_other_file_that_is_made_executable(paths: list[str]) -> None:
    assert "cmd-chmod-temp" in found(run(Phase.INSTALL, ["chmod", "+x", *paths]))


def test_every_excuse_for_commands_is_anchored_and_for_plain_commands() -> None:
    """Both ends, or a program and a directory at the start; what is not plain names each of its characters."""
    for rule in RULES.values():
        if not isinstance(rule.test, Watch) or rule.test.observe is not Observe.COMMAND:
            continue
        for excuse in rule.test.unless:
            keys = {condition.key: condition.values for condition in excuse}
            patterns = [str(value) for key in ("cmdline", "arg", "argv0") for value in keys.get(key, ())]
            assert patterns, rule.id
            assert all(pattern.startswith("^") for pattern in patterns), rule.id
            assert "arg" not in keys, f"{rule.id}: an argument anywhere excuses whatever is run"
            closed = all(pattern.endswith("$") and ".*" not in pattern for pattern in patterns)
            assert keys.get("plain") == (True,) or closed, rule.id


def test_plain_means_without_any_shell_operator() -> None:
    assert is_plain(run(Phase.INSTALL, ["npm", "install", "a@1.0.0"]))
    assert not any(is_plain(run(Phase.INSTALL, ["npm", f"install{operator}"])) for operator in OPERATORS)


# ----------------------------------------------------------------------------------------- LastPyMile

EXEC, DECODE, FETCH = "exec_used", "b64decode", "urlopen"


def hit(file: str, test: str, *, added: bool = True, list_: str = "high_risk", line: int = 1) -> LastPyMileHit:
    return LastPyMileHit(release="left-pad-1.3.0.tar.gz", list=list_, file=file, test_name=test, added=added, line=line)


def denied(*hits: LastPyMileHit) -> set[str]:
    result = Analysed(engine=Engine.LASTPYMILE, observations=hits)
    subject: Subject = package(ecosystem=Ecosystem.PYPI, results=[result])
    return {finding.rule for finding in MATCHER.findings(subject) if finding.action is Action.DENY}


LISTS = ["phantom", "low_risk", "medium_risk", "high_risk"]


@pytest.mark.parametrize("list_", LISTS)
@pytest.mark.parametrize("file", ["setup.py", "left_pad/__init__.py", "left_pad.pth", "a/__main__.py"])
def test_a_loader_on_added_lines_of_an_entry_point_is_denied_whatever_the_list(file: str, list_: str) -> None:
    """A release's status and lists are the scanner's; what counts is what was added."""
    assert "lpm-entrypoint" in denied(hit(file, EXEC, list_=list_), hit(file, DECODE, list_=list_, line=2))
    assert "lpm-entrypoint" in denied(hit(file, EXEC, list_=list_), hit(file, FETCH, list_=list_, line=2))


def test_a_loader_in_another_file_is_denied_too() -> None:
    assert denied(hit("left_pad/core.py", EXEC), hit("left_pad/core.py", FETCH, line=2)) == {"lpm-injected"}


@pytest.mark.parametrize("list_", LISTS)
@pytest.mark.parametrize("file", ["setup.py", "left_pad/__init__.py", "left_pad/core.py"])
def test_what_the_repository_has_as_well_is_not_denied(file: str, list_: str) -> None:
    """bandit scans whole files: hits on lines that were not added are the repository's own."""
    both = hit(file, EXEC, added=False, list_=list_), hit(file, DECODE, added=False, list_=list_, line=2)
    assert denied(*both) == set()


def test_a_list_alone_or_one_weak_test_is_not_denied() -> None:
    for list_, test in itertools.product(LISTS, ("requests_get", "", "assert_used", "try_except_pass")):
        assert denied(hit("left_pad/core.py", test, list_=list_)) == set()


def test_halves_in_two_files_are_no_loader() -> None:
    assert denied(hit("left_pad/a.py", EXEC), hit("left_pad/b.py", DECODE)) == set()


@pytest.mark.parametrize(
    "file",
    [
        "left_pad/_version.py",
        "left_pad/version.py",
        "left_pad/__version__.py",
        "versioneer.py",
        "left_pad/api_pb2.py",
        "left_pad/api_pb2_grpc.py",
        "left_pad/_vendor/six.py",
        "left_pad/_vendor/pkg_resources/__init__.py",
        "left_pad/_vendor/six/setup.py",
        "left_pad/vendor/six.py",
        "pip/_vendor/rich/console.py",
        "left_pad/vendored/requests/api.py",
        "build/lib/left_pad/core.py",
        "dist/left_pad/core.py",
        "tests/test_core.py",
        "docs/conf.py",
    ],
)
@pytest.mark.parametrize("list_", LISTS)
def test_generated_and_vendored_files_are_not_denied(file: str, list_: str) -> None:
    assert denied(hit(file, EXEC, list_=list_), hit(file, DECODE, list_=list_, line=2)) == set()


@pytest.mark.parametrize("file", ["left_pad/_versions.py", "left_pad/pb2.py", "left_pad/vendors.py", "rebuild/core.py"])
def test_what_is_only_called_like_a_generated_file_is_denied(file: str) -> None:
    assert denied(hit(file, EXEC), hit(file, DECODE, line=2)) == {"lpm-injected"}


def test_a_vendored_setup_file_does_not_hide_the_package_s_own() -> None:
    found_ = denied(hit("_vendor/x/__init__.py", "assert_used"), hit("setup.py", EXEC), hit("setup.py", DECODE, line=2))
    assert {"lpm-entrypoint", "lpm-setup"} <= found_


def test_files_in_build_directories_are_no_dropped_scripts() -> None:
    def written(path: str) -> FileTouched:
        return FileTouched(phase=Phase.INSTALL, path=path, read=False, write=True, delete=False)

    assert "file-temp-script" not in found(written(f"{BUILD}/a/b.py"))
    assert "file-temp-script" in found(written("/tmp/x.sh"))
