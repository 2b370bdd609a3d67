"""How long a report of about 700 KB takes from bytes to verdict, beyond the parsing of its JSON.

Read, then decided by the default rules (at most 50 ms) and by 1,000 made-up rules (at most 500 ms); the compiling of
the rules, which a run does once, is part of what is measured. Each round times both sides, in processor time; medians.

Usage: policy.py [ROUNDS]. Exit 1 where a limit is passed.
"""

import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime

from scangate.models.analysis import Analysed, Engine
from scangate.models.lockfile import Ecosystem
from scangate.models.verdict import Subject
from scangate.policy import loader
from scangate.policy.decision import decide
from scangate.policy.model import Policy
from scangate.reports import reader

DEFAULT_LIMIT, THOUSAND_LIMIT = 50.0, 500.0
"""Milliseconds."""
FILES = 6_500
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def report(seed: int = 7) -> bytes:
    """A package with many files, and commands and hosts of a build."""
    rng = random.Random(seed)
    words = [f"{rng.randrange(16**6):06x}" for _ in range(400)]
    folders = [f"/usr/lib/python3/dist-packages/{rng.choice(words)}/{rng.choice(words)}" for _ in range(300)]
    files = [
        {
            "Path": f"{rng.choice(folders)}/module_{number}.py",
            "Read": True,
            "Write": rng.random() < 0.3,
            "Delete": rng.random() < 0.05,
        }
        for number in range(FILES)
    ]
    commands = [
        {"Command": ["cc", "-O2", "-c", f"src/{word}.c", "-o", f"build/{word}.o"], "Environment": []}
        for word in words[:100]
    ]
    queries = [{"Hostname": f"{word}.cdn.example.com", "Types": ["A", "AAAA"]} for word in words[:40]]
    sockets = [
        {"Address": f"192.0.2.{number}", "Port": 443, "Hostnames": [f"{words[number]}.cdn.example.com"]}
        for number in range(40)
    ]
    halves = [files[: FILES // 2], files[FILES // 2 :]]
    phases = {
        phase: {
            "Status": "completed",
            "Files": half,
            "Commands": commands,
            "Sockets": sockets,
            "DNS": [{"Class": "IN", "Queries": queries}],
        }
        for phase, half in zip(("install", "import"), halves, strict=True)
    }
    package = {"Ecosystem": "npm", "Name": "left-pad", "Version": "1.3.0"}
    document = {"Package": package, "CreatedTimestamp": int(NOW.timestamp()), "Analysis": phases}
    return json.dumps(document).encode()


def thousand_rules(seed: int = 11) -> str:
    rng = random.Random(seed)
    rules = []
    for number in range(1_000):
        word = f"{rng.randrange(16**6):06x}"
        test = (
            f"observe: file, match: {{path: '/{word}\\d*/.*\\.(js|py)$', write: true}}",
            f"observe: command, match: {{cmdline: '\\b{word}\\b.* --[a-z]+'}}, unless: {{plain: true}}",
            f"observe: host, match: {{suffix: {word}.example}}",
            f"observe: socket, match: {{address: 203.0.113.{number % 256}, port-not: 443}}",
        )[number % 4]
        rules.append(f"- {{id: made-{number}, title: Made up, severity: high, {test}}}")
    return "version: 1\nextends: none\nrules:\n" + "\n".join(rules) + "\n"


def evaluate(payload: bytes, policy: Policy) -> None:
    purl = "pkg:npm/left-pad@1.3.0"
    result = reader.read(payload, purl=purl, engine=Engine.DYNAMIC_ANALYSIS, now=NOW, max_age_days=90)
    assert isinstance(result, Analysed)
    subject = Subject(
        key=purl,
        ecosystem=Ecosystem.NPM,
        name="left-pad",
        version="1.3.0",
        purl=purl,
        dependencies=(),
        results=(result,),
    )
    decide([subject], [], policy, today=date(2026, 1, 2), analyser="benchmark", elapsed_seconds=0.0)


def milliseconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1000


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    payload = report()
    text = thousand_rules()
    over = False
    loading = statistics.median(milliseconds(lambda: loader.load(text, "made.yml")) for _ in range(3))
    print(f"policy: report of {len(payload) / 1000:.0f} kB, {FILES} files; 1,000 rules are loaded in {loading:.0f} ms")
    for name, policy, limit in (
        ("default rules", loader.default(), DEFAULT_LIMIT),
        ("1,000 rules", loader.load(text, "made.yml"), THOUSAND_LIMIT),
    ):
        evaluate(payload, policy)
        pairs = [
            (milliseconds(lambda: json.loads(payload)), milliseconds(lambda policy=policy: evaluate(payload, policy)))
            for _ in range(rounds)
        ]
        parsing, whole = (statistics.median(column) for column in zip(*pairs, strict=True))
        beyond = whole - parsing
        measured = f"{beyond:.1f} ms beyond parsing ({parsing:.1f} ms), limit {limit:.0f} ms"
        print(f"policy: {name} ({len(policy.rules)}): {measured}")
        over = over or beyond > limit
    return int(over)


if __name__ == "__main__":
    sys.exit(main())
