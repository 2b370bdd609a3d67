"""What `scangate list` prints: the dependencies as a table, as purls, as JSON (docs/schema/dependencies-v1.json)."""

from collections import Counter
from collections.abc import Iterable, Sequence

from scangate.models.lockfile import Dependency, Lockfile
from scangate.output import escape
from scangate.output.verdict_json import dependency, dumps

SCHEMA_VERSION = 1


def as_purls(lockfiles: Sequence[Lockfile]) -> str:
    """Sorted unique purls of what can be submitted, one a line; nothing else."""
    purls = sorted({d.purl for d in _all(lockfiles) if d.purl is not None})
    return "".join(f"{purl}\n" for purl in purls)


def as_json(lockfiles: Sequence[Lockfile], *, version: str) -> str:
    document = {
        "schema_version": SCHEMA_VERSION,
        "scangate": version,
        "lockfiles": [
            {
                "path": lockfile.path,
                "format": lockfile.format,
                "supported": lockfile.supported,
                "facts": [{"check": f.check, "detail": f.detail, "line": f.line} for f in lockfile.facts],
                "dependencies": [dependency(entry) for entry in lockfile.dependencies],
            }
            for lockfile in lockfiles
        ],
    }
    return dumps(document)


def as_table(lockfiles: Sequence[Lockfile]) -> str:
    """One row a dependency under its lockfile: package, kind, scope, relation, line, way in."""
    blocks = []
    for lockfile in lockfiles:
        head = f"{escape.terminal(lockfile.path)} ({lockfile.format}"
        if not lockfile.supported:
            blocks.append(f"{head}): recognised, cannot be read yet (unsupported-lockfile)\n")
            continue
        rows = [_row(entry) for entry in lockfile.dependencies]
        blocks.append(f"{head}, {len(rows)} dependencies)\n{_aligned(rows)}")
    return escape.log("\n".join(blocks))


def summary(lockfiles: Sequence[Lockfile]) -> str:
    """One line of counts: what can be submitted, what cannot by kind, which lockfiles cannot be read."""
    entries = list(_all(lockfiles))
    purls = {entry.purl for entry in entries if entry.purl is not None}
    kinds = Counter(str(entry.kind) for entry in entries if entry.purl is None)
    kinds.update({"unsupported-lockfile": sum(not lockfile.supported for lockfile in lockfiles)})
    left = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()) if count)
    return f"{len(purls)} purls from {len(lockfiles)} lockfiles; not submittable: {left or 'none'}"


def _all(lockfiles: Iterable[Lockfile]) -> Iterable[Dependency]:
    return (entry for lockfile in lockfiles for entry in lockfile.dependencies)


def _row(entry: Dependency) -> tuple[str, ...]:
    shown = entry.purl or f"{entry.name} {entry.version or entry.source or ''}".strip()
    cells = (shown, entry.kind, entry.scope, entry.relation, f"line {entry.line}", " → ".join(entry.path[:-1]))
    return tuple(escape.terminal(escape.shorten(str(cell), 300)) for cell in cells)


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    widths = [min(60, max(len(row[i]) for row in rows)) for i in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "".join(f"  {line.rstrip()}\n" for line in lines)
