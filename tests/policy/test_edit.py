"""An entry is added to a policy's text, and all else stays as it was: comments, layout, order, line ends."""

from dataclasses import replace
from datetime import date
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scangate.errors import PolicyError
from scangate.models.analysis import Phase
from scangate.models.lockfile import LockFact
from scangate.models.observations import (
    BaitSeen,
    CommandRun,
    FileTouched,
    HostContacted,
    LastPyMileHit,
    Network,
    Observation,
    SocketOpened,
)
from scangate.policy import loader
from scangate.policy.edit import NEW, NewEntry, add_allow
from tests.policy.kit import TODAY, package, verdict

ENTRY = NewEntry(
    target="pkg:npm/thing@1.2.3",
    rules=("net-on-install",),
    reason="It fetches its own binary.",
    owner="us@example.com",
    expires=date(2027, 6, 30),
)
LINES = """\
- package: pkg:npm/thing@1.2.3
  rules: [net-on-install]
  reason: "It fetches its own binary."
  owner: us@example.com
  expires: 2027-06-30
"""


def _indented(text: str, by: int) -> str:
    return "".join(f"{' ' * by}{line}\n" for line in text.splitlines())


def _added(text: str, entry: NewEntry = ENTRY) -> str:
    """The new text, which says what the old one said, and the entry."""
    new = add_allow(text, "scangate.yml", entry)
    before, after = loader.load(text, "scangate.yml"), loader.load(new, "scangate.yml")
    assert [one.target for one in after.allow] == [*(one.target for one in before.allow), entry.target]
    assert after.allow[-1].rules == entry.rules
    assert (after.allow[-1].reason, after.allow[-1].owner) == (entry.reason, entry.owner)
    assert [(rule.id, rule.decided.action) for rule in after.rules] == [(r.id, r.decided.action) for r in before.rules]
    return new


def test_a_new_list_goes_to_the_end() -> None:
    assert _added("version: 1 # the first\n\n# the end\n") == (
        "version: 1 # the first\n\n# the end\n\nallow:\n" + _indented(LINES, 2)
    )
    assert _added("version: 1") == "version: 1\n\nallow:\n" + _indented(LINES, 2)
    assert add_allow(NEW, "scangate.yml", ENTRY).startswith("version: 1\n\nallow:\n")


OLD = """\
# ours
version: 1

allow: # exceptions
  # the first
  - package: pkg:npm/a@1.0.0   # pinned
    rules: [net-oast]
    reason: >
      A long
      story.
    owner: us@example.com
    expires: 2030-01-01 # a Tuesday
    # renew it with care

# what findings do
actions:   {medium: deny}
"""


def test_an_entry_goes_behind_the_last_one_and_its_comments() -> None:
    new = _added(OLD)
    head, tail = OLD.split("\n# what findings do")
    assert new == head + _indented(LINES, 2) + "\n# what findings do" + tail


def test_without_indentation_comments_below_are_the_next_key_s() -> None:
    old = dedent(
        """\
        version: 1
        allow:
        - package: pkg:npm/a@1.0.0
          rules: net-oast
          owner: o
          expires: 2030-01-01
          reason: |
            # not a comment

        # the mode
        mode: enforce
        """
    )
    new = _added(old)
    assert new.replace(LINES, "") == old
    assert new.index("# not a comment") < new.index("pkg:npm/thing@1.2.3") < new.index("mode: enforce")


