"""All that an analysis on this machine needs, and what of it is missing: the service, the fetching, the sandbox."""

import importlib.util
import shutil
import sys

from scangate.local.sandbox import doctor
from scangate.local.sandbox.base import Problem


def extra() -> tuple[Problem, ...]:
    """What of the optional extra is not installed."""
    missing = [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]
    if not missing:
        return ()
    what = f"The embedded service needs {' and '.join(missing)}."
    return (Problem(what, 'Run: python -m pip install "scangate[local]"'),)


def problems(*, npm: bool = True) -> tuple[Problem, ...]:
    """`npm`: npm packages are to be analysed, too. A sandbox is really tried (half a second)."""
    return (*extra(), *_tools(npm=npm), *doctor.problems())


def _tools(*, npm: bool) -> tuple[Problem, ...]:
    found = []
    if npm and shutil.which("npm") is None:
        found.append(Problem("npm packages need the programs node and npm", "sudo apt-get install -y nodejs npm"))
    # In a virtual environment without it, the interpreter below has one as a rule; the fetching says where not.
    if importlib.util.find_spec("pip") is None and sys.prefix == sys.base_prefix:
        found.append(Problem("Python packages need pip", "sudo apt-get install -y python3-pip"))
    return tuple(found)
