"""Builds a source distribution into a wheel, as a build front end does (PEP 517). Runs inside the sandbox only."""

import importlib
import os
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
    print("Built", backend.build_wheel(str(target), {}))


main()
