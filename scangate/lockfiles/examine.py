"""What lockfiles show beside and against each other, and what every format shows in the same way. No service asked."""

from collections.abc import Sequence

from scangate.lockfiles.conflicts import flag_conflicts, gather_gaps
from scangate.lockfiles.confusion import tie_private_names
from scangate.lockfiles.origins import flag_origins
from scangate.lockfiles.undeclared import flag_registries
from scangate.models.lockfile import Lockfile
from scangate.registries import Registries


def examine(lockfiles: Sequence[Lockfile], registries: Registries) -> tuple[Lockfile, ...]:
    """The lockfiles of one side (what is checked, or its base), with the facts that no reader can tell by itself."""
    tied = tie_private_names(lockfiles)
    flagged = flag_conflicts(gather_gaps(flag_origins(tied, registries)))
    return flag_registries(flagged, registries)
