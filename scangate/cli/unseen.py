"""What lies in the project and is no part of the check: said in every output, never dropped without a word."""

from collections.abc import Iterable, Mapping
from itertools import groupby

from scangate.changes.discovery import VENDORED
from scangate.models.verdict import NoticeCode, PolicyNotice

_HOW = "Name the folder as PATH to have it checked, or exclude it in scangate.yml."


def vendored(paths: Iterable[str], *, since_base: bool) -> tuple[PolicyNotice, ...]:
    """Lockfiles in folders that hold other people's code by their names: one notice a folder."""
    what = "that are new or changed since the base" if since_base else "that git tracks"
    notices = []
    for folder, group in groupby(sorted(paths, key=lambda path: (_folder(path), path)), key=_folder):
        first, *more = group
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


def _folder(path: str) -> str:
    """The outermost folder of that kind above the path."""
    folders = path.split("/")[:-1]
    end = next(number for number, name in enumerate(folders, 1) if name in VENDORED)
    return "/".join(folders[:end])
