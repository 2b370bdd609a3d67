"""The reader beside the installed pip's own reader, on a corpus of edge cases and on texts made of their parts."""

import contextlib
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pip
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name
from packaging.version import Version
from pip._internal.exceptions import PipError
from pip._internal.index.collector import LinkCollector
from pip._internal.index.package_finder import PackageFinder
from pip._internal.models.search_scope import SearchScope
from pip._internal.models.selection_prefs import SelectionPreferences
from pip._internal.network.session import PipSession
from pip._internal.req.constructors import install_req_from_parsed_requirement
from pip._internal.req.req_file import parse_requirements

from scangate.errors import LockfileError
from scangate.lockfiles.requirements_walk import walk
from scangate.models.lockfile import Ecosystem, Kind
from scangate.registries import DEFAULT_URL

# Old versions of pip warn of their own internals; that is not what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

DEFAULT = DEFAULT_URL[Ecosystem.PYPI]
H = "a" * 64

READS_LEGACY_VERSIONS = Version(pip.__version__) < Version("24.1")
"""Any text passes for a version there (the pip of Debian 12 and of Python 3.11); we refuse what newer ones refuse."""

REFUSALS = (PipError, RecursionError, ValueError)
"""How the versions of pip refuse a file: their own error, a cycle of includes run into (before 24.3), a marker that
the packaging in them cannot read (InvalidMarker is a ValueError; passed on by some)."""

CORPUS = [
    "",
    "# nothing\n\n",
    "requests==2.31.0",
    "requests == 2.31.0 # comment",
    "requests==2.31.0# no comment",
    "Foo.Bar_baz==1.0\r\nx==2\rz==3",
    "x===1.0-legacy",
    "x==1!2.0+local.1",
    "x==1.*",
    "x==1.0,>=0.9",
    "x (==1.0)",
    "x[a, b] ==1.0",
    "x==1.0;",
    "x==1.0 ; python_version < '3' and extra == 'a'",
    f"x==1 --hash=sha256:{H} --hash=sha512:{H}{H}",
    f"x==1 \\\n    --hash=sha256:{H} \\\n    --hash sha384:{H}\ny==2",
    f"x==1 --hash='sha256:{H}'",
    f"x==1 --hash=sha256:{H} trailing words",
    f"x==1 --hash=md5:{H}",
    "x==1 \\\n# a comment ends it\ny==2",
    "x==1 \\\n  # so does an indented one\ny==2",
    "x==\\\n1.0\ny==2",
    "x==1\\",
    "x==1\\\\\ny==2",
    "\\\n\\\nx==1",
    "# comment \\\nx==1",
    "x==1 # comment \\\ny==2",
    "x==1\n\x0cy==2",
    "x==1\u2028y==2",
    "--index-url https://one.example/simple\nx==1",
    "-i https://one.example/simple --extra-index-url=https://two.example/simple",
    "--extra-index-url https://two.example\n--index-url https://one.example",
    "--index-url https://one.example\n--extra-index-url https://two.example\n--extra-index-url https://three.example",
    "--no-index\n--index-url https://one.example\n--find-links https://links.example/",
    "--find-links https://links.example/ \n-f https://more.example",
    "--index https://one.example",
    "--pypi-url https://one.example",
    "x==1 --index-url https://one.example",
    "--pre\n--prefer-binary\n--no-binary :all:\n--only-binary=x,y\n--require-hashes\nx==1",
    "--trusted-host one.example\n--use-feature fast-deps",
    "--no-such-option",
    "--index-url",
    "--pre=yes",
    "x==1 --config-settings 'a=b' -C c=d",
    "- x==1",
    "-- x==1",
    "x y",
    "x=1",
    "x 1.0",
    "==1",
    "x==1 'unclosed",
    "--hash 'unclosed",
    "-e ./project",
    "-e .",
    "-e project[extra]",
    "-e git+https://git.example/a/b.git@v1#egg=b",
    "-e git://git.example/a/b.git#egg=b",
    "-e 'b @ git+https://git.example/a/b.git'",
    "-e https://x.example/b.zip",
    "-e file:///srv/project",
    "--editable=./project",
    "-e ./project -e ./other",
    "./project",
    "./project[extra]",
    "project/",
    "./dist/b-1.0-py3-none-any.whl",
    "dist/b-1.0-py3-none-any.whl",
    "b-1.0.tar.gz",
    "b-1.0.whl",
    "https://x.example/b-1.0-py3-none-any.whl",
    f"https://x.example/b-1.0-py3-none-any.whl#sha256={H}",
    "https://x.example/d/b-1.0-1-py2.py3-none-any.whl?token=1 ; python_version > '3'",
    "https://x.example/b%2D1.0-py3-none-any.whl",
    "https://x.example/archive.zip#egg=b",
    "b @ https://x.example/archive.zip",
    "b @ https://x.example/b-1.0-py3-none-any.whl ; python_version > '3'",
    "b[x] @ git+ssh://git@git.example/a/b.git@main#subdirectory=c",
    "b@https://x.example/archive.zip",
    "git+https://git.example/a/b.git",
    "git+file:///srv/b.git#egg=b",
    "hg+https://hg.example/b",
    "file:///srv/project",
    "file:///srv/b-1.0-py3-none-any.whl",
    "ssh://git.example/b",
    "x==1.0.zip",
    "-r base.txt",
    "-r base.txt\n-r base.txt",
    "-rbase.txt",
    "--requirement=base.txt",
    "--req base.txt",
    "-r sub/inner.txt\nx==1",
    "-r cycle.txt",
    "-r missing.txt",
    "-c constraints.txt\nx",
    "-c includes.txt",
    "-r base.txt other.txt",
    "-r base.txt -c constraints.txt",
    "x==1 -r base.txt",
]
TREE = {
    "base.txt": "base==1\n",
    "sub/inner.txt": "-r ../base.txt\ninner==1\n",
    "cycle.txt": "-r sub/back.txt\n",
    "sub/back.txt": "y==1\n-r ../cycle.txt\n",
    "constraints.txt": "x==1\nz==2\n",
    "includes.txt": "-r base.txt\nz==1\n",
    "project/pyproject.toml": "",
    "pyproject.toml": "",
}


