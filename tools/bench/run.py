"""`make bench`: each benchmark in a process of its own; fails where a limit is not kept."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
BENCHMARKS = ("startup", "lockfiles", "base", "policy", "sandbox", "local")


def main() -> int:
    failed = [
        name for name in BENCHMARKS if subprocess.run([sys.executable, HERE / f"{name}.py"], check=False).returncode
    ]
    for name in failed:
        print(f"bench: {name} is over its limit", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
