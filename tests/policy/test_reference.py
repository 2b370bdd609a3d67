"""The generated reference: every key of the language has an example, and every example holds."""

import re
from datetime import date

import pytest

from scangate.policy import cases, loader, trial
from scangate.reports import dynamic
from tools import docs, policy_reference

EXAMPLES = dict(policy_reference.examples())
INTRODUCED = re.findall(r"```yaml\n(.*?)```", docs.POLICY_INTRO, re.DOTALL)
WHOLE = sorted({*INTRODUCED, *(f"version: 1\n{example}" for example in EXAMPLES.values())})


@pytest.mark.parametrize("key", sorted(EXAMPLES))
def test_every_key_has_an_example_in_which_it_stands(key: str) -> None:
    name = key.rpartition(": ")[2]
    assert f"{name}:" in f"version: 1\n{EXAMPLES[key]}"


@pytest.mark.parametrize("text", WHOLE)
def test_every_example_is_a_policy_whose_tests_hold(text: str) -> None:
    others = {"ci/base.yml": b"version: 1\n", "base.yml": b"version: 1\n"}
    policy = loader.load(text, "scangate.yml", read=others.get)
    found = cases.read(text, "scangate.yml", classify=dynamic.classified, in_policy=True)
    ready = [case for case in found if case.report is None]  # a report has to be there
    assert trial.unknown_rules(ready, policy) == ()
    assert not [result.problems for result in trial.run(ready, policy, today=date(2026, 6, 15)) if result.problems]


def test_the_reference_names_every_key_once_and_shows_every_example() -> None:
    text = policy_reference.render()
    assert all(example.rstrip() in text for example in EXAMPLES.values())
    for key in EXAMPLES:
        assert f"**`{key.rpartition(': ')[2]}`**: " in text