@dataclass(frozen=True)
class Seen:
    """What both readers must agree on, of one requirement."""

    text: str
    file: str
    line: int
    name: str | None
    exact: str | None
    link: str
    editable: bool
    constraint: bool
    hashes: frozenset[str]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """pip takes paths from the working directory, so that is where the files are."""
    root = tmp_path_factory.mktemp("tree").resolve()
    for name, text in TREE.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    logging.disable()
    with contextlib.chdir(root):
        yield root
    logging.disable(logging.NOTSET)


class Disk:
    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, path: str) -> bytes | None:
        file = self.root / path
        return file.read_bytes() if file.is_file() else None


def by_pip(root: Path) -> tuple[list[Seen], list[str]]:
    with PipSession() as session:
        scope = SearchScope.create(find_links=[], index_urls=[DEFAULT], no_index=False)
        finder = PackageFinder.create(
            LinkCollector(session=session, search_scope=scope), SelectionPreferences(allow_yanked=False)
        )
        seen = []
        for parsed in parse_requirements(str(root / "requirements.txt"), session, finder):
            made = install_req_from_parsed_requirement(parsed)
            exact = {
                spec.version
                for spec in (made.req.specifier if made.req is not None and not made.link else ())
                if spec.operator == "===" or (spec.operator == "==" and not spec.version.endswith(".*"))
            }
            file, _, line = parsed.comes_from[3:].removesuffix(")").partition(" (line ")
            hashes = (parsed.options or {}).get("hashes", {})
            link = "" if made.link is None else "git" if made.link.is_vcs else made.link.scheme or "file"
            seen.append(
                Seen(
                    text=parsed.requirement.strip(),
                    file=os.path.relpath(file, root),
                    line=int(line),
                    # pip names a repository that ends in ".whl" as a wheel
                    name=canonicalize_name(made.name) if made.name and not (link == "git" and made.is_wheel) else None,
                    exact=exact.pop() if len(exact) == 1 else None,
                    link=link,
                    editable=parsed.is_editable,
                    constraint=parsed.constraint,
                    hashes=frozenset(f"{name}:{value}" for name, values in hashes.items() for value in values),
                )
            )
        return seen, [*finder.index_urls, *finder.find_links]


