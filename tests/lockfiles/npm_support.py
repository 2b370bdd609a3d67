"""What the npm tests share: files in memory, and lockfiles written with few words."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scangate.lockfiles import npm
from scangate.models.lockfile import Dependency, Ecosystem, Lockfile
from scangate.registries import DEFAULT_URL, NO_REGISTRIES, Registries

ASSETS = Path(__file__).parents[1] / "assets" / "npm"
PUBLIC = DEFAULT_URL[Ecosystem.NPM]
DIGEST = "sha512-" + "A" * 86 + "=="
DIGEST_HEX = "sha512:" + "00" * 64


@dataclass
class Memory:
    """A tree of files in memory."""

    files: Mapping[str, bytes | str] = field(default_factory=dict)

    def read(self, path: str) -> bytes | None:
        content = self.files.get(path)
        return content.encode() if isinstance(content, str) else content


class Folder:
    """A tree of files on disk."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, path: str) -> bytes | None:
        file = self.root / path
        return file.read_bytes() if file.is_file() else None


def url(name: str, version: str, base: str = PUBLIC) -> str:
    return f"{base}{name}/-/{name.rpartition('/')[2]}-{version}.tgz"


def entry(name: str, version: str | None, **members: object) -> dict[str, object]:
    """An entry as npm writes it, of the public registry; members given as None are left out."""
    written = {"version": version, "resolved": url(name, version or "0"), "integrity": DIGEST, **members}
    return {key: value for key, value in written.items() if value is not None}


def packages(entries: Mapping[str, object], version: int = 3, **root: object) -> str:
    document = {"name": "p", "lockfileVersion": version, "packages": {"": {"name": "p", **root}, **entries}}
    return json.dumps(document, indent=2)


def nested(entries: Mapping[str, object]) -> str:
    return json.dumps({"name": "p", "lockfileVersion": 1, "requires": True, "dependencies": entries}, indent=2)


def read(
    lock: str | bytes,
    registries: Registries = NO_REGISTRIES,
    *,
    npmrc: str | None = None,
    manifest: object = None,
) -> Lockfile:
    files: dict[str, bytes | str] = {"package-lock.json": lock}
    if npmrc is not None:
        files[".npmrc"] = npmrc
    if manifest is not None:
        files["package.json"] = manifest if isinstance(manifest, str) else json.dumps(manifest)
    return npm.read("package-lock.json", Memory(files), registries)


def one(
    members: Mapping[str, object],
    registries: Registries = NO_REGISTRIES,
    *,
    at: str = "node_modules/left",
    npmrc: str | None = None,
) -> Dependency:
    """The one dependency of a version 3 file with this entry."""
    (found,) = read(packages({at: members}), registries, npmrc=npmrc).dependencies
    return found


def checks(dependency: Dependency) -> list[str]:
    return [fact.check for fact in dependency.facts]
