"""Reports of the dynamic analysis (the schema of OpenSSF package-analysis): what a package did in each phase."""

import base64
import binascii
import ipaddress
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from scangate.models.analysis import Engine, OutcomeCode, Phase, Shortfall
from scangate.models.lockfile import Ecosystem
from scangate.models.observations import (
    BaitSeen,
    CommandRun,
    FileTouched,
    HostContacted,
    Network,
    Observation,
    SocketOpened,
)
from scangate.reports import baits, identity
from scangate.reports.baits import Baits
from scangate.reports.shapes import flag, integer, items, malformed, mapping, mappings, shown, text, texts

EXPECTED_PHASES: Mapping[Ecosystem | None, frozenset[Phase]] = {
    Ecosystem.NPM: frozenset({Phase.INSTALL, Phase.IMPORT}),
    Ecosystem.PYPI: frozenset({Phase.INSTALL, Phase.IMPORT}),
}
"""Phases without which a report is blind. `execute` is Python's alone and not always there."""

_COMPLETED = "completed"
_IMPORTING, _FAILED_TO_IMPORT = "Importing ", "Failed to import "
_MAX_PORT = 65535
_MAX_HOST_CHARACTERS = 1024
"""255 bytes of RFC 1035, each written as an escape of four characters."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NETWORKS: tuple[tuple[Network, tuple[str, ...]], ...] = (
    (Network.PRIVATE, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "fec0::/10")),
    (Network.OTHER, ("0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "ff00::/8")),
)
"""Named here, since `ipaddress.is_private` also covers what a sandbox hands out for public names (198.18.0.0/15)."""
_PARSED_NETWORKS = tuple(
    (network, tuple(ipaddress.ip_network(block) for block in blocks)) for network, blocks in _NETWORKS
)


class PhaseRecord(NamedTuple):
    """One phase as the report gives it, its types checked."""

    phase: Phase
    status: str
    stdout: tuple[str, ...]
    stderr: tuple[str, ...]
    sent: tuple[str, ...]
    """What reached the sandbox's own servers (the embedded service's addition)."""
    truncated: bool
    """The sandbox could not keep all that was sent (the embedded service's addition)."""
    files: tuple[FileTouched, ...]
    sockets: tuple[SocketOpened, ...]
    commands: tuple[CommandRun, ...]
    hosts: tuple[HostContacted, ...]
    planted: Mapping[str, str]
    """The values of the planted secrets, each with its variable's name."""

    @property
    def is_empty(self) -> bool:
        """It shows no command, file, address or name: what is noise (a pipe, an argv without a word) is nothing."""
        return not (
            self.files
            or self.hosts
            or any(socket.address or socket.hostnames for socket in self.sockets)
            or any(any(command.argv) for command in self.commands)
        )


def read_phases(analysis: Mapping[str, object]) -> tuple[PhaseRecord, ...]:
    """The phases of `Analysis`, in the order in which they run. Raises ReportError."""
    unknown = sorted(set(analysis) - set(Phase))
    if unknown:
        raise malformed(f"Analysis.{shown(unknown[0])} is no phase ({', '.join(Phase)})")
    return tuple(_phase(phase, analysis[phase]) for phase in Phase if analysis.get(phase) is not None)


def mismatch(integrity: object) -> Shortfall | None:
    """What the embedded service's engine says of an archive that is not the promised one: digests, nothing was run."""
    if integrity is None:
        return None
    data = mapping(integrity, "Integrity")
    actual, expected = (", ".join(texts(data.get(key), f"Integrity.{key}")) for key in ("actual", "expected"))
    detail = f"The archive's digest is {shown(actual)}, not {shown(expected)}; nothing of it was run."
    return _shortfall(OutcomeCode.INTEGRITY_MISMATCH, None, detail)


def missing(names: object) -> Iterator[Shortfall]:
    """What the embedded service's engine could not fetch of the package's dependencies (its addition: `Missing`)."""
    if named := texts(names, "Missing"):
        detail = f"These were not there while it ran: {shown(', '.join(named))}."
        yield _shortfall(OutcomeCode.DEPENDENCY_MISSING, None, detail)


def claims(phases: tuple[PhaseRecord, ...]) -> Iterator[identity.Claim]:
    """What the commands of the analysis harness say about the package that was run."""
    for record in phases:
        for command in record.commands:
            yield from identity.by_command(command.argv)


def observations(phases: tuple[PhaseRecord, ...]) -> Iterator[Observation]:
    """Everything that the phases show. Raises ReportError for an absurd number of planted secrets."""
    # A value planted in one phase may be sent in another: each is looked for everywhere.
    known = Baits({value: name for record in phases for value, name in record.planted.items()})
    for record in phases:
        yield from record.hosts
        yield from record.sockets
        yield from record.commands
        yield from record.files
        yield from dict.fromkeys(_baits_seen(record, known))


def shortfalls(phases: tuple[PhaseRecord, ...], ecosystem: Ecosystem | None) -> Iterator[Shortfall]:
    """What the phases could not show."""
    present = {record.phase for record in phases}
    for phase in Phase:
        if phase in EXPECTED_PHASES.get(ecosystem, frozenset()) - present:
            yield _shortfall(OutcomeCode.BLIND, phase, f"The report has no {phase} phase.")
    if not present and ecosystem not in EXPECTED_PHASES:
        yield _shortfall(OutcomeCode.BLIND, None, "The report has no phase at all.")
    for record in phases:
        phase = record.phase
        if record.status != _COMPLETED:
            status = f"status {shown(record.status)}" if record.status else "no status"
            yield _shortfall(OutcomeCode.PHASE_ERROR, phase, f"The {phase} phase ended with {status}.")
        if record.is_empty:
            detail = f"Nothing at all was observed in the {phase} phase, not even the analysis's own command."
            yield _shortfall(OutcomeCode.BLIND, phase, detail)
        if record.truncated:
            detail = f"More was sent in the {phase} phase than the analysis keeps: what else it held is not known."
            yield _shortfall(OutcomeCode.TRUNCATED, phase, detail)
        if phase is Phase.IMPORT and (failed := _failed_imports(record)):
            detail = f"No module could be imported, so nothing of the package ran: {shown(', '.join(failed))}."
            yield _shortfall(OutcomeCode.IMPORT_FAILED, phase, detail)


def _shortfall(code: OutcomeCode, phase: Phase | None, detail: str) -> Shortfall:
    return Shortfall(code=code, detail=detail, engine=Engine.DYNAMIC_ANALYSIS, phase=phase)


def _phase(phase: Phase, value: object) -> PhaseRecord:
    where = f"Analysis.{phase}"
    data = mapping(value, where)
    # Checked, not searched: they repeat what the lists say, and hold the environment of every execve.
    items(data.get("Syscalls"), f"{where}.Syscalls")
    sockets = tuple(_sockets(phase, data.get("Sockets"), f"{where}.Sockets"))
    commands, planted = _commands(phase, data.get("Commands"), f"{where}.Commands")
    return PhaseRecord(
        phase=phase,
        status=text(data.get("Status"), f"{where}.Status"),
        stdout=_output(data.get("Stdout"), f"{where}.Stdout"),
        stderr=_output(data.get("Stderr"), f"{where}.Stderr"),
        sent=tuple(
            reading
            for each in texts(data.get("Sent"), f"{where}.Sent")
            for reading in _output(each, f"{where}.Sent[]")[:1]
        ),
        truncated=flag(data.get("Truncated"), f"{where}.Truncated"),
        files=tuple(_files(phase, data.get("Files"), f"{where}.Files")),
        sockets=sockets,
        commands=commands,
        hosts=tuple(_hosts(phase, data.get("DNS"), f"{where}.DNS", sockets)),
        planted=planted,
    )


def _output(value: object, where: str) -> tuple[str, ...]:
    """The readings of an output field: decoded from base64, and as it stands, for one may look like the other."""
    raw = text(value, where)
    if not raw:
        return ()
    try:
        decoded = base64.b64decode(raw.encode("ascii"), validate=True).decode("utf-8", "replace")
    except (binascii.Error, UnicodeEncodeError):
        return (raw,)
    return (decoded, raw)


def _files(phase: Phase, value: object, where: str) -> Iterator[FileTouched]:
    for entry in mappings(value, where):
        path = entry.get("Path")
        read, write, delete = entry.get("Read"), entry.get("Write"), entry.get("Delete")
        if not (type(path) is str and type(read) is type(write) is type(delete) is bool):
            path = text(path, f"{where}[].Path")
            read = flag(read, f"{where}[].Read")
            write = flag(write, f"{where}[].Write")
            delete = flag(delete, f"{where}[].Delete")
        if not path.startswith("/"):
            continue  # A pipe, a socket or a misread argument: "pipe:[5]".
        yield FileTouched(phase=phase, path=path, read=read, write=write, delete=delete)
        if "/." in path or "//" in path:
            plain = "/" + posixpath.normpath(path).lstrip("/")
            if plain != path:  # "/root/./.ssh//id_rsa" is to be found under its plain name, too.
                yield FileTouched(phase=phase, path=plain, read=read, write=write, delete=delete)


def _sockets(phase: Phase, value: object, where: str) -> Iterator[SocketOpened]:
    for entry in mappings(value, where):
        address, network = classified(text(entry.get("Address"), f"{where}[].Address"))
        port = integer(entry.get("Port"), f"{where}[].Port")
        if not 0 <= port <= _MAX_PORT:
            raise malformed(f"{where}[].Port is {shown(str(port))}, not a port")
        hostnames = texts(entry.get("Hostnames"), f"{where}[].Hostnames")
        yield SocketOpened(
            phase=phase,
            address=address,
            port=port,
            network=network,
            hostnames=tuple(dict.fromkeys(filter(None, map(_host, hostnames)))),
        )


def _hosts(phase: Phase, value: object, where: str, sockets: Iterable[SocketOpened]) -> Iterator[HostContacted]:
    """Every name that was looked up or connected to, once."""
    types: dict[str, dict[str, None]] = {}
    via: dict[str, dict[str, None]] = {}
    for answer in mappings(value, where):
        for query in mappings(answer.get("Queries"), f"{where}[].Queries"):
            host = _host(text(query.get("Hostname"), f"{where}[].Queries[].Hostname"))
            asked = texts(query.get("Types"), f"{where}[].Queries[].Types")
            types.setdefault(host, {}).update(dict.fromkeys(kind.upper() for kind in asked))
            via.setdefault(host, {})["dns"] = None
    for socket in sockets:
        for host in socket.hostnames:
            via.setdefault(host, {})["socket"] = None
    for host, ways in via.items():
        if host:
            yield HostContacted(phase=phase, host=host, via=tuple(ways), record_types=tuple(types.get(host, ())))


def _host(name: str) -> str:
    if len(name) > _MAX_HOST_CHARACTERS:
        raise malformed(f"{shown(name)} is longer than a host name can be")
    return name.lower().rstrip(".")


def _commands(phase: Phase, value: object, where: str) -> tuple[tuple[CommandRun, ...], Mapping[str, str]]:
    """The commands, and what was planted in their environment."""
    commands: list[CommandRun] = []
    planted: dict[str, str] = {}
    for entry in mappings(value, where):
        argv = texts(entry.get("Command"), f"{where}[].Command")
        environment = texts(entry.get("Environment"), f"{where}[].Environment")
        commands.append(CommandRun(phase=phase, argv=argv))
        if environment:
            harness = argv == ("sleep", "30m") or any(True for _ in identity.by_command(argv))
            planted.update(baits.planted(environment, by_harness=harness))
    return tuple(commands), planted


def _baits_seen(record: PhaseRecord, known: Baits) -> Iterator[BaitSeen]:
    argvs = dict.fromkeys(" ".join(command.argv) for command in record.commands)
    yield from known.in_texts(record.phase, "argv", argvs)
    for host in record.hosts:
        yield from known.in_host(record.phase, host.host)
    yield from known.in_texts(record.phase, "sent", dict.fromkeys(record.sent))
    for where, readings in (("stdout", record.stdout), ("stderr", record.stderr)):
        seen = (tuple(known.in_texts(record.phase, where, [reading])) for reading in readings)
        yield from next(filter(None, seen), ())


def _failed_imports(record: PhaseRecord) -> tuple[str, ...]:
    """The modules that the harness failed to import, if it succeeded with none.

    The output is the last 4 KiB alone: a module whose first line is cut off still counts as failed, and a success
    before the cut is not known. This errs on the side of saying so.
    """
    lines = [line for output in record.stdout[:1] for line in output.splitlines()]
    failed = dict.fromkeys(
        line.removeprefix(_FAILED_TO_IMPORT).strip() for line in lines if line.startswith(_FAILED_TO_IMPORT)
    )
    tried = {line.removeprefix(_IMPORTING).strip() for line in lines if line.startswith(_IMPORTING)}
    return tuple(failed) if tried <= set(failed) else ()


@lru_cache(maxsize=4096)
def classified(address: str) -> tuple[str, Network]:
    """An address in its plain form (IPv4 in IPv6 unwrapped), and the network that it belongs to."""
    if not address:
        return "", Network.ANY
    try:
        parsed: _Address = ipaddress.ip_address(address)
    except ValueError:
        return address, Network.PUBLIC  # What cannot be told apart is not excused.
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return str(parsed), _network(parsed)


def _network(address: _Address) -> Network:
    if address.is_unspecified:
        return Network.ANY
    if address.is_loopback:
        return Network.LOOPBACK
    if address.is_link_local:
        return Network.LINK_LOCAL
    for network, blocks in _PARSED_NETWORKS:
        if any(address in block for block in blocks):
            return network
    return Network.PUBLIC
