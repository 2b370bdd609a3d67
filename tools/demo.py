"""`make demo`: an example project analysed in the sandbox of this machine, then others with recorded reports.

The first fetches a few packages from the public registry, and runs them, and one made to steal, in the sandbox alone.
The others need no network: the embedded service answers with recorded reports, and no package is run.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
SCANGATE = [sys.executable, "-m", "scangate"]

EXPECTED = (
    ("npm-project", 0, "a real npm project: it passes"),
    (
        "axios-replica",
        1,
        "a replica of the axios attack: a patch release brings in a package with a talking install script",
    ),
    ("python-project", 1, "a real Python project with one package that was real malware (its report was recorded)"),
)


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SCANGATE_")},
            "HOME": scratch,
            "XDG_STATE_HOME": f"{scratch}/state",
        }
        local = _local(environ)
        print("\ndemo: starting the embedded analysis service (scangate serve --replay examples/recorded)", flush=True)
        with subprocess.Popen(
            [*SCANGATE, "serve", "--replay", EXAMPLES / "recorded", "--data", f"{scratch}/data"],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as server:
            try:
                environ.update(_exports(server))
                wrong = [name for name, code, what in EXPECTED if not _check(name, code, what, environ)]
            finally:
                server.terminate()
    wrong += ["local-demo"] if local is False else []
    if wrong:
        print(f"demo: not as expected: {', '.join(wrong)}", file=sys.stderr)
        return 1
    if local is None:
        print("\ndemo: NOT SHOWN: examples/local-demo, for this machine lacks what is said above.", file=sys.stderr)
        return 2
    print("\ndemo: all as expected: one project passes, the others are blocked (exit 1 is what blocks a merge).")
    return 0


def _local(environ: dict[str, str]) -> bool | None:
    """`scangate check --local` as expected; None where this machine lacks what it needs, which is said then."""
    doctor = subprocess.run([*SCANGATE, "doctor"], env=environ, capture_output=True, text=True, check=False)
    if doctor.returncode != 0:
        print(
            f"demo: examples/local-demo is left out, this machine lacks what --local needs:\n{doctor.stderr}",
            flush=True,
        )
        return None if doctor.returncode == 2 else False
    what = "real packages from the registry, and one made to steal (vendor/, an archive): all run in the sandbox"
    return _check("local-demo", 1, what, environ, "--local")


def _exports(server: "subprocess.Popen[str]") -> dict[str, str]:
    """The two `export NAME=value` lines that `scangate serve` prints when it is ready."""
    assert server.stdout is not None
    lines = [server.stdout.readline().strip() for _ in range(2)]
    pairs = [line.removeprefix("export ").partition("=")[::2] for line in lines]
    if not all(name.startswith("SCANGATE_") for name, _ in pairs):
        raise SystemExit("demo: the embedded service did not start")
    return dict(pairs)


def _check(name: str, expected: int, what: str, environ: dict[str, str], *options: str) -> bool:
    # The examples are a part of this repository, so nothing of them is new here.
    command = ("check", "--all", *options)
    print(f"\n{'=' * 80}\ndemo: examples/{name}: {what}\n$ scangate {' '.join(command)}", flush=True)
    done = subprocess.run([*SCANGATE, *command, "--quiet"], cwd=EXAMPLES / name, env=environ, check=False)
    verb = "as expected" if done.returncode == expected else f"expected {expected}"
    print(f"demo: exit code {done.returncode} ({verb})", flush=True)
    return done.returncode == expected


if __name__ == "__main__":
    sys.exit(main())
