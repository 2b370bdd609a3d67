"""What an installed distribution can be imported and started as, by its own RECORD.

All of it: what is too much for the phase's time ends it by timeout, which is told. Behind a cap code could hide.
"""

import importlib.machinery
import importlib.metadata
from pathlib import PurePosixPath

ASIDE = {"tests", "test", "testing", "docs", "doc", "examples", "example", "benchmarks"}
"""Left out where there is anything else: they ask for tools that are not installed."""


def _dotted(path: PurePosixPath) -> tuple[tuple[str, ...], bool] | None:
    """The module that a file is: its dotted path, and whether it is a package; None where it is no module."""
    suffix = next((each for each in importlib.machinery.all_suffixes() if path.name.endswith(each)), None)
    if suffix is None or suffix == ".pyc" or path.is_absolute() or ".." in path.parts:
        return None
    parts = (*path.parts[:-1], path.name[: -len(suffix)])
    package = parts[-1] == "__init__"
    parts = parts[:-1] if package else parts
    return (parts, package) if parts and all(part.isidentifier() for part in parts) else None


def top_level(name: str) -> list[str]:
    """The topmost modules, below namespace packages too."""
    files = importlib.metadata.distribution(name).files or []
    found = [each for each in (_dotted(PurePosixPath(str(file))) for file in files) if each is not None]
    packages = {parts for parts, package in found if package}
    top = {parts for parts, _ in found if not any(parts[:length] in packages for length in range(1, len(parts)))}
    first = {parts for parts in top if parts[0] not in ASIDE and parts[-1] != "__main__"}
    return [".".join(parts) for parts in sorted(first or top)]


def scripts(name: str) -> list[tuple[str, str]]:
    """(name, "module:attribute") of the console scripts."""
    points = importlib.metadata.distribution(name).entry_points
    return sorted({(point.name, point.value) for point in points if point.group == "console_scripts"})


def show(line: str) -> None:
    print(line, flush=True)
