"""package.json: what a project asks for, whichever package manager locks it."""

from scangate.errors import LockfileError
from scangate.lockfiles import jsonlines

_SECTIONS = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies")


def asked_for(content: bytes, path: str) -> frozenset[str] | None:
    """The names of all packages that a package.json asks for; None where it alone does not tell.

    That is where it cannot be read, where its workspaces ask for more, and where one of the packages may have another
    name than it is asked for by: all but versions and tags of a registry's package.
    """
    try:
        document = jsonlines.parse(content, path, {})
    except LockfileError:
        return None
    names: set[str] = set()
    for section in (document.get(name, {}) for name in _SECTIONS):
        if not isinstance(section, dict) or not all(_is_plain(wanted) for wanted in section.values()):
            return None
        names.update(section)
    return None if "workspaces" in document else frozenset(names)


def _is_plain(wanted: object) -> bool:
    return isinstance(wanted, str) and ":" not in wanted and "/" not in wanted
