"""What SARIF calls reporting descriptors: one for each rule, each outcome and each notice of the policy."""

import re
from collections.abc import Sequence

from scangate.models.analysis import OutcomeCode
from scangate.models.verdict import Action, Finding, NoticeCode, Severity
from scangate.output.advice import MEANING, NOTICES
from scangate.output.sarif_text import Json, prose

DOCUMENTS = "https://github.com/scangate/scangate/blob/main/docs"

LEVELS = {Action.DENY: "error", Action.WARN: "warning", Action.NOTE: "note"}

_SECURITY_SEVERITY = {Severity.CRITICAL: "9.5", Severity.HIGH: "8.0", Severity.MEDIUM: "5.5", Severity.LOW: "2.0"}
"""Each inside the range that GitHub's code scanning calls by the same word (above 9.0, 7.0, 4.0, 0.1)."""

_URL = re.compile(
    r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:[/?#](?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?"
)
_MAX_TITLE = 200
_MAX_HELP = 2000
_NOTHING = "The policy says nothing of it."


def of_rule(finding: Finding) -> Json:
    """The rule that made a finding. Its help is what the policy says of it: meaning, advice, references."""
    links = [link for link in finding.references if len(link) <= _MAX_HELP and _URL.fullmatch(link)]
    meaning = finding.description or finding.title
    descriptor = _descriptor("Rule", finding.rule, finding.title, meaning, _paragraphs(meaning, finding.advice), links)
    descriptor["defaultConfiguration"] = {"level": LEVELS[finding.action]}
    tags = ["security", "supply-chain", "malware"]
    descriptor["properties"] = {
        "security-severity": _SECURITY_SEVERITY[finding.severity],
        "tags": tags if finding.engine is None else [*tags, str(finding.engine)],
    }
    return descriptor


def of_outcome(code: OutcomeCode) -> Json:
    """Why there is no verdict by analysis."""
    meaning, advice = MEANING[code]
    meaning = f"Not analysed, or not wholly: {meaning}."
    return _descriptor(
        "Outcome",
        code,
        meaning,
        meaning,
        _paragraphs(meaning, advice),
        [f"{DOCUMENTS}/policy.md#outcomes-and-their-default"],
    )


def of_notice(code: str) -> Json:
    """Something that is to be said of a policy, of what is checked, or of this file: the message has it all."""
    meaning = _OF_THIS_FILE.get(code) or NOTICES[NoticeCode(code)]
    return _descriptor("Notice", code, meaning, meaning, [meaning], [f"{DOCUMENTS}/policy.md"])


_OF_THIS_FILE = {
    "results-left-out": "This file does not hold every result: the limits of code scanning were reached.",
    "notices-left-out": "This file does not hold every notification.",
}


def _descriptor(kind: str, id_: str, title: str, meaning: str, help_: Sequence[str], links: Sequence[str]) -> Json:
    told = [text for each in help_ if (text := prose(each, _MAX_HELP))] or [_NOTHING]
    descriptor: Json = {
        "id": id_,
        "name": kind + "".join(word.capitalize() for word in re.split(r"[^A-Za-z0-9]+", id_)),
        "shortDescription": {"text": prose(title, _MAX_TITLE) or _NOTHING},
        "fullDescription": {"text": prose(meaning, _MAX_HELP) or _NOTHING},
        "help": {
            "text": "\n\n".join([*told, *links]),
            "markdown": "\n\n".join([*told, *(f"<{link}>" for link in links)]),
        },
    }
    if links:
        descriptor["helpUri"] = links[0]
    return descriptor


def _paragraphs(meaning: str, advice: str) -> list[str]:
    return [meaning, f"What to do: {advice}"] if advice else [meaning]
