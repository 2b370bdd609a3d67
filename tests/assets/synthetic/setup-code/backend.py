"""Runs setup.py as setuptools would, so that building needs nothing from an index."""

import runpy
import zipfile

WHEEL = "synthetic_setup_code-1.0.0-py3-none-any.whl"
INFO = "synthetic_setup_code-1.0.0.dist-info"


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    runpy.run_path("setup.py", run_name="__main__")
    with zipfile.ZipFile(f"{wheel_directory}/{WHEEL}", "w") as wheel:
        wheel.write("synthetic_setup_code.py")
        wheel.writestr(f"{INFO}/METADATA", "Metadata-Version: 2.1\nName: synthetic-setup-code\nVersion: 1.0.0\n")
        wheel.writestr(f"{INFO}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{INFO}/RECORD", f"synthetic_setup_code.py,,\n{INFO}/METADATA,,\n{INFO}/WHEEL,,\n")
    return WHEEL
