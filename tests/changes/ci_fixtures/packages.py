"""Lockfiles of packages that examples/recorded has reports on."""

import json

from scangate.models.lockfile import Ecosystem
from scangate.registries import DEFAULT_URL

CLEAN = "pkg:npm/follow-replica@1.15.11"
ALSO = "pkg:npm/axios-replica@1.14.1"
MALICIOUS = "pkg:npm/plain-crypto-replica@4.2.1"


def lock(*purls: str, **more: object) -> str:
    """A package-lock.json with these packages; `more` goes into each entry."""
    packages: dict[str, object] = {"": {"name": "example", "version": "1.0.0"}}
    for purl in sorted(purls):
        name, _, version = purl.removeprefix("pkg:npm/").rpartition("@")
        packages[f"node_modules/{name}"] = {
            "version": version,
            "resolved": f"{DEFAULT_URL[Ecosystem.NPM]}{name}/-/{name}-{version}.tgz",
            "integrity": "sha512-" + "A" * 86 + "==",
            **more,
        }
    document = {"name": "example", "version": "1.0.0", "lockfileVersion": 3, "packages": packages}
    return json.dumps(document, indent=2) + "\n"
