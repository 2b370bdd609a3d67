"""Record what the example projects' real packages do: examples/recorded/*.json, in the DynamicAnalysisReport form.

A small recorder, not the sandbox: each package is installed without scripts, then its own install scripts and its
import run under strace in a network namespace of their own, as a user who may do nothing. Only for packages that are
known to be harmless. Needs Linux, root, npm, strace, unshare and setpriv.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT / "examples" / "recorded"
SYSCALLS = "trace=execve,openat,open,creat,unlink,unlinkat,connect"
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]
BAITS = {
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLEBAIT00000",
    "AWS_SECRET_ACCESS_KEY": "examplebait/notasecret/notasecret/000000",
}

EXEC = re.compile(r'execve\("(?:[^"\\]|\\.)*", \[(?P<argv>.*?)\](?:\.\.\.)?, \[(?P<env>.*)\]\) = 0')
OPEN = re.compile(r'open(?:at)?\((?:AT_FDCWD, |\d+, )?"(?P<path>(?:[^"\\]|\\.)*)", (?P<flags>[A-Z_|0-9]+).*\) = \d')
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


def record(argv: list[str], cwd: Path, marker: list[str], project: Path) -> dict[str, object]:
    """Run one command traced; its phase as the report has it."""
    with tempfile.TemporaryDirectory() as scratch:
        trace = Path(scratch) / "trace"
        environ = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8", **BAITS}
        done = subprocess.run(
            [
                "unshare",
                "--net",
                "strace",
                "-f",
                "-qq",
                "-v",
                "-s",
                "4096",
                "-e",
                SYSCALLS,
                "-e",
                "signal=none",
                "-o",
                str(trace),
                *NOBODY,
                *argv,
            ],
            cwd=cwd,
            env=environ,
            capture_output=True,
            timeout=120,
            check=False,
        )
        lines = trace.read_text(errors="replace").splitlines()
    commands = [{"Command": marker, "Environment": []}]
    files: dict[str, dict[str, object]] = {}
    for line in lines:
        call = line.partition(" ")[2].lstrip()
        if found := EXEC.match(call):
            texts = [text.encode().decode("unicode_escape") for text in STRING.findall(found["argv"])]
            command = [text.replace(str(project), "/app") for text in texts]
            if not line_is_harness(texts, argv):
                environment = [f"{key}={value}" for key, value in environ.items()]
                commands.append({"Command": command, "Environment": environment})
        elif found := OPEN.match(call):
            note(files, found["path"], found["flags"], project)
    return {
        "Status": "completed" if done.returncode == 0 else "error_analysis",
        "Stdout": "",
        "Stderr": "",
        "Files": [files[path] for path in sorted(files)],
        "Sockets": [],
        "Commands": commands,
        "DNS": [],
    }


def line_is_harness(command: list[str], argv: list[str]) -> bool:
    """Our own setpriv and the command that we started ourselves are not the package's doing."""
    return command[:1] == NOBODY[:1] or command == argv


def note(files: dict[str, dict[str, object]], path: str, flags: str, project: Path) -> None:
    """Keep files of the project and of the home; the interpreter's own are the same for every package."""
    write = "O_WRONLY" in flags or "O_RDWR" in flags
    shown = path.replace(str(project), "/app")
    if "O_DIRECTORY" in flags or (not shown.startswith("/app/") and not write) or shown.startswith("/dev/"):
        return
    entry = files.setdefault(shown, {"Path": shown, "Read": False, "Write": False, "Delete": False})
    entry["Write"] = bool(entry["Write"]) or write
    entry["Read"] = bool(entry["Read"]) or not write or "O_RDWR" in flags


def save(ecosystem: str, name: str, version: str, phases: dict[str, object]) -> None:
    report = {
        "Package": {"Ecosystem": ecosystem, "Name": name, "Version": version},
        "CreatedTimestamp": int(time.time()),
        "Analysis": phases,
    }
    file = f"{ecosystem}-{name.replace('/', '-').lstrip('@')}-{version}.json"
    (RECORDED / file).write_text(json.dumps(report, indent=1) + "\n")
    print(file)


def npm() -> None:
    with tempfile.TemporaryDirectory(prefix="record-") as scratch:
        project = Path(scratch)
        project.chmod(0o755)
        for file in ("package.json", "package-lock.json"):
            shutil.copy(ROOT / "examples" / "npm-project" / file, project)
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=project, check=True)
        lock = json.loads((project / "package-lock.json").read_text())
        for key, entry in lock["packages"].items():
            if key:
                npm_package(project, key, entry["version"])


def npm_package(project: Path, key: str, version: str) -> None:
    name, folder = key.rpartition("node_modules/")[2], project / key
    manifest = json.loads((folder / "package.json").read_text())
    purl = f"pkg:npm/{name.replace('@', '%40')}@{version}"
    scripts = [manifest.get("scripts", {}).get(hook) for hook in ("preinstall", "install", "postinstall")]
    command = " && ".join(filter(None, scripts)) or "true"
    path = f"PATH={project}/node_modules/.bin:$PATH; "
    install = record(["sh", "-c", path + command], folder, ["scangate-local", "install", purl], project)
    loader = f"try {{ require({name!r}) }} catch (e) {{}}"
    imported = record(["node", "-e", loader], project, ["scangate-local", "import", purl], project)
    save("npm", name, version, {"install": install, "import": imported})


def pypi() -> None:
    wanted = re.findall(
        r"^([A-Za-z0-9._-]+)==(\S+)", (ROOT / "examples/python-project/requirements.txt").read_text(), re.M
    )
    with tempfile.TemporaryDirectory(prefix="record-") as scratch:
        project = Path(scratch)
        project.chmod(0o755)
        subprocess.run([sys.executable, "-m", "venv", project / "venv"], check=True)
        python = project / "venv" / "bin" / "python"
        real = [f"{name}=={version}" for name, version in wanted if name != "jeilyfish"]
        subprocess.run([python, "-m", "pip", "install", "-q", "--only-binary", ":all:", *real], check=True)
        for name, version in wanted:
            if name == "jeilyfish":
                continue
            module = name.replace("-", "_")
            purl = f"pkg:pypi/{name}@{version}"
            install = record(["true"], project, ["scangate-local", "install", purl], project)
            imported = record(
                [str(python), "-c", f"import {module}"], project, ["scangate-local", "import", purl], project
            )
            execute = record(["true"], project, ["scangate-local", "execute", purl], project)
            save("pypi", name, version, {"install": install, "import": imported, "execute": execute})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    RECORDED.mkdir(parents=True, exist_ok=True)
    npm()
    pypi()
    return 0


if __name__ == "__main__":
    sys.exit(main())
