"""Sentences that every renderer shares."""

import pytest

from scangate.models.changes import Change, ChangeKind
from scangate.models.lockfile import Kind, Scope
from scangate.models.verdict import LockfileVerdict, Status
from scangate.output import facts
from tests.output.cases import BLOCKED_ITEM, CLEAN_ITEM, LOCKFILE_ITEM, dependency, verdict

NOW = dependency("a", "2.0.0", line=1)
EARLIER = NOW._replace(version="1.0.0", scope=Scope.DEV, source="https://old.example/a.tgz")


@pytest.mark.parametrize(
    ("kind", "before", "expected"),
    [
        (ChangeKind.ADDED, None, "added"),
        (ChangeKind.UPGRADED, EARLIER, "upgraded from 1.0.0"),
        (ChangeKind.DOWNGRADED, EARLIER, "downgraded from 1.0.0"),
        (ChangeKind.CHANGED, None, "changed"),
        (ChangeKind.INTEGRITY, EARLIER, "other content under the same version"),
        (ChangeKind.DIGESTS, EARLIER, "other digests"),
        (ChangeKind.SOURCE, EARLIER, "from another place than https://old.example/a.tgz"),
        (ChangeKind.SOURCE, EARLIER._replace(source=None, registry=None, kind=Kind.GIT), "from another place than git"),
        (ChangeKind.SOURCE, None, "moved"),
        (ChangeKind.FACTS, EARLIER, "the lockfile shows something new of it"),
        (ChangeKind.SCOPE, EARLIER, "now prod, was dev"),
        (ChangeKind.SCOPE, None, "now prod"),
    ],
)
def test_what_happened_to_a_package(kind: ChangeKind, before: object, expected: str) -> None:
    change = Change(kind=kind, dependency=NOW, before=before)  # type: ignore[arg-type]  # of the table above
    assert facts.change([change, change]) == expected


def test_packages_and_lockfiles_are_counted_apart() -> None:
    lockfile = LockfileVerdict(lockfile=LOCKFILE_ITEM.lockfile, status=Status.BLOCKED)
    both = verdict(Status.BLOCKED, BLOCKED_ITEM, CLEAN_ITEM, lockfiles=(lockfile, lockfile))
    assert facts.headline(both).startswith("the policy denies 1 of 2 packages and 2 lockfiles. Do not merge")
    assert facts.headline(verdict(Status.BLOCKED, CLEAN_ITEM, lockfiles=(lockfile,))).startswith(
        "the policy denies 1 lockfile. "
    )
