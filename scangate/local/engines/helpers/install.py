"""Unpacks the wheels of a directory into a virtual environment. Runs inside the sandbox only."""

import sys
import zipfile
from pathlib import Path


def place(name: str, environment: Path, site_packages: Path) -> Path:
    first, _, rest = name.partition("/")
    if not first.endswith(".data"):
        return site_packages / name
    scheme, _, rest = rest.partition("/")
    bases = {"purelib": site_packages, "platlib": site_packages, "scripts": environment / "bin"}
    return bases.get(scheme, environment) / rest


def main() -> None:
    wheels, environment, site_packages = (Path(each) for each in sys.argv[1:4])
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for info in archive.infolist():
                if not info.is_dir():
                    target = place(info.filename, environment, site_packages)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.unlink(missing_ok=True)
                    target.write_bytes(archive.read(info))
                    if target.parent == environment / "bin":
                        target.chmod(0o755)


main()
