"""Made for scangate's tests: building it contacts a host that nobody knows."""

import contextlib
import urllib.request

with contextlib.suppress(OSError):
    urllib.request.urlopen("http://building.example/hello", timeout=3)
