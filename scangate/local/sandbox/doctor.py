"""What this machine lacks for the sandbox, and the command that mends it."""

import os
import shutil
from scangate.local.sandbox import launch
from scangate.local.sandbox.base import Problem

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def tools() -> dict[str, str]:
    return {name: found for name in launch.TOOLS if (found := shutil.which(name, path=_PATH))}


def missing() -> tuple[Problem, ...]:
    return ()