@pytest.mark.parametrize(
    "old",
    [
        "{version: 1}",
        "{version: 1, mode: observe} # a flow\n",
        "version: 1\nallow: [{package: 'pkg:npm/a@1', rules: a-b, reason: r, owner: o, expires: 2030-01-01}]\n"
        "rules: [{id: a-b, title: t, severity: low, observe: host}]\n",
        "version: 1\nrules: [{id: a-b, title: t, severity: low, observe: host}]\nallow: [\n"
        "  {package: 'pkg:npm/a@1', rules: a-b, reason: r, owner: o, expires: 2030-01-01}, # the last\n]\n",
        "---\nversion: 1\n...\n",
        "  version: 1\n  mode: observe\n",
        "version: 1\r\nmode: observe\r\n",
        "\ufeffversion: 1\n",
        "version: 1 # äöü 😀\nexclude: ['ä*']\nallow:\n# 😀\n"
        "-  {package: 'pkg:npm/a@1', rules: net-oast, reason: ä😀, owner: o, expires: 2030-01-01} # ü\n",
        "version: 1\nrules:\n- {id: net-oast, action: warn}\n- id: long\n  title: t\n  severity: high\n"
        "  observe: host\n  description: |+\n    The end.\n\n",
        "version: 1\nallow:\n    -   package: pkg:npm/a@1\n        rules:\n        - net-oast\n        reason: r\n"
        "        owner: o\n        expires: 2030-01-01\n\n\n\n",
    ],
)
def test_every_layout_is_kept(old: str) -> None:
    new = _added(old)
    inserted_at = next((index for index, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), len(old))
    assert new.endswith(old[inserted_at:])
    if "\r" in old:
        assert "\n" not in new.replace("\r\n", "")
    assert new.startswith("\ufeff") is old.startswith("\ufeff")


def test_what_is_no_policy_is_not_touched() -> None:
    for text in ("version: [1", "version: 1\nversion: 1\n", ""):
        with pytest.raises(PolicyError):
            add_allow(text, "scangate.yml", ENTRY)
    with pytest.raises(PolicyError, match="cannot be added") as caught:
        add_allow("version: 1\nallow: everything\n", "scangate.yml", ENTRY)
    assert "{package: pkg:npm/thing@1.2.3, rules: [net-on-install]" in caught.value.hint
    with pytest.raises(PolicyError, match="cannot be added"):
        add_allow("- version: 1\n", "scangate.yml", ENTRY)


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=40).filter(str.strip)


@given(reason=TEXTS, owner=TEXTS)
def test_any_reason_and_owner_come_out_as_they_went_in(reason: str, owner: str) -> None:
    entry = replace(ENTRY, reason=reason, owner=owner)
    for old in (OLD, "{version: 1}"):
        allowed = loader.load(add_allow(old, "scangate.yml", entry), "scangate.yml").allow[-1]
        assert (allowed.reason, allowed.owner) == (reason, owner)


PRINTED = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=20)
PHASES = st.sampled_from(list(Phase))
SEEN: st.SearchStrategy[Observation] = st.one_of(
    st.builds(HostContacted, phase=PHASES, host=PRINTED, via=st.just(("dns",)), record_types=st.just(())),
    st.builds(
        SocketOpened,
        phase=PHASES,
        address=st.sampled_from(["", "192.0.2.1", "2001:db8::1"]),
        port=st.integers(0, 65535),
        network=st.sampled_from([Network.ANY, Network.PUBLIC]),
        hostnames=st.sampled_from([(), ("a.example",), ("b.example",)]),
    ),
    st.builds(CommandRun, phase=PHASES, argv=st.lists(PRINTED, max_size=3).map(tuple)),
    st.builds(FileTouched, phase=PHASES, path=PRINTED, read=st.booleans(), write=st.booleans(), delete=st.booleans()),
    st.builds(BaitSeen, phase=PHASES, bait=PRINTED, where=st.sampled_from(["argv", "sent"]), encoding=st.just("raw")),
)

WATCHED = """\
version: 1
extends: none
rules:
  - {id: hosts, title: t, severity: high, observe: host}
  - {id: sockets, title: t, severity: high, observe: socket}
  - {id: commands, title: t, severity: high, observe: command}
  - {id: files, title: t, severity: high, observe: file}
  - {id: baits, title: t, severity: high, observe: bait}
"""
KINDS = {
    HostContacted: "hosts",
    SocketOpened: "sockets",
    CommandRun: "commands",
    FileTouched: "files",
    BaitSeen: "baits",
}


