"""Resolve pyproject.toml's requirements and write requirements/dev.txt and requirements/action.txt, every file by hash.

`make lock` makes a temporary environment with the resolvers. `tools/lock.py action` writes that file alone: with the
versions of dev.txt, which are the ones that the tests have seen.
"""

import os
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
DEV = "# Made by `make lock`: every package that development, the tests and CI install, by hash. Do not edit.\n"
ACTION = (
    "# Made by `make lock`: every package that the GitHub action installs, for each platform and each Python since\n"
    "# 3.11, by hash. Do not edit.\n"
)


def main(names: list[str]) -> int:
    with tempfile.TemporaryDirectory() as scratch:
        venv.create(scratch, with_pip=True)
        python = Path(scratch) / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "pip-tools", "uv"], check=True)
        for name, make in (("dev", dev), ("action", action)):
            if name in (names or ("dev", "action")):
                make(python, Path(scratch))
    return 0


def dev(python: Path, scratch: Path) -> None:
    """What this platform needs, as pip-tools has it."""
    output = scratch / "dev.txt"
    options = ("--extra=dev", "--allow-unsafe", "--build-deps-for=editable", "--strip-extras", "--no-emit-options")
    _run(
        [python, "-m", "piptools", "compile", *options, "--resolver=backtracking", "pyproject.toml"],
        output,
    )
    _write("dev.txt", DEV, output)


def action(python: Path, scratch: Path) -> None:
    """The runtime, what --local needs, and the build backend, for every platform (uv's universal resolution)."""
    backend = scratch / "build.in"
    backend.write_text("\n".join(tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]))
    output = scratch / "action.txt"
    constraints = scratch / "constraints.txt"
    constraints.write_text(_versions(REQUIREMENTS / "dev.txt"))
    options = ("--universal", "--python-version=3.11", "--extra=local", "--no-config", "--no-annotate", "--quiet")
    _run(
        [python, "-m", "uv", "pip", "compile", *options, f"--constraint={constraints}", "pyproject.toml", backend],
        output,
    )
    _write("action.txt", ACTION, output)


def _run(command: list[str | Path], output: Path) -> None:
    subprocess.run(
        [*command, "--quiet", "--generate-hashes", "--no-header", f"--output-file={output}"],
        check=True,
        cwd=ROOT,
        env={**os.environ, "PIP_EXTRA_INDEX_URL": "", "PIP_FIND_LINKS": ""},
    )


def _versions(locked: Path) -> str:
    lines = locked.read_text().splitlines()
    return "\n".join(line.removesuffix(" \\") for line in lines if line[:1].isalpha())


def _write(name: str, header: str, output: Path) -> None:
    (REQUIREMENTS / name).write_text(header + output.read_text().replace(f"{ROOT}/", ""))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
