"""Reports of LastPyMile: what in a release is not, or not so, in its source repository.

`results[].status` is not looked at: the producing code overwrites it (a release with nothing but high-risk files
can read "coherent"). The lists that a file stands in say the same, reliably.
"""

from collections.abc import Iterator, Mapping

from scangate.models.analysis import Engine, OutcomeCode, Shortfall
from scangate.models.lockfile import Ecosystem
from scangate.models.observations import LASTPYMILE_LISTS, LastPyMileHit
from scangate.reports import identity
from scangate.reports.shapes import flag, integer, items, malformed, mappings, shown, text


def failure(body: Mapping[str, object]) -> str | None:
    """Why the analysis came to no end; None where it did. Raises ReportError."""
    reason = text(body.get("fail_reason"), "fail_reason")
    if flag(body.get("completed"), "completed"):
        return None
    return f"LastPyMile did not complete: {shown(reason) or 'it gives no reason'}."


def claims(body: Mapping[str, object]) -> Iterator[identity.Claim]:
    """What the releases' file names say about the package."""
    for result in mappings(body.get("results"), "results"):
        yield from identity.by_archive("results[].release", text(result.get("release"), "results[].release"))


def ecosystem(body: Mapping[str, object]) -> Ecosystem | None:
    """What the releases' file names are the form of: these reports do not name the ecosystem. Raises ReportError."""
    names = [text(result.get("release"), "results[].release") for result in mappings(body.get("results"), "results")]
    found = {Ecosystem.NPM if name.endswith(".tgz") else Ecosystem.PYPI for name in names if name}
    return found.pop() if len(found) == 1 else None


def observations(body: Mapping[str, object]) -> Iterator[LastPyMileHit]:
    """A hit for each place that bandit marked, and one for each listed file without any. Raises ReportError."""
    for index, result in enumerate(mappings(body.get("results"), "results")):
        release = text(result.get("release"), f"results[{index}].release")
        for name in LASTPYMILE_LISTS:
            where = f"results[{index}].{name}_files"
            for entry in mappings(result.get(f"{name}_files"), where):
                yield from _hits(release, name, entry, where)


def shortfalls(body: Mapping[str, object]) -> Iterator[Shortfall]:
    """A blind one for each release of which no file was compared, and where there is no release. Raises ReportError."""
    results = tuple(mappings(body.get("results"), "results"))
    if not results:
        yield _blind("LastPyMile completed, but compared no release.")
    for index, result in enumerate(results):
        lists = (f"{name}_files" for name in ("coherent", *LASTPYMILE_LISTS))
        if not any(items(result.get(key), f"results[{index}].{key}") for key in lists):
            release = text(result.get("release"), f"results[{index}].release")
            yield _blind(f"LastPyMile compared no file of the release {shown(release) or 'without a name'}.")


def _blind(detail: str) -> Shortfall:
    return Shortfall(code=OutcomeCode.BLIND, detail=detail, engine=Engine.LASTPYMILE)


def _hits(release: str, name: str, entry: Mapping[str, object], where: str) -> Iterator[LastPyMileHit]:
    file = text(entry.get("file"), f"{where}[].file")
    if not file:
        raise malformed(f"{where} lists a file without a name")
    added = _added_lines(entry, where)
    marked = False
    for hit in mappings(entry.get("bandit_report"), f"{where}[].bandit_report"):
        marked = True
        yield _hit(release, name, file, hit, f"{where}[].bandit_report[]", added)
    if not marked:
        yield LastPyMileHit(release=release, list=name, file=file, added=added is None or bool(added))


def _hit(
    release: str, name: str, file: str, hit: Mapping[str, object], where: str, added: frozenset[int] | None
) -> LastPyMileHit:
    number = hit.get("line_number")
    line = None if number is None else integer(number, f"{where}.line_number")
    # bandit names a statement's first line; what was added may be one of its later ones.
    lines = {integer(value, f"{where}.line_range") for value in items(hit.get("line_range"), f"{where}.line_range")}
    if line is not None:
        lines.add(line)
    return LastPyMileHit(
        release=release,
        list=name,
        file=file,
        test_id=text(hit.get("test_id"), f"{where}.test_id"),
        test_name=text(hit.get("test_name"), f"{where}.test_name"),
        line=line,
        added=added is None or not lines or not added.isdisjoint(lines),
        text=text(hit.get("issue_text"), f"{where}.issue_text"),
    )


def _added_lines(entry: Mapping[str, object], where: str) -> frozenset[int] | None:
    """The lines that the repository's closest file lacks; None where every line counts.

    Every line counts without a closest file, and with no changes at all: those stand for files that could not be
    compared, since files without a difference are listed as coherent.
    """
    closest = text(entry.get("closest_source_file"), f"{where}[].closest_source_file")
    changes = tuple(mappings(entry.get("changes"), f"{where}[].changes"))
    lines = frozenset(
        integer(change.get("line_number"), f"{where}[].changes[].line_number")
        for change in changes
        if text(change.get("type"), f"{where}[].changes[].type") == "added"
    )
    return lines if closest and changes else None