def by_scangate(root: Path) -> tuple[list[Seen], list[str]]:
    run = walk("requirements.txt", Disk(root))
    seen = []
    for statement in run.statements:
        found = statement.requirement
        link = ""
        if found.link is not None:
            scheme = found.link.url.partition(":")[0]
            scheme = scheme if scheme in ("http", "https", "ftp") else "file"
            link = {Kind.GIT: "git", Kind.URL: scheme}.get(found.link.kind, "file")
        seen.append(
            Seen(
                text=statement.text,
                file=statement.line.path,
                line=statement.line.number,
                name=found.name,
                exact=None if found.link else found.version,
                link=link,
                editable=found.editable,
                constraint=statement.is_constraint,
                hashes=frozenset(statement.hashes),
            )
        )
    return seen, [place.url for place in run.places]


def compare(root: Path, text: str) -> None:
    """Where pip reads the file, we read it, and the same; where pip does not, nothing is installed from it."""
    (root / "requirements.txt").write_bytes(text.encode())
    try:
        expected, places = by_pip(root)
    except REFUSALS:
        expected, places = None, None
    problem = ""
    try:
        found, found_places = by_scangate(root)
    except LockfileError as error:
        problem = error.message
    # An abbreviation may be this option for one pip and that for another; a bad wheel name fails later in pip.
    if expected is None or "ambiguous option" in problem or "not the file name of a wheel" in problem:
        return
    if "is not a requirement" in problem and READS_LEGACY_VERSIONS:
        return
    assert not problem
    # pip gives what a file included twice holds twice; we name each line once. A name guessed from an archive's file
    # name is ours alone; pip builds the archive to know it.
    lines = editor_lines(text)
    expected = [replace(one, line=lines[one.line]) if one.file == "requirements.txt" else one for one in expected]
    named = [replace(one, name=None) if not two.name else one for one, two in zip(found, expected, strict=False)]
    assert [*named, *found[len(named) :]] == [
        one for index, one in enumerate(expected) if one.file == "requirements.txt" or one not in expected[:index]
    ]
    assert found_places == places


def editor_lines(text: str) -> dict[int, int]:
    """pip's line numbers to an editor's: pip also breaks lines at form feeds and Unicode's separators."""
    numbers, number = {}, 1
    for index, raw in enumerate(text.splitlines(keepends=True), start=1):
        numbers[index] = number
        number += len(re.findall(r"\r\n|\r|\n", raw))
    return numbers


@pytest.mark.parametrize("text", CORPUS)
def test_corpus(tree: Path, text: str) -> None:
    compare(tree, text)


def test_most_of_the_corpus_is_read_by_pip(tree: Path) -> None:
    """So that the comparison above is not empty."""
    read = 0
    for text in CORPUS:
        (tree / "requirements.txt").write_bytes(text.encode())
        with contextlib.suppress(*REFUSALS):
            by_pip(tree)
            read += 1
    assert read > len(CORPUS) * 0.6


PIECES = st.sampled_from(
    (
        *(
            "x==1",
            "y",
            "z[a]",
            "==2.0",
            ">=1",
            " ",
            "  ",
            "\t",
            "\n",
            "\r\n",
            "\\\n",
            "\\",
            "#",
            " #",
            "# via y",
            ";",
            "; ",
        ),
        *("python_version<'3'", f"--hash=sha256:{H}", f" --hash sha384:{H}", "-r base.txt", "-c constraints.txt"),
        *(
            "-e .",
            "--pre",
            "-i ",
            "--extra-index-url ",
            "https://one.example/",
            "--no-index",
            "'",
            '"',
            "@",
            " @ ",
            "-",
        ),
        *("./project", "git+https://git.example/b", "#egg=b", "&", "b-1.0-py3-none-any.whl", "\ufeff", "\x0b", "é"),
        "--find-links=l",
    )
)


@given(st.lists(PIECES, max_size=12).map("".join))
@example("x==1\\\n# via y\n--hash=sha256:0")
def test_texts_of_the_same_parts(tree: Path, text: str) -> None:
    compare(tree, text)
