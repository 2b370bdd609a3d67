"""What lies in the project and is no part of the check: said in every output, never dropped without a word."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from operator import itemgetter

from scangate.changes.discovery import VENDORED
from scangate.changes.trees import Place
from scangate.models.verdict import NoticeCode, PolicyNotice

_HOW = "Name the folder as PATH to have it checked, or exclude it in scangate.yml."


def vendored(paths: Iterable[str], place: Place | None = None, *, since_base: bool) -> tuple[PolicyNotice, ...]:
    """Lockfiles in folders that hold other people's code by their names: one notice a folder.

    `place` is where the working directory lies in its repository, None where it is in none, or nobody asked.
    """
    what = "that are new or changed since the base" if since_base else "that git tracks"
    notices = []
    for folder, group in groupby(sorted((_folder(path, place), path) for path in paths), key=itemgetter(0)):
        first, *more = (path for _, path in group)
        others = f" and {len(more)} more" if more else ""
        message = f"Lockfiles in {folder} {what} were left out, as other people's code: {first}{others}. {_HOW}"
        notices.append(PolicyNotice(code=NoticeCode.LEFT_OUT, message=message, where=folder))
    return tuple(notices)


def repositories(folders: Iterable[str]) -> tuple[PolicyNotice, ...]:
    """Repositories inside that are no submodules."""
    return tuple(
        PolicyNotice(
            code=NoticeCode.LEFT_OUT,
            message=f"{folder} is a repository of its own, and no submodule: what is in it was left out. {_HOW}",
            where=folder,
        )
        for folder in folders
    )


def submodules(before: Mapping[str, str] | None, now: Mapping[str, str]) -> tuple[PolicyNotice, ...]:
    """Submodules whose files are not read, by their paths as shown, with their commits; `before`: the base's."""
    was = before or {}
    return tuple(
        PolicyNotice(
            code=NoticeCode.SUBMODULE_CHANGED,
            message=f"The submodule {path} {_moved(was.get(path), now.get(path), before is not None)}. "
            "Its lockfiles are not part of this check: check it out, or run one there.",
            where=path,
        )
        for path in sorted(was.keys() | now.keys())
        if was.get(path) != now.get(path)
    )


def _moved(was: str | None, now: str | None, is_compared: bool) -> str:
    if not is_compared:
        return f"is at commit {now:.12}"
    if was is None:
        return f"is new, at commit {now:.12}"
    if now is None:
        return f"is gone, it was at commit {was:.12}"
    return f"moved from commit {was:.12} to {now:.12}"


def _folder(path: str, place: Place | None) -> str:
    """The outermost folder of that kind above the path, else the path's own: as shown, it may be above both."""
    inside = None if place is None else place.inside(path)
    folders = (path if inside is None else inside).split("/")[:-1]
    end = next((number for number, name in enumerate(folders, 1) if name in VENDORED), len(folders))
    folder = "/".join(folders[:end])
    return (folder if place is None or inside is None else place.shown(folder)) or "."
