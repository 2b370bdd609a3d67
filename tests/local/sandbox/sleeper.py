"""A driver that is to be killed: runs a job that sleeps and is found by the marker in its command line."""

import sys

from tests.local.sandbox import jobs

SOURCE = """
import os, time
for _ in range(2):
    if os.fork() == 0:
        os.setsid()
print("up", flush=True)
time.sleep(600)
"""

if __name__ == "__main__":
    jobs.run(
        jobs.plan(jobs.program(jobs.python(), "-S", "main.py", sys.argv[1]), seconds=600), files={"main.py": SOURCE}
    )
