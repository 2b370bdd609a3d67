"""Resolve pyproject.toml's requirements and write requirements/dev.txt, every file by hash.

Run with pip-tools at hand: `make lock` makes a temporary environment for it.
"""

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = "# Made by `make lock`: every package that development, the tests and CI install, by hash. Do not edit.\n"


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        venv.create(scratch, with_pip=True)
        python = Path(scratch) / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "pip-tools"], check=True)
        output = Path(scratch) / "dev.txt"
        subprocess.run(
            [
                python,
                "-m",
                "piptools",
                "compile",
                "--quiet",
                "--extra=dev",
                "--generate-hashes",
                "--allow-unsafe",
                "--build-deps-for=editable",
                "--strip-extras",
                "--no-header",
                "--no-emit-options",
                "--resolver=backtracking",
                f"--output-file={output}",
                "pyproject.toml",
            ],
            check=True,
            cwd=ROOT,
            env={**os.environ, "PIP_EXTRA_INDEX_URL": "", "PIP_FIND_LINKS": ""},
        )
        text = output.read_text().replace(str(ROOT) + "/", "")
        (ROOT / "requirements" / "dev.txt").write_text(HEADER + text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
