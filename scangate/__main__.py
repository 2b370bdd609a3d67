"""`python -m scangate` and the console script."""

import gc
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code (see `scangate.errors.ExitCode`)."""
    from scangate.cli.main import run

    if argv is None:
        # A run is short, most of what it makes stays to its end: to look for cycles rarely saves a twentieth of it.
        gc.set_threshold(50_000)
    return run(sys.argv[1:] if argv is None else argv)


if __name__ == "__main__":
    sys.exit(main())
