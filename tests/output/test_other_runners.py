"""What other CI systems read from a log: hostile text gives them no commands either."""

import re

import pytest

from scangate.output import escape
from tests.output.hostile import TEXTS, hostile_verdict
from tests.output.renderers import RENDERERS

_AZURE = re.compile(r"##\w*\[", re.IGNORECASE)
"""Azure's agent looks for `##vso[area.action …]` anywhere in a line, and formats lines with `##[group]` and the like
(learn.microsoft.com/azure/devops/pipelines/scripts/logging-commands); TeamCity has `##teamcity[…]`."""

_SERVICE_TEXTS = {
    "azure": "##vso[task.setvariable variable=PATH]evil",
    "azure inside of a line": "x ##VSO[task.prependpath]/tmp/evil",
    "azure behind another sign": "###vso[task.complete result=Succeeded]",
    "teamcity": "##teamcity[buildStatus status='SUCCESS']",
}


@pytest.mark.parametrize("text", [*_SERVICE_TEXTS.values(), *TEXTS.values()], ids=[*_SERVICE_TEXTS, *TEXTS])
@pytest.mark.parametrize("name", sorted(set(RENDERERS) - {"github.txt"}))  # which is for GitHub's runner alone
def test_no_format_gives_a_logging_command(name: str, text: str) -> None:
    assert not _AZURE.search(RENDERERS[name](hostile_verdict(text)))


@pytest.mark.parametrize("text", _SERVICE_TEXTS.values(), ids=_SERVICE_TEXTS)
def test_the_text_can_still_be_read(text: str) -> None:
    assert escape.log(text).replace("\\", "") == text