@given(seen=SEEN, other=SEEN)
def test_pinned_evidence_fits_what_was_seen_and_nothing_else(seen: Observation, other: Observation) -> None:
    rule = KINDS[type(seen)]
    entry = replace(ENTRY, target="pkg:npm/left-pad@1.3.0", rules=(rule,), evidence=(seen,))
    policy = loader.load(add_allow(WATCHED, "scangate.yml", entry), "scangate.yml")

    def allowed(*observations: Observation) -> bool:
        judged = verdict(policy, package(observations=observations), today=TODAY).subjects[0]
        (finding,) = [each for each in judged.findings if each.rule == rule]
        return finding.allowed is not None

    assert allowed(seen)
    alike = other._replace(phase=Phase.IMPORT) == seen._replace(phase=Phase.IMPORT)  # type: ignore[call-arg]  # all of these have one
    if type(other) is type(seen) and not alike and not isinstance(other, SocketOpened | CommandRun | BaitSeen):
        assert not allowed(seen, other)


def test_a_pinned_exception_is_for_the_host_that_was_seen_and_for_no_other() -> None:
    def seen(host: str) -> tuple[Observation, ...]:
        name = (host,)
        socket = SocketOpened(phase=Phase.IMPORT, address="", port=8443, network=Network.PUBLIC, hostnames=name)
        return socket, LockFact(check="unknown-host", detail=f"It comes from {host}.")

    text = "version: 1\nextends: none\nrules:\n" + "".join(
        f"  - {{id: {kind}s, title: t, severity: high, observe: {kind}}}\n" for kind in ("socket", "lockfile")
    )
    for pinned in seen("ours.example"):
        rule = "sockets" if isinstance(pinned, SocketOpened) else "lockfiles"
        entry = replace(ENTRY, target="pkg:npm/left-pad@1.3.0", rules=(rule,), evidence=(pinned,))
        policy = loader.load(add_allow(text, "scangate.yml", entry), "scangate.yml")
        for host, allowed in (("ours.example", True), ("theirs.example", False)):
            judged = verdict(policy, package(observations=seen(host)), today=TODAY).subjects[0]
            (finding,) = [each for each in judged.findings if each.rule == rule]
            assert (finding.allowed is not None) is allowed


def test_each_kind_of_evidence_is_written_in_words_of_its_own() -> None:
    seen: tuple[Observation, ...] = (
        HostContacted(phase=Phase.INSTALL, host="get.thing.example", via=("dns",)),
        HostContacted(phase=Phase.IMPORT, host="get.thing.example", via=("dns",)),
        SocketOpened(phase=Phase.INSTALL, address="192.0.2.1", port=8443, network=Network.PUBLIC),
        SocketOpened(phase=Phase.INSTALL, address="192.0.2.1", port=443, network=Network.PUBLIC, hostnames=("x",)),
        CommandRun(phase=Phase.INSTALL, argv=("sh", "-c", "echo {name} | tee")),
        FileTouched(phase=Phase.INSTALL, path="/root/.npmrc", read=True, write=False, delete=False),
        LastPyMileHit(release="r", list="high_risk", file="setup.py", test_name="exec_used"),
        LastPyMileHit(release="r", list="phantom", file="x.py"),
        LockFact(check="confusion", detail="d"),
    )
    text = add_allow(NEW, "scangate.yml", replace(ENTRY, evidence=seen))
    (line,) = [line for line in text.splitlines() if "evidence" in line]
    assert line.strip() == (
        r'evidence: {host: [{host: "^get\\.thing\\.example$"}],'
        ' socket: [{address: 192.0.2.1, port: 8443}, {hostname: "^x$", port: 443}],'
        r' command: [{cmdline: "^sh -c echo \\{name\\} \\| tee$"}],'
        r' file: [{path: "^/root/\\.npmrc$", read: true, write: false, delete: false}],'
        r' lastpymile: [{list: high_risk, file: "^setup\\.py$", test: "^exec_used$"},'
        r' {list: phantom, file: "^x\\.py$"}],'
        ' lockfile: [{check: confusion, detail: "^d$"}]}'
    )
    assert loader.load(text, "scangate.yml").allow[0].evidence
