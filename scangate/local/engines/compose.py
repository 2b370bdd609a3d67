"""What the sandbox saw → a DynamicAnalysisReport (the schema of OpenSSF package-analysis)."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence

from scangate.local.engines import normalise
from scangate.local.sandbox.base import PhaseTrace, Reached
from scangate.purls import Purl

MARKER = "scangate-local"
"""Each phase's first command, `scangate-local PHASE PURL`: a phase without it was not run."""
OUTPUT_BYTES = 4096
SENT_BYTES = 1024 * 1024
"""Of all that one phase sent."""

_Json = dict[str, object]


def report(
    purl: Purl, traces: Iterable[PhaseTrace], baits: Mapping[str, str], created: int, missing: Sequence[str] = ()
) -> bytes:
    """The report of a package that was run. `created` in Unix seconds; `baits` are planted in the marker, too.

    `missing`: dependencies that were not there. `Missing`, and a phase's `Sent` and `Truncated`, are this engine's
    additions to the schema.
    """
    analysis = {str(trace.phase): _phase(purl, trace, baits) for trace in traces}
    return _written(purl, created, Analysis=analysis, **({"Missing": list(missing)} if missing else {}))


def refusal(purl: Purl, expected: tuple[str, ...], actual: tuple[str, ...], created: int) -> bytes:
    """The report of a package whose archive is not the promised one: nothing was run.

    `Integrity` is this engine's addition to the schema: digests as "algorithm:hex".
    """
    return _written(purl, created, Analysis={}, Integrity={"expected": list(expected), "actual": list(actual)})


def _written(purl: Purl, created: int, **parts: object) -> bytes:
    package = {"Ecosystem": purl.type, "Name": purl.package_name, "Version": purl.version}
    document = {"Package": package, "CreatedTimestamp": created, **parts}
    return json.dumps(document, ensure_ascii=True, indent=1).encode("ascii")


def _phase(purl: Purl, trace: PhaseTrace, baits: Mapping[str, str]) -> _Json:
    marker: _Json = {
        "Command": [MARKER, str(trace.phase), str(purl)],
        "Environment": [f"{name}={value}" for name, value in sorted(baits.items())],
    }
    written: _Json = {
        "Status": trace.status,
        "Stdout": _encoded(normalise.output(trace.stdout)[-OUTPUT_BYTES:]),
        "Stderr": _encoded(normalise.output(trace.stderr)[-OUTPUT_BYTES:]),
        "Files": _files(trace),
        "Sockets": _sockets(trace.reached),
        "Commands": [marker, *_commands(trace)],
        "DNS": _questions(trace),
    }
    bodies, all_of_them = _bodies(trace.sent)
    if bodies:
        written["Sent"] = bodies
    if trace.truncated or not all_of_them:
        written["Truncated"] = True
    return written


def _files(trace: PhaseTrace) -> list[_Json]:
    merged: dict[str, _Json] = {}
    for each in trace.touched:
        path = normalise.path(each.path, passing=each.write and each.delete)
        entry = merged.setdefault(path, {"Path": path, "Read": False, "Write": False, "Delete": False})
        entry["Read"] = entry["Read"] or each.read
        entry["Write"] = entry["Write"] or each.write
        entry["Delete"] = entry["Delete"] or each.delete
    return [merged[path] for path in sorted(merged)]


def _commands(trace: PhaseTrace) -> list[_Json]:
    found = {
        (tuple(map(normalise.text, each.argv)), tuple(sorted(map(normalise.text, each.environ)))) for each in trace.ran
    }
    return [{"Command": list(argv), "Environment": list(environ)} for argv, environ in sorted(found)]


def _sockets(reached: Iterable[Reached]) -> list[_Json]:
    found = {(normalise.address(each.address, each.names), each.port, each.names) for each in reached}
    return [{"Address": address, "Port": port, "Hostnames": list(names)} for address, port, names in sorted(found)]


def _questions(trace: PhaseTrace) -> list[_Json]:
    types: dict[str, set[str]] = {}
    for each in trace.looked_up:
        types.setdefault(each.name, set()).add(each.record_type)
    queries = [{"Hostname": name, "Types": sorted(types[name])} for name in sorted(types)]
    return [{"Class": "IN", "Queries": queries}] if queries else []


def _bodies(sent: Iterable[bytes]) -> tuple[list[str], bool]:
    """As much as fits, and whether that is all: baits are looked for in them."""
    bodies = sorted(set(sent))
    left, found = SENT_BYTES, []
    for body in bodies:
        found.append(_encoded(body[:left]))
        left -= min(left, len(body))
    return [each for each in found if each], sum(map(len, bodies)) <= SENT_BYTES


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
