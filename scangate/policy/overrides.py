"""Caps on what findings do, for packages of some scope, relation, ecosystem or lockfile."""

from collections.abc import Iterable, Sequence

from scangate.globs import path_matches
from scangate.models.analysis import Phase
from scangate.models.lockfile import Dependency, Ecosystem, Lockfile
from scangate.models.verdict import Action, DecidedBy, Decider, Finding, Subject
from scangate.policy.model import Override

_MILDER = (Action.DENY, Action.WARN, Action.NOTE)
_AFTER_INSTALL = frozenset({Phase.IMPORT, Phase.EXECUTE})


def capped_for_package(finding: Finding, subject: Subject, overrides: Iterable[Override]) -> Finding:
    """The finding with the lowest cap of those overrides that hold for every place at which the package stands."""
    return _capped(finding, [each for each in overrides if _holds(each, {subject.ecosystem}, subject.dependencies)])


def capped_for_lockfile(finding: Finding, lockfile: Lockfile, overrides: Iterable[Override]) -> Finding:
    """As `capped_for_package`, by the lockfile's path and the ecosystems in it: it has no scope and no relation."""
    ecosystems = {entry.ecosystem for entry in lockfile.dependencies}
    holding = (
        each
        for each in overrides
        if not each.scopes and not each.relations and _fits(ecosystems, each.ecosystems) and _is_in(each, lockfile.path)
    )
    return _capped(finding, list(holding))


def _capped(finding: Finding, holding: Sequence[Override]) -> Finding:
    after_install = happened_after_install(finding)
    for each in holding:
        excepted = finding.rule in each.keeps or not (each.install_phase or after_install)
        if not excepted and _MILDER.index(each.cap) > _MILDER.index(finding.action):
            finding = finding._replace(action=each.cap, decided_by=DecidedBy(Decider.OVERRIDE, each.place))
    return finding


def happened_after_install(finding: Finding) -> bool:
    """Whether all of it was seen while importing or calling. What has no phase may well act at install: a lockfile's
    facts, code that LastPyMile found, a banned package."""
    phases = {getattr(each, "phase", None) for each in finding.evidence}
    return bool(phases) and phases <= _AFTER_INSTALL


def _holds(override: Override, ecosystems: set[Ecosystem], entries: Sequence[Dependency]) -> bool:
    of_entries = override.scopes or override.relations or override.lockfiles
    return _fits(ecosystems, override.ecosystems) and (
        not of_entries or (bool(entries) and all(_holds_for(override, entry) for entry in entries))
    )


def _holds_for(override: Override, entry: Dependency) -> bool:
    return (
        (not override.scopes or entry.scope in override.scopes)
        and (not override.relations or entry.relation in override.relations)
        and _is_in(override, entry.lockfile)
    )


def _fits(ecosystems: set[Ecosystem], wanted: Sequence[Ecosystem]) -> bool:
    return not wanted or (bool(ecosystems) and ecosystems <= set(wanted))


def _is_in(override: Override, lockfile: str) -> bool:
    return not override.lockfiles or path_matches(override.lockfiles, lockfile)
