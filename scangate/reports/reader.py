"""A report's bytes → what it shows, and what it could not show.

A report is believed as a whole or not at all: one value of the wrong type and it is `report-invalid`.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from scangate import purls
from scangate.errors import ReportError
from scangate.models.analysis import Analysed, Engine, OutcomeCode, Phase, Shortfall
from scangate.models.lockfile import Ecosystem
from scangate.models.observations import Observation
from scangate.reports import dynamic, identity, lastpymile
from scangate.reports.shapes import integer, malformed, mapping, parse, parse_text, shown, text

CLOCK_TOLERANCE = timedelta(days=1)
"""How far in the future a report's date may be: clocks differ, and LastPyMile writes local time without a zone."""

_LASTPYMILE_DATE = "%d/%m/%Y at %H:%M:%S.%f"


class Identity(NamedTuple):
    """What a report says it is: its engine, and the package's purl (version "0" where it was not recorded)."""

    engine: Engine
    purl: str


class _Document(NamedTuple):
    engine: Engine
    body: Mapping[str, object]
    metadata: Mapping[str, object]


def read(
    payload: bytes,
    *,
    purl: str | None,
    engine: Engine,
    now: datetime,
    max_age_days: int,
    task_id: int | None = None,
) -> Analysed | Shortfall:
    """Read one report, asked for `purl` and `engine`; raises for no payload whatever.

    `purl` None: nothing was asked for, whatever package the report is about is right (a saved report).
    `now` is aware. A report older than `max_age_days`, from the future, or without a date carries `stale`.
    Raises PurlError where `purl` itself is none.
    """
    asked = purls.submittable(purl) if purl is not None else None
    try:
        document = _document(parse(payload))
        if document.engine is not engine:
            raise malformed(f"it is a report of {document.engine}, where one of {engine} was asked for")
        result = _READERS[engine](document, asked)
        if isinstance(result, Analysed) and (stale := _stale(result.created, now, max_age_days)) is not None:
            result = result._replace(shortfalls=(*result.shortfalls, stale))
    except ReportError as exc:
        result = Shortfall(code=OutcomeCode.REPORT_INVALID, detail=exc.message)
    return _labelled(result, engine, task_id)


def identify(payload: bytes) -> Identity:
    """What a saved report says it is. Raises ReportError where it is no report, or names no package."""
    document = _document(parse(payload))
    purl = _own_purl(document)
    if purl is None:
        raise ReportError(
            "The report does not say which package it is about.", "Name the package with --purl pkg:TYPE/NAME@VERSION."
        )
    return Identity(engine=document.engine, purl=purl)


def engine_of(payload: bytes) -> Engine:
    """Which engine a saved report is of. Raises ReportError where it is no report."""
    return _document(parse(payload)).engine


def _own_purl(document: _Document) -> str | None:
    presumed = lastpymile.ecosystem(document.body) if document.engine is Engine.LASTPYMILE else None
    return identity.purl_of(identity.recorded(document.body, document.metadata), presumed)


def _document(value: object) -> _Document:
    """Take the report out of the wrapper that the service's download may put around it."""
    if not isinstance(value, dict):
        raise malformed("it is not a JSON object")
    top = mapping(value, "the report")
    if "analysis_results" not in top:
        return _Document(engine=_engine(top), body=top, metadata=mapping(top.get("metadata"), "metadata"))
    inner = top["analysis_results"]
    if isinstance(inner, str):
        inner = parse_text(inner)
    body = dict(mapping(inner, "analysis_results"))
    if body and body.keys() <= set(Phase):
        body = {"Analysis": body}
    for key in ("Package", "CreatedTimestamp"):
        if key in top:
            body.setdefault(key, top[key])
    return _Document(engine=_engine(body), body=body, metadata=mapping(top.get("metadata"), "metadata"))


def _engine(body: Mapping[str, object]) -> Engine:
    is_dynamic, is_lastpymile = "Analysis" in body, "completed" in body or "results" in body
    if is_dynamic == is_lastpymile:
        raise malformed("it has neither an Analysis nor results" if not is_dynamic else "it has Analysis and results")
    return Engine.DYNAMIC_ANALYSIS if is_dynamic else Engine.LASTPYMILE


