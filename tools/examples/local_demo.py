"""Make examples/local-demo: the synthetic package's archive, and the lockfile, by npm with the public registry."""

import os
import subprocess
import sys
import tempfile

from tests import synthetic
from tools.examples.axios_replica import EXAMPLE as NEIGHBOUR

EXAMPLE = NEIGHBOUR.parent / "local-demo"


def main() -> int:
    (EXAMPLE / "vendor").mkdir(exist_ok=True)
    synthetic.build("http-exfiltration", EXAMPLE / "vendor")
    (EXAMPLE / "package-lock.json").unlink(missing_ok=True)
    command = ["npm", "install", "--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund"]
    with tempfile.TemporaryDirectory() as home:
        subprocess.run(command, cwd=EXAMPLE, env={"PATH": os.environ["PATH"], "HOME": home}, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
