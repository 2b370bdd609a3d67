"""The built-in policy as it is shipped, ready for use, and default.yml, from which it is made."""

from scangate.policy import builtin, loader
from tools import builtin_policy


def test_it_is_what_default_yml_says() -> None:
    assert loader.default() == builtin.POLICY
    # Equality takes 1 for True, and mappings in any order.
    assert builtin_policy.source(builtin.POLICY) == builtin_policy.source(loader.default())


def test_the_file_is_up_to_date() -> None:
    assert builtin_policy.main(["--check"]) == 0, "run python -m tools.builtin_policy"


def test_it_can_grow_packages_and_exceptions_from_caps() -> None:
    read = loader.load(
        "version: 1\nrules:\n- {id: ban, title: t, severity: high, observe: package, packages: ['pkg:pypi/a.b@1.*']}\n"
        "overrides: [{when: {scope: dev}, cap: warn, except: [bait-secret, ban]}]\n",
        "scangate.yml",
    )
    made: dict[str, object] = {}
    exec(builtin_policy.source(read), made)
    assert made["POLICY"] == read