def _read_dynamic(document: _Document, asked: purls.Purl | None) -> Analysed | Shortfall:
    phases = dynamic.read_phases(mapping(document.body.get("Analysis"), "Analysis"))
    wrong = _wrong_package(document, asked, dynamic.claims(phases))
    if wrong is not None:
        return wrong
    if (mismatch := dynamic.mismatch(document.body.get("Integrity"))) is not None:
        return mismatch
    stamp = document.body.get("CreatedTimestamp")
    return Analysed(
        engine=Engine.DYNAMIC_ANALYSIS,
        observations=tuple(dynamic.observations(phases)),
        shortfalls=(
            *dynamic.shortfalls(phases, _ecosystem(document, asked)),
            *dynamic.missing(document.body.get("Missing")),
        ),
        created=None if stamp is None else _from_timestamp(integer(stamp, "CreatedTimestamp")),
    )


def _read_lastpymile(document: _Document, asked: purls.Purl | None) -> Analysed | Shortfall:
    body = document.body
    created = _from_local_text(text(body.get("date"), "date"))
    # Read whole before anything is concluded: a malformed list is to be found also behind "completed": false.
    hits, blind = tuple[Observation, ...](lastpymile.observations(body)), tuple(lastpymile.shortfalls(body))
    wrong = _wrong_package(document, asked, lastpymile.claims(body))
    if wrong is not None:
        return wrong
    failure = lastpymile.failure(body)
    if failure is not None:
        return Shortfall(code=OutcomeCode.FAILED, detail=failure)
    return Analysed(engine=Engine.LASTPYMILE, observations=hits, shortfalls=blind, created=created)


_READERS: Mapping[Engine, Callable[[_Document, purls.Purl | None], Analysed | Shortfall]] = {
    Engine.DYNAMIC_ANALYSIS: _read_dynamic,
    Engine.LASTPYMILE: _read_lastpymile,
}


def _wrong_package(document: _Document, asked: purls.Purl | None, more: Iterator[identity.Claim]) -> Shortfall | None:
    claims = (*identity.recorded(document.body, document.metadata), *more)
    detail = identity.disagreement(claims, asked) if asked is not None else None
    return None if detail is None else Shortfall(code=OutcomeCode.WRONG_PACKAGE, detail=detail)


def _ecosystem(document: _Document, asked: purls.Purl | None) -> Ecosystem | None:
    if asked is not None:
        return asked.ecosystem
    purl = _own_purl(document)
    return purls.parse(purl).ecosystem if purl is not None else None


def _stale(created: datetime | None, now: datetime, max_age_days: int) -> Shortfall | None:
    if created is None:
        detail = "The report does not say when it was made."
    elif created > now + CLOCK_TOLERANCE:
        detail = f"The report says that it was made in the future, on {created:%Y-%m-%d}."
    elif now - created > timedelta(days=max_age_days):
        detail = f"The report was made on {created:%Y-%m-%d}, more than {max_age_days} days ago."
    else:
        return None
    return Shortfall(code=OutcomeCode.STALE, detail=detail)


def _from_timestamp(seconds: int) -> datetime | None:
    """None for 0 and less, which stand where no time was recorded."""
    if seconds <= 0:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError) as exc:
        raise malformed("CreatedTimestamp is not a time in Unix seconds") from exc


def _from_local_text(date: str) -> datetime | None:
    """LastPyMile's date. It has no zone and is taken as UTC, which is close enough to tell an age in days."""
    if not date:
        return None
    try:
        return datetime.strptime(date, _LASTPYMILE_DATE).replace(tzinfo=UTC)
    except ValueError as exc:
        raise malformed(f"date is {shown(date)}, not dd/mm/yyyy at HH:MM:SS.ffffff") from exc


def _labelled(result: Analysed | Shortfall, engine: Engine, task_id: int | None) -> Analysed | Shortfall:
    if isinstance(result, Shortfall):
        return result._replace(engine=engine, task_id=task_id)
    shortfalls = tuple(shortfall._replace(engine=engine, task_id=task_id) for shortfall in result.shortfalls)
    return result._replace(shortfalls=shortfalls, task_id=task_id)
