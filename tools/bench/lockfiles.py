"""How long reading a lockfile takes, beside the least that it could take.

npm: a package-lock of version 3, about 5 MB and 10,000 entries. Our whole read (lines, paths, purls, digests) against a
bare `json.load` of the same file, interleaved so that both see the same weather; medians. The limit is 6 times.

Usage: lockfiles.py [ROUNDS]. Exit 1 where the limit is passed.
"""

import base64
import gc
import hashlib
import io
import json
import random
import statistics
import sys
import time
from collections.abc import Callable

from scangate.lockfiles import npm
from scangate.models.lockfile import Ecosystem
from scangate.registries import DEFAULT_URL, NO_REGISTRIES

LIMIT = 6.0
ENTRIES = 10_000


class Memory:
    """The one file, already in memory: both sides are spared the disk."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def read(self, path: str) -> bytes | None:
        return self.content if path == "package-lock.json" else None


def package_lock(entries: int = ENTRIES, seed: int = 7) -> bytes:
    """A lockfile as npm 10 writes it: a fifth of the places nested where they are needed, one scope in six."""
    rng = random.Random(seed)
    names = [
        f"@scope{i % 97}/package-{i}" if i % 6 == 0 else f"package-{i}-of-some-length" for i in range(entries * 4 // 5)
    ]
    packages: dict[str, dict[str, object]] = {
        "": {"name": "bench", "version": "1.0.0", "dependencies": dict.fromkeys(names[::4], "^1.0.0")}
    }
    for name in names:
        packages[f"node_modules/{name}"] = _entry(name, rng, names)
    needy = [place for place, members in packages.items() if place and "dependencies" in members]
    while len(packages) <= entries:
        place = rng.choice(needy)
        name = rng.choice(sorted(packages[place]["dependencies"]))  # type: ignore[call-overload]  # a dict, see above
        packages[f"{place}/node_modules/{name}"] = _entry(name, rng, names)
    document = {"name": "bench", "version": "1.0.0", "lockfileVersion": 3, "requires": True, "packages": packages}
    return json.dumps(document, indent=2).encode()


def _entry(name: str, rng: random.Random, names: list[str]) -> dict[str, object]:
    version = f"{rng.randrange(20)}.{rng.randrange(40)}.{rng.randrange(90)}"
    digest = base64.b64encode(hashlib.sha512(f"{name}@{version}".encode()).digest()).decode()
    entry: dict[str, object] = {
        "version": version,
        "resolved": f"{DEFAULT_URL[Ecosystem.NPM]}{name}/-/{name.rpartition('/')[2]}-{version}.tgz",
        "integrity": f"sha512-{digest}",
    }
    if rng.random() < 0.5:
        entry["dev"] = True
    entry["license"] = "MIT"
    if wanted := rng.sample(names, rng.choice((0, 0, 1, 2, 3, 5))):
        entry["dependencies"] = {other: f"^{rng.randrange(20)}.0.0" for other in wanted}
    if rng.random() < 0.7:
        entry["engines"] = {"node": ">=14"}
    return entry


def timed(call: Callable[[], object]) -> float:
    """Seconds of processor time: other programs on the machine disturb it less than they do the clock on the wall."""
    gc.collect()
    start = time.process_time()
    call()
    return time.process_time() - start


def main(rounds: int = 15) -> int:
    content = package_lock()
    files = Memory(content)
    found = npm.read("package-lock.json", files, NO_REGISTRIES)
    assert len(found.dependencies) == ENTRIES
    assert len({dependency.line for dependency in found.dependencies}) == ENTRIES
    bare: list[float] = []
    ours: list[float] = []
    for _ in range(rounds):
        bare.append(timed(lambda: json.load(io.TextIOWrapper(io.BytesIO(content), "utf-8"))))
        ours.append(timed(lambda: npm.read("package-lock.json", files, NO_REGISTRIES)))
    low, high = statistics.median(bare), statistics.median(ours)
    traced = sum(1 for dependency in found.dependencies if dependency.path)
    print(f"package-lock v3: {len(content) / 1e6:.1f} MB, {ENTRIES} entries, {traced} with a path")
    print(f"json.load {low * 1000:.1f} ms, whole read {high * 1000:.1f} ms: {high / low:.2f} times (limit {LIMIT:g})")
    return int(high / low > LIMIT)


if __name__ == "__main__":
    raise SystemExit(main(*(int(argument) for argument in sys.argv[1:])))
