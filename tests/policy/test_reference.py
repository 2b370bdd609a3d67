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


def test_the_reference_tells_every_key_of_every_mapping_with_an_example() -> None:
    whole = policy_reference.render()
    conditions = {text.partition("\n")[0]: text for text in whole.split("## Conditions on ")[1:]}
    for key, example in EXAMPLES.items():
        record, _, name = key.rpartition(": ")
        where, _, kind = record.partition(" of ")
        if where in ("match", "unless", "evidence") and kind:
            assert f"**`{name}`**: " in conditions[kind].partition("\n## ")[0], key
        else:
            assert f"**`{name}`**: " in whole, key
            assert example.rstrip() in whole, key


def test_what_is_excused_is_told_where_the_same_is_matched() -> None:
    texts = policy_reference.render().split("\n## ")
    (host,) = [text for text in texts if text.startswith("Conditions on `observe: host`")]
    assert "\nThe same in `match`, `unless` and `evidence`.\n" in host
    (hits,) = [text for text in texts if text.startswith("Conditions on `observe: lastpymile`")]
    assert "`evidence`. `together` in `match` alone.\n" in hits
