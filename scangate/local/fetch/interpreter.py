"""The Python that packages are unpacked for and run by: the one that scangate itself runs on, without its venv."""

import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """`program` is the real executable; `prefix` holds its standard library; `site_packages` is relative to a venv."""

    program: Path
    prefix: Path
    version: str
    site_packages: str


def current() -> Interpreter:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    base = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    return Interpreter(
        program=base,
        prefix=Path(sys.base_prefix).resolve(),
        version=version,
        site_packages=f"lib/python{version}/site-packages",
    )


def make_venv(directory: Path) -> Path:
    """A virtual environment as `venv` lays it out (without pip); returns its site-packages."""
    python = current()
    site_packages = directory / python.site_packages
    site_packages.mkdir(parents=True)
    (directory / "bin").mkdir()
    for name in ("python", "python3", f"python{python.version}"):
        (directory / "bin" / name).symlink_to(python.program)
    (directory / "pyvenv.cfg").write_text(
        f"home = {python.program.parent}\ninclude-system-site-packages = false\n"
        f"version = {sysconfig.get_python_version()}\n",
        encoding="utf-8",
    )
    return site_packages
