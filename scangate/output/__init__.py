"""RENDER: a verdict to text. Renderers see the Verdict and their Setting alone, and return text.

This is the literal registry of them. A renderer's module is imported when its format is asked for, not before.
"""

from collections.abc import Mapping
from typing import NamedTuple

from scangate.models.verdict import Verdict
from scangate.output.base import Renderer, Setting


class Format(NamedTuple):
    """A format of `--format`: what it is for, in a few words, and its renderer."""

    summary: str
    render: Renderer


def _terminal(verdict: Verdict, setting: Setting) -> str:
    from scangate.output import terminal

    return terminal.render(verdict, colour=setting.colour, width=setting.width)


def _json(verdict: Verdict, setting: Setting) -> str:
    from scangate.output import verdict_json

    return verdict_json.render(verdict, exit_code=setting.exit_code, version=setting.version)


def _github(verdict: Verdict, setting: Setting) -> str:
    from scangate.output import github

    return github.render(verdict, tree=setting.tree)


def _markdown(verdict: Verdict, setting: Setting) -> str:
    from scangate.output import markdown

    return markdown.render(verdict, tree=setting.tree, links=setting.links)


def _gitlab(verdict: Verdict, setting: Setting) -> str:
    from scangate.output import gitlab

    return gitlab.render(verdict, tree=setting.tree)


def _junit(verdict: Verdict, setting: Setting) -> str:
    from scangate.output import junit

    return junit.render(verdict, tree=setting.tree)


def _sarif(verdict: Verdict, setting: Setting) -> str:
    from scangate.output import sarif

    return sarif.render(verdict, setting)


FORMATS: Mapping[str, Format] = {
    "terminal": Format(summary="for people", render=_terminal),
    "json": Format(summary="everything, described by docs/schema/verdict-v1.json", render=_json),
    "github": Format(summary="annotations on the lockfiles' lines, for GitHub Actions' log", render=_github),
    "markdown": Format(summary="for job summaries and comments on pull requests", render=_markdown),
    "sarif": Format(summary="SARIF 2.1.0, for code scanning", render=_sarif),
    "gitlab": Format(summary="GitLab's Code Quality report", render=_gitlab),
    "junit": Format(summary="JUnit XML, for what reads test results", render=_junit),
}
"""An entry here is an option's value, a line of the documents, and what the conformance suite runs over."""
