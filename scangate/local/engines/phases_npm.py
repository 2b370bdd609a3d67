"""What is run of an npm package: the scripts that npm would run, with npm's environment, and its import."""

import json
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

from scangate.local.engines import places
from scangate.local.fetch.base import Fetched, FetchError
from scangate.local.sandbox.base import PhasePlan, Program
from scangate.models.analysis import Phase

LIFECYCLE = ("preinstall", "install", "postinstall")
"""What `npm install` runs of a package from a registry, in this order."""
INSTALL_SECONDS = 300.0
IMPORT_SECONDS = 60.0
_USER_AGENT = "npm/10.8.2 node/v20.20.2 linux {arch} workspaces/false"
"""Of one release, whichever is installed: packages tell npm from others by it, and reports are to be the same."""
_ARCHITECTURES = {"x86_64": "x64", "aarch64": "arm64"}
"""Node's names of the machines that the sandbox runs on."""
_NODE_HEADERS = Path("/usr/include/node/node.h")


def plan(fetched: Fetched) -> tuple[PhasePlan, ...]:
    """Raises FetchError where package.json cannot be read."""
    folder = fetched.tree / fetched.folder
    manifest = _manifest(folder / "package.json")
    install = tuple(_scripts(fetched, manifest, has_gyp=(folder / "binding.gyp").is_file()))
    loader = Program(
        argv=("node", f"{places.HELPERS}/import_package.cjs", places.APP, fetched.purl.package_name),
        cwd=places.APP,
        environ=places.environ(places.SYSTEM_PATH),
    )
    return (
        PhasePlan(phase=Phase.INSTALL, programs=install, seconds=INSTALL_SECONDS),
        PhasePlan(phase=Phase.IMPORT, programs=(loader,), seconds=IMPORT_SECONDS),
    )


def _manifest(path: Path) -> Mapping[str, object]:
    try:
        document: object = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as exc:
        raise FetchError("The package's package.json cannot be read.", "It is not analysed.") from exc
    if not isinstance(document, dict):
        raise FetchError("The package's package.json is no object.", "It is not analysed.")
    return cast(dict[str, object], document)


def _scripts(fetched: Fetched, manifest: Mapping[str, object], *, has_gyp: bool) -> Iterator[Program]:
    declared = manifest.get("scripts")
    scripts = (
        {name: text for name, text in declared.items() if isinstance(text, str)} if isinstance(declared, dict) else {}
    )
    own_install = "install" in scripts or "preinstall" in scripts
    if has_gyp and not own_install and manifest.get("gypfile") is not False:
        scripts["install"] = "node-gyp rebuild"  # npm's default (npm docs, "scripts")
    for event in LIFECYCLE:
        if scripts.get(event):
            yield Program(
                argv=("sh", "-c", scripts[event]),
                cwd=f"{places.APP}/{fetched.folder}",
                environ=_environ(fetched, event, scripts[event]),
            )


def _environ(fetched: Fetched, event: str, script: str) -> dict[str, str]:
    """As npm sets it (its @npmcli/run-script)."""
    npm, folder = places.npm_directory(), f"{places.APP}/{fetched.folder}"
    path = [f"{folder}/node_modules/.bin", f"{places.APP}/node_modules/.bin"]
    if npm is not None:
        path.append(f"{npm}/node_modules/@npmcli/run-script/lib/node-gyp-bin")
    environ = places.environ(":".join((*path, places.SYSTEM_PATH))) | {
        "INIT_CWD": places.APP,
        "NODE": "/usr/bin/node",
        "npm_command": "install",
        "npm_config_cache": f"{places.HOME}/.npm",
        "npm_config_global_prefix": "/usr",
        "npm_config_local_prefix": places.APP,
        "npm_config_user_agent": _USER_AGENT.format(arch=_ARCHITECTURES.get(platform.machine(), "x64")),
        "npm_config_userconfig": f"{places.HOME}/.npmrc",
        "npm_lifecycle_event": event,
        "npm_lifecycle_script": script,
        "npm_node_execpath": "/usr/bin/node",
        "npm_package_json": f"{folder}/package.json",
        "npm_package_name": fetched.purl.package_name,
        "npm_package_version": fetched.purl.version or "",
    }
    if npm is not None:
        environ |= {"npm_execpath": f"{npm}/bin/npm-cli.js"}
        environ |= {"npm_config_node_gyp": f"{npm}/node_modules/node-gyp/bin/node-gyp.js"}
    if _NODE_HEADERS.is_file():
        environ["npm_config_nodedir"] = "/usr"  # else node-gyp wants to download the headers
    return environ
