"""The sample reports, and small ones built in the tests."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from scangate.models.analysis import Analysed, Engine, Shortfall
from scangate.models.observations import Observation
from scangate.reports import reader

ASSETS = Path(__file__).parent.parent / "assets" / "reports"
T = TypeVar("T", bound=Observation)

NOW = datetime(2026, 11, 24, tzinfo=UTC)
REAL = tuple(sorted((ASSETS / "dynamic-analysis").glob("*.json")))
MADE = tuple(sorted((ASSETS / "made").glob("*.json")))
LASTPYMILE = tuple(sorted((ASSETS / "lastpymile").glob("*.json")))


def read(
    document: object, purl: str | None = None, engine: Engine = Engine.DYNAMIC_ANALYSIS, max_age_days: int = 90
) -> Analysed | Shortfall:
    """What the reader makes of a document, given as bytes or as what is to be written as JSON."""
    payload = document if isinstance(document, bytes) else json.dumps(document).encode()
    return reader.read(payload, purl=purl, engine=engine, now=NOW, max_age_days=max_age_days, task_id=7)


def analysed(document: object, purl: str | None = None, engine: Engine = Engine.DYNAMIC_ANALYSIS) -> Analysed:
    result = read(document, purl, engine)
    assert isinstance(result, Analysed), result
    return result


def refused(document: object, purl: str | None = None, engine: Engine = Engine.DYNAMIC_ANALYSIS) -> Shortfall:
    result = read(document, purl, engine)
    assert isinstance(result, Shortfall), result
    return result


def codes(result: Analysed) -> list[str]:
    return [f"{s.code}:{s.phase}" if s.phase else str(s.code) for s in result.shortfalls]


def of(kind: type[T], result: Analysed) -> list[T]:
    return [observation for observation in result.observations if isinstance(observation, kind)]


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def phase(**fields: Any) -> dict[str, Any]:
    """A completed phase in which one command was seen."""
    return {"Status": "completed", "Commands": [{"Command": ["node", "index.js"], "Environment": []}], **fields}


def document(
    install: object = None, imports: object = None, package: object = None, created: object = 1795400000, **more: Any
) -> dict[str, Any]:
    """A DynamicAnalysisReport of pkg:npm/thing@1.2.3, made on 2026-11-23."""
    return {
        "Package": {"Ecosystem": "npm", "Name": "thing", "Version": "1.2.3"} if package is None else package,
        "CreatedTimestamp": created,
        "Analysis": {
            "install": phase() if install is None else install,
            "import": phase() if imports is None else imports,
        },
        **more,
    }
