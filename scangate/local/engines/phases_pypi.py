"""What is run of a Python package: its build, the interpreter's start, its import, and its programs' --help."""

from collections.abc import Iterator

from scangate.local.engines import places
from scangate.local.fetch import interpreter
from scangate.local.fetch.base import Fetched
from scangate.local.fetch.pypi import BUILD_VENV, VENV
from scangate.local.sandbox.base import PhasePlan, Program
from scangate.models.analysis import Phase

INSTALL_SECONDS = 300.0
IMPORT_SECONDS = 60.0
EXECUTE_SECONDS = 60.0


def plan(fetched: Fetched) -> tuple[PhasePlan, ...]:
    name = fetched.purl.package_name
    install = (*_builds(fetched), _python(VENV, "start.py"))
    return (
        PhasePlan(phase=Phase.INSTALL, programs=install, seconds=INSTALL_SECONDS),
        PhasePlan(phase=Phase.IMPORT, programs=(_python(VENV, "import_package.py", name),), seconds=IMPORT_SECONDS),
        PhasePlan(phase=Phase.EXECUTE, programs=(_python(VENV, "execute_package.py", name),), seconds=EXECUTE_SECONDS),
    )


def _builds(fetched: Fetched) -> Iterator[Program]:
    """A wheel runs nothing when it is installed; a source distribution is built first. Its dependencies' builds and
    the unpacking are not the package's doing."""
    sources = [(source, False) for source in fetched.other_sources]
    if fetched.own_source is not None:
        sources.append((fetched.own_source, True))
    for number, (source, own) in enumerate(sources):
        wheels = f"{places.APP}/built/{number}"
        yield _python(BUILD_VENV, "build.py", f"{places.APP}/{source}", wheels, own=own)
        site_packages = f"{places.APP}/{VENV}/{interpreter.current().site_packages}"
        yield _python(BUILD_VENV, "install.py", wheels, f"{places.APP}/{VENV}", site_packages, own=False)


def _python(venv: str, helper: str, *arguments: str, own: bool = True) -> Program:
    """`-I`: no user site, no directory of the helper's on the path. `-B`: byte code would be noise in the report."""
    home = f"{places.APP}/{venv}"
    return Program(
        argv=(f"{home}/bin/python", "-I", "-B", f"{places.HELPERS}/{helper}", *arguments),
        cwd=places.APP,
        environ=places.environ(f"{home}/bin:{places.SYSTEM_PATH}") | {"VIRTUAL_ENV": home},
        own=own,
    )
