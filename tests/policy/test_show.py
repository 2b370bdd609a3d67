"""What `policy show` prints: every part of a policy is in it, and nothing that is not there."""

from scangate.policy import loader, show
from tests.policy.kit import policy

WHOLE = policy(
    """
    mode: observe
    engines: [dynamic-analysis, lastpymile]
    max-report-age: 7
    lints: {allow-broad: deny}
    hook: {outcomes: {pending: fail}}
    registries: {mirrors: [mirror.example], private: [npm.acme.example]}
    rules:
    - id: everything
      title: All of it
      severity: high
      description: What it is.
      advice: What to do.
      references: https://example.com/a
      ecosystems: [npm]
      packages: ["pkg:npm/a@*", "pkg:npm/b"]
      engines: [lastpymile]
      changed: [added, upgraded]
      new-behaviour: true
      observe: lastpymile
      match: {file: a, together: [[exec, eval], [url]], added: true}
      unless: [{file: [b, c]}, {list: phantom, added: false}]
      at-least: {count: 2, distinct: file}
    - {id: plain, title: All hosts, severity: low, observe: host, phases: [import, execute]}
    allow:
    - {lockfile: a/package-lock.json, rules: [lock-bundled], reason: r, owner: o, expires: 2099-01-01}
    """
)


def _rule(id_: str) -> list[str]:
    (rule,) = [each for each in WHOLE.rules if each.id == id_]
    return list(show.rule(rule, WHOLE))


def test_a_rule_with_every_key() -> None:
    assert _rule("everything") == [
        "id: everything # scangate.yml:9",
        "title: All of it",
        "severity: high",
        "action: deny # scangate.yml:9",
        "description: What it is.",
        "advice: What to do.",
        "references: [https://example.com/a]",
        "ecosystems: [npm]",
        "engines: [lastpymile]",
        "changed: [added, upgraded]",
        "packages: [pkg:npm/a@*, pkg:npm/b]",
        "observe: lastpymile",
        "new-behaviour: true",
        "match:",
        "  file: a",
        "  added: true",
        "  together: [[exec, eval], [url]]",
        "unless:",
        "  - {file: [b, c]}",
        "  - {list: phantom, added: false}",
        "at-least: {count: 2, distinct: file, per: package}",
    ]


def test_a_rule_with_few_keys() -> None:
    assert _rule("plain") == [
        "id: plain # scangate.yml:24",
        "title: All hosts",
        "severity: low",
        "action: note # scangate.yml:24",
        "observe: host",
        "phases: [import, execute]",
    ]


def test_a_rule_comes_with_its_exceptions() -> None:
    assert _rule("lock-bundled")[-6:] == [
        "allow:",
        "  - lockfile: a/package-lock.json # scangate.yml:26",
        "    rules: [lock-bundled]",
        "    reason: r",
        "    owner: o",
        "    expires: 2099-01-01",
    ]


def test_the_whole_policy_says_who_decided_what() -> None:
    lines = list(show.policy(WHOLE))
    for line in (
        "mode: observe",
        "engines: [dynamic-analysis, lastpymile]",
        "max-report-age: 7",
        "  allow-broad: deny # scangate.yml:5",
        "  allow-unused: warn # built in",
        "    pending: fail # profile scangate.yml:6",
        "    - {host: npm.acme.example} # scangate.yml:7",
        "  - everything: deny # high, scangate.yml:9: All of it",
    ):
        assert line in lines


def test_the_built_in_policy_has_nothing_of_a_file() -> None:
    lines = list(show.policy(loader.default()))
    assert not [line for line in lines if line.startswith(("allow", "overrides", "exclude", "registries", "upload"))]
    assert sum(line.startswith("  - ") for line in lines) == len(loader.default().rules)


def test_a_long_list_is_cut_and_counted() -> None:
    (rule,) = [each for each in loader.default().rules if each.id == "net-oast"]
    (line,) = [line for line in show.rule(rule, loader.default()) if line.startswith("  suffix")]
    assert line.count(",") == 8
    assert " more)]" in line
