"""Builds a source distribution into a wheel, as a build front end does (PEP 517). Runs inside the sandbox only.

Says what the build asks for besides its [build-system] table ("Missing to build: X"): there is no index inside.
"""

import importlib
import importlib.metadata
import os
import re
import sys
import tomllib
from pathlib import Path


def main() -> None:
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    os.chdir(source)
    table = {}
    if Path("pyproject.toml").is_file():
        table = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8")).get("build-system", {})
    sys.path[:0] = [str((source / each).resolve()) for each in table.get("backend-path", [])]
    module, _, attribute = table.get("build-backend", "setuptools.build_meta:__legacy__").partition(":")
    backend = importlib.import_module(module)
    for name in filter(None, attribute.split(".")):
        backend = getattr(backend, name)
    sys.argv = [sys.argv[0]]
    # A table without it is a choice of the backend's (PEP 517); setuptools answers with setup.py's setup_requires.
    for each in getattr(backend, "get_requires_for_build_wheel", lambda _: ())({}):
        if not is_there(str(each)):
            print(f"Missing to build: {each}", flush=True)
    print("Built", backend.build_wheel(str(target), {}))


def is_there(requirement: str) -> bool:
    name = re.match(r"[A-Za-z0-9._-]*", requirement)
    try:
        importlib.metadata.distribution(name[0] if name else "")
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return False
    return True


main()
