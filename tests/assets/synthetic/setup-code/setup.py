"""Made for scangate's tests: building it contacts a host that nobody knows."""

import contextlib
import urllib.request

from setuptools import setup

with contextlib.suppress(OSError):
    urllib.request.urlopen("http://building.example/hello", timeout=3)

setup(name="synthetic-setup-code", version="1.0.0", py_modules=["synthetic_setup_code"])
