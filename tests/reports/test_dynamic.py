"""Phases → observations and shortfalls."""

import pytest

from scangate.models.analysis import OutcomeCode, Phase
from scangate.models.observations import CommandRun, FileTouched, HostContacted, Network, SocketOpened
from scangate.reports.dynamic import EXPECTED_PHASES

from .samples import analysed, b64, codes, document, of, phase, refused

THING = "pkg:npm/thing@1.2.3"
NOTHING = {"Status": "completed", "Files": None, "Sockets": [], "DNS": None}


# ------------------------------------------------------------------------------------------------- blind phases


def test_null_and_missing_lists_are_nothing_seen_but_no_mistake() -> None:
    install = {"Status": "completed", "Commands": [{"Command": ["x"]}], "Files": None, "Stderr": None}
    assert codes(analysed(document(install=install), THING)) == []


@pytest.mark.parametrize(
    "imports",
    [
        NOTHING,
        {"Status": "completed"},
        {"Status": "completed", "Stdout": b64("ok\n")},
        {**NOTHING, "Files": [{"Path": "pipe:[5]", "Read": True, "Write": False, "Delete": False}]},
        {**NOTHING, "Sockets": [{"Address": "", "Port": 0}]},
        {**NOTHING, "Commands": [{"Command": []}]},
        {**NOTHING, "Commands": [{"Command": [""]}]},
        {**NOTHING, "DNS": [{"Class": "IN", "Queries": []}]},
        {**NOTHING, "DNS": [{"Class": "IN", "Queries": [{"Hostname": ".", "Types": ["NS"]}]}]},
    ],
)
def test_a_completed_phase_without_any_observation_is_blind(imports: object) -> None:
    assert codes(analysed(document(imports=imports), THING)) == ["blind:import"]


def test_a_failed_phase_without_any_observation_is_blind_as_well() -> None:
    result = analysed(document(install={**NOTHING, "Status": "error_timeout"}), THING)
    assert codes(result) == ["phase-error:install", "blind:install"]


@pytest.mark.parametrize(
    "seen",
    [
        {"Files": [{"Path": "/a", "Read": True, "Write": False, "Delete": False}]},
        {"DNS": [{"Queries": [{"Hostname": "a.example", "Types": ["A"]}]}]},
        {"Sockets": [{"Address": "192.0.2.1", "Port": 0}]},
        {"Commands": [{"Command": ["true"]}]},
    ],
)
def test_any_observation_shows_that_the_tracer_worked(seen: dict[str, object]) -> None:
    assert codes(analysed(document(imports={**NOTHING, **seen}), THING)) == []


def test_the_local_engines_marker_alone_is_an_observed_phase() -> None:
    marker = phase(Commands=[{"Command": ["scangate-local", "install", THING], "Environment": []}])
    assert codes(analysed(document(install=marker), THING)) == []


@pytest.mark.parametrize("missing", ["install", "import"])
def test_a_missing_phase_is_blind(missing: str) -> None:
    spoilt = document()
    del spoilt["Analysis"][missing]
    assert codes(analysed(spoilt, THING)) == [f"blind:{missing}"]
    spoilt["Analysis"][missing] = None
    assert codes(analysed(spoilt, THING)) == [f"blind:{missing}"]


def test_no_analysis_at_all() -> None:
    assert codes(analysed(document(Analysis=None), THING)) == ["blind:install", "blind:import"]
    extension = {"Ecosystem": "vscode", "Name": "acme.themes", "Version": "2.0.0"}
    purl = "pkg:vscode-extension/acme/themes@2.0.0"
    assert codes(analysed(document(package=extension, Analysis={}), purl)) == ["blind"]
    assert codes(analysed(document(package=extension, Analysis={"install": phase()}), purl)) == []


def test_install_and_import_are_expected_of_both_registries() -> None:
    assert {phase for phases in EXPECTED_PHASES.values() for phase in phases} == {Phase.INSTALL, Phase.IMPORT}


# ------------------------------------------------------------------------------------------------- statuses


@pytest.mark.parametrize("status", ["error_timeout", "error_analysis", "error_other", "Completed", "ok", "", None])
def test_every_status_but_completed_is_an_error(status: str | None) -> None:
    result = analysed(document(imports=phase(Status=status)), THING)
    assert codes(result) == ["phase-error:import"]
    assert (status or "no status") in result.shortfalls[0].detail


# ------------------------------------------------------------------------------------------------- failed imports


@pytest.mark.parametrize(
    "output",
    [
        "Importing a\nFailed to import a\n",
        "Importing a\nnoise\nFailed to import a\nImporting b\nFailed to import b\n",
        "Failed to import a\nImporting b\nFailed to import b\n",  # the first line lies before the last 4 KiB
        "Importing a\r\nFailed to import a\r\n",
    ],
)
def test_nothing_could_be_imported(output: str) -> None:
    result = analysed(document(imports=phase(Stdout=b64(output))), THING)
    assert codes(result) == ["import-failed:import"]
    assert "a" in result.shortfalls[0].detail


