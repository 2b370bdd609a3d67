import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from scangate import purls
from scangate.local.engines import compose, normalise
from scangate.local.sandbox.base import LookedUp, PhaseTrace, Ran, Reached, Touched
from scangate.models.analysis import Analysed, Engine, OutcomeCode, Phase, Shortfall
from scangate.models.observations import BaitSeen, CommandRun, FileTouched, Network, SocketOpened
from scangate.reports import reader

PURL = purls.parse("pkg:npm/%40me/app@1.0.0")
BAITS = {"AWS_SECRET_ACCESS_KEY": "0123456789abcdef0123456789abcdef01234567"}
CREATED = 1_800_000_000


def _read(report: bytes) -> Analysed | Shortfall:
    now = datetime.fromtimestamp(CREATED, UTC)
    return reader.read(report, purl=str(PURL), engine=Engine.DYNAMIC_ANALYSIS, now=now, max_age_days=30)


def _trace(phase: Phase = Phase.INSTALL, **parts: Any) -> PhaseTrace:
    return PhaseTrace(phase=phase, status="completed", **parts)


def test_what_the_sandbox_saw_is_what_is_observed() -> None:
    install = _trace(
        ran=(Ran(argv=("curl", "x.example"), environ=("A=1",)),),
        touched=(Touched(path="/home/dev/.ssh/id_rsa", read=True, write=False, delete=False),),
        reached=(Reached(address="198.18.0.7", port=443, names=("x.example",)),),
        looked_up=(LookedUp(name="x.example", record_type="A"), LookedUp(name="x.example", record_type="TXT")),
    )
    found = _read(compose.report(PURL, (install, _trace(Phase.IMPORT)), BAITS, CREATED))
    assert isinstance(found, Analysed)
    assert found.shortfalls == ()
    phase = Phase.INSTALL
    assert CommandRun(phase=phase, argv=("curl", "x.example")) in found.observations
    path = "/home/dev/.ssh/id_rsa"
    assert FileTouched(phase=phase, path=path, read=True, write=False, delete=False) in found.observations
    sockets = [each for each in found.observations if isinstance(each, SocketOpened)]
    assert [(each.port, each.network, each.hostnames) for each in sockets] == [(443, Network.PUBLIC, ("x.example",))]
    assert not [each for each in found.observations if isinstance(each, BaitSeen)]


@pytest.mark.parametrize(
    "part",
    [
        {"sent": (b"POST / HTTP/1.1\r\n\r\n" + BAITS["AWS_SECRET_ACCESS_KEY"].encode(),)},
        {"sent": (base64.b64encode(b"x" + BAITS["AWS_SECRET_ACCESS_KEY"].encode()), b"\xff\xfe")},
        {"stdout": BAITS["AWS_SECRET_ACCESS_KEY"].encode()},
        {"ran": (Ran(argv=("curl", BAITS["AWS_SECRET_ACCESS_KEY"]), environ=()),)},
    ],
)
def test_a_planted_value_that_leaves_is_seen(part: dict[str, Any]) -> None:
    found = _read(compose.report(PURL, (_trace(**part), _trace(Phase.IMPORT)), BAITS, CREATED))
    assert isinstance(found, Analysed)
    assert [each.bait for each in found.observations if isinstance(each, BaitSeen)] == ["AWS_SECRET_ACCESS_KEY"]


def test_a_phase_that_is_not_there_is_no_clean_one() -> None:
    found = _read(compose.report(PURL, (_trace(),), BAITS, CREATED))
    assert [each.code for each in getattr(found, "shortfalls", ())] == [OutcomeCode.BLIND]


def test_another_archive_than_promised() -> None:
    found = _read(compose.refusal(PURL, ("sha512:aa",), ("sha512:bb",), CREATED))
    assert isinstance(found, Shortfall)
    assert found.code is OutcomeCode.INTEGRITY_MISMATCH
    assert "sha512:aa" in found.detail
    assert "sha512:bb" in found.detail


def test_the_last_of_the_output_and_not_all_that_was_sent() -> None:
    report = json.loads(compose.report(PURL, (_trace(stdout=b"a" * 5000 + b"end", sent=(b"b" * 2**20, b"c")),), {}, 0))
    install = report["Analysis"]["install"]
    assert base64.b64decode(install["Stdout"]) == b"a" * 4093 + b"end"
    assert sum(len(base64.b64decode(each)) for each in install["Sent"]) == compose.SENT_BYTES
    assert install["Truncated"] is True


@pytest.mark.parametrize(
    "parts", [{"truncated": True}, {"sent": (b"b" * compose.SENT_BYTES, b"c")}], ids=["sink", "report"]
)
def test_what_was_left_out_of_a_phase_fails_the_run(parts: dict[str, Any]) -> None:
    """A package could flood the analysis so that what matters is lost: it is told, and the rest judged."""
    found = _read(compose.report(PURL, (_trace(), _trace(Phase.IMPORT, **parts)), BAITS, CREATED))
    assert isinstance(found, Analysed)
    assert [(each.code, each.phase) for each in found.shortfalls] == [(OutcomeCode.TRUNCATED, Phase.IMPORT)]
    assert "More was sent in the import phase" in found.shortfalls[0].detail


def test_dependencies_that_were_not_there_are_told() -> None:
    """What they do is not known: a package whose git dependency steals must not pass without a word."""
    found = _read(compose.report(PURL, (_trace(), _trace(Phase.IMPORT)), BAITS, CREATED, ("x: not from the registry",)))
    assert isinstance(found, Analysed)
    (shortfall,) = found.shortfalls
    assert (shortfall.code, shortfall.phase) == (OutcomeCode.DEPENDENCY_MISSING, None)
    assert "x: not from the registry" in shortfall.detail


def test_random_names_make_no_difference() -> None:
    def one(word: str, address: str) -> bytes:
        path = f"/tmp/tmp{word}/x"
        return compose.report(
            PURL,
            (
                _trace(
                    ran=(Ran(argv=("cc", path), environ=(f"TMPDIR=/tmp/pip-build-env-{word}",)),),
                    touched=(
                        Touched(path=path, read=True, write=False, delete=False),
                        Touched(path="/tmp/ccAbC123.o", read=False, write=True, delete=False),
                    ),
                    reached=(Reached(address=address, port=80, names=("x.example",)),),
                    stdout=f"creating '{path}'".encode(),
                ),
            ),
            BAITS,
            CREATED,
        )

    assert one("ab1cd_ef", "198.18.0.1") == one("zz9zz_zz", "198.18.0.2")


@pytest.mark.parametrize(
    "plain",
    [
        "/tmp/install.sh",
        "/tmp/payload-script",
        "/home/dev/.ssh/id_rsa",
        "/proc/self/environ",
        "/tmp/npm-debug",
        "/tmp/my-binary",
    ],
)
def test_names_that_say_something_stay(plain: str) -> None:
    assert normalise.text(plain) == plain


def test_a_process_of_another_stays_another() -> None:
    assert normalise.text("/proc/4711/environ") == "/proc/1/environ"


@pytest.mark.parametrize("address", ["203.0.113.7", "not an address", "::1"])
def test_real_addresses_stay(address: str) -> None:
    assert normalise.address(address, ("x.example",)) == address
    assert normalise.address("198.18.0.9", ()) == "198.18.0.9"
