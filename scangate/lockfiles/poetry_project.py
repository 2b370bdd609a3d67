"""pyproject.toml beside a poetry.lock: what the project asks for directly, and the package sources that it names."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from scangate.lockfiles import toml_file
from scangate.models.lockfile import Scope
from scangate.purls import normalise_pypi_name
from scangate.urls import host_of

_HINT = "Correct pyproject.toml: scangate reads the direct dependencies and the package sources there."
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?\s*\(?([^;@)]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One thing that the project, or a package, asks for. `constraint` is "*" where it is open or not a version."""

    name: str
    constraint: str = "*"
    extras: tuple[str, ...] = ()
    scope: Scope = Scope.PROD


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A `[[tool.poetry.source]]`. `replaces_index`: packages without a source of their own come from here."""

    name: str
    url: str | None
    host: str | None
    replaces_index: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    requirements: tuple[Requirement, ...]
    sources: tuple[Source, ...] = ()

    def source(self, name: str) -> Source | None:
        """poetry looks sources up by name, without regard to case."""
        return next((source for source in self.sources if source.name.lower() == name.lower()), None)


def load(path: str, content: bytes, *, primary_replaces: bool) -> Project:
    """Read pyproject.toml. Raises LockfileError where it is not TOML.

    `primary_replaces`: as in poetry 2, where one primary source is enough to switch the public index off; before,
    only a default source did so.
    """
    document = toml_file.load(path, content, _HINT)
    project, poetry = table(document.get("project")), table(table(document.get("tool")).get("poetry"))
    groups = table(document.get("dependency-groups"))
    requirements = (*_main(project, poetry), *_groups(poetry), *_dependency_groups(groups))
    return Project(
        requirements=tuple(requirements), sources=_sources(poetry.get("source"), primary_replaces=primary_replaces)
    )


def table(value: object) -> Mapping[str, object]:
    """The value where it is a table, else an empty one: for parts that only add detail."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def constraints(name: str, value: object, scope: Scope = Scope.PROD) -> Iterator[tuple[Requirement, bool]]:
    """poetry's own notation, `name = "^1"`, a table, or a list of both; and whether each is optional."""
    for one in value if isinstance(value, list) else [value]:
        details = {"version": one} if isinstance(one, str) else table(one)
        version = details.get("version")
        yield (
            Requirement(
                name=normalise_pypi_name(name),
                constraint=version if isinstance(version, str) else "*",
                extras=_names(details.get("extras")),
                scope=scope,
            ),
            details.get("optional") is True,
        )


def requirement(text: object, scope: Scope = Scope.PROD) -> Requirement | None:
    """A PEP 508 requirement, as far as the graph needs it; None for anything else."""
    match = _REQUIREMENT.match(text) if isinstance(text, str) else None
    if match is None:
        return None
    return Requirement(
        name=normalise_pypi_name(match[1]),
        constraint=match[3].strip() or "*",
        extras=_names((match[2] or "").split(",")),
        scope=scope,
    )


def _names(value: object) -> tuple[str, ...]:
    return tuple(normalise_pypi_name(name.strip()) for name in items(value) if isinstance(name, str) and name.strip())


def _main(project: Mapping[str, object], poetry: Mapping[str, object]) -> Iterator[Requirement]:
    yield from _requirements(items(project.get("dependencies")), Scope.PROD)
    for extra in table(project.get("optional-dependencies")).values():
        yield from _requirements(items(extra), Scope.OPTIONAL)
    yield from _table(poetry.get("dependencies"), Scope.PROD)


def _groups(poetry: Mapping[str, object]) -> Iterator[Requirement]:
    yield from _table(poetry.get("dev-dependencies"), Scope.DEV)
    for name, group in table(poetry.get("group")).items():
        yield from _table(table(group).get("dependencies"), Scope.PROD if name == "main" else Scope.DEV)


def _dependency_groups(groups: Mapping[str, object]) -> Iterator[Requirement]:
    """PEP 735. `{include-group = …}` adds nothing: that group is read itself."""
    for group in groups.values():
        yield from _requirements(items(group), Scope.DEV)


def _table(dependencies: object, scope: Scope) -> Iterator[Requirement]:
    for name, value in table(dependencies).items():
        if name.lower() != "python":
            for wanted, optional in constraints(name, value, scope):
                yield _optional(wanted) if optional and scope is Scope.PROD else wanted


def _optional(wanted: Requirement) -> Requirement:
    return Requirement(name=wanted.name, constraint=wanted.constraint, extras=wanted.extras, scope=Scope.OPTIONAL)


def _requirements(texts: Iterable[object], scope: Scope) -> Iterator[Requirement]:
    return (found for text in texts if (found := requirement(text, scope)) is not None)


def _sources(value: object, *, primary_replaces: bool) -> tuple[Source, ...]:
    tables = [table(one) for one in items(value)]
    names_pypi = any(str(one.get("name")).lower() == "pypi" and "url" not in one for one in tables)
    found = []
    for one in tables:
        name, url = one.get("name"), one.get("url")
        priority = str(one.get("priority", "primary")).lower()
        flagged = one.get("default") is True or priority == "default"
        primary = primary_replaces and priority == "primary" and one.get("secondary") is not True and not names_pypi
        if isinstance(name, str):
            found.append(
                Source(
                    name=name,
                    url=url if isinstance(url, str) else None,
                    host=host_of(url) if isinstance(url, str) else None,
                    # Poetry 1 accepts a source called PyPI with a URL of its own, and takes it for PyPI.
                    replaces_index=isinstance(url, str) and (flagged or primary or name.lower() == "pypi"),
                )
            )
    return tuple(found)