@pytest.mark.parametrize(
    "output",
    [
        "Importing a\nImporting b\nFailed to import b\n",
        "Importing a\n",
        "",
        "the package itself says: Failed to import a\n",
    ],
)
def test_something_was_imported_or_nothing_is_known(output: str) -> None:
    assert codes(analysed(document(imports=phase(Stdout=b64(output))), THING)) == []


def test_other_phases_do_not_import() -> None:
    said = b64("Importing a\nFailed to import a\n")
    assert codes(analysed(document(install=phase(Stdout=said)), THING)) == []


def test_output_that_is_not_base64_is_read_as_it_stands() -> None:
    result = analysed(document(imports=phase(Stdout="Importing a\nFailed to import a\n")), THING)
    assert codes(result) == ["import-failed:import"]
    assert codes(analysed(document(imports=phase(Stdout="%%% é \u0000", Stderr="====")), THING)) == []


# ------------------------------------------------------------------------------------------------- files


def _file(path: str, read: object = True, write: object = False, delete: object = False) -> dict[str, object]:
    return {"Path": path, "Read": read, "Write": write, "Delete": delete}


def test_files_keep_their_flags_and_noise_is_dropped() -> None:
    files = [
        _file("/a", True, False, False),
        _file("/b", False, True, True),
        _file("pipe:[5]"),
        _file("host:[6]"),
        _file(""),
    ]
    found = of(FileTouched, analysed(document(install=phase(Files=files)), THING))
    assert [(f.path, f.read, f.write, f.delete) for f in found] == [
        ("/a", True, False, False),
        ("/b", False, True, True),
    ]


def test_missing_flags_are_false() -> None:
    files = [{"Path": "/a", "Write": True}, {"Path": "/b", "Read": None, "Write": None, "Delete": True}, {"Path": None}]
    found = of(FileTouched, analysed(document(install=phase(Files=files)), THING))
    assert [(f.path, f.read, f.write, f.delete) for f in found] == [
        ("/a", False, True, False),
        ("/b", False, False, True),
    ]


@pytest.mark.parametrize(
    "path",
    [
        "/root/./.ssh/id_rsa",
        "//root//.ssh/id_rsa",
        "/root/x/../.ssh/id_rsa",
        "/../root/.ssh/id_rsa",
        "///root/.ssh/id_rsa",
    ],
)
def test_a_roundabout_path_is_there_under_its_plain_name_too(path: str) -> None:
    found = of(FileTouched, analysed(document(install=phase(Files=[_file(path)])), THING))
    assert [f.path for f in found] == [path, "/root/.ssh/id_rsa"]


def test_a_hidden_file_is_no_roundabout_path() -> None:
    found = of(FileTouched, analysed(document(install=phase(Files=[_file("/root/.npmrc")])), THING))
    assert [f.path for f in found] == ["/root/.npmrc"]


# ------------------------------------------------------------------------------------------------- commands


def test_commands() -> None:
    commands = [{"Command": ["sh", "-c", "x; y"], "Environment": ["A=b"]}, {"Command": None}, {"Environment": None}]
    found = of(CommandRun, analysed(document(install=phase(Commands=commands)), THING))
    assert [c.argv for c in found if c.phase is Phase.INSTALL] == [("sh", "-c", "x; y"), (), ()]


# ------------------------------------------------------------------------------------------------- hosts, sockets


def _queries(*hosts: str, types: object = None) -> list[dict[str, object]]:
    return [{"Class": "IN", "Queries": [{"Hostname": host, "Types": types} for host in hosts]}]


def test_hosts_of_dns_and_sockets_are_one() -> None:
    install = phase(
        DNS=[
            *_queries("API.Example.", "only-dns.example", types=["a", "AAAA"]),
            *_queries("api.example", types=["TXT"]),
        ],
        Sockets=[{"Address": "192.0.2.7", "Port": 443, "Hostnames": ["api.EXAMPLE", "only-socket.example."]}],
    )
    found = of(HostContacted, analysed(document(install=install), THING))
    assert [(h.host, h.via, h.record_types) for h in found] == [
        ("api.example", ("dns", "socket"), ("A", "AAAA", "TXT")),
        ("only-dns.example", ("dns",), ("A", "AAAA")),
        ("only-socket.example", ("socket",), ()),
    ]


def test_hosts_are_kept_apart_by_phase() -> None:
    both = phase(DNS=_queries("api.example"))
    found = of(HostContacted, analysed(document(install=both, imports=both), THING))
    assert [h.phase for h in found] == [Phase.INSTALL, Phase.IMPORT]


