"""What the values promise: two kinds of observation are never equal, and none shows what is private or large."""

from itertools import combinations
from typing import get_args, get_type_hints

import pytest

from scangate.models import observations
from scangate.models.analysis import Archive, Engine, Phase, Report
from scangate.models.lockfile import Ecosystem
from scangate.models.observations import CommandRun, Observation

KINDS = get_args(Observation)


@pytest.mark.parametrize(("one", "other"), list(combinations(KINDS, 2)))
def test_no_two_kinds_have_fields_of_the_same_types(one: type, other: type) -> None:
    """They are tuples, which are equal where their items are."""
    kinds = [list(get_type_hints(kind, vars(observations)).values()) for kind in (one, other)]
    assert kinds[0] != kinds[1]


def test_a_command_without_arguments_is_no_other_observation() -> None:
    assert CommandRun(phase=Phase.INSTALL, argv=()) == CommandRun(phase=Phase.INSTALL, argv=())
    assert CommandRun(phase=Phase.INSTALL, argv=()) != CommandRun(phase=Phase.IMPORT, argv=())


def test_the_bytes_of_an_archive_and_of_a_report_are_not_shown() -> None:
    shown = repr((Archive(filename="a.tgz", content=b"private"), Report(payload=b"private", task_id=7)))
    assert "private" not in shown
    assert "a.tgz" in shown
    assert "task_id=7" in shown


@pytest.mark.parametrize(
    ("ecosystem", "taken"),
    [(Ecosystem.NPM, True), (Ecosystem.PYPI, True), (Ecosystem.VSCODE_EXTENSION, False), (None, False)],
)
def test_an_engine_takes_what_the_service_s_contract_says(ecosystem: Ecosystem | None, *, taken: bool) -> None:
    assert Engine.LASTPYMILE.takes(ecosystem) is taken
    assert Engine.DYNAMIC_ANALYSIS.takes(ecosystem) is (ecosystem is not None)
