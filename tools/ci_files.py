"""Judge action.yml, the workflows of docs/ci and the scripts, offline: JSON Schema, zizmor, shellcheck.

`make check` runs it. Files are named one by one: zizmor's search of a folder leaves docs/ out.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent

SCHEMAS = {
    "action.yml": ("vendor.github-actions",),
    "docs/ci/github-*.yml": ("vendor.github-workflows",),
    "docs/ci/gitlab-ci.yml": ("vendor.gitlab-ci", "--data-transform=gitlab-ci"),
    # Its schema has patterns that only Python's engine takes.
    "docs/ci/azure-pipelines.yml": (
        "vendor.azure-pipelines",
        "--data-transform=azure-pipelines",
        "--regex-variant=python",
    ),
    "docs/ci/bitbucket-pipelines.yml": ("vendor.bitbucket-pipelines",),
    "docs/ci/buildkite.yml": ("vendor.buildkite",),
}
FOR_ZIZMOR = ("action.yml", "docs/ci/github-*.yml")
SCRIPTS = ("action/*.sh", "tools/*.sh", ".ci/run")
SHELL_KEYS = ("run", "bash", "script", "before_script", "commands")


def main(root: Path = ROOT) -> int:
    """0 where every judge is content."""
    return max(run(command, root) for command in commands(root)) | blocks(root)


def commands(root: Path) -> Iterator[list[str]]:
    for pattern, (schema, *options) in SCHEMAS.items():
        yield ["check-jsonschema", f"--builtin-schema={schema}", *options, *found(root, pattern)]
    workflows = [name for pattern in FOR_ZIZMOR for name in found(root, pattern)]
    yield ["zizmor", "--offline", "--no-progress", "--quiet", *workflows]
    scripts = [name for pattern in SCRIPTS for name in found(root, pattern)]
    yield ["shellcheck", "--external-sources", *scripts]


def blocks(root: Path) -> int:
    """shellcheck on each piece of shell in a YAML file, named after its place."""
    with tempfile.TemporaryDirectory() as scratch:
        names = []
        for pattern in SCHEMAS:
            for name in found(root, pattern):
                document = yaml.safe_load((root / name).read_text())
                for number, script in enumerate(shell(document), start=1):
                    path = Path(scratch) / f"{name.replace('/', '_')}.{number}.sh"
                    # Buildkite's own escape of a dollar sign.
                    path.write_text(f"{script.replace('$$', '$')}\n")
                    names.append(str(path))
        return run(["shellcheck", "--shell=bash", *names], root)


def shell(node: object) -> Iterator[str]:
    """Every script in a workflow's or a pipeline's document."""
    if isinstance(node, list):
        for item in node:
            yield from shell(item)
    if isinstance(node, dict):
        for key, value in node.items():
            if key in SHELL_KEYS and isinstance(value, str):
                yield value
            elif key in SHELL_KEYS and isinstance(value, list):
                yield "\n".join(line for line in value if isinstance(line, str))
            else:
                yield from shell(value)


def found(root: Path, pattern: str) -> list[str]:
    names = sorted(str(path.relative_to(root)) for path in root.glob(pattern))
    if not names:
        raise SystemExit(f"{pattern}: there is no such file")
    return names


def run(command: list[str], root: Path) -> int:
    return subprocess.run([BIN / command[0], *command[1:]], cwd=root, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
