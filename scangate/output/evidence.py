"""One line of plain words for each kind of observation. Unescaped: the renderer escapes it for its language."""

import shlex
from typing import assert_never

from scangate.models.lockfile import LockFact
from scangate.models.observations import (
    BaitSeen,
    CommandRun,
    FileTouched,
    HostContacted,
    LastPyMileHit,
    Network,
    Observation,
    PackagePresent,
    SocketOpened,
)


def describe(observation: Observation) -> str:
    """What was seen, e.g. "install: contacted evil.example (dns, socket)"."""
    match observation:
        case HostContacted(phase=phase, host=host, via=via, record_types=types):
            how = ", ".join((*via, *(kind for kind in types if kind not in ("A", "AAAA"))))
            return f"{phase}: contacted {host} ({how})"
        case SocketOpened(phase=phase, network=Network.ANY, port=port):
            return f"{phase}: listened on all interfaces, port {port}"
        case SocketOpened(phase=phase, address=address, port=port, hostnames=names):
            known = f" ({', '.join(names)})" if names else " (no host name)"
            return f"{phase}: connected to {address} port {port}{known}"
        case CommandRun(phase=phase, argv=argv):
            return f"{phase}: ran {shlex.join(argv)}"
        case FileTouched(phase=phase, path=path):
            return f"{phase}: {_file_verbs(observation)} {path}"
        case BaitSeen(phase=phase, bait=bait, where=where, encoding=encoding, context=context):
            form = "" if encoding == "raw" else f" as {encoding}"
            return f"{phase}: the value of the planted {bait} appeared in {where}{form}: {context}"
        case LastPyMileHit():
            return _source_difference(observation)
        case LockFact(detail=detail):
            return detail
        case PackagePresent(name=name, version=version):
            return f"{name} {version or '(no exact version)'} is a dependency"
        case _:
            assert_never(observation)


def _file_verbs(file: FileTouched) -> str:
    verbs = [verb for verb, done in (("read", file.read), ("wrote", file.write), ("deleted", file.delete)) if done]
    # A read also stands for a failed open or a stat, so that a read alone is said as what it surely is.
    return "looked for or read" if verbs == ["read"] else " and ".join(verbs) or "touched"


def _source_difference(hit: LastPyMileHit) -> str:
    place = hit.file if hit.line is None else f"{hit.file}:{hit.line}"
    if not hit.test_id:
        return f"{hit.release}: {place} is not (so) in the source repository"
    where = "on a line that the source repository does not have" if hit.added else "in a file that differs"
    text = f": {hit.text}" if hit.text else ""
    return f"{hit.release}: {place}: {hit.test_name or hit.test_id} {where}{text}"
