"""Where things are inside the sandbox, and the environment that every program there has."""

import shutil
from pathlib import Path

from scangate.local.sandbox import layout

APP = layout.APP
HOME = layout.HOME
HELPERS = "/opt/scangate"
HELPERS_SOURCE = Path(__file__).resolve().parent / "helpers"
SYSTEM_PATH = layout.PATH


def environ(path: str) -> dict[str, str]:
    return {
        "HOME": HOME,
        "LANG": "C.UTF-8",
        "LOGNAME": layout.USER,
        "PATH": path,
        "SHELL": "/bin/bash",
        "TERM": "dumb",
        "USER": layout.USER,
    }


def npm_directory() -> Path | None:
    """npm's own directory, e.g. /usr/lib/node_modules/npm: node-gyp is in there. None where there is no npm."""
    npm = shutil.which("npm")
    directory = Path(npm).resolve().parents[1] if npm else None
    return directory if directory is not None and (directory / "bin").is_dir() else None
