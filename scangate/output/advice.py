"""What each outcome means and what to do now, and what each notice means. Every renderer uses these words."""

from collections.abc import Iterable, Mapping

from scangate.models.analysis import OutcomeCode
from scangate.models.verdict import DecidedBy, Decider, NoticeCode

MEANING: Mapping[OutcomeCode, tuple[str, str]] = {
    OutcomeCode.SUBMIT_ERROR: (
        "the service or the engine does not take it",
        "Read the reason; check the package, the engine and the service's limits.",
    ),
    OutcomeCode.UNREACHABLE: (
        "the analysis service could not be reached",
        "An outage, not malware: run again when the service answers.",
    ),
    OutcomeCode.FAILED: (
        "the analysis itself failed",
        "Run again; if it fails again, have the package looked at by hand.",
    ),
    OutcomeCode.TIMEOUT: (
        "the analysis hit the service's own time limit",
        "Run again; a package that always runs out of time deserves a look by hand.",
    ),
    OutcomeCode.PENDING: (
        "not done when --timeout ended",
        "Run again later (the service keeps what it has finished), or raise --timeout.",
    ),
    OutcomeCode.REPORT_MISSING: (
        "completed, but its report could not be had",
        "Run again; tell the service if it stays.",
    ),
    OutcomeCode.REPORT_INVALID: (
        "its report is not in the documented form",
        "Keep the report and tell the service; the package is not analysed.",
    ),
    OutcomeCode.WRONG_PACKAGE: (
        "the report, or the project's archive, is of another package",
        "Do not trust it: compare the names. Of a report: run again, and tell the service if it stays.",
    ),
    OutcomeCode.INTEGRITY_MISMATCH: (
        "the archive is not the one that the lockfile or the registry promises",
        "Do not install it: find out which of the two was changed.",
    ),
    OutcomeCode.BLIND: (
        "the analysis shows nothing at all, not even what it always shows",
        "The analyser lost sight: run again, and tell the service if it stays.",
    ),
    OutcomeCode.NO_CREDENTIALS: (
        "no API key",
        "Set SCANGATE_API_KEY or SCANGATE_API_KEY_FILE. Forks' pull requests get no secrets: docs/ci/github-fork.yml.",
    ),
    OutcomeCode.OVER_BUDGET: (
        "the request budget is used up",
        "Raise --rate or --max-packages as far as your service allows, or run again within the hour.",
    ),
    OutcomeCode.UNSUPPORTED_LOCKFILE: (
        "a lockfile that scangate recognises and cannot read yet",
        "Exclude it in scangate.yml if another lockfile of the project covers it, or lower unsupported-lockfile there.",
    ),
    OutcomeCode.UNSUPPORTED_ECOSYSTEM: (
        "no engine that was asked for takes this ecosystem",
        "Add an engine that does.",
    ),
    OutcomeCode.GIT: (
        "comes from a git repository, which the service cannot fetch",
        "Use a published version, or review the commit and lower the outcome git in scangate.yml.",
    ),
    OutcomeCode.URL: (
        "comes from a URL or a host that nothing names as a registry",
        "Name the host under registries in scangate.yml (mirrors or private), or use a published version.",
    ),
    OutcomeCode.PRIVATE_REGISTRY: (
        "comes from a private registry; its name is never sent",
        "Nothing to do; to have it analysed, scan the archive by hand: scangate scan ARCHIVE --purl PURL.",
    ),
    OutcomeCode.FILE: (
        "an archive in the repository or on disk, not analysed",
        "To have it analysed: upload-files in scangate.yml, --local, or scangate scan ARCHIVE --purl PURL.",
    ),
    OutcomeCode.LOCAL: ("a directory of this project", "Nothing to do: it is your own code."),
    OutcomeCode.UNPINNED: (
        "no exact version: what would be installed is open",
        "Pin it with == (pip-compile, poetry and npm do it for you).",
    ),
    OutcomeCode.IMPORT_FAILED: (
        "no module of it could be imported: its code never ran",
        "Nothing is proven: look at the package by hand before you rely on it.",
    ),
    OutcomeCode.PHASE_ERROR: ("a phase of the analysis ended in an error", "What was seen until then has been judged."),
    OutcomeCode.TRUNCATED: (
        "it did more in a phase than the analysis keeps",
        "Look at the package by hand: to flood the analysis is a way to hide.",
    ),
    OutcomeCode.DEPENDENCY_MISSING: (
        "something that it asks for was not there while it ran",
        "What comes from git or a URL is not fetched: look at it by hand.",
    ),
    OutcomeCode.STALE: (
        "the report is older than the policy allows",
        "Have it analysed again, or raise max-report-age.",
    ),
}

IN_CI = "CI will block on it."
"""Of what a hook's profile lets pass."""


def meaning_of(code: OutcomeCode, deciders: Iterable[DecidedBy]) -> tuple[str, str]:
    """What the outcome means and what to do now, by who decided on it."""
    meaning, advice = MEANING[code]
    is_excused = any(by.decider is Decider.PROFILE for by in deciders)
    return meaning, f"{advice} {IN_CI}" if is_excused else advice


NOTICES: Mapping[NoticeCode, str] = {
    NoticeCode.ALLOW_EXPIRED: "An exception of the policy has expired and silences nothing any more.",
    NoticeCode.ALLOW_UNUSED: "An exception of the policy silenced nothing in this run.",
    NoticeCode.ALLOW_BROAD: "An exception of the policy is for every version of its package.",
    NoticeCode.ALLOW_SHADOWED: "An exception of the policy never counts: an earlier one says as much.",
    NoticeCode.OVERRIDE_INSTALL_PHASE: "An override of the policy caps what happens at install, too.",
    NoticeCode.NARROWED: "By a setting of the policy less is looked at, or less follows.",
    NoticeCode.POLICY_CHANGED: "A file of the policy is another one since the base.",
    NoticeCode.BASE_UNREADABLE: "A lockfile of the base cannot be read, so that all of it counts as new.",
    NoticeCode.LEFT_OUT: "Lockfiles in the project were left out of the check.",
    NoticeCode.SUBMODULE_CHANGED: "A submodule is another one since the base, and its lockfiles are not checked.",
    NoticeCode.NOTHING_DECIDED: "There was nothing to decide on.",
}
