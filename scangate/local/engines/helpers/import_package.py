"""Imports the top-level modules of an installed distribution. Bound read-only into the sandbox.

Says what it imports in the words of the service's harness ("Importing X", "Failed to import X").
"""

import importlib
import os
import sys
import threading
import traceback
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
from modules import show, top_level  # type: ignore[import-not-found]

LINGER_SECONDS = 5.0


def main() -> None:
    names = top_level(sys.argv[1])
    sys.argv = [""]
    if not names:
        show("Nothing to import: the distribution has no module")
    for name in names:
        show(f"Importing {name}")
        try:
            importlib.import_module(name)
        except Exception:  # noqa: BLE001  (whatever it is, the next module is tried)
            show(f"Failed to import {name}")
            traceback.print_exc()
        except SystemExit as ended:
            print(f"{name} ended the interpreter: {ended}", file=sys.stderr)


main()
timer = threading.Timer(LINGER_SECONDS, os._exit, (0,))
timer.daemon = True
timer.start()