def test_the_root_and_an_empty_name_are_no_host() -> None:
    install = phase(DNS=_queries(".", ""), Sockets=[{"Address": "192.0.2.7", "Port": 1, "Hostnames": ["", "."]}])
    result = analysed(document(install=install), THING)
    assert of(HostContacted, result) == []
    assert of(SocketOpened, result)[0].hostnames == ()


@pytest.mark.parametrize(
    "host", ["пример.example", "xn--e1afmkfd.example", "a\x00b.example", "a\\032b.example", "\u202emoc", "İ.example"]
)
def test_odd_names_survive(host: str) -> None:
    (found,) = of(HostContacted, analysed(document(install=phase(DNS=_queries(host))), THING))
    assert found.host == host.lower()


def test_a_name_longer_than_any_name_is_malformed() -> None:
    assert of(HostContacted, analysed(document(install=phase(DNS=_queries("a" * 1024))), THING))
    shortfall = refused(document(install=phase(DNS=_queries("a" * 1025))), THING)
    assert shortfall.code is OutcomeCode.REPORT_INVALID
    assert len(shortfall.detail) < 400


def test_lone_surrogates_become_text_that_can_be_encoded() -> None:
    install = phase(
        DNS=_queries("a\ud800.example"), Commands=[{"Command": ["\udfff"]}], Files=[_file("/\ud83d")], Stdout="\udc80"
    )
    result = analysed(document(install=install), THING)
    assert of(HostContacted, result)[0].host == "a\\ud800.example"
    assert of(CommandRun, result)[0].argv == ("\\udfff",)
    repr(result).encode("utf-8")


@pytest.mark.parametrize(
    ("address", "network", "plain"),
    [
        ("8.8.8.8", Network.PUBLIC, None),
        ("198.18.1.1", Network.PUBLIC, None),
        ("198.19.255.255", Network.PUBLIC, None),
        ("203.0.113.9", Network.PUBLIC, None),
        ("2606:4700:90:0:f22e:fbec:5bed:a9b9", Network.PUBLIC, None),
        ("2001:DB8:0:0:0:0:0:1", Network.PUBLIC, "2001:db8::1"),
        ("10.0.0.1", Network.PRIVATE, None),
        ("172.16.0.1", Network.PRIVATE, None),
        ("172.32.0.1", Network.PUBLIC, None),
        ("192.168.1.1", Network.PRIVATE, None),
        ("100.64.0.1", Network.PRIVATE, None),
        ("fd00::1", Network.PRIVATE, None),
        ("127.0.0.53", Network.LOOPBACK, None),
        ("::1", Network.LOOPBACK, None),
        ("169.254.169.254", Network.LINK_LOCAL, None),
        ("fe80::1", Network.LINK_LOCAL, None),
        ("0.0.0.0", Network.ANY, None),
        ("::", Network.ANY, None),
        ("", Network.ANY, None),
        ("224.0.0.251", Network.OTHER, None),
        ("255.255.255.255", Network.OTHER, None),
        ("0.1.2.3", Network.OTHER, None),
        ("ff02::1", Network.OTHER, None),
        ("::ffff:169.254.169.254", Network.LINK_LOCAL, "169.254.169.254"),
        ("::ffff:10.0.0.1", Network.PRIVATE, "10.0.0.1"),
        ("::ffff:0.0.0.0", Network.ANY, "0.0.0.0"),
        ("not an address", Network.PUBLIC, None),
    ],
)
def test_networks(address: str, network: Network, plain: str | None) -> None:
    install = phase(Sockets=[{"Address": address, "Port": 443, "Hostnames": None}])
    (found,) = of(SocketOpened, analysed(document(install=install), THING))
    assert (found.network, found.address) == (network, plain or address)


def test_a_missing_address_is_an_empty_one() -> None:
    (found,) = of(SocketOpened, analysed(document(install=phase(Sockets=[{"Port": 0}])), THING))
    assert (found.address, found.network, found.port) == ("", Network.ANY, 0)


def test_ports_at_the_edges() -> None:
    install = phase(Sockets=[{"Address": "192.0.2.1", "Port": port} for port in (0, 65535)])
    assert [s.port for s in of(SocketOpened, analysed(document(install=install), THING))] == [0, 65535]
    assert refused(document(install=phase(Sockets=[{"Address": "192.0.2.1", "Port": 10**40}])), THING).code is (
        OutcomeCode.REPORT_INVALID
    )


def test_phases_come_in_the_order_in_which_they_run() -> None:
    odd = document()
    odd["Analysis"] = {"execute": phase(), "import": phase(), "install": phase()}
    assert [c.phase for c in of(CommandRun, analysed(odd, THING))] == list(Phase)
