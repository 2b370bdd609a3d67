"""Two states of lockfiles, read by the real readers and compared."""

from collections.abc import Mapping

from scangate import lockfiles
from scangate.changes.select import select_new
from scangate.lockfiles.examine import examine
from scangate.models.changes import ChangeKind, Selection
from scangate.models.lockfile import Lockfile
from scangate.registries import NO_REGISTRIES, Registries
from tests.lockfiles.npm_support import Memory, packages

Files = Mapping[str, str]


def side(files: Files, registries: Registries) -> tuple[Lockfile, ...]:
    tree = Memory(files)
    found = [
        lockfiles.read(path, format_, tree, registries) for path in files if (format_ := lockfiles.recognise(path))
    ]
    return examine(found, registries)


def against(before: Files, after: Files, registries: Registries = NO_REGISTRIES) -> Selection:
    return select_new(side(after, registries), side(before, registries))


def kinds(selection: Selection) -> list[ChangeKind]:
    return [change.kind for change in selection.changes]


def new_facts(selection: Selection) -> list[str]:
    return sorted(fact.check for lockfile in selection.lockfiles for fact in lockfile.facts)


def filled(files: Files, word: str) -> dict[str, str]:
    return {path: text.replace("{}", word) for path, text in files.items()}


def pip(text: str) -> Files:
    return {"requirements.txt": text}


def npm(resolved: str | None, name: str = "left", npmrc: str = "", **members: object) -> Files:
    place = {"version": "1.0.0", **({"resolved": resolved} if resolved else {}), **members}
    return {"package-lock.json": packages({f"node_modules/{name}": place}), ".npmrc": npmrc}
