"""Start-up: `scangate --version` against `python -c "import argparse"` of the same interpreter, side by side."""

import statistics
import subprocess
import sys
import time

LIMIT = 2.0
ROUNDS = 25


def seconds(argv: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> int:
    bare = [sys.executable, "-c", "import argparse"]
    ours = [sys.executable, "-m", "scangate", "--version"]
    for argv in (bare, ours):
        seconds(argv)
    pairs = [(seconds(bare), seconds(ours)) for _ in range(ROUNDS)]
    base, measured = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = measured / base
    times = f"--version {measured * 1000:.0f} ms, import argparse {base * 1000:.0f} ms"
    print(f"start-up: {times}: ×{ratio:.2f} (limit ×{LIMIT})")
    return ratio > LIMIT


if __name__ == "__main__":
    sys.exit(main())
