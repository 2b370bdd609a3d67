"""What the conformance suite runs over: every format of the registry, in a repository's subdirectory, with links."""

from collections.abc import Callable

from scangate.errors import ExitCode
from scangate.models.verdict import Verdict
from scangate.output import FORMATS, Format
from scangate.output.base import Links, Setting, Tree
from scangate.policy.exit_codes import exit_code

SETTING = Setting(
    version="0",
    exit_code=ExitCode.PASS,
    tree=Tree(root="/repo", cwd="/repo/app"),
    links=Links.github("https://github.example", "acme/shop", "1f" * 20),
)

_SUFFIXES = {
    "terminal": "terminal.txt",
    "github": "github.txt",
    "markdown": "md",
    "gitlab": "gitlab.json",
    "junit": "junit.xml",
}


def _renderer(each: Format, setting: Setting = SETTING) -> Callable[[Verdict], str]:
    return lambda verdict: each.render(verdict, setting._replace(exit_code=exit_code(verdict)))


RENDERERS: dict[str, Callable[[Verdict], str]] = {
    **{_SUFFIXES.get(name, name): _renderer(each) for name, each in FORMATS.items()},
    "colour.txt": _renderer(FORMATS["terminal"], SETTING._replace(colour=True)),
}
"""By the ending of its golden files: the whole registry, and colour."""
