"""Made for scangate's tests: tells a host that nobody knows that it was imported."""

import contextlib
import urllib.request

with contextlib.suppress(OSError):
    urllib.request.urlopen("http://imported.example/hello", timeout=3)
